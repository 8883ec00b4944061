# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A counter on the endpoint: raised by each change of what shapes its requests.

A retry repeats the body of the attempt before only if the counter is the same.
"""

from odoo import api, models
from odoo.tools import SQL

# Fields of the endpoint that decide what a request contains, headers of authentication
# and signature left out: these are made again for each attempt.
ENDPOINT_FIELDS = frozenset(
    {
        *("company_id", "connector_backend_ref", "handler_id"),
        *("target_hostname", "target_path", "http_method", "request_body_mode"),
        *("empty_value", "create_or_update", "update_method", "update_path"),
        *("reference_scope", "body_template", "body_template_type"),
        *("csv_delimiter", "csv_quote", "csv_quote_all", "csv_decimal_comma"),
        *("csv_header", "csv_line_end", "csv_charset", "csv_guard_formulas"),
    }
)
HANDLER_FIELDS = frozenset(
    {"active", "execution_mode", "python_model_name", "python_method_name"}
)


def raise_config_version(endpoints):
    """Count one more change of these endpoints, in the transaction of the change."""
    if not endpoints.ids:
        return
    # By SQL: two changes in overlapping transactions must not end in one number.
    endpoints.env.cr.execute(
        SQL(
            """UPDATE bwt_webhook_outbound_endpoint
            SET config_version = COALESCE(config_version, 0) + 1 WHERE id = ANY(%s)""",
            sorted(endpoints.ids),
        )
    )
    endpoints.invalidate_recordset(["config_version"], flush=False)


class BwtWebhookOutboundConfigPart(models.AbstractModel):
    """Rules and other records that are part of the configuration of endpoints."""

    _name = "bwt.webhook.outbound.config.part"
    _description = "Outbound Webhook Configuration Part"

    def _configured_endpoints(self):
        """The endpoints whose requests these records shape."""
        raise NotImplementedError

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        raise_config_version(parts.sudo()._configured_endpoints())
        return parts

    def write(self, vals):
        endpoints = self.sudo()._configured_endpoints()
        super().write(vals)
        raise_config_version(endpoints | self.sudo()._configured_endpoints())
        return True

    def unlink(self):
        endpoints = self.sudo()._configured_endpoints()
        result = super().unlink()
        raise_config_version(endpoints.exists())
        return result
