# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""All contact with queue_job: jobs that start lanes, dead jobs, and the job runner.

With `job_sql.py`, the only file that knows queue_job's classes, functions, states and
configuration. tests/orm/test_queue_job_contract.py checks what the two rely on.
"""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import logging
import time
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from psycopg2 import OperationalError

from odoo import SUPERUSER_ID
from odoo.tools import SQL, config

from odoo.addons.queue_job.exception import RetryableJobError
from odoo.addons.queue_job.job import Job
from odoo.addons.queue_job.jobrunner import runner
from odoo.addons.queue_job.jobrunner.channels import ChannelManager
from odoo.addons.queue_job.utils import must_run_without_delay

from . import job_sql, sql
from .clock import utcnow
from .slot import read_committed

_logger = logging.getLogger(__name__)

WATCHDOG_DELAY = timedelta(seconds=5)
KEEP_EVERY = 1.0  # seconds
# A lane that supersedes so many wake-ups at once expects more. They are then requested
# for later, when it has superseded them, and it waits for some time before it ends.
BURST = 10
BURST_PAUSE = 1.5  # seconds
IN_BURST_DELAY = timedelta(seconds=2)
RUN_LATEST = timedelta(minutes=2)  # no batch is requested for a later time
UNTIL_LOCKED = 0.05  # seconds between a job's start and the lock on its row
KILLED = "The worker was killed; another lane of the endpoint continues."
UNINSTALLED = "Cancelled: the webhooks addon was uninstalled"
MODEL = "queue.job"
JOB_FUNCTION = "<bwt.webhook.outbound.endpoint>.run_lane"
# Kept in the context if code calls the steps directly: tests and scripts run without
# jobs.
KEPT_CONTEXT = ("queue_job__no_delay",)


class Duty(NamedTuple):
    """A lane's endpoint as plain values; all None when it was deleted."""

    endpoint_id: int | None
    company_id: int | None
    code: str | None
    lanes: int | None  # that may run at the same time
    was_killed: bool = False  # this job ran before, and its worker ended
    ordering: str = "none"  # that waiting deliveries are grouped by
    lang: str | None = None  # of the company's partner
    has_slot: bool | None = False  # it has locked the first one


class RunnerAddress(NamedTuple):
    """Where the job runner calls Odoo, and as whom."""

    scheme: str
    host: str
    port: int | str
    user: str | None
    password: str | None


class QueueState(NamedTuple):
    """The state of the queue at one moment, read from the database."""

    runner_alive: bool
    lane_at_work: bool
    wake_up_waiting: bool
    jobs_running: int
    oldest_transaction: datetime | None  # naive UTC; of those that hide rows


# Request a lane -----------------------------------------------------------------------
#
# Jobs are created in the transaction that queues their deliveries. Both commit or
# neither does, so no wake-up is lost and none starts too early.


def wake(
    endpoint,
    eta: datetime | None = None,
    *,
    transaction: str | None = None,
    in_burst: bool = False,
):
    """Request a lane for `endpoint`, at `eta` (naive UTC) or immediately.

    :param transaction: this transaction's number, if the caller knows it
    :param in_burst: with `transaction`: a lane waits for more and will find what was
        queued; the wake-up is for the rare case that it ends before

    Any number of deliveries in one transaction make one job. The key is never shared
    between transactions: one that relied on another's pending wake-up, and committed
    only after that job had checked the queue, would leave its delivery unsent.
    """
    if not transaction:
        transaction, in_burst = _transaction(endpoint)
    if in_burst and not eta:
        eta = utcnow() + IN_BURST_DELAY
    moment = int(eta.timestamp()) if eta else "now"
    _request(endpoint, job_sql.wake_up_key(endpoint.id, transaction, moment), eta)


