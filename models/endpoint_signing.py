# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: how receivers know that a request is ours."""

import secrets as random_secrets
from datetime import timedelta, timezone

from odoo import api, fields, models

from ..services.errors import ServiceError
from ..services.signing import SECRET_PREFIX, check_new_secret, new_secret
from ..services.trust import HmacSignature, StandardSignature, masked_forms
from ..services.verify_snippets import hmac_snippets, standard_snippets
from .endpoint_policy import READERS
from .refusal import misconfigured

SIGNING_MODES = [
    ("none", "None"),
    ("standard", "Standard Webhooks"),
    ("hmac", "HMAC Header"),
]


class EndpointSigning(models.AbstractModel):
    """Standard Webhooks, or one header with an HMAC of the body."""

    _name = "bwt.webhook.outbound.endpoint.signing"
    _description = "Outbound Webhook Endpoint: Signing"
    _inherit = "bwt.webhook.outbound.endpoint.secrets"

    signing_mode = fields.Selection(
        selection=SIGNING_MODES,
        string="Signature",
        default="none",
        required=True,
        tracking=True,
        groups=READERS,
        help="Standard Webhooks (standardwebhooks.com): id, time and signature in "
        "three headers. HMAC Header: for receivers that expect one of GitHub's or "
        "Shopify's kind. Another mode forgets the secret.",
    )
    secret_expires_at = fields.Datetime(
        string="Old Secret Until",
        readonly=True,
        copy=False,
        groups=READERS,
        help="Until then the secret before this one signs along, so that the receiver "
        "can change over without losing a request.",
    )
    hmac_header_name = fields.Char(
        string="Signature Header", default="X-Hub-Signature-256", groups=READERS
    )
    hmac_algorithm = fields.Selection(
        selection=[("sha256", "SHA-256"), ("sha512", "SHA-512")],
        string="Algorithm",
        default="sha256",
        required=True,
        groups=READERS,
    )
    hmac_encoding = fields.Selection(
        selection=[("hex", "Hexadecimal"), ("base64", "Base64")],
        string="Encoding",
        default="hex",
        required=True,
        groups=READERS,
    )
    hmac_prefix = fields.Char(
        string="Prefix",
        default="sha256=",
        groups=READERS,
        help="Stands in front of the signature, as GitHub's sha256=.",
    )
    verify_python = fields.Text(
        string="How to Verify (Python)",
        compute="_compute_verify",
        groups=READERS,
        help="Code for the receiver. It takes the body as it came, byte for byte.",
    )
    verify_node = fields.Text(
        string="How to Verify (Node)",
        compute="_compute_verify",
        groups=READERS,
        help="Code for the receiver. It takes the body as it came, byte for byte.",
    )

    @api.depends(
        "signing_mode",
        "hmac_header_name",
        "hmac_algorithm",
        "hmac_encoding",
        "hmac_prefix",
    )
    def _compute_verify(self):
        for endpoint in self:
            python = node = False
            if endpoint.signing_mode == "standard":
                python, node = standard_snippets()
            elif endpoint.signing_mode == "hmac":
                python, node = hmac_snippets(
                    endpoint.hmac_header_name or "",
                    algorithm=endpoint.hmac_algorithm,
                    encoding=endpoint.hmac_encoding,
                    prefix=endpoint.hmac_prefix or "",
                )
            endpoint.verify_python, endpoint.verify_node = python, node

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if vals.get("signing_secret_input"):
                self.new(vals)._check_new_secret(vals["signing_secret_input"])
        return super().create(vals_list)

    def write(self, vals):
        mode = vals.get("signing_mode")
        if vals.get("signing_secret_input"):
            for endpoint in self:
                endpoint._check_new_secret(vals["signing_secret_input"], mode)
        changed = self.filtered(lambda each: mode and each.signing_mode != mode)
        result = super().write(vals)
        if changed:
            super(EndpointSigning, changed).write({"secret_expires_at": False})
        return result

    def _check_new_secret(self, secret, mode=None):
        """Refuse a signing secret that is too short, when it is entered.

        :param mode: the signing mode that is written with it, None for the present one
        """
        self._check_field_access(self._fields["signing_secret_input"], "write")
        secret = secret.strip()
        if not secret:
            return
        mode = mode or self.signing_mode
        # Without a mode yet, its form tells what it is for.
        standard = mode == "standard" or (
            mode != "hmac" and secret.startswith(SECRET_PREFIX)
        )
        try:
            check_new_secret(secret, standard=standard)
        except ServiceError as error:
            raise misconfigured(self, error) from error

    def _signature(self):
        """What signs each request, None without."""
        if self.signing_mode == "hmac":
            return HmacSignature(
                self.hmac_header_name or "",
                self.signing_secret or "",
                self.hmac_algorithm,
                self.hmac_encoding,
                self.hmac_prefix or "",
            )
        if self.signing_mode != "standard":
            return None
        until = self.secret_expires_at
        return StandardSignature(
            self.signing_secret or "",
            self.old_secret or "",
            until.replace(tzinfo=timezone.utc).timestamp() if until else 0.0,
        )

    def _signing_secrets(self):
        """What must be masked."""
        return masked_forms(self.signing_secret, self.old_secret)

    @api.autovacuum
    def _gc_old_secrets(self):
        """Forget secrets that no longer sign along."""
        if self._abstract:  # the vacuum asks every model, this part too
            return
        ended = self.search([("secret_expires_at", "<=", fields.Datetime.now())])
        for endpoint in ended:
            endpoint._keep_secrets({"old_secret": False})
        ended.write({"secret_expires_at": False})

    def action_generate_secret(self):
        """Open the dialog that makes a new secret and shows it once."""
        self.ensure_one()
        self.check_access("write")
        return self.env["bwt.webhook.outbound.secret"]._dialog(self)

    def _generate_secret(self, overlap_hours):
        """A new signing secret, kept and given to the caller to be shown once.

        :param overlap_hours: how long the one before signs along (Standard Webhooks;
            an HMAC header has room for one signature)
        """
        self.ensure_one()
        self.check_access("write")
        if self.signing_mode != "standard":
            secret = random_secrets.token_hex(32)
            self._keep_secrets({"signing_secret": secret})
            return secret
        secret = new_secret()
        old = self.sudo().signing_secret if overlap_hours > 0 else False
        self._keep_secrets({"signing_secret": secret, "old_secret": old})
        until = fields.Datetime.now() + timedelta(hours=overlap_hours)
        self.write({"secret_expires_at": until if old else False})
        return secret
