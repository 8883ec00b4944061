# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One batch of a run: which records are next, how many, and their deliveries."""

import time
from datetime import timedelta
from math import ceil
from typing import NamedTuple

from psycopg2 import errors as pg_errors

from odoo import SUPERUSER_ID
from odoo.tools import SQL

from ..lane import sql
from ..lane.batch import describe
from .action_guard import guarded
from .action_queue import compile_action
from .action_run import RunResult, ServerActionRun
from .endpoint_summary import waiting_message
from .reconciliation_check import MatchingResults
from .run_delivery import PastDeliveries
from .run_records import matching

ORIGINS_OF_RUNS = ("backfill", "reconciliation", "replay")
BATCH_MAX = 1000  # records of a batch
BATCH_SECONDS = 1.0  # a batch that takes longer is followed by smaller ones
INTERVAL = timedelta(seconds=1)  # between two batches, at least
INTERVAL_OF_FEW = timedelta(seconds=1.5)  # a job costs more than a few records
FEW = 20  # records
CHECK = timedelta(seconds=30)  # until a run that waits looks again
INTERVAL_MAX = timedelta(seconds=60)
# Due deliveries of the endpoint, in seconds of the run's pace, that may wait for the
# lane: live ones are queued behind them.
AHEAD_SECONDS = 2.0  # more than between two batches
AHEAD_AT_FIRST = FEW  # deliveries, until it is known how fast the lane is
BURST_SECONDS = 5.0  # of its pace that a run makes up for after a delay
WAITS = "waits"
# Records of the batch that another transaction is writing, or has written meanwhile.
WRITTEN_MEANWHILE = (pg_errors.LockNotAvailable, pg_errors.SerializationFailure)


def feed(run, now, *, is_paced=True):
    """Queue the deliveries of the next records and move the run behind them.

    In one transaction with what the caller does next. Errors of single records are
    stored with their deliveries; one that concerns all ends the run as failed.

    :param run: running and locked, as superuser
    :param now: naive UTC
    :param is_paced: False: the next `BATCH_MAX` records, whatever waits
    :return: a timedelta until the next batch, `WAITS` if that is for the endpoint to
        change; without meaning if the run has ended
    """
    if problem := _problem(run):
        run._end("failed", problem)
        return INTERVAL
    if message := _waits_for(run):
        if run.message != message:
            run._set("running", message)
        return CHECK if is_paced else WAITS
    limit = BATCH_MAX
    if is_paced:
        pace = _Pace(run, now)
        limit = min(pace.records(), run.batch_limit)
        if limit < 1:
            if pace.is_blocked and run.message != (message := _waits_behind(run)):
                run.message = message
            pace.store(0)
            return pace.interval()
    began = time.monotonic()
    with guarded(run.env) as outcome:
        if run.replay_with:
            batch, result = _replay_next(run, limit)
        else:
            batch = _next_batch(run, limit, now)
            if is_paced and not _keep_as_read(batch.records):
                run.message = run.env._(
                    "It waits: another transaction is writing one of the next records."
                )
                return INTERVAL
            result = _queue(run, batch.records)
    if outcome.error is not None:
        run._end("failed", describe(run.env, outcome.error))
        return INTERVAL
    took = time.monotonic() - began
    _record(run, batch, result, took)
    if is_paced:
        pace.store(len(batch.records))
    if batch.is_last:
        run._end("done")
    return pace.interval() if is_paced else INTERVAL


