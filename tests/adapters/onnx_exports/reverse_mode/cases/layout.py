"""Reductions and ops that move values."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from .case import ALL, SINCE_11, SINCE_13, SINCE_18, Case, ints, positive

_OVER_TWO_AXES = {
    "ReduceL1": lambda k: lambda x, *_: x.abs().sum((1, -1), keepdim=bool(k)),
    "ReduceL2": lambda k: lambda x, *_: (x * x).sum((1, -1), keepdim=bool(k)).sqrt(),
    "ReduceLogSumExp": lambda k: lambda x, *_: x.logsumexp((1, -1), keepdim=bool(k)),
    "ReduceMax": lambda k: lambda x, *_: x.amax((1, -1), keepdim=bool(k)),
    "ReduceMean": lambda k: lambda x, *_: x.mean((1, -1), keepdim=bool(k)),
    "ReduceMin": lambda k: lambda x, *_: x.amin((1, -1), keepdim=bool(k)),
    "ReduceSum": lambda k: lambda x, *_: x.sum((1, -1), keepdim=bool(k)),
    "ReduceSumSquare": lambda k: lambda x, *_: (x * x).sum((1, -1), keepdim=bool(k)),
}
"""By op: torch's function, made for ``keepdims``."""

REDUCTIONS = [
    *(
        Case(
            f"{op} {'kept' if keep else 'cut'}",
            f"y = {op}<axes=[1, 2], keepdims={keep}>(x)",
            (2, 3, 4),
            {},
            function(keep),
            (7, 11, 12) if op == "ReduceSum" else (7, 11, 12, 13, 15),
        )
        for op, function in _OVER_TWO_AXES.items()
        for keep in (0, 1)
    ),
    *(
        Case(
            f"{op} 18 {'kept' if keep else 'cut'}",
            f"y = {op}<keepdims={keep}>(x, a)",
            (2, 3, 4),
            {"a": ints(1, -1)},
            function(keep),
            SINCE_18,
        )
        for op, function in _OVER_TWO_AXES.items()
        for keep in (0, 1)
    ),
    Case(
        "ReduceLogSum",
        "y = ReduceLogSum(x, a)",
        (2, 3, 4),
        {"a": ints(1)},
        lambda x, a: x.sum(1, keepdim=True).log(),
        (18,),
        positive,
    ),
    Case(
        "ReduceProd",
        "y = ReduceProd(x, a)",
        (2, 6, 4),
        {"a": ints(1)},
        lambda x, a: x.prod(1, keepdim=True),
        opsets=(18,),
        domain=lambda x: np.round(2 * x) / 2,  # with zeros, one or several in a product
    ),
    Case(
        "ReduceProd noop",
        "y = ReduceProd<noop_with_empty_axes=1>(x, a)",
        (2, 6, 4),
        {"a": ints()},
        lambda x, a: x,
        opsets=(18,),
    ),
    Case("ReduceMean all", "y = ReduceMean<keepdims=0>(x)", (2, 3, 4), {}, lambda x: x.mean(), ALL),
    Case(
        "ReduceSum noop",
        "y = ReduceSum<noop_with_empty_axes=1>(x)",
        (2, 3, 4),
        {},
        lambda x: x,
        SINCE_13,
    ),
]

