# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models

from ..services.indented import indented

STORED = {
    "request_headers_pretty": "request_headers_json",
    "payload_pretty": "payload_json",
    "response_headers_pretty": "response_headers_json",
    "response_body_pretty": "response_body",
}


class ExchangeWords(models.AbstractModel):
    """Request and answer laid out for people; what is stored stays as it is."""

    _name = "bwt.webhook.outbound.exchange.words"
    _description = "Outbound Webhook: Request and Answer to Read"

    request_headers_pretty = fields.Text(
        string="Headers (to read)", compute="_compute_pretty"
    )
    payload_pretty = fields.Text(string="Payload (to read)", compute="_compute_pretty")
    response_headers_pretty = fields.Text(
        string="Response Headers (to read)", compute="_compute_pretty"
    )
    response_body_pretty = fields.Text(
        string="Response Body (to read)", compute="_compute_pretty"
    )

    @api.depends(*STORED.values())
    def _compute_pretty(self):
        for record in self:
            for shown, stored in STORED.items():
                record[shown] = indented(record[stored])
