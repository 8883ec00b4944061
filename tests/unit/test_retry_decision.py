# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a response means."""

from datetime import datetime

import pytest

from services.errors import Message
from services.http.response import HttpResponse
from services.retry import RetrySchedule, StatusSet, decide_retry

NOW = datetime(2024, 5, 1, 12, 0, 0)
SCHEDULE = RetrySchedule((10, 20))
RETRY_ON = StatusSet.parse("408,425,429,500-599")


def decision(response, retry_number=0, schedule=SCHEDULE, retry_on=RETRY_ON):
    return decide_retry(
        response,
        schedule=schedule,
        retry_on=retry_on,
        retry_number=retry_number,
        jitter_factor=0,
        now=NOW,
    )


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_done(status):
    """Every 2xx is a success for delivery and circuit."""
    result = decision(HttpResponse(status))

    assert (
        "done",
        "done",
        "success",
    ) == (result.state, result.attempt_state, result.circuit)
    assert (
        None,
        "",
        None,
        None,
    ) == (result.delay, result.failure_reason, result.error, result.note)


@pytest.mark.parametrize(
    "status, value, backoff",
    [
        (429, "60", 60),
        (503, "60", 60),
        (503, "86400", 3600),
        (429, "1714564860", 60),
        (429, None, 0),
        (500, "60", 0),
        (408, "60", 0),
        (200, "60", 0),
    ],
)
@pytest.mark.parametrize("retry_on", [RETRY_ON, StatusSet()])
def test_retry_after_pauses_the_endpoint(status, value, backoff, retry_on):
    """429 and 503 concern the receiver: it accepts no other delivery either."""
    headers = (("Retry-After", value),) if value else ()

    assert backoff == decision(HttpResponse(status, headers), retry_on=retry_on).backoff


@pytest.mark.parametrize("reason", ["", "connect", "timeout", "response"])
def test_2xx_with_a_broken_body_is_done_with_a_note(reason):
    """The receiver has taken it: sending again would make a duplicate."""
    result = decision(HttpResponse(200, broken=True, reason=reason))

    assert ("done", "success") == (result.state, result.circuit)
    assert "interrupted" in str(result.note)


@pytest.mark.parametrize(
    "status, state, reason, circuit",
    [
        (100, "dead_letter", "response", "ignore"),
        (301, "dead_letter", "redirect", "ignore"),
        (304, "dead_letter", "redirect", "ignore"),
        (400, "dead_letter", "http_4xx", "ignore"),
        (401, "dead_letter", "http_4xx", "ignore"),
        (404, "dead_letter", "http_4xx", "ignore"),
        (408, "error", "http_4xx", "failure"),
        (410, "dead_letter", "http_4xx", "open"),
        (425, "error", "http_4xx", "ignore"),
        (429, "error", "http_4xx", "failure"),
        (500, "error", "http_5xx", "failure"),
        (503, "error", "http_5xx", "failure"),
        (999, "dead_letter", "http_5xx", "failure"),
    ],
)
def test_statuses(status, state, reason, circuit):
    """Statuses worth a retry wait for it, all others fail permanently at once."""
    result = decision(HttpResponse(status))

    assert (state, state) == (result.state, result.attempt_state)
    assert (reason, circuit) == (result.failure_reason, result.circuit)
    assert (10 if state == "error" else None) == result.delay
    assert f"HTTP {status}" in str(result.error)


@pytest.mark.parametrize(
    "reason, state, circuit",
    [
        ("dns", "error", "failure"),
        ("connect", "error", "failure"),
        ("tls", "error", "failure"),
        ("timeout", "error", "failure"),
        ("response", "error", "failure"),
        ("egress", "dead_letter", "ignore"),
        ("build", "dead_letter", "ignore"),
        ("handler", "dead_letter", "ignore"),
    ],
)
def test_reasons(reason, state, circuit):
    """Failures of the network are retried and count, refusals of our own don't."""
    result = decision(HttpResponse(reason=reason))

    assert (
        state,
        reason,
        circuit,
    ) == (result.state, result.failure_reason, result.circuit)
    assert str(result.error)


def test_the_message_of_the_sender_is_kept():
    """What the sender said about the failure is what a user reads."""
    error = Message("no address for %(host)s", {"host": "shop.example"})

    assert error == decision(HttpResponse(reason="dns", error=error)).error


def test_the_status_of_a_malformed_response_does_not_count():
    """A flood of headers after "200 OK" isn't a success."""
    result = decision(HttpResponse(200, reason="response"))

    assert ("error", "response") == (result.state, result.failure_reason)


def test_used_up_schedule_ends_in_dead_letter():
    """After the last retry it is over, and the note says how often it was tried."""
    assert 20 == decision(HttpResponse(503), retry_number=1).delay

    result = decision(HttpResponse(503), retry_number=2)

    assert ("dead_letter", None) == (result.state, result.delay)
    assert "All 3 attempts are used up." == str(result.note)


def test_empty_schedule_means_no_retry():
    """Without delays the first failure is the last."""
    result = decision(HttpResponse(reason="timeout"), schedule=RetrySchedule(()))

    assert ("dead_letter", None) == (result.state, result.note)


@pytest.mark.parametrize(
    "value, delay",
    [("5", 10), ("60", 60), ("Wed, 01 May 2024 12:05:00 GMT", 300), ("999999", 86400)],
)
def test_retry_after(value, delay):
    """Retry-After lengthens the delay, up to a day, and never shortens it."""
    assert delay == decision(HttpResponse(429, headers=(("retry-after", value),))).delay


def test_410_is_final_whatever_the_setting():
    """Gone is gone, also where all 4xx are to be retried."""
    result = decision(HttpResponse(410), retry_on=StatusSet.parse("400-499"))

    assert ("dead_letter", "open") == (result.state, result.circuit)


def test_a_redirect_names_where_to_without_secrets():
    """The message has the new address, its credentials masked."""
    location = "https://new.example/in?token=s3cret"
    result = decision(HttpResponse(302, headers=(("Location", location),)))

    assert "https://new.example/in?token=***" in str(result.error)
    assert "endpoint" in str(decision(HttpResponse(302)).error)
