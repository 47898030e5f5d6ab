"""PyTorch modules: what goes in, what comes out, and that the module is as it was."""

import copy

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from torch import nn

from blackbox_boundary import (
    Access,
    BadPrediction,
    Differentiable,
    InvalidInput,
    PredictorError,
    measure,
)
from blackbox_boundary.testing import check_predictor

from ..graphs import rows

HALF = (torch.float16, torch.bfloat16)


def net(last=None, n_classes=4, dtype=torch.float32, seed=0):
    """A small smooth network over six features."""
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, n_classes), *([last] if last else [])]
    return nn.Sequential(*layers).to(dtype)


def predictor(module=None, **given):
    """Of :func:`net` unless told."""
    return TorchPredictor(module or net(), **{"input_shape": (6,), **given})


class Returning(nn.Module):
    """Returns what a function makes of the logits."""

    def __init__(self, make):
        super().__init__()
        self.net, self.make = net(), make

    def forward(self, x):
        return self.make(self.net(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_conforms_at_every_precision(dtype, kind):
    """NumPy and torch rows pass; half precision within 1e-2, and 0.1 of the slope (0.06 seen)."""
    x = 4 * rows(12) - 2
    x = torch.from_numpy(x) if kind == "torch" else x
    tolerances = {"tolerance": 1e-2, "gradient_tolerance": 0.1} if dtype in HALF else {}
    outcome = check_predictor(predictor(net(dtype=dtype)), x, **tolerances)
    assert outcome["vjp_form"] == outcome["vjp_rows"] == "passed"
    assert predictor(net(dtype=dtype)).predict(x).scores.dtype == (
        np.float64 if dtype == torch.float64 else np.float32
    )


@pytest.mark.parametrize("access", ["label", "top1", "probabilities", "logits"])
def test_conforms_at_every_access(access):
    """The conformance suite passes at every access; only access to all scores gives gradients."""
    asked = predictor(net(nn.Softmax(-1) if access == "probabilities" else None), access=access)
    check_predictor(asked, 4 * rows(12) - 2)
    assert isinstance(asked, Differentiable) == asked.access.has_scores


def test_gradients_are_those_of_the_scores():
    """One vector-Jacobian product equals the weighted sum of the Jacobian's rows from torch."""
    module, x, v = (
        net(dtype=torch.float64),
        rows(5).astype(np.float64) / 3,
        np.random.default_rng(3).normal(size=(5, 4)),
    )
    jacobian = torch.func.vmap(torch.func.jacrev(module))(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(
        predictor(module).vjp(x, v), np.einsum("nk,nkd->nd", v, jacobian), rtol=1e-12
    )


def test_probabilities_are_differentiated_as_probabilities():
    """Where probabilities are revealed, the gradient is theirs, not the logits'."""
    logits = net(dtype=torch.float64)
    x, v = rows(5).astype(np.float64), np.eye(4)[[0, 1, 2, 3, 0]]
    p = torch.softmax(logits(torch.from_numpy(x)), -1).detach().numpy()
    pulled = v * p - (v * p).sum(-1, keepdims=True) * p  # the softmax's own Jacobian
    both = predictor(nn.Sequential(logits, nn.Softmax(-1)), access="probabilities")
    np.testing.assert_allclose(
        both.vjp(x, v), predictor(logits).vjp(x, pulled), rtol=1e-9, atol=1e-15
    )


def test_a_backward_pass_is_one_forward_pass():
    """A gradient costs one call of the module for all rows; a prediction costs one."""
    module, calls = net(), []
    module.register_forward_hook(lambda _module, inputs, _scores: calls.append(len(inputs[0])))
    asked = predictor(module)
    assert calls == [8, 1, 1, 1, 1]
    calls.clear()
    asked.predict(rows(9))
    asked.vjp(rows(9), np.ones((9, 4)))
    assert calls == [9, 9]


def follow(asked, x, v, times=3):
    """Predict and differentiate at the same points, ever farther away; the gradients."""
    return [(asked.predict(x + step), asked.vjp(x + step, v))[1] for step in range(times)]


def test_predictions_that_are_differentiated_share_their_forward_pass():
    """From the second pair on, prediction and gradient at a point are one call of equal values."""
    module, calls = net(), []
    module.register_forward_hook(lambda *_: calls.append(1))
    x, v = rows(5), np.random.default_rng(0).normal(size=(5, 4))
    asked = predictor(module, n_classes=4)
    calls.clear()
    gradients = follow(asked, x, v)
    assert len(calls) == 4
    for step, gradient in enumerate(gradients):
        assert (gradient == predictor(net(), n_classes=4).vjp(x + step, v)).all()


def test_a_shared_forward_pass_serves_once_and_at_its_points_only():
    """Other rows, other weights and a second gradient are each computed anew."""
    x, v = rows(5), np.ones((5, 4))

    def changed(change):
        module = net()
        asked = predictor(module, n_classes=4)
        follow(asked, x, v)
        asked.predict(x)
        change(module)
        return (asked.vjp(x, v) == predictor(module, n_classes=4).vjp(x, v)).all()

    def double(module):
        with torch.no_grad():
            module[0].weight *= 2

    def replace(module):
        module[0].weight = nn.Parameter(3 * module[0].weight.detach())

    def rebind(module):
        module[0].weight.data = 4 * module[0].weight.data

    assert all(changed(change) for change in (double, replace, rebind))
    asked = predictor(n_classes=4)
    follow(asked, x, v)
    asked.predict(x)
    assert (asked.vjp(x + 1, v) == predictor(n_classes=4).vjp(x + 1, v)).all()
    assert (asked.vjp(x, v) == asked.vjp(x, v)).all()
    written = x.copy()
    follow(asked, written, v)
    asked.predict(written)
    written += 1
    assert (asked.vjp(written, v) == predictor(n_classes=4).vjp(x + 1, v)).all()


def test_a_module_that_writes_to_its_input_shares_its_forward_pass_too():
    """It is given a copy once that was seen, and the caller's rows stay as they are."""
    module, passes = nn.Sequential(nn.ReLU(inplace=True), net()), []
    module.register_forward_hook(lambda *_: passes.append(None))
    asked = predictor(module, n_classes=4)
    x, v = rows(5), np.ones((5, 4))
    before = x.copy()
    follow(asked, x, v, times=3)
    passes.clear()
    follow(asked, x, v, times=2)
    assert len(passes) == 2
    assert (x == before).all()


def test_no_forward_pass_is_recorded_but_for_gradients():
    """Predictions alone carry no graph; copies and pickles of a predictor carry none either."""
    recorded = []
    module = net()
    module.register_forward_hook(
        lambda _module, _inputs, scores: recorded.append(scores.requires_grad)
    )
    asked = predictor(module.requires_grad_(requires_grad=False), n_classes=4)
    follow(asked, rows(5), np.ones((5, 4)), times=2)
    recorded.clear()
    for _ in range(3):
        asked.predict(rows(5))
    assert recorded == [True, False, False]
    follow(asked, rows(5), np.ones((5, 4)), times=2)
    asked.predict(rows(5))
    assert (copy.deepcopy(asked).predict(rows(5)).scores == asked.predict(rows(5)).scores).all()


# -- one score a row, labels, labels and scores


@pytest.mark.parametrize("shape", ["column", "flat"])
@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_one_score_a_row_is_the_positive_class_of_two(access, shape):
    """One logit or sigmoid, (n,) or (n, 1), becomes two classes with gradients of either."""
    last = [nn.Sigmoid()] if access == "probabilities" else []
    module = nn.Sequential(net(n_classes=1), *last, *([nn.Flatten(0)] if shape == "flat" else []))
    asked, x = predictor(module, access=access), 6 * rows(30) - 3
    output = module(torch.from_numpy(x)).detach().numpy().reshape(-1)
    prediction = asked.predict(x)
    assert asked.n_classes == 2
    assert (prediction.label == (output > (0.5 if last else 0))).all()
    assert 0 < prediction.label.sum() < 30
    pair = [1 - output, output] if last else [-output / 2, output / 2]
    np.testing.assert_allclose(prediction.scores, np.stack(pair, -1), rtol=1e-6)
    positive, negative = (asked.vjp(x, np.tile(v, (30, 1))) for v in ([0.0, 1.0], [1.0, 0.0]))
    np.testing.assert_allclose(negative, -positive, atol=1e-7)
    assert positive.any(axis=-1).all()
    check_predictor(asked, x)


def test_labels_alone_and_labels_with_their_scores():
    """Modules that return labels, with or without scores, need only the number of classes."""
    labels = Returning(lambda z: z.argmax(-1))
    asked, x = predictor(labels, access="label", n_classes=4), 4 * rows(12) - 2
    assert (asked.predict(x).label == predictor(labels.net).predict(x).label).all()
    check_predictor(asked, x)
    with pytest.raises(InvalidInput, match='"n_classes" of TorchPredictor must be given'):
        predictor(labels, access="label")
    top = predictor(
        Returning(lambda z: (z.argmax(-1), z.max(-1).values)), access="top1", n_classes=4
    )
    np.testing.assert_allclose(
        top.predict(x).top1, predictor(labels.net).predict(x).scores.max(-1), rtol=1e-6
    )
    check_predictor(top, x)
    with pytest.raises(BadPrediction, match="requires scores"):
        predictor(labels, access="logits", n_classes=4)


# -- the module is as it was


class Mixed(nn.Module):
    """Dropout, batch normalisation, an in-place first layer, a part frozen in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.norm, self.last = (
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.BatchNorm1d(6),
            nn.Linear(6, 4),
        )
        self.norm.eval()
        self.modes = []

    def forward(self, x):
        return self.last(self.norm(self.drop(self.first(x))))

    def train(self, mode=True):
        self.modes.append(mode)
        return super().train(mode)


def snapshot(module):
    """Everything that asking must not change."""
    modes = [part.training for part in module.modules()]
    flags = [
        (p.requires_grad, None if p.grad is None else p.grad.clone()) for p in module.parameters()
    ]
    return modes, flags, {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(one, other):
    """Hold two snapshots against each other."""
    assert one[0] == other[0]
    for (flag, grad), (other_flag, other_grad) in zip(one[1], other[1], strict=True):
        assert flag == other_flag
        assert (grad is None and other_grad is None) or torch.equal(grad, other_grad)
    assert all(torch.equal(value, other[2][name]) for name, value in one[2].items())


def test_modes_gradients_and_statistics_are_left_alone():
    """Each part's mode, requires_grad, .grad and statistics stay; an overridden train() is used."""
    module = Mixed()
    module.last.weight.requires_grad = False
    module.last.bias.grad = torch.ones(4)
    before, x = snapshot(module), rows(8)
    asked = predictor(module)
    first = asked.predict(x)
    assert (asked.predict(x).scores == first.scores).all(), "dropout was active"
    asked.vjp(x, np.ones((8, 4)))
    assert_same(before, snapshot(module))
    assert module.modes[:2] == [False, True]
    check_predictor(asked, 4 * rows(8) - 2)


def test_modes_are_restored_after_a_failure():
    """A module that raises is back in training mode all the same."""
    module = Returning(lambda z: 1 / 0)
    module.train()
    with pytest.raises(PredictorError, match="ZeroDivisionError"):
        predictor(module, n_classes=4).predict(rows(2))
    assert all(part.training for part in module.modules())


def test_callers_settings_of_autograd_do_not_matter():
    """Gradients come also inside no_grad and inference_mode, and predictions record none."""
    asked, x, v = predictor(), torch.from_numpy(rows(3)), np.ones((3, 4))
    reference = asked.vjp(x, v)
    with torch.no_grad():
        assert torch.equal(asked.vjp(x, v), reference)
    with torch.inference_mode():
        inner = x + 0
        assert torch.equal(asked.vjp(inner, v), reference)
        assert (asked.predict(inner).scores == asked.predict(x).scores).all()
    recording = []
    watching = predictor(Returning(lambda z: recording.append(torch.is_grad_enabled()) or z))
    watching.predict(x)
    assert not any(recording)
    needing = x.clone().requires_grad_()
    assert not asked.vjp(needing, v).requires_grad
    assert needing.grad is None


def test_rows_of_any_kind():
    """Float64, integer, reversed and big-endian arrays keep their values; gradients their kind."""
    asked, x, v = predictor(), np.round(8 * rows(4)), np.ones((4, 4))
    reference, gradient = asked.predict(x).scores, asked.vjp(x, v)
    guises = (
        x.astype(np.float64),
        x.astype(np.int64),
        x.astype(">f4"),
        x[::-1].copy()[::-1],
        np.asfortranarray(x),
        torch.from_numpy(x).long(),
    )
    for guise in guises:
        np.testing.assert_allclose(asked.predict(guise).scores, reference, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(asked.vjp(guise, v)), gradient, rtol=1e-6)
    assert asked.vjp(x.astype(np.float64), v).dtype == np.float64
    assert asked.vjp(torch.from_numpy(x).bfloat16(), v).dtype == torch.bfloat16
    assert asked.vjp(torch.from_numpy(x).long(), v).dtype == torch.float32


def test_a_gradient_that_does_not_depend_on_the_input_is_zero():
    """Constant scores have zero gradients; detached ones cannot be differentiated and say so."""
    constant = Returning(
        lambda z: (
            torch.nn.functional.pad(torch.zeros_like(z[:, :3]), (1, 0)) + next(iter(module_weights))
        )
    )
    module_weights = [nn.Parameter(torch.ones(4))]
    assert not predictor(constant, n_classes=4).vjp(rows(2), np.ones((2, 4))).any()
    with pytest.raises(PredictorError, match="cannot be differentiated"):
        predictor(Returning(lambda z: z.detach()), n_classes=4).vjp(rows(2), np.ones((2, 4)))


# -- bad input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"module": np.tanh}, "must be a torch.nn.Module; got ufunc"),
        ({"access": "score"}, '"access" must be one of'),
        ({"input_shape": (6.5,)}, "positive whole numbers"),
        ({"n_classes": 1}, "at least 2; got 1"),
        ({"bounds": (1, 1)}, "lowest < highest"),
        ({"device": "abacus"}, 'must be one that is present; got "abacus"'),
        ({"dtype": "complex64"}, "real dtype of torch; got complex64"),
    ],
)
def test_settings_are_checked(given, message):
    """A setting out of range is the caller's mistake."""
    with pytest.raises(InvalidInput, match=message):
        predictor(**given)


def test_wrong_rows_are_refused_before_the_module_is_called():
    """Shapes, kinds and weights that do not fit cost no call."""
    module, calls = net(), []
    module.register_forward_hook(lambda *_: calls.append(1))
    asked = predictor(module, n_classes=4)
    calls.clear()
    for x in (
        rows(6)[0],
        rows(2, (7,)),
        rows(2, (6, 1)),
        rows(2).tolist(),
        rows(2).astype(complex),
        np.array([["a"] * 6]),
        torch.zeros(2, 6) * 1j,
    ):
        with pytest.raises(InvalidInput, match='"x" of TorchPredictor must'):
            asked.predict(x)
        with pytest.raises(InvalidInput, match='"x" of TorchPredictor must'):
            asked.vjp(x, np.ones((2, 4)))
    for v in (np.ones((2, 3)), np.ones((3, 4)), np.ones(4)):
        with pytest.raises(InvalidInput, match=r'"v" of TorchPredictor\.vjp must have shape'):
            asked.vjp(rows(2), v)
    assert not calls


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda z: {"scores": z, "loss": z[0, 0]}, "got dict with scores, loss"),
        (lambda z: z[:1].expand(2, -1), "one score per class"),
        (lambda z: z[..., None].expand(-1, -1, 2), "one score per class"),
        (lambda z: z[:, :3], r"4\b.*; got .*3"),
        (lambda z: (z, z), r"got tuple of 2 outputs, of shapes \(8, 4\), \(8, 4\).*output=0"),
        (lambda z: z.tolist(), "got list of 8 outputs"),
        (lambda z: z.sum(), "one score per class"),
    ],
)
def test_outputs_are_held_against_what_is_declared(make, message):
    """An output of another form is a BadPrediction that says what came, before any row is asked."""
    with pytest.raises(BadPrediction, match=message):
        predictor(Returning(make), n_classes=4)


