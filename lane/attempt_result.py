# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a delivery is on its way: each stage of the lane takes one and gives the next.

Claimed -> Prepared -> (request out) -> Ending
        -> Decided (a handler said so)   -> Ending
        -> Refused (it can't be built)   -> Ending
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ..services.retry import judge


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
    build_tries: int | None = None  # builds in a row that ended with the worker


@dataclass(eq=False, slots=True)
class Prepared:
    """A request ready to leave."""

    claimed: Claimed
    request: Any  # OutboundRequest
    outcome: Any  # HandlerOutcome
    wire: Any  # WireRequest
    attempt_id: int = 0


@dataclass(eq=False, slots=True)
class Decided:
    """A handler, gate or backend ended it before a byte left."""

    claimed: Claimed
    request: Any
    outcome: Any


@dataclass(eq=False, slots=True)
class Refused:
    """It can't be built or decided; `request` where it got that far."""

    claimed: Claimed
    reason: str  # build, handler
    error: str
    request: Any = None


@dataclass(eq=False, slots=True)
class Ending:
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
    answer: Any = None  # Answer
    attempt_id: int = 0
    prepared: Prepared | None = field(default=None, repr=False)
    hold: float = 0.0  # seconds for which the receiver wants no request at all

    @property
    def is_final(self) -> bool:
        return self.state in ("done", "dead_letter", "canceled")

    @property
    def needs_person(self) -> bool:
        """Given up, or failed without another attempt to come."""
        if self.state == "error":
            return self.next_attempt_at is None
        return self.state == "dead_letter"


HANDLER_ATTEMPT_STATES = {
    "done": "done",
    "dead_letter": "dead_letter",
    "cancel": "canceled",
}


def ending_of_answer(prepared: Prepared, answer, plan, env, now) -> tuple[Ending, str]:
    """What an answer means for its delivery, and for the circuit."""
    verdict = judge(
        answer,
        schedule=plan.schedule,
        retry_on=plan.retry_on,
        retry_number=prepared.claimed.retry_number,
        luck=random.random(),
        now=now,
    )
    retried = verdict.delay is not None
    note = prepared.outcome.note or None
    notes = [*answer.notes, verdict.note] if verdict.note else answer.notes
    if notes:
        said = [_say(env, each) for each in notes]
        note = "\n".join(filter(None, [note, *said]))
    ending = Ending(
        claimed=prepared.claimed,
        state=verdict.state,
        attempt_state=verdict.attempt_state,
        retry_number=prepared.claimed.retry_number + (1 if retried else 0),
        at=as_utc(answer.started_at + answer.duration),
        reason=verdict.failure_reason or None,
        next_attempt_at=now + timedelta(seconds=verdict.delay) if retried else None,
        note=note,
        error=_say(env, verdict.error) if verdict.error else None,
        rule_id=prepared.outcome.matched_rule_id or None,
        started_at=as_utc(answer.started_at),
        duration=answer.duration,
        answer=answer,
        attempt_id=prepared.attempt_id,
        prepared=prepared,
        hold=verdict.hold,
    )
    if answer.reason == "interrupted":
        _try_again(ending, env, now)
    if answer.status_code == 401 and plan.trust.is_token:
        _renew_token(ending, plan, env, now)
    return ending, verdict.circuit


def _try_again(ending, env, now):
    """This server ran short while the request was under way: that uses up no delay."""
    ending.state, ending.attempt_state = "error", "interrupted"
    ending.next_attempt_at = now
    ending.note = env._(
        "This server ran out of resources while sending. The target may have "
        "received the request."
    )


def _renew_token(ending, plan, env, now):
    """A token was refused: the delivery goes once more, at once, with a new one."""
    endpoint = env["bwt.webhook.outbound.endpoint"].browse(plan.endpoint_id)
    if not endpoint._renews_token(ending.prepared.wire, ending.claimed.id):
        return
    ending.state = ending.attempt_state = "error"
    ending.retry_number = ending.claimed.retry_number  # uses up no delay
    ending.next_attempt_at = now
    ending.error = env._(
        "HTTP 401: the OAuth2 access token was refused. A new one is requested."
    )


def ending_of_decision(decided: Decided, plan, env, now) -> Ending:
    """A handler's done, dead letter, cancel or retry."""
    claimed, outcome = decided.claimed, decided.outcome
    ending = Ending(
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
        ending.reason = "handler"
        ending.error = outcome.note or None
    if not outcome.is_retry:
        return ending
    delay = plan.schedule.next_delay(claimed.retry_number, luck=0.0)
    ending.reason = "handler"
    if delay is None:
        ending.state = ending.attempt_state = "dead_letter"
        ending.error = env._("The handler requested a retry, but no retry is left.")
        return ending
    seconds = outcome.seconds if outcome.seconds is not None else delay
    ending.retry_number += 1
    ending.next_attempt_at = now + timedelta(seconds=seconds)
    return ending


def ending_of_refusal(refused: Refused, now) -> Ending:
    """It can't be built: an error without a date, for a person."""
    return Ending(
        claimed=refused.claimed,
        state="error",
        attempt_state="error",
        retry_number=refused.claimed.retry_number,
        at=now,
        reason=refused.reason,
        error=refused.error,
        started_at=now,
    )


def ending_superseded(claimed, env, now) -> Ending:
    return Ending(
        claimed=claimed,
        state="canceled",
        attempt_state="canceled",
        retry_number=claimed.retry_number,
        at=now,
        note=env._("Superseded by %s.", claimed.superseded_by),
    )


def as_utc(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, timezone.utc).replace(tzinfo=None)


def _say(env, text) -> str:
    template, values = text
    return env._(template, **values)  # pylint: disable=W8301
