"""The fields of a service are the columns of the data, by name."""

import csv

import numpy as np
import people
import pytest
from click.testing import CliRunner
from people import COLUMNS, LABELS, X

from blackbox_boundary import Distances
from blackbox_boundary.cli import main


@pytest.fixture(scope="module")
def url():
    """The services."""
    with people.serving() as (_, address):
        yield address


def measured(tmp_path, url, header, values, *more):
    """The command line on a table with this header."""
    with (tmp_path / "x.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(values.tolist())
    quoted = ", ".join(f"'{name}'" for name in COLUMNS)
    (tmp_path / "e.toml").write_text(
        f"""
        url = "{url}/records"
        access = "probabilities"
        labels = {LABELS}
        request = {{ body = '{{"rows": $records}}', columns = [{quoted}], dtype = "float64" }}
        answer = {{ ranked = "[*]" }}
        """
    )
    arguments = ["measure", str(tmp_path / "e.toml"), str(tmp_path / "x.csv"), "--no-behaviour"]
    output = ["--no-progress", "--no-report", "--output", str(tmp_path / "out")]
    return CliRunner().invoke(main, [*arguments, *output, *more])


def test_columns_are_found_by_name(tmp_path, url):
    """In whatever order the table has them, and with others between: labels are the model's."""
    order = [2, 0, 3, 1]
    header = ["id", *(COLUMNS[at] for at in order), "remark"]
    values = np.column_stack([np.arange(len(X)), X[:, order], np.zeros(len(X))])
    done = measured(tmp_path, url, header, values)
    assert done.exit_code == 0, done.output
    found = Distances.load(tmp_path / "out" / "results.npz")
    assert (found.home == people.probabilities(X).argmax(axis=-1)).all()


def test_a_field_that_the_data_lack_is_named(tmp_path, url):
    """Before anything is sent, and no folder is left."""
    done = measured(tmp_path, url, ["sepal length", "sepal_width", "petal.length", "other"], X)
    assert done.exit_code == 3
    assert 'no column "petal"width"' in done.output
    assert not (tmp_path / "out").exists()


def test_an_order_that_is_not_the_services_is_refused(tmp_path, url):
    """--use in another order would send each number under another name."""
    use = [part for name in reversed(COLUMNS) for part in ("--use", name)]
    done = measured(tmp_path, url, COLUMNS, X, *use)
    assert done.exit_code == 3
    assert "in this order" in done.output
