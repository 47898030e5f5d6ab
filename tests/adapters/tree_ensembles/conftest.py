"""What makes the saved models is run by hand, with the libraries that train them."""

collect_ignore = ["models/make.py"]
