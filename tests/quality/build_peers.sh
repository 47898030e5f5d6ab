#!/bin/sh
# Build the environment of the gradient-based peers in the folder $1: adv-lib, foolbox, secml-torch, and this tree.
# torchvision is left out: adv-lib needs it for perceptual losses only, and its wheels must match torch's exactly (see peers.py).
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet --upgrade pip
"$1/bin/python" -m pip install --quiet --constraint "$here/constraints.txt" torch scipy tqdm eagerpy requests GitPython
"$1/bin/python" -m pip install --quiet --no-deps adv-lib==0.2.8 foolbox==3.3.4 secml-torch==1.5
"$1/bin/python" -m pip install --quiet --editable "$here[torch]"
