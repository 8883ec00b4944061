# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The buttons: what each takes, what it leaves, what it refuses."""

from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import ATTEMPT, DELIVERY
from .common import STATES, OutboundCase

BUTTONS = {
    "action_queue_delivery": (("draft", "error"), "queued"),
    "action_send_now": (("queued",), "queued"),
    "action_retry_now": (("error", "dead_letter"), "queued"),
    "action_reset_to_draft": (("error", "dead_letter", "canceled"), "draft"),
    "action_cancel_delivery": (
        ("draft", "error", "dead_letter", "queued"),
        "canceled",
    ),
    "action_dead_letter": (("draft", "error"), "dead_letter"),
}
REPLAYED = ("draft", "done", "error", "dead_letter", "canceled")
ENDED = {
    "response_status_code": 503,
    "response_headers_json": "{}",
    "response_body": "x",
    "processing_note": "note",
    "processing_error": "error",
    "failure_reason": "http_5xx",
    "retry_number": 3,
}


@tagged("post_install", "-at_install")
class TestTransitions(OutboundCase):
    def test_each_button_in_each_state(self):
        """A button takes its states; in any other it says which one, writing nothing.

        A delivery that was sent must not be queued again by a stale browser window.
        """
        labels = dict(self.env[DELIVERY]._fields["state"].selection)
        for button, (sources, target) in BUTTONS.items():
            for state in STATES:
                with self.subTest(button=button, state=state):
                    delivery = self.in_state(state)
                    before = self.row(delivery)
                    if state in sources:
                        self.assertIs(True, getattr(delivery, button)())
                        self.assertEqual(target, delivery.state)
                        continue
                    with self.refused(f'Delivery ".*": .*{labels[state]}'):
                        getattr(delivery, button)()
                    self.assertEqual(before, self.row(delivery))

    def test_replay_in_each_state(self):
        """What is on its way can't be replayed; all else can, as a new draft."""
        for state in STATES:
            with self.subTest(state=state):
                delivery = self.in_state(state)
                if state not in REPLAYED:
                    with self.refused("replayed"):
                        delivery.action_create_replay_delivery()
                    continue
                action = delivery.action_create_replay_delivery()
                replay = self.env[DELIVERY].browse(action["res_id"])
                self.assertEqual("draft", replay.state)
                self.assertEqual(delivery, replay.replayed_from_delivery_id)
                self.assertEqual(state, delivery.state)

    def test_all_or_none(self):
        """One delivery in a wrong state stops the button for the whole selection."""
        good, bad = self.in_state("error"), self.in_state("done")

        with self.refused("Done"):
            (good + bad).action_retry_now()

        self.assertEqual(("error", "done"), (good.state, bad.state))

    def test_replay_is_a_new_message_with_the_same_content(self):
        """Lines, headers, payload and files come along; id, attempts, responses don't.

        With the same message id the receiver would drop the replay as a duplicate;
        with `supersede` an old value would cancel newer ones.
        """
        delivery = self.queue(
            {"b": 1, "a": 2},
            {"k": "v"},
            headers={"X-Shop": "1"},
            files={"doc": {"filename": "a.pdf", "content": b"pdf"}},
            ordering_key="k1",
            supersede=True,
        )
        delivery.write({"state": "done"} | ENDED)

        action = delivery.action_create_replay_delivery()
        delivery.action_create_replay_delivery()

        replay = self.env[DELIVERY].browse(action["res_id"])
        self.assertEqual(f"{delivery.name} / Replay 1", replay.name)
        self.assertEqual(2, delivery.replay_count)
        self.assertEqual(2, len(delivery.replay_delivery_ids))
        for name in ("payload_json", "request_headers_json", "ordering_key"):
            self.assertEqual(delivery[name], replay[name])
        self.assertEqual({"k": "v"}, replay._get_context_values())
        self.assertNotEqual(replay.message_uid, delivery.message_uid)
        self.assertFalse(replay.supersede)
        for name in (*ENDED, "queue_number", "queued_at", "attempt_ids"):
            self.assertFalse(replay[name], name)
        files = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", replay.id)]
        )
        self.assertEqual(
            [("a.pdf", "doc", b"pdf")],
            [(each.name, each.description, each.raw) for each in files],
        )

    def test_retries_start_again_where_they_should(self):
        """Queue and a retried dead letter restart the schedule, Retry Now doesn't."""
        for button, state, retries in (
            ("action_retry_now", "error", 3),
            ("action_retry_now", "dead_letter", 0),
            ("action_queue_delivery", "error", 0),
        ):
            with self.subTest(button=button, state=state):
                delivery = self.in_state(state, interruption_count=5, **ENDED)
                place = delivery.queue_number

                getattr(delivery, button)()

                self.assertEqual(retries, delivery.retry_number)
                self.assertEqual(place, delivery.queue_number)
                self.assertEqual(0, delivery.interruption_count)
                self.assertFalse(delivery.processing_error or delivery.failure_reason)
                self.assertLessEqual(delivery.next_attempt_at, utcnow())

    def test_reset_forgets_what_happened_but_the_attempts(self):
        """Back in draft nothing of the last try is left on the delivery itself."""
        delivery = self.in_state("dead_letter", processed_at=utcnow(), **ENDED)
        self.env[ATTEMPT].create(
            {
                "name": "A",
                "delivery_id": delivery.id,
                "attempt_number": 1,
                "http_method": "post",
                "request_body_mode": "json",
                "target_url": "http://x",
                "request_headers_json": "{}",
                "payload_json": "{}",
            }
        )

        delivery.action_reset_to_draft()

        for name in (*ENDED, "queued_at", "processed_at", "queue_number"):
            self.assertFalse(delivery[name], name)
        self.assertEqual(0.0, delivery.end_to_end_seconds)
        self.assertEqual(1, len(delivery.attempt_ids))

    def test_leaving_the_line_wakes_those_behind(self):
        """After cancel, dead letter, reset and delete the next of the group is sent.

        It would otherwise lie until the sweep, up to a minute later.
        """
        self.endpoint.ordering = "endpoint"
        for leave in (
            "action_cancel_delivery",
            "action_dead_letter",
            "action_reset_to_draft",
            "unlink",
        ):
            with self.subTest(leave=leave):
                first, second = self.queue_keys("a", "b")
                first.write({"state": "error", "next_attempt_at": False})
                self.env.flush_all()
                self.env.cr.execute("DELETE FROM queue_job")
                self.env.invalidate_all()

                getattr(first, leave)()

                self.assertEqual(1, len(self.wake_ups()))
                second.action_cancel_delivery()

    def test_a_line_that_changed_while_it_lay_in_dead_letter(self):
        """A retried dead letter waits in the group of today's order.

        The lane regroups only what waits: it would be sent out of order.
        """
        delivery = self.in_state("dead_letter", ordering_key="k")
        self.assertFalse(delivery.ordering_group)
        self.endpoint.ordering = "key"

        delivery.action_retry_now()

        self.assertEqual("k", delivery.ordering_group)

    def test_drafts_queued_together_keep_their_age(self):
        """Whatever the list's sorting, the oldest draft gets the first place."""
        drafts = self.env[DELIVERY].create([{"endpoint_id": self.endpoint.id}] * 3)

        drafts[::-1].action_queue_delivery()

        numbers = drafts.mapped("queue_number")
        self.assertEqual(sorted(numbers), numbers)
        self.assertEqual(1, len(self.wake_ups()))

    def test_durations(self):
        """From queueing and from creation to the end; 0 while open, never below 0."""
        delivery = self.in_state("queued")
        self.assertEqual(0.0, delivery.queue_to_done_seconds)
        delivery.queued_at = delivery.create_date + timedelta(seconds=10)
        delivery.processed_at = delivery.create_date + timedelta(seconds=15)

        self.assertEqual(5.0, delivery.queue_to_done_seconds)
        self.assertEqual(15.0, delivery.end_to_end_seconds)
        delivery.processed_at = delivery.create_date - timedelta(seconds=1)
        self.assertEqual(0.0, delivery.end_to_end_seconds)

    def test_jobs_of_a_delivery(self):
        """The job that holds it and those of its attempts, newest first."""
        first, second = self.in_state("error"), self.in_state("error")
        job = self.wake_ups()
        first.job_uuid = job.uuid

        self.assertEqual(job, first.queue_job_ids)
        self.assertEqual("pending", first.latest_queue_job_state)
        self.assertEqual("Pending", first.latest_job_state)
        self.assertFalse(second.queue_job_ids)
        self.assertEqual(0, second.queue_job_count)
        action = first.action_view_queue_jobs()
        self.assertEqual([("id", "in", job.ids)], action["domain"])

    def test_record_that_is_gone(self):
        """The button to the record says so when there is none any more."""
        partner = self.env["res.partner"].create({"name": "Ada"})
        delivery = self.queue(record=partner)
        self.assertEqual("res.partner", delivery.action_view_record()["res_model"])
        partner.unlink()

        with self.refused("was deleted"):
            delivery.action_view_record()
