# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files written into a payload, and paths that can't be written together."""

import pytest

from services.errors import ConfigurationError
from services.payload_files import (
    check_collisions,
    check_file_paths,
    overlap,
    reserve_places,
    with_contents,
    without_contents,
)

ONE = ("document.content", "document.name", "")
MANY = ("documents.*.content", "documents.*.name", "documents.*.type")


def test_one_file():
    """Name and type are written beside what is there, the content gets a place."""
    payload, places = reserve_places(
        {"document": {"number": 1}}, ONE, [("a.pdf", "application/pdf")], None
    )

    assert payload == {"document": {"number": 1, "content": None, "name": "a.pdf"}}
    assert places == ["document.content"]


def test_several_files():
    """A list with an item per file; a second call continues it."""
    files = [("a.pdf", "application/pdf"), ("b.txt", "text/plain")]
    payload, places = reserve_places({}, MANY, files, None)
    payload, more = reserve_places(payload, MANY, files[:1], None)

    first = {"content": None, "name": "a.pdf", "type": "application/pdf"}
    second = {"content": None, "name": "b.txt", "type": "text/plain"}
    assert payload == {"documents": [first, second, first]}
    assert [*places, *more] == [f"documents.{place}.content" for place in range(3)]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [(ONE, {"document": {"content": False, "name": False}}), (MANY, {"documents": []})],
)
def test_no_file(paths, expected):
    """Empty values, or an empty list."""
    assert reserve_places({}, paths, [], False) == (expected, [])


@pytest.mark.parametrize(
    "paths",
    [
        ("",),
        ("*",),
        ("*.content",),
        ("a.*.b.*",),
        ("a..b",),
        ("a.*.b", "a.name"),
        ("a", "b.*.name"),
        ("a", "a"),
        ("a", "a.name"),
        ("a.*", "a.*.name"),
    ],
)
def test_refused_paths(paths):
    """What can't hold a file, or its name beside it."""
    with pytest.raises(ConfigurationError):
        check_file_paths(*paths)


@pytest.mark.parametrize("paths", [ONE, MANY, ("a",), ("a.*",), ("a.b.*.c",)])
def test_accepted_paths(paths):
    """One file, or a list with one `*`."""
    check_file_paths(*paths)


@pytest.mark.parametrize(
    ("path", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "a.b", True),
        ("a.b", "a", True),
        ("a.*.b", "a.0.b", True),
        ("a.b", "a.c", False),
        ("a", "b", False),
    ],
)
def test_overlap(path, other, expected):
    """One contains the other."""
    assert overlap(path, other) is expected


def test_collisions():
    """Lines may share a list; anything else at one place is refused."""
    check_collisions([ONE, MANY, MANY], ["document.number", "order.lines.*.sku"])
    for files, values in (
        ([ONE], ["document"]),
        ([ONE], ["document.name.first"]),
        ([MANY], ["documents"]),
        ([MANY], ["documents.*.note"]),
        ([ONE, ONE], []),
        ([MANY, ("documents", "", "")], []),
    ):
        with pytest.raises(ConfigurationError, match="write to the same place"):
            check_collisions(files, values)


def test_long_contents_of_an_attempt():
    """A long file is shown by number and size, a short one as it is; both return.

    Files of the same size must not be exchanged.
    """
    long, other, short = "QUJD" * 100, "REVG" * 99 + "RA==", "QQ=="
    payload = f'{{"files": ["{long}", "{other}", "{short}"]}}'

    shown = without_contents(payload, (long, other, short))

    assert shown == (
        '{"files": ["[file 1: base64 of 300 bytes]", '
        '"[file 2: base64 of 298 bytes]", "QQ=="]}'
    )
    assert with_contents(shown, (long, other, short)) == payload
