# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two requests are compared value by value, and a mask is equal to what it hides."""

import json
import time

import pytest

from services.differences import (
    DIFFERENCES_MAX,
    Shown,
    body_differences,
    compare,
    is_same_text,
    without_volatile,
)


def request(body=None, **changes):
    values = {
        "method": "post",
        "url": "https://x.example.com/a",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
    }
    return Shown(**(values | changes))


def found(old, new):
    return [
        (each.path, each.old, each.new)
        for each in body_differences(json.dumps(old), json.dumps(new))
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", "1", "2")]),
        (
            {"a": {"b": [1, 2]}},
            {"a": {"b": [1, 3, 4]}},
            [("a.b.1", "2", "3"), ("a.b.2", None, "4")],
        ),
        ({"a": 1}, {}, [("a", "1", None)]),
        ({"a": None}, {}, [("a", "null", None)]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
        ({"a": 1}, {"a": 1.0}, [("a", "1", "1.0")]),
        ({"a": []}, {"a": {}}, [("a", "[]", "{}")]),
        ([], {}, [("", "[]", "{}")]),
        ("é", "e", [("", '"é"', '"e"')]),
    ],
)
def test_values(old, new, expected):
    assert found(old, new) == expected


def test_request():
    """Everything that a receiver sees is compared, headers whatever their case."""
    old = request({"a": 1}, headers={"X-One": "1", "X-Gone": "g", "Webhook-Id": "1"})
    new = request(
        {"a": 2},
        method="put",
        url="https://x.example.com/b",
        headers={"x-one": "2", "X-New": "n", "webhook-id": "2"},
        files="doc",
    )

    differences = compare(old, new, {"webhook-id"})

    assert [(each.place, each.path, each.old, each.new) for each in differences] == [
        ("method", "", "POST", "PUT"),
        ("url", "", "https://x.example.com/a", "https://x.example.com/b"),
        ("files", "", None, "doc"),
        ("header", "X-Gone", "g", None),
        ("header", "X-New", None, "n"),
        ("header", "x-one", "1", "2"),
        ("body", "a", "1", "2"),
    ]
    assert compare(old, old) == []


def test_boundary():
    """The boundary of a multipart body is made of its parts, whose values differ."""
    old, new = (
        request(headers={"Content-Type": f"multipart/form-data; boundary={each}"})
        for each in "ab"
    )

    assert compare(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("***", "secret", True),
        ("key=*** end", "key=abc end", True),
        ("key=*** end", "key=abc end!", False),
        ("other=***", "key=***", False),
        ("a*b", "axb", False),
        ("***a***", "zzaz", True),
        ("***\n***", "1\n2", True),
    ],
)
def test_masked(old, new, is_same):
    assert is_same_text(old, new) is is_same
    assert is_same_text(new, old) is is_same
    assert (found({"a": old}, {"a": new}) == []) is is_same


def test_many_masks():
    """A text of masks alone can't hold up a comparison."""
    began = time.monotonic()

    assert is_same_text("***" * 5000, "x" * 5000)
    assert not is_same_text("***" * 5000 + "y", "x" * 5000)
    assert time.monotonic() - began < 2


def test_lines():
    """A text that isn't JSON is compared by its lines."""
    old, new = "<a>\n<b>1</b>\n<c/>\n</a>", "<a>\n<b>2</b>\n<c/>\n<d/>\n</a>"

    differences = body_differences(old, new, is_json=False)

    assert [(each.path, each.old, each.new) for each in differences] == [
        ("2", "<b>1</b>", "<b>2</b>"),
        ("4", None, "<d/>"),
    ]


def test_not_json():
    """What is said to be JSON and isn't is compared by its lines, too."""
    differences = body_differences("{", '{"a": 1}')

    assert [(each.path, each.old) for each in differences] == [("1", "{")]


def test_limits():
    """Neither many differences nor deep or long values make much of a result."""
    many = found(list(range(5000)), [0] * 5000)
    assert len(many) == DIFFERENCES_MAX
    deep_old, deep_new = ("[" * 900 + each + "]" * 900 for each in "12")
    assert len(body_differences(deep_old, deep_new)) == 1
    [(_path, old, _new)] = found("x" * 10**6, "y")
    assert len(old) < 1000


def test_volatile():
    """A value that differs between two builds is made again each time."""
    old = request({"at": "10:00", "uid": "a", "state": "draft"})
    first = compare(old, request({"at": "11:00", "uid": "b", "state": "done"}))
    second = compare(old, request({"at": "11:01", "uid": "a", "state": "done"}))

    assert [each.path for each in without_volatile(first, second)] == ["state"]
