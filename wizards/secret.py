# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..models.const import ENDPOINT
from ..models.delivery_access import check_relations


class BwtWebhookOutboundSecret(models.TransientModel):
    """Generates a signing secret and shows it once.

    The secret isn't stored here: it is in the response to the button only, and the
    dialog that shows it is never saved.
    """

    _name = "bwt.webhook.outbound.secret"
    _description = "Outbound Webhook: New Signing Secret"

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT,
        required=True,
        ondelete="cascade",
        readonly=True,
    )
    signing_mode = fields.Selection(
        related="endpoint_id.signing_mode", related_sudo=False
    )
    has_signing_secret = fields.Boolean(
        related="endpoint_id.has_signing_secret", related_sudo=False
    )
    signs_twice = fields.Boolean(related="endpoint_id.signs_twice", related_sudo=False)
    kind = fields.Selection(
        selection=[
            ("secret", "Shared Secret (v1)"),
            ("key", "Key Pair (v1a, ed25519)"),
        ],
        string="Kind of Secret",
        default="secret",
        required=True,
        help="Of Standard Webhooks. Shared Secret: libraries in many languages verify "
        "it. Key Pair: the receiver gets a public key, with which nobody can sign.",
    )
    overlap_hours = fields.Integer(
        string="Keep Old Secret For (Hours)",
        default=24,
        help="During this time both secrets sign, so that the receiver can switch "
        "without losing a request. 0: the old secret is removed at once, for "
        "example after a leak.",
    )
    secret = fields.Char(store=False, readonly=True, string="New Secret")

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, ("endpoint_id",), values)
        return values

    def onchange(self, values, field_names, fields_spec):
        check_relations(self, ("endpoint_id",), values)
        return super().onchange(values, field_names, fields_spec)

    @api.constrains("overlap_hours")
    def _check_overlap(self):
        for dialog in self:
            if not 0 <= dialog.overlap_hours <= 24 * 365:
                raise ValidationError(
                    self.env._("Keep the old secret for 0 to 8760 hours.")
                )

    @api.model
    def _dialog(self, endpoint, secret=False, kind="secret"):
        """The action that opens this for an endpoint, showing a secret if given."""
        context = {"default_endpoint_id": endpoint.id}
        if secret:
            context |= {"default_secret": secret, "default_kind": kind}
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Signing Secret"),
            "res_model": self._name,
            "views": [(False, "form")],
            "target": "new",
            "context": context,
        }

    def action_generate(self):
        """Generate the secret; returns the dialog that shows it."""
        self.ensure_one()
        kind = self.kind if self.signing_mode == "standard" else "secret"
        secret = self.endpoint_id._generate_secret(self.overlap_hours, kind)
        return self._dialog(self.endpoint_id, secret, kind)
