# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Python values as texts for JSON and headers, and literals back to values."""

import json
import math
import re
from collections.abc import Mapping
from json.encoder import encode_basestring

from .errors import ConfigurationError, PayloadError, _lt
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
    return _storable(_dump(_encode_indented, payload))


def json_serialize_value(value):
    """Text unchanged, anything else as JSON with sorted keys. Raises PayloadError."""
    if isinstance(value, str):
        return value
    return _storable(_dump(_encode_sorted, value))


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


def header_text(value, name=""):
    """A header's value as text: `True` becomes "True", bytes are Latin-1, None is "".

    Raises ConfigurationError, which names the header, for a list or an object.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        raise ConfigurationError(
            _lt(
                'the value of header "%(name)s" is a list or an object, which a '
                "header can't contain. Give a text or a number, or send it in the "
                "payload."
            )
            if name
            else _lt(
                "a list or an object can't be the value of a header. Give a text or a"
                " number, or send it in the payload."
            ),
            name=name,
        )
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def serialize_headers(headers):
    """Indented JSON object of a mapping or of name-value pairs, order kept.

    Values become text; the values of a repeated name are joined by ", ".
    """
    texts = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        value = header_text(value, str(name))
        texts[str(name)] = f"{texts[name]}, {value}" if name in texts else value
    if not texts:
        return "{}"
    # Formatted here: with an indent the standard encoder doesn't use its C code.
    lines = ",\n".join(
        f"  {encode_basestring(name)}: {encode_basestring(value)}"
        for name, value in texts.items()
    )
    return _storable("{\n" + lines + "\n}")


def storable_text(text):
    """Text that PostgreSQL stores: NUL and lone surrogates replaced."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _storable(json_text):
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
