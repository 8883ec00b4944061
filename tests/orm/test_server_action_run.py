# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action "Queue Outbound Webhook": who and what runs it."""

import json

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..constants import DELIVERY
from .action_case import ServerActionCase


class TestRun(ServerActionCase):
    def test_many_records_are_one_insert(self):
        """The number of statements doesn't grow with the number of records."""
        action = self.action("name", "parent_id.name")
        partners = self.env["res.partner"].create(
            [{"name": f"Contact {number}"} for number in range(300)]
        )
        self.run_on(action, partners[:1])
        counts = []
        for some in (partners[1:100], partners[100:]):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            deliveries = self.run_on(action, some)
            counts.append(self.env.cr.sql_log_count - before)
            self.assertEqual(some.ids, deliveries.mapped("res_id"))
            self.assertEqual({"queued"}, set(deliveries.mapped("state")))

        self.assertAlmostEqual(counts[0], counts[1], delta=3)

    def test_the_action_menu_says_what_was_done(self):
        """A click on many records shows a count."""
        action = self.action("name")
        action.create_action()

        self.run_on(action, self.company | self.partner)

        self.assertEqual(
            "2 queued for Shop orders.", self.response["params"]["message"]
        )

    def test_whoever_may_run_the_action_may_queue(self):
        """An internal user needs no webhooks group, only the right on the record."""
        action = self.action("name")
        user = self.user("internal")
        user.write(
            {"group_ids": [Command.link(self.env.ref("base.group_partner_manager").id)]}
        )

        deliveries = self.run_on(action.with_user(user), self.partner)

        self.assertEqual(self.partner.id, deliveries.res_id)
        with (
            self.assertRaises(AccessError),
            mute_logger("odoo.addons.base.models.ir_actions"),
        ):
            self.run_on(action.with_user(self.user("portal")), self.partner)

    def test_a_scheduled_action_takes_its_filters_records(self):
        """Without records its filter finds them; none found, none queued."""
        action = self.action(
            "name",
            bwt_webhook_without_records="domain",
            bwt_webhook_domain="[('ref', '=', 'A-1')]",
        )

        before = self.env[DELIVERY].search([])
        action.run()
        found = self.env[DELIVERY].search([]) - before
        self.assertEqual(self.partner.ids, found.mapped("res_id"))
        self.partner.ref = False
        action.run()
        self.assertEqual(found, self.env[DELIVERY].search([]) - before)

    def test_a_scheduled_action_without_filter_is_a_heartbeat(self):
        """One delivery about no record, as long as no field of one is requested."""
        action = self.action()
        before = self.env[DELIVERY].search([])

        action.run()

        delivery = self.env[DELIVERY].search([]) - before
        self.assertFalse(delivery.res_id)
        self.assertFalse(json.loads(delivery.payload_json)["_id"])
        with self.refused("there is no record to read a field from"):
            self.action("name", bwt_webhook_failure_mode="refuse").run()

    def test_a_cron_runs_it(self):
        """A scheduled action of this type queues when it is run."""
        cron = self.env["ir.cron"].create(
            {
                "name": "Nightly",
                "model_id": self.model.id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
                "bwt_webhook_without_records": "domain",
                "bwt_webhook_domain": f"[('id', '=', {self.partner.id})]",
                "bwt_webhook_field_ids": [
                    Command.create({"usage": "field", "source_expression": "name"})
                ],
                "interval_number": 1,
                "interval_type": "days",
            }
        )

        cron.ir_actions_server_id.run()

        self.assertTrue(self.env[DELIVERY].search([("res_id", "=", self.partner.id)]))

    def test_only_the_last_value_counts(self):
        """Superseding: a record saved twice is sent once, with the later value."""
        action = self.action(
            "name", bwt_webhook_supersede=True, bwt_webhook_each_time=True
        )

        deliveries = self.run_on(action, self.partner) | self.run_on(
            action, self.partner
        )

        self.assertEqual([True, True], deliveries.mapped("supersede"))
        self.assertEqual(
            {f"res.partner,{self.partner.id}"}, set(deliveries.mapped("ordering_key"))
        )


class TestUninstalled(ServerActionCase):
    def test_schedules_go_with_their_actions(self):
        """A schedule holds its action: uninstalling the addon would stop there."""
        action = self.action("name")
        cron = self.env["ir.cron"].create(
            {
                "ir_actions_server_id": self.action("name", usage="ir_cron").id,
                "interval_number": 1,
                "interval_type": "days",
            }
        )
        scheduled = cron.ir_actions_server_id

        (action | scheduled)._bwt_webhook_leave()

        self.assertFalse((action | scheduled).exists() or cron.exists())


# Automation rules hang themselves on models when a registry is complete.
@tagged("post_install", "-at_install")
class TestAutomation(ServerActionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("base.automation")

    def test_an_automation_rule_delivers_on_change(self):
        """A rule on contacts queues on each change of the name, and arrives."""
        rule = self.env["base.automation"].create(
            {
                "name": "Contact changed",
                "model_id": self.model.id,
                "trigger": "on_create_or_write",
            }
        )
        rule.action_server_ids = self.action(
            "name", usage="base_automation", base_automation_id=rule.id
        )

        self.partner.name = "Countess"

        delivery = self.env[DELIVERY].search([("res_id", "=", self.partner.id)])
        self.assertEqual("Countess", json.loads(delivery.payload_json)["name"])
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)
        self.assertEqual(
            "Countess", self.receiver.wait_for_requests(1)[-1].json()["name"]
        )


class TestWayToDeliveries(ServerActionCase):
    def test_the_model_gets_a_way_to_its_deliveries(self):
        """Operators find it in the Action menu, once per model, others don't."""
        self.action("name")
        self.action("email")

        found = self.env["ir.actions.act_window"].search(
            [("binding_model_id", "=", self.model.id), ("res_model", "=", DELIVERY)]
        )
        self.assertEqual(1, len(found))
        bindings = self.env["ir.actions.actions"]
        seen = bindings.with_user(self.user("operator")).get_bindings("res.partner")
        self.assertIn(found.id, [each["id"] for each in seen.get("action", ())])
        seen = bindings.with_user(self.user("internal")).get_bindings("res.partner")
        self.assertNotIn(found.id, [each["id"] for each in seen.get("action", ())])

    def test_it_goes_with_the_addon(self):
        """It has an XML id of this addon: an uninstalled one leaves no dead menu."""
        self.action("name")

        window = self.env.ref("bwt_webhooks_outbound.record_deliveries_res_partner")

        data = self.env["ir.model.data"].search(
            [("model", "=", window._name), ("res_id", "=", window.id)]
        )
        self.assertTrue(data.noupdate, "an update would delete what no file names")

    def test_a_wrong_line_is_named(self):
        """The message says which line of which action is wrong."""
        with self.assertRaises(ValidationError) as caught:
            self.action("nmae")

        self.assertIn('Server Action "Tell the shop"', str(caught.exception))
        self.assertIn('field to send "nmae"', str(caught.exception))


class TestScheduledForm(ServerActionCase):
    def test_the_form_of_a_scheduled_action_offers_it(self):
        """Beside code, which is all that Odoo offers there; not elsewhere."""
        new = self.env["ir.cron"].new(
            self.env["ir.cron"].default_get(["usage", "state"])
        )

        self.assertEqual(["code", "bwt_webhook_outbound"], new.allowed_states)
        self.assertIn("object_write", self.action("name").allowed_states)