def wake_for_due(endpoint, not_before: datetime | None = None, place=None):
    """Create one wake-up for the earliest due delivery, if there is one.

    :param not_before: naive UTC; nothing can be sent earlier (circuit, rate limit)
    :param place: where in the queue to begin (lane/pacing.py); None: at its beginning
    :return: when, or None
    """
    plain = endpoint.sudo()
    if plain.state != "active" or plain.is_paused:
        return None
    endpoint.env.flush_all()
    is_ordered = plain.ordering != "none"
    endpoint.env.cr.execute(sql.next_due(endpoint.id, is_ordered, place))
    row = endpoint.env.cr.fetchone()
    if not row or not row[0]:
        return None
    due = max(row[0], not_before) if not_before else row[0]
    wake(endpoint, eta=due if due > utcnow() else None)
    return due


def request_another_lane(endpoint, job_uuid: str):
    """Request one more lane beside this job's; it is not superseded as a wake-up."""
    _request(endpoint, job_sql.another_lane_key(endpoint.id, job_uuid), None)


def request_notification(endpoint):
    """Request a notification on what this transaction could not queue."""
    number, _in_burst = _transaction(endpoint)
    endpoint.with_delay(
        identity_key=job_sql.notification_key(endpoint.id, number),
        description=f"Notify of webhooks that were not queued: {endpoint.code}",
    ).notify_not_queued()


def request_batch(run, eta: datetime | None = None):
    """Request the next batch of a run, at `eta` (naive UTC) or immediately.

    One job waits at a time, so that a run that is requested twice isn't twice as fast.
    """
    key = job_sql.run_key(run.id)
    run.env.flush_all()
    run.env.cr.execute(job_sql.hasten(key, eta or utcnow()))
    _plain(run, run.company_id.id).with_delay(
        eta=eta,
        identity_key=key,
        max_retries=0,
        description=f"Queue existing records: {run.name}",
    ).run_batch()


def request_check(reconciliation):
    """Request the next step of a check; one job waits at a time."""
    _plain(reconciliation, reconciliation.company_id.id).with_delay(
        identity_key=job_sql.check_key(reconciliation.id),
        max_retries=0,
        description=f"Check what was delivered: {reconciliation.name}",
    ).run_check()


def count_with_texts(cr, patterns) -> int:
    """How many of our jobs have a result or an error that is LIKE one of these."""
    cr.execute(job_sql.count_with_texts(patterns))
    return cr.fetchone()[0]


def request_forget(forget):
    """Request the next step of a search or deletion; one job waits at a time."""
    _plain(forget, forget.company_id.id).with_delay(
        identity_key=job_sql.forget_key(forget.id),
        max_retries=0,
        description=f"Forget a contact: {forget.id}",
    ).run_forget()


def forgets_without_job(cr) -> list[int]:
    """Ids of those that search or delete and whose next step nobody will start."""
    cr.execute(job_sql.forgets_without_job())
    return [row[0] for row in cr.fetchall()]


def request_dry_run(dry_run):
    """Request the job of a dry run."""
    _plain(dry_run, dry_run.company_id.id).with_delay(
        identity_key=job_sql.dry_run_key(dry_run.id),
        max_retries=0,
        description=f"Compare with past deliveries: {dry_run.endpoint_id.name}",
    ).run_dry_run()


def dry_runs_without_job(cr) -> list[int]:
    """Ids of those that wait or run and whose job is gone."""
    cr.execute(job_sql.dry_runs_without_job())
    return [row[0] for row in cr.fetchall()]


def checks_without_job(cr) -> list[int]:
    """Ids of reconciliations that check and whose next step nobody will start."""
    cr.execute(job_sql.checks_without_job())
    return [row[0] for row in cr.fetchall()]


def runs_without_job(cr, now) -> list[int]:
    """Ids of running runs whose next batch nobody will start soon."""
    cr.execute(job_sql.runs_without_job(now + RUN_LATEST))
    return [row[0] for row in cr.fetchall()]


def _request(endpoint, identity_key, eta):
    known = endpoint.sudo()
    _plain(endpoint, known.company_id.id).with_delay(
        eta=eta,
        identity_key=identity_key,
        max_retries=0,  # a kill counts as a retry and must not reach a limit
        description=_description(known.code),
    ).run_lane()


