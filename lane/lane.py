# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lane: one queue_job job that drains one endpoint."""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import gc
import logging
import time
from contextlib import contextmanager
from datetime import timedelta

from psycopg2 import OperationalError, errorcodes

from ..services.http.sender_pool import SenderPool
from ..services.shortage import REASON as SHORTAGE
from ..services.shortage import Shortage
from . import jobs
from .attempt_result import result_of_response
from .batch import Claim, EndpointView
from .clock import utcnow
from .jobs import Housekeeping
from .pacing import Budget, Pace, Position
from .recording import record_and_commit
from .recovery import recover_interrupted
from .report import FailureNotices, Report, notify_of_circuit
from .response_hooks import call_due_hooks, call_interrupted_hooks
from .slot import read_committed, slots
from .step import AWAIT_POLL, POLL, Backlog, Caution, Situation, Step, next_step
from .translation import translate

_logger = logging.getLogger(__name__)

BLOCKED = timedelta(seconds=1)  # due work is locked by others: check again then
MAYBE_MORE = Backlog()
COLLECTIONS = gc.get_threshold()  # of this server, while no lane runs
COLLECT_AFTER = 100_000  # objects; a batch has fewer
REPEATED = {
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.LOCK_NOT_AVAILABLE,
}


@contextmanager
def rare_collections():
    """Let Python search for garbage in cycles less often.

    The objects of a batch live until it is recorded: a search in between visits
    thousands of them, and finds nothing.
    """
    if 0 < COLLECTIONS[0] < COLLECT_AFTER:
        gc.set_threshold(COLLECT_AFTER, *COLLECTIONS[1:])
    try:
        yield
    finally:
        gc.set_threshold(*COLLECTIONS)


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
        self.caution = Caution()
        self.backlog = MAYBE_MORE
        self.unrecorded = []  # (Prepared, HttpResponse)
        self.recorded = None  # `Recorded`, until it was followed up
        self.must_release = False  # the target must get none of the waiting requests
        self.not_before = None  # when circuit or rate limit allows the next request

    def run(self) -> Report | None:
        """Returns None, without effect, if queue_job's runner didn't start this job."""
        with slots(self.env.registry, self.given.id) as held:
            duty = jobs.running_lane(held.cr, self.job_uuid, self.given.id)
            if duty is None:
                return None
            if duty.endpoint_id is None:
                return Report(why="the endpoint is gone")
            self.slot = 0 if duty.has_slot else held.take(duty.lanes, first=1)
            if self.slot is None:
                return Report(why="left to the lane at work")
            self.position = Position.of(self.cr.dbname, duty.endpoint_id, self.slot)
            self._start(duty, held)
            self._drain(duty)
            hooks_at = call_interrupted_hooks(
                self.endpoint, self.snapshot, self._may_call_hook
            )
            self.notices.retry()
        # The slot is free now. A lane that didn't get it ended before, so this check
        # sees the work it was started for.
        self._check_once_more(hooks_at)
        return self.report

    def _start(self, duty, held):
        """The owner of the slot owns what is in flight in it: recover that first."""
        read_committed(self.cr)
        self.housekeeping = Housekeeping(
            self.given, duty, held, self.job_uuid, self.budget
        )
        self.housekeeping.keep()
        self.endpoint = self.given._for_lane(duty.company_id, duty.lang)
        self.notices = FailureNotices(self.endpoint)
        killed = jobs.free_dead_jobs(self.endpoint, utcnow())
        if killed or duty.was_killed or self.housekeeping.was_killed:
            self.caution = self.caution.after_kill()
            _logger.warning(
                "careful endpoint=%s: its lane was killed; building one at a time",
                duty.code,
            )
        if self.caution.builds or not self.position.recovery.left:
            began = time.monotonic()
            self.report.interrupted = recover_interrupted(
                self.endpoint, held, self.slot, utcnow()
            )
            self.position.recovery.took(time.monotonic() - began)
            if self.report.interrupted:
                self.position.restart()  # only a claim from there finds these
        self.view = EndpointView(self.endpoint)
        self._read_claim()

    def _drain(self, duty):
        """Decide, then act, until nothing is left to do."""
        self.claim.regroup_if_order_changed(duty.ordering)
        trust, threads = self.snapshot.trust, self.snapshot.max_in_flight
        with rare_collections(), SenderPool(trust.open_sender, threads) as self.pool:
            while (step := next_step(self._situation())) is not Step.STOP:
                self.ACTIONS[step](self)

    def _read_claim(self):
        """Claim with the endpoint as it was read last."""
        view = self.view
        self.snapshot, self.health = view.snapshot, view.health
        self.claim = Claim(
            self.endpoint,
            self.snapshot,
            self.health,
            self.position,
            self.job_uuid,
            self.slot,
        )

    def _situation(self) -> Situation:
        """What decides about the next step; changes nothing."""
        clock = time.monotonic()
        seconds = self.snapshot.timeout + self.pace.build_seconds
        permit_wait = None
        if self.snapshot.policy.rate_limit and self.not_before:
            permit_wait = (self.not_before - utcnow()).total_seconds()
        return Situation(
            clock=clock,
            may_claim=self.budget.may_claim(seconds),
            must_release=self.must_release,
            has_follow_up=self.recorded is not None,
            is_keeping_due=self.housekeeping.is_due(clock),
            unrecorded=len(self.unrecorded),
            must_record=self.pace.must_record(len(self.unrecorded)),
            waiting=self.pool.waiting,
            outstanding=self.pool.outstanding,
            low_water=self.pace.low_water,
            room=self.pace.room,
            backlog=self.backlog,
            caution=self.caution,
            permit_wait=permit_wait,
            expects_more=self.housekeeping.expects_more(clock),
        )

    # Claim ----------------------------------------------------------------------------

    def _claim(self):
        """Claim and build a batch, and pass its requests to the threads."""
        try:
            batch = self._take_batch()
        except OperationalError as error:
            if error.pgcode not in REPEATED:
                raise
            self.claim.undo()
            self.backlog = Backlog(time.monotonic())
            _logger.info(
                "claim endpoint=%s repeated=%s", self.snapshot.code, error.pgcode
            )
        except Exception as error:
            shortage = Shortage.of(error)
            if shortage is None:
                raise
            self.claim.undo_for(shortage, careful=bool(self.caution.builds))
            self._ran_short(shortage)
        else:
            if batch:
                self._send(batch)
                self._collect()

    def _take_batch(self):
        """A batch whose attempts are committed; None if nothing may be sent now."""
        grouping = self.snapshot.grouping
        if self.view.refresh():
            self._read_claim()
            if self.snapshot.grouping != grouping:
                self.claim.regroup_if_order_changed()
        if not self.view.may_send:
            self.cr.commit()
            self.must_release = True
            self.backlog = Backlog(time.monotonic())
            return None
        now = utcnow()
        batch = self.claim.take(
            self.pace.batch,
            now,
            alone=not self.pool.outstanding,
            room=self.pace.room,
            careful=bool(self.caution.builds),
        )
        if batch.needs_token or batch.suspect:
            self.claim.undo()
            self.backlog = MAYBE_MORE
            if batch.needs_token:
                self.view.expire()  # the next snapshot has a new access token
            else:
                self.caution = self.caution.after_suspect()
            return None
        self.claim.open_attempts(batch, now)
        self.cr.commit()
        return batch

    def _send(self, batch):
        timeout = self.budget.cap(self.snapshot.timeout)
        self.pool.put((each, each.encoded, timeout) for each in batch.prepared)
        clock = time.monotonic()
        self.pace.sent([each.size for each in batch.prepared])
        self.pace.built(batch.claimed, batch.seconds)
        self.caution = self.caution.after_claim(
            is_last=batch.is_last,
            is_alone=batch.is_alone and bool(batch.prepared),
            clock=clock,
        )
        self.not_before = batch.not_before
        # Nothing was claimed though there is more: it waits for room.
        waits = batch.is_last or not batch.claimed
        self.backlog = Backlog(clock) if waits else MAYBE_MORE
        self.report.count_claim(self.snapshot.code, batch)
        if batch.failed_permanently:
            self.notices.notify()
        may_request = not self.caution.builds and self.housekeeping.may_request_lane
        if may_request and self.claim.leaves_work(batch):
            self.housekeeping.request_another_lane()
        if self.pool.is_stuck:
            self._ran_short(self.pool.shortage)

    def _check(self):
        clock = time.monotonic()
        self.backlog = Backlog(clock, self.claim.is_due())

    def _sleep(self):
        """Wait for the next rate-limit permit."""
        time.sleep(max((self.not_before - utcnow()).total_seconds(), 0.001))

    def _await(self):
        """Wait for what is expected to be queued."""
        time.sleep(AWAIT_POLL)

    # Responses ------------------------------------------------------------------------

    def _collect(self):
        missing = max(self.pace.chunk - len(self.unrecorded), 1)
        responses = self.pool.collect(at_least=missing, timeout=POLL)
        self.unrecorded += responses
        self.pace.saw(len(responses))

    def _record(self):
        """Write results, attempts and health in one transaction."""
        now = utcnow()
        batch, self.unrecorded = self.unrecorded, []
        self.pace.freed(sum(prepared.size for prepared, _response in batch))
        batch = self._without_short(batch)
        if not batch:
            return
        decided = [
            result_of_response(prepared, response, self.snapshot, self.env, now)
            for prepared, response in batch
        ]
        self.recorded = recorded = record_and_commit(
            self.env,
            self.health,
            decided,
            self.job_uuid,
            self.slot,
            now,
            self.view.secrets,
        )
        self.pace.recorded()
        self.report.count_recorded(self.snapshot.code, recorded)
        self.must_release = recorded.stops_requests
        # Closed again, or no longer held back by these: more may be sent now.
        is_closed = recorded.circuit_moved and recorded.after == "closed"
        if is_closed or self.snapshot.ordering != "none":
            self.backlog = MAYBE_MORE

    def _follow_up(self):
        """Notify users, and call response hooks, about what was recorded."""
        recorded, self.recorded = self.recorded, None
        if recorded.circuit_moved:
            notify_of_circuit(self.endpoint, recorded.before, recorded.after)
        if any(result.needs_attention for result in recorded.results):
            self.notices.notify()
        if self.snapshot.has_response_hook or any(
            result.taken for result in recorded.results
        ):
            deliveries = self.endpoint.env["bwt.webhook.outbound.delivery"]
            call_due_hooks(deliveries, self.snapshot, recorded.results)

    # Release --------------------------------------------------------------------------

    def _release_unsent(self, unsent=()):
        """Return what no thread has started to the queue, as if never claimed.

        :param unsent: requests to return in addition
        """
        self.must_release = False
        waiting = self.pool.take_back()
        self.pace.freed(sum(each.size for each in waiting))
        unsent = [*waiting, *unsent]
        if unsent:
            self.claim.release(unsent)
            self.report.released += len(unsent)

    def _ran_short(self, shortage, unsent=()):
        """Release what isn't sent, report it, and leave the rest to a later lane."""
        now = utcnow()
        text = translate(self.env, shortage)
        _logger.error("shortage endpoint=%s: %s", self.snapshot.code, text)
        self.budget.ran_short(now)
        self._release_unsent(unsent)
        self.health.ran_short(len(unsent), text, now)
        self.cr.commit()

    def _without_short(self, batch):
        """These responses without those of requests that were never sent."""
        unsent = [each for each, response in batch if response.reason == SHORTAGE]
        if not unsent:
            return batch
        shortage = next(
            response.error for _each, response in batch if response.reason == SHORTAGE
        )
        self._ran_short(shortage, unsent)
        return [each for each in batch if each[1].reason != SHORTAGE]

    # Once a second, and at the end ----------------------------------------------------

    def _keep_house(self):
        if self.housekeeping.keep():
            self.backlog = MAYBE_MORE

    def _may_call_hook(self) -> bool:
        """Called between the interrupted hooks, when everything is sent."""
        if self.housekeeping.is_due(time.monotonic()):
            self.housekeeping.keep()
        return self.budget.may_start(0)

    def _check_once_more(self, hooks_at):
        """Create a wake-up if something is due, and close the watchdog."""
        # With the old snapshot: an edit of the endpoint requests a lane of its own.
        now = utcnow()
        self.report.superseded = self.housekeeping.superseded
        circuit_at = self.health.not_before(now)
        if circuit_at is not False:
            dates = [circuit_at, self.not_before, self.budget.short_until]
            dates.append(self.view.token_at)
            if not self.report.claimed:
                dates.append(now + BLOCKED)
            latest = max(filter(None, dates), default=None)
            self._wake_for_due(now, latest)
        if hooks_at:
            jobs.wake(self.endpoint, eta=hooks_at)
        self.housekeeping.retire(now)
        self.cr.commit()

    def _wake_for_due(self, now, latest):
        """Wake a lane for what is due next; where a full check is slow, also for it."""
        place, full = self.position.begin(now), self.position.full
        if not full.is_slow:
            place = None
        began = time.monotonic()
        due = jobs.wake_for_due(self.endpoint, latest, place)
        if place is None:
            full.took(time.monotonic() - began)
            return
        check_at = now + timedelta(seconds=full.left)
        if self.view.may_send and (not due or due > check_at):
            jobs.wake(self.endpoint, eta=max(filter(None, (check_at, latest))))

    ACTIONS = {
        Step.RELEASE: _release_unsent,
        Step.FOLLOW_UP: _follow_up,
        Step.RECORD: _record,
        Step.KEEP_HOUSE: _keep_house,
        Step.CLAIM: _claim,
        Step.CHECK: _check,
        Step.COLLECT: _collect,
        Step.SLEEP: _sleep,
        Step.AWAIT: _await,
    }
