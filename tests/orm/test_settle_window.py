# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A record that keeps changing is sent once it is quiet."""

from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import DELIVERY
from .common import OutboundCase

CLOCK = "odoo.addons.bwt_webhooks_outbound.models.endpoint_queue.utcnow"


@tagged("post_install", "-at_install")
class TestSettleWindow(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A search by a datetime compares whole seconds.
        cls.start = utcnow().replace(microsecond=0)
        cls.partner = cls.env["res.partner"].create({"name": "Azure Interior"})

    def queue(self, seconds, payload, **options):
        """Queue so many seconds after the start."""
        moment = self.start + timedelta(seconds=seconds)
        options = {"ordering_key": "A", "supersede": True, **options}
        with patch(CLOCK, return_value=moment):
            return self.endpoint.queue_delivery(payload, **options)

    def send_due(self, seconds):
        """Send what is due so many seconds after the start."""
        moment = self.start + timedelta(seconds=seconds)
        due = [("state", "=", "queued"), ("next_attempt_at", "<=", moment)]
        self.env[DELIVERY].search(due, order="queue_number").process_delivery()

    def due(self, delivery):
        """Seconds after the start."""
        return (delivery.next_attempt_at - self.start).total_seconds()

    def test_many_changes_are_two_deliveries(self):
        """20 changes in 10 s, quiet for 3 s or after 8 s: 2 deliveries, last values.

        Without the longest wait a record that keeps changing would never be sent.
        """
        for number in range(20):
            self.send_due(number / 2)
            self.queue(number / 2, {"number": number}, settle=(3, 8))
        for seconds in range(10, 21):
            self.send_due(seconds)

        sent = [each.json()["number"] for each in self.receiver.requests]
        self.assertEqual([15, 19], sent)
        states = self.env[DELIVERY].search([]).mapped("state")
        self.assertEqual({"canceled": 18, "done": 2}, self.counted(states))

    def counted(self, values):
        return {each: values.count(each) for each in set(values)}

    def test_each_change_waits_again(self):
        """Each change moves the due date, until the longest wait after the first."""
        dues = [
            self.due(self.queue(seconds, seconds, settle=(3, 8)))
            for seconds in (0, 2, 4, 6, 7.5)
        ]

        self.assertEqual([3, 5, 7, 8, 8], dues)

    def test_other_keys_settle_apart(self):
        """A change of one record says nothing about another."""
        self.queue(0, 1, settle=(3, 8))
        other = self.queue(6, 1, settle=(3, 8), ordering_key="B")

        self.assertEqual(9, self.due(other))

    def test_what_is_sent_begins_anew(self):
        """After a delivery was sent or canceled, the next change is the first."""
        first = self.queue(0, 1, settle=(3, 8))
        first.process_delivery()
        second = self.queue(6, 2, settle=(3, 8))
        self.assertEqual(9, self.due(second))
        second.action_cancel_delivery()
        third = self.queue(13, 3, settle=(3, 8))

        self.assertEqual(16, self.due(third))

    def test_send_now(self):
        """A delivery that waits is sent at once; one that is due is left alone."""
        delivery = self.queue(3600, 1, settle=(3, 8))
        self.assertTrue(delivery.is_scheduled)
        self.assertIn("Press Send Now", delivery.status_message)
        before = self.wake_ups()

        delivery.action_send_now()

        self.assertFalse(delivery.is_scheduled)
        self.assertEqual("queued", delivery.state)
        self.assertLessEqual(delivery.next_attempt_at, utcnow())
        self.assertEqual(1, len(self.wake_ups() - before))
        due = self.row(delivery)
        delivery.action_send_now()
        self.assertEqual(due, self.row(delivery))

    def test_changes_of_one_call(self):
        """Several changes of a key in one call share their first one."""
        requests = [
            {"payload": n, "ordering_key": "A", "supersede": True, "settle": (3, 8)}
            for n in range(3)
        ]
        with patch(CLOCK, return_value=self.start):
            deliveries = self.endpoint.queue_deliveries(requests)

        self.assertEqual({3.0}, {self.due(each) for each in deliveries})
        self.assertEqual({self.start}, set(deliveries.mapped("settle_started_at")))

    def test_a_later_date_counts(self):
        """`eta` is kept where it is later than the window."""
        later = self.start + timedelta(seconds=60)

        self.assertEqual(60, self.due(self.queue(0, 1, settle=3, eta=later)))

    def test_the_endpoints_window(self):
        """It applies to what supersedes, unless the caller says otherwise."""
        self.endpoint.write({"settle_seconds": 5, "settle_max_seconds": 20})

        self.assertEqual(5, self.due(self.queue(0, 1)))
        self.assertEqual(2, self.due(self.queue(0, 1, settle=2, ordering_key="B")))
        self.assertEqual(0, self.due(self.queue(0, 1, settle=0, ordering_key="C")))
        plain = self.queue(0, 1, supersede=False, ordering_key="D")
        self.assertEqual(0, self.due(plain))
        self.assertFalse(plain.settle_started_at)

    def test_what_is_refused(self):
        """A window that can't work is refused, and nothing is queued."""
        before = self.env[DELIVERY].search_count([])
        for settle in (-1, "3", True, (3,), (8, 3), (1, 1e9), float("nan"), (3, None)):
            with self.assertRaisesRegex(ValidationError, "is not a valid window"):
                self.queue(0, 1, settle=settle)
        with self.assertRaisesRegex(ValidationError, "needs supersede"):
            self.queue(0, 1, settle=3, supersede=False)
        for values in (
            {"settle_seconds": 90},
            {"settle_seconds": -1},
            {"settle_seconds": 9, "settle_max_seconds": 90_000},
        ):
            with self.assertRaisesRegex(ValidationError, "(?i)settle window"):
                self.endpoint.write(values)

        self.assertEqual(before, self.env[DELIVERY].search_count([]))

    def test_server_action(self):
        """A record saved three times is sent once, with its last values."""
        action = self.env["ir.actions.server"].create(
            {
                "name": "Notify",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
                "bwt_webhook_supersede": True,
                "bwt_webhook_each_time": True,
                "bwt_webhook_settle_seconds": 3,
                "bwt_webhook_settle_max_seconds": 8,
                "bwt_webhook_field_ids": [
                    (0, 0, {"usage": "field", "source_expression": "name"})
                ],
            }
        )
        for seconds, name in enumerate(("Azure", "Azure Int", "Azure Interiors")):
            self.partner.name = name
            moment = self.start + timedelta(seconds=seconds)
            with patch(CLOCK, return_value=moment):
                action.with_context(
                    active_model="res.partner", active_ids=self.partner.ids
                ).run()
        self.send_due(4)
        self.assertFalse(self.receiver.requests)
        self.send_due(5)

        names = [each.json()["name"] for each in self.receiver.requests]
        self.assertEqual(["Azure Interiors"], names)
        with self.assertRaisesRegex(ValidationError, "(?i)settle window"):
            action.bwt_webhook_settle_max_seconds = 2

    def test_message(self):
        """The form says when it will be sent, and what a change does."""
        delivery = self.endpoint.queue_delivery(
            1, ordering_key="A", supersede=True, settle=(50, 60)
        )

        self.assertIn("If its record changes before", delivery.status_message)