class Answer:
    """What transformers return: an object with logits."""

    def __init__(self, logits):
        self.logits, self.hidden = logits, logits[:, :2]


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (Answer, {}),
        (lambda z: {"logits": z, "loss": z.sum()}, {}),
        (lambda z: (z,), {}),
        (lambda z: (z.sum(), z), {"output": 1}),
        (lambda z: {"scores": z}, {"output": "scores"}),
        (lambda z: (z, {"features": z}), {"output": 0}),
    ],
)
def test_the_part_that_holds_the_scores_is_read(make, given):
    """By its place, key or attribute, or by the name that transformers give it; gradients alike."""
    asked, plain, x = predictor(Returning(make), **given), predictor(), rows(5)
    assert (asked.predict(x).scores == plain.predict(x).scores).all()
    v = np.eye(4)[[0, 1, 2, 3, 0]]
    assert (asked.vjp(x, v) == plain.vjp(x, v)).all()


def test_a_part_that_is_not_there_is_refused():
    """The message says what the module returns."""
    for output in (2, "scores", "shape"):
        with pytest.raises(BadPrediction, match='"output" of TorchPredictor must name a tensor'):
            predictor(Returning(lambda z: (z, z)), output=output)
    with pytest.raises(BadPrediction, match="must name a tensor"):
        predictor(output=0)
    with pytest.raises(BadPrediction, match="got Answer"):
        predictor(Returning(Answer), access="probabilities")


