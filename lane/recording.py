# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The trace of a request: attempt rows, written in bulk before and after it."""

import json
import logging
from dataclasses import replace

from ..services.errors import _lt
from ..services.headers import joined
from ..services.masking import mask_headers, mask_text, mask_url, url_secrets
from ..services.shortage import Shortage
from ..services.values import storable_text
from . import sql
from .attempt_result import Ending, Prepared, Refused, ending_of_refusal
from .pacing import pages
from .savepoint import lost_race

PAGE = 500
TRUNCATED = "\n[... cut: the answer was longer]"
_dumps = json.JSONEncoder(ensure_ascii=False).encode


def open_attempts(cr, plan, prepared: list[Prepared], holder, slot, now):
    """Mark what goes out and leave its trace; to be committed before a byte leaves."""
    if not prepared:
        return
    ids = [each.claimed.id for each in prepared]
    cr.execute(sql.hold(ids, holder, slot, now, attempts=1))
    attempt_ids = {}
    for page in pages(prepared, _body_size, count=PAGE):
        rows = [_attempt_row(plan, each) for each in page]
        found = _insert_attempts(cr, plan, rows, holder, now)
        attempt_ids.update((delivery_id, each_id) for each_id, delivery_id in found)
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
        },
    )
    return cr.execute_values(
        sql.OPEN_ATTEMPTS_VALUES,
        rows,
        template=template.decode(),
        page_size=PAGE,
        fetch=True,
    )


def _body_size(prepared: Prepared) -> int:
    return len(prepared.wire.body or b"")


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
    payload = request.raw("payload")
    if isinstance(payload, str):
        return payload
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "replace")
    return _dumps(payload)


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
        storable_text(url),
        storable_text(headers),
        storable_text(payload),
        files and storable_text(files),
        note and storable_text(note),
        error and storable_text(error),
        reason,
    )


def _decision_row(plan, request, ending, now):
    return _row(
        plan,
        ending.claimed,
        state=ending.attempt_state,
        finished_at=now,
        method=request.http_method,
        body_mode=request.request_body_mode,
        url=mask_url(request.target_url or "-"),
        headers=_dumps(mask_headers(request.raw("headers"))),
        payload=_payload_text(request, None),
        files=request.multipart_file_keys_label or None,
        note=ending.note,
        error=ending.error,
        reason=ending.reason,
    )


def _row_size(row) -> int:
    return sum(len(value) for value in row if isinstance(value, str))


def trace_decisions(cr, plan, traced: list[tuple], holder, now):
    """Rows for requests that a decision or a refusal ended: (request, Ending)."""
    rows = (_decision_row(plan, *each, now) for each in traced)
    for page in pages(rows, _row_size, count=PAGE):
        _insert_attempts(cr, plan, page, holder, now)


def response_values(answer, secrets):
    """Status, headers and body of an answer as they are stored: secrets masked."""
    if answer is None or answer.status_code is None:
        return None, None, None
    body = answer.text + (TRUNCATED if answer.truncated else "")
    headers = _dumps(joined(mask_headers(answer.headers)))
    if secrets:
        headers, body = (mask_text(text, secrets) for text in (headers, body))
    return answer.status_code, storable_text(headers), storable_text(body)


def close_attempts(cr, closed: list[tuple], *, hooks_follow=False):
    """Write how attempts ended: (Ending, values of its answer).

    :param hooks_follow: leave a mark that the response hook is yet to be called
    """
    if closed:
        hook_try = 1 if hooks_follow else None
        cr.execute_values(
            sql.CLOSE_ATTEMPTS_VALUES,
            [_attempt_values(*each, hook_try) for each in closed],
            template=sql.CLOSE_ATTEMPTS_TEMPLATE,
            page_size=PAGE,
        )


def _attempt_values(ending, answer, hook_try):
    has_response = answer[0] is not None
    return (
        ending.attempt_id,
        ending.attempt_state,
        ending.reason,
        ending.started_at,
        ending.at,
        round(ending.duration * 1000),
        *answer,
        ending.note and storable_text(ending.note),
        ending.error and storable_text(ending.error),
        hook_try if has_response else None,
    )


_logger = logging.getLogger(__name__)

NOT_STORED = _lt("The database refused parts of the result: %(error)s")
NOT_RECORDED = _lt(
    "The request was sent and the result was %(state)s (HTTP status: %(status)s), "
    "but the database refuses to store that: %(error)s Check triggers and "
    "constraints. It is not retried automatically."
)
NOT_OPENED = _lt("The request cannot be stored as an attempt: %(error)s")
NOT_CONCLUDED = _lt("The database refuses to store the result %(state)s: %(error)s")


def record(
    cr, endings: list[Ending], holder: str, now, secrets=(), *, hooks_follow=False
) -> list[Ending]:
    """Write results: deliveries this job still holds, and their attempts.

    :param secrets: masked in all that is written
    :param hooks_follow: response hooks are called in a later transaction
    Gives the endings that were written; the others belong to a successor by now.
    """
    if not endings:
        return []
    answers = [
        response_values(ending.answer, _secrets_of(ending, secrets))
        for ending in endings
    ]
    _mask(endings, secrets)
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
        (ending, answer)
        for ending, answer in zip(endings, answers, strict=True)
        if ending.attempt_id and ending.claimed.id in mine
    ]
    close_attempts(cr, closed, hooks_follow=hooks_follow)
    return [ending for ending in endings if ending.claimed.id in mine]


def record_singly(
    env, endings: list[Ending], holder: str, now, secrets=(), *, hooks_follow=False
) -> list[Ending]:
    """The same one by one, after the database refused all of them together.

    A result that cannot be stored keeps its state and loses its texts, with a note that
    names the error; where that is refused too, the delivery waits in error.
    """
    written = []
    for ending in endings:
        written += _record_one(env, ending, holder, now, secrets, hooks_follow)
    return written


