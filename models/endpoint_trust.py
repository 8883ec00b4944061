# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: all that guards its requests, as one value."""

from odoo import api, fields, models

from ..services.egress import Policy, check_url
from ..services.errors import ServiceError
from ..services.headers import check_header, refuse_connection_header
from ..services.trust import Trust, masked_forms
from .egress_policy import egress_policy, egress_proxy
from .endpoint_oauth import TokenAwaited
from .endpoint_policy import READERS
from .refusal import misconfigured

CHECKED = {
    "state",
    "auth_mode",
    "auth_secret_input",
    "auth_user",
    "auth_header_name",
    "client_certificate_input",
    "oauth_token_url",
    "oauth_client_id",
    "signing_mode",
    "signing_secret_input",
    "hmac_header_name",
    "hmac_prefix",
}


class EndpointTrust(models.AbstractModel):
    """Authentication, signature, secrets and the addresses that may be sent to."""

    _name = "bwt.webhook.outbound.endpoint.trust"
    _description = "Outbound Webhook Endpoint: Trust"
    _inherit = [
        "bwt.webhook.outbound.endpoint.auth",
        "bwt.webhook.outbound.endpoint.signing",
    ]

    circuit_reset_at = fields.Datetime(
        copy=False,
        groups=READERS,
        help="When the circuit was last closed by hand; what opened before is closed.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        endpoints = super().create(vals_list)
        endpoints._check_trust()
        return endpoints

    def write(self, vals):
        had_secret = self.filtered(lambda each: each.sudo().auth_secret)
        result = super().write(vals)
        if CHECKED & vals.keys():
            # Another host forgets the secret: said in the chatter, not refused.
            forgot = had_secret.filtered(lambda each: not each.sudo().auth_secret)
            if {"auth_mode", "state"} & vals.keys():
                forgot = self.browse()
            (self - forgot)._check_trust()
            forgot._check_trust(needs_secret=False)
        return result

    def _check_trust(self, needs_secret=True):
        """Refuse, on an active endpoint, settings that would stop every delivery.

        Not by a constraint: those run before the secrets are written.
        """
        for endpoint in self.sudo():
            if endpoint.state != "active":
                continue
            try:
                if needs_secret:
                    endpoint._check_auth()
                elif endpoint.auth_mode == "oauth2":
                    check_url(endpoint.oauth_token_url)
                endpoint._check_signature()
                endpoint._usable_certificate()
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    def _check_auth(self):
        if self.auth_mode == "oauth2":
            self._client_credentials()
            return
        credential = self._credential()
        if credential is not None:
            check_header(credential.name, credential.value)
            refuse_connection_header(credential.name)

    def _check_signature(self):
        """What can be known before there is a secret: it is generated afterwards."""
        if self.signing_mode == "hmac":
            check_header(self.hmac_header_name or "", self.hmac_prefix or "")
            refuse_connection_header(self.hmac_header_name)
        if self.signing_mode != "none" and self.signing_secret:
            self._signature().headers("msg", 0, b"")

    def _trust(self) -> Trust:
        """What guards this endpoint's requests; asks for an OAuth2 token if needed.

        Never raises for a setting: a fault is part of the value, and stops the
        deliveries one by one with its message.
        """
        self.ensure_one()
        endpoint = self.sudo()
        values = {"egress": Policy(), "is_token": endpoint.auth_mode == "oauth2"}
        parts = {
            "egress": lambda: egress_policy(endpoint.env),
            "proxy": lambda: egress_proxy(endpoint.env),
            "client_certificate": endpoint._usable_certificate,
            "signature": endpoint._signature,
            "credential": endpoint._credential,
        }
        for name, read in parts.items():
            try:
                values[name] = read()
            except TokenAwaited as error:
                values.setdefault("fault", error)
                values["not_before"] = error.at
            except ServiceError as error:
                values.setdefault("fault", error)
        return Trust(secrets=endpoint._masked(values.get("credential")), **values)

    def _masked(self, credential):
        token = ""
        if credential is not None and self.auth_mode == "oauth2":
            token = credential.value.removeprefix("Bearer ")
        return (
            *masked_forms(token),
            *self._auth_secrets(),
            *self._signing_secrets(),
        )
