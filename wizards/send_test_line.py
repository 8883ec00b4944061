# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models

from ..models.const import CONTEXT_SOURCE_KINDS
from ..models.source_mixin import source_kind_field


class SendTestLine(models.TransientModel):
    """One context line of a test."""

    _name = "bwt.webhook.outbound.send.test.line"
    _description = "Outbound Webhook: Send Test, Context Line"
    _inherit = "bwt.webhook.outbound.source.mixin"
    _rec_name = "key_name"

    test_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.send.test",
        required=True,
        ondelete="cascade",
    )
    key_name = fields.Char(string="Key", required=True)
    source_kind = source_kind_field(CONTEXT_SOURCE_KINDS)

    def _source_label(self):
        return self.env._('context line "%s"', self.key_name or "")

    def _source_owner(self):
        return self.test_id.endpoint_id
