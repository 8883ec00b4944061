# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action: one delivery per action, record and transaction."""

import json

from odoo import Command
from odoo.tests import tagged

from ..constants import DELIVERY
from .action_case import ServerActionCase
from .common import CommittedCase


class Rollback(Exception):
    pass


# Automation rules hang themselves on models when a registry is complete.
@tagged("post_install", "-at_install")
class TestOnce(ServerActionCase):
    """By `create`, as where another addon hangs on it."""

    plain_insert = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("base.automation")

    def setUp(self):
        super().setUp()
        endpoints = type(self.endpoint)
        foreign = not self.plain_insert
        self.patch(endpoints, "_has_foreign_hooks", lambda self: foreign)

    def rename(self, *names, partner=None):
        """Save a contact once per name, in one transaction."""
        for name in names:
            (partner or self.partner).name = name
            self.env.flush_all()

    def rolled_back(self, *names):
        """Save a contact and roll back to a savepoint."""
        try:
            with self.env.cr.savepoint():
                self.rename(*names)
                raise Rollback
        except Rollback:
            self.env.invalidate_all(flush=False)

    def test_thirteen_firings_are_one_delivery(self):
        """A save that writes a record again and again is sent once, with the end.

        Otherwise the receiver gets every state in between.
        """
        self.rule(self.action("name"))

        self.rename(*(f"Name {number}" for number in range(13)))

        self.assertEqual(["Name 12"], self.sent_names(self.partner))

    def test_each_time_queues_each_firing(self):
        """Who wants every state in between chooses Each Time."""
        self.rule(self.action("name", bwt_webhook_each_time=True))

        self.rename("One", "Two", "Three")

        # Odoo may fire a rule more than once for a save, for computed fields.
        self.assertEqual({"One", "Two", "Three"}, set(self.sent_names(self.partner)))

    def test_each_record_has_its_own(self):
        """Two contacts that are saved one after the other are two deliveries."""
        self.rule(self.action("name"))
        ada, byron = self.company.child_ids

        for number in range(3):
            self.rename(f"Ada {number}", partner=ada)
            self.rename(f"Byron {number}", partner=byron)

        self.assertEqual(["Ada 2", "Byron 2"], self.sent_names(ada, byron))

    def test_some_are_new_and_some_are_not(self):
        """A run on several records updates what is queued and queues the others."""
        action = self.action("name")
        ada, byron = self.company.child_ids
        first = self.run_on(action, ada)
        ada.name = "Countess"

        second = self.run_on(action, ada | byron)

        self.assertEqual([ada.id], first.mapped("res_id"))
        self.assertEqual([byron.id], second.mapped("res_id"))
        self.assertEqual(["Countess", "Byron"], self.sent_names(ada, byron))

    def test_each_action_has_its_own(self):
        """Two actions of one rule don't take each other's delivery."""
        other = self.make_endpoint("other")
        actions = self.rule(
            self.action("name"),
            self.action("name", "ref", bwt_webhook_endpoint_id=other.id),
        )

        self.rename("One", "Two")

        deliveries = self.queued(self.partner)
        self.assertEqual([each.id for each in actions], deliveries.server_action_id.ids)
        self.assertEqual([self.endpoint.id, other.id], deliveries.endpoint_id.ids)
        self.assertEqual(["Two", "Two"], self.sent_names(self.partner))

    def make_endpoint(self, code):
        return self.endpoint.copy({"code": code, "name": code, "state": "active"})

    def test_a_first_firing_that_is_rolled_back_is_forgotten(self):
        """The row is gone with its savepoint: the next firing inserts."""
        self.rule(self.action("name"))

        self.rolled_back("Undone")
        self.assertFalse(self.queued(self.partner))
        self.rename("Kept", "Last")

        self.assertEqual(["Last"], self.sent_names(self.partner))

    def test_a_later_firing_that_is_rolled_back_leaves_the_values_before(self):
        """What the savepoint undid is not sent, and the row is found again."""
        self.rule(self.action("name"))

        self.rename("Kept")
        self.rolled_back("Undone")
        self.assertEqual(["Kept"], self.sent_names(self.partner))
        self.rename("Last")

        self.assertEqual(["Last"], self.sent_names(self.partner))

    def test_context_lines_are_of_the_last_firing(self):
        """The path must name what the payload holds."""
        self.rule(
            self.action(
                "name",
                bwt_webhook_context_ids=[
                    Command.create(
                        {
                            "usage": "context",
                            "target": "key",
                            "source_expression": "name",
                        }
                    )
                ],
            )
        )

        self.rename("One", "Two")

        delivery = self.queued(self.partner)
        self.assertEqual({"key": "Two"}, delivery._get_context_values())
        self.assertEqual(1, len(delivery.context_line_ids))

    def test_order_and_superseding_count_it_once(self):
        """It keeps its place in the order, and doesn't supersede itself."""
        self.endpoint.ordering = "key"
        self.rule(self.action("name", bwt_webhook_supersede=True))

        self.rename("One")
        place = self.queued(self.partner).queue_number
        self.rename("Two", "Three")

        delivery = self.queued(self.partner)
        key = f"res.partner,{self.partner.id}"
        self.assertEqual(
            (key, key, True, place),
            (
                delivery.ordering_key,
                delivery.ordering_group,
                delivery.supersede,
                delivery.queue_number,
            ),
        )
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)
        self.assertEqual("Three", self.receiver.wait_for_requests(1)[-1].json()["name"])

    def test_what_was_sent_is_not_changed(self):
        """A delivery that was sent in this transaction stays as it was."""
        self.rule(self.action("name"))

        self.rename("One")
        self.queued(self.partner).process_delivery()
        self.rename("Two")

        self.assertEqual(["One", "Two"], self.sent_names(self.partner))

    def test_drafts_are_one_too(self):
        """An endpoint in draft gets one draft per save."""
        self.rule(self.action("name"))
        self.endpoint.state = "draft"

        self.rename("One", "Two")

        self.assertEqual(["draft"], self.queued(self.partner).mapped("state"))
        self.assertEqual(["Two"], self.sent_names(self.partner))

    def test_skips_are_counted_once(self):
        """The count is one of deliveries, not of firings."""
        self.rule(self.action("name"))
        self.endpoint.state = "archived"

        self.rolled_back("Undone")
        self.rename("One", "Two")

        self.assertEqual(1, self.endpoint.skipped_count)

    def test_the_last_firing_decides_whether_it_can_be_built(self):
        """A value between that can't be sent stops nothing, the last one does."""
        self.rule(self.action("name", "email_formatted"))
        self.fail_to_compute(lambda partner: partner.name == "bad")

        states = []
        for name in ("good", "bad", "better", "bad"):
            self.rename(name)
            states.append(self.queued(self.partner).state)

        self.assertEqual(["queued", "error", "queued", "error"], states)
        self.assertFalse(self.queued(self.partner).next_attempt_at)


