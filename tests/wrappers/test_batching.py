"""Calls of one size, whatever is asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import InvalidInput
from blackbox_boundary.wrappers.batching import BatchingPredictor

from .models import Smooth


@settings(deadline=None)
@given(n=st.integers(0, 20), size=st.integers(1, 8), pad=st.booleans())
def test_calls_have_the_size_asked_for(n, size, pad):
    """No call is larger; with padding none is smaller; the answers are those of one call."""
    model, sizes = Smooth(), []
    predict, vjp = model.predict, model.vjp
    model.predict = lambda x: (sizes.append(len(x)), predict(x))[1]
    model.vjp = lambda x, v: (sizes.append(len(x)), vjp(x, v))[1]
    batched = BatchingPredictor(model, size, pad=pad)
    x, v = (
        np.random.default_rng(n).normal(size=(n, 2, 3)),
        np.random.default_rng(n).normal(size=(n, 4)),
    )
    np.testing.assert_array_equal(batched.predict(x).scores, predict(x).scores, strict=True)
    np.testing.assert_array_equal(batched.vjp(x, v), vjp(x, v), strict=True)
    assert len(sizes) == 2 * max(1, -(-n // size))
    assert all(got == size if pad and n else got <= size for got in sizes)
    if not pad:
        assert sum(sizes) == 2 * n


def test_tensors_stay_tensors():
    """Gradients of several calls are joined in the kind of the rows."""
    torch = pytest.importorskip("torch")

    class Torch(Smooth):
        def predict(self, x):
            return super().predict(x.numpy())

        def vjp(self, x, v):
            return torch.as_tensor(super().vjp(x.numpy(), v))

    x, v = torch.ones((5, 2, 3)), np.ones((5, 4))
    assert torch.equal(BatchingPredictor(Torch(), 2).vjp(x, v), Torch().vjp(x, v))


def test_a_call_needs_rows():
    """A size below one is refused."""
    with pytest.raises(InvalidInput, match="at least 1; got 0"):
        BatchingPredictor(Smooth(), 0)
