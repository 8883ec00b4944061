# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action "Queue Outbound Webhook": what it sends and what it refuses."""

import json

from psycopg2.errors import ForeignKeyViolation

from odoo import Command
from odoo.tools import mute_logger

from ..constants import DELIVERY, ENDPOINT
from .action_case import ServerActionCase


class TestPayload(ServerActionCase):
    def test_nested_fields_and_lines_are_sent(self):
        """Paths become objects, paths over several records lists of objects."""
        action = self.action(
            "name", "country_id.code", "child_ids.name", "child_ids.email"
        )

        [payload] = self.payloads(action, self.company)

        self.assertEqual(
            {
                "name": "Lovelace Ltd",
                "country_id": None,
                "child_ids": [
                    {"name": "Ada", "email": "ada@example.com"},
                    {"name": "Byron", "email": None},
                ],
            },
            payload,
        )

    def test_a_relation_itself_becomes_ids(self):
        """The id of one, the ids of several; beside fields of its own, id is one."""
        ada = self.company.child_ids[0]

        [alone] = self.payloads(self.action("parent_id", "child_ids"), ada)
        [beside] = self.payloads(self.action("parent_id", "parent_id.name"), ada)

        self.assertEqual({"parent_id": self.company.id, "child_ids": []}, alone)
        self.assertEqual(
            {"parent_id": {"id": self.company.id, "name": "Lovelace Ltd"}}, beside
        )

    def test_deliveries_are_named_after_record_and_action(self):
        """The list tells deliveries apart by what they are about, not by the second.

        A name that can't be computed stops neither the delivery nor the user.
        """
        ada, byron = self.company.child_ids.sorted("id")
        action = self.action("email")
        name = f"{ada.display_name} / Tell the shop"
        self.assertEqual(name, self.run_on(action, ada).name)
        compute = type(ada)._compute_display_name

        def fail(records):
            if byron in records:
                raise ZeroDivisionError("no name")
            return compute(records)

        self.patch(type(ada), "_compute_display_name", fail)
        self.env.invalidate_all()

        delivery = self.run_on(action, byron)

        self.assertEqual("queued", delivery.state)
        self.assertRegex(delivery.name, rf"^{self.endpoint.name} / 20")

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

    def test_what_was_queued_has_the_values_of_then(self):
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
        message = action.bwt_webhook_sample
        self.assertIn("Did you mean name", " ".join(message.split()))
        self.assertLess(max(map(len, message.splitlines())), 70, "it is cut off")
        self.assertFalse(self.env[DELIVERY].search([("res_id", "=", newest.id)]))


class TestHint(ServerActionCase):
    def test_what_the_path_needs_is_said_while_it_is_made(self):
        """A token without a context line is reported, and the action runs all the same.

        An addon may set the value; without one each delivery would fail.
        """
        self.endpoint.target_path = "/orders/{order_id}"
        action = self.action("name")

        self.assertEqual(
            "The path needs order_id: add a context line.", action.bwt_webhook_hint
        )
        self.assertFalse(action.warning)
        self.assertEqual(1, len(self.run_on(action, self.company)))

        action.bwt_webhook_context_ids = [
            Command.create(
                {
                    "usage": "context",
                    "target": "order_id",
                    "source_kind": "record_field",
                    "source_expression": "id",
                }
            )
        ]
        self.assertFalse(action.bwt_webhook_hint)


class TestRefused(ServerActionCase):
    def test_fields_limited_to_groups_are_refused(self):
        """A user who saves a record must not send what they may not read."""
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
        self.model = self.env["ir.model"]._get(ENDPOINT)

        with self.refused("limited to groups, so it can't be sent from here"):
            self.action("retry_schedule")

    def test_an_endpoint_is_needed(self):
        """Without one there is nowhere to send to."""
        with self.refused("has no endpoint. Choose one"):
            self.action("name", bwt_webhook_endpoint_id=False)

    def test_deliveries_do_not_queue_deliveries(self):
        """Each would queue the next."""
        self.model = self.env["ir.model"]._get(DELIVERY)
        with self.refused("each would queue the next.*_handle_outbound_response"):
            self.action("name")

    def test_an_action_that_refuses_needs_an_active_endpoint(self):
        """Who chose Refuse wants no work saved whose webhook is not queued."""
        action = self.action("name", bwt_webhook_failure_mode="refuse")
        self.endpoint.state = "draft"

        with self.refused("accepts no deliveries. Activate it first"):
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
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(ForeignKeyViolation),
            self.env.cr.savepoint(),
        ):
            self.endpoint.unlink()
