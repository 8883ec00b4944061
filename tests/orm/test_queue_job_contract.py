# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What lane/jobs.py and lane/job_sql.py rely on in queue_job.

Each failure says what a new queue_job changed and which of our functions rely on it.
"""

import inspect
import os
import re
import time
from types import SimpleNamespace
from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane import job_sql, jobs
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.queue_job import jobrunner
from odoo.addons.queue_job.controllers.main import RunJobController
from odoo.addons.queue_job.job import STATES, Job
from odoo.addons.queue_job.jobrunner import runner
from odoo.addons.queue_job.jobrunner.channels import ChannelManager

from .common import CommittedCase, OutboundCase, duty_on

TEXT, MOMENT = "character varying", "timestamp without time zone"
COLUMNS = {
    "queue_job": {
        "id": "integer",
        "uuid": TEXT,
        "state": TEXT,
        "model_name": TEXT,
        "method_name": TEXT,
        "identity_key": TEXT,
        "result": "text",
        "retry": "integer",
        "eta": MOMENT,
        "date_created": MOMENT,
        "date_done": MOMENT,
        "date_cancelled": MOMENT,
    },
    "queue_job_lock": {"queue_job_id": "integer"},
}
# Waiting for other jobs, waiting, being started, running, ended.
KNOWN_STATES = {
    "wait_dependencies",
    "pending",
    "enqueued",
    "started",
    "done",
    "cancelled",
    "failed",
}


def users_of(word):
    """The functions of the two files whose code contains this word."""
    found = [
        f"lane/{module.__name__.rpartition('.')[2]}.py: {name}"
        for module in (job_sql, jobs)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and re.search(rf"\b{word}\b", inspect.getsource(function))
    ]
    return ", ".join(found)


@tagged("post_install", "-at_install")
class TestQueueJobContract(OutboundCase):
    longMessage = False  # the sentence alone, without a comparison

    def job(self, **options):
        options = {"identity_key": "contract", "description": "Contract"} | options
        return Job(self.endpoint.run_lane, **options)

    def stored(self, job):
        """The row of a job."""
        self.env.flush_all()
        self.env.cr.execute("SELECT * FROM queue_job WHERE uuid = %s", (job.uuid,))
        return self.env.cr.dictfetchone()

    def test_columns(self):
        """Every column that our statements name exists and has the type they need."""
        for table, columns in COLUMNS.items():
            self.env.cr.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_name = %s",
                (table,),
            )
            found = dict(self.env.cr.fetchall())
            for column, kind in columns.items():
                self.assertEqual(
                    kind,
                    found.get(column),
                    f"queue_job changed the column {column} of its table {table}: it "
                    f"is {found.get(column) or 'gone'}, not {kind}. These functions "
                    f"rely on it: {users_of(column)}.",
                )

    def test_states(self):
        """No state is gone, and none is new: it may be one in which a job waits."""
        found = {state for state, _label in STATES}
        for state in sorted(KNOWN_STATES - found):
            self.fail(
                f"queue_job has no state {state} any more. These functions rely on "
                f"it: {users_of(state)}."
            )
        self.assertFalse(
            found - KNOWN_STATES,
            "queue_job has new states. Decide for each whether such a job waits, runs "
            f"or has ended. These functions ask that: {users_of('state')}.",
        )

    def test_the_lists_are_ours(self):
        """Every column and state that is checked here is one that we use."""
        names = {*(name for table in COLUMNS.values() for name in table), *KNOWN_STATES}
        unused = {name for name in names if not users_of(name)}

        self.assertEqual({"wait_dependencies"}, unused)

    def test_store(self):
        """A job that is stored waits, counts no retry, and keeps what we pass."""
        eta = utcnow().replace(microsecond=0)
        job = self.job(eta=eta, max_retries=0)
        job.store()
        self.job().store()

        row = self.stored(job)
        relied_on = {
            "state": "pending",
            "retry": 0,
            "max_retries": 0,
            "eta": eta,
            "identity_key": "contract",
            "name": "Contract",
            "model_name": "bwt.webhook.outbound.endpoint",
            "method_name": "run_lane",
            "channel": "root.webhooks.outbound",
        }
        for column, value in relied_on.items():
            self.assertEqual(
                value,
                row[column],
                f"Job(...).store() writes something else to {column}. "
                "lane/jobs.py: start_watchdog relies on it.",
            )
        self.assertTrue(
            row["date_created"],
            "Job(...).store() writes no date_created. lane/jobs.py: find_jobs, "
            "are_wake_ups_late rely on it.",
        )
        self.assertEqual(
            2,
            self.env["queue.job"].search_count([("identity_key", "=", "contract")]),
            "Job(...).store() looks for a job with the same identity key. lane/jobs.py:"
            " start_watchdog relies on a store without a search, which takes time "
            "before the first request.",
        )

    def test_with_delay(self):
        """One pending job per identity key; none is kept from coming after its end."""
        options = {
            "eta": None,
            "identity_key": "contract",
            "max_retries": 0,
            "description": "Contract",
        }
        for _time in range(2):
            self.endpoint.with_delay(**options).run_lane()
        made = self.env["queue.job"].search([("identity_key", "=", "contract")])
        self.assertEqual(
            1,
            len(made),
            "with_delay() stores a second pending job with the same identity key. "
            "lane/jobs.py: wake relies on one job per transaction.",
        )
        self.assertEqual(
            0,
            made.max_retries,
            "with_delay(max_retries=0) stores another number. lane/jobs.py: wake "
            "relies on retries without a limit: a killed worker counts as one.",
        )
        made.state = "done"
        self.endpoint.with_delay(**options).run_lane()
        self.assertEqual(
            2,
            self.env["queue.job"].search_count([("identity_key", "=", "contract")]),
            "with_delay() stores no job while one with the same identity key is done. "
            "lane/jobs.py: supersede_wake_ups would lose the wake-ups that follow it.",
        )

    def test_context_of_a_job(self):
        """A job finds its uuid in the context, and a caller can ask for no jobs."""
        job = self.job()
        self.assertEqual(
            job.uuid,
            jobs.current_job(job.func.__self__.env),
            "A job's uuid is no longer job_uuid in the context. lane/jobs.py: "
            "current_job relies on it; no lane would start.",
        )
        for key in jobs.KEPT_CONTEXT:
            self.assertTrue(
                jobs.runs_immediately(self.env(context={key: True})),
                f"The context key {key} no longer makes queue_job run without jobs. "
                "lane/jobs.py: runs_immediately, KEPT_CONTEXT rely on it.",
            )
        self.assertFalse(jobs.runs_immediately(self.env))

    def test_repeated_job(self):
        """A job that asks to be repeated counts no retry, and keeps the seconds."""
        error = jobs.repeat_later("lost", seconds=5)
        job = self.job()
        with (
            patch.object(type(self.endpoint), "run_lane", side_effect=error),
            self.assertRaises(type(error)),
        ):
            job.perform()

        self.assertEqual(
            (0, 5),
            (job.retry, error.seconds),
            "RetryableJobError(seconds=5, ignore_retry=True) counts a retry or loses "
            "its seconds. lane/jobs.py: repeat_later relies on both.",
        )

    def test_trigger(self):
        """queue_job's runner is notified of every change, also of those by SQL."""
        self.env.cr.execute(
            "SELECT event_manipulation FROM information_schema.triggers "
            "WHERE event_object_table = 'queue_job' "
            "AND trigger_name = 'queue_job_notify'"
        )
        self.assertEqual(
            {"INSERT", "UPDATE", "DELETE"},
            {event for (event,) in self.env.cr.fetchall()},
            "The trigger queue_job_notify no longer notifies the runner of each "
            "change. Jobs that we change by SQL rely on it: "
            f"{users_of('UPDATE queue_job')}.",
        )

    def test_runner_follows_the_rows(self):
        """A job set to done frees its place; one moved to the future waits there."""
        manager, now = ChannelManager(), time.time()
        manager.simple_configure("root:1")

        def saw(uuid, eta, state):
            manager.notify("db", "root", uuid, 1, now, 10, eta, state)
            return [job.uuid for job in manager.get_jobs_to_run(now)]

        self.assertEqual(["one"], saw("one", None, "pending"))
        saw("one", None, "started")
        self.assertEqual([], saw("two", None, "pending"))
        self.assertEqual(
            ["two"],
            saw("one", None, "done"),
            "The runner no longer frees the place of a job that was set to done. These "
            f"functions rely on it: {users_of('date_done')}.",
        )
        saw("two", None, "done")
        saw("three", now + 5, "pending")
        self.assertEqual(
            [],
            saw("three", now + 10, "pending"),
            "The runner starts a job before its eta. lane/job_sql.py: push_watchdog "
            "relies on it.",
        )
        self.assertEqual(
            now + 10,
            manager.get_wakeup_time(),
            "The runner ignores a changed eta. lane/job_sql.py: push_watchdog relies "
            "on it.",
        )

    def test_channel_configuration(self):
        """Names, pauses and capacities of channels are where our check reads them."""
        with patch.dict(os.environ, {"ODOO_QUEUE_JOB_CHANNELS": "root:4,a:1:paused"}):
            found = ChannelManager.parse_simple_config(runner._channels())
        self.assertEqual(
            [
                {"name": "root", "capacity": 4},
                {"name": "a", "capacity": 1, "paused": True},
            ],
            found,
            "queue_job reads its channels differently. lane/jobs.py: paused_channel "
            "relies on it.",
        )
        channels = {"channels": "root:0"}
        with patch.dict(jobrunner.runner.queue_job_config, channels):
            self.assertTrue(
                jobs.starts_no_jobs(),
                "The runner no longer reads channels from section [queue_job]. "
                "lane/jobs.py: starts_no_jobs and the advice of lane/diagnostics.py "
                "rely on it.",
            )
        self.assertIn(
            'startswith("root:0")',
            inspect.getsource(jobrunner),
            "The runner may start although the capacity of root is 0. lane/jobs.py: "
            "starts_no_jobs relies on it.",
        )
        function = self.env["queue.job.function"].job_config(jobs.JOB_FUNCTION)
        self.assertEqual(
            "root.webhooks.outbound",
            function.channel,
            "queue_job no longer finds the channel of our job function by its name. "
            "lane/jobs.py: paused_channel relies on it.",
        )

    def test_runner_address(self):
        """The settings that our messages name set the address that the runner calls."""
        settings = {
            "scheme": "https",
            "host": "odoo.example",
            "port": "8443",
            "http_auth_user": "user",
            "http_auth_password": "password",
        }
        names = [name for name in os.environ if name.startswith("ODOO_QUEUE_JOB_")]
        with patch.dict(os.environ), patch.dict(runner.queue_job_config, settings):
            for name in names:
                del os.environ[name]
            found = jobs.runner_address()
        self.assertEqual(
            tuple(settings.values()),
            found,
            "The runner reads its address from other settings. lane/jobs.py: "
            "runner_address and the advice of lane/diagnostics.py rely on these.",
        )

    def test_request_of_the_runner(self):
        """The runner names the database in the header that our check sends."""
        port = self.receiver.url.rpartition(":")[2]
        runner._async_http_get("http", "127.0.0.1", port, "u", "p", "base", "uuid")

        [request] = self.receiver.wait_for_requests(1)
        self.assertEqual(
            ("base", "Basic dTpw"),
            (request.header("X-Odoo-Database"), request.header("Authorization")),
            "The runner calls Odoo with other headers. lane/diagnostics.py: _get makes "
            "the same request.",
        )


