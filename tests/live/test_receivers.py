# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Receivers that misbehave: each delivery ends as documented, on time, alone."""

import itertools
import time
from dataclasses import dataclass, field

import pytest
from certificates import Authority
from stage import wait_until

from receiver import (
    Receiver,
    close,
    cut,
    drip,
    flood,
    garbage,
    hold,
    huge,
    redirect,
    reset,
    status,
    throttle,
)

pytestmark = pytest.mark.usefixtures("house_server")
TIMEOUT = 1  # seconds, of every endpoint here
RETRIES = "1s"  # one retry: two attempts


@dataclass(frozen=True)
class Fault:
    """What a receiver does, and how a delivery to it must end."""

    responses: tuple  # one per request, the last one stays
    state: str = "dead_letter"
    reason: str | None = None
    attempts: tuple = ("error", "dead_letter")
    at_least: float = 0  # seconds between the first two requests
    more: dict = field(default_factory=dict)  # of the endpoint


DONE_AT_ONCE = {"state": "done", "attempts": ("done",)}
DONE_LATER = {"state": "done", "attempts": ("error", "done")}

FAULTS = {
    "silent": Fault((hold(),), reason="timeout"),
    "closes": Fault((close(),), reason="connect"),
    "resets": Fault((reset(),), reason="connect"),
    "resets-in-head": Fault((reset(b"HTTP/1.1 200 OK\r\nX-Half: "),), reason="connect"),
    "drips-header": Fault((drip("header", interval=0.2),), reason="timeout"),
    "garbage": Fault((garbage(),), reason="response"),
    "flood-of-headers": Fault((flood(),), reason="response"),
    "one-gigabyte": Fault((huge(),), **DONE_AT_ONCE),
    "cut-body": Fault((cut(200),), **DONE_AT_ONCE),
    "redirects": Fault((redirect(),), reason="redirect", attempts=("dead_letter",)),
    "not-found": Fault((status(404),), reason="http_4xx", attempts=("dead_letter",)),
    "gone": Fault((status(410),), reason="http_4xx", attempts=("dead_letter",)),
    "throttles": Fault((status(429), status(200)), **DONE_LATER, at_least=1),
    "throttles-3s": Fault((throttle(3), status(200)), **DONE_LATER, at_least=3),
    "down-for-a-while": Fault(
        (status(503), status(503), status(200)),
        state="done",
        attempts=("error", "error", "done"),
        more={"retry_schedule": "1s,1s,1s"},
    ),
    "down-for-good": Fault((status(503),), reason="http_5xx"),
}


def test_each_fault_ends_as_documented(house, receiver):
    """All faults at once, and a healthy endpoint beside them that doesn't notice.

    A fault that is taken for another keeps a delivery for days, or dead-letters it; one
    that hangs a lane holds up strangers.
    """
    for code, fault in FAULTS.items():
        receiver.script(f"/{code}", *fault.responses)
        policy = {"timeout_seconds": TIMEOUT, "retry_schedule": RETRIES, **fault.more}
        house.endpoint(code, receiver.url, f"/{code}", **policy)
    house.endpoint("healthy", receiver.url, "/healthy")

    house.caller.run(
        "for code in codes:\n    endpoint(code).queue_delivery({'code': code})",
        codes=list(FAULTS),
    )
    _offer(house, receiver, "healthy", seconds=5)
    for code in FAULTS:
        house.wait_for_end(code)

    amiss = [
        line for code, fault in FAULTS.items() for line in _amiss(house, receiver, code)
    ]
    assert not amiss
    assert {"done"} == set(house.states("healthy"))


def _offer(house, receiver, code, seconds):
    """Queue one delivery after the other for a while, each when the last arrived."""
    until, queued = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        house.queue(code)
        queued += 1
        receiver.wait_for_requests(queued, path=f"/{code}")


def _amiss(house, receiver, code):
    """Sentences on how a delivery ended otherwise than documented."""
    fault, delivery = FAULTS[code], house.delivery(code)
    expected = {
        "state": fault.state,
        "failure_reason": fault.reason,
        "attempts": list(fault.attempts),
        "requests": len(fault.attempts),
    }
    requests = receiver.requests_to(f"/{code}")
    attempts = house.attempts(code)
    seen = {
        "state": delivery["state"],
        "failure_reason": delivery["failure_reason"],
        "attempts": [attempt["state"] for attempt in attempts],
        "requests": len(requests),
    }
    if expected != seen:
        yield f"{code}: {seen} instead of {expected}: {delivery['processing_error']}"
    gaps = [after.time - before.time for before, after in itertools.pairwise(requests)]
    if gaps and gaps[0] < fault.at_least:
        yield f"{code}: {gaps[0]:.1f} s between the first two requests"


def test_body_that_drips_is_cut_at_the_deadline(house, receiver, code):
    """A body sent one byte at a time holds its place for `timeout_seconds`, no more."""
    receiver.script("/", drip("body", interval=0.2), status(200))
    house.endpoint(code, receiver.url, timeout_seconds=1, retry_schedule="1s")

    house.queue(code)

    house.wait_for_states(code, done=1)  # the whole body would take half an hour
    assert 1 == receiver.total
    assert house.attempts(code)[0]["processing_note"]


def test_410_closes_the_endpoint(house, receiver, code):
    """After 410 Gone nothing is sent until a user closes the circuit."""
    receiver.script("/", status(410), status(200))
    house.endpoint(code, receiver.url, max_in_flight=1)
    house.queue(code)
    house.wait_for_states(code, dead_letter=1)

    house.queue(code, 2)
    house.wait_for_idle(code)
    assert ("manual", 1) == (house.health(code)["circuit_state"], receiver.total)

    house.press(code, "action_reset_circuit")
    house.wait_for_states(code, dead_letter=1, done=2)
    assert "closed" == house.health(code)["circuit_state"]


def test_refused_connection(house, code):
    """Nobody listens: tried again by the schedule; a receiver that is back gets it."""
    receiver = Receiver().start()
    receiver.stop()
    house.endpoint(code, receiver.url, retry_schedule="1s,1s,1s,1s,1s,1s")

    [uid] = house.queue(code)
    wait_until(
        lambda: "error" in house.attempt_states(code),
        what="failed attempt",
        instead=lambda: house.account(code),
    )
    with receiver:
        house.wait_for_states(code, done=1)

    assert {uid: 1} == receiver.counts()
    assert {"connect"} == {
        attempt["failure_reason"]
        for attempt in house.attempts(code)
        if attempt["state"] == "error"
    }


def test_untrusted_certificate(house, code, tmp_path):
    """An untrusted certificate: no request is sent, reason tls."""
    certificate = tmp_path / "server.pem"
    certificate.write_text(Authority(tmp_path).issue("127.0.0.1"))
    with Receiver(certificate=certificate) as receiver:
        house.endpoint(code, receiver.url, retry_schedule="1s")

        house.queue(code)

        house.wait_for_states(code, dead_letter=1)
        assert ("tls", 0) == (house.delivery(code)["failure_reason"], receiver.total)