def test_labels_of_any_value():
    """Labels that are no indices are the classes in ascending order, or as they are listed."""
    x = 4 * rows(12) - 2
    signs = Returning(lambda z: (z[:, 0] > 0).long() * 2 - 1)
    asked = predictor(signs, access="label", n_classes=2)
    positive = predictor(signs.net).predict(x).scores[:, 0] > 0
    assert asked.class_names == ("-1", "1")
    assert (asked.predict(x).label == positive).all()
    assert (predictor(signs, access="label", labels=[1, -1]).predict(x).label != positive).all()


# -- rows that depend on each other


def batch_statistics():
    """A convolutional net whose batch norm has no statistics of its own."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("kind", ["batch statistics", "dynamic quantisation", "softmax over rows"])
def test_rows_that_depend_on_each_other_are_asked_one_at_a_time(kind):
    """It is said, answers and gradients are those of each row alone, and every flip holds alone."""
    if kind == "batch statistics":
        module, shape = batch_statistics(), (1, 6, 6)
    elif kind == "dynamic quantisation":
        module, shape = torch.ao.quantization.quantize_dynamic(net().eval()), (6,)
    else:
        module, shape = nn.Sequential(net(), nn.Softmax(0)), (6,)
    with pytest.warns(UserWarning, match="depends on the rows beside it"):
        asked = predictor(module, input_shape=shape, access="logits")
    x = rows(7, shape)
    alone = [module.eval()(torch.from_numpy(x[i : i + 1])).detach().numpy() for i in range(7)]
    assert asked.batching == "fixed"
    assert (asked.predict(x).scores == np.concatenate(alone)).all()
    if kind == "batch statistics":
        v = np.random.default_rng(0).normal(size=(7, 3))
        gradients = [asked.vjp(x[i : i + 1], v[i : i + 1]) for i in range(7)]
        assert (asked.vjp(x, v) == np.concatenate(gradients)).all()
        found = measure(asked, x, estimator="tangent")
        flipped = [asked.predict(found.flip_points[i : i + 1]).label[0] for i in range(7)]
        assert (np.array(flipped) != found.home).all()


def test_a_module_that_cannot_answer_a_row_alone_is_refused():
    """One-dimensional batch norm by the batch's statistics fails on a row; the message says why."""
    module = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(InvalidInput, match=r"fails on one alone.*statistics of the batch"):
        predictor(module)


