# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, models


class IrCron(models.Model):
    """Scheduled actions may be of this type, chosen on their form."""

    _inherit = "ir.cron"

    @api.model
    def default_get(self, fields_list):
        cron = self
        if "default_usage" not in self.env.context:
            cron = self.with_context(default_usage="ir_cron")
        return super(IrCron, cron).default_get(fields_list)

    def action_bwt_webhook_backfill(self):
        """Open a new run of its server action, whose form its own form extends."""
        return self.ir_actions_server_id.action_bwt_webhook_backfill()

    def action_bwt_webhook_compare(self):
        """Open a dry run of its server action, as above."""
        return self.ir_actions_server_id.action_bwt_webhook_compare()
