# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What other addons do with an answer, after the result is safe on disk.

The recording leaves a mark on the attempt; the transaction that calls the hook takes it
away. What a hook writes is therefore on disk once, whenever the worker is killed.
"""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

import json
import logging
from contextlib import suppress
from dataclasses import dataclass

from ..services.errors import _lt
from ..services.outcome import HandlerOutcome
from ..services.request import OutboundRequest
from . import sql
from .prepare import describe

_logger = logging.getLogger(__name__)

TRIES_MAX = 5
FAILED = _lt("The response hook failed: %(error)s")
GIVEN_UP = _lt(
    "The response hook was cut off %(count)s times and isn't called again: it may be "
    "what stops the worker. Look at the server's log."
)


@dataclass(frozen=True)
class Response:
    """The answer as hooks see it: headers by name, the body as text."""

    status_code: int
    headers: dict
    text: str


def call_hooks(deliveries, plan, endings):
    """Call `_handle_outbound_response` for each answer, each under a savepoint.

    A hook that fails leaves a note; what it wrote is rolled back and the delivery stays
    as it ended.
    """
    deliveries = _for_hooks(deliveries, plan)
    for ending in endings:
        answer = ending.answer
        if answer is None or answer.status_code is None:
            continue
        delivery = deliveries.browse(ending.claimed.id)
        response = Response(answer.status_code, dict(answer.headers), answer.text)
        _call(delivery, response, ending.state, ending.prepared.outcome)


def call_due_hooks(deliveries, plan, endings):
    """The same for what was recorded with a mark; the caller commits."""
    ids = [ending.attempt_id for ending in endings if ending.attempt_id]
    due = _take(deliveries.env.cr, ids)
    call_hooks(deliveries, plan, [each for each in endings if each.attempt_id in due])


def call_left_hooks(endpoint, plan):
    """Call what a killed lane left out, with the answers on record; each commits.

    One that was cut off again and again isn't called any more: it would stop each lane.
    """
    cr = endpoint.env.cr
    cr.execute(sql.left_hooks(endpoint.id))
    left = [row[0] for row in cr.fetchall()]
    if not left:
        return
    cr.commit()
    attempts = endpoint.env["bwt.webhook.outbound.delivery.attempt"]
    for attempt in attempts.browse(left):
        cr.execute(sql.count_hook_try(attempt.id))
        begun = cr.fetchone()
        cr.commit()
        if not begun or not _take(cr, attempt.ids):
            continue
        _logger.info("hook attempt=%s begun before=%s", attempt.id, begun[0])
        delivery = _for_hooks(attempt.delivery_id, plan)
        if begun[0] > TRIES_MAX:
            _note(delivery, GIVEN_UP, count=TRIES_MAX)
        else:
            _call(delivery, *_on_record(attempt))
        cr.commit()


def _take(cr, attempt_ids) -> set[int]:
    cr.execute(sql.take_hooks(attempt_ids))
    return {row[0] for row in cr.fetchall()}


def _for_hooks(deliveries, plan):
    deliveries = deliveries.with_context(plan.context, outbound_plan=plan)
    deliveries.env.invalidate_all(flush=False)
    return deliveries


def _call(delivery, response, state, outcome):
    try:
        with delivery.env.cr.savepoint():
            delivery._handle_outbound_response(response, state, outcome)
            delivery.env.flush_all()
    except Exception as error:
        delivery.env.invalidate_all(flush=False)
        _note(delivery, FAILED, error=describe(delivery.env, error))


def _note(delivery, template, **values):
    said = delivery.env._(template, **values)  # pylint: disable=W8301
    note = "\n".join(filter(None, [delivery.processing_note, said]))
    delivery.write({"processing_note": note})
    delivery.env.flush_all()


def _on_record(attempt) -> tuple:
    """Response, state and outcome as the attempt has them: secrets are masked."""
    response = Response(
        attempt.response_status_code,
        json.loads(attempt.response_headers_json or "{}"),
        attempt.response_body or "",
    )
    request = OutboundRequest(
        target_url=attempt.target_url,
        http_method=attempt.http_method,
        request_body_mode=attempt.request_body_mode,
        headers=json.loads(attempt.request_headers_json),
        payload=_payload_on_record(attempt),
    )
    return response, attempt.state, HandlerOutcome("send", request)


def _payload_on_record(attempt):
    """The JSON value; the text of a raw body, or where a masked number broke it."""
    if attempt.request_body_mode != "raw":
        with suppress(ValueError):
            return json.loads(attempt.payload_json)
    return attempt.payload_json
