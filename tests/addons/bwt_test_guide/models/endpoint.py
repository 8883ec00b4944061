# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models


class Endpoint(models.Model):
    _inherit = "bwt.webhook.outbound.endpoint"

    def _get_outbound_target_hostname(self, delivery=None):
        if self.code == "shop-regions":
            values = delivery._get_context_values() if delivery else {}
            region = values.get("region", "eu")
            return self.env["ir.config_parameter"].get_param(f"shop.host.{region}")
        return super()._get_outbound_target_hostname(delivery=delivery)

    def _outbound_hostname_resolved_externally(self):
        if self.code == "shop-regions":
            return True
        return super()._outbound_hostname_resolved_externally()
