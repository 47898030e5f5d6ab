"""Measurements: driven by a predictor, by hand with ``ask`` and ``tell``, or by files."""
