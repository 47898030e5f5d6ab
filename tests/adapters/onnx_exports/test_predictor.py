"""ONNX exports: what is declared, what is decided, what is fed, and what is refused."""

import sys

import numpy as np
import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as foreign
import pytest
from blackbox_boundary.adapters import onnx_exports
from blackbox_boundary.adapters.onnx_exports import session as onnx_session
from blackbox_boundary.adapters.onnx_exports.graph import read_model
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from onnx import TensorProto, helper

from blackbox_boundary import (
    Access,
    BadPrediction,
    CapabilityMissing,
    Differentiable,
    InvalidInput,
    PredictorError,
    load,
)
from blackbox_boundary.testing import check_predictor

from ..graphs import EXPORTS, expected_logits, export, linear, model, rows, weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_what_the_graph_computes(dtype):
    """Logits of a linear graph are the matrix product, at the graph's precision."""
    x = rows(5).astype(dtype)
    prediction = OnnxPredictor(linear(dtype=dtype), access="logits").predict(x)
    np.testing.assert_allclose(
        prediction.scores, expected_logits(x), rtol=1e-6 if dtype == np.float32 else 1e-14
    )
    assert (prediction.label == expected_logits(x).argmax(axis=-1)).all()
    assert prediction.scores.dtype == dtype


@pytest.mark.parametrize("opened", [OnnxPredictor, load])
def test_takes_a_model_in_memory(opened):
    """An onnx.ModelProto is the model that its bytes are."""
    content = linear()
    predictor = opened(onnx.load_from_string(content), access="logits")
    np.testing.assert_array_equal(
        predictor.predict(rows(5)).scores,
        OnnxPredictor(content, access="logits").predict(rows(5)).scores,
    )
    assert predictor.graph().graph.node


@pytest.mark.parametrize("given", [None, 3, ["model.onnx"]])
def test_what_is_no_model_is_refused(given):
    """Neither a path, bytes nor an onnx.ModelProto: the message says what came."""
    with pytest.raises(InvalidInput, match=f"ModelProto; got {type(given).__name__}"):
        OnnxPredictor(given)


@pytest.mark.parametrize("access", ["label", "top1", "probabilities", "logits"])
def test_conforms_at_every_access(access):
    """The conformance suite passes whatever is revealed."""
    content = linear(last="Softmax" if access == "probabilities" else "")
    outcome = check_predictor(
        OnnxPredictor(content, access=access, bounds=(0, 1)), rows(12), close=True
    )
    assert outcome["splitting"] == outcome["closing"] == "passed"


@pytest.mark.parametrize("name", EXPORTS)
def test_conforms_on_published_exports(name):
    """Real exports pass the conformance suite and label the published instances as published."""
    path, instances = export(name)
    lowest, highest = (float(bound) for bound in instances["domain"])
    with load(path, access="logits", bounds=(lowest, highest)) as predictor:
        assert (predictor.predict(instances["x"]).label == instances["label"]).all()
        assert predictor.batching == ("dynamic" if name.startswith("cora") else "re-batched")
        check_predictor(predictor, instances["x"][:6], close=True)


def test_float16_and_integer_graphs_conform():
    """Half precision and integer inputs are fed in their own dtype."""
    check_predictor(
        OnnxPredictor(linear(dtype=np.float16), access="logits"), rows(6), tolerance=1e-2
    )
    check_predictor(OnnxPredictor(quantised(), access="logits"), np.arange(36.0).reshape(6, 6))


def quantised(element=TensorProto.UINT8):
    """A linear graph over six whole numbers."""
    (w,) = weights((6, 3))
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    return model(nodes, constants={"w": w}, inputs=[("x", element, ["n", 6])])


def test_integer_inputs_are_rounded_and_held_to_their_range():
    """A uint8 graph has bounds of 0 to 255, gets rounded numbers, and refuses others."""
    predictor = OnnxPredictor(quantised(), access="logits")
    x = np.full((2, 6), 3.6)
    assert predictor.bounds == (0, 255)
    assert (
        predictor.predict(x).scores == predictor.predict(np.full((2, 6), 4, np.int64)).scores
    ).all()
    for outside in (-1.0, 256.0, np.nan, np.inf):
        x[1, 2] = outside
        with pytest.raises(InvalidInput, match="must fit the uint8"):
            predictor.predict(x)
    assert OnnxPredictor(quantised(TensorProto.INT64), access="logits").bounds is None


