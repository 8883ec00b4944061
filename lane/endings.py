# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an attempt ended: from answers, decisions and refusals to values to write."""

import random
from datetime import datetime, timedelta, timezone

from ..services.verdict import judge
from .stages import Decided, Ending, Prepared, Refused

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
    ending.note = env._("This server ran short while it sent; the target may have it.")


def _renew_token(ending, plan, env, now):
    """A token was refused: the delivery goes once more, at once, with a new one."""
    endpoint = env["bwt.webhook.outbound.endpoint"].browse(plan.endpoint_id)
    if not endpoint._renews_token(ending.prepared.wire, ending.claimed.id):
        return
    ending.state = ending.attempt_state = "error"
    ending.retry_number = ending.claimed.retry_number  # uses up no delay
    ending.next_attempt_at = now
    ending.error = env._("HTTP 401: the OAuth2 token was refused. A new one is tried.")


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
        ending.error = env._("The handler asked for a retry, and no delay is left.")
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