@tagged("post_install", "-at_install")
class TestOnceByPlainInsert(TestOnce):
    """By SQL, as where no other addon hangs on `create`."""

    plain_insert = True

    def test_a_later_firing_costs_few_statements(self):
        """Finding the row again reads it by its id, whatever the history."""
        action = self.action("name")
        partners = self.env["res.partner"].create(
            [{"name": f"Contact {number}"} for number in range(200)]
        )
        self.run_on(action, partners)
        counts = []
        for some in (partners[:10], partners):
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.assertFalse(self.run_on(action, some))
            counts.append(self.env.cr.sql_log_count - before)

        self.assertAlmostEqual(counts[0], counts[1], delta=3)


@tagged("post_install", "-at_install")
class TestTransactions(CommittedCase):
    def test_each_transaction_has_its_own(self):
        """What another save queued and committed is not changed any more."""
        with self.transaction() as env:
            partner = env["res.partner"].create({"name": "One"})
            action = env["ir.actions.server"].create(
                {
                    "name": "Queue",
                    "model_id": env["ir.model"]._get_id("res.partner"),
                    "state": "bwt_webhook_outbound",
                    "bwt_webhook_endpoint_id": self.endpoint_id,
                    "bwt_webhook_field_ids": [
                        Command.create({"usage": "field", "source_expression": "name"})
                    ],
                }
            )
        self.addCleanup(self._delete, "res.partner", partner.id)
        self.addCleanup(self._delete, "ir.actions.server", action.id)
        cr = self.registry.cursor()  # one cursor, as in a script that commits
        with cr:
            env = partner.with_env(partner.env(cr=cr)).env
            for name in ("Two", "Three"):
                env["res.partner"].browse(partner.id).name = name
                env["ir.actions.server"].browse(action.id).with_context(
                    active_model="res.partner", active_id=partner.id
                ).run()
                cr.commit()  # pylint: disable=invalid-commit  # a cursor of its own

        with self.transaction() as env:
            found = env[DELIVERY].search([("res_id", "=", partner.id)], order="id")
            names = [json.loads(each.payload_json)["name"] for each in found]
        self.assertEqual(["Two", "Three"], names)

    def _delete(self, model, record_id):
        with self.transaction() as env:
            env[model].browse(record_id).unlink()
