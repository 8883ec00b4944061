# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Headers: what may be sent (RFC 9110, 5.1 and 5.5), values as text, merging."""

import re
from collections.abc import Mapping
from email.message import Message
from functools import lru_cache
from json.encoder import encode_basestring

from requests.structures import CaseInsensitiveDict

from .errors import ConfigurationError, _lt
from .jsonable import to_json_value
from .values import json_serialize_value, storable_json

# Only the sender sets the headers that frame a request: a second value would allow
# request smuggling.
CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "host", "transfer-encoding"}
)

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # names of headers and methods: RFC 9110, 5.6.2
_TOKEN = re.compile(TOKEN)
_FORBIDDEN = re.compile(r"^[\t ]|[^\t\x20-\x7e\x80-\xff]")


def check_header(name, value):
    """Raise ConfigurationError unless `name: value` can be sent as it is.

    The value is a text (Latin-1).
    """
    _check_token(name)
    if not isinstance(value, str) or _FORBIDDEN.search(value) is not None:
        # The value may be a secret: the message doesn't quote it.
        raise ConfigurationError(
            _lt(
                'the value of header "%(name)s" can\'t be sent. Remove line breaks, '
                "control characters, leading spaces and characters outside Latin-1."
            ),
            name=name,
        )


@lru_cache(1024)  # each request is checked, and its names are those of the previous one
def check_header_name(name):
    """Raise ConfigurationError unless a header of this name may be given."""
    _check_token(name)
    refuse_connection_header(name)


def check_given_header(name, value):
    """`check_header` and `check_header_name`, for a header that is about to be sent."""
    check_header_name(name)
    if not isinstance(value, str) or _FORBIDDEN.search(value) is not None:
        check_header(name, value)


def refuse_connection_header(name):
    """Raise ConfigurationError for a header that only the sender may set."""
    if str(name).lower() in CONNECTION_HEADERS:
        raise ConfigurationError(
            _lt('header "%(name)s" is set by the sender. Leave it out.'), name=name
        )


@lru_cache(256)
def charset_of(content_type):
    """The charset in a Content-Type, in lower case; None without one."""
    if "charset" not in content_type.lower():
        return None
    message = Message()
    message["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    return message.get_content_charset()


def joined(pairs):
    """Headers as received, as a dict; the values of a repeated name joined by ", ".

    Names are case-insensitive (RFC 9110, 5.3); the first spelling is kept.
    """
    if len({name.lower() for name, _value in pairs}) == len(pairs):
        return dict(pairs)
    spelling, values = {}, {}
    for name, value in pairs:
        name = spelling.setdefault(name.lower(), name)
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


def by_name(headers):
    """A mapping of headers with case-insensitive names, for hooks."""
    return CaseInsensitiveDict(headers)


def _check_token(name):
    if not is_token(name):
        raise ConfigurationError(
            _lt(
                '"%(name)s" is not a valid header name. Use letters, digits and '
                "any of !#$%%&'*+-.^_`|~"
            ),
            name=name,
        )


@lru_cache(1024)
def is_token(name):
    """Whether this is a name as HTTP has them."""
    return isinstance(name, str) and _TOKEN.fullmatch(name) is not None


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


def header_text_of(value, name=""):
    """The value of a rule as header text: no value is empty, dates are ISO 8601.

    Raises ConfigurationError for a list or an object.
    """
    if value is None or value is False:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | list | tuple | Mapping):
        return header_text(value, name)
    return json_serialize_value(to_json_value(value))


def content_type_of(headers):
    """The Content-Type among headers, case-insensitive; empty without one."""
    return next(
        (value for name, value in headers.items() if name.lower() == "content-type"), ""
    )


def set_header(headers, name, value):
    """Set one header in place; replaces the same name in another case."""
    if name not in headers:
        lower = name.lower()
        for known in headers:
            if known.lower() == lower:
                del headers[known]
                break
    headers[name] = value


def merge_headers(headers, extra):
    """A new dict: `headers` overridden by those of `extra`, case-insensitive."""
    merged = dict(headers)
    for name, value in extra.items():
        if value is not None:
            set_header(merged, str(name), header_text_of(value, str(name)))
    return merged


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
    return storable_json("{\n" + lines + "\n}")
