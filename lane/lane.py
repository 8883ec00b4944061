# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lane: one queue_job job that drains one endpoint."""
# A lane commits its own cursor, step by step: what left must be on disk.
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

from ..services.http.sender_pool import Pipe
from ..services.shortage import REASON as SHORTAGE
from ..services.shortage import Shortage
from . import jobs, sql
from .attempt_result import as_utc, ending_of_answer
from .batch import Claim
from .clock import utcnow
from .health import Health
from .housekeeping import Keeper
from .notifications import tell_of_circuit, tell_of_given_up
from .pacing import LARGE, Budget, Pace, Position
from .recording import record, record_singly
from .recovery import free_dead_jobs, interrupt_leftovers
from .response_hooks import LEFT_SECONDS, call_due_hooks, call_left_hooks
from .savepoint import lost_race
from .slot import read_committed, slots

_logger = logging.getLogger(__name__)

PLAN_AGE = 0.5  # seconds until an edited endpoint takes effect in a running lane
POLL = 0.1  # seconds between looks for new work while requests are out
BLOCKED = timedelta(seconds=1)  # work that is due and can't be had: look again then
CAREFUL = 100  # deliveries to build one at a time after a lane was killed
GRACE = 0.1  # seconds that these wait for the answer of the one before
SHORT_PAUSE = timedelta(seconds=10)  # without files, threads or memory: try again then
TRIES = 5
TELL_AGAIN = 2.0  # seconds until it is tried again to notify someone
REPEATED = {
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.LOCK_NOT_AVAILABLE,
}


@dataclass
class Report:
    """What a lane did, as its job's result tells it."""

    claimed: int = 0
    recorded: int = 0
    given_back: int = 0
    interrupted: int = 0
    taken_over: int = 0
    why: str = ""

    def __str__(self):
        if self.why:
            return self.why
        return (
            f"{self.recorded} recorded, {self.claimed} claimed, "
            f"{self.given_back} given back, {self.interrupted} interrupted before, "
            f"{self.taken_over} wake-ups taken over"
        )


