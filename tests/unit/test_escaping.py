# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Values in raw bodies, read back by the parser of each content type."""

import csv
import io
import json
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError
from services.template import escaper, render_literal, render_text

PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), min_size=1)


def render(template, value, content_type):
    return render_text(template, {"value": value}, escaper(content_type))


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "application/xml; charset=utf-8", "application/soap+xml", "text/html"],
)
def test_xml_is_escaped(content_type):
    """A value can't end the element or attribute that it is in."""
    body = render("<a b=\"{value}\" c='{value}'>{value}</a>", "<&>\"'", content_type)

    element = ElementTree.fromstring(body)
    assert ["<&>\"'"] * 3 == [element.text, element.get("b"), element.get("c")]


def test_a_cdata_section_stays_one():
    """Nothing is escaped in it, and no value ends it."""
    body = render("<a><![CDATA[{value}]]></a>", "x & y ]]> z", "text/xml")

    assert "x & y ]]> z" == ElementTree.fromstring(body).text


def test_what_xml_cannot_contain_is_refused():
    """No escape exists for a control character."""
    with pytest.raises(ConfigurationError, match="control character"):
        render("<a>{value}</a>", "a\x0bb", "text/xml")


@given(PLAIN)
def test_any_text_comes_back_from_xml(text):
    """Any text that a user types reaches the receiver."""
    body = render("<a>{value}</a>", text, "text/xml")

    assert text == ElementTree.fromstring(body).text


@given(PLAIN)
def test_any_text_comes_back_from_csv(text):
    """With quotes in the template and without."""
    body = render('1,{value},"{value}",2', text, "text/csv")

    assert [["1", text, text, "2"]] == list(csv.reader(io.StringIO(body)))


def test_csv_with_semicolons():
    """The delimiter isn't known: what one could be is quoted."""
    body = render("{value};2", 'a;"b"\nc', "text/csv; charset=utf-8")

    assert [['a;"b"\nc', "2"]] == list(csv.reader(io.StringIO(body), delimiter=";"))


@given(PLAIN)
def test_any_text_comes_back_from_json(text):
    """Inside quotes it is the text of a string."""
    body = render('[1, "{value}"]', text, "application/json")

    assert [1, text] == json.loads(body)


def test_a_json_value_outside_of_quotes_stays_one():
    """A number or list of the context is put in as JSON."""
    assert '{"a": [1, 2]}' == render('{"a": {value}}', [1, 2], "application/json")


def test_form_fields_are_encoded():
    """A value can't begin another field."""
    body = render("a={value}", "x&b=1", "application/x-www-form-urlencoded")

    assert {"a": ["x&b=1"]} == parse_qs(body)


@pytest.mark.parametrize("content_type", ["", None, "text/plain", "application/pdf"])
def test_other_types_are_not_changed(content_type):
    """Nobody knows how to write a value there."""
    assert "<&>" == render("{value}", "<&>", content_type)


def test_a_value_that_is_the_whole_body_is_not_escaped():
    """A body made elsewhere is sent as it is."""
    made = render_literal("{value}", {"value": "<a/>"}, escaper("text/xml"))

    assert "<a/>" == made
