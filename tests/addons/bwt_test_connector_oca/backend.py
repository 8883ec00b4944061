# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The same connector on top of OCA's `connector.backend`."""

from odoo import fields, models


class OcaBackend(models.Model):
    _name = "test.oca.backend"
    _description = "OCA Backend"
    _inherit = ["connector.backend", "bwt.connector.webhook.outbound.mixin"]

    name = fields.Char(required=True)
    code = fields.Char()
    token = fields.Char()

    def _get_outbound_extra_headers(self, delivery):
        return {"Authorization": f"Bearer {self.token}"}
