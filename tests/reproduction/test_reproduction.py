"""The reproduction at toy size: it writes its page and files, resumes, and labels its exhibits."""

import csv
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from blackbox_boundary.reproduction import cifar_nets, command, data
from blackbox_boundary.reproduction.curves import (
    curve,
    followed,
    section6_curves,
    strategies,
)
from blackbox_boundary.reproduction.exhibit import Exhibit, slug_of
from blackbox_boundary.reproduction.expected import _trainings as _counted
from blackbox_boundary.reproduction.recall import Recalled
from blackbox_boundary.reproduction.robustness import section6_robustness
from blackbox_boundary.reproduction.samples import EXTRA_SETS, PAPER_SETS, Samples
from blackbox_boundary.reproduction.scale import Scale
from blackbox_boundary.reproduction.section5 import section5
from blackbox_boundary.reproduction.section6 import section6_tables, section6_transfer
from blackbox_boundary.reproduction.store import Store
from blackbox_boundary.reproduction.studies import cifar100_study, mnist_study
from click.testing import CliRunner

from blackbox_boundary.cli import main
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.report.axes import bare_axes

from ..report.chromium import AXE, BINARY, chromium

TOY = Scale(
    "quick",
    seeds=2,
    victim_steps=60,
    table_steps=10,
    curve_seeds=1,
    curve_steps=10,
    budgets=(20, 40),
    width_seeds=1,
    n_measured=200,
    n_transfer=30,
    n_votes=30,
    batch_size=32,
    transfer_seeds=2,
    curve_pairs=2,
    extra_surrogates=2,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Digits, two small victims, everything tiny."""
    return mnist_study(data.embedded_digits(), TOY, Store(tmp_path_factory.mktemp("store")))


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, monkeypatch):
    """One page and each exhibit's files; a second run computes nothing, with equal numbers."""
    monkeypatch.setattr(command, "QUICK", TOY)
    monkeypatch.delenv("BLACKBOX_BOUNDARY_DATA", raising=False)
    typed = ["reproduce", "mnist", "--quick", "--out", str(tmp_path)]
    first = CliRunner().invoke(main, typed)
    assert first.exit_code == 0, first.output
    assert first.stdout.strip().endswith("report.html")
    (counted,) = set(re.findall(r"^\d+ of (\d+): ", first.stderr, re.MULTILINE))
    assert len(list((tmp_path / "results").iterdir())) == int(counted)
    page = (tmp_path / "report.html").read_text()
    assert page.index("The 17 claims") < page.index("The victims")
    assert "This is a quick run." in page
    curves = ("curves-model-1-model-3", "curves-model-2-model-3")
    for slug in (
        "figure1-model-1",
        "figure2-model-2",
        "tables-1-2",
        *curves,
        "transfer",
        "widths",
        "votes",
    ):
        assert f'id="{slug}"' in page
        assert (tmp_path / "figures" / f"{slug}.csv").is_file()
    assert "http" not in re.sub(r"http-equiv", "", page)
    with (tmp_path / "figures" / "tables-1-2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(PAPER_SETS)
    assert rows[0]["paper (%)"] == "96.73"
    second = CliRunner().invoke(main, typed)
    assert second.exit_code == 0
    assert second.stderr == ""
    if BINARY and AXE:
        with chromium() as browser:
            browser.open((tmp_path / "report.html").as_uri())
            assert browser.axe() == []


def test_missing_data_are_named(tmp_path, monkeypatch):
    """Without the files the command ends first, with exit code 3, and names file and source."""
    monkeypatch.setenv("BLACKBOX_BOUNDARY_DATA", str(tmp_path))
    for experiment, file in (("mnist", "train-images-idx3-ubyte"), ("cifar100", "resnet20w64.npz")):
        found = CliRunner().invoke(main, ["reproduce", experiment, "--out", str(tmp_path / "out")])
        assert found.exit_code == 3
        assert file in found.stderr


def test_damaged_and_foreign_data_are_named(tmp_path, monkeypatch):
    """Files with right names and wrong content end the command: it names file and checksum."""
    monkeypatch.setenv("BLACKBOX_BOUNDARY_DATA", str(tmp_path))
    for part, n in (("train", 60), ("t10k", 10)):
        idx_images = bytes([0, 0, 8, 3]) + np.array([n, 28, 28], ">u4").tobytes() + bytes(n * 784)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_images)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + np.array([n], ">u4").tobytes() + bytes(n)
        )
    found = CliRunner().invoke(main, ["reproduce", "mnist", "--out", str(tmp_path / "out")])
    assert found.exit_code == 3
    assert re.search(r"train-images-idx3-ubyte.*SHA-256 [0-9a-f]{64}", found.stderr, re.DOTALL)
    assert not (tmp_path / "out").exists()


