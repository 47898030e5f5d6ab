#!/bin/sh
# Build the peers' own environment, with the tested torch:  sh tests/quality/peers_env.sh FOLDER
# then run comparisons with FOLDER/bin/python. A system-wide torch is used where --system-site-packages shows one.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
python3 -m venv --system-site-packages "$1"
"$1/bin/python" -m pip install -q -c "$here/constraints.txt" torch foolbox==3.3.4 adversarial-robustness-toolbox==1.20.1
