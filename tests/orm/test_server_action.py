# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action "Queue Outbound Webhook": deliveries without a line of code."""

import json

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tools import mute_logger

from .trust_case import TrustCase

DELIVERY = "bwt.webhook.outbound.delivery"


class ServerActionCase(TrustCase):
    """An action on contacts, and ways to run it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.env["ir.model"]._get("res.partner")
        cls.company = cls.env["res.partner"].create(
            {
                "name": "Lovelace Ltd",
                "is_company": True,
                "child_ids": [
                    Command.create({"name": "Ada", "email": "ada@example.com"}),
                    Command.create({"name": "Byron"}),
                ],
            }
        )

    def action(self, *paths, **values):
        """A server action that sends these fields."""
        return self.env["ir.actions.server"].create(
            {
                "name": "Tell the shop",
                "model_id": self.model.id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
                "bwt_webhook_field_ids": [
                    Command.create({"usage": "field", "source_expression": path})
                    for path in paths
                ],
                **values,
            }
        )

    def run_on(self, action, records):
        """Run it as the Action menu does; gives the new deliveries, oldest first."""
        before = self.env[DELIVERY].search([])
        context = {
            "active_model": records._name,
            "active_ids": records.ids,
            "active_id": records[:1].id,
        }
        self.answer = action.with_context(**context).run()
        return (self.env[DELIVERY].search([]) - before).sorted("id")

    def payloads(self, action, records):
        """What was queued, without what names record and action."""
        found = [json.loads(each.payload_json) for each in self.run_on(action, records)]
        return [
            {key: value for key, value in payload.items() if key[0] != "_"}
            for payload in found
        ]


class TestPayload(ServerActionCase):
    def test_nested_fields_and_lines_are_sent(self):
        """Paths become objects, paths over several records lists of objects."""
        action = self.action("name", "country_id.code", "child_ids.name", "child_ids.email")

        [payload] = self.payloads(action, self.company)

        self.assertEqual(
            {
                "name": "Lovelace Ltd",
                "country_id": None,
                "child_ids": [
                    {"name": "Ada", "email": "ada@example.com"},
                    {"name": "Byron", "email": False},
                ],
            },
            payload,
        )

    def test_a_relation_itself_gives_ids(self):
        """The id of one, the ids of several; beside fields of its own, id is one."""
        ada = self.company.child_ids[0]

        [alone] = self.payloads(self.action("parent_id", "child_ids"), ada)
        [beside] = self.payloads(self.action("parent_id", "parent_id.name"), ada)

        self.assertEqual({"parent_id": self.company.id, "child_ids": []}, alone)
        self.assertEqual(
            {"parent_id": {"id": self.company.id, "name": "Lovelace Ltd"}}, beside
        )

    def test_record_and_action_are_named(self):
        """The receiver knows what it is about, as with Odoo's own webhook action."""
        action = self.action("name")

        delivery = self.run_on(action, self.partner)

        payload = json.loads(delivery.payload_json)
        self.assertEqual("res.partner", payload["_model"])
        self.assertEqual(self.partner.id, payload["_id"])
        self.assertEqual(f"Tell the shop(#{action.id})", payload["_action"])

    def test_rules_shape_the_whole_payload(self):
        """Each value goes where the rule says, mapped, and nothing else is sent."""
        action = self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create({"usage": "payload", "target": target, **values})
                for target, values in (
                    ("customer.name", {"source_expression": "name"}),
                    (
                        "customer.kind",
                        {
                            "source_expression": "is_company",
                            "value_map": "true = firm\nfalse = person",
                        },
                    ),
                    ("source", {"source_kind": "literal", "literal_value": "odoo"}),
                    ("all", {"source_expression": "child_ids.*.name"}),
                )
            ],
        )

        delivery = self.run_on(action, self.company)

        self.assertEqual(
            {
                "customer": {"name": "Lovelace Ltd", "kind": "firm"},
                "source": "odoo",
                "all": ["Ada", "Byron"],
            },
            json.loads(delivery.payload_json),
        )

    def test_context_lines_fill_the_path(self):
        """A value of the record becomes part of the URL, braces and all its own."""
        self.endpoint.target_path = "/orders/{ref}"
        self.partner.ref = "A {b}"
        action = self.action(
            "name",
            bwt_webhook_context_ids=[
                Command.create(
                    {"usage": "context", "target": "ref", "source_expression": "ref"}
                )
            ],
        )

        delivery = self.run_on(action, self.partner)

        self.assertEqual(
            f"{self.receiver.url}/orders/A%20%7Bb%7D",
            delivery._build_outbound_request().target_url,
        )

    def test_what_was_queued_is_what_stood_there(self):
        """A later change of the record doesn't change what is on its way."""
        delivery = self.run_on(self.action("name"), self.partner)

        self.partner.name = "Countess"

        self.assertEqual("Ada", json.loads(delivery.payload_json)["name"])

    def test_the_sample_shows_a_real_record_while_it_is_made(self):
        """What would be queued is seen before the action is saved, mistakes too."""
        newest = self.env["res.partner"].create({"name": "Newest"})
        action = self.env["ir.actions.server"].new(
            {
                "name": "New",
                "model_id": self.model.id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
                "bwt_webhook_field_ids": [
                    Command.create({"usage": "field", "source_expression": "name"})
                ],
            }
        )

        self.assertEqual("Newest", json.loads(action.bwt_webhook_sample)["name"])
        self.assertEqual(newest.id, json.loads(action.bwt_webhook_sample)["_id"])
        action.bwt_webhook_field_ids.source_expression = "nmae"
        self.assertIn("Did you mean name", action.bwt_webhook_sample)
        self.assertFalse(self.env[DELIVERY].search([("res_id", "=", newest.id)]))