class Lane:
    """Moves an endpoint's due deliveries until none is left or its time is up.

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
        self.unrecorded = []  # (Prepared, Answer)
        self.secrets = ()  # of all plans so far: an answer may quote what was sent
        self.not_before = None  # when circuit or rate limit let something through
        self.looked_at = None  # monotonic; when a look found nothing more, else None
        self.has_called = False
        self.alone = False  # an interrupted delivery is out: nothing beside it
        self.hooks_at = None  # naive UTC; when to call the response hooks that are left
        self.careful = 0  # deliveries still to be built with a mark, one at a time
        self.put_at = 0.0  # monotonic; when requests were last handed to the threads
        self.short_until = None  # this process lacks something: nothing before then
        self.told_on = None  # the day on which someone was told of what was given up
        self.tell_at = 0.0  # monotonic; when to try again to tell

    def run(self) -> Report | None:
        """None, and nothing done, where queue_job's runner has no such job started."""
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
            self.keeper = Keeper(self.given, duty, held, self.job_uuid, self.budget)
            self.keeper.keep()
            self.endpoint = self.given._for_lane()
            self._look_for_kills(duty)
            self.report.interrupted = interrupt_leftovers(
                self.endpoint, held, self.slot, utcnow()
            )
            with self._pipe() as pipe:
                self._drain(pipe)
            self._call_left_hooks()
            if self.tell_at:  # it failed before, and there may be no later lane
                self.tell_at = 0.0
                self._tell_of_given_up()
        # The slot is free now. Whoever didn't get it was turned away before, so what
        # it came for is seen by this look.
        self._look_once_more()
        return self.report

    def _look_for_kills(self, duty):
        """After a kill, find the delivery whose building may have caused it."""
        killed = free_dead_jobs(self.endpoint, utcnow())
        if killed or duty.was_killed or self.keeper.was_killed:
            self.careful = CAREFUL
            _logger.warning(
                "careful endpoint=%s: its lane was killed; building one at a time",
                duty.code,
            )

    @contextmanager
    def _pipe(self):
        self._read_plan()
        trust = self.plan.trust
        pipe = Pipe(trust.open_sender, self.plan.max_in_flight)
        patience = 0  # when this lane fails, what is out is nobody's any more
        try:
            yield pipe
            patience = None
        finally:
            pipe.close(patience)

    def _read_plan(self):
        """Endpoint, rules, handler and policy as plain values, for some batches."""
        self.plan = self.endpoint._outbound_plan()
        self.secrets = tuple(dict.fromkeys((*self.plan.trust.secrets, *self.secrets)))
        self.is_open = self.endpoint.state == "active" and not self.endpoint.is_paused
        self.token_at = self.plan.trust.not_before  # epoch; asked for again then
        self.health = Health(
            self.cr, self.endpoint.id, self.plan.policy, self.endpoint.circuit_reset_at
        )
        self.claim = Claim(
            self.endpoint, self.plan, self.health, self.position, self.job_uuid
        )
        self.plan_read_at = time.monotonic()

    # The main path --------------------------------------------------------------------

    def _drain(self, pipe):
        self.claim.regroup_if_order_changed()
        goes_on = True
        while goes_on:
            if self.keeper.keep():
                self.looked_at = None
            if not self._may_claim():
                self._give_back(pipe)
            elif self._wants_more(pipe):
                self._claim(pipe)
            goes_on = self._collect(pipe)
        self.report.taken_over = self.keeper.taken_over

    def _may_claim(self) -> bool:
        """Whether there is time to build and send more, and nothing lacks for it."""
        seconds = self.plan.timeout + self.pace.build_seconds
        return self.short_until is None and self.budget.may_claim(seconds)

    def _wants_more(self, pipe) -> bool:
        if self.alone:
            self.alone = bool(pipe.in_flight or pipe.waiting)
            return not self.alone
        if pipe.waiting >= self.pace.low_water or self.pace.room <= 0:
            return False
        if self.careful and (pipe.in_flight or pipe.waiting):
            # A kill would interrupt it: a quick target is waited for.
            if time.monotonic() - self.put_at < GRACE:
                return False
        if self.looked_at is None:
            return True
        if time.monotonic() - self.looked_at < POLL:
            return False
        self.looked_at = time.monotonic()
        return self._is_due()

    def _claim(self, pipe):
        """Claim, build, decide, leave a trace; commits before a byte leaves."""
        if self.careful and self.unrecorded:
            self._record(pipe)  # what a kill must not undo
        try:
            batch = self._claim_batch(alone=not (pipe.waiting or pipe.in_flight))
        except OperationalError as error:
            if error.pgcode not in REPEATED:
                raise
            self._undo_claim()
            self.looked_at = time.monotonic()
            _logger.info("claim endpoint=%s repeated=%s", self.plan.code, error.pgcode)
            return
        except Exception as error:
            shortage = Shortage.of(error)
            if shortage is None:
                raise
            self._claim_ran_short(pipe, shortage)
            return
        if batch is None:  # paused, no longer active, or without a token
            self._give_back(pipe)
            self.looked_at = time.monotonic()
            return
        if batch.needs_token or batch.suspect:
            return
        timeout = self.budget.cap(self.plan.timeout)
        pipe.put((each, each.wire, timeout) for each in batch.prepared)
        self.put_at = time.monotonic()
        self.pace.sent([_body_size(each) for each in batch.prepared])
        self.pace.built(batch.claimed, batch.seconds)
        if self.pace.held > LARGE:
            self.plan.inputs.clear()  # files: their bytes are in the bodies
        if self.careful:
            self.careful = 0 if batch.is_last else self.careful - 1
        self.alone = batch.is_alone and bool(batch.prepared)
        self.not_before = batch.not_before
        # Nothing claimed though there is more: it has to wait for room.
        waits = batch.is_last or not batch.claimed
        self.looked_at = time.monotonic() if waits else None
        self.report.claimed += batch.claimed
        self.report.recorded += batch.concluded
        if batch.claimed:
            _logger.info(
                "claim endpoint=%s claimed=%s sent=%s concluded=%s",
                self.plan.code,
                batch.claimed,
                len(batch.prepared),
                batch.concluded,
            )
        if batch.given_up:
            self._tell_of_given_up()
        if not batch.is_last and not self.careful:
            self._call_for_more()
        if pipe.is_stuck:
            self._ran_short(pipe, pipe.shortage)

    def _call_for_more(self):
        """There is work for another lane; each calls once for the next slot."""
        if self.slot + 1 < self.plan.policy.parallel_lanes and not self.has_called:
            self.has_called = True
            jobs.call_for_more(self.endpoint, self.job_uuid)
            self.cr.commit()

    def _claim_batch(self, *, alone):
        if time.monotonic() - self.plan_read_at > PLAN_AGE:
            ordering = self.plan.ordering
            self._read_plan()
            if self.plan.ordering != ordering:
                self.claim.regroup_if_order_changed()
        self.plan.inputs.clear()
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
                self._forget_plan()
                return batch
            if batch.suspect:
                self._undo_claim()
                self.careful = self.careful or CAREFUL
                self.alone = True  # built when nothing else is out
                return batch
            self.claim.open_attempts(batch, self.slot, now)
        self.cr.commit()
        return batch

    def _forget_plan(self):
        """The token it holds is gone: undo the claim; the next one reads it anew."""
        self._undo_claim()
        self.plan_read_at = -math.inf

    def _undo_claim(self):
        """Nothing was claimed; a mark of a delivery that was built alone goes too."""
        self.cr.rollback()
        if self.claim.marked:
            self.cr.execute(sql.unmark_build([self.claim.marked]))
            self.cr.commit()
            self.claim.marked = None
        self.position.restart()
        self.looked_at = None

    # What this process lacks ----------------------------------------------------------

    def _claim_ran_short(self, pipe, shortage):
        """Building lacks something: memory may be for one delivery to blame for."""
        if shortage.is_memory and shortage.delivery_id == self.claim.marked:
            self.claim.marked = None  # the mark stays
        self._undo_claim()
        if shortage.is_memory and shortage.delivery_id and not self.careful:
            self.cr.execute(sql.mark_build(shortage.delivery_id))
            self.cr.commit()
        self._ran_short(pipe, shortage)

    def _ran_short(self, pipe, shortage, unsent=()):
        """Give back what isn't sent, say so, and let a later lane try again."""
        now = utcnow()
        text = self.env._(shortage.template, **shortage.values)  # pylint: disable=W8301
        _logger.error("shortage endpoint=%s: %s", self.plan.code, text)
        self.short_until = now + SHORT_PAUSE
        self._give_back(pipe, unsent)
        self.health.ran_short(len(unsent), text, now)
        self.cr.commit()

    def _without_short(self, pipe, batch):
        """These answers without those of requests that were never sent."""
        unsent = [each for each, answer in batch if answer.reason == SHORTAGE]
        if not unsent:
            return batch
        template, values = next(
            answer.error for _each, answer in batch if answer.reason == SHORTAGE
        )
        self._ran_short(pipe, Shortage(template, **values), unsent)
        return [each for each in batch if each[1].reason != SHORTAGE]

    # Answers --------------------------------------------------------------------------

    def _collect(self, pipe) -> bool:
        """Take answers and record them in chunks; False when nothing is left."""
        missing = max(self.pace.chunk - len(self.unrecorded), 1)
        answers = pipe.collect(at_least=missing, timeout=POLL)
        self.unrecorded += answers
        self.pace.saw(len(answers))
        busy = bool(pipe.waiting or pipe.in_flight)
        if self.unrecorded:
            if not busy or self.pace.must_record(len(self.unrecorded)):
                self._record(pipe)
            return True
        return busy or self._stays()

    def _stays(self) -> bool:
        """Whether to go on though nothing is out: work left, or a token within 1 s."""
        if not self._may_claim():
            return False
        if self.looked_at is None:
            return True
        if not self.plan.policy.rate_limit or not self.not_before or not self._is_due():
            return False
        wait = (self.not_before - utcnow()).total_seconds()
        if wait > 1:
            return False
        time.sleep(max(wait, 0.001))
        self.looked_at = None
        return True

    def _is_due(self) -> bool:
        now, ordered = utcnow(), self.plan.ordering != "none"
        place = self.position.begin(now)
        self.cr.execute(sql.next_due(self.endpoint.id, ordered, place))
        row = self.cr.fetchone()
        self.cr.commit()
        due = bool(row and row[0] and row[0] <= now)
        if due and place is None:
            self.position.restart()  # the claim must find it, too
        return due

    def _record(self, pipe):
        """Write results, attempts and health in one transaction; then the hooks."""
        now = utcnow()
        batch, self.unrecorded = self.unrecorded, []
        self.pace.freed(sum(_body_size(prepared) for prepared, _answer in batch))
        batch = self._without_short(pipe, batch)
        if not batch:
            return
        judged = [
            ending_of_answer(prepared, answer, self.plan, self.env, now)
            for prepared, answer in batch
        ]
        written, before, after = self._write(judged, now)
        self.pace.recorded()
        self.report.recorded += len(written)
        for ending, _signal in judged:
            _log_attempt(self.plan.code, ending)
        if before != after:
            self._circuit_moved(pipe, before, after)
        elif any(ending.hold for ending, _signal in judged):
            self._give_back(pipe)
        if any(ending.needs_person for ending in written):
            self._tell_of_given_up()
        if self.plan.ordering != "none":
            self.looked_at = None  # whoever stood behind these may go now
        if self.plan.has_response_hook:
            deliveries = self.endpoint.env["bwt.webhook.outbound.delivery"]
            call_due_hooks(deliveries, self.plan, written)

    def _call_left_hooks(self):
        """Response hooks that did not come to their end, now that all is sent."""
        end = time.monotonic() + LEFT_SECONDS

        def may_call():
            self.keeper.keep()
            return time.monotonic() < end and self.budget.may_start(0)

        self.hooks_at = call_left_hooks(self.endpoint, self.plan, may_call)

    def _write(self, judged, now):
        """The recording is repeated when the database asks for it, a request never."""
        endings = [ending for ending, _signal in judged]
        write = partial(record, self.cr)
        for left in reversed(range(TRIES)):
            try:
                written = write(
                    endings,
                    self.job_uuid,
                    now,
                    self.secrets,
                    hooks_follow=self.plan.has_response_hook,
                )
                moved = self.health.note(
                    [signal for _ending, signal in judged],
                    now,
                    hold=max((ending.hold for ending in endings), default=0.0),
                )
                self.cr.commit()
                return written, *moved
            except Exception as error:
                if self.cr.closed or not left:
                    raise
                self.cr.rollback()
                if not lost_race(error):
                    write = partial(record_singly, self.env)
                _logger.info("record endpoint=%s repeated: %s", self.plan.code, error)

    def _circuit_moved(self, pipe, before, after):
        _logger.info("circuit endpoint=%s from=%s to=%s", self.plan.code, before, after)
        if after == "closed":
            self.looked_at = None
        else:
            self._give_back(pipe)
        tell_of_circuit(self.endpoint, before, after)

    def _tell_of_given_up(self):
        """Notify the responsible user, who has one activity a day: once is enough."""
        today, clock = utcnow().date(), time.monotonic()
        if self.told_on == today or clock < self.tell_at:
            return
        if tell_of_given_up(self.endpoint):
            self.told_on = today
        else:
            self.tell_at = clock + TELL_AGAIN

    def _give_back(self, pipe, unsent=()):
        """What no thread has picked goes back to its place, as if never claimed.

        :param unsent: these go back too
        """
        waiting = pipe.take_back()
        self.pace.freed(sum(map(_body_size, waiting)))
        unsent = sorted([*waiting, *unsent], key=lambda each: each.claimed.state)
        if not unsent:
            return
        now = utcnow()
        for state, group in groupby(unsent, lambda prepared: prepared.claimed.state):
            ids = [prepared.claimed.id for prepared in group]
            self.cr.execute(sql.give_back(ids, state, self.job_uuid, now))
        self.cr.commit()
        self.report.given_back += len(unsent)

    def _look_once_more(self):
        """Leave a wake-up if something is due; the watchdog has done its duty."""
        # With the plan as it was: who edits the endpoint asks for a lane themselves.
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
        self.keeper.retire(now)
        self.cr.commit()


def run_directly(endpoint) -> Report:
    """Not a job of queue_job's runner (a test, a script): no commit is ours.

    What is due is sent in the caller's transaction.
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
        except UserError:  # not first in its order, or being sent by another
            left += 1
    sent = len(deliveries) - left
    return Report(why=f"{sent} sent in the caller's transaction, {left} left")


def _body_size(prepared) -> int:
    return len(prepared.wire.body or b"")


def _log_attempt(code, ending):
    level = logging.DEBUG if ending.state == "done" else logging.INFO
    _logger.log(
        level,
        "attempt endpoint=%s delivery=%s attempt=%s status=%s ms=%s decision=%s "
        "next=%s",
        code,
        ending.claimed.id,
        ending.claimed.attempt_count + 1,
        ending.answer.status_code or ending.reason,
        round(ending.duration * 1000),
        ending.state,
        ending.next_attempt_at or "-",
    )
