# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Mask credentials in what is stored and shown: the name stays, the value is `***`."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote_plus

MASK = "***"
# Shorter secrets aren't masked in texts: they would match parts of any word.
SHORTEST_MASKED = 4
_COMMON = frozenset({"true", "false", "null", "none"})

_SENSITIVE = re.compile(
    r"authorization|cookie|token|secret|passw|pwd|api[-_]?key|signature|credential"
    r"|^sig$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*@")


@lru_cache(maxsize=4096)
def is_sensitive(name):
    """Whether a header or query parameter of this name contains a credential."""
    return _SENSITIVE.search(name) is not None


def mask_headers(headers):
    """The headers, a mapping or pairs, with the values of sensitive names masked.

    Returns a dict for a mapping, a tuple of pairs for pairs.
    """
    if isinstance(headers, Mapping):
        return {
            name: MASK if is_sensitive(name) else value
            for name, value in headers.items()
        }
    return tuple(
        (name, MASK if is_sensitive(name) else value) for name, value in headers
    )


def mask_url(url):
    """The URL with sensitive query values and `user:password@` masked."""
    url = _USERINFO.sub(lambda match: f"{match[1] or ''}//{MASK}@", url)
    head, mark, query = url.partition("?")
    if not mark:
        return url
    query, hash_mark, fragment = query.partition("#")
    return (
        head
        + mark
        + "&".join(map(_mask_parameter, query.split("&")))
        + (hash_mark + fragment)
    )


def _mask_parameter(parameter):
    name, equals, value = parameter.partition("=")
    if value and is_sensitive(unquote_plus(name)):
        return name + equals + MASK
    return parameter


def url_secrets(url):
    """The values of sensitive query parameters of a URL, to mask them elsewhere.

    Without those that are too short or too common to distinguish from other text.
    """
    query = url.partition("?")[2].partition("#")[0]
    if not query:
        return ()
    found = []
    for parameter in query.split("&"):
        name, _equals, value = parameter.partition("=")
        if len(value) >= SHORTEST_MASKED and is_sensitive(unquote_plus(name)):
            found += [unquote_plus(value), value]
    return tuple(dict.fromkeys(each for each in found if each.lower() not in _COMMON))


def mask_text(text, secrets):
    """`text` with every secret masked, also where it is encoded for a URL or JSON."""
    for form in _forms(tuple(secrets)):
        text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=64)
def _forms(secrets):
    forms = {
        form
        for secret in secrets
        if secret
        for form in (
            secret,
            quote(secret, safe="", errors="replace"),
            quote_plus(secret, errors="replace"),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
        )
    }
    # Longest first: a secret may be part of another.
    return sorted(forms, key=len, reverse=True)
