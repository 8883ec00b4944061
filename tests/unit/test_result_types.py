# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Result dicts."""

import pytest

from services.outcome import HandlerOutcome
from services.request import OutboundRequest
from services.result_types import (
    webhook_cancel,
    webhook_dead_letter,
    webhook_done,
    webhook_retry,
)


def test_dicts():
    """The dicts carry status, note (left out when empty) and seconds."""
    assert {"status": "done"} == webhook_done()
    assert {"status": "done", "note": "old"} == webhook_done("old")
    assert {"status": "cancel"} == webhook_cancel()
    assert {"status": "dead_letter", "note": "bad"} == webhook_dead_letter("bad")
    assert {"status": "retry", "note": "busy", "seconds": 60} == webhook_retry("busy")
    assert 5 == webhook_retry("busy", seconds=5)["seconds"]


@pytest.mark.parametrize(
    "result", [webhook_done(), webhook_cancel(), webhook_dead_letter("x")]
)
def test_outcomes_read_them(result):
    """Every helper's dict is a decision that `HandlerOutcome` knows."""
    request = OutboundRequest("https://a.example", "post", "json", {}, {})

    assert result["status"] == HandlerOutcome.from_raw(result, request).status
