"""Exact flips of tree ensembles: how many rows are solved, how fast, and what two peers say.

    python tests/quality/tables_trees.py --rows 12            # the table of quality-tables.md
    python tests/quality/tables_trees.py --peers --rows 3     # dtai-veritas and scipy.optimize.milp

Needs the extra ``test-trees``. Seconds are those of the processor, on one thread.
"""

import argparse
import contextlib
import io
import itertools
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import scipy.optimize  # noqa: F401  its import is no part of a row
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split

from blackbox_boundary import load
from blackbox_boundary.estimators.trees.cells import Leaves, SplitCells
from blackbox_boundary.estimators.trees.contests import rivals
from blackbox_boundary.estimators.trees.moves import Reach, RowMoves
from blackbox_boundary.estimators.trees.search import nearest_flip

MAX_WORK = 20_000_000
DATA = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}


def split(name):
    """Rows to train on and to measure, in single precision."""
    x, y = DATA[name](return_X_y=True)
    parts = train_test_split(x.astype(np.float32), y, test_size=0.3, random_state=0, stratify=y)
    return parts[0], parts[2], parts[1]


def models():
    """Constructors of the models by name; each has 100 trees."""
    import catboost
    import lightgbm
    import xgboost

    return {
        "random forest": lambda: RandomForestClassifier(100, random_state=0),
        "hist. boosting": lambda: HistGradientBoostingClassifier(
            max_iter=100, max_depth=6, random_state=0
        ),
        "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=100, max_depth=5, random_state=0),
        "LightGBM": lambda: lightgbm.LGBMClassifier(
            n_estimators=100, max_depth=6, verbose=-1, random_state=0
        ),
        "CatBoost": lambda: catboost.CatBoostClassifier(
            iterations=100, depth=4, verbose=0, random_seed=0, thread_count=1
        ),
    }


def predictor_of(kind, model, n_features):
    """What is asked: the estimator itself, or its ONNX export where that is what is read."""
    if kind == "LightGBM":
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        shape = [("x", FloatTensorType([None, n_features]))]
        graph = onnxmltools.convert_lightgbm(model, initial_types=shape, zipmap=False)
        return load(graph.SerializeToString(), access="probabilities", threads=1)
    if kind == "CatBoost":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "catboost.onnx"
            model.save_model(str(path), format="onnx")
            return load(path.read_bytes(), access="probabilities", threads=1)
    return load(model)


class Setting:
    """A trained model, its leaves, and the rows that are measured."""

    def __init__(self, data, kind):
        x, y, self.rows = split(data)
        self.model = models()[kind]().fit(x, y)
        self.predictor = predictor_of(kind, self.model, x.shape[1])
        self.ensemble = self.predictor.tree_ensemble()
        self.cells = SplitCells.of(self.ensemble, np.float32)
        self.leaves = Leaves.of(self.ensemble, self.cells)

    def problem(self, i, norm):
        """Moves of a row and its contests."""
        x = self.rows[i].astype(float)
        home = int(self.predictor.predict(self.rows[i : i + 1]).label[0])
        everywhere = Reach.everywhere(len(x))
        return RowMoves.of(x, self.cells, norm, everywhere), rivals(self.leaves, home), home

    def solve(self, i, norm):
        """The nearest flip of a row, seconds, and whether the model confirms it."""
        began = time.process_time()
        moves, against, home = self.problem(i, norm)
        found = nearest_flip(self.leaves, moves, against, MAX_WORK)
        seconds = time.process_time() - began
        point = self.rows[i].copy()
        point[self.cells.columns] = moves.target[np.arange(len(moves.cell)), found.cell]
        flips = self.predictor.predict(point[None]).label[0] != home
        return found, moves, seconds, bool(flips)


def table(n_rows, data, kinds, norms):
    """One line for each data set, model and norm."""
    print(
        "| data | model | norm | rows | exact | exact within 1 s | median s | 95 % s "
        "| upper/lower of the others | flips |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in data:
        for kind in kinds:
            setting = Setting(name, kind)
            for norm in norms:
                solved = [setting.solve(i, norm) for i in range(min(n_rows, len(setting.rows)))]
                exact = np.array([found.is_exact for found, _, _, _ in solved])
                seconds = np.array([s for _, _, s, _ in solved])
                ratio = [m.length(f.cost) / max(m.length(f.lower), 1e-300) for f, m, _, _ in solved]
                rest = np.array(ratio)[~exact]
                print(
                    f"| {name} | {kind} | {norm} | {len(solved)} | {exact.mean():.0%} | "
                    f"{(exact & (seconds <= 1)).mean():.0%} | {np.median(seconds):.2f} | "
                    f"{np.quantile(seconds, 0.95):.2f} | "
                    f"{f'{np.median(rest):.2f}' if len(rest) else '-'} | "
                    f"{np.mean([ok for _, _, _, ok in solved]):.0%} |",
                    flush=True,
                )


def by_veritas(setting, i, start, home):
    """Smallest L-inf distance by dtai-veritas: upper, lower, seconds. Two classes."""
    import veritas

    with contextlib.redirect_stdout(io.StringIO()):
        trees = veritas.get_addtree(setting.model)
    row = setting.rows[i].astype(float)
    source, target = (trees, None) if home == 1 else (None, trees)
    began = time.process_time()
    search = veritas.VeritasRobustnessSearch(
        row, start, source, target, silent=True, max_time=60, num_steps=30
    )
    _, lower, upper = search.search()
    return upper, lower, time.process_time() - began


def peers(n_rows, kinds, norms):
    """Rows of breast cancer, by this search and by the peers: Veritas in L-inf alone."""
    from milp_trees import nearest_by_milp

    print("| norm | model | row | ours | s | veritas | s | milp | s | milp proved |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for kind in kinds:
        setting = Setting("breast cancer", kind)
        for norm, i in itertools.product(norms, range(n_rows)):
            found, moves, seconds, _ = setting.solve(i, norm)
            _, against, home = setting.problem(i, norm)
            said, v_seconds = "-", ""
            if norm == "linf" and kind != "CatBoost":
                upper, lower, spent = by_veritas(setting, i, 2 * found.cost, home)
                said, v_seconds = f"{lower:.6g} to {upper:.6g}", f"{spent:.3f}"
            began = time.process_time()
            value, bound, proved = nearest_by_milp(
                setting.leaves, moves, against[0][0], 120, unit=found.cost
            )
            m_seconds = time.process_time() - began
            if found.lower > value * (1 + 1e-5) or found.cost < bound * (1 - 1e-5):
                raise SystemExit(f"{kind}, row {i}: the bounds exclude the programme's")
            length, lowest, value, bound = map(
                moves.length, (found.cost, found.lower, value, max(bound, 0.0))
            )
            rest = "" if found.is_exact else f" (>= {lowest:.6g})"
            print(
                f"| {norm} | {kind} | {i} | {length:.6g}{rest} | {seconds:.3f} | {said} | "
                f"{v_seconds} | {value:.6g} (>= {bound:.6g}) | {m_seconds:.2f} | {proved} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--data", nargs="*", default=["iris", "wine", "breast cancer"])
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--norms", nargs="*", default=["linf", "l2"])
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.peers:
        kinds = given.models or ["random forest", "XGBoost", "LightGBM"]
        peers(given.rows, kinds, given.norms)
    else:
        table(given.rows, given.data, given.models or list(models()), given.norms)
