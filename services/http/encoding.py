# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Encode one request to the bytes that `requests` would send, but faster.

`requests` is the reference, and tests compare byte for byte; only User-Agent and
Accept-Encoding differ. JSON, form and raw bodies are encoded here, because preparing a
request with `requests` takes longer than everything else; it encodes all other bodies.
"""

import ast
import json as stdlib_json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

import requests
import urllib3

from ..egress.target_url import locate
from ..errors import ConfigurationError, ServiceError, _lt
from ..headers import check_header, refuse_connection_header

_FAST = frozenset({"method", "url", "headers", "json", "data", "allow_redirects"})
_SLOW = _FAST | {"params", "cookies", "auth", "files", "timeout", "stream"}
_BODYLESS = ("GET", "HEAD")
_ACCEPTED = "gzip, deflate"  # what `response.decode_content` decodes
_BOUNDARY = re.compile(r';\s*boundary=(?:"[^"]*"|[^;]*)', re.IGNORECASE)
_MULTIPART = re.compile(r"multipart/[^\s;]+", re.IGNORECASE)


@dataclass(frozen=True)
class EncodedRequest:
    """One request, ready to be sent.

    method: upper case
    url: absolute, as `requests` normalizes it
    scheme, host, port: where to connect; host in ASCII without brackets
    target: path and query of the request line
    headers: all headers, in the order they are sent, Host first
    body: None without a body
    """

    method: str
    url: str
    scheme: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    def with_headers(self, extra):
        """The request with more headers: a mapping, or pairs of name and value.

        An existing name (case-insensitive) keeps its position and gets the new value;
        None removes it. Raises ConfigurationError.
        """
        merged = {name.lower(): (name, value) for name, value in self.headers}
        _merge(merged, extra)
        return replace(self, headers=tuple(merged.values()))

    def head(self):
        """Request line and headers as bytes, including the empty line."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1")


def encode(kwargs):
    """The `EncodedRequest` with what `requests.request(**kwargs)` would send.

    Raises ConfigurationError if it can't be sent, EgressRefused for a URL that is never
    allowed.
    """
    if not _FAST.issuperset(kwargs):
        return _encode_prepared(kwargs)
    data, json = kwargs.get("data"), kwargs.get("json")
    if data:
        body, content_type = _data_body(data)
        if body is None:
            return _encode_prepared(kwargs)
    elif json is not None:
        body, content_type = _json_body(json), "application/json"
    else:
        body = content_type = None
    method = _method(kwargs)
    place = locate(kwargs["url"])
    merged = {"host": ("Host", place.host_header), **_default_headers()}
    _merge(merged, kwargs.get("headers"))
    if body is not None:
        merged["content-length"] = ("Content-Length", str(len(body)))
    elif method not in _BODYLESS:
        merged["content-length"] = ("Content-Length", "0")
    if content_type and "content-type" not in merged:
        merged["content-type"] = ("Content-Type", content_type)
    return EncodedRequest(
        method,
        place.url,
        place.scheme,
        place.host,
        place.port,
        place.target,
        _as_sent(merged),
        body,
    )


def _merge(merged, extra):
    """Merge `extra` into `merged` as a requests session does."""
    pairs = extra.items() if hasattr(extra, "items") else extra or ()
    gone = False
    for name, value in pairs:
        check_header(name, value)
        refuse_connection_header(name)
        if value is None:
            gone = True
        elif isinstance(value, bytes):
            value = value.decode("latin-1")
        merged[name.lower()] = (name, value)
    if gone:
        for key in [key for key, (_, value) in merged.items() if value is None]:
            del merged[key]


def _as_sent(merged):
    if "accept-encoding" in merged and "user-agent" in merged:
        return tuple(merged.values())
    return _with_library_headers(merged)


def _with_library_headers(merged):
    """Add what http.client and urllib3 add if these headers were removed."""
    host, *others = merged.items()
    agent = ("user-agent", ("User-Agent", f"python-urllib3/{urllib3.__version__}"))
    head = [host]
    if "accept-encoding" not in merged:
        head.append(("accept-encoding", ("Accept-Encoding", "identity")))
    if "user-agent" not in merged:
        if urllib3.__version__.startswith("1."):
            others.append(agent)
        else:
            head.append(agent)
    return tuple(pair for _, pair in head + others)


def _method(kwargs):
    method = str(kwargs["method"]).upper()
    if method.isascii() and method.isalpha():
        return method
    raise ConfigurationError(
        _lt('"%(method)s" is not a valid HTTP method. Use POST, PUT, PATCH or DELETE.'),
        method=method,
    )


