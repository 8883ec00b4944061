# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The attempts on the form of a delivery: what is read, and when."""

import json

from lxml import etree

from odoo.tests import tagged

from ..constants import ATTEMPT, DELIVERY
from .common import OutboundCase

CONTENT = (
    "request_headers_json",
    "payload_json",
    "response_headers_json",
    "response_body",
)


def form_spec(env):
    """What the client reads for the form of a delivery: each field that it shows."""
    arch = etree.fromstring(env[DELIVERY].get_view(view_type="form")["arch"])
    spec = {}
    for node in arch.iter("field"):
        outer = next(node.iterancestors("field"), None)
        if outer is None:
            spec[node.get("name")] = {}
        elif outer.get("name") == "attempt_ids":
            inner = spec["attempt_ids"].setdefault("fields", {})
            inner[node.get("name")] = {}
    return spec


@tagged("post_install", "-at_install")
class TestAttemptTimeline(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.delivery = cls.endpoint.queue_delivery({"order": 42})
        cls.delivery.write({"state": "dead_letter", "attempt_count": 20})
        body = json.dumps({"text": "x" * 65536})
        cls.attempts = cls.env[ATTEMPT].create(
            [
                {
                    "delivery_id": cls.delivery.id,
                    "name": f"Attempt {number}",
                    "attempt_number": number,
                    "state": "error",
                    "http_method": "post",
                    "request_body_mode": "json",
                    "target_url": "https://api.example.com/in",
                    "request_headers_json": "{}",
                    "payload_json": body,
                    "response_status_code": 500,
                    "response_headers_json": "{}",
                    "response_body": body,
                }
                for number in range(1, 21)
            ]
        )
        cls.env.flush_all()

    def test_the_form_reads_no_content(self):
        """Content is read when a row is opened: twenty attempts hold megabytes.

        The message on top of the form read all of it, for the note of the newest.
        """
        self.env.invalidate_all()

        [values] = self.delivery.web_read(form_spec(self.env))

        newest, *others = values["attempt_ids"]
        self.assertEqual(20, newest["attempt_number"])
        self.assertEqual(19, len(others))
        for name in CONTENT:
            field = self.attempts._fields[name]
            cached = set(field._get_cache(self.env)) & set(self.attempts.ids)
            # The newest is the one of Copy as cURL.
            self.assertLessEqual(cached, {newest["id"]}, name)

    def test_labels_of_attempts(self):
        """An attempt that failed is Failed, whether or not a retry follows.

        Dead Letter and Error are words for a delivery.
        """
        labels = dict(self.attempts._fields["state"]._description_selection(self.env))

        self.assertEqual("Succeeded", labels["done"])
        self.assertEqual("Failed", labels["error"])
        self.assertEqual("Failed Permanently", labels["dead_letter"])
