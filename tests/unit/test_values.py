# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Texts for JSON and headers, literals."""

import json

import pytest
import requests

from services.errors import PayloadError
from services.headers import serialize_headers
from services.values import (
    decode_literal_value,
    dumps_payload,
    json_serialize_value,
    serialize_payload,
)


@pytest.mark.parametrize(
    "text, value",
    [
        ("149.99", 149.99),
        ("42", 42),
        ("true", True),
        ("null", None),
        ('"x"', "x"),
        ("abc", "abc"),
        ("", ""),
        ("007", "007"),
        ("[1, {}]", [1, {}]),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("{key}", "{key}"),
        ('{"a": "{key}"}', {"a": "{key}"}),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
        (False, False),
        (None, None),
    ],
)
def test_literals_are_json_where_they_parse(text, value):
    """A literal is a JSON value where it is one, else the text as typed."""
    decoded = decode_literal_value(text)

    assert value == decoded
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    "payload", [{}, [], {"ä": "€", "n": 1.0, "o": {"b": [True, None]}}, "text", 0]
)
def test_dumps_payload_is_what_requests_sends(payload):
    """The text is byte for byte the body of `requests` for the same JSON value."""
    prepared = requests.Request("POST", "http://x.example", json=payload).prepare()

    body = prepared.body if isinstance(prepared.body, bytes) else b"0"
    assert dumps_payload(payload).encode() == body or not payload


def test_a_number_that_python_cannot_write_is_refused():
    """An integer of thousands of digits is refused with a message, not a ValueError."""
    with pytest.raises(PayloadError, match="Give it as text"):
        dumps_payload({"n": 10**5000})


def test_payload_text_is_readable():
    """Stored payloads are indented, in the given order, with letters as they are."""
    assert '{\n  "b": "ä",\n  "a": [\n    1\n  ]\n}' == (
        serialize_payload({"b": "ä", "a": [1]})
    )


def test_half_a_surrogate_pair_is_escaped():
    """Text that no database takes is stored as an escape and reads back the same."""
    text = serialize_payload({"a": "ä\ud800"})

    assert text.encode()
    assert {"a": "ä\ud800"} == json.loads(text)


@pytest.mark.parametrize(
    "value, text",
    [("as is", "as is"), ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'), (False, "false")],
)
def test_json_serialize_value(value, text):
    """Text stays, all else is JSON with sorted keys."""
    assert text == json_serialize_value(value)


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-B": "1", "X-A": 'quote " ä'}, {"X": "line\nbreak \\ \x01"}],
)
def test_headers_text_is_indented_json(headers):
    """Header texts are what the standard encoder writes, in the given order."""
    assert json.dumps(headers, indent=2, ensure_ascii=False) == serialize_headers(
        headers
    )


def test_header_values_become_text():
    """Values keep the family's text forms; names that come again are joined."""
    pairs = [("A", True), ("B", 5), ("C", None), ("D", b"x"), ("A", "again")]

    assert {
        "A": "True, again",
        "B": "5",
        "C": "",
        "D": "x",
    } == json.loads(serialize_headers(pairs))
