# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a user writes into a draft, and what it lacks."""

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import Form

from ..constants import DELIVERY
from .trust_case import TrustCase


class TestDraft(TrustCase):
    """What a user must enter to create a delivery by hand."""

    def new(self):
        """The form of a new delivery."""
        return Form(self.env[DELIVERY])

    def test_the_endpoint_brings_lines_for_its_tokens(self):
        """What path and literals name is there to be filled, once each."""
        self.endpoint.target_path = "/orders/{order_id}?shop={shop}"
        self.header("X-Ref", literal="{order_id}/{ref}")
        self.header("X-Off", literal="{unused}", active=False)
        self.header("X-Lang", "context_key", "locale")

        with self.new() as form:
            form.endpoint_id = self.endpoint
            self.assertIn("order_id, shop, ref: add it", form.status_message)
        lines = form.record.context_line_ids

        self.assertEqual(["order_id", "shop", "ref"], lines.mapped("key_name"))

    def test_what_was_typed_stays(self):
        """Choosing an endpoint takes no line away, and adds none that is there."""
        self.endpoint.target_path = "/orders/{order_id}"

        with self.new() as form:
            for key, value in (("mine", "1"), ("order_id", "S7")):
                with form.context_line_ids.new() as line:
                    line.key_name, line.literal_value = key, value
            form.endpoint_id = self.endpoint
            self.assertIn("Press Queue to send it", form.status_message)

        lines = form.record.context_line_ids
        self.assertEqual(["mine", "order_id"], lines.mapped("key_name"))
        self.assertEqual(["1", "S7"], lines.mapped("literal_value"))

    def test_a_draft_that_could_not_go(self):
        """A draft says what it lacks, and the form's Queue keeps it until it is there.

        By code it is queued: what an addon passes isn't among the lines.
        """
        self.endpoint.target_path = "/orders/{order_id}"
        delivery = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})
        from_form = delivery.with_context(refuse_without_values=True)
        self.assertIn("The path needs order_id", delivery.status_message)
        with self.assertRaisesRegex(ValidationError, "The path needs order_id: add"):
            from_form.action_queue_delivery()
        self.assertEqual("draft", delivery.state)
        by_code = delivery.copy()
        by_code.action_queue_delivery()
        self.assertEqual("queued", by_code.state)

        line = Command.create({"key_name": "order_id", "literal_value": "0"})
        delivery.context_line_ids = [line]
        self.endpoint.state = "draft"
        delivery.invalidate_recordset(["status_message"])
        self.assertIn("activate it, then press Queue.", delivery.status_message)
        self.endpoint.state = "active"
        from_form.action_queue_delivery()
        self.assertEqual("queued", delivery.state)
