# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Jobs whose rows another transaction holds: a lane never waits for them.

Who deletes the lane's job waits for the lane's end, by a lock that queue_job holds on
another connection. A lane that waited for them was blocked until its worker was
killed, and queue_job's runner with it.
"""

from contextlib import contextmanager

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane import job_sql, jobs
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.jobs import Housekeeping
from odoo.addons.bwt_webhooks_outbound.lane.pacing import Budget
from odoo.addons.bwt_webhooks_outbound.lane.slot import slots

from ..constants import DELIVERY
from .common import CommittedCase, duty_on, wake_ups


@tagged("post_install", "-at_install")
class TestLockedJobs(CommittedCase):
    @contextmanager
    def impatient(self):
        """An environment as a lane's, in which waiting for a row raises."""
        with self.read_committed() as env:
            env.cr.execute("SET lock_timeout = '1s'")
            try:
                yield env
            finally:
                env.cr.rollback()
                env.cr.execute("RESET lock_timeout")
                env.cr.commit()

    def watchdog(self, key="living"):
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            return jobs.start_watchdog(endpoint, duty_on(endpoint), key)

    def test_each_statement(self):
        """Moving, closing and superseding leave locked jobs alone, without waiting."""
        with self.started_job() as job:
            watchdog = self.watchdog()
            self.queue(1)
            [wake_up] = self.uuids("lane")
            with self.transaction() as env:
                env.cr.execute(
                    "INSERT INTO queue_job_lock (id, queue_job_id) "
                    "SELECT id, id FROM queue_job WHERE uuid = %s",
                    (job,),
                )
                env[DELIVERY].search([("endpoint_id", "=", self.endpoint_id)]).write(
                    {"state": "processing", "lane_slot": 0, "job_uuid": job}
                )

            with self.locked(job, watchdog, wake_up), self.impatient() as env:
                cr, now = env.cr, utcnow()
                cr.execute(job_sql.push_watchdog(watchdog, job, now))
                self.assertEqual((False, False), cr.fetchone())
                for statement in (
                    job_sql.close_watchdog(watchdog, now),
                    job_sql.supersede_wake_ups(self.endpoint_id, now, "test"),
                    job_sql.close_dead_jobs(self.endpoint_id, 0, now, "test"),
                ):
                    cr.execute(statement)
                    self.assertEqual(0, cr.rowcount)
                cr.execute(job_sql.requeue_dead_jobs())

            with self.impatient() as env:
                env.cr.execute(job_sql.push_watchdog(watchdog, job, utcnow()))
                self.assertEqual((True, True), env.cr.fetchone())
            with self.transaction() as env:
                env.cr.execute("DELETE FROM queue_job_lock")

    def test_a_start_that_was_lost(self):
        """A job that no worker started in time is started again, without a retry.

        The runner dies between its mark and its request, with its server. queue_job
        waits for 10 s and for something that wakes its next runner.
        """
        old, new = self.watchdog("old"), self.watchdog("new")
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE queue_job SET state = 'enqueued', date_enqueued = "
                "now() AT TIME ZONE 'UTC' - (CASE uuid WHEN %s THEN %s ELSE 1 END) "
                "* interval '1 s' WHERE uuid IN (%s, %s)",
                (old, job_sql.START_LOST_AFTER + 1, old, new),
            )

        with self.impatient() as env:
            jobs.requeue_dead_jobs(env.cr)
            env.cr.execute(
                "SELECT uuid, state, COALESCE(retry, 0) FROM queue_job "
                "WHERE uuid IN (%s, %s)",
                (old, new),
            )
            found = {uuid: rest for uuid, *rest in env.cr.fetchall()}

        self.assertEqual({old: ["pending", 0], new: ["enqueued", 0]}, found)

    @contextmanager
    def locked(self, *uuids):
        """Another transaction deletes or changes these jobs and does not end."""
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT 1 FROM queue_job WHERE uuid = ANY(%s) FOR UPDATE",
                (list(uuids),),
            )
            yield
            cr.rollback()

    def uuids(self, kind):
        with self.transaction() as env:
            return wake_ups(self.endpoint(env), kind).mapped("uuid")

    def test_housekeeping(self):
        """A lane whose job is being deleted gets a new watchdog and claims no more.

        Its end is what the other transaction waits for.
        """
        with (
            self.started_job() as job,
            slots(self.registry, self.endpoint_id) as held,
            self.impatient() as env,
        ):
            budget = Budget()
            endpoint = self.endpoint(env)
            housekeeping = Housekeeping(endpoint, duty_on(endpoint), held, job, budget)
            housekeeping.keep()
            [watchdog] = self.uuids("watch")

            with self.locked(job, watchdog):
                housekeeping._next_clock = 0.5
                housekeeping.keep()
                housekeeping.retire(utcnow())
                env.cr.commit()

            self.assertFalse(budget.may_claim(10))
            self.assertEqual([watchdog], self.uuids("watch"))
            with self.transaction() as other:
                [closed] = wake_ups(self.endpoint(other), "watch", "done")
                self.assertEqual("lane ended in order", closed.result)