def test_a_module_whose_answers_vary_says_so():
    """Active dropout is no dependence on other rows: it is what votes are for."""
    with pytest.warns(UserWarning, match="vary from call to call: measure with votes"):
        asked = predictor(Returning(lambda z: z + torch.randn(z.shape)))
    assert asked.batching == "dynamic"


# -- one score a row


class Functional(nn.Module):
    """One score a row, as a function makes it of a linear layer's."""

    def __init__(self, make):
        super().__init__()
        self.linear, self.make = nn.Linear(6, 1), make

    def forward(self, x):
        return self.make(self.linear(x)).squeeze(-1)


@pytest.mark.parametrize("bounds", [None, (0, 1)])
@pytest.mark.parametrize(
    "make", [torch.sigmoid, lambda z: torch.tanh(z).abs(), lambda z: torch.sigmoid(z).clamp(0.01)]
)
def test_one_probability_is_refused_as_a_logit(make, bounds):
    """Whether a layer or a function makes it, and whatever the bounds are."""
    torch.manual_seed(0)
    modules = [Functional(make), nn.Sequential(nn.Linear(6, 1), nn.Sigmoid(), nn.Flatten(0))]
    for module in modules:
        with pytest.raises(BadPrediction, match='Declare access="probabilities"'):
            predictor(module, bounds=bounds)
        assert predictor(module, access="probabilities", bounds=bounds).n_classes == 2


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_logit_in_the_unit_interval_is_one_where_a_linear_layer_makes_it(bias):
    """A flat net may answer 0.5 everywhere inside its bounds, and still answer logits."""
    module = Functional(lambda z: z)
    nn.init.constant_(module.linear.weight, 1e-3)
    nn.init.constant_(module.linear.bias, bias)
    assert predictor(module, bounds=(0, 1)).n_classes == 2
    module.make = lambda z: nn.functional.leaky_relu(z)  # noqa: PLW0108
    assert predictor(module).n_classes == 2


