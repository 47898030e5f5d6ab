"""Predictors for PyTorch modules, ONNX exports and HTTP endpoints.

The engine finds them by entry points, and never by name.
"""
