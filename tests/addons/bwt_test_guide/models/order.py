# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class Order(models.Model):
    _name = "shop.order"
    _description = "Order"

    name = fields.Char(required=True)
    partner_id = fields.Many2one("res.partner")
    total = fields.Float()
    state = fields.Selection(
        [("draft", "Draft"), ("confirmed", "Confirmed")], default="draft"
    )
    remote_id = fields.Char()

    def action_confirm(self):
        self.state = "confirmed"
        endpoint = self.env["bwt.webhook.outbound.endpoint"].search(
            [("code", "=", "order-changes")]
        )
        endpoint.queue_deliveries(
            [
                {
                    "payload": {"number": order.name, "total": order.total},
                    "context_lines": {"order_id": order.id},
                    "record": order,
                }
                for order in self
            ]
        )
        return True
