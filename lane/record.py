# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Attempts opened and closed, results written: in bulk, all that the ORM would write."""

import json
import random
from datetime import UTC, datetime, timedelta

from ..services.masking import mask_headers, mask_text, mask_url
from ..services.verdict import judge
from . import sql
from .stages import Decided, Ending, Prepared, Refused

PAGE = 500
_dumps = json.JSONEncoder(ensure_ascii=False).encode
TRUNCATED = "\n[... cut: the answer was longer]"
HANDLER_ATTEMPT_STATES = {"done": "done", "dead_letter": "dead_letter", "cancel": "canceled"}


def as_utc(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None)


# Endings ------------------------------------------------------------------------------


def ending_of_answer(prepared: Prepared, answer, plan, env, now) -> tuple[Ending, str]:
    """What an answer means for its delivery, and for the circuit."""
    verdict = judge(
        answer,
        schedule=plan.schedule,
        retry_on=plan.retry_on,
        retry_number=prepared.claimed.retry_number,
        luck=random.random(),  # noqa: S311  spreads retries, guards nothing
        now=now,
    )
    retried = verdict.delay is not None
    note = prepared.outcome.note or None
    if verdict.note:
        note = "\n".join(filter(None, [note, _say(env, verdict.note)]))
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
    )
    return ending, verdict.circuit


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


# Attempts -----------------------------------------------------------------------------


def open_attempts(cr, plan, prepared: list[Prepared], holder, slot, now):
    """Mark what goes out and leave its trace; to be committed before a byte leaves."""
    if not prepared:
        return
    ids = [each.claimed.id for each in prepared]
    cr.execute(sql.hold(ids, holder, slot, now, attempts=1))
    rows = [_attempt_row(plan, each) for each in prepared]
    found = _insert_attempts(cr, plan, rows, holder, now)
    attempt_ids = {delivery_id: attempt_id for attempt_id, delivery_id in found}
    for each in prepared:
        each.attempt_id = attempt_ids[each.claimed.id]


def _insert_attempts(cr, plan, rows, holder, now):
    template = cr.mogrify(
        sql.OPEN_ATTEMPTS_TEMPLATE,
        {
            "endpoint": plan.endpoint_id,
            "company": plan.company_id,
            "holder": holder,
            "now": now,
            "uid": sql.SUPERUSER,
        },
    )
    return cr.execute_values(
        sql.OPEN_ATTEMPTS_VALUES,
        rows,
        template=template.decode(),
        page_size=PAGE,
        fetch=True,
    )


def _attempt_row(plan, prepared: Prepared):
    wire, request = prepared.wire, prepared.request
    return _row(
        plan,
        prepared.claimed,
        state="processing",
        method=request.http_method,
        body_mode=request.request_body_mode,
        url=mask_url(wire.url),
        headers=_dumps(dict(mask_headers(wire.headers))),
        payload=_payload_text(request, wire.body),
        files=request.multipart_file_keys_label or None,
    )


def _payload_text(request, body: bytes | None) -> str:
    if request.request_body_mode == "json" and body is not None:
        return body.decode()
    if isinstance(request.payload, (str, bytes)):
        text = request.payload
        return text if isinstance(text, str) else text.decode("utf-8", "replace")
    return _dumps(request.payload)


def _row(
    plan,
    claimed,
    *,
    state,
    method,
    body_mode,
    url,
    headers,
    payload,
    files,
    finished_at=None,
    note=None,
    error=None,
    reason=None,
):
    secrets = plan.trust.secrets
    if secrets:
        url, headers, payload = (
            mask_text(text, secrets) for text in (url, headers, payload)
        )
    number = claimed.attempt_count + 1
    return (
        claimed.id,
        f"{claimed.name} / Attempt {number}",
        number,
        state,
        finished_at,
        method,
        body_mode,
        url,
        headers,
        payload.replace("\x00", "\ufffd"),
        files,
        note,
        error,
        reason,
    )


def conclude(cr, plan, stages, endings, holder, now) -> list[Ending]:
    """Record what ended before a byte left: decisions, refusals, the superseded.

    Where a request existed an attempt row tells what would have gone out.
    """
    traced = [
        (stage.request, ending)
        for stage, ending in zip(stages, endings, strict=True)
        if getattr(stage, "request", None) is not None
    ]
    traced_ids = [ending.claimed.id for _request, ending in traced]
    others = [each.claimed.id for each in endings if each.claimed.id not in traced_ids]
    if traced:
        cr.execute(sql.hold(traced_ids, holder, None, now, attempts=1))
        rows = [_decision_row(plan, *each, now) for each in traced]
        _insert_attempts(cr, plan, rows, holder, now)
    if others:
        cr.execute(sql.hold(others, holder, None, now, attempts=0))
    return record(cr, endings, holder, now)


def _decision_row(plan, request, ending, now):
    return _row(
        plan,
        ending.claimed,
        state=ending.attempt_state,
        finished_at=now,
        method=request.http_method,
        body_mode=request.request_body_mode,
        url=mask_url(request.target_url or "-"),
        headers=_dumps(mask_headers(request.headers)),
        payload=_payload_text(request, None),
        files=request.multipart_file_keys_label or None,
        note=ending.note,
        error=ending.error,
        reason=ending.reason,
    )


# Results ------------------------------------------------------------------------------


def record(cr, endings: list[Ending], holder: str, now) -> list[Ending]:
    """Write results: deliveries this job still holds, and their attempts.

    Gives the endings that were written; the others belong to a successor by now.
    """
    if not endings:
        return []
    answers = [_response(ending.answer) for ending in endings]
    mine = cr.execute_values(
        sql.RECORD_DELIVERIES_VALUES,
        [
            _delivery_values(ending, answer, holder, now)
            for ending, answer in zip(endings, answers, strict=True)
        ],
        template=sql.RECORD_DELIVERIES_TEMPLATE,
        page_size=PAGE,
        fetch=True,
    )
    mine = {row[0] for row in mine}
    closed = [
        _attempt_values(ending, answer)
        for ending, answer in zip(endings, answers, strict=True)
        if ending.attempt_id and ending.claimed.id in mine
    ]
    if closed:
        cr.execute_values(
            sql.CLOSE_ATTEMPTS_VALUES,
            closed,
            template=sql.CLOSE_ATTEMPTS_TEMPLATE,
            page_size=PAGE,
        )
    return [ending for ending in endings if ending.claimed.id in mine]


def _response(answer):
    """Status, headers and body of an answer as they are stored."""
    if answer is None or answer.status_code is None:
        return None, None, None
    body = answer.text + (TRUNCATED if answer.truncated else "")
    headers = _dumps(dict(mask_headers(answer.headers)))
    return answer.status_code, headers, body


def _delivery_values(ending, answer, holder, now):
    status, headers, body = answer
    return (
        ending.claimed.id,
        holder,
        ending.state,
        ending.reason,
        ending.next_attempt_at,
        ending.retry_number,
        ending.at if ending.is_final else None,
        status,
        headers,
        body,
        ending.note,
        ending.error,
        ending.rule_id,
        now,
    )


def _attempt_values(ending, answer):
    return (
        ending.attempt_id,
        ending.attempt_state,
        ending.reason,
        ending.started_at,
        ending.at,
        round(ending.duration * 1000),
        *answer,
        ending.note,
        ending.error,
    )


def _say(env, text) -> str:
    template, values = text
    return env._(template, **values)  # pylint: disable=W8301
