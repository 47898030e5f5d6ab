"""Matrix products. ``g``: the cotangent of the output."""

from __future__ import annotations

from ..builder import Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES", "matmul_cotangents"]


def _gemm(c: Context, g: Value) -> Contributions:
    """For y = alpha A B + beta C.

    alpha g B', alpha A' g, beta g (A and B may be given transposed).
    """
    trans_a, trans_b = c.attr("transA", 0), c.attr("transB", 0)
    alpha = c.attr("alpha", 1.0)
    if c.needs(0):
        operands = (c.x(1), g) if trans_a else (g, c.x(1))
        flags = (
            {"transA": trans_b, "transB": 1} if trans_a else {"transA": 0, "transB": 1 - trans_b}
        )
        yield 0, c.b.op("Gemm", *operands, alpha=alpha, **flags)
    if c.needs(1):
        operands = (g, c.x(0)) if trans_b else (c.x(0), g)
        flags = (
            {"transA": 1, "transB": trans_a} if trans_b else {"transA": 1 - trans_a, "transB": 0}
        )
        yield 1, c.b.op("Gemm", *operands, alpha=alpha, **flags)
    if c.needs(2):
        yield 2, c.sum_to(2, g * c.attr("beta", 1.0))


def _matmul(c: Context, g: Value) -> Contributions:
    """For y = A B: g B', A' g, summed over broadcast batches.

    Vectors are matrices of one row or column.
    """
    yield from matmul_cotangents(c, g, c.x(0), c.x(1), (0, 1))


def matmul_cotangents(
    c: Context, g: Value, a: Value, b: Value, indices: tuple[int, int]
) -> Contributions:
    """Cotangents of the factors ``a`` and ``b``, which stand at the inputs ``indices``."""
    rank_a, rank_b = c.rank(indices[0]), c.rank(indices[1])
    if rank_a == 1:
        a, g = _with_axis(c, a, 0), _with_axis(c, g, -1 if rank_b == 1 else -2)
    if rank_b == 1:
        b, g = _with_axis(c, b, 1), _with_axis(c, g, -1)
    if c.needs(indices[0]):
        yield indices[0], _to_factor(c, indices, 0, g @ _swapped(b, max(rank_b, 2)))
    if c.needs(indices[1]):
        yield indices[1], _to_factor(c, indices, 1, _swapped(a, max(rank_a, 2)) @ g)


def _to_factor(c: Context, indices: tuple[int, int], factor: int, product: Value) -> Value:
    """Sum a product over the batch axes along which the factor was repeated."""
    shape, other = c.shape(indices[factor]), c.shape(indices[1 - factor])
    n_matrix_axes = (len(shape) > 1) + (len(other) > 1)  # of the output: a vector leaves none
    batch, own = c.out_shape()[: len(c.out_shape()) - n_matrix_axes], shape[:-2]
    n_new = len(batch) - len(own)
    repeated = [i for i, axis in enumerate(own) if axis == 1 and batch[n_new + i] != 1]
    axes = [*range(n_new), *(n_new + i for i in repeated)]
    if not axes and len(shape) > 1:
        return product
    return c.like(product.sum(axes), indices[factor])


def _with_axis(c: Context, value: Value, axis: int) -> Value:
    return c.b.op("Unsqueeze", value, c.b.ints([axis]))


def _swapped(value: Value, rank: int) -> Value:
    return value.transposed([*range(rank - 2), rank - 1, rank - 2])


RULES: dict[str, Rule] = {"Gemm": _gemm, "MatMul": _matmul}