class TestRefused(ServerActionCase):
    def test_fields_limited_to_groups_are_refused(self):
        """Whoever saves a record must not send what they may not read, nested or not."""
        limited = next(
            name
            for name, field in self.env["res.users"]._fields.items()
            if field.groups and field.type not in ("one2many", "many2many")
        )

        for values in (
            {"paths": [f"user_id.{limited}"]},
            {
                "paths": [],
                "bwt_webhook_context_ids": [
                    Command.create(
                        {
                            "usage": "context",
                            "target": "k",
                            "source_expression": f"user_id.{limited}",
                        }
                    )
                ],
            },
        ):
            with self.refused("is limited to groups"):
                self.action(*values.pop("paths"), **values)

    def test_groups_that_an_administrator_has_are_no_excuse(self):
        """What webhooks may read elsewhere isn't for everyone who saves a record."""
        self.model = self.env["ir.model"]._get("bwt.webhook.outbound.endpoint")

        with self.refused("limited to groups, so it can't be sent from here"):
            self.action("retry_schedule")

    def test_an_endpoint_is_needed(self):
        """Without one there is nowhere to send to."""
        with self.refused("has no endpoint. Choose where the deliveries go"):
            self.action("name", bwt_webhook_endpoint_id=False)

    def test_deliveries_do_not_queue_deliveries(self):
        """Each would queue the next."""
        self.model = self.env["ir.model"]._get(DELIVERY)
        with self.refused("a delivery can't queue deliveries"):
            self.action("name")

    def test_an_endpoint_in_draft_refuses(self):
        """Nothing is lost silently: who triggers it is told."""
        action = self.action("name")
        self.endpoint.state = "draft"

        with self.refused("takes no deliveries. Activate it first"):
            self.run_on(action, self.partner)

    def test_a_copied_database_stays_silent_and_usable(self):
        """Its endpoints are in draft, and saving a contact must not fail for that."""
        action = self.action("name")
        self.endpoint.state = "draft"
        self.env["ir.config_parameter"].set_param("database.is_neutralized", True)

        self.assertFalse(self.run_on(action, self.partner))

    def test_an_endpoint_in_use_stays(self):
        """Deleting it would leave actions that fail."""
        self.action("name")
        with self.assertRaises(Exception), mute_logger("odoo.sql_db"):
            with self.env.cr.savepoint():
                self.endpoint.unlink()
                self.env.flush_all()


class TestRun(ServerActionCase):
    def test_many_records_are_one_insert(self):
        """The number of statements doesn't grow with the number of records."""
        action = self.action("name", "parent_id.name")
        partners = self.env["res.partner"].create(
            [{"name": f"Contact {number}"} for number in range(300)]
        )
        self.run_on(action, partners[:1])
        counts = []
        for some in (partners[:100], partners[100:]):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            deliveries = self.run_on(action, some)
            counts.append(self.env.cr.sql_log_count - before)
            self.assertEqual(some.ids, deliveries.mapped("res_id"))
            self.assertEqual({"queued"}, set(deliveries.mapped("state")))

        self.assertAlmostEqual(counts[0], counts[1], delta=3)

    def test_the_action_menu_says_what_was_done(self):
        """A click on many records is answered with a count."""
        action = self.action("name")
        action.create_action()

        self.run_on(action, self.company | self.partner)

        self.assertEqual("2 queued for Shop orders.", self.answer["params"]["message"])

    def test_whoever_may_run_the_action_may_queue(self):
        """An internal user needs no webhooks group, only the right on the record."""
        action = self.action("name")
        user = self.user("internal")
        user.write({"group_ids": [Command.link(self.env.ref("base.group_partner_manager").id)]})

        deliveries = self.run_on(action.with_user(user), self.partner)

        self.assertEqual(self.partner.id, deliveries.res_id)
        with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_actions"):
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
        """One delivery about no record, as long as no field of one is asked for."""
        action = self.action()
        before = self.env[DELIVERY].search([])

        action.run()

        delivery = self.env[DELIVERY].search([]) - before
        self.assertFalse(delivery.res_id)
        self.assertFalse(json.loads(delivery.payload_json)["_id"])
        with self.refused("there is no record to read a field from"):
            self.action("name").run()

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
        """Superseding: a record saved twice goes out once, with the later value."""
        action = self.action("name", bwt_webhook_supersede=True)

        deliveries = self.run_on(action, self.partner) | self.run_on(action, self.partner)

        self.assertEqual([True, True], deliveries.mapped("supersede"))
        self.assertEqual({f"res.partner,{self.partner.id}"}, set(deliveries.mapped("ordering_key")))


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
        self.assertEqual("Countess", self.receiver.wait_for_requests(1)[-1].json()["name"])


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