def test_sample_sets(study):
    """Each set has its size, the victim's labels and a price; "high" lies farther than "low"."""
    samples = Samples(study, "Model 1")
    k = 200 // 10
    sizes = {"natural": 200, "random + flip points": 2 * k}
    for name in (*PAPER_SETS, *EXTRA_SETS):
        sample = samples.draw(name, 0)
        assert len(sample.x) == len(sample.label) == sizes.get(name, k)
        assert (study.victims.labels("Model 1", sample.x) == sample.label).all()
        assert sample.n_queries >= len(sample.x)
        assert (samples.draw(name, 0).x == sample.x).all()
    high, low = (
        study.measured(study.victims.predictor("Model 1"), samples.draw(name, 0).x).l1
        for name in ("high", "low")
    )
    assert low.max() < high.min()


def test_a_drawn_sample_is_measured_once(study, monkeypatch):
    """Surrogates trained on one sample share it; another sample takes its place."""
    samples, drawn = Samples(study, "Model 1"), []
    monkeypatch.setattr(Samples, "_drawn", lambda self, *which: drawn.append(which) or which)
    for which in [("low", 0), ("low", 0), ("low", 1), ("low", 0)]:
        assert samples.draw(*which) == which
    assert drawn == [("low", 0), ("low", 1), ("low", 0)]


def test_recalled_labels(study):
    """They are those the victim gave; only other rows reach it, and its scores are not revealed."""
    victim, asked = study.victims.predictor("Model 2"), []

    class Watched:
        input_shape, n_classes, bounds, access = (
            victim.input_shape,
            victim.n_classes,
            victim.bounds,
            victim.access,
        )

        def predict(self, x):
            asked.append(len(x))
            return victim.predict(x)

    x = study.inputs.natural[:30]
    recalled = Recalled(Watched(), x[:20], victim.predict(x[:20]).label)
    assert (recalled.predict(x).label == victim.predict(x).label).all()
    assert recalled.predict(x[:5]).scores is None
    assert asked == [10]
    assert (study.recalled("Model 2").predict(x).label == victim.predict(x).label).all()


def test_transfer_over_seeds(study):
    """Both surrogates meet both victims; values have mean and deviation, shares are in [0, 1]."""
    (found,) = section6_transfer(study)
    assert {(row["victim"], row["surrogate"]) for row in found.rows} == {
        (v, s) for v in ("Model 1", "Model 2") for s in ("Model 3", "Model 4")
    }
    column = {name: [row[name] for row in found.rows] for name in found.heads}
    assert set(column["seeds"]) == {2}
    assert all(-1 <= value <= 1 for name in ("Spearman", "cosine median") for value in column[name])
    assert all(0 <= value <= 1 for value in column["flips the victim"])
    assert all(
        low <= middle <= high
        for low, middle, high in zip(
            *(column[f"ratio {q}"] for q in ("10 %", "median", "90 %")), strict=True
        )
    )


def test_curves_and_leads(study):
    """Leads are differences of curves; without a clearance, the exhibit of clearance is absent."""
    curves, leads = section6_curves(study, "Model 1", "Model 4", all_strategies=False)
    mean = {(row["strategy"], row["budget"]): row["agreement (%)"] for row in curves.rows}
    best = "surrogate distance, whole pool, clearance"
    assert {row["budget"] for row in leads.rows} == {20, 40}
    for name, budget, ahead, low, _, n in (row.values() for row in leads.rows):
        assert ahead == pytest.approx(mean[best, budget] - mean[name, budget])
        assert (low, n) == (None, 1)
    (plain,) = section6_curves(
        replace(study, clearance=0.0), "Model 1", "Model 4", all_strategies=False
    )
    assert {row["strategy"] for row in plain.rows} == {name for name, _ in mean} - {best}


def test_clearance_changes_the_training_and_not_the_first_sample(study):
    """Both ask the same random rows first; what is learned from them differs."""
    samples, rule = Samples(study, "Model 1"), "margin, whole pool"
    plain, clear = (
        curve(study, samples, "Model 3", name, 0) for name in (rule, f"{rule}, clearance")
    )
    assert plain[0]["imbalance"] == clear[0]["imbalance"]
    assert plain[0]["loss"] != clear[0]["loss"]


