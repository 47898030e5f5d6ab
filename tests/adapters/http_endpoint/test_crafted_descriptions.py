"""Any description of an endpoint is read, or refused by an error of the package."""

import contextlib

import pytest
from blackbox_boundary.adapters.http_endpoint.configuration import Configuration
from hypothesis import given

from blackbox_boundary import BoundaryError

from ...mutations import FUZZ, mutated

VALID = b"""
url = "http://127.0.0.1:9/v2/models/m"
access = "probabilities"
n_classes = 3
input_shape = [4]
bounds = [0, 1]
labels = ["a", "b", "c"]
[transport]
total_timeout_s = 0.5
attempts = 1
[headers]
X-Tenant = "a"
"""


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_description_is_read_or_refused(tmp_path):
    """Damaged text, settings of other types, and lists nested too deep to be parsed."""
    path = tmp_path / "m.toml"
    path.write_bytes(VALID)
    assert Configuration.read(path, {}).labels == ("a", "b", "c")

    @FUZZ
    @given(mutated(VALID))
    def check(content):
        path.write_bytes(content)
        with contextlib.suppress(BoundaryError):
            Configuration.read(path, {})

    check()
    path.write_bytes(b"a = " + b"[" * 100_000)
    with pytest.raises(BoundaryError):
        Configuration.read(path, {})
