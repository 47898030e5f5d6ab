"""nginx in front of a service: what proxies say, mostly in HTML."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load
from click.testing import CliRunner

from blackbox_boundary import PredictorRefused, PredictorUnavailable
from blackbox_boundary.cli import main

X = np.random.default_rng(0).random((60, *model.SHAPE), dtype=np.float32)
P = model.probabilities_of(X)
FAST = {"connections": 4, "attempts": 4, "first_wait_s": 0.05}


def scores_at(url, query="", **told):
    """The service's model behind a path of the proxy."""
    common = {
        "access": "probabilities",
        "input_shape": model.SHAPE,
        "n_classes": model.N_CLASSES,
        "transport": FAST,
    }
    answer = {"scores": "predictions[*].scores"}
    return load(
        f"{url}/scores{query}",
        request={"body": '{"data": $rows}'},
        answer=answer,
        **{**common, **told},
    )


def test_straight_through(nginx):
    """Nothing is lost on the way."""
    with scores_at(nginx.url) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


@pytest.mark.parametrize("path", ["/limited", "/telling"])
def test_rate_limits_slow_the_run_and_do_not_end_it(nginx, path):
    """Twenty requests a second allowed, with and without Retry-After; all rows are answered."""
    with scores_at(
        f"{nginx.url}{path}", max_rows=1, transport={**FAST, "attempts": 12}
    ) as endpoint:
        assert (endpoint.predict(X[:30]).scores == P[:30]).all()
        assert endpoint.counters.retries > 0


def test_a_body_that_is_too_large_is_halved(nginx):
    """413 with an HTML page, perhaps before the body was read."""
    with scores_at(f"{nginx.url}/small") as endpoint:
        assert (endpoint.predict(X).scores == P).all()
        assert endpoint.max_rows < 60


@pytest.mark.parametrize(("path", "status"), [("/down", "502"), ("/slow", "504")])
def test_a_service_that_is_down_or_slow(nginx, path, status):
    """The proxy's status and its words, after all attempts."""
    with (
        scores_at(f"{nginx.url}{path}", "?delay=3") as endpoint,
        pytest.raises(PredictorUnavailable, match=f"{status}.*<html>"),
    ):
        endpoint.predict(X[:1])
    assert endpoint.counters.retries == 3


@pytest.mark.parametrize(("path", "says"), [("/moved", "redirected"), ("/private", "credentials")])
def test_refusals(nginx, path, says):
    """Neither followed nor repeated."""
    with scores_at(f"{nginx.url}{path}") as endpoint, pytest.raises(PredictorRefused, match=says):
        endpoint.predict(X[:1])
    assert endpoint.counters.requests == 1


def test_tls_with_a_private_authority(nginx):
    """Verified against the certificate given; without it, refused, and never switched off."""
    with scores_at(nginx.tls_url, transport={**FAST, "ca_file": nginx.ca_file}) as endpoint:
        assert (endpoint.predict(X).scores == P).all()
    with scores_at(nginx.tls_url) as endpoint, pytest.raises(PredictorUnavailable, match="ca_file"):
        endpoint.predict(X[:1])
    assert endpoint.counters.requests == 1


def test_a_certificate_for_another_name(nginx):
    """It names the address, not the host name used here."""
    url = nginx.tls_url.replace("127.0.0.1", "localhost")
    with (
        scores_at(url, transport={**FAST, "ca_file": nginx.ca_file}) as endpoint,
        pytest.raises(PredictorUnavailable, match="secure"),
    ):
        endpoint.predict(X[:1])


def test_a_client_certificate(nginx):
    """Who shows it is let in."""
    url, trusting = f"{nginx.tls_url}/members", {**FAST, "ca_file": nginx.ca_file}
    with (
        scores_at(url, transport=trusting) as endpoint,
        pytest.raises(PredictorRefused, match="credentials"),
    ):
        endpoint.predict(X[:1])
    with scores_at(
        url, transport={**trusting, "client_cert": nginx.ca_file, "client_key": nginx.key_file}
    ) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


def test_an_expired_certificate_on_the_command_line(nginx, tmp_path):
    """One message, and the exit code of a server that cannot be reached."""
    (tmp_path / "e.toml").write_text(
        f'url = "{nginx.expired_url}/v2/models/digits"\n'
        f'[transport]\nca_file = "{nginx.expired_ca_file}"\n'
    )
    np.save(tmp_path / "x.npy", X[:2])
    result = CliRunner().invoke(
        main,
        [
            "measure",
            str(tmp_path / "e.toml"),
            str(tmp_path / "x.npy"),
            "--output",
            str(tmp_path / "run"),
        ],
    )
    assert result.exit_code == 4
    assert "expired" in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_expired_certificate(nginx):
    """Told as such, before any query is answered."""
    endpoint = scores_at(nginx.expired_url, transport={**FAST, "ca_file": nginx.expired_ca_file})
    with endpoint, pytest.raises(PredictorUnavailable, match="expired"):
        endpoint.predict(X[:1])
