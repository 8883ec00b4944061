# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value mappings."""

import pytest

from services.errors import ConfigurationError
from services.value_map import parse_value_map


@pytest.mark.parametrize(
    "value, sent",
    [
        ("sale", "confirmed"),
        ("draft", 0),
        (True, "yes"),
        (False, "no"),
        (3, "three"),
        (3.0, "three"),
        (None, "nothing"),
        ("", "nothing"),
        ("a=b", "c"),
        ("other", "?"),
        (["sale", "x"], ["confirmed", "?"]),
    ],
)
def test_mapping(value, sent):
    """Each value is found by its text; the rest gets the default."""
    mapping = parse_value_map(
        "sale = confirmed\n\ndraft=0\ntrue = yes\nFalse = no\n3 = three\n"
        "= nothing\na=b = c\n* = ?"
    )

    assert sent == mapping.apply(value)


def test_without_default_a_value_stays():
    """A value that nothing maps keeps its type when there is no default."""
    assert 5 == parse_value_map("a = b").apply(5)


def test_an_empty_map_is_false_and_changes_nothing():
    """Without a text there is no mapping."""
    for text in (None, False, "", " \n"):
        assert not parse_value_map(text)
        assert "x" == parse_value_map(text).apply("x")


def test_the_right_side_is_a_literal_or_text():
    """Payloads get typed values, headers the text as it was typed."""
    text = 'a = 1.10\nb = "1"\nc ='

    assert [1.1, "1", ""] == [parse_value_map(text).apply(key) for key in "abc"]
    assert "1.10" == parse_value_map(text, as_text=True).apply("a")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a = b\nsale confirmed", 'line 2 "sale confirmed" has no "="'),
        ("a = b\na = c", 'line 2 maps "a" again'),
        ("* = b\n* = c", r'line 2 maps "\*" again'),
    ],
)
def test_bad_lines_are_named(text, message):
    """An invalid line is refused with its number and text."""
    with pytest.raises(ConfigurationError, match=message):
        parse_value_map(text)
