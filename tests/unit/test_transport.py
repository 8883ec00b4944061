# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From a request to the arguments of `requests.request`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError
from services.request import OutboundRequest
from services.transport import (
    build_transport_kwargs,
    flatten_form_data,
    normalize_request_files,
)

URL = "https://a.example/hook"


def build(mode="json", payload=None, *, method="post", headers=None, files=None):
    return build_transport_kwargs(
        OutboundRequest(URL, method, mode, headers or {}, payload, files or {})
    )


def test_json_is_passed_on():
    """All arguments are there, and redirects are off."""
    assert {
        "method": "POST",
        "url": URL,
        "headers": {"X-A": "1"},
        "allow_redirects": False,
        "json": {"a": [1, None]},
    } == build(payload={"a": [1, None]}, headers={"X-A": "1"})


@pytest.mark.parametrize("payload", [0, False, "", "text", [], [1], {}])
def test_any_json_value_is_a_body(payload):
    """An empty list or a zero is sent, not left out."""
    assert payload == build(payload=payload)["json"]


@pytest.mark.parametrize("payload", [None, {}])
def test_an_empty_payload(payload):
    """POST sends `{}`, DELETE nothing."""
    assert {} == build(payload=payload)["json"]
    assert "json" not in build(payload=payload, method="delete")
    assert {"a": 1} == build(payload={"a": 1}, method="delete")["json"]


def test_form_fields_are_flat():
    """Nested values have the names that PHP and Rails read."""
    assert {"a[b][0]": "1", "c": "true"} == build(
        "form_urlencoded", {"a": {"b": [1]}, "c": True}
    )["data"]


def test_multipart_with_files():
    """Fields in `data`, files in `files`."""
    kwargs = build("multipart", {"a": 1}, files={"f": {"content": b"x"}})

    assert ({"a": "1"}, {"f": ("f", b"x")}) == (kwargs["data"], kwargs["files"])


def test_multipart_without_files_stays_multipart():
    """requests would make a plain form of it, which such a receiver can't read."""
    kwargs = build("multipart", {"a": 1})

    assert {"a": (None, "1")} == kwargs["files"]
    assert "data" not in kwargs


def test_raw_text_is_utf_8():
    """A text goes as it is and says what it is, unless a header does."""
    kwargs = build("raw", "<ä/>")
    typed = build("raw", b"\xff", headers={"content-type": "application/xml"})

    assert "<ä/>".encode() == kwargs["data"]
    assert {"Content-Type": "text/plain; charset=utf-8"} == kwargs["headers"]
    assert (b"\xff", {"content-type": "application/xml"}) == (
        typed["data"],
        typed["headers"],
    )


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("text/xml; charset=iso-8859-1", b"<\xe4/>"),
        ('application/xml; charset="UTF-16LE"', b"<\x00\xe4\x00/\x00>\x00"),
        ("text/xml; charset=utf-8", "<ä/>".encode()),
        ("text/xml", "<ä/>".encode()),
        (b"text/xml; charset=latin1", b"<\xe4/>"),
    ],
)
def test_raw_text_is_in_the_charset_that_is_named(content_type, body):
    """Otherwise a receiver reads other letters than were sent."""
    assert body == build("raw", "<ä/>", headers={"content-type": content_type})["data"]


@pytest.mark.parametrize(
    "charset, payload, said",
    [
        ("latin-1", "5 €", "charset latin-1 can't encode"),
        ("nonsense", "x", 'charset "nonsense"'),
        ("base64", "x", 'charset "base64"'),
        ("utf-8", "\ud800", "charset utf-8 can't encode"),
    ],
)
def test_a_charset_that_cannot_encode_the_body(charset, payload, said):
    """The message names the charset and what to do."""
    with pytest.raises(ConfigurationError, match=said):
        build("raw", payload, headers={"Content-Type": f"text/xml; charset={charset}"})


@pytest.mark.parametrize("value", [[], [1], {"a": 1}, (1, 2), {1}])
def test_a_list_or_an_object_is_not_a_header(value):
    """It was sent as Python writes it, such as `[1, 2]`."""
    with pytest.raises(ConfigurationError, match='header "X-A" is a list'):
        build(headers={"X-A": value})


@pytest.mark.parametrize(
    "mode, payload, files",
    [
        ("json", {}, {"f": {"content": b""}}),
        ("form_urlencoded", {}, {"f": {"content": b""}}),
        ("raw", "x", {"f": {"content": b""}}),
        ("form_urlencoded", [1], {}),
        ("form_urlencoded", "text", {}),
        ("multipart", [1], {}),
        ("raw", {"a": 1}, {}),
        ("raw", 7, {}),
        ("raw", "\ud800", {}),
        ("xml", "", {}),
        ("multipart", {}, {"f": "text"}),
        ("multipart", {}, {"f": {"filename": "x"}}),
        ("multipart", {}, {"f": ("one",)}),
        ("multipart", {}, {"f": ("n", b"", "t", {}, "five")}),
        ("multipart", {}, {"f": ("n", b"", "a/b\r\nX: y")}),
    ],
)
def test_what_does_not_fit_together(mode, payload, files):
    """The message says what the user must change."""
    with pytest.raises(ConfigurationError):
        build(mode, payload, files=files)


@pytest.mark.parametrize("name", ["Host", "content-length", "CONNECTION", "bad name"])
def test_headers_that_only_the_sender_sets(name):
    """A rule can't frame the request."""
    with pytest.raises(ConfigurationError):
        build(headers={name: "1"})


def test_header_values_become_text():
    """A number from a rule or handler is sent as its text."""
    assert {"X-A": "7"} == build(headers={"X-A": 7})["headers"]


def test_files_in_all_their_forms():
    """Dict, list and tuple; the file's name defaults to the field's."""
    assert {
        "a": ("a", b"1"),
        "b": ("n.txt", b"1", "text/plain"),
        "c": ("n", b"1"),
        "d": ("n", b"1", "t/x", {"H": "v"}),
    } == normalize_request_files(
        {
            "a": {"content": b"1"},
            "b": {"content": b"1", "filename": "n.txt", "content_type": "text/plain"},
            "c": ["n", b"1"],
            "d": ("n", b"1", "t/x", {"H": "v"}),
        }
    )
    assert {} == normalize_request_files(None) == normalize_request_files({})


def test_empty_values_are_empty_fields():
    """None, and containers with nothing in them."""
    assert {"a": "", "b": "", "c": "", "d[0]": ""} == flatten_form_data(
        {"a": None, "b": {}, "c": [], "d": [None]}
    )
    assert {} == flatten_form_data(None) == flatten_form_data({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_flattening_keeps_every_leaf_as_text(values):
    """Whatever the nesting, a form holds texts only, under the names of its fields."""
    flat = flatten_form_data(values)

    assert all(isinstance(each, str) for pair in flat.items() for each in pair)
    assert all(any(name.startswith(key) for name in flat) for key in values)
