#!/usr/bin/env bash
# Peers on tables, in an environment of their own (DiCE and alibi need NumPy 1): tables_peers.py.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "adversarial-robustness-toolbox==1.20.1" "dice-ml==0.12" "numpy<2" "scikit-learn==1.9.1"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$here/tables_peers.py" "$@"