def test_exported_programs_can_be_asked():
    """A program of torch.export, and its module, answer as the module that was exported."""
    module, x = net().eval(), rows(6)
    n = torch.export.Dim("n", min=1, max=4096)
    program = torch.export.export(module, (torch.rand(5, 6),), dynamic_shapes=({0: n},))
    v = np.random.default_rng(0).normal(size=(6, 4))
    for exported in (program, program.module()):
        asked = predictor(exported)
        np.testing.assert_allclose(asked.predict(x).scores, predictor(module).predict(x).scores)
        np.testing.assert_allclose(asked.vjp(x, v), predictor(module).vjp(x, v), rtol=1e-6)
        check_predictor(asked, x)


def test_a_false_declaration_is_found_out():
    """False probabilities are found at the first answer, false logits when counting classes."""
    with pytest.raises(BadPrediction, match='declare access="logits"'):
        predictor(access="probabilities", n_classes=4)
    with pytest.raises(BadPrediction, match='Declare access="probabilities"'):
        predictor(net(nn.Softmax(-1)), access="logits")


def test_non_finite_scores_are_no_answer():
    """A row with NaN or beyond the module's range has label -1, no warning; others are answered."""
    x = rows(4).astype(np.float64)
    x[1], x[3] = np.nan, 1e300
    for dtype in (torch.float16, torch.float32):
        linear = nn.Linear(6, 4).to(dtype)
        assert (predictor(linear).predict(x).label < 0).tolist() == [False, True, False, True]