def test_numbers_beyond_float16_are_no_answer_and_no_warning():
    """A row that overflows half precision gets the label -1; its neighbours are answered."""
    x = rows(3)
    x[1] = 1e6
    assert (
        OnnxPredictor(linear(dtype=np.float16), access="logits").predict(x).label < 0
    ).tolist() == [False, True, False]


def test_torch_tensors_are_answered():
    """A tensor is asked about as the array it holds."""
    torch = pytest.importorskip("torch")
    predictor, x = OnnxPredictor(linear(), access="logits"), rows(4)
    tensor = torch.from_numpy(x).requires_grad_()
    assert (predictor.predict(tensor).scores == predictor.predict(x).scores).all()
    assert (predictor.predict(tensor.detach().bfloat16()).label == predictor.predict(x).label).all()


def test_declined_gradients_are_not_announced():
    """Where gradients are declined, the predictor does not say that it has them."""
    assert not isinstance(
        OnnxPredictor(linear(), access="logits", gradients="none"), Differentiable
    )


# -- what the scores are


def test_access_must_be_declared_where_the_graph_does_not_decide():
    """After Gemm it could be either, with labels or not; the error says so and what to write."""
    with pytest.raises(
        InvalidInput,
        match=r'made by Gemm, so it may hold logits or probabilities\..*access="logits"',
    ):
        OnnxPredictor(linear())
    with pytest.raises(InvalidInput, match="made by Sigmoid"):
        OnnxPredictor(linear(last="Sigmoid"))
    with pytest.raises(InvalidInput, match="made by Gemm"):
        OnnxPredictor(labels_and_scores("l", "y"))
    with pytest.raises(InvalidInput, match="made by Gemm"):
        OnnxPredictor(labels_and_scores("y", producer="skl2onnx"))


@pytest.mark.parametrize(
    ("last", "access"), [("Softmax", Access.PROBABILITIES), ("LogSoftmax", Access.LOGITS)]
)
def test_a_final_softmax_decides_the_access(last, access):
    """The graph's last op settles what its scores are, through ops that only carry them on."""
    assert OnnxPredictor(linear(last=last)).access is access
    w, b = weights((6, 3), (3,))
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node(last, ["z"], ["p"], axis=-1),
        helper.make_node("Identity", ["p"], ["y"]),
    ]
    assert OnnxPredictor(model(nodes, constants={"w": w, "b": b})).access is access


def test_a_false_declaration_is_found_out():
    """Logits declared as probabilities, or the reverse, are refused at construction."""
    with pytest.raises(BadPrediction, match='declare access="logits"'):
        OnnxPredictor(linear(), access="probabilities")
    with pytest.raises(BadPrediction, match='Declare access="probabilities"'):
        OnnxPredictor(linear(last="Softmax"), access="logits")
    with pytest.raises(BadPrediction, match="independent sigmoids"):
        OnnxPredictor(linear(last="Sigmoid"), access="probabilities")


@pytest.mark.parametrize(("last", "access"), [("", "logits"), ("Sigmoid", "probabilities")])
def test_one_score_a_row_is_the_positive_class_of_two(last, access):
    """Single-logit and single-sigmoid heads become two classes."""
    predictor, x = OnnxPredictor(linear(last=last, n_classes=1), access=access), 4 * rows(20) - 2
    logit = expected_logits(x, n_classes=1)[:, 0]
    prediction = predictor.predict(x)
    assert predictor.n_classes == 2
    assert (prediction.label == (logit > 0)).all()
    assert 0 < prediction.label.sum() < 20
    np.testing.assert_allclose(
        prediction.scores[:, 1], 1 / (1 + np.exp(-logit)) if last else logit / 2, rtol=1e-5
    )
    np.testing.assert_allclose(
        prediction.scores[:, 0], 1 / (1 + np.exp(logit)) if last else -logit / 2, rtol=1e-5
    )
    with pytest.raises(BadPrediction, match="whether that is a logit or a probability"):
        OnnxPredictor(linear(last=last, n_classes=1), access="label")


