# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Records of a backend, and a component that queues a delivery when one changes."""

from odoo import fields, models

from odoo.addons.component.core import Component


class OcaProduct(models.Model):
    _name = "test.oca.product"
    _description = "OCA Product"

    name = fields.Char(required=True)
    backend_id = fields.Many2one("test.oca.backend", required=True)


class OcaProductListener(Component):
    _name = "test.oca.product.listener"
    _inherit = "base.event.listener"
    _apply_on = ["test.oca.product"]

    def on_record_create(self, record, fields=None):
        self._queue(record)

    def on_record_write(self, record, fields=None):
        if "name" in (fields or ()):
            self._queue(record)

    def _queue(self, record):
        endpoint = record.backend_id.get_outbound_endpoint(code_suffix="products")
        endpoint.queue_delivery({"name": record.name}, record=record)
