# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`{key}` tokens in paths, header values and payload literals.

A key is a letter or `_`, then letters, digits or `_`; `{{` and `}}` are literal
braces, other braces stay as they are. Literals, not URL paths, may also name a field:
`{record.partner_id.name}`, `{company.name}`, `{partner.email}`. `{external_id}` and
`{external.key}` are the record's id at the receiver and the data stored with it. In a
raw body values are escaped according to its content type: without this a customer
called `Smith & Sons` would make XML invalid.
"""

import json
import re
from decimal import Decimal
from functools import lru_cache
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape as escape_xml

from .errors import ConfigurationError, _lt
from .paths import read_path
from .values import dumps_payload, to_json_value

_SHOWN = 60
EXTERNAL_ID, EXTERNAL = "external_id", "external"
ORIGIN = "origin"
_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*|external\.[A-Za-z0-9_.-]+)\}")
_LITERAL_PIECE = re.compile(
    r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*|external\.[A-Za-z0-9_.-]+"
    r"|(?:record|company|partner)\.[^{}\s]+)\}"
)
_FIELD_TOKEN = re.compile(r"\{(?:record|company|partner)\.")
_BRACE = re.compile(r"[{}]")
_BAD_IN_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CSV_SPECIAL = re.compile(r'[",;\t\r\n|]')
_XML_TYPES = re.compile(r"(?:text|application)/(?:html|xml)|.+\+xml")
_JSON_TYPES = re.compile(r"(?:text|application)/json|.+\+json")
_ENCODED_IN_PATH = re.compile(r"""[\s"<>^`|]""")


class MissingValue(ConfigurationError):
    """A token has no value; `values["token"]` is its key."""


@lru_cache(maxsize=2048)
def _parse(text):
    """`text` as pairs (literal, key that follows it or None)."""
    return _split(text, _PIECE)


@lru_cache(maxsize=2048)
def _parse_literal(text):
    """The same, with the fields that a literal may name as keys."""
    return _split(text, _LITERAL_PIECE)


def _split(text, piece):
    pieces, literal, end = [], "", 0
    for match in piece.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[1]:
            pieces.append((literal, match[1]))
            literal = ""
        else:
            literal += match[0][0]
    pieces.append((literal + text[end:], None))
    return tuple(pieces)


def tokens(text):
    """The context keys that `text` names, in order, each once."""
    return tuple(dict.fromkeys(key for _, key in _parse(text) if key))


def is_external(key):
    """Whether a token is a value of the record's external reference."""
    return key == EXTERNAL_ID or key.startswith(f"{EXTERNAL}.")


def is_provided(key):
    """Whether a token has a value without a context line."""
    return key == ORIGIN or is_external(key)


def may_name_fields(text):
    """False for a stored literal without `{record.`, `{company.` and `{partner.`."""
    return text is not None and _FIELD_TOKEN.search(text) is not None


def field_tokens(literal):
    """The fields that texts in a decoded literal name: `record.partner_id.name`."""
    if isinstance(literal, str):
        if "{" not in literal:
            return ()
        keys = (key for _, key in _parse_literal(literal) if key)
        return tuple(
            dict.fromkeys(key for key in keys if "." in key and not is_external(key))
        )
    if isinstance(literal, dict):
        literal = literal.values()
    elif not isinstance(literal, list):
        return ()
    return tuple(dict.fromkeys(key for each in literal for key in field_tokens(each)))


def render_text(text, values, escape=None):
    """A header value or payload text with its tokens replaced by plain text.

    values: key -> value; those of fields under the token itself, `record.name`
    escape: see `escaper`, if the text is a whole body
    Raises MissingValue naming a token whose value is missing or empty.
    """
    pieces = _parse_literal(text)
    if len(pieces) == 1:
        return pieces[0][0]
    if escape is None:
        return "".join(
            literal + _text(_value(key, values)) if key else literal
            for literal, key in pieces
        )
    rendered = ""
    for literal, key in pieces:
        rendered += literal
        if key:
            rendered += escape(_text(_value(key, values)), rendered)
    return rendered


def render_path(text, values):
    """A URL path, query part allowed, with its tokens percent-encoded (`/` too).

    A value is a text or a number. Raises ConfigurationError naming a path token whose
    value is missing, empty or of another type (a list, an object, a boolean), or one
    that would make a path segment `.` or `..`, which receivers resolve.
    """
    if len(_parse(text)) == 1:
        return _parse(text)[0][0]
    rendered = "".join(
        literal + _quoted(key, values) if key else literal
        for literal, key in _parse(text)
    )
    _check_segments(text, rendered)
    return rendered


