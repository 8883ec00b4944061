# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The dialog Recover."""

from datetime import timedelta

from odoo import fields
from odoo.exceptions import UserError

from ..constants import DELIVERY, RECOVER
from .trust_case import TrustCase


class TestRecover(TrustCase):
    def failed(self, count=1, **values):
        """Deliveries that the target refused."""
        found = self.env[DELIVERY]
        for _number in range(count):
            delivery = self.deliver().sudo()
            delivery.write(
                {
                    "state": "dead_letter",
                    "processed_at": fields.Datetime.now(),
                    "failure_reason": "http_4xx",
                    "next_attempt_at": False,
                    **values,
                }
            )
            found |= delivery
        return found

    def opened(self, user=None, **values):
        """The dialog as the endpoint's button opens it."""
        context = self.endpoint.action_recover()["context"]
        return (
            self.env[RECOVER]
            .with_context(**context)
            .with_user(user or self.env.user)
            .create(values)
        )

    def test_the_count_comes_first(self):
        """How many, and why they failed, is seen before anything is done."""
        self.failed(2)
        self.failed(1, failure_reason="timeout")
        self.failed(1, processed_at=fields.Datetime.now() - timedelta(days=3))

        recover = self.opened()

        self.assertEqual(3, recover.delivery_count)
        self.assertIn("2 · HTTP 4xx", recover.summary)
        recover.failure_reason = "timeout"
        self.assertEqual(1, recover.delivery_count)
        recover.write(
            {
                "failure_reason": False,
                "since": fields.Datetime.now() - timedelta(days=9),
            }
        )
        self.assertEqual(4, recover.delivery_count)

    def test_errors_and_dead_letters_go_back_into_the_queue(self):
        """Both kinds are queued, due now, and the summary counts them."""
        dead = self.failed(2, retry_number=7)
        error = self.failed(1, state="error", processed_at=False)
        old = self.failed(1, processed_at=fields.Datetime.now() - timedelta(days=3))

        action = self.opened().action_recover()

        self.assertEqual({"queued"}, set((dead | error).mapped("state")))
        self.assertEqual({0}, set(dead.mapped("retry_number")))
        self.assertEqual("dead_letter", old.state)
        self.assertIn("3 queued again", action["params"]["message"])
        self.assertIn("3 queued again", self.endpoint.message_ids[0].body)

    def test_kinds_can_be_deselected(self):
        """Errors alone, dead letters alone, or neither."""
        self.failed(2)
        self.failed(1, state="error", processed_at=False)

        self.assertEqual(2, self.opened(with_errors=False).delivery_count)
        self.assertEqual(1, self.opened(with_dead_letters=False).delivery_count)
        neither = self.opened(with_errors=False, with_dead_letters=False)
        self.assertEqual(0, neither.delivery_count)
        with self.refused("No delivery failed", UserError):
            neither.action_recover()

    def test_operators_recover(self):
        """It is what their Retry Now does, many times over."""
        failed = self.failed(2)

        self.opened(self.user("operator")).action_recover()

        self.assertEqual({"queued"}, set(failed.mapped("state")))

    def test_an_endpoint_that_does_not_send_refuses(self):
        """Nothing is half done."""
        failed = self.failed()
        recover = self.opened()
        self.endpoint.state = "draft"

        with self.refused("Activate it first"):
            recover.action_recover()
        self.assertEqual("dead_letter", failed.state)
