# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The bytes that are sent, compared with those that `requests` sends."""

import ast
import re
from pathlib import Path

import pytest
import requests
import urllib3
from sockets import LOOPBACK, Server

from services.errors import ConfigurationError, EgressRefused, ServiceError
from services.http.client import Sender
from services.http.encoding import default_headers, encode
from services.request import OutboundRequest
from services.transport import build_transport_kwargs

PAYLOADS = {
    "json": {"order": 7, "name": "Ünïcode €", "lines": [{"sku": "A"}, None, 1.5]},
    "form_urlencoded": {"a": {"b": ["x y", True]}, "ü": "ö&=", "empty": None},
    "multipart": {"a": {"b": ["x y", True]}, "ü": "ö&=", "empty": None},
    "raw": "<order>Ünïcode €</order>",
}
HEADERS = {
    "none": {},
    "added": {"X-Order": "7", "webhook-id": "msg_1", "X-Latin": "ü"},
    "replaced": {"user-agent": "ours/1", "ACCEPT": "application/json"},
    "typed": {"content-TYPE": "application/vnd.api+json"},
}
URLS = [
    "/",
    "",
    "?only=query",
    "/a/b?c=d&e=f",
    "/a//b/",
    "//double/start",
    "/a/../b/./c",
    "/%7Euser/%C3%BC/%2f/100%25",
    "/ü/ö?q=ä",
    "/semi;colon,comma'(quoted)!*",
    "/path?q=%20&r=a+b&s={}|^`",
    "/path?a=?b/c#fragment",
    "/bad%escape%zz",
    "/.hidden/..",
    "/a:b@c$d=e~f_g-h.i",
]


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


# As long as those that urllib3 draws.
DRAWN = "b0undary" * 4
# Ours are made of the parts.
MADE = re.compile(rb"boundary=([0-9a-f]{32})\b")


@pytest.fixture(autouse=True)
def fixed_boundary(monkeypatch):
    monkeypatch.setattr(urllib3.filepost, "choose_boundary", lambda: DRAWN)


def reference(server, kwargs):
    """Raw bytes of what a requests session sends."""
    kwargs = dict(kwargs)
    kwargs.pop("allow_redirects", None)
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(default_headers())
        session.send(session.prepare_request(requests.Request(**kwargs)))
    return server.requests[-1]


def ours(server, kwargs):
    """Raw bytes of what we send, with the boundary of the reference."""
    sender = Sender(LOOPBACK)
    response = sender.send(encode(kwargs), timeout=5)
    sender.close()
    assert (200, "") == (response.status_code, response.reason)
    raw = server.requests[-1]
    made = MADE.search(raw)
    return raw.replace(made[1], DRAWN.encode()) if made else raw


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "get"])
@pytest.mark.parametrize("mode", PAYLOADS)
def test_modes_and_methods_as_requests_sends_them(server, mode, method, headers):
    """Each body mode with each method is sent byte for byte as by requests."""
    if (mode, headers) == ("multipart", "typed"):
        headers = "added"  # with a type that isn't multipart it is refused
    request = OutboundRequest(
        server.url + "/hook?x=1", method, mode, HEADERS[headers], PAYLOADS[mode]
    )
    kwargs = build_transport_kwargs(request)

    assert reference(server, kwargs) == ours(server, kwargs)


@pytest.mark.parametrize("method", ["post", "delete"])
@pytest.mark.parametrize("mode", PAYLOADS)
def test_empty_payload_as_requests_sends_it(server, mode, method):
    """A request without payload has the Content-Length that requests sets."""
    request = OutboundRequest(server.url + "/hook", method, mode, {}, {})
    kwargs = build_transport_kwargs(request)

    assert reference(server, kwargs) == ours(server, kwargs)


def test_delete_without_payload_has_no_body(server):
    """DELETE with an empty payload sends none, with one it sends it."""
    request = OutboundRequest(server.url + "/x", "delete", "json", {}, {})

    bare = encode(build_transport_kwargs(request))
    full = encode(build_transport_kwargs(request.with_overrides({"payload": {"a": 1}})))

    assert bare.body is None
    assert b'{"a": 1}' == full.body


def test_multipart_files_as_requests_sends_them(server):
    """Files with and without type, beside fields, leave as from requests."""
    files = {
        "text": {"content": "Ünïcode", "filename": 'a "quoted" ü.txt'},
        "bytes": {"content": b"\x00\xff", "content_type": "application/pdf"},
        "tuple": ("t.csv", "a;b", "text/csv", {"X-Part": "1"}),
    }
    request = OutboundRequest(
        server.url + "/up", "post", "multipart", {"X-A": "1"}, {"f": "v"}, files
    )
    kwargs = build_transport_kwargs(request)

    assert reference(server, kwargs) == ours(server, kwargs)
    assert MADE.search(server.requests[-1])


