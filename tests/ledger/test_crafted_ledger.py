"""Whatever a ledger's file holds, it is read or refused by an error of the package."""

import contextlib

import numpy as np
from hypothesis import given

from blackbox_boundary import BoundaryError
from blackbox_boundary.ledger import export_csv, summarise, verify
from blackbox_boundary.testing import Ball, Reference
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from ..mutations import FUZZ, mutated


def test_a_damaged_ledger_is_read_or_refused(tmp_path):
    """Summary, verification, export, replay and a new run."""
    model, path = Reference(Ball([0.0, 0.0], 1.0)), tmp_path / "l.db"
    x = [[0.5, 0.0], [2.0, 0.0]]
    with LedgerPredictor(model, path, fingerprint="m") as recorded:
        recorded.predict(np.array(x))
    valid = path.read_bytes()

    def again(path):
        with LedgerPredictor(model, path, fingerprint="m") as recorded:
            recorded.predict(np.array(x))

    @FUZZ
    @given(mutated(valid))
    def check(content):
        for use in (
            summarise,
            verify,
            lambda path: export_csv(path, tmp_path / "out.csv"),
            lambda path: ReplayPredictor(path).predict(np.array(x)),
            again,
        ):
            for file in tmp_path.glob("l.db*"):
                file.unlink()
            path.write_bytes(content)
            with contextlib.suppress(BoundaryError):
                use(path)

    check()
