# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is stored of the values that a delivery is queued with."""

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from odoo.tests import tagged

from ..constants import DELIVERY
from .common import OutboundCase


@tagged("post_install", "-at_install")
class TestQueuedValues(OutboundCase):
    def test_payload_becomes_json(self):
        """Dates are ISO 8601, bytes base64, decimals numbers; key order is kept."""
        delivery = self.queue(
            {
                "z": date(2026, 1, 2),
                "a": datetime(2026, 1, 2, 3, 4, 5),
                "b": b"\x00\xff",
                "d": Decimal("1.10"),
                "t": (1, None, True),
            }
        )

        self.assertEqual(
            [
                ("z", "2026-01-02"),
                ("a", "2026-01-02T03:04:05Z"),
                ("b", "AP8="),
                ("d", 1.1),
                ("t", [1, None, True]),
            ],
            list(json.loads(delivery.payload_json).items()),
        )

    def test_context_lines_of_a_mapping(self):
        """Texts stay texts: "42" doesn't come back as a number."""
        delivery = self.queue(None, {"text": "42", "number": 42, "none": None})

        self.assertEqual(
            {"text": "42", "number": 42, "none": None}, delivery._get_context_values()
        )
        self.assertEqual("{}", delivery.payload_json)

    def test_context_lines_of_a_list(self):
        """Lines given as dicts keep kind, expression and order."""
        delivery = self.queue(
            None,
            [
                {"key_name": "name", "source_kind": "company_field"}
                | {"source_expression": "name"},
                {"key_name": "flag", "literal_value": "true"},
                {"key_name": "off", "literal_value": "1", "active": False},
            ],
        )

        self.assertEqual(
            {"name": self.endpoint.company_id.name, "flag": True},
            delivery._get_context_values(),
        )

    def test_files_are_attachments(self):
        """Content given as bytes is kept as the delivery's attachment, named field."""
        delivery = self.queue(
            {"a": 1},
            files={
                "doc": {"filename": "a.pdf", "content": b"\x00pdf"},
                "note": {"content": "text", "content_type": "text/plain"},
            },
        )

        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)], order="id"
        )
        self.assertEqual(
            [("doc", "a.pdf", b"\x00pdf"), ("note", "note", b"text")],
            [(each.description, each.name, each.raw) for each in attachments],
        )

    def test_defaults_of_the_caller_stay_with_the_caller(self):
        """`default_...` keys of the caller's context don't reach our records.

        An invoice's default_type would break attachments, a default_active hide lines.
        """
        endpoint = self.endpoint.with_context(
            default_type="out_invoice",
            default_active=False,
            default_state="done",
            default_name="of the invoice",
            default_res_id=7,
        )

        delivery = endpoint.queue_delivery(
            {"a": 1}, {"k": "v"}, files={"doc": {"content": b"x"}}
        )

        self.assertEqual("queued", delivery.state)
        self.assertNotEqual("of the invoice", delivery.name)
        self.assertFalse(delivery.res_id)
        self.assertEqual({"k": "v"}, delivery._get_context_values())
        self.assertEqual(endpoint.env, delivery.env)

    def test_names_record_and_time(self):
        """Name, record and date are kept as given; a date in a zone becomes UTC."""
        partner = self.env.user.partner_id
        eta = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))

        delivery = self.queue({"a": 1}, name="Order 7", record=partner, eta=eta)

        self.assertEqual("Order 7", delivery.name)
        self.assertEqual(
            (partner._name, partner.id), (delivery.res_model, delivery.res_id)
        )
        self.assertEqual(datetime(2030, 1, 1, 10), delivery.next_attempt_at)
        self.assertEqual(partner.id, delivery.action_view_record()["res_id"])
        self.assertRegex(
            self.queue().name, r"^Orders / \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"
        )

    def test_line_of_the_record(self):
        """With an order per key the record is the key, for drafts queued later too.

        Otherwise two changes of one record could overtake each other.
        """
        self.endpoint.ordering = "key"
        partner = self.env.user.partner_id
        key = f"res.partner,{partner.id}"

        queued = self.queue({"a": 1}, record=partner)
        draft = self.env[DELIVERY].create(
            {
                "endpoint_id": self.endpoint.id,
                "res_model": "res.partner",
                "res_id": partner.id,
            }
        )
        draft.action_queue_delivery()

        for delivery in (queued, draft):
            self.assertEqual(key, delivery.ordering_key)
            self.assertEqual(key, delivery.ordering_group)
        self.endpoint.ordering = "endpoint"
        self.assertEqual("*", self.queue().ordering_group)