@pytest.mark.parametrize("path", URLS)
def test_urls_as_requests_sends_them(server, path):
    """Request line and Host are what requests makes of a URL."""
    kwargs = {"method": "POST", "url": server.url + path, "json": {}}

    assert reference(server, kwargs) == ours(server, kwargs)


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "", "accept-ENCODING": "identity"},
        {"x-a": "1", "X-A": "2"},
        {"X-Empty": "", "X-Trail": "a  ", "X-Latin": "ü"},
        {"Cookie": "a=b", "Authorization": "Bearer x"},
    ],
)
def test_headers_replaced_or_doubled_as_requests_does(server, headers):
    """A name counts once, whatever its case, also one of the default headers."""
    kwargs = {
        "method": "POST",
        "url": server.url + "/h",
        "headers": headers,
        "json": [1],
    }

    assert reference(server, kwargs) == ours(server, kwargs)


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"a": ["1", "2"]}},
        {"data": [("a", "1"), ("a", "2")]},
        {"data": b"\x00raw"},
        {"data": "text"},
        {"data": {"a": 1}, "json": {"ignored": True}},
        {"files": [("f", ("n", b"x"))], "data": {"a": "1"}},
        {"json": False},
        {"json": 0},
        {"json": "text"},
        {"json": []},
        {"data": {}},
    ],
)
def test_other_arguments_as_requests_sends_them(server, more):
    """Each kind of body, also those that requests itself encodes."""
    kwargs = {"method": "POST", "url": server.url + "/m", **more}

    assert reference(server, kwargs) == ours(server, kwargs)


@pytest.mark.parametrize(
    "given, expected",
    [
        ("multipart/form-data", "multipart/form-data; boundary=b0undary"),
        (
            "multipart/form-data; boundary=mine",
            "multipart/form-data; boundary=b0undary",
        ),
        (
            'Multipart/Related; boundary="a;b"; type=text/xml',
            "Multipart/Related; type=text/xml; boundary=b0undary",
        ),
    ],
)
@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
def test_a_given_multipart_type_gets_the_boundary(name, given, expected):
    """A receiver can't separate the parts without it, and no rule can know it."""
    request = OutboundRequest(
        "https://a.example/", "post", "multipart", {name: given}, {"f": "v"}
    )

    encoded = encode(build_transport_kwargs(request))

    types = [value for each, value in encoded.headers if each.lower() == "content-type"]
    boundary = encoded.body[2:34].decode()
    assert [expected.replace("b0undary", boundary)] == types
    assert encoded.body.endswith(f"\r\n--{boundary}--\r\n".encode())


def test_a_boundary_is_made_of_the_parts(monkeypatch):
    """The same parts are the same bytes; other parts have another boundary."""
    monkeypatch.undo()  # boundaries are drawn

    def made_of(value):
        files = {"doc": {"filename": "a.bin", "content": b"\x00" + value}}
        request = OutboundRequest(
            "https://a.example/", "post", "multipart", {}, {"f": "v"}, files
        )
        return encode(build_transport_kwargs(request))

    first, again, other = made_of(b"1"), made_of(b"1"), made_of(b"2")
    assert (first.headers, first.body) == (again.headers, again.body)
    assert first.body[:34] != other.body[:34]


def test_a_multipart_body_with_another_type_is_refused():
    """No receiver could read it."""
    request = OutboundRequest(
        "https://a.example/",
        "post",
        "multipart",
        {"Content-Type": "application/json"},
        {"f": "v"},
    )

    with pytest.raises(ConfigurationError, match='Content-Type "application/json"'):
        encode(build_transport_kwargs(request))


@pytest.mark.parametrize("more", [{"json": {}}, {"files": {"f": ("n", "x")}}])
def test_a_request_says_who_sends_it_and_what_it_reads(more):
    """Accept-Encoding names what is decoded here, whatever packages are installed.

    With the package brotli `br` was requested, and responses were unreadable.
    """
    manifest = Path(__file__).parents[2] / "__manifest__.py"
    version = ast.literal_eval(manifest.read_text())["version"]

    encoded = encode({"method": "POST", "url": "https://a.example/", **more})

    headers = dict(encoded.headers)
    assert "gzip, deflate" == headers["Accept-Encoding"]
    assert f"bwt-webhooks-outbound/{version}" == headers["User-Agent"]