def clean_path(text):
    """A URL path as it is saved: invalid characters percent-encoded, tokens kept.

    Raises ConfigurationError for line breaks and other control characters, for
    backslashes, and for braces that are neither a token nor doubled.
    """
    found = _BAD_IN_PATH.search(text)
    if found:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" contains %(found)s, which a URL can\'t contain. '
                "Remove it, or write it percent-encoded."
            ),
            path=ascii(text)[1:-1],
            found=ascii(found[0]),
        )
    brace = _BRACE.search(_PIECE.sub("", text))
    if brace:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" has a brace that is not part of a {token}. The name'
                " of a token has letters, digits and _ only; write {{ or }} for a"
                " brace itself."
            ),
            path=text,
        )
    return _ENCODED_IN_PATH.sub(lambda match: quote(match[0], safe=""), text)


def render_literal(decoded, values, escape=None):
    """A decoded JSON literal with the tokens of its texts replaced at every depth.

    A text that is exactly `{key}` becomes the value itself, with its type.
    The result shares no dict or list with `decoded`.
    values, escape: see `render_text`
    Raises MissingValue naming a token whose value is missing or empty.
    """
    if isinstance(decoded, str):
        pieces = _parse_literal(decoded)
        if len(pieces) == 2 and pieces[0][0] == pieces[1][0] == "":
            return _value(pieces[0][1], values)
        return render_text(decoded, values, escape)
    if isinstance(decoded, dict):
        return {key: render_literal(item, values) for key, item in decoded.items()}
    if isinstance(decoded, list):
        return [render_literal(item, values) for item in decoded]
    return decoded


_NO_VALUE = _lt("token {%(token)s} has no value. Give it as a context line.")
_NO_PATH_VALUE = _lt("path token {%(token)s} has no value. Give it as a context line.")
_NO_REFERENCE = _lt(
    "token {%(token)s} has no value: no external reference of the record has one. Send "
    "the record with the endpoint that creates it first, or enter the external "
    "reference."
)
_NO_FIELD_VALUE = _lt(
    "token {%(token)s} has no value. Fill in the field, or choose what is sent for an "
    "empty value."
)


def _value(key, values, complaint=_NO_VALUE):
    value = values.get(key)
    if is_external(key):
        complaint = _NO_REFERENCE
        value = read_path(values, key) if value is None else value
    elif "." in key:  # a field: false is the value of a boolean
        if value is None or value == "":
            raise MissingValue(_NO_FIELD_VALUE, token=key)
        return value
    if value is None or value is False or value == "":
        raise MissingValue(complaint, token=key)
    return value


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    value = to_json_value(value)
    return value if isinstance(value, str) else dumps_payload(value)


def _quoted(key, values):
    text = _path_text(key, _value(key, values, _NO_PATH_VALUE))
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ConfigurationError(
            _lt(
                "token {%(token)s} contains a lone surrogate (half a character), "
                "which a URL can't contain. Correct the value of its context line."
            ),
            token=key,
        ) from None


def _path_text(key, value):
    """A path value as text; a list, an object or a boolean is refused."""
    text = _text(value)
    if isinstance(value, Decimal):
        return text
    value = to_json_value(value, key)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return text
    raise ConfigurationError(
        _lt(
            "path token {%(token)s} has no value that a path can contain: it is "
            "%(value)s. Give one text or one number as a context line, such as "
            "order_line.0.id."
        ),
        token=key,
        value=text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...",
    )


def _check_segments(text, rendered):
    if "." not in rendered and "%2e" not in rendered.lower():
        return
    before = text.partition("?")[0].split("/")
    for segment in rendered.partition("?")[0].split("/"):
        if segment.lower().replace("%2e", ".") in (".", "..") and segment not in before:
            raise ConfigurationError(
                _lt(
                    'path "%(path)s" would get the segment "%(segment)s", which'
                    " changes what it points to. Correct the value of its token."
                ),
                path=text,
                segment=segment,
            )


@lru_cache(256)
def escaper(content_type):
    """`escape(text, before) -> text` for a body of this type; None: nothing to escape.

    before: the body in front of the text
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if _XML_TYPES.fullmatch(kind):
        return _for_xml
    if _JSON_TYPES.fullmatch(kind):
        return _for_json
    if kind in ("text/csv", "text/tab-separated-values", "application/csv"):
        return _for_csv
    if kind == "application/x-www-form-urlencoded":
        return lambda text, before: quote_plus(text)
    return None


def _for_xml(text, before):
    if _NOT_XML.search(text):
        raise ConfigurationError(
            _lt(
                "a value contains a control character, which XML doesn't allow: "
                "%(value)s. Correct the value."
            ),
            value=ascii(text[:60]),
        )
    if before.rfind("<![CDATA[") > before.rfind("]]>"):
        return text.replace("]]>", "]]]]><![CDATA[>")
    return escape_xml(text, {'"': "&quot;", "'": "&apos;"})


def _for_csv(text, before):
    """RFC 4180: quoted where required; the template may contain the quotes already."""
    if before.count('"') % 2:
        return text.replace('"', '""')
    if _CSV_SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _for_json(text, before):
    """Inside quotes escaped as a JSON string; elsewhere a JSON value, unchanged."""
    quotes = len(re.findall(r'(?<!\\)(?:\\\\)*"', before))
    return json.dumps(text)[1:-1] if quotes % 2 else text
