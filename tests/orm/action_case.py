# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests of the server action."""

import json

from odoo import Command

from ..constants import DELIVERY
from .trust_case import TrustCase


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

    def rule(self, *actions, trigger="on_create_or_write", **values):
        """An automation rule on contacts that runs these actions; returns them."""
        rule = self.env["base.automation"].create(
            {
                "name": "Contact changed",
                "model_id": self.model.id,
                "trigger": trigger,
                **values,
            }
        )
        for action in actions:
            action.write({"usage": "base_automation", "base_automation_id": rule.id})
        return actions

    def fail_to_compute(self, is_bad, error=ZeroDivisionError):
        """From now on `email_formatted` of contacts that are bad raises `error`."""
        partners = type(self.env["res.partner"])
        compute = partners._compute_email_formatted

        def refuse_bad(records):
            for record in records:
                if is_bad(record):
                    raise error("no address")
            return compute(records)

        self.patch(partners, "_compute_email_formatted", refuse_bad)

    def queued(self, *records):
        """Deliveries about these records, oldest first."""
        ids = [record.id for record in records]
        return self.env[DELIVERY].search([("res_id", "in", ids)], order="id")

    def sent_names(self, *records):
        """The names that deliveries about these records send."""
        return [
            json.loads(each.payload_json).get("name") for each in self.queued(*records)
        ]

    def run_on(self, action, records):
        """Run it as the Action menu does; returns the new deliveries, oldest first."""
        before = self.env[DELIVERY].search([])
        context = {
            "active_model": records._name,
            "active_ids": records.ids,
            "active_id": records[:1].id,
        }
        self.response = action.with_context(**context).run()
        return (self.env[DELIVERY].search([]) - before).sorted("id")

    def payloads(self, action, records):
        """What was queued, without what names record and action."""
        found = [json.loads(each.payload_json) for each in self.run_on(action, records)]
        return [
            {key: value for key, value in payload.items() if key[0] != "_"}
            for payload in found
        ]