def labels_and_scores(*names, producer="tests"):
    """A graph with labels ``l``, their scores ``s`` and all scores ``y``; ``names`` are outputs."""
    w, b = weights((6, 3), (3,))
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
        helper.make_node("ArgMax", ["y"], ["l"], axis=1, keepdims=0),
        helper.make_node("ReduceMax", ["y"], ["s"], axes=[1], keepdims=0),
        helper.make_node("Relu", ["y"], ["hidden"]),
    ]
    kinds = {
        "y": ("y", TensorProto.FLOAT, ["n", 3]),
        "l": ("l", TensorProto.INT64, ["n"]),
        "s": ("s", TensorProto.FLOAT, ["n"]),
        "hidden": ("hidden", TensorProto.FLOAT, ["n", 3]),
    }
    return model(
        nodes,
        constants={"w": w, "b": b},
        outputs=[kinds[name] for name in names],
        producer=producer,
    )


def test_labels_alone():
    """A graph that outputs labels is label-only by itself, but needs the number of classes."""
    predictor = OnnxPredictor(labels_and_scores("l"), n_classes=3)
    prediction = predictor.predict(rows(9))
    assert predictor.access is Access.LABEL
    assert prediction.scores is None
    assert (prediction.label == expected_logits(rows(9)).argmax(axis=-1)).all()
    with pytest.raises(InvalidInput, match='"n_classes" of OnnxPredictor must be given'):
        OnnxPredictor(labels_and_scores("l"))
    with pytest.raises(InvalidInput, match='declare access="label"'):
        OnnxPredictor(labels_and_scores("l"), n_classes=3, access="logits")


def test_labels_and_their_scores():
    """Two outputs can be read as labels and top scores."""
    predictor = OnnxPredictor(
        labels_and_scores("y", "l", "s"), n_classes=3, access="top1", output=("l", "s")
    )
    prediction = predictor.predict(rows(9))
    np.testing.assert_allclose(prediction.top1, expected_logits(rows(9)).max(axis=-1), rtol=1e-6)
    assert (prediction.label == expected_logits(rows(9)).argmax(axis=-1)).all()
    check_predictor(predictor, rows(6))


def test_outputs_are_chosen_by_name():
    """Of several outputs one is named; of labels and scores, the access tells which is meant."""
    assert (
        OnnxPredictor(labels_and_scores("l", "y"), access="logits").predict(rows(2)).scores
        is not None
    )
    assert OnnxPredictor(labels_and_scores("l", "y"), access="label", n_classes=3).outputs == ("l",)
    assert (
        OnnxPredictor(labels_and_scores("y", "hidden"), access="logits", output="hidden")
        .predict(rows(5))
        .scores.min()
        == 0
    )
    with pytest.raises(InvalidInput, match='one of "y", "hidden": the model has several'):
        OnnxPredictor(labels_and_scores("y", "hidden"), access="logits")
    with pytest.raises(InvalidInput, match='must be one of "y", "hidden"; got "logits"'):
        OnnxPredictor(labels_and_scores("y", "hidden"), access="logits", output="logits")
    with pytest.raises(InvalidInput, match="labels and their scores"):
        OnnxPredictor(labels_and_scores("y", "l"), access="logits", output=("l", "y"))


# -- shapes


def test_input_shape_may_differ_by_axes_of_length_one():
    """(28, 28) rows fit a graph of (1, 28, 28); other shapes of as many numbers do not."""
    (w,) = weights((36, 3))
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    content = model(nodes, constants={"w": w}, inputs=[("x", TensorProto.FLOAT, ["n", 1, 6, 6])])
    x = rows(4, (6, 6))
    predictor = OnnxPredictor(content, access="logits", input_shape=(6, 6))
    assert predictor.input_shape == (6, 6)
    np.testing.assert_allclose(predictor.predict(x).scores, x.reshape(4, 36) @ w, rtol=1e-5)
    for shape in [(36,), (4, 9), (6, 6, 2)]:
        with pytest.raises(InvalidInput, match="graph takes rows of"):
            OnnxPredictor(content, access="logits", input_shape=shape)


def test_an_open_input_shape_must_be_given():
    """Where the graph leaves axes open, a shape is required; one that does not work is refused."""
    w, b = weights((6, 3), (3,))
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    content = model(
        nodes, constants={"w": w, "b": b}, inputs=[("x", TensorProto.FLOAT, ["n", "features"])]
    )
    assert OnnxPredictor(content, access="logits", input_shape=6).input_shape == (6,)
    with pytest.raises(InvalidInput, match=r"leaves it open, as \(\?\)"):
        OnnxPredictor(content, access="logits")
    with pytest.raises(InvalidInput, match=r"fails on a single random row of shape \(7,\)"):
        OnnxPredictor(content, access="logits", input_shape=(7,))


