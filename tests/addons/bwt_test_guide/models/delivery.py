# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from dataclasses import replace

from odoo import models


class Delivery(models.Model):
    _inherit = "bwt.webhook.outbound.delivery"

    def _is_for_warehouse(self):
        return self.endpoint_id.code == "warehouse"

    def _pre_dispatch_check(self):
        result = super()._pre_dispatch_check()
        if result is None and self._is_for_warehouse():
            settings = self.env["ir.config_parameter"]
            if settings.get_param("shop.warehouse_is_closed"):
                return self.webhook_retry("the warehouse is closed", seconds=900)
        return result

    def _invoke_handler(self, request):
        if self._is_for_warehouse():
            headers = {**request.headers, "X-Warehouse": "main"}
            request = replace(request, headers=headers)
        return super()._invoke_handler(request)

    def _collect_extra_headers(self):
        headers = super()._collect_extra_headers()
        if self._is_for_warehouse():
            headers = {**headers, "X-Correlation-Id": self.message_uid}
        return headers

    def _handle_outbound_response(self, response, state, outcome):
        super()._handle_outbound_response(response, state, outcome)
        if self._is_for_warehouse() and state == "done":
            order = self.env["shop.order"].browse(self.res_id)
            order.remote_id = response.headers.get("X-Remote-Id")
