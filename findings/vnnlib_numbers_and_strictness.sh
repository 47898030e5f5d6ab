#!/usr/bin/env bash
# Guess: a VNN-LIB 2.0 file takes any decimal number, "3" and "1e-05" included, and keeps "<"
#   apart from "<=".
# Seen: with a float32 network the number "3" is a type error and must be "3.0"; an exponent is a
#   syntax error. Python and NumPy write small numbers with one (repr(1e-05)), so a file of tight
#   bounds around a boundary point is refused, and the same writer passes on coarse ones. The
#   conversion for verifiers then drops strictness: "<" and "<=" give the same polytope.
# Why it matters: a property "another class wins" is met by a tie after conversion, where argmax
#   keeps the home label: the verifier may return a point that does not flip. Write bounds with
#   format(x, ".17f") or so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 vnnlib==1.0.2
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import vnnlib
import vnnlib.compat

HEAD = """(vnnlib-version <2.0>)
(declare-network N
 (declare-input X float32 [1,1])
 (declare-output Y float32 [1,2])
)
(assert (>= X[0,0] {low}))
(assert (<= X[0,0] {high}))
(assert ({relation} Y[0,0] Y[0,1]))
"""


def read(low="0.0", high="3.0", relation="<="):
    return vnnlib.compat.transform(
        vnnlib.parse_query_string(HEAD.format(low=low, high=high, relation=relation))
    )[0]


def outcome(**texts):
    try:
        read(**texts)
    except vnnlib.VNNLibException as error:
        return "TypeMismatch" if "TypeMismatch" in str(error) else str(error)
    return "accepted"


print("vnnlib", version("vnnlib"))
for texts in ({"high": "3.0"}, {"high": "3"}, {"low": repr(1e-05)}, {"low": format(1e-05, ".17f")}):
    print(f"bound {list(texts.values())[0]}: expected accepted; seen {outcome(**texts)}")
assert outcome(high="3.0") == outcome(low="0.00001") == "accepted"
assert outcome(high="3") == "TypeMismatch" and "syntax error" in outcome(low=repr(1e-05))
assert "syntax error" in outcome(low=str(np.float32(1e-05)))

loose, strict = (read(relation=r).output_constraints[0] for r in ("<=", "<"))
print("Y0 <= Y1 becomes", loose.coeff_matrix, loose.rhs, "; expected for Y0 < Y1: something else")
print("Y0 <  Y1 becomes", strict.coeff_matrix, strict.rhs)
assert np.array_equal(loose.coeff_matrix, strict.coeff_matrix) and np.array_equal(
    loose.rhs, strict.rhs
)
PYTHON
