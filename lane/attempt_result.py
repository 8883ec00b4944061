# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The types that a delivery passes through: each step of the lane maps one to the next.

Claimed -> Prepared (request ready to send)  -> AttemptResult
        -> Decided (ended by a handler)      -> AttemptResult
        -> Refused (request can't be built)  -> AttemptResult
        -> Postponed (back in the queue)
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..services.answer_rules import ParsedResponse, judge, take_values
from ..services.http.response import BODY_LIMIT
from ..services.retry import decide_retry
from .clock import as_utc
from .translation import translate


class Claimed(NamedTuple):
    """A row locked for this lane, as the claim read it."""

    id: int
    name: str
    state: str  # before it was claimed
    attempt_count: int
    retry_number: int
    interruption_count: int
    superseded_by: str | None
    due_at: datetime | None = None
    queue_number: int | None = None
    size: int = 0  # bytes of payload and headers as queued
    build_tries: int | None = None  # consecutive builds that ended the worker
    file_size: int | None = None  # bytes of its files as sent; None: not known


@dataclass(eq=False, slots=True)
class Prepared:
    """A request that is ready to be sent."""

    claimed: Claimed
    request: Any  # OutboundRequest
    outcome: Any  # HandlerOutcome
    encoded: Any  # EncodedRequest
    attempt_id: int = 0
    about: tuple = (None, None)  # model and id of the record
    is_known: bool = False  # the record has an external reference
    subject: str | None = None  # the record, if its requests are compared
    request_hash: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return len(self.encoded.body or b"")


@dataclass(eq=False, slots=True)
class Decided:
    """A handler, gate or backend decided the delivery; no request is sent."""

    claimed: Claimed
    request: Any
    outcome: Any


@dataclass(eq=False, slots=True)
class Postponed:
    """Decided on later: an equal request about the same record is in flight."""

    claimed: Claimed
    until: datetime


@dataclass(eq=False, slots=True)
class Refused:
    """The request can't be built, or the handler failed.

    request: None when it failed before there was one
    """

    claimed: Claimed
    reason: str  # build, handler
    error: str
    request: Any = None


# How attempts count for the health of their endpoint. An interrupted one may have
# arrived; a retry that a handler requested, or a cancellation, isn't a failure.
MARKS = {"done": "1", "error": "0", "dead_letter": "0"}


class StoredValues(NamedTuple):
    """Values of a response that are yet to be stored, as kept with the attempt.

    about: model and id of the record of the delivery
    values: pairs of target (a mapping, see `answer_rules.AnswerValue`) and value
    faults: texts on values that could not be taken
    """

    about: tuple
    values: tuple
    faults: tuple

    @classmethod
    def of(cls, taken, about, env):
        """From `TakenValues`; None if there is nothing to store or to report."""
        faults = tuple(translate(env, each) for each in taken.faults)
        return cls(about, taken.values, faults)

    def external_id(self):
        """Scope and id of the external reference in it, None without one."""
        for target, value in self.values:
            if target["kind"] == "external_id":
                return target["scope"], value
        return None


@dataclass(eq=False, slots=True)
class AttemptResult:
    """How an attempt ended and what becomes of the delivery; times are naive UTC."""

    claimed: Claimed
    state: str  # of the delivery
    attempt_state: str
    retry_number: int
    at: datetime
    reason: str | None = None
    next_attempt_at: datetime | None = None
    note: str | None = None
    error: str | None = None
    rule_id: int | None = None
    started_at: datetime | None = None
    duration: float = 0.0  # seconds
    response: Any = None  # HttpResponse
    attempt_id: int = 0
    is_traced: bool = False  # an attempt shows the request, which was not sent
    prepared: Prepared | None = field(default=None, repr=False)
    backoff: float = 0.0  # seconds for which the receiver accepts no request
    taken: Any = None  # `StoredValues` of the response, yet to be stored
    calls_hook: bool = False  # a response hook is yet to be called

    @property
    def is_final(self) -> bool:
        return self.state in ("done", "dead_letter", "canceled")

    @property
    def mark(self) -> str:
        """1 for success, 0 for failure; empty if it says neither."""
        return MARKS.get(self.attempt_state, "")

    @property
    def needs_attention(self) -> bool:
        """A dead letter, or an error without a next attempt."""
        if self.state == "error":
            return self.next_attempt_at is None
        return self.state == "dead_letter"


@dataclass(frozen=True)
class Recorded:
    """What one transaction recorded.

    attempted: all results; `results` are those that were written, since a successor
        owns the others by now
    before, after: state of the circuit
    """

    attempted: list[AttemptResult]
    results: list[AttemptResult]
    before: str
    after: str

    @property
    def circuit_moved(self) -> bool:
        return self.before != self.after

    @property
    def stops_requests(self) -> bool:
        """Whether the target must get none of the requests that wait."""
        if self.circuit_moved:
            return self.after != "closed"
        return any(result.backoff for result in self.attempted)


HANDLER_ATTEMPT_STATES = {
    "done": "done",
    "dead_letter": "dead_letter",
    "cancel": "canceled",
}


def result_of_response(
    prepared: Prepared, response, snapshot, env, now
) -> tuple[AttemptResult, str]:
    """What a response means for its delivery, and the signal for the circuit."""
    policy = {
        "schedule": snapshot.schedule,
        "retry_number": prepared.claimed.retry_number,
        "jitter_factor": random.random(),
        "now": now,
    }
    decision = decide_retry(response, retry_on=snapshot.retry_on, **policy)
    taken, matched = None, ()
    if snapshot.answer is not None and response.status_code is not None:
        parsed = ParsedResponse(response)
        decision, matched = judge(snapshot.answer.rules, parsed, decision, **policy)
        taken = take_values(
            snapshot.answer.values, parsed, decision.state, is_known=prepared.is_known
        )
        response = _shortened(response)
    retried = decision.delay is not None
    note = prepared.outcome.note or None
    notes = [*response.notes, *matched]
    if decision.note:
        notes.append(decision.note)
    if notes:
        said = [translate(env, each) for each in notes]
        note = "\n".join(filter(None, [note, *said]))
    result = AttemptResult(
        claimed=prepared.claimed,
        state=decision.state,
        attempt_state=decision.attempt_state,
        retry_number=prepared.claimed.retry_number + (1 if retried else 0),
        at=as_utc(response.started_at + response.duration),
        reason=decision.failure_reason or None,
        next_attempt_at=now + timedelta(seconds=decision.delay) if retried else None,
        note=note,
        error=translate(env, decision.error) if decision.error else None,
        rule_id=prepared.outcome.matched_rule_id or None,
        started_at=as_utc(response.started_at),
        duration=response.duration,
        response=response,
        attempt_id=prepared.attempt_id,
        prepared=prepared,
        backoff=decision.backoff,
        taken=StoredValues.of(taken, prepared.about, env) if taken else None,
        calls_hook=snapshot.has_response_hook,
    )
    if response.reason == "interrupted":
        _try_again(result, env, now)
    if response.status_code == 401 and snapshot.trust.is_token:
        _renew_token(result, snapshot, env, now)
    return result, decision.circuit


def _shortened(response):
    """The response with the body that is recorded, whatever rules have read."""
    if len(response.body) <= BODY_LIMIT:
        return response
    return replace(response, body=response.body[:BODY_LIMIT], truncated=True)


def _try_again(result, env, now):
    """This server ran out of a resource during the request: no delay is used up."""
    result.state, result.attempt_state = "error", "interrupted"
    result.next_attempt_at = now
    result.note = env._(
        "This server ran out of resources while sending. The target may have "
        "received the request."
    )


def _renew_token(result, snapshot, env, now):
    """The access token was refused: retry once, immediately, with a new one."""
    endpoint = env["bwt.webhook.outbound.endpoint"].browse(snapshot.endpoint_id)
    if not endpoint._renews_token(result.prepared.encoded, result.claimed.id):
        return
    result.state = result.attempt_state = "error"
    result.retry_number = result.claimed.retry_number  # uses up no delay
    result.next_attempt_at = now
    result.error = env._(
        "HTTP 401: the OAuth2 access token was refused. A new one is requested."
    )


def result_of_decision(decided: Decided, snapshot, env, now) -> AttemptResult:
    """The result of a handler's decision: done, dead letter, cancel or retry."""
    claimed, outcome = decided.claimed, decided.outcome
    result = AttemptResult(
        claimed=claimed,
        state=outcome.terminal_state or "error",
        attempt_state=HANDLER_ATTEMPT_STATES.get(outcome.status, "retry"),
        retry_number=claimed.retry_number,
        at=now,
        note=outcome.note or None,
        rule_id=outcome.matched_rule_id or None,
        started_at=now,
    )
    if outcome.status == "dead_letter":
        result.reason = "handler"
        result.error = outcome.note or None
    if not outcome.is_retry:
        return result
    delay = snapshot.schedule.next_delay(claimed.retry_number, jitter_factor=0.0)
    result.reason = "handler"
    if delay is None:
        result.state = result.attempt_state = "dead_letter"
        result.error = env._("The handler requested a retry, but no retry is left.")
        return result
    seconds = outcome.seconds if outcome.seconds is not None else delay
    result.retry_number += 1
    result.next_attempt_at = now + timedelta(seconds=seconds)
    return result


def result_of_refusal(refused: Refused, now) -> AttemptResult:
    """The request can't be built: an error without a next attempt; needs attention."""
    return AttemptResult(
        claimed=refused.claimed,
        state="error",
        attempt_state="error",
        retry_number=refused.claimed.retry_number,
        at=now,
        reason=refused.reason,
        error=refused.error,
        started_at=now,
    )


def result_superseded(claimed, env, now) -> AttemptResult:
    return AttemptResult(
        claimed=claimed,
        state="canceled",
        attempt_state="canceled",
        retry_number=claimed.retry_number,
        at=now,
        note=env._("Superseded by %s.", claimed.superseded_by),
    )
