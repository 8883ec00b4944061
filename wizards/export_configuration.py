# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import base64

from odoo import api, fields, models

from ..models.const import ENDPOINT


class BwtWebhookOutboundExportConfiguration(models.TransientModel):
    """Downloads the configuration of endpoints, or of a company, as one document."""

    _name = "bwt.webhook.outbound.export.configuration"
    _description = "Outbound Webhook: Export Configuration"

    company_id = fields.Many2one(
        comodel_name="res.company",
        required=True,
        default=lambda self: self.env.company,
        domain=lambda self: [("id", "in", self.env.companies.ids)],
        help="Its endpoints and handlers that are not archived are exported.",
    )
    endpoint_ids = fields.Many2many(
        comodel_name=ENDPOINT,
        relation="bwt_webhook_outbound_export_endpoint_rel",
        column1="export_id",
        column2="endpoint_id",
        string="Endpoints",
        readonly=True,
        help="Exported with the handlers and server actions that they use.",
    )
    has_actions = fields.Boolean(
        string="With Server Actions",
        compute="_compute_has_actions",
        help="Server actions and defaults are exported by Settings administrators.",
    )
    content = fields.Binary(string="Document", compute="_compute_content")

    @api.depends_context("uid")
    def _compute_has_actions(self):
        for export in self:
            export.has_actions = self.env.is_system()

    @api.depends("company_id", "endpoint_ids")
    def _compute_content(self):
        for export in self:
            text = export._text()
            export.content = base64.b64encode(text.encode())

    def _text(self):
        # As the user, who may have lost rights since the dialog was opened.
        endpoints = self.env[ENDPOINT].browse(self.endpoint_ids.ids)
        company = endpoints.company_id[:1] or self.company_id
        return endpoints.export_configuration(company)

    def action_download(self):
        self.ensure_one()
        self._text()  # what it refuses is shown in the dialog
        name = f"webhooks-{fields.Date.context_today(self)}.json"
        return {
            "type": "ir.actions.act_url",
            "target": "download",
            "url": f"/web/content/{self._name}/{self.id}/content"
            f"?download=true&filename={name}",
        }
