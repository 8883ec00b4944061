# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A connector as its author would write it: host, auth header, gate, response."""

from odoo import fields, models


class ShopBackend(models.Model):
    _name = "shop.backend"
    _description = "Shop Backend"
    _inherit = "bwt.connector.webhook.outbound.mixin"

    name = fields.Char(required=True)
    code = fields.Char()
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company")
    token = fields.Char(groups="bwt_webhooks_outbound.group_webhooks_admin")
    is_closed = fields.Boolean()

    def _get_outbound_extra_headers(self, delivery):
        return {"Authorization": f"Bearer {self.token}"}

    def _check_outbound_dispatch_allowed(self, delivery):
        if self.is_closed:
            return self.webhook_retry("the shop is closed", seconds=120)
        return None

    def _handle_outbound_webhook_response(
        self, delivery, response, state, outcome, *, binding=False, operation=False
    ):
        if state == "done" and binding:
            binding.external_id = response.headers.get("X-Shop-Id")
            binding.last_operation = operation

    def export_binding(self, binding):
        """Queue what the shop should know of a binding."""
        return self.queue_outbound_delivery(
            self.get_outbound_endpoint(code_suffix="orders"),
            f"Export {binding.name}",
            payload={"name": binding.name},
            context_values={
                "binding_model": binding._name,
                "binding_id": binding.id,
                "operation": "export",
            },
        )


class ShopBinding(models.Model):
    _name = "shop.binding"
    _description = "Shop Binding"

    name = fields.Char(required=True)
    backend_id = fields.Many2one("shop.backend", required=True)
    external_id = fields.Char()
    last_operation = fields.Char()
