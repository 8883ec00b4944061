# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bulk buttons beside lanes at work: what can be done is done, the rest is named."""

from odoo.tests import tagged

from ..constants import DELIVERY
from .common import CommittedCase, OutboundCase


@tagged("post_install", "-at_install")
class TestBulkActions(OutboundCase):
    def message(self, action):
        self.assertEqual("display_notification", action["tag"])
        return action["params"]["message"]

    def test_counts_and_names(self):
        """The summary counts what was done and names what was left, and why."""
        fit = [self.in_state("error") for _number in range(3)]
        unfit = [self.in_state("done") for _number in range(7)]
        deliveries = self.env[DELIVERY].union(*fit, *unfit)

        action = deliveries.action_bulk("retry_now")

        text = self.message(action)
        self.assertEqual("warning", action["params"]["type"])
        names = ", ".join(each.name for each in unfit[:5])
        self.assertEqual(
            f"3 queued again.\n7 not: in state Done ({names}, and 2 more).", text
        )
        self.assertEqual({"queued"}, {each.state for each in fit})
        self.assertEqual({"done"}, {each.state for each in unfit})

    def test_all_done(self):
        """Nothing left is a plain success; every bulk action has its message."""
        for name, state in (
            ("queue", "draft"),
            ("retry_now", "dead_letter"),
            ("reset", "canceled"),
            ("cancel", "error"),
            ("dead_letter", "error"),
            ("replay", "done"),
        ):
            with self.subTest(name=name):
                action = self.in_state(state).action_bulk(name)
                self.assertEqual("success", action["params"]["type"])
                self.assertRegex(self.message(action), r"^1 [a-z -]+\.$")

    def test_one_endpoint_that_takes_none(self):
        """Deliveries of an archived endpoint are left out, those of others go.

        One archived endpoint would otherwise stop a bulk retry over all of them.
        """
        other = self.make_endpoint("other")
        here = self.in_state("error")
        there = other.queue_delivery({"a": 1})
        there.write({"state": "error", "next_attempt_at": False})
        other.action_archive()

        action = (here + there).action_bulk("retry_now")

        self.assertEqual(("queued", "error"), (here.state, there.state))
        done, left = self.message(action).splitlines()
        self.assertEqual("1 queued again.", done)
        self.assertRegex(left, r'1 not: .*Endpoint "Other" .*Archived.* \(Other / ')

    def test_refusals_are_grouped(self):
        """One line per reason, the most frequent first, with up to five records.

        A line per delivery hides among 35 what the two reasons are. The name of a
        record is read with the rights of the user who pressed the button.
        """
        other = self.make_endpoint("other")
        partners = self.env["res.partner"].create([{"name": f"P{n}"} for n in range(7)])
        there = other.queue_deliveries([{"record": each} for each in partners])
        there.write({"state": "dead_letter", "next_attempt_at": False})
        here = self.in_state("error")
        done = self.in_state("done")
        other.action_archive()

        text = self.message((here + done + there).action_bulk("retry_now"))

        first, second, third = text.splitlines()
        self.assertEqual("1 queued again.", first)
        self.assertRegex(
            second, r"^7 not: .*Archived.* \(P0, P1, P2, P3, P4, and 2 more"
        )
        self.assertEqual(f"1 not: in state Done ({done.name}).", third)

    def test_own_reasons_are_grouped_too(self):
        """An error that names its delivery is grouped by what is wrong with it.

        The name is in front of each such error: each would be a reason of its own.
        """
        partner = self.env["res.partner"].create({"name": "Ada"})
        failed = self.endpoint.queue_deliveries([{"record": partner}] * 3)
        failed.write({"state": "error", "needs_build": True, "next_attempt_at": False})

        text = self.message(failed.action_bulk("queue"))

        first, second = text.splitlines()
        self.assertEqual("0 queued.", first)
        self.assertRegex(second, r"^3 not: it was never built.* \(Ada, Ada, Ada\)\.$")

    def test_no_such_action(self):
        """Only keys of the table: the name comes from outside."""
        with self.refused("bulk action .* doesn.t exist"):
            self.in_state("error").action_bulk("unlink")


class TestBulkBesideLanes(CommittedCase):
    def test_rows_that_a_lane_has_locked_are_skipped(self):
        """A row locked by a lane is named, the others are canceled, nobody waits."""
        ids = self.queue(1, 2, 3)
        with self.read_committed() as lane, self.transaction() as env:
            lane.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE",
                (ids[1],),
            )

            action = env[DELIVERY].browse(ids).action_bulk("cancel")

        self.assertIn("2 canceled", action["params"]["message"])
        self.assertIn("being sent right now", action["params"]["message"])
        self.assertEqual(["canceled", "queued", "canceled"], self.states(ids))

    def test_rows_that_a_lane_changed_meanwhile_are_skipped(self):
        """A row that a lane wrote since the button's snapshot fails itself alone.

        In Odoo's isolation level it fails the transaction: one of 500 would fail all.
        """
        ids = self.queue(1, 2, 3)
        with self.transaction() as env:
            deliveries = env[DELIVERY].browse(ids)
            self.assertEqual({"queued"}, set(deliveries.mapped("state")))
            with self.transaction() as lane:
                lane[DELIVERY].browse(ids[0]).state = "done"

            action = deliveries.action_bulk("cancel")

        self.assertIn("2 canceled", action["params"]["message"])
        self.assertEqual(["done", "canceled", "canceled"], self.states(ids))

    def test_a_button_says_that_it_is_being_sent(self):
        """A single button doesn't wait for the lane that holds the row: it says so."""
        [delivery_id] = self.queue(1)
        with self.read_committed() as lane, self.transaction() as env:
            lane.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE",
                (delivery_id,),
            )
            delivery = env[DELIVERY].browse(delivery_id)

            with self.assertRaisesRegex(Exception, "being sent right now"):
                delivery.action_cancel_delivery()

            with self.assertRaisesRegex(Exception, "being sent right now"):
                delivery.process_delivery()
