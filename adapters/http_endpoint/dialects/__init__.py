"""How servers take rows and give answers, one protocol a file."""