class OverheatedError(Exception):
    """What some module raises."""


@pytest.mark.parametrize(
    "kind",
    [
        RuntimeError,
        ValueError,
        OverheatedError,
        torch.cuda.OutOfMemoryError,
        NotImplementedError,
        MemoryError,
    ],
)
def test_exceptions_of_the_module_are_translated(kind):
    """Whatever the module raises is a PredictorError with its cause; Ctrl-C is not."""

    def fail(error):
        raise error

    asked = predictor(broken := Returning(lambda z: z), n_classes=4)
    broken.make = lambda z: fail(kind("hot\nvery hot"))
    for ask in (lambda: asked.predict(rows(2)), lambda: asked.vjp(rows(2), np.ones((2, 4)))):
        with pytest.raises(PredictorError, match="on 2 rows") as caught:
            ask()
        assert isinstance(caught.value.__cause__, kind)
    with pytest.raises(KeyboardInterrupt):
        predictor(Returning(lambda z: fail(KeyboardInterrupt())), n_classes=4).predict(rows(2))


# -- device, identity


def test_tensors_stay_on_their_device():
    """A gradient by a tensor on an accelerator is on that accelerator, wherever the module is."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for device in ("cpu", "cuda"):
        asked = predictor(device=device)
        for x in (torch.from_numpy(rows(5)), torch.from_numpy(rows(5)).cuda()):
            assert asked.vjp(x, np.ones((5, 4))).device == x.device
            assert isinstance(asked.predict(x).scores, np.ndarray)


def test_the_fingerprint_follows_the_weights():
    """Equal for equal weights in any mode; different after a step, or by precision or access."""
    module = net()
    asked = predictor(module)
    first = asked.fingerprint
    assert first == predictor(net()).fingerprint
    module.eval()
    assert first == asked.fingerprint
    others = {
        predictor(net(dtype=torch.bfloat16)).fingerprint,
        predictor(access="label").fingerprint,
        predictor(net(seed=1)).fingerprint,
    }
    with torch.no_grad():
        module[0].bias[0] += 1
    assert len(others | {first, asked.fingerprint}) == 5


def test_the_repr_tells_what_it_is_and_no_weights():
    """One line, whatever the size of the module."""
    text = repr(predictor(net(dtype=torch.bfloat16)))
    assert text == (
        "TorchPredictor(Sequential, input_shape=(6,), n_classes=4, access=logits, bounds=none, "
        "device=cpu, dtype=torch.bfloat16)"
    )
    assert predictor().access is Access.LOGITS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_can_be_asked():
    """TorchScript modules are modules."""
    scripted = torch.jit.trace(net(), torch.zeros(2, 6))
    check_predictor(predictor(scripted), 4 * rows(6) - 2)


def test_a_module_of_integers_is_searched_on_whole_numbers():
    """An embedding takes indices: all that is asked are indices, and the flip is one."""
    torch.manual_seed(0)
    table = torch.nn.Embedding(50, 2)
    table.weight.data = torch.stack([torch.arange(50.0), 41.5 - torch.arange(50.0)], dim=1)
    net = torch.nn.Sequential(table, torch.nn.Flatten())
    predictor = TorchPredictor(net, input_shape=(1,), dtype=torch.int64, bounds=(0, 49))
    assert predictor.n_classes == 2
    assert not isinstance(predictor, Differentiable)
    for estimator in ("ray", "halfspace"):
        found = measure(predictor, np.array([[10.0], [30.0]]), estimator=estimator)
        assert found.flip_points.tolist() == [[21.0], [20.0]]
        assert found.l2.tolist() == [11.0, 10.0]
    with pytest.raises(InvalidInput, match="int64"):
        predictor.predict(np.array([[np.nan]]))


def test_the_meta_device_holds_no_values():
    """Weights and rows on it are refused by name, before anything is asked."""
    with pytest.raises(InvalidInput, match='device "meta"'):
        TorchPredictor(torch.nn.Linear(3, 2, device="meta"), input_shape=(3,), n_classes=2)
    with pytest.raises(InvalidInput, match='device "meta"'):
        measure(torch.nn.Linear(3, 2), torch.ones(2, 3, device="meta"))
