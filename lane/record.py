# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Results written in bulk: all that the ORM would write, behind a fence."""

import logging
from dataclasses import replace

from ..services.errors import _lt
from ..services.masking import mask_text, url_secrets
from ..services.shortage import Shortage
from ..services.values import storable_text
from . import sql
from .attempts import (
    PAGE,
    close_attempts,
    open_attempts,
    response_values,
    trace_decisions,
)
from .endings import ending_of_refusal
from .savepoint import lost_race
from .stages import Ending, Refused

_logger = logging.getLogger(__name__)

NOT_STORED = _lt("The database refused parts of the result: %(error)s")
NOT_RECORDED = _lt(
    "The request was sent and the result was %(state)s (HTTP status: %(status)s), but "
    "the database refuses to store that: %(error)s Look for a trigger or a constraint. "
    "It is not sent again by itself."
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
