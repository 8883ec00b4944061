# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Results written in bulk: all that the ORM would write, behind a fence."""

from ..services.masking import mask_text
from ..services.values import storable_text
from . import sql
from .attempts import PAGE, close_attempts, response_values, trace_decisions
from .stages import Ending


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
    answers = [response_values(ending.answer, secrets) for ending in endings]
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


def _mask(endings, secrets):
    if not secrets:
        return
    for ending in endings:
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


def conclude(cr, plan, stages, endings, holder, now) -> list[Ending]:
    """Record what ended before a byte left: decisions, refusals, the superseded.

    Where a request existed an attempt row tells what would have gone out.
    """
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
