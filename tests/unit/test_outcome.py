# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a handler may return."""

import pytest

from services.errors import ConfigurationError
from services.outcome import HandlerOutcome
from services.request import OutboundRequest

REQUEST = OutboundRequest("https://a.example/", "post", "json", {"X": "1"}, {"a": 1})


@pytest.mark.parametrize(
    "raw, status, terminal, is_retry",
    [
        (None, "send", None, False),
        (True, "send", None, False),
        (False, "cancel", "canceled", False),
        ({}, "send", None, False),
        ({"status": None}, "send", None, False),
        ({"status": "send"}, "send", None, False),
        ({"status": "done"}, "done", "done", False),
        ({"status": "cancel"}, "cancel", "canceled", False),
        ({"status": "dead_letter"}, "dead_letter", "dead_letter", False),
        ({"status": "retry"}, "retry", None, True),
    ],
)
def test_decisions(raw, status, terminal, is_retry):
    """Each documented value means what the contract says, the request unchanged."""
    outcome = HandlerOutcome.from_raw(raw, REQUEST)

    assert (
        status,
        terminal,
        is_retry,
    ) == (outcome.status, outcome.terminal_state, outcome.is_retry)
    assert REQUEST == outcome.request
    assert ("", None, False) == (outcome.note, outcome.seconds, outcome.matched_rule_id)


@pytest.mark.parametrize("raw", [1, 0, "send", ["send"], object(), REQUEST, b""])
def test_what_is_no_decision_is_quoted(raw):
    """Anything else is an error that shows what came back."""
    with pytest.raises(ConfigurationError, match="not a valid decision") as caught:
        HandlerOutcome.from_raw(raw, REQUEST)

    assert repr(raw)[:40] in str(caught.value)


@pytest.mark.parametrize("status", ["sent", "canceled", "SEND", "", False, 5, ["send"]])
def test_unknown_status_is_quoted(status):
    """A status that doesn't exist is never taken for send."""
    with pytest.raises(ConfigurationError) as caught:
        HandlerOutcome.from_raw({"status": status}, REQUEST)

    assert repr(status) in str(caught.value)


def test_a_dict_carries_changes_and_note():
    """Request keys, the aliases and the rule's id are read, further keys ignored."""
    outcome = HandlerOutcome.from_raw(
        {
            "message": "why",
            "matched_rule_id": 7,
            "transport_mode": "raw",
            "payload": "<a/>",
            "extra": object(),
        },
        REQUEST,
    )

    assert ("why", 7) == (outcome.note, outcome.matched_rule_id)
    assert "raw" == outcome.request.request_body_mode
    assert "<a/>" == outcome.request.payload
    assert {"a": 1} == REQUEST.payload


def test_retry_seconds():
    """A retry may name its delay; 0 is a delay, None leaves it to the schedule."""

    def seconds(value):
        raw = {"status": "retry", "seconds": value}
        return HandlerOutcome.from_raw(raw, REQUEST).seconds

    assert (0, 2.5, None) == (seconds(0), seconds(2.5), seconds(None))


@pytest.mark.parametrize("value", [-1, True, "60", float("nan"), 1e12, []])
def test_senseless_seconds_are_refused(value):
    """A delay that is not a valid number of seconds within a year is an error."""
    with pytest.raises(ConfigurationError, match="Give a number from 0"):
        HandlerOutcome.from_raw({"status": "retry", "seconds": value}, REQUEST)


def test_senseless_rule_id_is_refused():
    """What can't be stored as a rule's id is an error, not a fault of the database."""
    with pytest.raises(ConfigurationError, match="matched_rule_id"):
        HandlerOutcome.from_raw({"matched_rule_id": "first"}, REQUEST)


def test_a_failing_repr_does_not_hide_the_message():
    """A value that can't even be shown is named by its type."""

    class Broken:
        def __repr__(self):
            raise RuntimeError

    with pytest.raises(ConfigurationError, match="<Broken>"):
        HandlerOutcome.from_raw(Broken(), REQUEST)
