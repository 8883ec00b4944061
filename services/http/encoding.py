# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Encode one request to the bytes that `requests` would send, but faster.

`requests` is the reference, and tests compare byte for byte; only User-Agent,
Accept-Encoding and the boundary of multipart bodies differ. Preparing a request with
`requests` takes longer than everything else, so only bodies with files or repeated form
fields are encoded by it.
"""

import ast
import json as stdlib_json
import re
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import requests

from ..egress.target_url import locate
from ..errors import ConfigurationError, _lt
from ..headers import check_given_header

_ARGUMENTS = frozenset(
    {"method", "url", "headers", "json", "data", "files", "allow_redirects"}
)
_BODYLESS = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"
_ACCEPTED = "gzip, deflate"  # what `response.decode_content` decodes
_BOUNDARY = re.compile(r';\s*boundary=(?:"[^"]*"|[^;]*)', re.IGNORECASE)
_MULTIPART = re.compile(r"multipart/[^\s;]+", re.IGNORECASE)


class EncodedRequest(NamedTuple):  # made twice per delivery: a dataclass is slower
    """One request, ready to be sent.

    method: upper case
    url: absolute, as `requests` normalizes it
    scheme, host, port: where to connect; host in ASCII without brackets
    target: path and query of the request line
    headers: all headers, in the order they are sent, Host first
    body: None without a body
    response_limit: bytes to keep of the response body, None for the usual limit
    compressed: the body as it is sent, None to send `body` itself
    """

    method: str
    url: str
    scheme: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    response_limit: int | None = None
    compressed: bytes | None = None

    def with_headers(self, extra):
        """The request with more headers: a mapping, or pairs of name and value.

        An existing name (case-insensitive) keeps its position and gets the new value.
        Raises ConfigurationError.
        """
        merged = {name.lower(): (name, value) for name, value in self.headers}
        _merge(merged, extra)
        return self._replace(headers=tuple(merged.values()))

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
    if not _ARGUMENTS.issuperset(kwargs):
        raise ConfigurationError(
            _lt('the sender has no argument "%(name)s". Leave it out.'),
            name=min(kwargs.keys() - _ARGUMENTS),
        )
    method = _method(kwargs)
    place = locate(kwargs["url"])
    merged = {"host": ("Host", place.host_header), **_default_headers()}
    _merge(merged, kwargs.get("headers"))
    body, content_type = _body(kwargs)
    if body is not None:
        merged["content-length"] = ("Content-Length", str(len(body)))
    elif method not in _BODYLESS:
        merged["content-length"] = ("Content-Length", "0")
    if content_type:
        name, given = merged.get("content-type", ("Content-Type", None))
        if given is None:
            merged["content-type"] = (name, content_type)
        elif kwargs.get("files"):
            merged["content-type"] = (name, _with_boundary(given, content_type))
    return EncodedRequest(
        method,
        place.url,
        place.scheme,
        place.host,
        place.port,
        place.target,
        tuple(merged.values()),
        body,
    )


def _merge(merged, extra):
    """Merge `extra` into `merged`; a name counts once, whatever its case."""
    pairs = extra.items() if hasattr(extra, "items") else extra or ()
    for name, value in pairs:
        check_given_header(name, value)
        merged[name.lower()] = (name, value)


def _method(kwargs):
    method = str(kwargs["method"]).upper()
    if method.isascii() and method.isalpha():
        return method
    raise ConfigurationError(
        _lt('"%(method)s" is not a valid HTTP method. Use POST, PUT, PATCH or DELETE.'),
        method=method,
    )


def _body(kwargs):
    """Body, None without one, and content type, None without one."""
    data, json, files = kwargs.get("data"), kwargs.get("json"), kwargs.get("files")
    if files:
        return _body_by_requests(data, files)
    if not data:
        return (None, None) if json is None else (_json_body(json), "application/json")
    if isinstance(data, bytes):
        return data, None
    try:
        if isinstance(data, str):
            return data.encode("utf-8"), None
        if isinstance(data, dict) and all(
            isinstance(each, str) for pair in data.items() for each in pair
        ):
            return urlencode(data).encode("ascii"), _FORM
    except UnicodeEncodeError as error:
        raise _unencodable(error) from error
    return _body_by_requests(data, files)


def _json_body(value):
    try:
        # The module that requests uses: simplejson if it is installed.
        module = requests.compat.json
        if module is stdlib_json:
            return _ENCODER.encode(value).encode("utf-8")
        return module.dumps(value, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            _lt("the payload is not valid JSON: %(error)s. Correct the value."),
            error=str(error),
        ) from error


# A value that contains itself ends in a RecursionError: the check takes a third.
_ENCODER = stdlib_json.JSONEncoder(allow_nan=False, check_circular=False)


def _body_by_requests(data, files):
    prepared = requests.PreparedRequest()
    prepared.prepare_headers(None)
    try:
        prepared.prepare_body(data, files)
    except (ValueError, TypeError, LookupError, AttributeError, OSError) as error:
        raise _unencodable(error) from error
    body = prepared.body
    body = body.encode("utf-8") if isinstance(body, str) else body
    if not isinstance(body, bytes):
        raise ConfigurationError(
            _lt("a body must be bytes or a text, not %(type)s. Give one of them."),
            type=type(body).__name__,
        )
    content_type = prepared.headers.get("Content-Type")
    if not files:
        return body, content_type
    buffer = BytesIO(body)
    prepared.body = body = None  # the buffer alone has it, and needs no copy
    return _with_stable_boundary(buffer, content_type)


def _with_stable_boundary(buffer, content_type):
    """Body and type with a boundary that is made of the parts instead of drawn.

    The same parts are the same bytes then, so a retry can repeat them, and two requests
    can be compared.

    buffer: BytesIO with the body, which may be large; changed in place
    """
    drawn = content_type.partition("boundary=")[2]
    digest, ends, end = sha256(), [], 0
    with buffer.getbuffer() as view:
        for found in re.finditer(re.escape(f"--{drawn}".encode()), view):
            digest.update(view[end : found.start()])
            end = found.end()
            ends.append(end)
        digest.update(view[end:])
    made = digest.hexdigest()[: len(drawn)]
    for end in ends:
        buffer.seek(end - len(drawn))
        buffer.write(made.encode())
    return buffer.getvalue(), content_type.replace(drawn, made)


def _with_boundary(given, made):
    """The Content-Type given for a multipart body, with the boundary of that body.

    Only the encoder of the body knows it. Raises ConfigurationError for a type that
    isn't multipart.
    """
    found = _BOUNDARY.sub("", given).strip().rstrip(";")
    if not _MULTIPART.match(found):
        raise ConfigurationError(
            _lt(
                'a multipart body can\'t have the Content-Type "%(type)s". '
                "Remove that header, or choose another body mode."
            ),
            type=given,
        )
    return f"{found}; boundary={made.partition('boundary=')[2]}"


def _unencodable(error):
    return ConfigurationError(
        _lt("the request can't be encoded: %(error)s. Correct the value."),
        error=str(error),
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
