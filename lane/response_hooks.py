# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Store values of responses and call response hooks, after the result is committed.

The recording leaves a mark on the attempt, with the values; the transaction that stores
them and calls the hook removes it. What is written is therefore stored exactly once,
whenever the worker is killed.
"""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from psycopg2.errors import LockNotAvailable
from requests.structures import CaseInsensitiveDict

from ..services.errors import Message, _lt
from ..services.headers import by_name, joined
from ..services.outcome import HandlerOutcome
from ..services.request import OutboundRequest
from ..services.values import storable_text
from . import sql
from .attempt_result import StoredValues
from .batch import describe
from .clock import utcnow
from .recording import taken_text
from .savepoint import FOREIGN_ERRORS, Savepoint, lost_race
from .translation import translate

_logger = logging.getLogger(__name__)

TRIES_MAX = 3  # alone, after the first try beside other hooks
INTERRUPTED_SECONDS = 5.0  # for interrupted hooks, after everything is sent
RETRY_DELAY = timedelta(seconds=5)
# For a record that a user or an import has locked. A lane that waits longer records
# nothing, and is killed by limit_time_real with requests in flight.
LOCK_WAIT = "2s"
LOCK_WAIT_AGAIN = "50ms"  # after one has waited: others may be about the same record
FAILED = _lt(
    "The response hook failed: what it wrote was rolled back, and it isn't called "
    "again. Correct the cause in its addon: %(error)s"
)
HOOK_DROPPED = _lt(
    "The worker ended %(count)s times while it ran this response hook alone. The "
    "hook is not called again. Find the reason in the server's log."
)
NOT_STORED = _lt(
    "The values of the response were not stored: %(error)s Enter them by hand; the "
    "attempt shows the response."
)
STORE_DROPPED = _lt("the worker ended %(count)s times while it stored them.")


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
    delivery stays. Values of the response are stored before, in the same way.
    """
    for hook in _hooks_of(deliveries, snapshot, results):
        hook.taken = hook.result.taken
        hook.is_called = True
        race = hook.call()
        if race:
            hook.note_race(race)


def call_due_hooks(deliveries, snapshot, results):
    """Like `call_hooks`, for results that were recorded with a mark; commits.

    A hook that conflicts with another transaction keeps its mark and is tried again
    alone: locks of the hooks before it may have caused the conflict. After one that
    conflicts alone, too, the others wait for `call_interrupted_hooks`.
    """
    cr = deliveries.env.cr
    due = _take(cr, [result.attempt_id for result in results if result.attempt_id])
    results = [result for result in results if result.attempt_id in due]
    lost = []
    for hook in _hooks_of(deliveries, snapshot, results):
        hook.taken = due[hook.attempt_id]
        if hook.call():
            cr.execute(sql.limit_lock_wait(LOCK_WAIT_AGAIN))
            lost.append(hook)
    if lost:
        values = [hook.taken and taken_text(hook.taken) for hook in lost]
        cr.execute(sql.put_hooks_back([hook.attempt_id for hook in lost], values))
    cr.commit()
    for hook in lost:
        if not _call_alone(hook):
            break


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
        if not attempt.exists():  # deleted with its delivery meanwhile
            continue
        delivery = _for_hooks(attempt.delivery_id, snapshot)
        hook = Hook(delivery, attempt.id, partial(_on_record, attempt))
        hook.is_called = snapshot.has_response_hook
        if not _call_alone(hook):
            retry_at = utcnow() + RETRY_DELAY
    return retry_at


def _call_alone(hook) -> bool:
    """One try in a transaction of its own; False: it lost a race and is still due."""
    cr = hook.delivery.env.cr
    cr.execute(sql.count_hook_try(hook.attempt_id))
    begun = cr.fetchone()
    cr.commit()
    due = _take(cr, [hook.attempt_id]) if begun else {}
    if not due:
        cr.commit()
        return True
    tries, hook.taken = begun[0], due[hook.attempt_id]
    _logger.info("hook attempt=%s begun before=%s", hook.attempt_id, tries)
    if tries > TRIES_MAX:
        hook.note_dropped()
        cr.commit()
        return True
    race = hook.call()
    is_locked = hook.taken and isinstance(race, LockNotAvailable)
    if race and (is_locked or tries < TRIES_MAX):
        cr.rollback()
        if is_locked:  # values are not lost because an import takes a minute
            cr.execute(sql.uncount_hook_try(hook.attempt_id))
            cr.commit()
        return False
    if race:
        hook.note_race(race)
    cr.commit()
    return True


def _take(cr, attempt_ids) -> dict:
    """Attempts whose hook is due, with their `StoredValues`, None without any."""
    cr.execute(sql.limit_lock_wait(LOCK_WAIT))
    cr.execute(sql.take_hooks(attempt_ids))
    return {
        attempt_id: StoredValues(*json.loads(text)) if text else None
        for attempt_id, text in cr.fetchall()
    }


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
        hook = Hook(
            deliveries.browse(result.claimed.id),
            result.attempt_id,
            lambda arguments=arguments: arguments,
        )
        hook.result = result
        hook.is_called = snapshot.has_response_hook
        yield hook


class Hook:
    """Stores the values of one response, and calls `_handle_outbound_response`.

    :param arguments: called under the savepoint; returns response, state and outcome

    taken: `StoredValues` that are yet to be stored, or None
    is_called: whether there is a hook to call
    """

    def __init__(self, delivery, attempt_id: int, arguments):
        self.delivery = delivery
        self.attempt_id = attempt_id
        self.arguments = arguments
        self.result = None
        self.taken = None
        self.is_called = True

    def call(self):
        """Returns the error of a lost race; any other error is added as a note."""
        if self.taken:
            faults = []
            race = self._run(
                NOT_STORED,
                lambda: faults.extend(self.delivery._store_response_values(self.taken)),
            )
            if race:
                return race
            self.taken = None
            if faults:
                self._add_note("\n".join(faults))
        if not self.is_called:
            return None
        return self._run(
            FAILED,
            lambda: self.delivery._handle_outbound_response(*self.arguments()),
        )

    def _run(self, template, function):
        """Call it under a savepoint; an error other than a lost race is noted."""
        cr = self.delivery.env.cr
        try:
            with Savepoint(cr):
                function()
        except FOREIGN_ERRORS as error:
            if cr.closed:
                raise
            self.delivery.env.invalidate_all(flush=False)
            race = lost_race(error)
            if race:
                return race
            self.note(template, error=describe(self.delivery.env, error))
        return None

    def note_race(self, race):
        """Note what was not done because other transactions conflict with it."""
        error = describe(self.delivery.env, race)
        self.note(NOT_STORED if self.taken else FAILED, error=error)

    def note_dropped(self):
        """Note that it is not tried again, since it ends the worker."""
        if self.taken:
            why = Message(STORE_DROPPED, {"count": TRIES_MAX})
            self.note(NOT_STORED, error=why)
        if self.is_called:
            self.note(HOOK_DROPPED, count=TRIES_MAX)

    def note(self, template, **values):
        """Add to the delivery's note."""
        self._add_note(translate(self.delivery.env, template, **values))

    def _add_note(self, said):
        """A note that can't be written is logged."""
        delivery = self.delivery
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
    """The JSON value; the text of a text body, or of JSON that masking made invalid."""
    if attempt.request_body_mode not in ("raw", "csv"):
        with suppress(ValueError):
            return json.loads(attempt.payload_json)
    return attempt.payload_json
