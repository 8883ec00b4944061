# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Wake-ups: requested with the work, superseded, and exactly one left behind."""

import json
import time
from datetime import timedelta

from odoo.addons.bwt_webhooks_outbound.lane import job_sql, jobs, sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.recovery import find_stuck_endpoints
from odoo.addons.bwt_webhooks_outbound.lane.slot import Slots

from ..constants import DELIVERY
from ..receiver import status
from .common import CommittedCase, duty_on, wake_ups

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)  # dates of jobs have no fractions


class TestWaking(CommittedCase):
    def test_a_lane_delivers_and_leaves_no_wake_up(self):
        """All that is due is sent; wake-ups are superseded, the watchdog is closed.

        What is left pending would run later for nothing, a thousand times a day.
        """
        ids = self.queue(1, 2) + self.queue(3)
        self.assertEqual(2, len(self.pending()))

        report = self.run_lane()

        self.assertEqual(["done"] * 3, self.states(ids))
        self.assertEqual(2, report.superseded)
        self.assertEqual(3, len(self.receiver.counts()))
        for kind in ("lane", "watch", "more"):
            self.assertEqual([], self.pending(kind))
        with self.transaction() as env:
            taken = wake_ups(self.endpoint(env), state="done")
            self.assertEqual(2, len(taken))
            self.assertTrue(all(job.date_done for job in taken))
            self.assertIn("superseded", taken[0].result)

    def test_each_transaction_requests_its_own_wake_up(self):
        """The key has the transaction: none relies on the wake-up of another.

        One that saw another's pending job and commits after that lane has
        checked would leave its delivery unsent until the sweep.
        """
        with self.transaction() as late:
            self.endpoint(late).queue_delivery("late")
            early = self.queue("early")
            self.run_lane()
            self.assertEqual(["done"], self.states(early))

        self.assertEqual([None], self.pending())

    def test_wake_ups_of_a_burst_wait_for_the_lane(self):
        """While a lane is in a burst, new wake-ups are requested for later.

        queue_job's runner would start each of them, to find that a lane is at work.
        """
        with self.registry.cursor() as cr:
            held = Slots(cr, self.endpoint_id)
            self.assertTrue(held.take_slot(0))
            self.assertTrue(held.begin_burst())

            before = utcnow()
            self.queue(1)
            [eta] = self.pending()
            self.assertGreaterEqual(eta, before + jobs.IN_BURST_DELAY - SECOND)

            held.end_burst()
            self.queue(2)
            self.assertIn(None, self.pending())
            with self.registry.cursor() as other:
                self.assertFalse(Slots(other, self.endpoint_id).take_slot(0))
                self.assertTrue(Slots(other, self.endpoint_id).begin_burst())

    def test_one_burst_at_a_time(self):
        """Of two lanes one is waited for; the other one ends as it would otherwise."""
        with self.registry.cursor() as one, self.registry.cursor() as other:
            self.assertTrue(Slots(one, self.endpoint_id).begin_burst())
            self.assertFalse(Slots(other, self.endpoint_id).begin_burst())
            other.execute("SELECT 1")

    def test_a_lane_stays_in_a_burst(self):
        """Many wake-ups at once: the lane sends what is queued while it waits."""
        for number in range(jobs.BURST):
            self.queue(number)
        last = json.dumps(jobs.BURST - 1).encode()
        late = []

        def queue_late(exchange):
            status(200)(exchange)
            if exchange.request.body == last:  # exactly one of the threads
                time.sleep(0.3)  # all others are recorded by then
                late.extend(self.queue("late"))

        self.receiver.script("/in", queue_late)

        report = self.run_lane()

        self.assertEqual(jobs.BURST + 1, report.superseded)
        self.assertEqual(["done"], self.states(late))
        self.assertEqual([], self.pending())

    def test_one_wake_up_at_the_earliest_retry(self):
        """After failures one wake-up is left, at the earliest next attempt."""
        self.set_up(retry_schedule="1h")
        self.receiver.script("/in", status(503))
        ids = self.queue(1, 2, 3)

        self.run_lane()

        self.assertEqual(["error"] * 3, self.states(ids))
        earliest = min(date for (date,) in self.committed(ids, "next_attempt_at"))
        [eta] = self.pending()
        self.assertAlmostEqual(eta, earliest, delta=timedelta(seconds=1))

    def test_future_wake_ups_are_superseded_and_replaced_by_one(self):
        """Dates of many transactions become one wake-up, at the earliest of them."""
        now = utcnow()
        self.queue(1, eta=now + 3 * HOUR)
        self.queue(2, eta=now + 2 * HOUR)
        done = self.queue(3)
        self.assertEqual(3, len(self.pending()))

        self.run_lane()

        self.assertEqual(["done"], self.states(done))
        [eta] = self.pending()
        self.assertAlmostEqual(eta, now + 2 * HOUR, delta=timedelta(seconds=1))

    def test_changes_in_a_settle_window_leave_one_job(self):
        """20 changes request 20 wake-ups, of which a lane leaves the next one.

        No transaction relies on the wake-up of another, so each has its own. Closed,
        they would be 20 rows that say nothing, for 30 days.
        """
        now = utcnow()
        settle = {"ordering_key": "A", "supersede": True, "settle": (3600, 7200)}
        for number in range(20):
            self.queue(number, **settle)
        self.assertEqual(20, len(self.pending()))

        report = self.run_lane()

        self.assertEqual(20, report.superseded)
        [eta] = self.pending()
        self.assertAlmostEqual(eta, now + HOUR, delta=timedelta(seconds=30))
        with self.transaction() as env:
            self.assertFalse(wake_ups(self.endpoint(env), state="done"))

    def test_a_lane_without_a_slot_takes_nothing_over(self):
        """A lane that finds the slot taken ends at once, without touching wake-ups."""
        ids = self.queue(1)
        with self.read_committed() as env:
            env.cr.execute(sql.try_slot(self.endpoint_id, 0))

            report = self.run_lane()

            self.assertEqual("left to the lane at work", str(report))
        self.assertEqual(["queued"], self.states(ids))
        self.assertEqual(1, len(self.pending()))

    def test_superseding_spares_others(self):
        """Watchdogs, calls for more lanes and other endpoints' wake-ups stay."""
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            jobs.wake(endpoint)
            jobs.start_watchdog(endpoint, duty_on(endpoint), "living-lane")
            jobs.request_another_lane(endpoint, "living-lane")
            # An id that begins with this one's digits is another endpoint.
            env.cr.execute(
                "UPDATE queue_job SET identity_key = %s WHERE identity_key LIKE %s",
                (
                    f"bwt_webhook_outbound:lane:{self.endpoint_id}0:1:now",
                    f"bwt_webhook_outbound:more:{self.endpoint_id}:%",
                ),
            )
        with self.transaction() as env:
            env.cr.execute(
                job_sql.supersede_wake_ups(self.endpoint_id, utcnow(), "test")
            )
            self.assertEqual(1, env.cr.rowcount)
            env.cr.execute(
                "DELETE FROM queue_job WHERE identity_key LIKE %s",
                (f"bwt_webhook_outbound:lane:{self.endpoint_id}0:%",),
            )
            self.assertEqual(1, env.cr.rowcount)
        self.assertEqual(1, len(self.pending("watch")))

    def test_a_paused_endpoint_waits_for_a_user(self):
        """A lane of a paused endpoint sends nothing and requests nothing."""
        self.set_up(is_paused=True)
        ids = self.queue(1)

        self.run_lane()

        self.assertEqual(["queued"], self.states(ids))
        self.assertEqual([], self.pending())
        self.set_up(is_paused=False)
        self.assertEqual(1, len(self.pending()))

    def stuck_endpoints(self, at=None):
        with self.transaction() as env:
            return self.endpoint_id in find_stuck_endpoints(env.cr, at or utcnow())

    def forget_wake_ups(self):
        with self.transaction() as env:
            env.cr.execute(
                "DELETE FROM queue_job WHERE identity_key LIKE %s",
                (f"bwt_webhook_outbound:%:{self.endpoint_id}:%",),
            )

    def test_sweep_finds_work_that_nobody_comes_for(self):
        """Due, without wake-up, lane or open circuit: the sweep wakes it, once.

        Someone may delete a job by hand; a delivery must not lie for ever.
        """
        self.queue(1)
        self.assertFalse(self.stuck_endpoints())  # its wake-up is there
        self.forget_wake_ups()
        self.assertTrue(self.stuck_endpoints())
        self.assertFalse(self.stuck_endpoints(utcnow() - HOUR))  # nothing due by then
        with self.read_committed() as env:
            env.cr.execute(sql.try_slot(self.endpoint_id, 0))
            self.assertFalse(self.stuck_endpoints())  # a lane is at work
        for vals in ({"is_paused": True}, {"state": "draft"}):
            self.set_up(**vals)
            self.forget_wake_ups()
            self.assertFalse(self.stuck_endpoints())
            self.set_up(is_paused=False, state="active")
            self.forget_wake_ups()

        with self.transaction() as env:
            env[self.endpoint(env)._name]._cron_wake_endpoints()
        self.assertEqual([None], self.pending())
        self.assertFalse(self.stuck_endpoints())

    def test_sweep_finds_what_a_killed_lane_left(self):
        """In flight for a slot that nobody holds: recovered, though nothing is due."""
        ids = self.queue(1)
        with self.transaction() as env:
            env[DELIVERY].browse(ids).write(
                {"state": "processing", "lane_slot": 3, "job_uuid": "dead"}
            )
        self.forget_wake_ups()
        self.assertTrue(self.stuck_endpoints())
        with self.read_committed() as env:
            env.cr.execute(sql.try_slot(self.endpoint_id, 3))
            self.assertFalse(self.stuck_endpoints())

        self.run_lane()

        self.assertEqual(["done"], self.states(ids))

    def test_five_interruptions_are_enough(self):
        """After five interruptions in a row a delivery needs attention and says why."""
        ids = self.queue(1, 2)
        with self.transaction() as env:
            first, second = env[DELIVERY].browse(ids)
            (first + second).write({"state": "processing", "lane_slot": 0})
            first.interruption_count = 4
            second.interruption_count = 3

        self.run_lane()

        self.assertEqual(["error", "done"], self.states(ids))
        [(date, reason, error, retry)] = self.committed(
            ids[:1],
            "next_attempt_at",
            "failure_reason",
            "processing_error",
            "retry_number",
        )
        self.assertEqual((False, "interrupted", 0), (date, reason, retry))
        self.assertIn("5 times in a row", error)
        self.assertEqual([(0,)], self.committed(ids[1:], "interruption_count"))

    def test_a_state_written_by_hand_is_recovered(self):
        """A row in processing without a slot is treated as interrupted.

        It made every later lane of the endpoint fail.
        """
        ids = self.queue(1)
        with self.transaction() as env:
            env[DELIVERY].browse(ids).state = "processing"

        self.run_lane()

        self.assertEqual(["done"], self.states(ids))

    def test_a_fenced_lane_writes_nothing(self):
        """What another job holds by now isn't overwritten by a late response."""
        [delivery_id] = self.queue(1)

        def lost(exchange):
            # Plain SQL: in Odoo's runner the registry is locked for other threads.
            with self.registry.cursor() as cr:
                cr.execute(
                    "UPDATE bwt_webhook_outbound_delivery "
                    "SET job_uuid = 'successor', lane_slot = 9 WHERE id = %s",
                    (delivery_id,),
                )
            status(200)(exchange)

        self.receiver.script("/in", lost)
        with self.read_committed() as successor:
            successor.cr.execute(sql.try_slot(self.endpoint_id, 9))
            report = self.run_lane()

        self.assertEqual(0, report.recorded)
        self.assertEqual(
            [("processing", "successor")],
            self.committed([delivery_id], "state", "job_uuid"),
        )
