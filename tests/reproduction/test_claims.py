"""The table of claims, made of the numbers of the published runs, says what their page says."""

import csv
from pathlib import Path

import pytest
from blackbox_boundary.reproduction.claims import claims_table
from blackbox_boundary.reproduction.exhibit import Exhibit

PAPER = Path(__file__).parents[2] / "docs" / "paper"


def published(data):
    """The exhibits of a published run, as far as its CSV files hold them."""
    files = sorted(PAPER.joinpath(data).glob("*.csv"))
    return [Exhibit(path.stem, path.stem, rows(path)) for path in files]


def rows(path):
    """The lines of a CSV file, numbers as numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{head: number(cell) for head, cell in row.items()} for row in csv.DictReader(file)]


def number(cell):
    """A cell as it was before it was written."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell or None


def verdicts(data):
    """The verdict on each claim, by its number."""
    table = claims_table(published(data))
    assert len(table.rows) == 17
    return {int(row["claim"].partition(".")[0]): row["verdict"] for row in table.rows}


def test_verdicts_on_mnist():
    """As in docs/paper/verdicts.md."""
    found = verdicts("mnist")
    assert {found[n] for n in (2, 3, 5, 6, 8, 14)} == {"holds"}
    assert {found[n] for n in (4, 9)} == {"does not hold"}
    assert found[1] == "holds in 2 of 4 cases"
    assert found[7] == "holds in 1 of 2 cases"
    assert found[10] == "holds in 2 of 4 cases"  # the linear surrogate's
    assert found[11] == "does not hold"
    assert found[17].startswith("holds in")


def test_what_a_run_lacks_is_not_judged():
    """CIFAR-100 was run without normal inputs, balanced sets and budget curves."""
    found = verdicts("cifar100")
    assert [n for n, verdict in found.items() if verdict == "not measured"] == [8, 12, 17]
    assert {found[n] for n in (10, 11, 14)} == {"holds"}


@pytest.mark.parametrize("data", ["mnist", "cifar100"])
def test_every_claim_has_numbers_and_a_rule(data):
    """Nothing is judged without a number; every case names what it is."""
    for row in claims_table(published(data)).rows:
        assert row["holds where"]
        assert row["the paper"]
        assert (row["here"] == "–") == (row["verdict"] == "not measured")


def test_nothing_is_judged_without_exhibits():
    """An empty run holds no verdict."""
    assert {row["verdict"] for row in claims_table([]).rows} == {"not measured"}
