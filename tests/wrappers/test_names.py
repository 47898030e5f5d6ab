"""Names of classes go through every wrapper and through the ledger."""

import numpy as np
import pytest

from blackbox_boundary import BadPrediction, InvalidInput
from blackbox_boundary.ledger.model_card import ModelCard
from blackbox_boundary.predictor import Named, NamedInputs, class_names_of
from blackbox_boundary.wrappers.batching import BatchingPredictor
from blackbox_boundary.wrappers.budget import Allowance, BudgetPredictor
from blackbox_boundary.wrappers.counting import CountingPredictor
from blackbox_boundary.wrappers.degrade import InputNoise, LabelOnly, Rounded, ScoreNoise, TopK
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.monitor import MonitorPredictor
from blackbox_boundary.wrappers.names import NamedPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from .models import Smooth

NAMES = ("north", "east", "south", "west")
WRAPPERS = [
    lambda model: BatchingPredictor(model, 2),
    lambda model: BudgetPredictor(model, Allowance()),
    CountingPredictor,
    lambda model: InputNoise(model, 0.1),
    LabelOnly,
    lambda model: Rounded(model, 2),
    lambda model: ScoreNoise(model, 0.1),
    lambda model: TopK(model, 1),
    MonitorPredictor,
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrappers_have_the_names_of_what_they_wrap(wrap):
    """With names where the model has some, and without the attribute where it has none."""
    assert class_names_of(wrap(NamedPredictor(Smooth(), NAMES))) == NAMES
    assert not isinstance(wrap(Smooth()), Named)
    assert class_names_of(wrap(Smooth())) is None


@pytest.mark.parametrize("wrap", [*WRAPPERS, lambda model: NamedPredictor(model, NAMES)])
def test_wrappers_have_the_input_names_of_what_they_wrap(wrap):
    """The inputs of a row, by name, where the model has names for them."""
    model = Smooth()
    assert not isinstance(wrap(model), NamedInputs)
    model.input_names = tuple("abcdef")
    assert wrap(model).input_names == tuple("abcdef")


def test_a_replay_has_the_names_of_the_recorded_model(tmp_path):
    """The ledger keeps the names; the model that is replayed has them, and gradients as before."""
    x = np.ones((2, 2, 3), np.float32)
    with LedgerPredictor(NamedPredictor(Smooth(), NAMES), tmp_path / "l.db") as ledger:
        assert class_names_of(ledger) == NAMES
        ledger.predict(x)
    with LedgerPredictor(Smooth(), tmp_path / "l.db") as ledger:  # names are no part of the model
        ledger.predict(x)
    with ReplayPredictor(tmp_path / "l.db") as replay:
        assert class_names_of(replay) == NAMES
        np.testing.assert_array_equal(replay.predict(x).label, Smooth().predict(x).label)


def test_a_card_without_names_is_read():
    """Ledgers that were written before classes had names say nothing of them."""
    card = ModelCard.of(Smooth())
    text = card.to_json().replace('"class_names": null, ', "")
    assert "class_names" not in text
    assert ModelCard.from_json(text) == card


@pytest.mark.parametrize("names", [NAMES[:3], ("a", "b", "c", "c"), (1, 1.0, 2, 3)])
def test_names_that_do_not_fit_are_refused(names):
    """One distinct name per class, from the caller and from a predictor."""
    with pytest.raises(InvalidInput, match="each of the 4 classes once"):
        NamedPredictor(Smooth(), names)
    model = Smooth()
    model.class_names = names
    with pytest.raises(BadPrediction, match="each of its 4 classes once"):
        class_names_of(model)
