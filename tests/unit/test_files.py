# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of a multipart request, given by a caller or a handler."""

import pytest

from services.errors import ConfigurationError
from services.transport import normalize_request_files


@pytest.mark.parametrize(
    "given, file",
    [
        ({"content": b"x"}, ("f", b"x")),
        ({"content": b"x", "filename": None, "content_type": ""}, ("f", b"x")),
        ({"content": b"x", "headers": {"X": "1"}}, ("f", b"x", None, {"X": "1"})),
        (("n", b"x", None, None), ("n", b"x")),
        ((None, "text", "text/plain"), (None, "text", "text/plain")),
        (("", b"x", "A/B"), ("", b"x", "A/B")),
        (("n", b"x", None, {"content-type": "A/B"}), ("n", b"x", "A/B")),
        (("n", b"x", "C/D", {"Content-Type": "A/B"}), ("n", b"x", "C/D")),
        (
            ["n", b"x", "C/D", {"X-B": "1", "X-A": b"2"}],
            ("n", b"x", "C/D", {"X-B": "1", "X-A": "2"}),
        ),
    ],
)
def test_a_file_keeps_what_it_was_given(given, file):
    """Name, type and part headers stay as they are; a type among the headers counts.

    `requests` drops the type that is given as a part header.
    """
    assert {"f": file} == normalize_request_files({"f": given})


def test_the_order_is_kept():
    """Receivers may read parts as they come."""
    given = {name: (name, b"x") for name in "zab"}

    assert ["z", "a", "b"] == list(normalize_request_files(given))


@pytest.mark.parametrize(
    "files, message",
    [
        ({"": ("n", b"x")}, "empty form field"),
        ({1: ("n", b"x"), "1": ("n", b"x")}, "the same as text"),
        ({"a\x00": ("n", b"x")}, r"control character"),
        ({"f": ("n\r\nX: 1", b"x")}, r"control character"),
        ({"f": ("\ud800", b"x")}, "half a character"),
        ({"f": ("n", "\ud800")}, "half a character"),
        ({"f": (7, b"x")}, "name of file"),
        ({"f": ("n", b"x", "a\nb")}, "Content-Type"),
        ({"f": ("n", b"x", None, {"Content-Location": "x"})}, "can't be sent"),
        ({"f": ("n", b"x", None, {"X": ""})}, "can't be sent"),
        ({"f": ("n", b"x", None, {"X": "a\nb"})}, 'value of header "X"'),
        ({"f": ("n", b"x", None, {"Content-Length": "1"})}, "set by the sender"),
    ],
)
def test_what_would_be_lost_or_altered_is_refused(files, message):
    """A name, type or part header that can't be sent as it is has a message."""
    with pytest.raises(ConfigurationError, match=message):
        normalize_request_files(files)
