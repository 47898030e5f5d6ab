"""Random small tree ensembles, and their nearest flips by trying every cell of the split grid."""

import itertools

import numpy as np
from hypothesis import strategies as st

from blackbox_boundary import Access, Prediction
from blackbox_boundary.tree_ensembles import TreeEnsemble

ORDER = {"l0": 0, "l1": 1, "l2": 2, "linf": np.inf}


class TreePredictor:
    """Answers labels by an ensemble itself."""

    access, grid = Access.LABEL, None

    def __init__(self, ensemble, bounds=None):
        self.ensemble, self.bounds = ensemble, bounds
        self.input_shape, self.n_classes = (ensemble.n_features,), ensemble.n_classes

    def predict(self, x):
        """Label each row."""
        return Prediction(self.ensemble.labels(x)[0])

    def tree_ensemble(self):
        """The ensemble."""
        return self.ensemble


@st.composite
def ensembles(draw, max_features=3, max_trees=5, max_depth=3):
    """Ensembles with votes, whole numbers or real leaves, in either precision."""
    n_features = draw(st.integers(1, max_features))
    n_outputs = draw(st.sampled_from([1, 2, 3]))
    kind = draw(st.sampled_from(["votes", "shares", "whole", "real"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
    nodes = []
    depths = draw(st.lists(st.integers(0, max_depth), min_size=1, max_size=max_trees))
    roots = [_grown(nodes, rng, depth, n_features, n_outputs, kind) for depth in depths]
    feature, threshold, left, right, value = (np.array(part) for part in zip(*nodes, strict=True))
    cut = 0.5 if kind == "votes" else 1.0 if kind == "shares" else 0.0
    return TreeEnsemble(
        feature=feature,
        threshold=threshold.astype(dtype).astype(float),
        left=left,
        right=right,
        missing_left=np.zeros(len(nodes), bool),
        value=value / (len(roots) if kind == "votes" else 1),
        roots=np.array(roots),
        base=np.zeros(n_outputs),
        n_features=n_features,
        dtype=dtype,
        summed_in=np.dtype("f8"),
        cut=cut if n_outputs == 1 else 0.0,
    )


def _grown(nodes, rng, depth, n_features, n_outputs, kind):
    """Append one tree to the nodes; the number of its root."""
    here = len(nodes)
    nodes.append(None)
    if depth == 0 or rng.random() < 0.1:
        value = {
            "votes": lambda: np.eye(max(2, n_outputs))[rng.integers(max(2, n_outputs))][:n_outputs],
            "shares": lambda: rng.integers(0, 5, n_outputs) / 4,
            "whole": lambda: rng.integers(-3, 4, n_outputs).astype(float),
            "real": lambda: rng.normal(size=n_outputs),
        }[kind]()
        nodes[here] = (-1, 0.0, -1, -1, value)
        return here
    feature, threshold = int(rng.integers(n_features)), float(rng.choice([-1, -0.4, 0, 0.3, 1.1]))
    children = [_grown(nodes, rng, depth - 1, n_features, n_outputs, kind) for _ in range(2)]
    nodes[here] = (feature, threshold, *children, np.zeros(n_outputs))
    return here


def nearest_by_enumeration(ensemble, x, norm, bounds=None, target=None):
    """The smallest distance to another label, or to one, over all cells of the split grid.

    Infinite where there is none.
    """
    lowest, highest = (-np.inf, np.inf) if bounds is None else bounds
    home = ensemble.labels(x[None])[0][0]
    choices = []
    for j in range(ensemble.n_features):
        t = np.unique(ensemble.threshold[(ensemble.feature == j)])
        kind = ensemble.dtype.type
        above = np.nextafter(t.astype(kind), kind(np.inf)).astype(float)
        values = np.concatenate([[x[j]], t[t < x[j]], above[above > x[j]]])
        choices.append(values[(values >= lowest) & (values <= highest)])
    points = np.array(list(itertools.product(*choices)))
    label = ensemble.labels(points)[0]
    flipped = label != home if target is None else label == target
    away = points - x
    length = (away != 0).sum(1) if norm == "l0" else np.linalg.norm(away, ORDER[norm], axis=1)
    return np.where(flipped, length, np.inf).min()
