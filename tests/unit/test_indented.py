# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""JSON text formatted for reading."""

import json

import pytest

from services.values import indented


def test_objects_and_lists_get_lines():
    """One value a line, nested ones deeper; empty ones stay on theirs."""
    text = '{"order": {"lines": [1, {"sku": "A"}], "none": {}, "empty": []}}'

    assert json.dumps(json.loads(text), indent=2) == indented(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '"a"', "<html>{a,b}</html>"])
def test_short_and_other_texts_stay(text):
    """Nothing to lay out, or invalid JSON: shown as it is."""
    assert text == indented(text)


def test_values_keep_their_digits():
    """What was sent is shown, not what Python makes of it."""
    text = '{"total": 1.10, "id": 12345678901234567890.0, "a": 1, "a": 2}'

    shown = indented(text)

    assert "1.10," in shown
    assert "12345678901234567890.0" in shown
    assert 2 == shown.count('"a"')


def test_signs_inside_strings_stay():
    """Braces, commas and quotes of a string break no line."""
    text = '{"a": "x, {y: [\\"z\\"]}"}'

    assert '{\n  "a": "x, {y: [\\"z\\"]}"\n}' == indented(text)


def test_what_is_truncated_stays():
    """A body that was cut at its limit is not valid JSON any more."""
    assert '{"a": [1, 2' == indented('{"a": [1, 2')