def test_more_than_one_number_per_class_is_refused():
    """A segmentation map is not a classification."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    image = [1, 3, 4, 4]
    content = model(
        nodes, inputs=[("x", TensorProto.FLOAT, image)], outputs=[("y", TensorProto.FLOAT, image)]
    )
    with pytest.raises(BadPrediction, match="one score per class"):
        OnnxPredictor(content, access="logits")


# -- scikit-learn


@pytest.fixture(scope="module")
def forest():
    """A random forest on three of the digits, as scikit-learn labels them: 3, 5 and 8."""
    pytest.importorskip("skl2onnx")
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_digits(return_X_y=True)
    kept = np.isin(y, (3, 5, 8))
    x, y = x[kept].astype(np.float32), y[kept]
    return RandomForestClassifier(n_estimators=10, random_state=0).fit(x[:400], y[:400]), x[400:]


@pytest.mark.parametrize("zipmap", [True, False])
def test_scikit_learn_exports_are_read_as_scikit_learn_predicts(forest, zipmap):
    """Probabilities, as tensor or as a list of dictionaries, and labels that are not indices."""
    from skl2onnx import to_onnx

    fitted, x = forest
    content = to_onnx(fitted, x[:1], options={id(fitted): {"zipmap": zipmap}}).SerializeToString()
    predictor = OnnxPredictor(content)
    assert (predictor.access, predictor.n_classes, predictor.input_shape) == (
        Access.PROBABILITIES,
        3,
        (64,),
    )
    np.testing.assert_allclose(predictor.predict(x).scores, fitted.predict_proba(x), atol=1e-5)
    labels = OnnxPredictor(content, access="label")
    assert labels.n_classes == 3
    assert (fitted.classes_[labels.predict(x).label] == fitted.predict(x)).all()
    check_predictor(predictor, x[:8])
    check_predictor(labels, x[:8])


def test_scikit_learn_exports_with_names_for_classes(forest):
    """String classes become indices in score order; raw scores named probabilities are noticed."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    fitted, x = forest
    names = np.array(["three", "five", "eight"])[np.searchsorted([3, 5, 8], fitted.predict(x))]
    logistic = LogisticRegression(max_iter=2000).fit(x, names)
    labels = OnnxPredictor(to_onnx(logistic, x[:1]).SerializeToString(), access="label")
    assert (logistic.classes_[labels.predict(x).label] == logistic.predict(x)).all()
    raw = to_onnx(
        logistic, x[:1], options={id(logistic): {"raw_scores": True, "zipmap": False}}
    ).SerializeToString()
    with pytest.raises(BadPrediction, match='declare access="logits"'):
        OnnxPredictor(raw)
    np.testing.assert_allclose(
        OnnxPredictor(raw, access="logits").predict(x).scores,
        logistic.decision_function(x),
        rtol=1e-3,
        atol=1e-3,
    )


# -- settings and failures


