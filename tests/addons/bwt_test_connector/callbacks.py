# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Callbacks that handlers may and may not name."""

from odoo import api, models

from odoo.addons.bwt_webhooks_outbound.callback import webhook_callback


class ShopBackend(models.Model):
    _inherit = "shop.backend"

    @api.model
    @webhook_callback
    def decide(self, delivery, request):
        return {"status": "send", "headers": {**request.headers, "X-Decided": "yes"}}

    @api.model
    @webhook_callback
    def decide_alone(self, delivery):
        return delivery.webhook_cancel(f"not {delivery.name}")

    @api.model
    @webhook_callback
    def swallow_for_three(self, delivery, request):
        """Catches a database error without a savepoint where `n` is 3."""
        if request.payload.get("n") == 3:
            try:
                self.env.cr.execute("SELECT 1 / 0", log_exceptions=False)
            except Exception:
                return None
        return None

    @api.model
    def unmarked(self, delivery, request):
        return None