def _transaction(endpoint) -> tuple[str, bool]:
    endpoint.env.cr.execute(sql.transaction(endpoint.id))
    return endpoint.env.cr.fetchone()


def _plain(endpoint, company_id: int):
    """As superuser, with only the company in the context: nothing of the caller's."""
    context = {"allowed_company_ids": [company_id], "tracking_disable": True}
    plain = endpoint.with_user(SUPERUSER_ID)
    return plain.with_context(context)  # pylint: disable=W8121  # replaces the caller's


def _description(code: str) -> str:
    return f"Send webhooks: {code}"


# The job of a lane that runs ----------------------------------------------------------


def current_job(env) -> str | None:
    """Uuid of the job that runs in this environment, if one does."""
    return env.context.get("job_uuid")


def running_lane(cr, job_uuid: str | None, endpoint_id: int) -> Duty | None:
    """What queue_job currently runs under this uuid, if it is a lane.

    Also locks the endpoint's first slot, until the transaction of this cursor ends: a
    round trip less before the first request.

    The uuid alone is not sufficient: it is also in the context of other addons' jobs,
    and of jobs that a test or a caller performs in its own transaction.
    """
    if not job_uuid:
        return None
    locks_first = sql.locks_slot(SQL("e.id"), 0)
    cr.execute(job_sql.started_lane_job(job_uuid, endpoint_id, locks_first))
    row = cr.fetchone()
    return row and Duty(*row)


def supersede_wake_ups(cr, endpoint_id: int, job_uuid: str, now) -> list[bool]:
    """Close the pending wake-ups of an endpoint; per wake-up: its lane was killed."""
    reason = f"superseded by the lane of job {job_uuid}"
    found = job_sql.supersede_wake_ups(endpoint_id, now, reason)
    cr.execute(job_sql.not_waiting_for_disk(found))
    return [was_killed for (was_killed,) in cr.fetchall()]


def start_watchdog(endpoint, duty: Duty, job_uuid: str) -> str:
    """Request the lane that runs if this one is killed; returns its job's uuid.

    queue_job checks for dead jobs up to a minute apart; this one starts within seconds.
    The first request waits for it: it is a copy of the lane's own job, by one
    statement. Only if a user deleted that job meanwhile, queue_job creates it.
    """
    uuid, eta = str(uuid4()), utcnow() + WATCHDOG_DELAY
    key = job_sql.watchdog_key(endpoint.id, job_uuid)
    cr, job_fields = endpoint.env.cr, endpoint.env["queue.job"]._fields.values()
    columns = [each.name for each in job_fields if each.store and each.column_type]
    cr.execute(job_sql.copy_job(columns, job_uuid, uuid, key, eta, utcnow()))
    if cr.rowcount:
        return uuid
    plain = _plain(endpoint, duty.company_id)
    job = Job(
        plain.run_lane,
        eta=eta,
        identity_key=key,
        max_retries=0,
        description=_description(duty.code),
    )
    job.store()
    return job.uuid


def postpone_watchdog(cr, watchdog: str, job_uuid: str, now) -> tuple[bool, bool]:
    """Move a watchdog into the future, unless it has started.

    :return: whether it was moved; whether nobody waits for the end of the lane's job
    """
    cr.execute(job_sql.push_watchdog(watchdog, job_uuid, now + WATCHDOG_DELAY))
    return cr.fetchone()


def close_watchdog(cr, watchdog: str, now):
    """Close the watchdog of a lane that ends in order."""
    cr.execute(job_sql.close_watchdog(watchdog, now))


def others_wait(cr, endpoint_id: int, now) -> bool:
    """Whether a job other than this endpoint's own could run now."""
    cr.execute(job_sql.others_waiting(endpoint_id, now))
    return cr.fetchone()[0]


def repeat_later(message: str, seconds: float) -> Exception:
    """An error: a job that raises it is repeated; that doesn't count as a retry."""
    return RetryableJobError(message, seconds=seconds, ignore_retry=True)


