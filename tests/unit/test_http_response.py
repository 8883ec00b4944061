# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What came back."""

import pytest

from services.http.response import HttpResponse


def test_header_names_have_no_case():
    """A header is found whatever its case; the first of several counts."""
    response = HttpResponse(200, headers=(("X-Id", "1"), ("x-id", "2")))

    assert "1" == response.header("x-ID")
    assert response.header("Location") is None


@pytest.mark.parametrize(
    "content_type, body, text",
    [
        (None, "grün".encode(), "grün"),
        ("text/plain; charset=latin-1", "grün".encode("latin-1"), "grün"),
        ('text/plain; charset="utf-16"', "grün".encode("utf-16"), "grün"),
        ("text/plain; charset=nonsense", b"abc", "abc"),
        ("text/plain; charset=hex", b"abc", "abc"),
        ("text/plain; charset=", b"abc", "abc"),
        ("application/json", b"\xff{}", "\ufffd{}"),
        ("text/plain", b"a\x00b", "a\ufffdb"),
    ],
)
def test_text_is_decoded_and_never_fails(content_type, body, text):
    """The body is text in its charset; what can't be read or stored is replaced."""
    headers = (("Content-Type", content_type),) if content_type else ()

    assert text == HttpResponse(200, headers=headers, body=body).text


@pytest.mark.parametrize(
    "body, content_type",
    [
        (b"\xef\xbb\xbfa\xc3\xbc", None),
        (b"\xef\xbb\xbfa\xc3\xbc", "text/plain; charset=utf-8"),
        (b"\xef\xbb\xbfa\xc3\xbc", "text/plain; charset=latin-1"),
        ("a\xfc".encode("utf-16"), None),
        ("a\xfc".encode("utf-16"), "text/plain; charset=utf-16"),
        ("a\xfc".encode("utf-32"), None),
    ],
)
def test_a_byte_order_mark_is_not_text(body, content_type):
    """A hook that parses the text as JSON would fail at the mark."""
    headers = (("Content-Type", content_type),) if content_type else ()

    text = HttpResponse(200, headers, body).text

    assert "a\xfc" == text
