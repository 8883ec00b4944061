# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs over existing records: batches, pace, what interrupts them."""

from datetime import timedelta

from odoo.addons.bwt_webhooks_outbound.lane import jobs
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import run_batch

from ..constants import DELIVERY, ENDPOINT
from .run_case import RunCase


class TestRuns(RunCase):
    def test_each_record_once_in_order(self):
        """All that match, by id, each once, with the origin of the run."""
        run = self.backfill(pace=600)

        self.work_off(run)

        self.assertEqual(sorted(self.contacts.ids), self.sent_ids(run))
        self.assertEqual(
            ("done", 25, 25, 25, 0),
            (
                run.state,
                run.total_count,
                run.processed_count,
                run.queued_count,
                run.not_built_count,
            ),
        )
        self.assertEqual(100, run.progress)
        self.assertTrue(run.ended_at)

    def test_one_job_waits(self):
        """A run that was requested twice would be twice as fast."""
        run = self.backfill()
        jobs.request_batch(run)

        self.assertEqual(1, len(self.waiting_jobs(run)))
        self.assertEqual("root.webhooks.runs", self.waiting_jobs(run).channel)

    def test_the_job(self):
        """It queues a batch and requests the next; it leaves alone what has ended."""
        run = self.backfill(pace=60)

        result = run.run_batch()

        self.assertEqual("running: 1 of 25 records", result)
        run.action_cancel_run()
        self.assertIn("nothing to do", run.run_batch())
        self.assertEqual(1, run.queued_count)

    def test_pace(self):
        """As many a second as the pace allows; what a late job missed is made up."""
        run = self.backfill(pace=120)

        self.feed(run)
        self.assertEqual(2, run.processed_count)
        self.feed(run, 1.0)
        self.assertEqual(4, run.processed_count)
        self.feed(run, 1.5)
        self.assertEqual(7, run.processed_count)

    def test_a_slow_pace(self):
        """Six a minute: one each ten seconds, and no batch in between."""
        run = self.backfill(pace=6)

        self.feed(run)
        self.assertEqual(1, run.processed_count)
        self.assertEqual(
            timedelta(seconds=10), run_batch._Pace(run, self.now).interval()
        )
        self.feed(run, 5)
        self.assertEqual(1, run.processed_count)
        self.feed(run, 5)
        self.assertEqual(2, run.processed_count)

    def test_a_clock_that_is_set(self):
        """Set back the run doesn't stop for an hour, set forth it doesn't rush."""
        run = self.backfill(pace=60)
        self.feed(run)

        self.feed(run, -3600)
        self.feed(run, 1)
        self.assertEqual(2, run.processed_count)
        self.feed(run, 3600)
        self.assertLessEqual(run.processed_count, 2 + 2)

    def test_deliveries_that_wait_come_first(self):
        """A run stops while the endpoint has work: live ones don't wait behind it."""
        run = self.backfill(pace=120)
        self.endpoint.queue_deliveries([{"payload": {}} for _n in range(10)])

        self.now += timedelta(seconds=1)
        run_batch.feed(run, self.now)

        self.assertEqual(0, run.processed_count)
        self.assertEqual("running", run.state)
        self.end_waiting()
        self.feed(run)
        self.assertEqual(4, run.processed_count, "two seconds of its pace")

    def test_a_slow_lane(self):
        """What waits is worth two seconds of the lane, not of a pace that it misses."""
        self.make_contacts(500)
        run = self.backfill(pace=6000)
        longest = 0
        for second in range(40):
            self.now += timedelta(seconds=1)
            run_batch.feed(run, self.now)
            waiting = self.waiting_deliveries()
            if second > 12:
                longest = max(longest, len(waiting))
            self.end(waiting[:5])

        self.assertLessEqual(longest, 12)
        self.assertGreater(run.queued_count, 5 * 25)

    def test_nothing_moves(self):
        """It says why it queues nothing."""
        run = self.backfill(pace=600)
        for _second in range(8):
            self.now += timedelta(seconds=1)
            run_batch.feed(run, self.now)

        self.assertRegex(run.message, "It waits: earlier deliveries of the endpoint")
        self.work_off(run)
        self.assertFalse(run.message)

    def test_a_key_that_is_blocked(self):
        """What waits behind a delivery of its key isn't sent: it delays nobody."""
        self.endpoint.ordering = "key"
        first, *others = self.endpoint.queue_deliveries(
            [{"payload": {"n": n}, "record": self.contacts[0]} for n in range(60)]
        )
        first.write({"state": "error", "next_attempt_at": False})
        self.env.flush_all()
        run = self.backfill(pace=600)

        for _second in range(4):
            self.now += timedelta(seconds=1)
            run_batch.feed(run, self.now)
            self.end(self.waiting_deliveries() - self.env[DELIVERY].union(*others))

        self.assertEqual("done", run.state)

    def waiting_deliveries(self):
        return self.env[DELIVERY].search(
            [("endpoint_id", "=", self.endpoint.id), ("state", "=", "queued")],
            order="queue_number",
        )

    def test_a_slow_build_makes_batches_smaller(self):
        """A transaction of a minute would hold up vacuum, and lose much to a kill."""
        self.assertEqual(25, run_batch._next_limit(1000, 100, 4.0))
        self.assertEqual(1, run_batch._next_limit(1000, 1, 4.0))
        self.assertEqual(50, run_batch._next_limit(25, 25, 0.1))
        self.assertEqual(run_batch.BATCH_MAX, run_batch._next_limit(1000, 1000, 0.1))

    def test_pause_and_resume(self):
        """It continues behind the last record, at once."""
        run = self.backfill(pace=600)
        self.feed(run)
        before = run.processed_count

        run.action_pause_run()
        self.assertIn("nothing to do", run.run_batch())
        self.assertEqual(("paused", before), (run.state, run.processed_count))
        self.assertIn("paused it", run.message)
        run.action_resume_run()
        self.work_off(run)

        self.assertEqual(sorted(self.contacts.ids), self.sent_ids(run))
        self.assertFalse(run.message)

    def test_cancel(self):
        """What it has queued is sent, nothing more is queued."""
        run = self.backfill(pace=600)
        run_batch.feed(run, self.now)

        run.action_cancel_run()

        self.assertEqual("canceled", run.state)
        self.assertEqual(
            {"queued"},
            set(self.env[DELIVERY].search(run._deliveries_domain()).mapped("state")),
        )

    def test_records_deleted_and_added_meanwhile(self):
        """A deleted one is left out, and later ones are not part of the run."""
        run = self.backfill(pace=600)
        self.feed(run)
        gone = self.contacts[-1]
        gone_id = gone.id
        gone.unlink()
        later = self.make_contacts(2, "Later")

        self.work_off(run)

        sent = self.sent_ids(run)
        self.assertNotIn(gone_id, sent)
        self.assertFalse(set(sent) & set(later.ids))
        self.assertEqual((24, 100), (run.processed_count, run.progress))

    def test_a_record_that_can_not_be_built(self):
        """Its delivery is in Error, the run tells the reason and continues."""
        bad = self.contacts[3]
        self.fail_to_compute(lambda each: each.id == bad.id)
        self.shop.bwt_webhook_field_ids.source_expression = "email_formatted"
        run = self.backfill()

        self.work_off(run)

        self.assertEqual(
            ("done", 25, 24, 1),
            (run.state, run.processed_count, run.queued_count, run.not_built_count),
        )
        self.assertIn("no address", run.not_built_message)
        failed = self.env[DELIVERY].search(run.action_view_not_built()["domain"])
        self.assertEqual(
            [(bad.id, "error", "backfill")],
            [(each.res_id, each.state, each.origin) for each in failed],
        )

    def test_an_action_that_refuses_does_not_stop_the_run(self):
        """Its users get errors; a run stores them."""
        bad = self.contacts[3]
        self.fail_to_compute(lambda each: each.id == bad.id)
        self.shop.bwt_webhook_field_ids.source_expression = "email_formatted"
        self.shop.bwt_webhook_failure_mode = "refuse"
        run = self.backfill()

        self.work_off(run)

        self.assertEqual(
            ("done", 24, 1), (run.state, run.queued_count, run.not_built_count)
        )

    def test_an_action_that_watches_fields(self):
        """Nothing has changed on existing records, and they are sent."""
        self.shop.write(
            {
                "bwt_webhook_add_changes": True,
                "bwt_webhook_skip_user_ids": [(6, 0, self.env.user.ids)],
            }
        )
        run = self.backfill()

        self.work_off(run)

        self.assertEqual(25, run.queued_count)

    def test_without_records(self):
        """Done at once."""
        run = self.backfill(domain=[("id", "=", 0)])

        self.assertEqual(("done", "No record matches."), (run.state, run.message))
        self.assertFalse(self.waiting_jobs(run))

    def test_jobs_that_run_at_once(self):
        """In tests and scripts all records are queued by the call."""
        run = self.endpoint.with_context(queue_job__no_delay=True).backfill(
            self.shop, self.domain, pace=1
        )

        self.assertEqual(("done", 25), (run.state, run.queued_count))

    def test_queries(self):
        """A batch costs the same number of statements for 2 records and for 20."""
        run = self.backfill(pace=120)
        self.feed(run)
        counts = []
        for pace in (120, 1200):
            run.write({"pace": pace, "ahead_limit": 2 * pace // 60})
            run.flush_recordset()
            self.env.invalidate_all()
            self.now += timedelta(seconds=1)
            before = self.env.cr.sql_log_count
            run_batch.feed(run, self.now)
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - before)
            self.end_waiting()

        self.assertGreaterEqual(run.processed_count, 20)
        self.assertLessEqual(counts[1], counts[0] + 2)


class TestInterruptedRuns(RunCase):
    def woken(self, run):
        self.env[ENDPOINT]._cron_wake_endpoints()
        return self.waiting_jobs(run)

    def test_a_run_without_a_job(self):
        """The job was deleted, or died with its worker: another one is requested."""
        run = self.backfill()
        self.waiting_jobs(run).unlink()

        self.assertEqual(1, len(self.woken(run)))
        self.assertEqual(1, len(self.woken(run)))

    def test_a_job_for_the_wrong_time(self):
        """The clock was an hour ahead when it was requested."""
        run = self.backfill()
        job = self.waiting_jobs(run)
        job.eta = utcnow() + timedelta(hours=1)
        self.env.flush_all()

        self.woken(run)
        job.invalidate_recordset()

        self.assertLessEqual(job.eta, utcnow())

    def test_a_paused_run(self):
        """It waits for a user."""
        run = self.backfill()
        run.action_pause_run()
        self.waiting_jobs(run).unlink()

        self.assertFalse(self.woken(run))