class Housekeeping:
    """What a lane does once a second besides sending deliveries.

    Supersedes wake-ups, postpones the watchdog, checks whether other jobs wait.

    Each in a transaction that commits immediately: queue_job's runner is one thread and
    would wait for the rows.
    """

    def __init__(self, endpoint, duty, slots, job_uuid: str, budget):
        self.endpoint = endpoint
        self.duty = duty
        self.slots = slots
        self.cr = endpoint.env.cr
        self.job_uuid = job_uuid
        self.budget = budget
        self.superseded = 0
        self.was_killed = False  # a superseded wake-up was that of a killed lane
        self._watchdog = None
        self._burst_until_clock = None  # while this lane is the one of a burst
        self._next_clock = 0.0
        self.may_request_lane = True

    def is_due(self, clock: float) -> bool:
        return clock >= self._next_clock

    def expects_more(self, clock: float) -> bool:
        """Whether wake-ups wait, so that this lane finds their deliveries."""
        until = self._burst_until_clock
        return until is not None and clock < until and not self.budget.others_wait

    def keep(self) -> bool:
        """True if wake-ups were superseded: their deliveries can be claimed now.

        :raise OperationalError: the slot is lost
        """
        first = not self._next_clock
        self._next_clock = time.monotonic() + KEEP_EVERY
        now = utcnow()
        killed = supersede_wake_ups(self.cr, self.endpoint.id, self.job_uuid, now)
        found = len(killed)
        self.was_killed = self.was_killed or any(killed)
        self.superseded += found
        self._note_burst(found)
        self._push_watchdog(now)
        self.cr.commit()
        if not first:
            self.slots.check()
            self.budget.others_wait = others_wait(self.cr, self.endpoint.id, now)
            requeue_dead_jobs(self.cr)  # of another server, killed meanwhile
            self.cr.commit()
        return bool(found)

    def _note_burst(self, found: int):
        until = time.monotonic() + BURST_PAUSE
        if self._burst_until_clock is not None:
            if found:
                self._burst_until_clock = until
            elif time.monotonic() >= self._burst_until_clock:
                self._burst_until_clock = None
                self.slots.end_burst()
        elif found >= BURST and self.slots.begin_burst():
            self._burst_until_clock = until

    def request_another_lane(self):
        """There is work for one more lane; each lane requests the next slot once."""
        self.may_request_lane = False
        request_another_lane(self.endpoint, self.job_uuid)
        self.cr.commit()

    def retire(self, now):
        """Close the watchdog, in the transaction of the last check."""
        if self._watchdog:
            close_watchdog(self.cr, self._watchdog, now)

    def _push_watchdog(self, now):
        if self._watchdog:
            is_moved, is_job_free = postpone_watchdog(
                self.cr, self._watchdog, self.job_uuid, now
            )
            # A user deletes or changes the job and waits until it ends, and
            # queue_job's runner may wait for them.
            self.budget.is_awaited = not is_job_free
            if is_moved:
                return
        self._watchdog = start_watchdog(self.endpoint, self.duty, self.job_uuid)


# Dead jobs ----------------------------------------------------------------------------
#
# Jobs of killed workers. queue_job's runner counts them as running: after as many kills
# as the channel has room for, nothing starts before its next poll, up to 60 s later.


def close_dead_jobs(cr, endpoint_id: int, slot: int | None, now):
    """Close the jobs of killed lanes whose deliveries are in this slot."""
    cr.execute(job_sql.close_dead_jobs(endpoint_id, slot, now, KILLED))


def free_dead_jobs(endpoint, now) -> bool:
    """Close the jobs of this endpoint's killed lanes, requeue those of others. Commits.

    :return: whether a lane of this endpoint was killed
    """
    cr = endpoint.env.cr
    cr.execute(job_sql.dead_lane_jobs())
    found = cr.fetchall()
    if not found:
        return False
    cr.commit()
    time.sleep(UNTIL_LOCKED)
    own = [job_id for job_id, endpoint_id in found if endpoint_id == str(endpoint.id)]
    killed = 0
    if own:
        cr.execute(job_sql.close_killed(own, now, KILLED))
        killed = cr.rowcount
    if len(own) < len(found):
        requeue_dead_jobs(cr)
    cr.commit()
    return killed > 0


