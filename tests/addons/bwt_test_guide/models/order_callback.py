# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, models

from odoo.addons.bwt_webhooks_outbound.callback import webhook_callback


class Order(models.Model):
    _inherit = "shop.order"

    @api.model
    @webhook_callback
    def decide_order_webhook(self, delivery, request):
        order = self.browse(delivery.res_id)
        if order.state == "draft":
            return delivery.webhook_cancel("the order went back to draft")
        if not order.partner_id.email:
            return delivery.webhook_retry("the customer has no e-mail yet", seconds=600)
        return {"payload": {**request.payload, "email": order.partner_id.email}}
