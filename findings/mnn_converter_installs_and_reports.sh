#!/usr/bin/env bash
# Guess: mnnconvert, the command of MNN that turns an ONNX file into its own format, reads one file
#   and writes another.
# Seen: loading it calls `pip install -U aliyun-log-python-sdk` when that package is missing, with
#   the pip that PATH finds first, which need not be that of its own environment. The package is the
#   client of a log service; the command's source puts a record of each conversion there: its
#   arguments, sizes, an identifier of the model, and of the machine.
# Why it matters: a model under audit is often confidential, and the environment of an audit pinned.
#   Here a conversion changes another environment's packages. Convert without network, by
#   `_tools.mnnconvert`, which does neither.
# This script puts a `pip` in front that only writes down what it is asked.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 MNN==3.6.1
mkdir "$work/front"
printf '#!/bin/sh\necho "$@" >> "%s/asked"\n' "$work" > "$work/front/pip"
chmod +x "$work/front/pip"
cd "$work"
venv/bin/python - <<'PYTHON'
import onnx
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
)
opset = [helper.make_opsetid("", 17)]
onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), "m.onnx")
PYTHON
venv/bin/python -c 'from importlib.metadata import version; print("MNN", version("MNN"))'
PATH="$work/front:$PATH" venv/bin/mnnconvert -f ONNX --modelFile m.onnx --MNNModel m.mnn > said 2>&1
test -s m.mnn
echo "pip calls during a conversion, expected none; seen: pip $(sort -u asked)"
grep -q "install -U aliyun-log-python-sdk" asked
rm asked m.mnn
PATH="$work/front:$PATH" venv/bin/python -c \
  'import _tools; _tools.mnnconvert("mnnconvert -f ONNX --modelFile m.onnx --MNNModel m.mnn".split())' \
  > said 2>&1
test -s m.mnn && test ! -e asked
echo "by _tools.mnnconvert: none"
tools=$(echo venv/lib/python3*/site-packages/MNN/tools)
grep -q 'mnn_logger.put_log(log_dict, "convert")' "$tools/mnnconvert.py"
grep -q "_get_machine_id" "$tools/utils/log.py"