def test_a_victim_no_better_than_chance_is_said(tmp_path):
    """The first table says so; nothing is hidden."""
    whole = data.embedded_digits()
    guessing = replace(whole, y=np.random.default_rng(0).permutation(whole.y))
    (victims,) = command._victims(mnist_study(guessing, TOY, Store(tmp_path)))
    assert [row["better than chance"].startswith("NO") for row in victims.rows] == [True, True]


def test_store_keeps_and_tells_apart(tmp_path):
    """A result is computed once per configuration; a half-written one is absent."""
    calls = []
    store = Store(tmp_path, calls.append)
    assert [store.numbers("a", {"seed": seed}, lambda: len(calls)) for seed in (0, 0, 1)] == [
        0,
        0,
        1,
    ]
    assert len(calls) == 2
    assert (store.arrays("b", {}, lambda: {"x": np.ones(2)})["x"] == 1).all()
    assert not list(tmp_path.glob("*.part"))


def test_random_inputs_repeat(study):
    """Random input sets have the natural set's shape, their own law, and repeat."""
    normal, uniform = study.inputs.of("normal"), study.inputs.of("uniform")
    assert normal.shape == uniform.shape == study.inputs.natural.shape
    assert normal.mean() == pytest.approx(0.13, abs=0.01)
    assert normal.std() == pytest.approx(0.308, abs=0.01)
    assert (study.inputs.of("uniform") == uniform).all()
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() <= 1


def test_diverged_victim_is_said(tmp_path):
    """A victim whose training diverges ends the reproduction with its name and seed."""
    whole = data.embedded_digits()
    broken = mnist_study(replace(whole, x=np.full_like(whole.x, np.nan)), TOY, Store(tmp_path))
    with pytest.raises(InvalidInput, match=r"Model 1.*seed 0"):
        broken.victims.predictor("Model 1")


@pytest.fixture
def weights(tmp_path):
    """A file of random weights of a ResNet-8 for 100 classes."""
    torch.manual_seed(0)
    state = cifar_nets.ResNet(1, n_stem=64).state_dict()
    np.savez(
        tmp_path / "net.npz",
        **{name: value.numpy() for name, value in state.items() if "num_batches" not in name},
    )
    return tmp_path / "net.npz"


def _noise(n_train, n_test):
    """Random images of 100 classes."""
    rng = np.random.default_rng(0)
    n = n_train + n_test
    x, y = rng.random((n, 3, 32, 32), dtype=np.float32), rng.integers(0, 100, n)
    return data.Data("noise", x[:n_train], y[:n_train], x[n_train:], y[n_train:])


@pytest.mark.slow
def test_cifar_extraction_runs(tmp_path, weights):
    """CIFAR-100 at toy size, on noise: weights, distances, both surrogates, one step each."""
    scale = replace(
        TOY,
        seeds=1,
        table_steps=1,
        batch_size=4,
        n_measured=None,
        n_transfer=4,
        extra_sets=("random",),
    )
    study = cifar100_study(_noise(40, 20), scale, Store(tmp_path / "results"), weights)
    tables, extra = list(section6_tables(study))[:2]
    assert [(row["victim"], row["surrogate"]) for row in tables.rows[::6]] == [
        ("ResNet-20", "MobileNetV2"),
        ("ResNet-20", "VGG-16"),
    ]
    assert {row["trained on"] for row in extra.rows} == {"random"}
    assert all(row["paper (%)"] is None for row in tables.rows)
    assert next(exhibit.slug for exhibit in section5(study)) == "figure3-resnet-20"
    small = cifar100_study(
        _noise(1, 1), replace(scale, small_surrogates=True), Store(tmp_path), weights
    )
    assert list(small.surrogates) == ["VGG-16 ×1/4", "MobileNetV2 ×1/2"]


def test_reduced_sizes(tmp_path, weights):
    """Pool, test rows and random inputs have their own sizes; separate parts join in order."""
    scale = replace(TOY, n_measured=10, n_pool=3, n_random=5)
    study = replace(cifar100_study(_noise(6, 12), scale, Store(tmp_path), weights), chunk=2)
    assert (
        study.inputs.natural == np.concatenate([study.data.x[:3], study.data.x_test[:10]])
    ).all()
    assert study.inputs.n_pool == 3
    natural, uniform = (
        study.distances("ResNet-20", "natural"),
        study.distances("ResNet-20", "uniform"),
    )
    assert (len(natural), len(uniform)) == (13, 5)
    whole = study.measured(study.victims.predictor("ResNet-20"), study.inputs.natural)
    assert natural.l1 == pytest.approx(whole.l1, rel=1e-3)
    assert [len(test.x) for test in study.test_sets("ResNet-20")] == [10, 1, 10]


