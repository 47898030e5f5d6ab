"""Nothing printed from data or servers steers a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import InvalidInput
from blackbox_boundary.cli.messages import say
from blackbox_boundary.datasets import read
from blackbox_boundary.printable import printable


@given(st.text(st.characters(), max_size=20))
def test_what_is_left_is_printable(text):
    """No control character, override or surrogate is left, and printable text stays as it is."""
    shown = printable(text)
    assert all(mark.isprintable() or mark.isspace() for mark in shown)
    assert not any(ord(mark) < 32 or 0x7F <= ord(mark) < 0xA0 for mark in shown)
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;T\x07", r"\x1b]0;T\x07"),
        ("a\x9b2Jb", r"a\x9b2Jb"),
        ("\u202etxt", r"\u202etxt"),
        ("\ud800", r"\ud800"),
        ("\xa0é\u3000漢", "\xa0é\u3000漢"),
        ("a\r\nb", r"a\r\nb"),
    ],
)
def test_escapes(text, shown):
    """Escape sequences, overrides and surrogates are shown by their codes, letters as they are."""
    assert printable(text) == shown


def test_a_message_escapes_what_it_quotes(tmp_path, capsys):
    """The cell of a hostile table reaches standard error escaped; the message's own lines stay."""
    (tmp_path / "d.csv").write_text("a,b\n1,2\n3,\x1b[2J\n")
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / "d.csv")
    say(f"Error: {caught.value}\nNext line")
    assert "\x1b" not in str(caught.value)
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert r"\x1b[2J" in shown
    assert shown.count("\n") == 2
