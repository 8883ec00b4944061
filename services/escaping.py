# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Escape values in a raw body according to its content type.

Without this a customer called `Smith & Sons` would make the XML invalid.
"""

import json
import re
from functools import lru_cache
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from .errors import ConfigurationError, _lt

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CSV_SPECIAL = re.compile(r'[",;\t\r\n|]')
_XML_TYPES = re.compile(r"(?:text|application)/(?:html|xml)|.+\+xml")
_JSON_TYPES = re.compile(r"(?:text|application)/json|.+\+json")


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
    return escape(text, {'"': "&quot;", "'": "&apos;"})


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
