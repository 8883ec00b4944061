# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Headers of responses, as they are recorded and as hooks see them."""

import pytest

from services.headers import by_name, joined


@pytest.mark.parametrize(
    "pairs, expected",
    [
        ((), {}),
        ((("A", "1"), ("B", "2")), {"A": "1", "B": "2"}),
        ((("A", "1"), ("B", "2"), ("A", "3")), {"A": "1, 3", "B": "2"}),
        ((("X-A", "1"), ("x-a", "2"), ("X-A", "3")), {"X-A": "1, 2, 3"}),
    ],
)
def test_values_of_a_repeated_header_are_joined(pairs, expected):
    """RFC 9110, 5.3; all but the last value were lost."""
    assert expected == joined(pairs)


def test_headers_are_found_in_any_case():
    """HTTP/2 in front of a receiver makes all names lower case."""
    headers = by_name(joined((("x-remote-id", "7"),)))

    assert "7" == headers["X-Remote-Id"] == headers.get("X-REMOTE-ID")
    assert {"x-remote-id": "7"} == dict(headers)
