# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tokens."""

from datetime import datetime
from decimal import Decimal

import pytest

from services.egress.target_url import locate
from services.errors import ConfigurationError
from services.template import (
    MissingValue,
    clean_path,
    field_tokens,
    render_literal,
    render_path,
    render_text,
    tokens,
)


def test_tokens_are_listed_once_in_order():
    """Keys come in order, each once; escaped braces and other braces name none."""
    assert ("b", "a") == tokens("/{b}/{a}/{b}/{{c}}/{1x}/{}/{d e}")


@pytest.mark.parametrize(
    "text, value, rendered",
    [
        ("/o/{id}", 5, "/o/5"),
        ("/o/{id}", 0, "/o/0"),
        ("/o/{id}/x", "a/b", "/o/a%2Fb/x"),
        ("/o/{id}", "a?b#c&d", "/o/a%3Fb%23c%26d"),
        ("/o/{id}", "ä b", "/o/%C3%A4%20b"),
        ("/o/{id}", "..\\x", "/o/..%5Cx"),
        ("/o?q={id}", "a&b=c/d +", "/o?q=a%26b%3Dc%2Fd%20%2B"),
        ("/o/%20/{id}", "1", "/o/%20/1"),
        ("/{{id}}/{id}", 5, "/{id}/5"),
        ("/{{{id}}}", 5, "/{5}"),
        ("/v1.{id}", "0", "/v1.0"),
        ("/../{id}", "a", "/../a"),
    ],
)
def test_path_values_are_percent_encoded(text, value, rendered):
    """A value fills its place in path or query and can't reach beyond it."""
    assert rendered == render_path(text, {"id": value})


@pytest.mark.parametrize(
    "text, value",
    [("/a/{id}/b", ".."), ("/a/{id}", "."), ("/a/.{id}", "."), ("/%2e{id}", ".")],
)
def test_a_value_cannot_climb_the_path(text, value):
    """A segment that receivers resolve to the folder above is refused."""
    with pytest.raises(ConfigurationError, match="changes what it points to"):
        render_path(text, {"id": value})


def test_dots_in_a_query_are_harmless():
    """Only segments of the path are checked."""
    assert "/a?d=/../" == render_path("/a?d=/{id}/", {"id": ".."})


@pytest.mark.parametrize("values", [{}, {"id": None}, {"id": False}, {"id": ""}])
@pytest.mark.parametrize("render", [render_path, render_text, render_literal])
def test_a_token_without_value_is_refused(render, values):
    """A missing or empty token stops the delivery and says what to do."""
    with pytest.raises(ConfigurationError, match=r"token \{id\} has no value\. Give"):
        render("/{id}", values)


@pytest.mark.parametrize(
    "value, shown",
    [
        ([], r"\[\]"),
        ([7], r"\[7\]"),
        ((), r"\[\]"),
        ({}, r"\{\}"),
        ({"id": 7}, r'\{"id": 7\}'),
        (True, "true"),
        (["x" * 100], r"\.\.\."),
    ],
)
def test_a_path_token_takes_text_and_numbers_only(value, shown):
    """A list, an object or a boolean in a path is refused and quoted.

    An empty relation was sent as `PUT /customers/%5B%5D`.
    """
    for path in ("/customers/{id}", "/customers?id={id}"):
        with pytest.raises(ConfigurationError, match=rf"path token \{{id\}}.*{shown}"):
            render_path(path, {"id": value})


@pytest.mark.parametrize(
    "value, path",
    [
        (Decimal("10.50"), "/o/10.50"),
        (1.5, "/o/1.5"),
        (datetime(2024, 5, 1), "/o/2024-05-01T00%3A00%3A00Z"),
    ],
)
def test_a_path_token_keeps_numbers_and_dates(value, path):
    """Numbers keep their digits, dates are written as in a payload."""
    assert path == render_path("/o/{id}", {"id": value})


