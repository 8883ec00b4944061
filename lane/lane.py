# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lane: one queue_job job that drains one endpoint."""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from ..services.pipe import Pipe
from ..services.sender import Sender
from . import sql, wake
from .budget import Budget
from .claim import Claim
from .clock import utcnow
from .health import Health
from .hooks import run_response_hooks
from .pace import Pace
from .record import ending_of_answer, open_attempts, record
from .recovery import interrupt_leftovers
from .slot import read_committed, slots

_logger = logging.getLogger(__name__)

HOUSEKEEPING = 1.0  # seconds between take-overs
POLL = 0.1  # seconds between looks for new work while requests are out
BLOCKED = timedelta(seconds=1)  # work that is due and can't be had: look again then


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
        self.env = endpoint.env
        self.cr = endpoint.env.cr
        self.endpoint_id = endpoint.id
        self.browse = endpoint.browse
        self.job_uuid = job_uuid
        self.report = Report()
        self.budget = Budget()
        self.pace = Pace()
        self.plan = self.health = self.claim = self.watchdog = None
        self.not_before = None  # when circuit or rate limit let something through
        self.exhausted_at = 0.0  # when the last look found nothing more
        self.unrecorded = []
        self.next_housekeeping = 0.0

    def run(self) -> Report:
        with slots(self.env.registry, self.endpoint_id) as held:
            if not held.runs_for(self.job_uuid):
                return self._run_directly()
            self._begin()
            slot = held.take(self.lanes) if self.endpoint else None
            if slot is None:
                return Report(why=self.refusal or "left to the lane at work")
            self._keep_house()
            self._interrupt_leftovers(held, slot)
            with self._pipe() as pipe:
                self._drain(pipe, slot)
        # The slot is free now. Whoever didn't get it was turned away before, so what
        # it came for is seen by this look.
        self._look_once_more()
        return self.report

    # Before ---------------------------------------------------------------------------

    def _run_directly(self) -> Report:
        """Not a job of queue_job's runner (a test, a script): no commit is ours."""
        deliveries = self.env["bwt.webhook.outbound.delivery"].search(
            [
                ("endpoint_id", "=", self.endpoint_id),
                ("state", "in", ["queued", "error"]),
                ("next_attempt_at", "<=", utcnow()),
            ],
            order="next_attempt_at, queue_number",
        )
        deliveries.process_delivery()
        return Report(why=f"{len(deliveries)} sent in the caller's transaction")

    def _begin(self):
        read_committed(self.cr)
        self.endpoint = self.browse(self.endpoint_id).exists()
        self.refusal = "" if self.endpoint else "the endpoint is gone"
        if not self.endpoint:
            return
        self.endpoint = self.endpoint._for_lane()
        self.lanes = self.endpoint._policy().parallel_lanes
        self.code = self.endpoint.code

    def _interrupt_leftovers(self, held, slot):
        found = interrupt_leftovers(self.endpoint, held, slot, utcnow())
        self.report.interrupted = found
        self._commit()

    def _pipe(self):
        self._read_plan()
        trust = self.plan.trust
        return _Open(
            Pipe(
                lambda: Sender(
                    trust.egress, client_certificate=trust.client_certificate
                ),
                self.plan.policy.max_in_flight,
            )
        )

    def _read_plan(self):
        """Endpoint, rules, handler and policy, once per batch, as plain values."""
        self.plan = self.endpoint._outbound_plan()
        self.is_open = self.endpoint.state == "active" and not self.endpoint.is_paused
        self.health = Health(
            self.cr, self.endpoint_id, self.plan.policy, self.endpoint.circuit_reset_at
        )
        self.claim = Claim(self.endpoint, self.plan, self.health, self.job_uuid)

    # The main path --------------------------------------------------------------------

    def _drain(self, pipe, slot):
        self.claim.regroup_if_order_changed()
        while True:
            self._keep_house()
            may_claim = self.budget.may_claim(self.plan.timeout)
            if may_claim and self._wants_more(pipe):
                self._claim(pipe, slot)
            elif not may_claim:
                self._give_back(pipe)
            if not self._collect(pipe):
                break

    def _wants_more(self, pipe) -> bool:
        if pipe.waiting >= self.pace.low_water:
            return False
        return time.monotonic() - self.exhausted_at >= POLL

    def _claim(self, pipe, slot):
        """Claim, build, decide, leave a trace; commits before a byte leaves."""
        self._read_plan()
        if not self.is_open:
            self._give_back(pipe)
            self.exhausted_at = time.monotonic()
            self._commit()
            return
        now = utcnow()
        idle = not pipe.waiting and not pipe.in_flight
        batch = self.claim.take(self.pace.batch, now, alone=idle)
        open_attempts(self.cr, self.plan, batch.prepared, self.job_uuid, slot, now)
        self._commit()
        self.report.claimed += batch.claimed
        self.report.recorded += batch.concluded
        self.not_before = batch.not_before
        if batch.claimed < batch.wanted or not batch.wanted:
            self.exhausted_at = time.monotonic()
        timeout = self.plan.timeout
        pipe.put((each, each.wire, timeout) for each in batch.prepared)
        if batch.claimed:
            _logger.info(
                "claim endpoint=%s claimed=%s sent=%s concluded=%s",
                self.code,
                batch.claimed,
                len(batch.prepared),
                batch.concluded,
            )

    def _collect(self, pipe) -> bool:
        """Take answers and record them in chunks; False when nothing is left."""
        out = pipe.waiting + pipe.in_flight
        missing = max(self.pace.chunk - len(self.unrecorded), 1)
        answers = pipe.collect(at_least=missing, timeout=self.pace.wait(out))
        self.unrecorded += answers
        self.pace.saw(len(answers))
        idle = not pipe.waiting and not pipe.in_flight
        if self.unrecorded and (idle or self.pace.must_record(len(self.unrecorded))):
            self._record(pipe)
            return True
        if answers or not idle:
            return True
        # Nothing is out: the end, unless the last look is too old to count.
        return self._waits_shortly()

    def _waits_shortly(self) -> bool:
        """Whether to stay for a token of the rate limit that comes within a second."""
        if not self.exhausted_at:
            return self.budget.may_claim(self.plan.timeout)
        if not self.not_before or not self.budget.may_claim(self.plan.timeout):
            return False
        wait = (self.not_before - utcnow()).total_seconds()
        if wait > 1 or not self.plan.policy.rate_limit or not self._is_due():
            return False
        time.sleep(max(wait, 0.001))
        self.exhausted_at = 0.0
        return True

    def _is_due(self) -> bool:
        self.cr.execute(sql.next_due(self.endpoint_id, self.plan.ordering != "none"))
        row = self.cr.fetchone()
        self._commit()
        return bool(row and row[0] and row[0] <= utcnow())

    def _record(self, pipe):
        """Write results, attempts and health in one transaction; then the hooks."""
        now, batch = utcnow(), self.unrecorded
        self.unrecorded = []
        endings, signals = [], []
        for prepared, answer in batch:
            ending, signal = ending_of_answer(prepared, answer, self.plan, self.env, now)
            endings.append(ending)
            signals.append(signal)
        written = record(self.cr, endings, self.job_uuid, now)
        before, after = self.health.note(signals, now)
        self._commit()
        self.pace.recorded()
        self.report.recorded += len(written)
        for ending in endings:
            _log_attempt(self.code, ending)
        if before != after:
            self._circuit_moved(pipe, before, after)
        elif self.plan.ordering != "none":
            self.exhausted_at = 0.0  # whoever stood behind these may go now
        if self.plan.has_response_hook:
            run_response_hooks(
                self.endpoint.env["bwt.webhook.outbound.delivery"].with_context(
                    self.plan.context
                ),
                written,
            )
            self._commit()

    def _circuit_moved(self, pipe, before, after):
        _logger.info("circuit endpoint=%s from=%s to=%s", self.code, before, after)
        if after in ("open", "manual"):
            self._give_back(pipe)
        else:
            self.exhausted_at = 0.0
        self.endpoint._circuit_moved(before, after)
        self._commit()

    def _give_back(self, pipe):
        """What no thread has picked goes back to its place, as if never claimed."""
        unsent = pipe.take_back()
        if not unsent:
            return
        ids = [prepared.claimed.id for prepared in unsent]
        self.cr.execute(sql.give_back(ids, self.job_uuid, utcnow()))
        self._commit()
        self.report.given_back += len(ids)
        self.report.claimed -= len(ids)

    # Around it ------------------------------------------------------------------------

    def _keep_house(self):
        """Once a second: take over wake-ups, push the watchdog, see who else waits."""
        if time.monotonic() < self.next_housekeeping:
            return
        self.next_housekeeping = time.monotonic() + HOUSEKEEPING
        now = utcnow()
        reason = f"taken over by the lane of job {self.job_uuid}"
        self.cr.execute(sql.take_over(self.endpoint_id, now, reason))
        if self.cr.rowcount:
            self.report.taken_over += self.cr.rowcount
            self.exhausted_at = 0.0  # what they were for is committed: look at once
        self._push_watchdog(now)
        # At once: the runner is one thread and would wait for these rows.
        self._commit()
        if self.budget.seconds > 1:
            self.cr.execute(sql.others_waiting(self.endpoint_id, now))
            self.budget.others_wait = self.cr.fetchone()[0]
            self._commit()

    def _push_watchdog(self, now):
        if self.watchdog:
            eta = now + wake.WATCHDOG_DELAY
            self.cr.execute(sql.push_watchdog(self.watchdog, eta))
            if self.cr.rowcount:
                return
        self.watchdog = wake.watchdog(self.endpoint, self.job_uuid)

    def _look_once_more(self):
        """Leave a wake-up if something is due; the watchdog has done its duty."""
        self._read_plan()
        now = utcnow()
        not_before = self.health.not_before(now)
        if not_before is not False and self.is_open:
            earliest = [each for each in (not_before, self.not_before) if each]
            if not self.report.claimed:
                earliest.append(now + BLOCKED)
            wake.wake_for_due(self.endpoint, max(earliest, default=None))
        self.cr.execute(sql.close_watchdog(self.watchdog, now))
        self._commit()

    def _commit(self):
        self.cr.commit()


class _Open:
    """A pipe that is closed on leaving, whatever happens."""

    def __init__(self, pipe):
        self.pipe = pipe

    def __enter__(self):
        return self.pipe

    def __exit__(self, *_exception):
        self.pipe.close()


def _log_attempt(code, ending):
    level = logging.DEBUG if ending.state == "done" else logging.INFO
    _logger.log(
        level,
        "attempt endpoint=%s delivery=%s attempt=%s status=%s ms=%s decision=%s next=%s",
        code,
        ending.claimed.id,
        ending.claimed.attempt_count + 1,
        ending.answer.status_code or ending.reason,
        round(ending.duration * 1000),
        ending.state,
        ending.next_attempt_at or "-",
    )
