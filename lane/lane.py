# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lane: one queue_job job that drains one endpoint."""
# A lane commits its own cursor after each step: what was sent must be on disk.
# pylint: disable=invalid-commit

import logging
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import groupby

from psycopg2 import OperationalError, errorcodes

from odoo.exceptions import UserError

from ..services.http.sender_pool import SenderPool
from ..services.shortage import REASON as SHORTAGE
from ..services.shortage import Shortage
from . import jobs, sql
from .attempt_result import as_utc, result_of_response
from .batch import Claim
from .clock import utcnow
from .health import Health
from .housekeeping import Housekeeping
from .notifications import notify_of_circuit, notify_of_failures
from .pacing import Budget, Pace, Position
from .recording import record, record_singly
from .recovery import free_dead_jobs, recover_interrupted
from .response_hooks import INTERRUPTED_SECONDS, call_due_hooks, call_interrupted_hooks
from .savepoint import lost_race
from .slot import read_committed, slots

_logger = logging.getLogger(__name__)

SNAPSHOT_AGE = 0.5  # seconds until an edited endpoint takes effect in a running lane
POLL = 0.1  # seconds between checks for new work while requests are in flight
BLOCKED = timedelta(seconds=1)  # due work is locked by others: check again then
CAREFUL = 100  # deliveries to build one at a time after a lane was killed
GRACE = 0.1  # seconds that each waits for the response to the previous one
SHORT_PAUSE = timedelta(
    seconds=10
)  # until a retry, after a lack of files, threads or memory
TRIES = 5
NOTIFY_AGAIN = 2.0  # seconds until a failed notification is tried again
REPEATED = {
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.LOCK_NOT_AVAILABLE,
}


@dataclass
class Report:
    """What a lane did, as its job's result shows it."""

    claimed: int = 0
    recorded: int = 0
    released: int = 0
    interrupted: int = 0
    superseded: int = 0
    why: str = ""

    def __str__(self):
        if self.why:
            return self.why
        return (
            f"{self.recorded} recorded, {self.claimed} claimed, "
            f"{self.released} released unsent, "
            f"{self.interrupted} interrupted before, "
            f"{self.superseded} wake-ups superseded"
        )


