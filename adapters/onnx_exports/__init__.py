"""ONNX exports as predictors."""
