# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An endpoint with response conditions and values, and partners as its records."""

import json

from odoo import Command

from ..constants import EXTERNAL_REF
from ..receiver import status
from .common import OutboundCase


class AnswerCase(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner, cls.other = cls.env["res.partner"].create(
            [{"name": "Ada"}, {"name": "Bob"}]
        )

    def condition(self, outcome, **vals):
        """Add a response condition."""
        vals = {"outcome": outcome, **vals}
        self.endpoint.answer_rule_ids = [Command.create(vals)]

    def value(self, field="ref", path="id", **vals):
        """Add a response value for a field of partners."""
        vals = {
            "source_expression": path,
            "target_model": "res.partner",
            "target_field": field,
            **vals,
        }
        self.endpoint.answer_value_ids = [Command.create(vals)]
        return self.endpoint.answer_value_ids[-1]

    def external_id(self, path="id", **vals):
        """Store the id at the receiver."""
        vals = {"source_expression": path, "target_kind": "external_id", **vals}
        self.endpoint.answer_value_ids = [Command.create(vals)]
        return self.endpoint.answer_value_ids[-1]

    def upsert(self):
        """Create with POST /orders, update with PUT."""
        self.endpoint.write(
            {"create_or_update": True, "update_path": "/orders/{external_id}"}
        )
        self.external_id()

    def respond(self, *answers, path="/orders"):
        """Script responses: pairs of status and JSON value (or bytes)."""
        self.receiver.script(
            path,
            *(
                status(
                    code, body if isinstance(body, bytes) else json.dumps(body).encode()
                )
                for code, body in answers
            ),
        )

    def send(self, record=None, payload=None, **options):
        """A delivery about a record (the partner), after it was sent."""
        record = self.partner if record is None else record
        delivery = self.queue(payload or {}, record=record, **options)
        delivery.process_delivery()
        return delivery

    def references(self):
        """(record id, external id) of all references of the endpoint's scope."""
        found = self.env[EXTERNAL_REF].search(
            [("reference_scope", "=", self.endpoint.reference_scope)], order="id"
        )
        return [(each.res_id, each.external_id) for each in found]

    def arrived(self):
        """Method and path of all requests."""
        return [(each.method, each.path) for each in self.receiver.requests]
