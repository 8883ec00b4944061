# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Texts of failures."""

import pytest

from services.failure_text import no_response_text, status_text
from services.http.response import HttpResponse


def test_every_status_has_a_text():
    """Whatever comes, the text names the status and fills in completely."""
    for status in (*range(100, 200), *range(300, 1000)):
        text = str(status_text(status, HttpResponse(status)))

        assert text.startswith(f"HTTP {status}")
        assert "%(" not in text


def test_known_statuses_are_called_by_name():
    """A user reads the name of the status beside its number."""
    text = str(status_text(404, HttpResponse(404)))

    assert text.startswith("HTTP 404 Not Found: nothing was found at this address.")


@pytest.mark.parametrize("reason", ["dns", "connect", "tls", "timeout", "egress"])
def test_reasons_say_what_to_check(reason):
    """Without a message of the sender there is a text that says what to check."""
    assert "heck" in str(no_response_text(HttpResponse(reason=reason)))


def test_unknown_reason_is_quoted():
    """A reason that has no text of its own is shown."""
    assert "(odd)" in str(no_response_text(HttpResponse(reason="odd")))
