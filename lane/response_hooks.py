# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Call the response hooks of other addons, after the result is committed.

The recording leaves a mark on the attempt; the transaction that calls the hook removes
it. What a hook writes is therefore stored exactly once, whenever the worker is killed.
"""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from requests.structures import CaseInsensitiveDict

from ..services.errors import _lt
from ..services.headers import by_name, joined
from ..services.outcome import HandlerOutcome
from ..services.request import OutboundRequest
from ..services.values import storable_text
from . import sql
from .batch import describe
from .clock import utcnow
from .savepoint import FOREIGN_ERRORS, Savepoint, lost_race
from .translation import translate

_logger = logging.getLogger(__name__)

TRIES_MAX = 3  # alone, after the first try beside other hooks
INTERRUPTED_SECONDS = 5.0  # for interrupted hooks, after everything is sent
RETRY_DELAY = timedelta(seconds=5)
FAILED = _lt("The response hook failed: %(error)s")
HOOK_DROPPED = _lt(
    "The worker ended %(count)s times while it ran this response hook alone. The "
    "hook is not called again. Find the reason in the server's log."
)


@dataclass(frozen=True)
class Response:
    """The response as hooks see it: case-insensitive headers, the body as text.

    The values of a repeated header are joined by ", ".
    """

    status_code: int
    headers: CaseInsensitiveDict
    text: str


def call_hooks(deliveries, snapshot, results):
    """Call `_handle_outbound_response` for each response, each under a savepoint.

    A hook that fails leaves a note; what it wrote is rolled back and the state of the
    delivery stays.
    """
    for hook in _hooks_of(deliveries, snapshot, results):
        race = hook.call()
        if race:
            hook.note(FAILED, error=describe(hook.delivery.env, race))


def call_due_hooks(deliveries, snapshot, results):
    """Like `call_hooks`, for results that were recorded with a mark; commits.

    A hook that conflicts with another transaction keeps its mark and is tried again
    alone: locks of the hooks before it may have caused the conflict.
    """
    cr = deliveries.env.cr
    due = _take(cr, [result.attempt_id for result in results if result.attempt_id])
    results = [result for result in results if result.attempt_id in due]
    lost = [hook for hook in _hooks_of(deliveries, snapshot, results) if hook.call()]
    if lost:
        cr.execute(sql.put_hooks_back([hook.attempt_id for hook in lost]))
    cr.commit()
    for hook in lost:
        _call_alone(hook)


def call_interrupted_hooks(endpoint, snapshot, may_call) -> datetime | None:
    """Call hooks that were interrupted or lost a race; commits.

    They get the responses as stored.

    To be called last, when nothing is in flight: one of them may end the worker. Those
    that were started least often come first.

    :param may_call: called before each; False ends the loop, as five seconds do
    :return: naive UTC; when to call the remaining ones, None when there are none
    """
    cr = endpoint.env.cr
    cr.execute(sql.interrupted_hooks(endpoint.id))
    left = [row[0] for row in cr.fetchall()]
    cr.commit()
    attempts = endpoint.env["bwt.webhook.outbound.delivery.attempt"]
    retry_at, end_clock = None, time.monotonic() + INTERRUPTED_SECONDS
    for attempt in attempts.browse(left):
        if not may_call() or time.monotonic() >= end_clock:
            return utcnow()
        delivery = _for_hooks(attempt.delivery_id, snapshot)
        if not _call_alone(Hook(delivery, attempt.id, partial(_on_record, attempt))):
            retry_at = utcnow() + RETRY_DELAY
    return retry_at


def _call_alone(hook) -> bool:
    """One try in a transaction of its own; False: it lost a race and is still due."""
    cr = hook.delivery.env.cr
    cr.execute(sql.count_hook_try(hook.attempt_id))
    begun = cr.fetchone()
    cr.commit()
    if not begun or not _take(cr, [hook.attempt_id]):
        cr.commit()
        return True
    tries = begun[0]
    _logger.info("hook attempt=%s begun before=%s", hook.attempt_id, tries)
    if tries > TRIES_MAX:
        hook.note(HOOK_DROPPED, count=TRIES_MAX)
        cr.commit()
        return True
    race = hook.call()
    if race and tries < TRIES_MAX:
        cr.rollback()
        return False
    if race:
        hook.note(FAILED, error=describe(hook.delivery.env, race))
    cr.commit()
    return True


def _take(cr, attempt_ids) -> set[int]:
    cr.execute(sql.take_hooks(attempt_ids))
    return {row[0] for row in cr.fetchall()}


def _for_hooks(deliveries, snapshot):
    deliveries = deliveries._in_build_env(snapshot)
    deliveries.env.invalidate_all(flush=False)
    return deliveries


def _hooks_of(deliveries, snapshot, results):
    deliveries = _for_hooks(deliveries, snapshot)
    for result in results:
        response = result.response
        if response is None or response.status_code is None:
            continue
        for_hook = Response(
            response.status_code, by_name(joined(response.headers)), response.text
        )
        arguments = (for_hook, result.state, result.prepared.outcome)
        yield Hook(
            deliveries.browse(result.claimed.id),
            result.attempt_id,
            lambda arguments=arguments: arguments,
        )


class Hook:
    """One call of `_handle_outbound_response`.

    :param arguments: called under the savepoint; returns response, state and outcome
    """

    def __init__(self, delivery, attempt_id: int, arguments):
        self.delivery = delivery
        self.attempt_id = attempt_id
        self.arguments = arguments

    def call(self):
        """Returns the error of a lost race; any other error is added as a note."""
        cr = self.delivery.env.cr
        try:
            with Savepoint(cr):
                self.delivery._handle_outbound_response(*self.arguments())
        except FOREIGN_ERRORS as error:
            if cr.closed:
                raise
            self.delivery.env.invalidate_all(flush=False)
            race = lost_race(error)
            if race:
                return race
            self.note(FAILED, error=describe(self.delivery.env, error))
        return None

    def note(self, template, **values):
        """Add to the delivery's note; a note that can't be written is logged."""
        delivery = self.delivery
        said = translate(delivery.env, template, **values)
        try:
            with Savepoint(delivery.env.cr):
                note = "\n".join(filter(None, [delivery.processing_note, said]))
                delivery.write({"processing_note": storable_text(note)})
        except FOREIGN_ERRORS:
            if delivery.env.cr.closed:
                raise
            _logger.warning("note not written delivery=%s: %s", delivery.id, said)


def _on_record(attempt) -> tuple:
    """Response, state and outcome as stored on the attempt: secrets are masked."""
    response = Response(
        attempt.response_status_code,
        by_name(json.loads(attempt.response_headers_json or "{}")),
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
    """The JSON value; text for a raw body or JSON that masking made invalid."""
    if attempt.request_body_mode != "raw":
        with suppress(ValueError):
            return json.loads(attempt.payload_json)
    return attempt.payload_json
