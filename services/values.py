# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Python values as JSON text, JSON text for display, and literals back to values."""

import json
import math
import re

from .errors import PayloadError, _lt
from .jsonable import to_json_value

_encode_compact = json.JSONEncoder(allow_nan=False).encode
_encode_sorted = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, sort_keys=True
).encode
_encode_indented = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, indent=2
).encode

_SURROGATE = re.compile("[\ud800-\udfff]")


def dumps_payload(value):
    """The JSON text that `requests` sends for `json=value`. Raises PayloadError."""
    return _dump(_encode_compact, value)


def serialize_payload(payload):
    """Indented JSON text for display, key order kept. Raises PayloadError."""
    return storable_json(_dump(_encode_indented, payload))


def json_serialize_value(value):
    """Text unchanged, anything else as JSON with sorted keys. Raises PayloadError."""
    if isinstance(value, str):
        return value
    return storable_json(_dump(_encode_sorted, value))


def _dump(encode, value):
    value = to_json_value(value)
    try:
        return encode(value)
    except ValueError as error:  # Python writes no integer of over 4,300 digits
        raise PayloadError(
            _lt("%(path)s can't be written as JSON: %(error)s. Give it as text."),
            path="payload",
            error=str(error),
        ) from None


def storable_text(text):
    """Text that PostgreSQL stores: NUL and lone surrogates replaced."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def storable_json(json_text):
    """JSON text without lone surrogates, which no database stores."""
    if json_text.isascii():
        return json_text
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", json_text)


def _finite_float(text):
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _no_constant(text):
    raise ValueError(text)


_decode = json.JSONDecoder(
    parse_float=_finite_float, parse_constant=_no_constant
).decode


# Most literals are plain texts: an error for each costs more than all the rest.
_JSON_STARTS = frozenset('{["-0123456789tfn \t\r\n')


def decode_literal_value(text):
    """A stored literal as a value: JSON where it parses, else the text itself.

    `149.99` is a number, `true` a boolean, `"x"` the text x, `abc` text; empty stays
    empty. A value that isn't text is returned unchanged.
    """
    if not isinstance(text, str) or not text or text[0] not in _JSON_STARTS:
        return text
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return text


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = "  "
_LONGEST = 1_000_000  # characters; longer text is shown unchanged


def indented(text):
    """The same JSON with line breaks and indents; text that isn't valid JSON is kept.

    It works on the text: unlike a round trip through Python values it keeps the digits
    of numbers, and duplicate keys.
    """
    if not text or len(text) > _LONGEST:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    parts, depth, previous = [], 0, ""
    for token in _JSON_TOKEN.findall(text):
        if token in ("}", "]"):
            depth -= 1
            if previous not in ("{", "["):
                parts.append("\n" + _INDENT * depth)
        elif previous in ("{", "[", ","):
            parts.append("\n" + _INDENT * depth)
        parts.append(": " if token == ":" else token)
        depth += token in ("{", "[")
        previous = token
    return "".join(parts)