def _record_one(env, ending, holder, now, secrets, hooks_follow) -> list[Ending]:
    error, tried = None, ending
    for reduce in (_without_texts, _in_error, _without_attempt, None):
        try:
            with env.cr.savepoint(flush=False):
                written = record(
                    env.cr, [tried], holder, now, secrets, hooks_follow=hooks_follow
                )
            # Hooks get the answer as it came.
            return [
                replace(each, answer=ending.answer, attempt_id=ending.attempt_id)
                for each in written
            ]
        except Exception as refusal:
            if env.cr.closed or lost_race(refusal):
                raise
            error = error or refusal
        tried = reduce and reduce(env, ending, error)
    _logger.error(
        "result not recorded delivery=%s state=%s: %s",
        ending.claimed.id,
        ending.state,
        error,
    )
    return []


def _without_texts(env, ending, error):
    said = env._(NOT_STORED, error=_message(error))  # pylint: disable=W8301
    answer = ending.answer and replace(ending.answer, headers=(), body=b"")
    return replace(ending, answer=answer, rule_id=None, note=said)


def _in_error(env, ending, error):
    reduced = _without_texts(env, ending, error)
    status = ending.answer.status_code if ending.answer else None
    said = env._(  # pylint: disable=W8301
        NOT_RECORDED, state=ending.state, status=status or "-", error=_message(error)
    )
    return replace(
        reduced,
        state="error",
        attempt_state="error",
        next_attempt_at=None,
        note=None,
        error=said,
    )


def _without_attempt(env, ending, error):
    return replace(_in_error(env, ending, error), attempt_id=0)


def _message(error) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"


def _secrets_of(ending, secrets):
    """What to mask, with the secret query values of the request that was sent."""
    url = ending.prepared.wire.url if ending.prepared else ""
    return (*secrets, *url_secrets(url)) if "?" in url else secrets


def _mask(endings, given):
    for ending in endings:
        secrets = _secrets_of(ending, given)
        if not secrets:
            continue
        ending.note = ending.note and mask_text(ending.note, secrets)
        ending.error = ending.error and mask_text(ending.error, secrets)


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
        ending.note and storable_text(ending.note),
        ending.error and storable_text(ending.error),
        ending.rule_id,
        now,
    )


def open_or_refuse(env, plan, prepared, holder, slot, now) -> tuple[list, int]:
    """Leave the trace of what is sent next; to be committed before a byte leaves.

    :return: what may be sent, and the number of those whose request can't be stored
    """
    if not prepared:
        return [], 0
    try:
        with env.cr.savepoint(flush=False):
            open_attempts(env.cr, plan, prepared, holder, slot, now)
        return prepared, 0
    except Exception as error:
        if env.cr.closed or lost_race(error):
            raise
        if len(prepared) == 1:
            shortage = Shortage.of(error)
            if shortage:
                shortage.delivery_id = prepared[0].claimed.id
                raise shortage from error
            _refuse(env, plan, prepared[0].claimed, error, holder, now)
            return [], 1
    opened, refused = [], 0
    for each in prepared:
        more, failed = open_or_refuse(env, plan, [each], holder, slot, now)
        opened += more
        refused += failed
    return opened, refused


def _refuse(env, plan, claimed, error, holder, now):
    _logger.warning("attempt refused delivery=%s", claimed.id, exc_info=error)
    said = env._(NOT_OPENED, error=_message(error))  # pylint: disable=W8301
    refused = Refused(claimed, "build", said)
    conclude(env, plan, [refused], [ending_of_refusal(refused, now)], holder, now)


def conclude(env, plan, stages, endings, holder, now) -> list[Ending]:
    """Record what ended before a byte left: decisions, refusals, the superseded.

    Where a request existed an attempt row tells what would have gone out. What the
    database refuses to store becomes an error of that delivery alone.
    """
    try:
        with env.cr.savepoint(flush=False):
            return _conclude(env.cr, plan, stages, endings, holder, now)
    except Exception as error:
        if env.cr.closed or lost_race(error):
            raise
        if len(endings) == 1:
            return _conclude_refused(env, plan, endings[0], error, holder, now)
    written = []
    for stage, ending in zip(stages, endings, strict=True):
        written += conclude(env, plan, [stage], [ending], holder, now)
    return written


def _conclude_refused(env, plan, ending, error, holder, now):
    _logger.warning("result refused delivery=%s", ending.claimed.id, exc_info=error)
    said = env._(  # pylint: disable=W8301
        NOT_CONCLUDED, state=ending.state, error=_message(error)
    )
    refused = Refused(ending.claimed, ending.reason or "handler", said)
    endings = [ending_of_refusal(refused, now)]
    return _conclude(env.cr, plan, [refused], endings, holder, now)


def _conclude(cr, plan, stages, endings, holder, now) -> list[Ending]:
    secrets = plan.trust.secrets
    _mask(endings, secrets)
    traced = [
        (stage.request, ending)
        for stage, ending in zip(stages, endings, strict=True)
        if getattr(stage, "request", None) is not None
    ]
    traced_ids = [ending.claimed.id for _request, ending in traced]
    others = [each.claimed.id for each in endings if each.claimed.id not in traced_ids]
    if traced:
        cr.execute(sql.hold(traced_ids, holder, None, now, attempts=1))
        trace_decisions(cr, plan, traced, holder, now)
    if others:
        cr.execute(sql.hold(others, holder, None, now, attempts=0))
    return record(cr, endings, holder, now, secrets)