def test_files_that_are_no_models_are_refused(tmp_path):
    """Missing, empty, truncated, foreign and renamed files each get a clear error."""
    content = linear()
    for name, data in {
        "empty": b"",
        "text": b"hello, world",
        "truncated": content[: len(content) // 2],
        "pickle": b"\x80\x04N.",
    }.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
        with pytest.raises(InvalidInput, match=f"complete ONNX file; .*{name}"):
            load(tmp_path / f"{name}.onnx", access="logits")
        with pytest.raises(InvalidInput, match=f"{len(data)} bytes"):
            load(data, access="logits")
    for missing in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(InvalidInput, match="a file that exists"):
            OnnxPredictor(missing, access="logits")


def test_every_truncation_is_refused_or_answers(tmp_path):
    """Cut anywhere, a file is refused with our own error, or still holds a whole graph."""
    content = linear()
    for length in range(0, len(content), 7):
        try:
            OnnxPredictor(content[:length], access="logits")
        except (InvalidInput, BadPrediction):
            continue


def test_graphs_that_cannot_be_asked_are_refused():
    """Several inputs, none, inputs of text, and inputs without a batch axis."""
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    pair = [("a", TensorProto.FLOAT, ["n", 3]), ("b", TensorProto.FLOAT, ["n", 3])]
    with pytest.raises(InvalidInput, match='must have one input; got 2: "a", "b"'):
        OnnxPredictor(model(nodes, inputs=pair), access="logits")
    with pytest.raises(InvalidInput, match="must have one input; got 0"):
        OnnxPredictor(
            model(nodes, inputs=[pair[0]], constants={"a": np.zeros((1, 3), np.float32)}),
            access="logits",
        )
    one = [helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(InvalidInput, match="must be a tensor of numbers"):
        OnnxPredictor(model(one, inputs=[("x", TensorProto.STRING, ["n", 3])]), access="logits")
    with pytest.raises(
        InvalidInput, match="must have a batch axis before those of a row; got 1 axes"
    ):
        OnnxPredictor(model(one, inputs=[("x", TensorProto.FLOAT, [3])]), access="logits")
    with pytest.raises(InvalidInput, match="ONNX Runtime cannot open the model"):
        OnnxPredictor(model([helper.make_node("NoSuchOp", ["x"], ["y"])]), access="logits")


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"provider": "gpu"}, "one of auto, cpu, cuda"),
        ({"threads": 0}, '"threads" of OnnxPredictor must be at least 1'),
        ({"n_classes": 1}, '"n_classes" of OnnxPredictor must be a whole number, at least 2'),
        ({"n_classes": 4}, "given as 4, but the graph answers 3"),
        ({"bounds": (1, 0)}, "lowest < highest"),
        ({"bounds": 3}, "must be a pair"),
        ({"bounds": (np.zeros(5), 1)}, "broadcasts"),
        ({"input_shape": (0,)}, "positive whole numbers"),
        ({"access": "scores"}, '"access" must be one of'),
        ({"batch": 1}, "Its settings are access, input_shape"),
    ],
)
def test_settings_are_checked(problem, message):
    """A setting out of range, and one that does not exist, is the caller's mistake."""
    with pytest.raises(InvalidInput, match=message):
        load(linear(), **{"access": "logits", **problem})


def test_cuda_is_an_error_only_when_asked_for(monkeypatch):
    """Without a CUDA that starts, "auto" runs on the CPU and "cuda" says what to install."""
    monkeypatch.setattr(onnx_session, "has_cuda", lambda: False)
    assert OnnxPredictor(linear(), access="logits", provider="auto").provider == "cpu"
    with pytest.raises(InvalidInput, match="onnx-gpu"):
        OnnxPredictor(linear(), access="logits", provider="cuda")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_cuda_that_does_not_start_is_no_cuda(monkeypatch):
    """A build with CUDA on a machine without a driver: "auto" falls back, "cuda" fails."""
    if onnx_session.has_cuda():
        pytest.skip("CUDA would start here")
    monkeypatch.setattr(onnx_session, "has_cuda", lambda: True)
    assert OnnxPredictor(linear(), access="logits", provider="auto").provider == "cpu"
    with pytest.raises(InvalidInput, match="CUDA"):
        OnnxPredictor(linear(), access="logits", provider="cuda")


def test_answers_on_cuda_agree_with_those_on_the_cpu():
    """CUDA, where there is one, gives the scores of the CPU."""
    if not onnx_session.has_cuda():
        pytest.skip("this ONNX Runtime has no CUDA")
    x = rows(9)
    one, other = (
        OnnxPredictor(linear(), access="logits", provider=provider) for provider in ("cpu", "cuda")
    )
    np.testing.assert_allclose(other.predict(x).scores, one.predict(x).scores, rtol=1e-5)


def test_thread_settings_reach_the_runtime(monkeypatch):
    """The number of threads is passed on, and logging is quiet."""
    import onnxruntime

    seen = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda source, options, **kw: seen.append(options) or session(source, options, **kw),
    )
    OnnxPredictor(linear(), access="logits", threads=3, gradients="none")
    assert [(options.intra_op_num_threads, options.log_severity_level) for options in seen] == [
        (3, 4)
    ]


