#!/usr/bin/env bash
# Guess: a torch module on a CPU, called again with a batch of the same size, works in the memory of
#   the call before; so the price of a row falls with the batch, or stays.
# Seen: torch frees activations to GNU's C library, which returns blocks above 32 MB to the system
#   at once. Every call then meets tens of thousands of page faults, and the system clears each page
#   again: batches of 512 rows take over twice the time that they take where memory is kept, and
#   more a row than batches of 64. Two variables of the C library end it; outputs are equal to the
#   bit. A session of ONNX Runtime with the same weights has an arena of its own, and no faults.
# Why it matters: a search asks for thousands of batches of one size. Times that compare two
#   libraries, two batch sizes, or a process and a worker, compare allocators.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 torch==2.13.0
cat > "$work/faults.py" <<'PYTHON'
import hashlib
import resource
import sys

import numpy as np
import torch

torch.set_num_threads(1)
torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3), torch.nn.ReLU(),
    torch.nn.Flatten(), torch.nn.Linear(32 * 24 * 24, 10),
).eval()  # fmt: skip


def in_torch(rows):
    with torch.no_grad():
        return net(torch.from_numpy(rows)).numpy()


def in_onnxruntime():
    import onnxruntime as ort

    path = sys.argv[2]
    torch.onnx.export(
        net, (torch.zeros(2, 1, 28, 28),), path, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )  # fmt: skip
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options)
    (name,) = (given.name for given in session.get_inputs())
    return lambda rows: session.run(None, {name: rows})[0]


answer = in_torch if sys.argv[1] == "torch" else in_onnxruntime()
for n in (64, 512):
    rows = np.random.default_rng(0).random((n, 1, 28, 28), dtype=np.float32)
    for _ in range(3):
        scores = answer(rows)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(5):
        scores = answer(rows)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    faults = (after.ru_minflt - before.ru_minflt) // 5
    digest = hashlib.sha256(scores.tobytes()).hexdigest()[:12]
    print(n, faults, f"{seconds / 5 / n * 1e6:.0f}", digest)
PYTHON
run() { "$work/venv/bin/python" -W ignore "$work/faults.py" "$@" "$work/net.onnx" 2>/dev/null | grep -E '^[0-9]+ '; }
export OMP_NUM_THREADS=1
plain=$(env -u MALLOC_MMAP_THRESHOLD_ -u MALLOC_TRIM_THRESHOLD_ bash -c "$(declare -f run); work=$work run torch")
kept=$(MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647 run torch)
arena=$(run onnxruntime)
getconf GNU_LIBC_VERSION
echo "torch 2.13.0: rows a call, page faults a call, microseconds a row, digest of the scores"
echo "$plain"
echo "with memory kept by the C library"
echo "$kept"
echo "ONNX Runtime 1.32.0"
echo "$arena"
at() { echo "$1" | awk -v n=512 -v field="$2" '$1 == n {print $field}'; }
[ "$(at "$plain" 2)" -gt $((20 * ($(at "$kept" 2) + 1))) ]
[ "$(at "$plain" 2)" -gt $((20 * ($(at "$arena" 2) + 1))) ]
[ "$(at "$plain" 4)" = "$(at "$kept" 4)" ]
[ "$(at "$plain" 3)" -gt "$(at "$kept" 3)" ]
