# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests of moving configuration: one of everything, and ways to move it."""

import json

from odoo import Command
from odoo.tests import TransactionCase, new_test_user, tagged

from ..constants import ADMINISTRATOR, ENDPOINT, HANDLER

WEBHOOK = "bwt_webhook_outbound"


@tagged("post_install", "-at_install")
class ConfigurationCase(TransactionCase):
    """A company without configuration, and one of everything on demand."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env["res.company"].create({"name": "Source Ltd"})
        cls.other = cls.env["res.company"].create({"name": "Target Ltd"})
        cls.env.user.company_ids += cls.company + cls.other
        cls.endpoints = cls.env[ENDPOINT].with_company(cls.company)

    def make_all(self):
        """A handler with rules, an endpoint with every kind of rule, an action."""
        handler = self.env[HANDLER].create(
            {
                "name": "Filter",
                "code": "filter",
                "company_id": self.company.id,
                "outbound_rule_ids": [
                    Command.create(
                        {
                            "name": "Small orders",
                            "result_status": "cancel",
                            "condition_ids": [
                                Command.create(
                                    {
                                        "source_kind": "context_key",
                                        "source_expression": "total",
                                        "operator": "less",
                                        "expected_value": "10",
                                    }
                                )
                            ],
                        }
                    ),
                    Command.create(
                        {
                            "name": "Others",
                            "result_status": "mutate",
                            "assignment_ids": [
                                Command.create(
                                    {
                                        "target_scope": "header",
                                        "target_expression": "X-Shop",
                                        "literal_value": "main",
                                    }
                                )
                            ],
                        }
                    ),
                ],
            }
        )
        endpoint = self.env[ENDPOINT].create(
            {
                "name": "Orders",
                "code": "orders",
                "company_id": self.company.id,
                "target_hostname": "https://shop.example.com",
                "target_path": "/orders/{order_id}",
                "handler_id": handler.id,
                "responsible_id": self.env.user.id,
                "header_rule_ids": [
                    Command.create(
                        {"header_name": "X-Source", "literal_value": "odoo"}
                    ),
                    Command.create(
                        {"header_name": "X-Total", "literal_value": "{total}"}
                    ),
                ],
                "payload_rule_ids": [
                    Command.create({"target_path": "kind", "literal_value": "order"}),
                    Command.create(
                        {
                            "target_path": "customer",
                            "source_kind": "record_field",
                            "source_expression": "name",
                            "value_map": "Ada = ada\n* = other",
                        }
                    ),
                ],
                "answer_rule_ids": [
                    Command.create({"statuses": "409", "outcome": "done"})
                ],
                "answer_value_ids": [
                    Command.create(
                        {
                            "target_kind": "field",
                            "target_model": "res.partner",
                            "target_field": "comment",
                            "source_expression": "order.note",
                        }
                    )
                ],
            }
        )
        self.action = self.env["ir.actions.server"].create(
            {
                "name": "Send contacts",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": WEBHOOK,
                "bwt_webhook_endpoint_id": endpoint.id,
                "bwt_webhook_payload_mode": "rules",
                "bwt_webhook_rule_ids": [
                    Command.create(
                        {
                            "usage": "payload",
                            "target": "contact.name",
                            "source_expression": "name",
                        }
                    )
                ],
                "bwt_webhook_context_ids": [
                    Command.create(
                        {
                            "usage": "context",
                            "target": "order_id",
                            "source_expression": "id",
                        }
                    )
                ],
                "bwt_webhook_file_ids": [
                    Command.create(
                        {
                            "send_as": "base64",
                            "payload_path": "picture",
                            "source_kind": "binary_field",
                            "source_expression": "image_1920",
                        }
                    )
                ],
                "bwt_webhook_skip_user_ids": [Command.set(self.env.user.ids)],
            }
        )
        return endpoint

    def take_all(self, endpoint):
        """Delete what `make_all` has made."""
        handler = endpoint.handler_id
        self.action.unlink()
        endpoint.unlink()
        handler.unlink()

    def export(self, company=None):
        return self.endpoints.export_configuration(company or self.company)

    def load(self, text, company=None, **options):
        if isinstance(text, dict):
            text = json.dumps(text)
        options.setdefault("dry_run", False)
        return self.endpoints.import_configuration(
            text, company=company or self.company, **options
        )

    def document(self):
        return json.loads(self.export())

    def changes(self, difference):
        """Changes by record: pairs of path, old value, new value."""
        return {
            each["record"]: [
                (change["path"], change["old"], change["new"])
                for change in each["changes"]
            ]
            for each in difference["records"]
            if each["status"] == "changed"
        }

    def statuses(self, difference):
        return {each["record"]: each["status"] for each in difference["records"]}

    def as_administrator(self, company=None):
        """Endpoints as a webhooks administrator without Settings rights."""
        company = company or self.company
        user = new_test_user(
            self.env,
            login=f"mover-{company.id}",
            groups=f"base.group_user,{ADMINISTRATOR}",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        return self.env[ENDPOINT].with_user(user).with_company(company)
