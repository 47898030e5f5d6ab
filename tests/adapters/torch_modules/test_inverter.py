"""The network that learns inputs from prediction vectors."""

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules.inverter import TorchInverter

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 3, 200)
CENTRES = np.array([[0.0, 2.0], [1.0, -1.0], [3.0, 0.5]])


def test_it_learns_the_mean_of_each_label():
    """From one-hot vectors it makes class means in the rows' range, with its own random state."""
    x = (CENTRES[LABEL] + 0.05 * RNG.standard_normal((200, 2))).reshape(200, 1, 2)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    invert = TorchInverter(n_steps=2000).fit(np.eye(3)[LABEL], x, seed=0)
    made = invert(np.eye(3))
    assert made.shape == (3, 1, 2)
    np.testing.assert_allclose(made.reshape(3, 2), CENTRES, atol=0.15)
    assert made.min() >= x.min()
    assert made.max() <= x.max()
    assert (torch.get_rng_state() == before).all()
    again = TorchInverter(n_steps=2000).fit(np.eye(3)[LABEL], x, seed=0)
    np.testing.assert_array_equal(again(np.eye(3)), made)