LAYOUT = [
    Case(
        "Reshape",
        "y = Reshape(x, s)",
        (2, 3, 4),
        {"s": ints(0, -1, 2)},
        lambda x, s: x.reshape(2, 6, 2),
        ALL,
        any_batch=False,
    ),
    Case("Flatten", "y = Flatten<axis=2>(x)", (2, 3, 4), {}, lambda x: x.reshape(6, 4), ALL),
    Case("Squeeze", "y = Squeeze<axes=[1]>(x)", (2, 1, 4), {}, lambda x: x[:, 0], (7, 11)),
    Case(
        "Squeeze 13", "y = Squeeze(x, a)", (2, 1, 4), {"a": ints(1)}, lambda x, a: x[:, 0], SINCE_13
    ),
    Case(
        "Unsqueeze",
        "y = Unsqueeze<axes=[1, 2]>(x)",
        (2, 4),
        {},
        lambda x: x[:, None, None],
        (7, 11),
    ),
    Case(
        "Unsqueeze 13",
        "y = Unsqueeze(x, a)",
        (2, 4),
        {"a": ints(1, 2)},
        lambda x, a: x[:, None, None],
        SINCE_13,
    ),
    Case(
        "Transpose",
        "y = Transpose<perm=[1, 2, 0]>(x)",
        (2, 3, 4),
        {},
        lambda x: x.permute(1, 2, 0),
        ALL,
    ),
    Case("Transpose default", "y = Transpose(x)", (2, 3, 4), {}, lambda x: x.permute(2, 1, 0), ALL),
    Case(
        "Concat",
        "e = Exp(x) y = Concat<axis=1>(x, w, e)",
        (2, 3),
        {"w": (2, 2)},
        lambda x, w: torch.cat([x, w, x.exp()], 1),
        ALL,
    ),
    Case(
        "Split",
        "a, b = Split<axis=1, split=[1, 3]>(x) e = Exp(a) y = Mul(e, b)",
        (2, 4),
        {},
        lambda x: x[:, :1].exp() * x[:, 1:],
        (7, 11),
    ),
    Case(
        "Split 13",
        "a, b = Split<axis=1>(x, s) e = Exp(a) y = Mul(e, b)",
        (2, 4),
        {"s": ints(1, 3)},
        lambda x, s: x[:, :1].exp() * x[:, 1:],
        SINCE_13,
    ),
    Case(
        "Split even",
        "a, b, c = Split<axis=1>(x) y = Exp(b)",
        (2, 6),
        {},
        lambda x: x[:, 2:4].exp(),
        (7, 11, 13),
    ),
    Case(
        "Split 18",
        "a, b, c = Split<axis=1, num_outputs=3>(x) y = Exp(b)",
        (2, 6),
        {},
        lambda x: x[:, 2:4].exp(),
        SINCE_18,
    ),
    Case(
        "Tile",
        "y = Tile(x, r)",
        (2, 3),
        {"r": ints(2, 3)},
        lambda x, r: x.repeat(2, 3),
        ALL,
        any_batch=False,
    ),
    Case(
        "DepthToSpace",
        "y = DepthToSpace<blocksize=2>(x)",
        (1, 8, 2, 3),
        {},
        lambda x: F.pixel_shuffle(
            x.reshape(1, 2, 2, 2, 2, 3).permute(0, 3, 1, 2, 4, 5).reshape(1, 8, 2, 3), 2
        ),
        SINCE_11,
    ),
    Case(
        "DepthToSpace CRD",
        'y = DepthToSpace<blocksize=2, mode="CRD">(x)',
        (1, 8, 2, 3),
        {},
        lambda x: F.pixel_shuffle(x, 2),
        SINCE_11,
    ),
    Case("SpaceToDepth", "y = SpaceToDepth<blocksize=2>(x)", (1, 2, 4, 6), {}, None, ALL),
    Case(
        "Trilu",
        "y = Trilu<upper=0>(x, k)",
        (2, 4, 4),
        {"k": np.array(1)},
        lambda x, k: x.tril(1),
        (14, 18),
    ),
    Case(
        "CumSum", "y = CumSum(x, a)", (2, 4), {"a": np.array(1)}, lambda x, a: x.cumsum(1), SINCE_11
    ),
    Case(
        "CumSum exclusive",
        "y = CumSum<exclusive=1, reverse=1>(x, a)",
        (2, 4),
        {"a": np.array(1)},
        lambda x, a: x.flip(1).cumsum(1).flip(1) - x,
        (11, 18),
    ),
    Case(
        "ReverseSequence",
        "y = ReverseSequence<batch_axis=0, time_axis=1>(x, l)",
        (2, 4, 3),
        {"l": ints(3, 2)},
        lambda x, l: torch.stack([x[0][[2, 1, 0, 3]], x[1][[1, 0, 2, 3]]]),
        opsets=(10, 18),
        any_batch=False,
    ),
]
