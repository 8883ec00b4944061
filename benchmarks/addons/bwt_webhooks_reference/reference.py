# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the lane is measured against: the usual way, as short as it can be written.

One queue_job job per delivery, the body ready beforehand, `requests.request`, one
attempt row, one state write. No rules, no retries, no claim: nothing that would make
it slower than it has to be.
"""

import json
import time

import requests

from odoo import fields, models


class ReferenceDelivery(models.Model):
    _name = "bwt.reference.delivery"
    _description = "Reference Delivery"

    url = fields.Char(required=True)
    headers = fields.Text(required=True)
    payload = fields.Text(required=True)
    state = fields.Char(default="queued", required=True, index=True)
    attempt_ids = fields.One2many("bwt.reference.attempt", "delivery_id")

    def queue(self, vals_list):
        """Create deliveries, each with its job; sent after the commit."""
        deliveries = self.create(vals_list)
        for delivery in deliveries:
            delivery.with_delay().send()
        return deliveries

    def send(self):
        """Job: one request, one attempt row, one state write."""
        started = time.monotonic()
        response = requests.request(
            "POST",
            self.url,
            data=self.payload.encode(),
            headers=json.loads(self.headers),
            timeout=30,
        )
        self.env["bwt.reference.attempt"].create(
            {
                "delivery_id": self.id,
                "status_code": response.status_code,
                "response_body": response.text,
                "duration_ms": round((time.monotonic() - started) * 1000),
            }
        )
        self.state = "done" if response.ok else "error"


class ReferenceAttempt(models.Model):
    _name = "bwt.reference.attempt"
    _description = "Reference Attempt"

    delivery_id = fields.Many2one(
        "bwt.reference.delivery", required=True, ondelete="cascade", index=True
    )
    status_code = fields.Integer()
    response_body = fields.Text()
    duration_ms = fields.Integer()