class _Pace:
    """How many records the pace and the waiting deliveries allow now."""

    def __init__(self, run, now):
        self.run = run
        self.rate = run.pace / 60  # records a second
        self.now = now
        self.clock = now.timestamp()
        self.allowance = self._allowance()
        self.ahead = 0

    def _allowance(self):
        run, rate = self.run, self.rate
        if not run.fed_at:
            return max(rate, 1.0)  # of its first second
        # A clock that was set back or forth neither stops the run nor lets it rush.
        elapsed = max(self.clock - run.fed_at, 0.0)
        return min(run.allowance + elapsed * rate, max(rate * BURST_SECONDS, 1.0))

    def records(self) -> int:
        most = max(ceil(self.rate * AHEAD_SECONDS), 1)
        endpoint = self.run.endpoint_id
        self.run.env.cr.execute(
            sql.count_due(endpoint.id, self.now, most, endpoint.ordering == "key")
        )
        [(waiting,)] = self.run.env.cr.fetchall()
        self.ahead = self._ahead(waiting, most)
        return min(int(self.allowance), self.ahead - waiting)

    def _ahead(self, waiting, most):
        """What the lane sends until the next batch or a little longer.

        A quarter still waits at the next batch: the lane is slower. An eighth: faster.
        """
        ahead = min(self.run.ahead_limit or AHEAD_AT_FIRST, most)
        if waiting * 4 > ahead:
            return max(ahead // 2, 1)
        if waiting * 8 <= ahead:
            return min(ahead + ahead // 2 + 1, most)
        return ahead

    @property
    def is_blocked(self):
        """Whether what waits has hardly moved for some seconds."""
        return self.allowance >= 1.0 and self.ahead <= 1

    def store(self, queued):
        """Remember what is left of the allowance."""
        self.allowance -= queued
        self.run.write(
            {
                "fed_at": self.clock,
                "allowance": self.allowance,
                "ahead_limit": self.ahead,
            }
        )

    def interval(self):
        """Until the next batch: until some more records may be queued, or one."""
        missing = timedelta(seconds=(1.0 - self.allowance) / self.rate)
        few = timedelta(seconds=FEW / self.rate)
        least = min(max(few, INTERVAL), INTERVAL_OF_FEW)
        return min(max(missing, least), INTERVAL_MAX)


def _problem(run):
    """Why the run can never continue as it is; empty if it can."""
    env, action, user = run.env, run.action_id, run.user_id
    if not run.replay_with and (problem := _problem_of_action(env, run, action)):
        return problem
    if not user.exists() or not (user.active or user.id == SUPERUSER_ID):
        return env._(
            "The user who started it is archived, and records are searched with their "
            "rights. Create another run."
        )
    return ""


def _problem_of_action(env, run, action):
    if not action.exists():
        return env._("Its server action was deleted. Create another run.")
    if action.model_id.model not in env:
        return env._(
            "The model %s isn't installed any more. Create another run.", run.res_model
        )
    if action.model_id.model != run.res_model:
        return env._("Its server action is for another model now. Create another run.")
    if action.bwt_webhook_endpoint_id != run.endpoint_id:
        return env._(
            "Its server action sends to another endpoint now. Create another run."
        )
    return ""


def _waits_for(run):
    """Why the endpoint takes no delivery, or doesn't send it, at present."""
    env, endpoint = run.env, run.endpoint_id
    if endpoint.state != "active":
        return env._(
            "It waits: the endpoint isn't active. Activate the endpoint, or cancel the "
            "run."
        )
    if message := waiting_message(endpoint):
        return env._("It waits. %s", message)
    return ""


def _waits_behind(run):
    return run.env._(
        "It waits: earlier deliveries of the endpoint are sent slowly, or not at all. "
        "Open the deliveries of the endpoint to see why."
    )


class RunOverRecords(ServerActionRun):
    """A server action that queues existing records: nothing has changed on them."""

    def __init__(self, action, origin):
        super().__init__(action)
        self.origin = origin

    def _changed(self, records):
        """All of them, whatever the action watches."""
        return records, {}

    def queue(self, records):
        """A `RunResult`; what can't be built is stored as a delivery in Error."""
        return self._run_parts(records)


class Batch(NamedTuple):
    """The next records of a run; the following batch begins behind `last_id`."""

    records: object
    processed: int
    last_id: int
    is_last: bool


def _next_batch(run, limit, now):
    if run.reconciliation_id:
        return Batch(*MatchingResults(run).behind(run.last_id, limit, now))
    records = matching(run, run.user_id).behind(run.last_id, run.max_id, limit)
    count = len(records)
    return Batch(records, count, records[-1:].id or run.last_id, count < limit)


def _keep_as_read(records) -> bool:
    """Prevent writes to the records until the batch is committed.

    What a user writes meanwhile would be queued before the values that the batch has
    read, and these would be the last that the receiver gets.
    :return: False if one was written since the batch began: it has to begin again
    """
    if not records:
        return True
    env = records.env
    try:
        with env.cr.savepoint(flush=False):
            for table, ids in _rows_of(records).items():
                env.cr.execute(_lock_rows(table, ids), log_exceptions=False)
    except WRITTEN_MEANWHILE:
        return False
    return True


def _rows_of(records):
    """Table -> ids of the rows that hold the records, those they inherit included."""
    found = {}
    if records._auto and records._table_query is None:  # else it may be a view
        found[records._table] = records.ids
    for link in records._inherits.values():
        for table, ids in _rows_of(records.sudo().mapped(link)).items():
            found[table] = [*found.get(table, ()), *ids]
    return found


def _lock_rows(table, ids) -> SQL:
    # FOR SHARE: other batches may read them, and rows that refer to them be inserted.
    return SQL(
        "SELECT id FROM %s WHERE id = ANY(%s) ORDER BY id FOR SHARE NOWAIT",
        SQL.identifier(table),
        ids,
    )


def _queue(run, records):
    """The `RunResult` of deliveries for these records.

    :raise: what prevents it for any record
    """
    action = run.action_id.with_env(records.env).sudo()
    compile_action(action)  # one error, not one for each record
    if not records:
        return RunResult()
    return RunOverRecords(action, run.origin).queue(records)


def _replay_next(run, limit):
    past = PastDeliveries(run)
    count, last_id, queued = past.queue_next(limit)
    left = sum(past.left.values())
    if left:
        values = {"left_count": run.left_count + left}
        if not run.left_message:
            values["left_message"] = past.left_message()
        run.write(values)
    batch = Batch(range(count), count, last_id, last_id >= run.max_id)
    return batch, RunResult(queued=queued)


def _record(run, batch, result, took):
    values = {
        "message": False,
        "last_id": batch.last_id,
        "processed_count": run.processed_count + batch.processed,
        "queued_count": run.queued_count + result.queued,
        "not_built_count": run.not_built_count + result.not_built,
        "batch_limit": _next_limit(run.batch_limit, batch.processed, took),
    }
    if result.error and not run.not_built_message:
        values["not_built_message"] = result.error
    run.write(values)


def _next_limit(limit, count, took):
    """Records of the next batch: as many as are built within `BATCH_SECONDS`."""
    if took > BATCH_SECONDS:
        return max(int(count * BATCH_SECONDS / took), 1)
    return min(limit * 2, BATCH_MAX) if count >= limit else limit