@pytest.mark.parametrize(
    "value, text",
    [
        ("a/b", "a/b"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (Decimal("10.50"), "10.50"),
        (datetime(2024, 5, 1), "2024-05-01T00:00:00Z"),
        ([1, "x"], '[1, "x"]'),
    ],
)
def test_header_values_are_plain_text(value, text):
    """In a header or payload text the value is plain text, not encoded."""
    assert f"id={text}" == render_text("id={id}", {"id": value})


def test_text_escapes():
    """Doubled braces are literal ones, single braces around no key stay."""
    assert "{id} {not a key} 1" == render_text("{{id}} {not a key} {id}", {"id": 1})


def test_values_are_not_rendered_again():
    """A value with braces is text, so that nobody can reach others."""
    assert "{b}" == render_text("{a}", {"a": "{b}", "b": "secret"})


def test_a_literal_that_is_one_token_keeps_the_type():
    """`{id}` alone is the value itself, at every depth; with more it is text."""
    literal = {"id": "{id}", "list": ["{id}", "no {id}"], "n": 1, "{id}": None}

    assert {
        "id": 7,
        "list": [7, "no 7"],
        "n": 1,
        "{id}": None,
    } == render_literal(literal, {"id": 7})


def test_braces_of_decoded_json_are_safe():
    """A nested object loses no brace, since it is decoded before tokens are sought."""
    assert {"a": {"b": 1}} == render_literal({"a": {"b": 1}}, {})


def test_half_a_character_is_refused():
    """A lone surrogate can't be encoded for a URL and is refused with a message."""
    with pytest.raises(ConfigurationError, match="half a character"):
        render_path("/{id}", {"id": "\ud800"})


@pytest.mark.parametrize(
    "text, saved",
    [
        ("/a b", "/a%20b"),
        ('/a"b', "/a%22b"),
        ("/a'b", "/a'b"),
        ("/<a>^`|", "/%3Ca%3E%5E%60%7C"),
        ("/a\u00a0b\u3000c", "/a%C2%A0b%E3%80%80c"),
        ("/ü?q=a b&r={id}", "/ü?q=a%20b&r={id}"),
        ("/a%20b", "/a%20b"),
        ("/{{a}}/{id}", "/{{a}}/{id}"),
    ],
)
def test_a_path_is_saved_as_it_can_be_sent(text, saved):
    """What no URL holds is encoded, once, and tokens stay."""
    assert saved == clean_path(text)
    assert saved == clean_path(saved)
    assert locate("https://a.example" + render_path(saved, {"id": "x"}))


@pytest.mark.parametrize(
    "text", ["/a\nb", "/a\r\nX: y", "/a\tb", "/a\x00", "/\ud800", "\\a"]
)
def test_control_characters_in_a_path_are_refused(text):
    """A pasted line break is a mistake: nobody wants it encoded."""
    with pytest.raises(ConfigurationError, match="a URL can't contain"):
        clean_path(text)


@pytest.mark.parametrize(
    "text", ["/{order id}", "/{1a}", "/{}", "/{a-b}", "/{a", "/a}", "/{a.b}"]
)
def test_braces_that_are_not_tokens_are_refused(text):
    """A mistyped token would be sent to the receiver as it is."""
    with pytest.raises(ConfigurationError, match="brace that is not part of"):
        clean_path(text)


def test_fields_are_named_in_literals():
    """`{record.x}`, `{company.x}` and `{partner.x}` name fields, at every depth."""
    literal = {"a": "{record.partner_id.name} of {company.name}", "b": ["{partner.id}"]}
    values = {"record.partner_id.name": "Ada", "company.name": "B", "partner.id": 7}

    assert field_tokens(literal) == tuple(values)
    assert render_literal(literal, values) == {"a": "Ada of B", "b": [7]}


@pytest.mark.parametrize(
    "text",
    ["{order.name}", "{{record.name}}", "{record.}", "{record.a b}", "{recorded.x}"],
)
def test_other_braces_with_dots_stay(text):
    """Only these three words name fields: texts that exist keep their meaning."""
    assert field_tokens(text) == ()
    assert "{" in render_text(text, {})


def test_a_url_names_no_fields():
    """A URL path has context keys only: who may see its values is known."""
    assert tokens("/{record.name}/{a}") == ("a",)
    assert render_path("/{record.name}/{a}", {"a": 1}) == "/{record.name}/1"
    with pytest.raises(ConfigurationError, match="a brace that is not part"):
        clean_path("/{record.name}")


def test_fields_without_a_value():
    """An empty field is refused, a boolean that is false is a value."""
    assert render_text("{record.active}", {"record.active": False}) == "false"
    assert render_literal("{record.active}", {"record.active": False}) is False
    for value in (None, ""):
        with pytest.raises(MissingValue, match="{record.vat} has no value. Fill in"):
            render_text("x {record.vat}", {"record.vat": value})
