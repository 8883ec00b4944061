# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Samples beside the rules: which rule a value comes from, while it is edited."""

import json

from lxml import html

from odoo import Command
from odoo.tests import Form, new_test_user, tagged

from .action_case import ServerActionCase

WRITER = "base.group_user,bwt_webhooks_outbound.group_webhooks_admin"


def rows(table):
    """The cells of an HTML table, a tuple per row, without its head."""
    return [
        tuple(cell.text_content() for cell in row.iter("td"))
        for row in html.fromstring(table).iter("tr")
    ][1:]


@tagged("post_install", "-at_install")
class TestPayloadPreview(ServerActionCase):
    def endpoint_rules(self, *rules, env=None):
        self.endpoint.payload_rule_ids = [
            Command.create(
                {
                    "target_path": target,
                    "source_kind": kind,
                    "source_expression": kind != "literal" and value,
                    "literal_value": kind == "literal" and value,
                }
            )
            for target, kind, value in rules
        ]

    def test_values_of_an_action_by_rule(self):
        """The record is chosen, by default the newest; lists show each item."""
        action = self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create(
                    {
                        "usage": "payload",
                        "sequence": sequence,
                        "target": target,
                        "source_expression": path,
                    }
                )
                for sequence, (target, path) in enumerate(
                    [("order.name", "name"), ("order.lines.*.sku", "child_ids.*.name")]
                )
            ],
        )

        action.bwt_webhook_sample_id = self.company.id
        found = rows(action.bwt_webhook_sample_rules)

        sku = "order.lines.*.sku ← child_ids.*.name"
        self.assertEqual(
            [
                ("order.name", '"Lovelace Ltd"', "order.name ← name"),
                ("order.lines.0.sku", '"Ada"', sku),
                ("order.lines.1.sku", '"Byron"', sku),
            ],
            found,
        )
        self.assertEqual(
            [{"sku": "Ada"}, {"sku": "Byron"}],
            json.loads(action.bwt_webhook_sample)["order"]["lines"],
        )
        newest = self.env["res.partner"].create({"name": "Newest"})
        action.bwt_webhook_sample_id = False
        self.assertIn(newest.name, action.bwt_webhook_sample_rules)

    def test_values_of_an_endpoint_by_rule(self):
        """As rules are edited: unsaved ones, errors, tokens without a value."""
        self.endpoint_rules(
            ("name", "record_field", "name"), ("shop", "literal", "in {shop}")
        )
        with Form(self.endpoint) as form:
            form.payload_sample_ref = f"res.partner,{self.company.id}"
            self.assertEqual(
                [
                    ("name", '"Lovelace Ltd"', "name ← name"),
                    ("shop", '"in {shop}"', "shop ← in {shop}"),
                ],
                rows(form.payload_sample),
            )
            with form.payload_rule_ids.new() as rule:
                rule.target_path = "people.*"
                rule.source_kind = "record_field"
                rule.source_expression = "child_ids.*.name"
                rule.value_format = "upper"
            self.assertEqual(
                ("people.1", '"BYRON"', "people.* ← child_ids.*.name"),
                rows(form.payload_sample)[-1],
            )
            with form.payload_rule_ids.edit(0) as rule:
                rule.source_expression = "nmae"
            self.assertIn("Did you mean name", form.payload_sample)
            with form.payload_rule_ids.edit(0) as rule:
                rule.source_expression = "name"

    def test_it_shows_no_more_than_its_reader_may_see(self):
        """A rule of a Settings administrator isn't a way to read a record."""
        self.endpoint_rules(("name", "record_field", "child_ids.*.name"))
        user = new_test_user(self.env, "preview-writer", WRITER)
        other = self.env["res.company"].create({"name": "Other"})
        self.company.child_ids[0].company_id = other
        endpoint = self.endpoint.with_user(user)

        endpoint.payload_sample_ref = f"res.partner,{self.company.id}"

        self.assertIn("may not read the record", endpoint.payload_sample)
        endpoint.payload_sample_ref = f"res.partner,{self.company.child_ids[0].id}"
        self.assertFalse(endpoint.payload_sample)
