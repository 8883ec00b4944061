# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Jobs that another addon's tests perform send what those tests queued."""

from odoo.tests import tagged

from odoo.addons.queue_job.job import Job
from odoo.addons.queue_job.tests.common import JobMixin, trap_jobs

from ..receiver import status
from .common import OutboundCase


@tagged("post_install", "-at_install")
class TestTrappedJobs(JobMixin, OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A database that was installed before has it still, until it is updated.
        cls.function = cls.env.ref(
            "bwt_webhooks_outbound.job_function_endpoint_run_lane"
        )
        cls.function.allow_commit = False

    def test_trapped_jobs(self):
        """`perform_enqueued_jobs` sends, in the order of the queue, uncommitted.

        The job ran on a cursor of its own, saw nothing of the test and did nothing.
        """
        with trap_jobs() as trap:
            first, second = self.endpoint.queue_deliveries(
                [{"payload": {"n": 1}}, {"payload": {"n": 2}}]
            )
            trap.assert_jobs_count(1, only=self.endpoint.run_lane)
            trap.perform_enqueued_jobs()

        self.assertEqual(["done", "done"], [first.state, second.state])
        requests = self.receiver.wait_for_requests(2)
        self.assertEqual([{"n": 1}, {"n": 2}], [each.json() for each in requests])
        self.assertEqual(1, first.attempt_count)

    def test_a_stored_job(self):
        """`job.perform()` sends, too, and its result says what it did."""
        delivery = self.queue({"a": 1})
        [record] = self.wake_ups()

        result = Job.load(self.env, record.uuid).perform()

        self.assertEqual("done", delivery.state, delivery.processing_error)
        self.assertEqual("1 sent in the caller's transaction, 0 left", result)

    def test_jobs_of_queue_jobs_mixin(self):
        """`perform_jobs` of queue_job's own test mixin is a third way."""
        jobs = self.job_counter()
        delivery = self.queue({"a": 1})

        self.perform_jobs(jobs)

        self.assertEqual(1, jobs.count_created())
        self.assertEqual("done", delivery.state, delivery.processing_error)

    def test_a_failing_target(self):
        """A refusal is on record as in a lane; the job itself doesn't fail."""
        self.receiver.script("/orders", status(503), status(404))
        with trap_jobs() as trap:
            delivery = self.queue({"a": 1})
            trap.perform_enqueued_jobs()
            self.assertEqual("error", delivery.state)
            self.assertTrue(delivery.next_attempt_at)

            delivery.action_retry_now()
            trap.perform_enqueued_jobs()

        self.assertEqual("dead_letter", delivery.state)
        self.assertEqual(2, delivery.attempt_count)

    def test_nothing_to_send(self):
        """A paused endpoint and one that is gone end the job quietly."""
        with trap_jobs() as trap:
            delivery = self.queue({"a": 1})
            self.endpoint.is_paused = True
            trap.perform_enqueued_jobs()
            self.assertEqual("queued", delivery.state)

        with trap_jobs() as trap:
            self.endpoint.is_paused = False
            delivery.sudo().unlink()
            self.endpoint.unlink()
            trap.perform_enqueued_jobs()

        self.assertEqual(0, self.receiver.total)

    def test_the_job_function(self):
        """queue_job opens no cursor for a lane, which would see nothing of a test."""
        config = self.env["queue.job.function"].job_config(
            self.env["queue.job.function"].job_function_name(
                self.endpoint._name, "run_lane"
            )
        )

        self.assertFalse(config.allow_commit)
