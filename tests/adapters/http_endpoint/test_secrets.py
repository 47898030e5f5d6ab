"""A key that is used and never shown."""

import pickle
import sys
import traceback

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint import load
from blackbox_boundary.adapters.http_endpoint.secrets import Secret
from toy_model import N_CLASSES, SHAPE

from blackbox_boundary import InvalidInput, PredictorError, PredictorRefused, PredictorUnavailable

KEY = "open-sesame"
X = np.zeros((2, *SHAPE), np.float32)


def keyed(url, header, **told):
    """The endpoint that wants a key."""
    common = {
        "access": "probabilities",
        "input_shape": SHAPE,
        "n_classes": N_CLASSES,
        "headers": {"Authorization": header},
    }
    return load(url, request={"body": '{"data": $rows}'}, answer={"scores": "p"}, **common, **told)


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """The same key in all the places it may come from."""
    monkeypatch.setenv("SERVICE_KEY", KEY)
    (tmp_path / "key").write_text(f"{KEY}\n")
    return [
        {"env": "SERVICE_KEY"},
        {"file": str(tmp_path / "key")},
        {"command": f"{sys.executable} -c \"print('{KEY}')\""},
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_source_opens_the_door(service_url, sources, which):
    """From the environment, a file, or a command."""
    with keyed(f"{service_url}/keyed", {**sources[which], "prefix": "Bearer "}) as endpoint:
        assert len(endpoint.predict(X)) == 2


def test_a_key_that_the_server_echoes_is_masked(fault_url, sources):
    """Neither the message nor the traceback holds it."""
    header = {**sources[0], "prefix": "Bearer "}
    common = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    with load(f"{fault_url}/echo-key", headers={"Authorization": header}, **common) as endpoint:
        with pytest.raises(PredictorRefused, match=r"key Bearer \*\*\* is not known") as caught:
            endpoint.predict(np.zeros((1, 2)))
        told = (
            "".join(traceback.format_exception(caught.value))
            + repr(endpoint)
            + repr(vars(endpoint.transport))
            + endpoint.fingerprint
        )
    assert KEY not in told


@pytest.mark.parametrize(
    "key", ["".join(f"{n:x}-" for n in range(1000, 1400)), 'pass"word\\with"marks', KEY]
)
@pytest.mark.parametrize("status", ["echo-key", "echo-in-200"])
def test_a_part_of_a_key_is_masked_too(fault_url, monkeypatch, key, status):
    """Where a message cuts off what the server echoes, or shows it escaped."""
    monkeypatch.setenv("SERVICE_KEY", key)
    told = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
    }
    headers = {"Authorization": {"env": "SERVICE_KEY", "prefix": "Bearer "}}
    endpoint = load(
        f"{fault_url}/{status}", headers=headers, request={"body": '{"data": $rows}'}, **told
    )
    with endpoint, pytest.raises(PredictorError) as caught:
        endpoint.predict(np.zeros((1, 2)))
    assert "***" in str(caught.value)
    assert not [
        first for first in range(len(key) - 4) if key[first : first + 5] in str(caught.value)
    ]


def test_a_secret_shows_where_it_is_from_and_no_more(sources):
    """Also after it was read; and it cannot be saved."""
    secret = Secret.parse({**sources[0], "prefix": "Bearer "})
    assert secret.reveal() == f"Bearer {KEY}"
    assert KEY not in repr(secret) + str(secret) + f"{secret}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"file": "/nowhere/key"}, "cannot be read"),
        ({"command": "false"}, "cannot be read"),
        ({"env": "A", "file": "B"}, "one of"),
        ({"value": "abc"}, "one of"),
        ("Bearer abc", "never as text"),
    ],
)
def test_a_secret_that_cannot_be_had(header, says):
    """Each mistake is named before anything is sent, and never quotes the key."""
    with pytest.raises(InvalidInput, match=says) as caught:
        keyed("http://127.0.0.1:9/x", header).predict(X)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:abc@127.0.0.1:9/x",
        "http://127.0.0.1:9/x?api_key=abc",
        "http://127.0.0.1:9/x?v=1&access_token=abc",
    ],
)
def test_a_url_holds_no_secret(url):
    """It would stand in the shell's history, in the results and in the report."""
    with pytest.raises(InvalidInput, match="must not hold") as caught:
        load(url, access="label", input_shape=(2,), n_classes=2, answer={"labels": "l"})
    assert "abc" not in str(caught.value)


def test_other_names_are_free():
    """A header or a question that only sounds similar is left alone."""
    common = {"access": "label", "input_shape": (2,), "n_classes": 2, "answer": {"labels": "l"}}
    load("http://127.0.0.1:9/x?monkey=1&k=5", headers={"X-Monkey": "1"}, **common).close()


def test_plain_http_to_another_machine_is_warned_about(sources):
    """The key would be readable on the way; on this machine it is not on any wire."""
    with pytest.warns(UserWarning, match="unencrypted"):
        keyed("http://endpoint.example/x", sources[0]).close()
    keyed("http://127.0.0.1:9/x", sources[0]).close()
    keyed("https://endpoint.example/x", sources[0]).close()


def test_netrc_and_proxies_are_ignored(fault_url, sources, tmp_path, monkeypatch):
    """Neither replaces the key nor sees it, unless asked for."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    common = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    endpoint = load(
        f"{fault_url}/echo-key",
        headers={"Authorization": {**sources[0], "prefix": "Bearer "}},
        **common,
    )
    with endpoint, pytest.raises(PredictorRefused, match=r"Bearer \*\*\*"):
        endpoint.predict(np.zeros((1, 2)))


def test_proxies_are_used_when_asked_for(fault_url, monkeypatch):
    """A closed port as the proxy shows that it is gone through."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    common = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    with load(f"{fault_url}/ok", **common) as endpoint:
        assert len(endpoint.predict(np.zeros((1, 2)))) == 1
    with (
        load(f"{fault_url}/ok", transport={"trust_env": True}, **common) as endpoint,
        pytest.raises(PredictorUnavailable),
    ):
        endpoint.predict(np.zeros((1, 2)))