class Lane:
    """Sends an endpoint's due deliveries until none is left or its time is up.

    :param endpoint: record on the job's own cursor, which the lane commits
    :param job_uuid: of the job that runs it
    """

    def __init__(self, endpoint, job_uuid):
        self.given = endpoint
        self.env = endpoint.env
        self.cr = endpoint.env.cr
        self.job_uuid = job_uuid
        self.report = Report()
        self.budget = Budget()
        self.pace = Pace()
        self.position = Position()
        self.unrecorded = []  # (Prepared, HttpResponse)
        self.secrets = ()  # of all snapshots so far: a response may quote what was sent
        self.not_before = None  # when circuit or rate limit allows the next request
        self.checked_at = None  # monotonic; when a check found nothing more, else None
        self.has_requested_lane = False
        self.alone = False  # an interrupted delivery is in flight: nothing beside it
        self.hooks_at = None  # naive UTC; when to call the remaining response hooks
        self.careful = 0  # number of deliveries to build with a mark, one at a time
        self.put_at = 0.0  # monotonic; when requests were last passed to the threads
        self.short_until = None  # this process lacks a resource: nothing is sent before
        self.notified_on = None  # the day of the last notification about failures
        self.notify_at = 0.0  # monotonic; when to retry a failed notification

    def run(self) -> Report | None:
        """Returns None, without effect, if queue_job's runner didn't start this job."""
        with slots(self.env.registry, self.given.id) as held:
            duty = held.duty(self.job_uuid)
            if duty is None:
                return None
            if duty.endpoint_id is None:
                return Report(why="the endpoint is gone")
            self.slot = held.take(duty.lanes)
            if self.slot is None:
                return Report(why="left to the lane at work")
            read_committed(self.cr)
            self.housekeeping = Housekeeping(
                self.given, duty, held, self.job_uuid, self.budget
            )
            self.housekeeping.keep()
            self.endpoint = self.given._for_lane()
            self._check_for_kills(duty)
            self.report.interrupted = recover_interrupted(
                self.endpoint, held, self.slot, utcnow()
            )
            with self._sender_pool() as pool:
                self._drain(pool)
            self._call_interrupted_hooks()
            if self.notify_at:  # it failed before, and this may be the last lane
                self.notify_at = 0.0
                self._notify_of_failures()
        # The slot is free now. A lane that didn't get it ended before, so this check
        # sees the work it was started for.
        self._check_once_more()
        return self.report

    def _check_for_kills(self, duty):
        """After a kill, find the delivery whose building may have caused it."""
        killed = free_dead_jobs(self.endpoint, utcnow())
        if killed or duty.was_killed or self.housekeeping.was_killed:
            self.careful = CAREFUL
            _logger.warning(
                "careful endpoint=%s: its lane was killed; building one at a time",
                duty.code,
            )

    @contextmanager
    def _sender_pool(self):
        self._read_snapshot()
        trust = self.snapshot.trust
        pool = SenderPool(trust.open_sender, self.snapshot.max_in_flight)
        grace_period = 0  # when this lane fails, nobody records what is in flight
        try:
            yield pool
            grace_period = None
        finally:
            pool.close(grace_period)

    def _read_snapshot(self):
        """Read endpoint, rules, handler and policy as plain values."""
        self.snapshot = self.endpoint._outbound_snapshot()
        self.secrets = tuple(
            dict.fromkeys((*self.snapshot.trust.secrets, *self.secrets))
        )
        self.is_open = self.endpoint.state == "active" and not self.endpoint.is_paused
        self.token_at = (
            self.snapshot.trust.not_before
        )  # epoch; the access token is requested again then
        self.health = Health(
            self.cr,
            self.endpoint.id,
            self.snapshot.policy,
            self.endpoint.circuit_reset_at,
        )
        self.claim = Claim(
            self.endpoint, self.snapshot, self.health, self.position, self.job_uuid
        )
        self.snapshot_read_at = time.monotonic()

    # The main path --------------------------------------------------------------------

    def _drain(self, pool):
        self.claim.regroup_if_order_changed()
        continues = True
        while continues:
            if self.housekeeping.keep():
                self.checked_at = None
            if not self._may_claim():
                self._release_unsent(pool)
            elif self._wants_more(pool):
                self._claim(pool)
            continues = self._collect(pool)
        self.report.superseded = self.housekeeping.superseded

    def _may_claim(self) -> bool:
        """Whether time and resources allow to build and send more."""
        seconds = self.snapshot.timeout + self.pace.build_seconds
        return self.short_until is None and self.budget.may_claim(seconds)

    def _wants_more(self, pool) -> bool:
        if self.alone:
            self.alone = bool(pool.in_flight or pool.waiting)
            return not self.alone
        if pool.waiting >= self.pace.low_water or self.pace.room <= 0:
            return False
        if self.careful and (pool.in_flight or pool.waiting):
            # A kill would interrupt it: wait for a fast target.
            if time.monotonic() - self.put_at < GRACE:
                return False
        if self.checked_at is None:
            return True
        if time.monotonic() - self.checked_at < POLL:
            return False
        self.checked_at = time.monotonic()
        return self._is_due()

    def _claim(self, pool):
        """Claim, build, decide and insert attempts; commits before anything is sent."""
        if self.careful and self.unrecorded:
            self._record(pool)  # what a kill must not undo
        try:
            batch = self._claim_batch(alone=not (pool.waiting or pool.in_flight))
        except OperationalError as error:
            if error.pgcode not in REPEATED:
                raise
            self._undo_claim()
            self.checked_at = time.monotonic()
            _logger.info(
                "claim endpoint=%s repeated=%s", self.snapshot.code, error.pgcode
            )
            return
        except Exception as error:
            shortage = Shortage.of(error)
            if shortage is None:
                raise
            self._claim_ran_short(pool, shortage)
            return
        if batch is None:  # paused, no longer active, or without a token
            self._release_unsent(pool)
            self.checked_at = time.monotonic()
            return
        if batch.needs_token or batch.suspect:
            return
        timeout = self.budget.cap(self.snapshot.timeout)
        pool.put((each, each.encoded, timeout) for each in batch.prepared)
        self.put_at = time.monotonic()
        self.pace.sent([_body_size(each) for each in batch.prepared])
        self.pace.built(batch.claimed, batch.seconds)
        if self.careful:
            self.careful = 0 if batch.is_last else self.careful - 1
        self.alone = batch.is_alone and bool(batch.prepared)
        self.not_before = batch.not_before
        # Nothing was claimed though there is more: it waits for room.
        waits = batch.is_last or not batch.claimed
        self.checked_at = time.monotonic() if waits else None
        self.report.claimed += batch.claimed
        self.report.recorded += batch.concluded
        if batch.claimed:
            _logger.info(
                "claim endpoint=%s claimed=%s sent=%s concluded=%s",
                self.snapshot.code,
                batch.claimed,
                len(batch.prepared),
                batch.concluded,
            )
        if batch.failed_permanently:
            self._notify_of_failures()
        if not batch.is_last and not self.careful:
            self._request_another_lane()
        if pool.is_stuck:
            self._ran_short(pool, pool.shortage)

    def _request_another_lane(self):
        """There is work for another lane; each lane requests the next slot once."""
        if (
            self.slot + 1 < self.snapshot.policy.parallel_lanes
            and not self.has_requested_lane
        ):
            self.has_requested_lane = True
            jobs.request_another_lane(self.endpoint, self.job_uuid)
            self.cr.commit()

    def _claim_batch(self, *, alone):
        if time.monotonic() - self.snapshot_read_at > SNAPSHOT_AGE:
            ordering = self.snapshot.ordering
            self._read_snapshot()
            if self.snapshot.ordering != ordering:
                self.claim.regroup_if_order_changed()
        batch = None
        if self.is_open and not self.token_at:
            now = utcnow()
            batch = self.claim.take(
                self.pace.batch,
                now,
                alone=alone,
                room=self.pace.room,
                careful=bool(self.careful),
            )
            if batch.needs_token:
                self._discard_snapshot()
                return batch
            if batch.suspect:
                self._undo_claim()
                self.careful = self.careful or CAREFUL
                self.alone = True  # built when nothing else is in flight
                return batch
            self.claim.open_attempts(batch, self.slot, now)
        self.cr.commit()
        return batch

    def _discard_snapshot(self):
        """Undo the claim; the next one reads a new snapshot with a new access token."""
        self._undo_claim()
        self.snapshot_read_at = -math.inf

    def _undo_claim(self):
        """Undo the claim, and remove the mark of a delivery that was built alone."""
        self.cr.rollback()
        if self.claim.marked:
            self.cr.execute(sql.unmark_build([self.claim.marked]))
            self.cr.commit()
            self.claim.marked = None
        self.position.restart()
        self.checked_at = None

    # Shortages ------------------------------------------------------------------------

    def _claim_ran_short(self, pool, shortage):
        """Building lacks a resource; if it is memory, one delivery may be the cause."""
        if shortage.is_memory and shortage.delivery_id == self.claim.marked:
            self.claim.marked = None  # the mark stays
        self._undo_claim()
        if shortage.is_memory and shortage.delivery_id and not self.careful:
            self.cr.execute(sql.mark_build(shortage.delivery_id))
            self.cr.commit()
        self._ran_short(pool, shortage)

    def _ran_short(self, pool, shortage, unsent=()):
        """Release what isn't sent, report it, and leave the rest to a later lane."""
        now = utcnow()
        text = self.env._(shortage.template, **shortage.values)  # pylint: disable=W8301
        _logger.error("shortage endpoint=%s: %s", self.snapshot.code, text)
        self.short_until = now + SHORT_PAUSE
        self._release_unsent(pool, unsent)
        self.health.ran_short(len(unsent), text, now)
        self.cr.commit()

    def _without_short(self, pool, batch):
        """These responses without those of requests that were never sent."""
        unsent = [each for each, response in batch if response.reason == SHORTAGE]
        if not unsent:
            return batch
        template, values = next(
            response.error for _each, response in batch if response.reason == SHORTAGE
        )
        self._ran_short(pool, Shortage(template, **values), unsent)
        return [each for each in batch if each[1].reason != SHORTAGE]

    # Responses ------------------------------------------------------------------------

    def _collect(self, pool) -> bool:
        """Collect responses and record them in chunks; False when nothing is left."""
        missing = max(self.pace.chunk - len(self.unrecorded), 1)
        responses = pool.collect(at_least=missing, timeout=POLL)
        self.unrecorded += responses
        self.pace.saw(len(responses))
        busy = bool(pool.waiting or pool.in_flight)
        if self.unrecorded:
            if not busy or self.pace.must_record(len(self.unrecorded)):
                self._record(pool)
            return True
        return busy or self._may_continue()

    def _may_continue(self) -> bool:
        """Whether work is left, or a rate-limit permit is due within a second."""
        if not self._may_claim():
            return False
        if self.checked_at is None:
            return True
        if (
            not self.snapshot.policy.rate_limit
            or not self.not_before
            or not self._is_due()
        ):
            return False
        wait = (self.not_before - utcnow()).total_seconds()
        if wait > 1:
            return False
        time.sleep(max(wait, 0.001))
        self.checked_at = None
        return True

    def _is_due(self) -> bool:
        now, ordered = utcnow(), self.snapshot.ordering != "none"
        place = self.position.begin(now)
        self.cr.execute(sql.next_due(self.endpoint.id, ordered, place))
        row = self.cr.fetchone()
        self.cr.commit()
        due = bool(row and row[0] and row[0] <= now)
        if due and place is None:
            self.position.restart()  # the claim must find it, too
        return due

    def _record(self, pool):
        """Write results, attempts and health in one transaction; then the hooks."""
        now = utcnow()
        batch, self.unrecorded = self.unrecorded, []
        self.pace.freed(sum(_body_size(prepared) for prepared, _response in batch))
        batch = self._without_short(pool, batch)
        if not batch:
            return
        decided = [
            result_of_response(prepared, response, self.snapshot, self.env, now)
            for prepared, response in batch
        ]
        written, before, after = self._write(decided, now)
        self.pace.recorded()
        self.report.recorded += len(written)
        for result, _signal in decided:
            _log_attempt(self.snapshot.code, result)
        if before != after:
            self._circuit_moved(pool, before, after)
        elif any(result.backoff for result, _signal in decided):
            self._release_unsent(pool)
        if any(result.needs_attention for result in written):
            self._notify_of_failures()
        if self.snapshot.ordering != "none":
            self.checked_at = None  # those that waited behind these may be sent now
        if self.snapshot.has_response_hook:
            deliveries = self.endpoint.env["bwt.webhook.outbound.delivery"]
            call_due_hooks(deliveries, self.snapshot, written)

    def _call_interrupted_hooks(self):
        """Call interrupted response hooks, now that everything is sent."""
        end = time.monotonic() + INTERRUPTED_SECONDS

        def may_call():
            self.housekeeping.keep()
            return time.monotonic() < end and self.budget.may_start(0)

        self.hooks_at = call_interrupted_hooks(self.endpoint, self.snapshot, may_call)

    def _write(self, decided, now):
        """Write results, repeated after a lost race; a request is never repeated."""
        results = [result for result, _signal in decided]
        write = partial(record, self.cr)
        for left in reversed(range(TRIES)):
            try:
                written = write(
                    results,
                    self.job_uuid,
                    now,
                    self.secrets,
                    hooks_follow=self.snapshot.has_response_hook,
                )
                moved = self.health.note(
                    [signal for _result, signal in decided],
                    now,
                    backoff=max((result.backoff for result in results), default=0.0),
                )
                self.cr.commit()
                return written, *moved
            except Exception as error:
                if self.cr.closed or not left:
                    raise
                self.cr.rollback()
                if not lost_race(error):
                    write = partial(record_singly, self.env)
                _logger.info(
                    "record endpoint=%s repeated: %s", self.snapshot.code, error
                )

    def _circuit_moved(self, pool, before, after):
        _logger.info(
            "circuit endpoint=%s from=%s to=%s", self.snapshot.code, before, after
        )
        if after == "closed":
            self.checked_at = None
        else:
            self._release_unsent(pool)
        notify_of_circuit(self.endpoint, before, after)

    def _notify_of_failures(self):
        """Notify the responsible user, whose activity is created once a day."""
        today, clock = utcnow().date(), time.monotonic()
        if self.notified_on == today or clock < self.notify_at:
            return
        if notify_of_failures(self.endpoint):
            self.notified_on = today
        else:
            self.notify_at = clock + NOTIFY_AGAIN

    def _release_unsent(self, pool, unsent=()):
        """Return what no thread has started to the queue, as if never claimed.

        :param unsent: requests to return in addition
        """
        waiting = pool.take_back()
        self.pace.freed(sum(map(_body_size, waiting)))
        unsent = sorted([*waiting, *unsent], key=lambda each: each.claimed.state)
        if not unsent:
            return
        now = utcnow()
        for state, group in groupby(unsent, lambda prepared: prepared.claimed.state):
            ids = [prepared.claimed.id for prepared in group]
            self.cr.execute(sql.release_unsent(ids, state, self.job_uuid, now))
        self.cr.commit()
        self.report.released += len(unsent)

    def _check_once_more(self):
        """Create a wake-up if something is due, and close the watchdog."""
        # With the old snapshot: an edit of the endpoint requests a lane of its own.
        now = utcnow()
        not_before = self.health.not_before(now)
        if not_before is not False:
            dates = [not_before, self.not_before, self.short_until]
            dates = [each for each in dates if each]
            if self.token_at:
                dates.append(as_utc(self.token_at))
            if not self.report.claimed:
                dates.append(now + BLOCKED)
            jobs.wake_for_due(self.endpoint, max(dates, default=None))
        if self.hooks_at:
            jobs.wake(self.endpoint, eta=self.hooks_at)
        self.housekeeping.retire(now)
        self.cr.commit()


