# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The trace of a request: attempt rows, written in bulk before and after it."""

import json

from ..services.headers import joined
from ..services.masking import mask_headers, mask_text, mask_url
from ..services.values import storable_text
from . import sql
from .size import pages
from .stages import Prepared

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
