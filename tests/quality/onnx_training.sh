#!/usr/bin/env bash
# Gradients against those of ONNX Runtime Training 1.19.2, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/cases"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q onnxruntime-training==1.19.2 onnx==1.16.2 "numpy<2"
.venv/bin/python tests/quality/onnx_training.py write "$work/cases"
"$work/venv/bin/python" tests/quality/onnx_training.py compare "$work/cases"