def run_directly(endpoint) -> Report:
    """Send what is due in the caller's transaction, without a commit.

    For callers other than queue_job's runner: tests and scripts.
    """
    endpoint = endpoint.exists()
    if endpoint.state != "active" or endpoint.is_paused:
        return Report(why="the endpoint is gone or doesn't send")
    deliveries = endpoint.env["bwt.webhook.outbound.delivery"].search(
        [
            ("endpoint_id", "=", endpoint.id),
            ("state", "in", ["queued", "error"]),
            ("next_attempt_at", "<=", utcnow()),
        ],
        order="queue_number",
    )
    left = 0
    for delivery in deliveries:
        try:
            delivery.process_delivery()
        except UserError:  # not first in its group, or being sent by another
            left += 1
    sent = len(deliveries) - left
    return Report(why=f"{sent} sent in the caller's transaction, {left} left")


def _body_size(prepared) -> int:
    return len(prepared.encoded.body or b"")


def _log_attempt(code, result):
    level = logging.DEBUG if result.state == "done" else logging.INFO
    _logger.log(
        level,
        "attempt endpoint=%s delivery=%s attempt=%s status=%s ms=%s decision=%s "
        "next=%s",
        code,
        result.claimed.id,
        result.claimed.attempt_count + 1,
        result.response.status_code or result.reason,
        round(result.duration * 1000),
        result.state,
        result.next_attempt_at or "-",
    )
