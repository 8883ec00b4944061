# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The groups of Needs Attention and their buttons."""

from odoo.exceptions import AccessError
from odoo.tests import new_test_user

from odoo.addons.bwt_webhooks_outbound.models import (
    delivery_failures,
    delivery_transitions,
)

from ..constants import DELIVERY, OPERATOR
from .common import OutboundCase
from .test_delivery_failures import FAILED

GROUPED = ["endpoint_id", "detailed_reason"]


class TestAttention(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = new_test_user(cls.env, "attention_operator", OPERATOR)
        cls.partners = cls.env["res.partner"].create(
            [{"name": f"P{n}"} for n in range(120)]
        )

    def setUp(self):
        super().setUp()
        self.env[DELIVERY].search([]).unlink()

    def failed(self, reason, count, state="dead_letter"):
        deliveries = self.endpoint.queue_deliveries(
            [{"payload": n, "record": self.partners[n]} for n in range(count)]
        )
        deliveries.write({"state": state, "next_attempt_at": False, **FAILED[reason]})
        return deliveries

    def groups(self):
        """Label of the reason -> domain of its group, as the web client gets them."""
        action = self.env.ref("bwt_webhooks_outbound.action_webhook_outbound_attention")
        self.assertIn("group_by_reason", action.context)
        deliveries = self.env[DELIVERY].with_user(self.operator)
        domain = [
            "|",
            ("state", "=", "dead_letter"),
            "&",
            ("state", "=", "error"),
            ("next_attempt_at", "=", False),
        ]
        found = deliveries.web_read_group(
            domain, GROUPED, ["__count"], auto_unfold=True, limit=80
        )
        return {
            group["detailed_reason"]: (
                group["__count"],
                domain + top["__extra_domain"] + group["__extra_domain"],
            )
            for top in found["groups"]
            for group in top["__groups"]["groups"]
        }

    def ask(self, domain, name, user=None):
        deliveries = self.env[DELIVERY].with_user(user or self.operator)
        return deliveries.action_bulk_question(domain, name)

    def act(self, domain, name, user=None):
        deliveries = self.env[DELIVERY].with_user(user or self.operator)
        return deliveries.action_bulk_search(domain, name)["params"]["message"]

    def test_a_group_larger_than_a_page(self):
        """The button takes all 120 of the group, though the list loads 80 at a time.

        It asks with the number first, leaves other groups alone, and the endpoint gets
        a note without names of records.
        """
        missing = self.failed("http_404", 120)
        late = self.failed("timeout", 3)
        count, domain = self.groups()["HTTP 404 Not Found"]
        self.assertEqual(120, count)

        question = self.ask(domain, "retry_now")
        text = self.act(domain, "retry_now")

        self.assertEqual(120, question["count"])
        self.assertEqual(
            "120 deliveries will be queued again.\nEndpoint: Orders.",
            question["message"],
        )
        self.assertEqual("120 queued again.", text)
        self.assertEqual({"queued"}, set(missing.mapped("state")))
        self.assertEqual({"dead_letter"}, set(late.mapped("state")))
        note = self.endpoint.message_ids[0]
        self.assertIn("120 queued again", note.body)
        self.assertEqual(self.operator.partner_id, note.author_id)
        self.assertNotIn("P1", note.body)

    def test_what_a_button_does_not_take(self):
        """The question counts what would change, and names the states of the rest."""
        self.failed("http_404", 3)
        self.failed("http_404", 2, state="error")
        _count, domain = self.groups()["HTTP 404 Not Found"]

        question = self.ask(domain, "dead_letter")

        self.assertEqual(2, question["count"])
        self.assertEqual(
            "2 deliveries will be dead-lettered.\nEndpoint: Orders.\n"
            "In state Dead Letter, not changed: 3.",
            question["message"],
        )
        self.assertEqual("2 dead-lettered.", self.act(domain, "dead_letter"))
        question = self.ask(domain, "dead_letter")
        self.assertEqual(0, question["count"])
        self.assertIn("None of them can be dead-lettered", question["message"])
        self.assertEqual("5 canceled.", self.act(domain, "cancel"))

    def test_more_than_one_transaction_takes(self):
        """The first ones in queue order, and the question says that others are left."""
        self.patch(delivery_transitions, "AT_ONCE", 3)
        self.patch(delivery_failures, "AT_ONCE", 3)
        failed = self.failed("http_404", 5)
        _count, domain = self.groups()["HTTP 404 Not Found"]

        question = self.ask(domain, "retry_now")
        text = self.act(domain, "retry_now")

        self.assertIn("The first 3 of 5 deliveries", question["message"])
        self.assertEqual("3 queued again.", text)
        self.assertEqual(["queued"] * 3 + ["dead_letter"] * 2, failed.mapped("state"))

    def test_queued_deliveries_that_wait(self):
        """Deliveries of a paused endpoint are queued; the message says they wait."""
        self.failed("http_404", 2)
        _count, domain = self.groups()["HTTP 404 Not Found"]
        self.endpoint.action_pause()

        text = self.act(domain, "retry_now")

        self.assertIn("2 queued again.", text)
        self.assertIn("The endpoint is paused", text)

    def test_who_may_press_it(self):
        """Operators, in their own company: the search is theirs, not the button's."""
        failed = self.failed("http_404", 2)
        domain = [("id", "in", failed.ids)]
        plain = new_test_user(self.env, "attention_plain", "base.group_user")
        other = self.env["res.company"].create({"name": "Other"})
        foreign = new_test_user(
            self.env,
            "attention_foreign",
            OPERATOR,
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )

        for method in ("action_bulk_question", "action_bulk_search"):
            with self.assertRaises(AccessError):
                getattr(self.env[DELIVERY].with_user(plain), method)(domain, "cancel")
            with self.refused("bulk action .* doesn.t exist"):
                getattr(self.env[DELIVERY], method)(domain, "unlink")
        self.assertEqual(0, self.ask(domain, "cancel", foreign)["count"])
        self.assertEqual("0 canceled.", self.act(domain, "cancel", foreign))
        self.assertEqual({"dead_letter"}, set(failed.mapped("state")))

    def test_the_message_is_one_line(self):
        """The list shows what failed, in a line; nothing for what did not fail."""
        failed = self.in_state(
            "error", failure_reason="build", processing_error="no value\nfor {id}"
        )

        self.assertEqual("No value for {id}", failed.failure_message)
        self.assertFalse(self.in_state("done").failure_message)
