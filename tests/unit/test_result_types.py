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
    assert webhook_done() == {"status": "done"}
    assert webhook_done("old") == {"status": "done", "note": "old"}
    assert webhook_cancel() == {"status": "cancel"}
    assert webhook_dead_letter("bad") == {"status": "dead_letter", "note": "bad"}
    assert webhook_retry("busy") == {"status": "retry", "note": "busy", "seconds": 60}
    assert webhook_retry("busy", seconds=5)["seconds"] == 5


@pytest.mark.parametrize(
    "result", [webhook_done(), webhook_cancel(), webhook_dead_letter("x")]
)
def test_outcomes_read_them(result):
    """Every helper's dict is a decision that `HandlerOutcome` knows."""
    request = OutboundRequest("https://a.example", "post", "json", {}, {})

    assert HandlerOutcome.from_raw(result, request).status == result["status"]
