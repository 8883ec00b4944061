# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models

# Beginnings of models that serve Odoo itself: nothing to deliver is about one.
TECHNICAL = (
    *("auth", "base.", "base_", "bus.", "bwt.webhook.", "decimal.", "digest."),
    *("discuss.", "fetchmail.", "html", "iap.", "ir.", "mail.", "onboarding."),
    *("phone.", "privacy.", "properties.", "publisher", "queue.", "report."),
    *("res.config", "res.device", "res.groups", "res.lang", "res.role", "res.users."),
    *("reset", "rpc", "sms.", "snailmail.", "web_", "web."),
)


class SendTestAbout(models.AbstractModel):
    """The record that a test is about."""

    _name = "bwt.webhook.outbound.send.test.about"
    _description = "Outbound Webhook: Send Test, Record"

    record_ref = fields.Reference(
        selection="_selection_record_model",
        string="About the Record",
        help="Rules that read record fields need one. Models that you may read, "
        "without those that serve Odoo itself.",
    )

    @api.model
    def _selection_record_model(self):
        found = self.env["ir.model"].sudo().search([("transient", "=", False)])
        return sorted(
            ((each.model, each.name) for each in found if self._is_offered(each.model)),
            key=lambda pair: pair[1].lower(),
        )

    def _is_offered(self, model_name):
        if model_name.startswith(TECHNICAL) or model_name not in self.env:
            return False
        model = self.env[model_name]
        return not model._abstract and model._auto and model.has_access("read")

    def _about(self):
        """Model and id for the delivery: what is chosen, else what the start is about.

        A past delivery may be about a model that isn't offered.
        """
        if self.record_ref:
            return {"res_model": self.record_ref._name, "res_id": self.record_ref.id}
        start = self.source_delivery_id.sudo()
        if start.res_id and not self._is_offered(start.res_model):
            return {"res_model": start.res_model, "res_id": start.res_id}
        return {"res_model": False, "res_id": False}