@pytest.mark.parametrize("more", [{"json": {}}, {"files": {"f": ("n", "x")}}])
def test_a_given_user_agent_wins(more):
    """A receiver may let in known senders only."""
    encoded = encode(
        {
            "method": "POST",
            "url": "https://a.example/",
            "headers": {"user-agent": "shop/1"},
            **more,
        }
    )

    agents = [value for name, value in encoded.headers if name.lower() == "user-agent"]
    assert ["shop/1"] == agents


def test_with_headers_replaces_in_place_and_appends():
    """A signature lands behind the rest, a known name keeps its place."""
    encoded = encode({"method": "POST", "url": "https://a.example/x", "json": {}})

    changed = encoded.with_headers({"USER-AGENT": "me", "X-Sign": "s"})

    assert ("USER-AGENT", "me") == changed.headers[1]
    assert ("X-Sign", "s") == changed.headers[-1]
    assert len(encoded.headers) + 1 == len(changed.headers)
    assert encoded.body == changed.body


def test_an_encoded_request_says_where_to_connect():
    """Scheme, host, port and target are those of the URL."""
    encoded = encode(
        {"method": "post", "url": "HTTPS://Bücher.Example:8443/a?b", "json": 1}
    )

    assert ("https", "xn--bcher-kva.example", 8443) == (
        encoded.scheme,
        encoded.host,
        encoded.port,
    )
    assert ("POST", "/a?b") == (encoded.method, encoded.target)
    assert ("Host", "xn--bcher-kva.example:8443") == encoded.headers[0]
    assert encoded.head().startswith(b"POST /a?b HTTP/1.1\r\nHost: xn--")


@pytest.mark.parametrize(
    "name, value",
    [
        ("X A", "1"),
        ("", "1"),
        ("X:A", "1"),
        ("X\r\nA", "1"),
        ("Ü", "1"),
        ("X", "a\r\nB: c"),
        ("X", "a\nb"),
        ("X", "a\x00"),
        ("X", " lead"),
        ("X", "€"),
        ("X", b"a"),
        ("X", None),
        ("X", 7),
        ("Host", "inside"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("CONNECTION", "close"),
    ],
)
@pytest.mark.parametrize("more", [{"json": {}}, {"files": {"f": ("n", "x")}}])
def test_headers_that_cannot_be_sent_are_refused(name, value, more):
    """No value can start another header or request, whichever way it is encoded."""
    kwargs = {"method": "POST", "url": "https://a.example", "headers": {name: value}}

    with pytest.raises(ConfigurationError):
        encode({**kwargs, **more})


def test_the_refused_value_is_not_quoted():
    """A header's value may be a secret."""
    with pytest.raises(ConfigurationError) as caught:
        encode(
            {
                "method": "POST",
                "url": "https://a.example",
                "headers": {"Authorization": "s3cret\n"},
            }
        )

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {"json": float("nan")},
        {"json": {1, 2}},
        {"verify": False},
        {"params": {"q": "1"}},
        {"auth": ("user", "pass")},
        {"cookies": {"c": "1"}},
        {"proxies": {"http": "http://x"}},
        {"data": {"a": "\ud800"}},
        {"data": "\ud800"},
        {"method": "PO ST"},
        {"method": "POST\r\n"},
        {"url": ""},
        {"url": None},
        {"data": iter([b"x"])},
    ],
)
def test_what_cannot_be_encoded_says_so(more):
    """Faults of a request are service errors, never tracebacks of a library."""
    kwargs = {"method": "POST", "url": "https://a.example"}

    with pytest.raises(ServiceError):
        encode({**kwargs, **more})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "//a.example/",
        "a.example",
        "javascript:alert(1)",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://a.example\\@b.example/",
        "https://a.example/a b",
        "https://a.example/a\tb",
        "https://a.example/\r\nX: y",
        " https://a.example/",
        "https://a.example:99999/",
        "https://a.example:0/",
        "https://a..example/",
        "https://-a.example/",
        "https://*.example/",
        "https://a.example%00.b/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https:///path",
        "https://" + "a" * 64 + ".example/",
        "https:a.example",
        "https:/a.example",
    ],
)
def test_urls_that_are_never_sent_to(url):
    """What two parsers could read in two ways, or name no web server, is refused."""
    with pytest.raises(EgressRefused):
        encode({"method": "POST", "url": url, "json": {}})


def test_a_refused_url_shows_neither_password_nor_query():
    """Messages end up on records that an operator reads."""
    for url in ("https://u:s3cret@a.example/", "https://a..b/?token=s3cret"):
        with pytest.raises(EgressRefused) as caught:
            encode({"method": "POST", "url": url, "json": {}})

        assert "s3cret" not in str(caught.value)
