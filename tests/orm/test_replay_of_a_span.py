# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Recover as a run: past deliveries of a span are queued again at a pace."""

from datetime import timedelta

from odoo import fields
from odoo.exceptions import UserError, ValidationError

from ..constants import DELIVERY, RECOVER
from .run_case import RunCase

HOUR = timedelta(hours=1)


class TestReplayOfASpan(RunCase):
    def setUp(self):
        super().setUp()
        self.ended_at = fields.Datetime.now() - HOUR

    def ended(self, state="done", count=1, **values):
        """Deliveries that ended an hour ago."""
        found = self.env[DELIVERY]
        for number in range(count):
            delivery = self.endpoint.queue_delivery({"number": number}).sudo()
            delivery.write(
                {
                    "state": state,
                    "queued_at": self.ended_at,
                    "processed_at": self.ended_at,
                    "next_attempt_at": False,
                    **values,
                }
            )
            found |= delivery
        found.flush_recordset()
        return found

    def dialog(self, user=None, **values):
        context = self.endpoint.action_recover()["context"]
        recovers = self.env[RECOVER].with_context(**context)
        return recovers.with_user(user or self.env.user).create(
            {"pace": 6000, **values}
        )

    def start(self, **values):
        action = self.dialog(**values).action_start_replay()
        return self.env[action["res_model"]].browse(action["res_id"])

    def test_the_same_message_id_queues_the_delivery_itself(self):
        """A receiver that lost nothing drops it by its message ID."""
        done = self.ended(count=3)
        ids = done.mapped("message_uid")

        run = self.start(with_done=True)
        self.feed(run)

        self.assertEqual("done", run.state)
        self.assertEqual((3, 3), (run.total_count, run.queued_count))
        self.assertEqual(ids, done.mapped("message_uid"))
        self.assertTrue(all(each.queued_at > self.ended_at for each in done))
        self.assertFalse(done.replay_delivery_ids)
        self.assertEqual(done, self.env[DELIVERY].search(run._deliveries_domain()))

    def test_a_new_message_id_queues_copies_in_the_order_of_the_originals(self):
        """A receiver that lost its database takes them for new messages."""
        done = self.ended(count=4)
        # The last one was queued first.
        done[3].queue_number, done[0].queue_number = done.mapped("queue_number")[::3]

        run = self.start(with_done=True, replay_with="new")
        self.feed(run)

        found = self.env[DELIVERY].search(run._deliveries_domain())
        copies = found.sorted("queue_number")
        self.assertEqual(done.sorted("queue_number"), copies.replayed_from_delivery_id)
        self.assertEqual({"replay"}, set(copies.mapped("origin")))
        self.assertFalse(
            set(done.mapped("message_uid")) & set(copies.mapped("message_uid"))
        )
        self.assertEqual({"done"}, set(done.mapped("state")))

    def test_span_and_states_say_which(self):
        """Only what was chosen is sent again."""
        done = self.ended()
        canceled = self.ended("canceled")
        dead = self.ended("dead_letter")
        self.ended(processed_at=self.ended_at - 48 * HOUR)
        late = self.ended(queued_at=self.ended_at - 48 * HOUR)

        def found(**values):
            return self.env[DELIVERY].search(self.dialog(**values)._domain())

        self.assertEqual(dead, found())
        self.assertEqual(
            done | canceled | dead | late, found(with_done=True, with_canceled=True)
        )
        queued = found(with_done=True, span_by="queued")
        self.assertNotIn(late, queued)
        self.assertFalse(found(with_done=True, until=self.ended_at - HOUR))
        narrow = f"[('id', '=', {done.id})]"
        self.assertEqual(done, found(with_done=True, domain=narrow))
        self.assertFalse(found(with_done=True, action_choice=str(self.shop.id)))

    def test_what_cannot_be_replayed_is_told(self):
        """Drafts and what is on its way."""
        self.ended()
        self.endpoint.queue_delivery({})

        self.assertIn("1 · Queued", self.dialog().not_replayed)

    def test_a_pace_is_kept_and_no_batch_repeats(self):
        """A batch that is rolled back, as by a kill, is queued once afterwards."""
        self.ended(count=5)
        run = self.start(with_done=True, pace=60)
        self.feed(run)
        first = run.queued_count
        self.assertTrue(0 < first < 5)
        self.env.flush_all()
        with self.env.cr.savepoint() as savepoint:
            self.feed(run)
            self.env.flush_all()
            savepoint.rollback()
        self.env.invalidate_all()

        self.work_off(run)

        self.assertEqual(5, run.queued_count)
        self.assertFalse(run.left_count)

    def test_deleted_and_changed_deliveries_are_counted(self):
        """Retention and users go on during a run."""
        done = self.ended(count=4)
        run = self.start(with_done=True)
        done[0].unlink()
        done[1].write({"state": "draft", "queued_at": False})
        done[2].write({"queued_at": fields.Datetime.now() + timedelta(seconds=2)})

        self.feed(run)

        self.assertEqual((1, 3), (run.queued_count, run.left_count))
        self.assertIn("1 · deleted", run.left_message)
        self.assertIn("2 · changed since", run.left_message)

    def test_the_run_waits_for_an_endpoint_that_does_not_send(self):
        """Archived in the middle: nothing is lost, and it continues."""
        self.ended(count=2)
        run = self.start(with_done=True)
        self.endpoint.state = "archived"
        self.feed(run)
        self.assertEqual(("running", 0), (run.state, run.queued_count))
        self.assertIn("isn't active", run.message)

        self.endpoint.state = "active"
        self.work_off(run)

        self.assertEqual(2, run.queued_count)

    def test_one_replay_of_an_endpoint_at_a_time(self):
        """Two would send deliveries twice."""
        self.ended()
        self.start(with_done=True)

        with self.assertRaisesRegex(ValidationError, "would send deliveries twice"):
            self.start(with_done=True)

    def test_wrong_spans_are_refused(self):
        """With what to do; nothing is queued."""
        self.ended()
        now = fields.Datetime.now()
        for values, message in (
            ({"until": now - 48 * HOUR}, "ends before it starts"),
            ({"since": now + HOUR}, "in the future"),
            ({"pace": 0}, "Enter 1 to"),
            ({"with_done": False}, "No delivery matches"),
        ):
            with self.assertRaisesRegex(UserError, message):
                self.start(**{"with_done": True, **values})
        with self.assertRaisesRegex(UserError, "not valid"):
            self.start(with_done=True, domain="[('nothing', '=', 1)]")

    def test_operators_replay_and_others_do_not(self):
        """It is what their buttons do; a user of another company finds nothing."""
        self.ended()
        operator = self.user("operator")
        run = self.start(with_done=True, user=operator)
        self.assertEqual(operator, run.user_id)
        self.feed(run)
        self.assertEqual(("done", 1), (run.state, run.queued_count))

    def test_done_and_copies_are_not_queued_at_once(self):
        """Thousands of accepted deliveries would delay live ones."""
        self.ended()
        with self.assertRaisesRegex(UserError, "Press Start Run"):
            self.dialog(with_done=True).action_recover()