@tagged("post_install", "-at_install")
class TestQueueJobLocks(CommittedCase):
    longMessage = False  # the sentence alone, without a comparison

    def enqueued(self):
        """Uuid of a watchdog that the runner has enqueued a minute ago."""
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            uuid = jobs.start_watchdog(endpoint, duty_on(endpoint), "contract")
            env.flush_all()
            env.cr.execute(
                "UPDATE queue_job SET state = 'enqueued', "
                "date_enqueued = now() AT TIME ZONE 'UTC' - interval '1 minute' "
                "WHERE uuid = %s",
                (uuid,),
            )
        return uuid

    def dead(self, cr, uuid):
        """Whether our statements take this job for that of a killed worker."""
        cr.execute(job_sql.dead_lane_jobs())
        ids = [job_id for job_id, _endpoint_id in cr.fetchall()]
        cr.execute("SELECT id = ANY(%s) FROM queue_job WHERE uuid = %s", (ids, uuid))
        return cr.fetchone()[0]

    def test_acquired_job(self):
        """A job that runs is started and holds a lock; after a kill it holds none."""
        uuid = self.enqueued()
        with self.read_committed() as worker, self.read_committed() as lane:
            acquired = RunJobController._acquire_job(worker, uuid)
            self.assertTrue(
                acquired,
                "RunJobController._acquire_job no longer acquires a job in state "
                "enqueued. lane/job_sql.py: started_lane_job, dead_lane_jobs rely on "
                "what it does.",
            )
            self.assertTrue(
                jobs.running_lane(lane.cr, uuid, self.endpoint_id),
                "A job that runs is not committed as started before its method is "
                "called. lane/job_sql.py: started_lane_job relies on it; no lane would "
                "start.",
            )
            self.assertFalse(
                self.dead(lane.cr, uuid),
                "A job that runs no longer holds a lock on its row of queue_job_lock. "
                f"These functions rely on it: {users_of('queue_job_lock')}.",
            )
            lane.cr.rollback()
            worker.cr.rollback()  # as when the worker is killed
            self.assertTrue(
                self.dead(lane.cr, uuid),
                "A job has no row in queue_job_lock after its worker was killed. These "
                f"functions rely on it: {users_of('queue_job_lock')}.",
            )

    def test_requeued_job(self):
        """The runner sets the job of a killed worker to pending and counts a retry."""
        uuid = self.enqueued()
        with self.read_committed() as worker:
            RunJobController._acquire_job(worker, uuid)
            worker.cr.rollback()
            worker.cr.execute(
                "UPDATE queue_job SET date_enqueued = date_enqueued "
                "- interval '1 minute' WHERE uuid = %s",
                (uuid,),
            )
            worker.cr.execute(runner.Database._query_requeue_dead_jobs(None))
            worker.cr.execute(
                "SELECT state, retry FROM queue_job WHERE uuid = %s", (uuid,)
            )
            self.assertEqual(
                ("pending", 1),
                worker.cr.fetchone(),
                "The runner treats the job of a killed worker differently. "
                f"These functions rely on a retry per kill: {users_of('retry')}.",
            )

    def test_lock_of_the_runner(self):
        """The runner holds the advisory lock by which we see that it works."""
        with self.read_committed() as ours, self.read_committed() as theirs:
            before = jobs.is_runner_alive(ours.cr)
            database = SimpleNamespace(conn=theirs.cr._cnx, db_name="contract")
            runner.Database._acquire_master_lock(database)
            self.assertEqual(
                (False, True),
                (before, jobs.is_runner_alive(ours.cr)),
                "The runner holds another lock while it works. "
                f"These functions rely on it: {users_of('runner_lock')}.",
            )
            theirs.cr.execute("SELECT pg_advisory_unlock_all()")