def test_a_missing_package_is_named(monkeypatch):
    """Without onnxruntime the error says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CapabilityMissing, match=r'pip install "blackbox-boundary\[onnx\]"'):
        load(linear(), access="logits")


FOREIGN = [
    kind
    for kind in vars(foreign).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_runtime_is_translated(kind, monkeypatch):
    """An error of ONNX Runtime is a PredictorError with its cause; at opening, InvalidInput."""
    predictor = OnnxPredictor(linear(), access="logits")

    class Failing:
        def run(self, *_):
            raise kind("no")

    monkeypatch.setattr(predictor._runner, "_session", Failing())
    with pytest.raises(PredictorError, match=f"{kind.__name__}: no") as caught:
        predictor.predict(rows(2))
    assert isinstance(caught.value.__cause__, kind)

    def refuse(*_, **__):
        raise kind("no")

    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    with pytest.raises(InvalidInput, match=f"{kind.__name__}: no"):
        OnnxPredictor(linear(), access="logits")


def test_the_list_of_foreign_exceptions_is_not_empty():
    """The walk above met the exceptions that this version has."""
    assert {"Fail", "InvalidArgument", "RuntimeException", "InvalidProtobuf"} <= {
        kind.__name__ for kind in FOREIGN
    }


def test_closing_is_clean(tmp_path):
    """A closed predictor says that it is closed, also when closed twice; the repr tells no path."""
    path = tmp_path / "model.onnx"
    path.write_bytes(linear())
    with OnnxPredictor(path, access="logits") as predictor:
        assert repr(predictor).startswith(
            "OnnxPredictor(model.onnx, input_shape=(6,), n_classes=3, access=logits"
        )
        assert str(tmp_path) not in repr(predictor)
    predictor.close()
    with pytest.raises(PredictorError, match="closed"):
        predictor.predict(rows(1))


def test_the_fingerprint_names_content_and_settings(tmp_path):
    """Equal for the same file and settings anywhere; different for other weights or settings."""
    path = tmp_path / "model.onnx"
    path.write_bytes(linear())
    prints = [
        OnnxPredictor(source, access="logits", provider="cpu").fingerprint
        for source in (path, linear())
    ]
    assert prints[0] == prints[1]
    assert len(prints[0]) == 64
    assert (
        len(
            {
                prints[0],
                OnnxPredictor(path, access="label").fingerprint,
                OnnxPredictor(linear(n_classes=4), access="logits").fingerprint,
            }
        )
        == 3
    )


def test_weights_beside_the_file_are_found_and_fingerprinted(tmp_path):
    """External data is read from the file's folder and fingerprinted; if missing, refused."""
    import onnx

    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load_from_string(linear(batch=1)),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    predictor = load(path, access="logits")
    np.testing.assert_allclose(
        predictor.predict(rows(3)).scores, expected_logits(rows(3)), rtol=1e-6
    )
    assert predictor.batching == "re-batched"
    data = bytearray((tmp_path / "weights.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "weights.bin").write_bytes(data)
    assert load(path, access="logits").fingerprint != predictor.fingerprint
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(path, access="logits")


@pytest.mark.parametrize("place", ["constant", "branch", "function"])
def test_weights_beside_the_file_are_fingerprinted_wherever_they_stand(tmp_path, place):
    """External data of a Constant counts: in the graph, a branch of If, a function of the model."""
    weights = TensorProto(name="w", data_type=1, dims=(1,), data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="w.bin")
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.append(helper.make_attribute("value", weights))
    row = helper.make_tensor_value_info("x", 1, ["n", 3])
    nodes, functions = [constant, helper.make_node("Add", ["x", "w"], ["y"])], []
    if place == "branch":
        w = helper.make_tensor_value_info("w", 1, [1])
        branch = helper.make_graph([constant], "b", [], [w])
        yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", 9, [], [1]))
        either = helper.make_node("If", ["yes"], ["v"], then_branch=branch, else_branch=branch)
        nodes = [yes, either, helper.make_node("Add", ["x", "v"], ["y"])]
    if place == "function":
        opset = [helper.make_opsetid("", 17)]
        functions = [helper.make_function("own", "F", ["x"], ["y"], nodes, opset)]
        nodes = [helper.make_node("F", ["x"], ["y"], domain="own")]
    y = helper.make_tensor_value_info("y", 1, ["n", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [row], [y]),
        functions=functions,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
        ir_version=9,
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    prints = set()
    for value in (1.0, 2.0):
        (tmp_path / "w.bin").write_bytes(np.float32([value]).tobytes())
        prints.add(read_model(path)[1])
    assert len(prints) == 2


@pytest.mark.parametrize("spec", ["http://host/model.onnx", "model.pt", "onnx", 3, None])
def test_other_specs_are_left_to_other_adapters(spec):
    """Only paths that end in .onnx, and bytes, are taken."""
    assert onnx_exports.load(spec, access="logits") is None
