# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: authentication, signatures and egress checks."""

import secrets as random_secrets
from datetime import timedelta, timezone

from odoo import api, fields, models

from ..services.egress.policy import Policy, check_url
from ..services.errors import ServiceError
from ..services.headers import check_header, refuse_connection_header
from ..services.http.tls import describe, tls_context
from ..services.signing import SECRET_PREFIX, check_new_secret, new_secret
from ..services.trust import (
    Credential,
    HmacSignature,
    StandardSignature,
    Trust,
    masked_forms,
)
from ..services.verify_snippets import hmac_snippets, standard_snippets
from .egress_settings import egress_policy, egress_proxy
from .endpoint_oauth import TokenAwaited
from .endpoint_policy import READERS
from .errors import misconfigured

SIGNING_MODES = [
    ("none", "None"),
    ("standard", "Standard Webhooks"),
    ("hmac", "HMAC Header"),
]


class BwtWebhookOutboundEndpointSigning(models.AbstractModel):
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
        help="Standard Webhooks (standardwebhooks.com): ID, time and signature in "
        "three headers. HMAC Header: one header, as GitHub and Shopify send "
        "it. Changing the mode removes the secret.",
    )
    secret_expires_at = fields.Datetime(
        string="Old Secret Until",
        readonly=True,
        copy=False,
        groups=READERS,
        help="Until then, requests are also signed with the previous secret, so "
        "that the receiver can switch without losing a request.",
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
        help="Text before the signature, such as GitHub's sha256=.",
    )
    verify_python = fields.Text(
        string="How to Verify (Python)",
        compute="_compute_verify",
        groups=READERS,
        help="Code for the receiver. It needs the raw request body, byte for byte.",
    )
    verify_node = fields.Text(
        string="How to Verify (Node)",
        compute="_compute_verify",
        groups=READERS,
        help="Code for the receiver. It needs the raw request body, byte for byte.",
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
            super(BwtWebhookOutboundEndpointSigning, changed).write(
                {"secret_expires_at": False}
            )
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
        # Without a mode yet, the form of the secret determines its kind.
        standard = mode == "standard" or (
            mode != "hmac" and secret.startswith(SECRET_PREFIX)
        )
        try:
            check_new_secret(secret, standard=standard)
        except ServiceError as error:
            raise misconfigured(self, error) from error

    def _signature(self):
        """The signature of each request, None without one."""
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
        """Secrets to mask."""
        return masked_forms(self.signing_secret, self.old_secret)

    @api.autovacuum
    def _gc_old_secrets(self):
        """Delete old secrets that no longer sign."""
        if self._abstract:  # the vacuum calls every model, including this part
            return
        ended = self.search([("secret_expires_at", "<=", fields.Datetime.now())])
        for endpoint in ended:
            endpoint._keep_secrets({"old_secret": False})
        ended.write({"secret_expires_at": False})

    def action_generate_secret(self):
        """Open the dialog that generates a secret and shows it once."""
        self.ensure_one()
        self.check_access("write")
        return self.env["bwt.webhook.outbound.secret"]._dialog(self)

    def _generate_secret(self, overlap_hours):
        """Store a new signing secret; returns it, to be shown once.

        :param overlap_hours: how long the previous one signs too (Standard Webhooks; an
            HMAC header has only one signature)
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


AUTH_MODES = [
    ("none", "None"),
    ("bearer", "Bearer Token"),
    ("basic", "User and Password (Basic)"),
    ("api_key", "API Key Header"),
    ("oauth2", "OAuth2 Client Credentials"),
]


class BwtWebhookOutboundEndpointAuth(models.AbstractModel):
    """Authentication of requests; the secret of each mode is `auth_secret`."""

    _name = "bwt.webhook.outbound.endpoint.auth"
    _description = "Outbound Webhook Endpoint: Authentication"
    _inherit = [
        "bwt.webhook.outbound.endpoint.secrets",
        "bwt.webhook.outbound.endpoint.oauth",
    ]

    auth_mode = fields.Selection(
        selection=AUTH_MODES,
        string="Authentication",
        default="none",
        required=True,
        tracking=True,
        groups=READERS,
        help="How requests are authenticated. A header set by a rule, the handler "
        "or the connector overrides this. Changing the mode removes the secret.",
    )
    auth_user = fields.Char(
        string="User",
        tracking=True,
        groups=READERS,
        help="User name of Basic authentication.",
    )
    auth_header_name = fields.Char(
        string="Key Header",
        default="X-Api-Key",
        tracking=True,
        groups=READERS,
        help="Name of the header that holds the API key.",
    )
    client_certificate_info = fields.Char(
        string="Client Certificate",
        compute="_compute_client_certificate_info",
        groups=READERS,
        help="Subject of the client certificate (mTLS) and its expiry date.",
    )

    @api.depends("client_certificate")
    def _compute_client_certificate_info(self):
        for endpoint in self:
            pem = endpoint.sudo().client_certificate
            try:
                said = pem and describe(pem)
            except ServiceError as error:
                endpoint.client_certificate_info = self.env._(
                    error.template, **error.values
                )
            else:
                endpoint.client_certificate_info = said and self.env._(
                    "%(name)s, until %(date)s", name=said.name, date=said.until
                )

    def _credential(self):
        """The `Credential` of each request, None without one; raises ServiceError."""
        if self.auth_mode == "bearer":
            return Credential.bearer(self.auth_secret)
        if self.auth_mode == "basic":
            return Credential.basic(self.auth_user, self.auth_secret)
        if self.auth_mode == "api_key":
            return Credential.api_key(self.auth_header_name, self.auth_secret)
        if self.auth_mode == "oauth2":
            return Credential.bearer(self._oauth_token())
        return None

    def _usable_certificate(self):
        """The client certificate as PEM, None without one; raises ServiceError."""
        if not self.client_certificate:
            return None
        tls_context(self.client_certificate)
        return self.client_certificate

    def _auth_secrets(self):
        """Secrets to mask."""
        if self.auth_mode == "basic" and self.auth_secret:
            return masked_forms((self.auth_user or "", self.auth_secret))
        return masked_forms(self.auth_secret)


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


class BwtWebhookOutboundEndpointTrust(models.AbstractModel):
    """Authentication, signature, secrets and the allowed addresses."""

    _name = "bwt.webhook.outbound.endpoint.trust"
    _description = "Outbound Webhook Endpoint: Trust"
    _inherit = [
        "bwt.webhook.outbound.endpoint.auth",
        "bwt.webhook.outbound.endpoint.signing",
    ]

    circuit_reset_at = fields.Datetime(
        copy=False,
        groups=READERS,
        help="When the circuit was last closed by hand. An earlier opening has no "
        "effect.",
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
            # Another host deletes the secret: reported in the chatter, not refused.
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
        """Check what is known before there is a secret, which is generated later."""
        if self.signing_mode == "hmac":
            check_header(self.hmac_header_name or "", self.hmac_prefix or "")
            refuse_connection_header(self.hmac_header_name)
        if self.signing_mode != "none" and self.signing_secret:
            self._signature().headers("msg", 0, b"")

    def _trust(self) -> Trust:
        """The `Trust` of this endpoint; requests an OAuth2 access token if needed.

        Never raises for a setting: a fault is part of the value, and fails each
        delivery with its message.
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
