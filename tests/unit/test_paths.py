# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dotted paths."""

import pytest

from services.errors import ConfigurationError
from services.paths import read_path, set_payload_path, write_path

ORDER = {"order": {"id": 7, "lines": [{"sku": "a"}, {"sku": "b"}, {}]}, "none": None}


@pytest.mark.parametrize(
    "path, value",
    [
        ("", ORDER),
        ("order.id", 7),
        (" order.id ", 7),
        ("order.lines.1.sku", "b"),
        ("order.lines.9.sku", None),
        ("order.lines.-1", None),
        ("order.lines.sku", None),
        ("order.lines.*.sku", ["a", "b", None]),
        ("order.id.deeper", None),
        ("none.deeper", None),
        ("missing.*.sku", None),
    ],
)
def test_reading(path, value):
    """Keys, indexes and `*` lead to the value; where nothing is there is None."""
    assert value == read_path(ORDER, path)


@pytest.mark.parametrize(
    "data, path, after",
    [
        ({}, "a.b", {"a": {"b": "new"}}),
        (None, "a", {"a": "new"}),
        (False, "a", {"a": "new"}),
        ({"a": 1}, "", "new"),
        ({"a": None}, "a.b", {"a": {"b": "new"}}),
        ({}, "lines.0.sku", {"lines": [{"sku": "new"}]}),
        ({"lines": [{"x": 1}]}, "lines.0.sku", {"lines": [{"x": 1, "sku": "new"}]}),
        ({"lines": [1]}, "lines.1", {"lines": [1, "new"]}),
        ({}, "sizes.42", {"sizes": {"42": "new"}}),
        ([[1]], "0.0", [["new"]]),
        (
            {"lines": [{}, {"x": 1}]},
            "lines.*.sku",
            {"lines": [{"sku": "new"}, {"x": 1, "sku": "new"}]},
        ),
        ({"lines": []}, "lines.*.sku", {"lines": []}),
        ({"by": {"*": 1, "k": 2}}, "by.*", {"by": {"*": "new", "k": "new"}}),
    ],
)
def test_writing(data, path, after):
    """Objects are made on the way, a list before `0`; the end of a list appends."""
    assert after == write_path(data, path, "new")


@pytest.mark.parametrize(
    "data, path, where",
    [
        ({"a": "text"}, "a.b", "\"a\" is 'text'"),
        ({"a": {"b": 5}}, "a.b.c", '"a.b" is 5'),
        ({"a": False}, "a.b", '"a" is False'),
        ("text", "a", "\"payload\" is 'text'"),
        ({"a": [1]}, "a.b", '"a" is a list of 1 items'),
        ({"a": [1]}, "a.5", "not a valid index"),
        ({}, "lines.*.sku", '"lines" is None'),
    ],
)
def test_collisions_name_the_path(data, path, where):
    """What is in the way is never overwritten; the message names its place."""
    with pytest.raises(ConfigurationError, match=f'path "{path}"'.replace("*", r"\*")):
        write_path(data, path, 1)
    with pytest.raises(ConfigurationError) as caught:
        write_path(data, path, 1)
    assert where in str(caught.value)


@pytest.mark.parametrize("path", ["a..b", ".a", "a."])
def test_malformed_paths_are_refused(path):
    """A path with an empty part can't be meant and says so on read and write."""
    for act in (lambda: read_path({}, path), lambda: write_path({}, path, 1)):
        with pytest.raises(ConfigurationError, match="empty part"):
            act()


def test_a_written_object_is_not_shared():
    """One object written at two places doesn't change at both with a later rule."""
    address = {"city": "Ulm"}
    data = write_path(write_path({}, "bill", address), "ship", address)

    write_path(data, "ship.city", "Bonn")

    assert {"bill": {"city": "Ulm"}, "ship": {"city": "Bonn"}} == data
    assert {"city": "Ulm"} == address


def test_family_name():
    """The name that the family knows writes just the same."""
    assert {"a": {"b": 1}} == set_payload_path(None, "a.b", 1)