def test_a_diverged_surrogate_is_named_by_its_seed(tmp_path, study):
    """Its row in the table says which seeds diverged; the other columns still hold numbers."""

    def wild(n_steps):
        recipe = study.surrogates["Model 3"](n_steps)
        return replace(recipe, optimiser=lambda parameters: torch.optim.SGD(parameters, lr=1e30))

    broken = replace(
        study,
        surrogates={"wild": wild},
        store=Store(tmp_path),
        scale=replace(TOY, extra_sets=("random",)),
        _kept={},
    )
    _, extra, _ = section6_tables(broken)
    row = extra.rows[0]
    assert row["diverged seeds"] == "0, 1"
    assert 0 <= row["accuracy (%)"] <= 100


def test_a_surrogate_without_a_boundary_is_no_end(tmp_path, study):
    """A surrogate with one label for all rows has no distances: its row is empty, others stay."""

    def constant(n_steps):
        recipe = study.surrogates["Model 4"](n_steps)
        return replace(
            recipe,
            optimiser=lambda parameters: torch.optim.SGD(
                [p.zero_() for p in map(torch.detach, parameters)], lr=0.0
            ),
        )

    broken = replace(
        study,
        surrogates={"constant": constant},
        store=Store(tmp_path),
        scale=replace(TOY, extra_sets=()),
        _kept={},
    )
    (found,) = section6_transfer(broken)
    assert [row["trained on"] for row in found.rows[:4]] == [
        "natural",
        "low",
        "high",
        "flip points",
    ]
    assert {row["rows"] for row in found.rows} == {0}
    assert all(cell is None for row in found.rows for cell in list(row.values())[4:-1])


def test_absent_classes_have_their_row(study):
    """Each label that random inputs lack is named; a surrogate that never saw it omits it."""
    tables, _, absent = section6_tables(study)
    whole = next(
        row
        for row in tables.rows
        if (row["surrogate"], row["trained on"]) == ("Model 3", "uniform random")
    )
    rows = [
        row
        for row in absent.rows
        if tuple(row.values())[:3] == ("Model 1", "Model 3", "uniform random")
    ]
    assert (
        sum(row["seeds without it"] for row in rows) == whole["absent classes"] * whole["seeds"] > 0
    )
    assert {
        row["agreement on it (%)"] for row in rows if row["seeds without it"] == row["seeds"]
    } <= {0.0, None}


def test_tenths_of_the_pool(study):
    """Tenths make up the pool in order; the victim is right more often far from its boundary."""
    tenths = next(exhibit for exhibit in section5(study) if exhibit.slug == "tenths")
    for victim in study.victims:
        rows = [row for row in tenths.rows if row["victim"] == victim]
        assert [row["tenth"] for row in rows] == list(range(1, 11))
        assert (
            sum(row["n"] for row in rows)
            == study.distances(victim, "natural")[: study.inputs.n_pool].has_flip.sum()
        )
        assert all(a["to"] <= b["from (l1)"] for a, b in pairwise(rows))
        assert rows[0]["right labels (%)"] < rows[-1]["right labels (%)"]
        assert all(1 <= row["largest class (times even)"] <= 10 for row in rows)


@pytest.mark.parametrize("content", ["missing", "damaged", "another net"])
def test_weights_that_are_not_the_victims(tmp_path, monkeypatch, weights, content):
    """Missing, damaged or foreign weights end the command early: file, SHA-256, source."""
    folder = tmp_path / "cifar100"
    folder.mkdir()
    file = folder / "resnet20w64.npz"
    if content != "missing":
        file.write_bytes(weights.read_bytes()[: 1000 if content == "damaged" else None])
    monkeypatch.setenv("BLACKBOX_BOUNDARY_DATA", str(tmp_path))
    found = CliRunner().invoke(
        main, ["reproduce", "cifar100", "--quick", "--out", str(tmp_path / "out")]
    )
    assert found.exit_code == 3
    for said in (str(file), "f795c89ac4dd8089", "karanchahal/distiller"):
        assert said in found.stderr


