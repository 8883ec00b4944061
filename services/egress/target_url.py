# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Parse a URL once, by one parser, and refuse it if it is ambiguous.

The check, the connection and the Host header use the same result, so that no second
parser can find another host in it.
"""

import ipaddress
import re
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.url import parse_url

from ..errors import ConfigurationError, EgressRefused, Message, _lt
from ..template import render_path, tokens

_PORTS = {"http": 80, "https": 443}
_SUSPECT = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]|[^\S ]")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][^#]*)?(?:#.*)?"
)
# A path that neither requests nor urllib3 rewrites: without escapes, dot segments.
_PLAIN = re.compile(
    r"(?P<base>https?://[a-z0-9.:\[\]-]+)"
    r"(?P<target>(?:/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)+/?"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]+)?)"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Place(NamedTuple):
    """The parts of a URL.

    url: as `requests` would normalize it, without fragment
    host: ASCII, lower case, no brackets; host_header: value of the Host header
    target: path and query of the request line
    """

    url: str
    scheme: str
    host: str
    port: int
    target: str
    host_header: str


def locate(url):
    """The `Place` of a URL. Raises EgressRefused (never allowed), ConfigurationError.

    Refused: other schemes than http and https, user and password, control
    characters, spaces and backslashes, hosts that are neither a DNS name (IDNA) nor
    an IP address in its usual form (so no decimal, octal, hex or short IPv4).
    """
    plain = _PLAIN.fullmatch(url) if isinstance(url, str) else None
    if plain is None:
        return _locate(url)
    place = _locate(plain["base"] + "/")
    target = plain["target"]
    return Place(
        plain["base"] + target,
        place.scheme,
        place.host,
        place.port,
        target,
        place.host_header,
    )


@lru_cache(1024)
def origin_of(url):
    """Scheme, host and port of a URL as one text; empty without a URL.

    Two URLs of the same server have the same origin. A URL that can't be parsed is
    compared as text up to its path.
    """
    if not url:
        return ""
    try:
        place = locate(url)
    except (ConfigurationError, EgressRefused):
        scheme, _, rest = url.strip().partition("://")
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}".lower()
    return f"{place.scheme}://{place.host}:{place.port}"


def check_base_url(url):
    """Refuse a base URL that isn't just scheme, host and maybe a port.

    Raises ConfigurationError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port  # ValueError if invalid
        is_valid = parts.scheme in _PORTS and parts.hostname and port != 0
    except ValueError:
        is_valid = False
    if not is_valid or "{" in url or parts.username is not None:
        raise ConfigurationError(
            _lt(
                'target hostname "%(host)s" is not a valid base URL. Enter '
                "scheme and host, as in https://api.example.com, without "
                "user, password or {tokens}."
            ),
            host=url,
        )
    if parts.path or parts.query or parts.fragment or url[-1] in "?#":
        raise ConfigurationError(
            _lt(
                'target hostname "%(host)s" contains more than scheme and '
                "host. Move the rest to Target Path."
            ),
            host=url,
        )


def check_path(path):
    """Refuse a path that no URL can have, whatever its tokens' values.

    Raises ConfigurationError, EgressRefused.
    """
    if "#" in path:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" has a fragment (#), which is never sent. '
                "Remove it, or write %%23 for a literal #."
            ),
            path=path,
        )
    sample = dict.fromkeys(tokens(path), "x")
    locate("https://host.example" + render_path(path, sample))


@lru_cache(1024)
def _locate(url):
    if not isinstance(url, str) or not url:
        raise ConfigurationError(_lt("the request has no URL. Set its target_url."))
    if _SUSPECT.search(url):
        raise _refused(
            url, _lt("it contains a space, a control character or a backslash")
        )
    scheme = url.partition(":")[0].lower()
    if scheme not in _PORTS or not url[len(scheme) :].startswith("://"):
        raise _refused(url, _lt("it must begin with https:// or http://"))
    authority = re.split(r"[/?#]", url[len(scheme) + 3 :], maxsplit=1)[0]
    if "@" in authority:
        raise _refused(None, _lt("it contains a user or a password"))
    if "%" in authority:  # escapes and zones: read differently by each parser
        raise _refused(url, _lt("its host is not a valid name or IP address"))
    if re.search(r":0*$", authority):  # requests would take the default port
        raise _refused(url, _lt("its port is not valid"))
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except (requests.RequestException, ValueError) as error:
        raise _refused(url, str(error)) from error
    found = _URL.fullmatch(prepared.url)
    if not found:
        raise _refused(url, _lt("its host is not a valid name or IP address"))
    host = _host(found["host"], url)
    port = int(found["port"] or _PORTS[found["scheme"]])
    if not 0 < port < 65536:
        raise _refused(url, _lt("its port is not valid"))
    named = found["host"].lower().rstrip(".")
    if port != _PORTS[found["scheme"]]:
        named = f"{named}:{port}"
    return Place(
        prepared.url.partition("#")[0],
        found["scheme"],
        host,
        port,
        _target(prepared),
        named,
    )


def _target(prepared):
    """Path and query as the adapter of requests and urllib3 send them."""
    prepared.method = "GET"
    target = HTTPAdapter.request_url(_ADAPTER, prepared, {})
    if target.startswith("/") and not target.startswith("//"):
        return parse_url(target).url
    return parse_url("http://x" + target).request_uri


_ADAPTER = HTTPAdapter()


def _host(text, url):
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise _refused(
                url, _lt("its host is not a valid name or IP address")
            ) from None
    host = text.lower()
    with suppress(ValueError):
        return str(ipaddress.IPv4Address(host))
    labels = host.removesuffix(".").split(".")
    # A name whose last part is a number is an IPv4 address in an unusual form.
    if _NUMBER.fullmatch(labels[-1]):
        raise _refused(url, _lt("an IPv4 address is written as four decimal numbers"))
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _refused(url, _lt("its host is not a valid name or IP address"))
    return host


def _refused(url, why):
    """The error of a URL; `why`: a marked template, or the text of another library."""
    why = Message(why)
    if url is None:
        return EgressRefused(_lt("the URL is refused: %(why)s. Correct it."), why=why)
    shown = re.split(r"[?#]", url, maxsplit=1)[0]  # a query may contain a secret
    return EgressRefused(
        _lt('the URL "%(url)s" is refused: %(why)s. Correct it.'), url=shown, why=why
    )