def _json_body(value):
    try:
        # The module that requests uses: simplejson if it is installed.
        module = requests.compat.json
        if module is stdlib_json:
            return _ENCODER.encode(value).encode("utf-8")
        return module.dumps(value, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            _lt("the payload is not valid JSON: %(error)s"), error=str(error)
        ) from error


_ENCODER = stdlib_json.JSONEncoder(allow_nan=False)


def _data_body(data):
    if isinstance(data, str):
        data = _utf8(data)
    if isinstance(data, bytes):
        return data, None
    if isinstance(data, dict) and all(
        isinstance(each, str) for pair in data.items() for each in pair
    ):
        try:
            body = urlencode(data).encode("ascii")
        except UnicodeEncodeError as error:
            raise _unencodable(error) from error
        return body, "application/x-www-form-urlencoded"
    return None, None


def _utf8(text):
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _unencodable(error) from error


def _encode_prepared(kwargs):
    """Encode with `requests` itself, for everything that is not encoded here."""
    unknown = sorted(kwargs.keys() - _SLOW)
    if unknown:
        raise ConfigurationError(
            _lt('the sender has no argument "%(name)s".'), name=unknown[0]
        )
    method = _method(kwargs)
    headers = kwargs.get("headers") or {}
    for name, value in headers.items():
        check_header(name, value)
        refuse_connection_header(name)
    if kwargs.get("files"):
        content_type, headers = _part_multipart_type(headers)
    else:
        content_type = None
    known = ("data", "json", "files", "params", "cookies", "auth")
    locate(kwargs["url"])  # before requests removes invalid parts
    try:
        prepared = _session().prepare_request(
            requests.Request(
                method,
                kwargs["url"],
                headers=headers,
                **{key: kwargs[key] for key in known if kwargs.get(key) is not None},
            )
        )
    except ServiceError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OSError) as error:
        raise _unencodable(error) from error
    place = locate(prepared.url)
    merged = {"host": ("Host", place.host_header)}
    for name, value in prepared.headers.items():
        check_header(name, value)
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        merged[name.lower()] = (name, text)
    if content_type:
        name, made = merged["content-type"]
        boundary = made.partition("boundary=")[2]
        merged["content-type"] = (name, f"{content_type}; boundary={boundary}")
    return EncodedRequest(
        method,
        place.url,
        place.scheme,
        place.host,
        place.port,
        place.target,
        _as_sent(merged),
        _body_bytes(prepared.body),
    )


def _part_multipart_type(headers):
    """The Content-Type given for a multipart body without its boundary, and the rest.

    Only the encoder of the body knows its boundary. Raises ConfigurationError for a
    type that isn't multipart.
    """
    rest = dict(headers)
    for name in headers:
        if name.lower() == "content-type" and headers[name] is not None:
            given = rest.pop(name)
            given = given.decode("latin-1") if isinstance(given, bytes) else given
            found = _BOUNDARY.sub("", given).strip().rstrip(";")
            if not _MULTIPART.match(found):
                raise ConfigurationError(
                    _lt(
                        'a multipart body can\'t have the Content-Type "%(type)s". '
                        "Remove that header, or choose another body mode."
                    ),
                    type=given,
                )
            return found, rest
    return None, rest


def _body_bytes(body):
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8")
    raise ConfigurationError(
        _lt("a body must be bytes or a text, not %(type)s."), type=type(body).__name__
    )


def _unencodable(error):
    return ConfigurationError(
        _lt("the request can't be encoded: %(error)s"), error=str(error)
    )


@lru_cache(1)
def default_headers():
    """Default headers of each request."""
    return {
        "User-Agent": f"bwt-webhooks-outbound/{_version()}",
        "Accept-Encoding": _ACCEPTED,
        "Accept": "*/*",
        "Connection": "keep-alive",
    }


def _version():
    # The manifest is plain data; services are also used without Odoo.
    manifest = Path(__file__).parents[2] / "__manifest__.py"
    return ast.literal_eval(manifest.read_text(encoding="utf-8"))["version"]


@lru_cache(1)
def _default_headers():
    return {name.lower(): (name, value) for name, value in default_headers().items()}


@lru_cache(1)
def _session():
    session = requests.Session()
    session.trust_env = False  # no netrc
    session.headers.clear()
    session.headers.update(default_headers())
    return session