def test_interrupted_and_resumed(tmp_path, monkeypatch):
    """Ctrl-C ends with exit code 130 and keeps finished parts, which are not computed again."""
    monkeypatch.setattr(command, "QUICK", TOY)
    monkeypatch.delenv("BLACKBOX_BOUNDARY_DATA", raising=False)
    typed = ["reproduce", "mnist", "--quick", "--out", str(tmp_path)]

    def interrupt(study):
        raise KeyboardInterrupt

    for section in ("section4", "section5"):
        with monkeypatch.context() as patch:
            patch.setattr(command, section, interrupt)
            found = CliRunner().invoke(main, typed)
        assert found.exit_code == 130
        assert found.stderr.endswith("Stopped; run the same command again to go on.\n")
        assert ("weights network=Model 1" in found.stderr) == (section == "section4")


def test_exhibits(tmp_path):
    """Numbers keep six digits in the file, unknown ones are empty; equal figures, equal bytes."""
    shown = Exhibit(
        "t", "T", [{"a": 1 / 3, "b": None}], draw=lambda colours: bare_axes((2, 2), colours)[0]
    )
    shown.write(tmp_path)
    assert (tmp_path / "t.csv").read_text().splitlines() == ["a,b", "0.333333,"]
    assert (tmp_path / "t.png").read_bytes() == shown.png()
    assert shown.cells() == [["0.3333", "–"]]
    assert shown.svg().startswith("<svg ")
    lone = Exhibit("t", "T", [{"a ± std": None, "b": None, "seeds": 1}])
    assert lone.cells() == [["1 seed", "–", "1"]]


def test_what_a_reproduction_takes(study, monkeypatch, tmp_path):
    """Trainings and steps are the store's, two a step with a clearance; a dry run keeps victims."""
    counted = _counted(study)
    assert counted["Model 4"][0] == 2 * (6 + 8) * 2 + 2 * 6 * 2
    names = followed(study, all_strategies=True)
    plain = [name for name in names if not name.startswith("InverseNet")]
    others = followed(study, all_strategies=False)
    n_curves = 2 * (len(plain) + 3 * (len(names) - len(plain)) + len(others))
    assert counted["Model 3"][0] == counted["Model 4"][0] + n_curves
    slower = sum(name.endswith(("clearance", "large margin")) for name in (*names, *others))
    assert counted["Model 3"][1] == 10 * (counted["Model 3"][0] + 2 * slower)
    monkeypatch.setattr(command, "QUICK", TOY)
    monkeypatch.delenv("BLACKBOX_BOUNDARY_DATA", raising=False)
    folder = tmp_path / "paper"
    typed = ["reproduce", "mnist", "--quick", "--dry-run", "--out", str(folder)]
    told = CliRunner().invoke(main, typed)
    assert told.exit_code == 0, told.output
    assert {path.name.split("-")[0] for path in folder.rglob("*.*")} == {"weights"}
    assert re.search(
        r"Model 3: [\d,]+ trainings, [\d,]+ steps of 32 rows at [\d.]+ ms", told.stdout
    )
    assert re.search(r"In all about [\d.]+ hours on cpu", told.stdout)


def test_strategies_are_listed_once(study):
    """The names in the order of the tables are those that can be made."""
    assert tuple(strategies(Samples(study, "Model 1"))) == tuple(
        name
        for name in followed(study, all_strategies=True)
        if not name.endswith((", clearance", ", large margin"))
    )


def test_inverse_net_and_large_margins_have_curves(study):
    """Each budget of InverseNet is a run of its own; the loss changes what a strategy learns."""
    samples = Samples(study, "Model 1")
    phased = curve(study, samples, "Model 3", "InverseNet", 0)
    assert [point["n_queries"] for point in phased] == [20, 40]
    plain, wide = (
        curve(study, samples, "Model 3", name, 0) for name in ("random", "random, large margin")
    )
    assert [point["n_rows"] for point in wide] == [20, 40]
    assert [p["loss"] for p in wide] != [p["loss"] for p in plain]


def test_robustness_by_training(study):
    """Four trainings, each with its accuracy and its distance."""
    (exhibit,) = section6_robustness(study)
    assert [row["training"] for row in exhibit.rows] == [
        "cross-entropy",
        "clearance",
        "large margin, input",
        "large margin, input and hidden",
    ]
    assert all(row["median distance (L2)"] > 0 and row["seeds"] == 2 for row in exhibit.rows)


def test_tables_of_a_narrower_network_are_written(tmp_path):
    """Its name holds a slash: "VGG-16 ×1/4"."""
    slug = slug_of("curves", "ResNet-20", "VGG-16 ×1/4")
    Exhibit(slug, "Curves", [{"budget": 1000}]).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["curves-resnet-20-vgg-16-1-4.csv"]