def requeue_dead_jobs(cr):
    """Set lane jobs to pending that no worker runs; skips a job changed meanwhile."""
    try:
        with cr.savepoint(flush=False):
            cr.execute(job_sql.requeue_dead_jobs(), log_exceptions=False)
    except OperationalError as error:
        _logger.info("dead jobs are left to queue_job: %s", str(error).strip())


def requeue_dead_jobs_at_start(registry):
    """Like `requeue_dead_jobs`, while a registry is loaded, on a cursor of its own.

    Loading takes long: its transaction began before lanes wrote their rows, and each
    of those would be a serialization failure.
    """
    with registry.cursor() as cr:
        read_committed(cr)
        # An update locks the table, perhaps for minutes.
        cr.execute("SET LOCAL lock_timeout = '500ms'")
        requeue_dead_jobs(cr)


# The job runner -----------------------------------------------------------------------


def is_runner_alive(cr) -> bool:
    """Whether a job runner, on any server, is connected to this database."""
    cr.execute(job_sql.runner_alive(runner.PG_ADVISORY_LOCK_ID))
    return cr.fetchone()[0]


def is_runner_loaded() -> bool:
    """Whether this server starts a job runner."""
    return "queue_job" in config["server_wide_modules"]


def starts_no_jobs() -> bool:
    """Whether this server's configuration gives the root channel no capacity."""
    return runner._channels().strip().startswith("root:0")


def paused_channel(env) -> str | None:
    """The channel that prevents lanes from starting: ours or a parent.

    A capacity of 0 stops only `root`; for any other channel it means no limit.
    """
    ours = env["queue.job.function"].sudo().job_config(JOB_FUNCTION).channel
    for channel in ChannelManager.parse_simple_config(runner._channels()):
        name = channel["name"]
        name = name if name.split(".")[0] == "root" else f"root.{name}"
        if channel.get("paused") and f"{ours}.".startswith(f"{name}."):
            return name
    return None


def runner_address() -> RunnerAddress:
    """The address that the job runner of this server calls."""
    found = runner.QueueJobRunner.from_environ_or_config()
    return RunnerAddress(
        found.scheme, found.host, found.port, found.user, found.password
    )


def queue_state(cr, endpoint_id: int, now) -> QueueState:
    """Read the state of runner, lane, wake-ups and transactions."""
    cr.execute(job_sql.queue_state(endpoint_id, now, runner.PG_ADVISORY_LOCK_ID))
    return QueueState(*cr.fetchone())


def are_wake_ups_late(cr, since) -> bool:
    """Whether a lane should have started before `since` and no job runs at all."""
    cr.execute(job_sql.late_wake_ups(since))
    return cr.fetchone()[0]


# Jobs as records, install and uninstall -----------------------------------------------


def runs_immediately(env) -> bool:
    """Whether queue_job is set to run jobs at once (tests, scripts)."""
    return must_run_without_delay(env)


def state_labels(env) -> dict:
    """What users read for each state of a job."""
    return dict(env["queue.job"]._fields["state"]._description_selection(env))


def find_jobs(env, uuids):
    """The jobs with these uuids as records, the newest first."""
    return (
        env["queue.job"]
        .sudo()
        .search([("uuid", "in", list(uuids))], order="date_created desc, id desc")
    )


def create_index(cr):
    """Create the index by which a lane finds the wake-ups of its endpoint."""
    cr.execute(job_sql.wake_up_index())


def uninstall(cr):
    """Cancel every unfinished job of ours and drop our index on the jobs.

    queue_job can't load a job whose model is gone and would requeue it for ever.
    """
    cr.execute(job_sql.cancel_all(UNINSTALLED))
    cr.execute(job_sql.drop_wake_up_index())
