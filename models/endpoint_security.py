# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: secrets, authentication, signatures and egress checks."""

import secrets as random_secrets
import time
from datetime import timedelta, timezone

from odoo import api, fields, models
from odoo.tools import SQL

from ..services.egress.policy import Policy, check_url
from ..services.errors import ServiceError
from ..services.headers import check_header, refuse_connection_header
from ..services.http.tls import describe, tls_context
from ..services.secrets import SecretUnavailable
from ..services.signing import (
    SECRET_PREFIXES,
    check_new_secret,
    new_private_key,
    new_secret,
    public_key_of,
)
from ..services.trust import (
    Credential,
    HmacSignature,
    StandardSignature,
    Trust,
    masked_forms,
)
from .configuration_audit import recorded
from .const import GROUP_OPERATOR
from .endpoint_oauth import TokenAwaited
from .endpoint_secrets import (
    INPUTS,
    RETRY_SECONDS,
    changed_targets,
    columns_bound_to,
    each_read_once,
    entered_again,
    is_stored,
    literal_of,
    notify_removed,
    origins_of,
    removed_text,
    secret_column,
    secret_input,
    secrets_of_other_kind,
    to_store,
)
from .endpoint_signing import snippets_of
from .errors import misconfigured, translate
from .fields import SecretChar, SecretText
from .res_config_settings import egress_parameters, egress_policy, egress_proxy

SIGNING_MODES = [
    ("none", "None"),
    ("standard", "Standard Webhooks"),
    ("hmac", "HMAC Header"),
    ("template", "HMAC by Template"),
]

AUTH_MODES = [
    ("none", "None"),
    ("bearer", "Bearer Token"),
    ("basic", "User and Password (Basic)"),
    ("api_key", "API Key Header"),
    ("oauth2", "OAuth2 Client Credentials"),
]

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


def _changed_secrets(endpoints, secrets):
    """By endpoint, the columns that a write of these secrets changes."""
    changed = {}
    for endpoint in endpoints:
        columns = {
            name
            for name, value in secrets.items()
            if value or is_stored(endpoint, name)
        }
        if columns:
            changed[endpoint] = columns
    return changed


class BwtWebhookOutboundEndpointSecurity(models.AbstractModel):
    """Authentication, signature, their secrets, and the allowed addresses."""

    _name = "bwt.webhook.outbound.endpoint.security"
    _description = "Outbound Webhook Endpoint: Security"
    _inherit = "bwt.webhook.outbound.endpoint.signing"

    auth_mode = fields.Selection(
        selection=AUTH_MODES,
        string="Authentication",
        default="none",
        required=True,
        groups=GROUP_OPERATOR,
        help="How requests are authenticated. A header set by a rule, the handler "
        "or the connector overrides this. Changing the mode removes the secret.",
    )
    auth_user = fields.Char(
        string="User",
        groups=GROUP_OPERATOR,
        help="User name of Basic authentication.",
    )
    auth_header_name = fields.Char(
        string="Key Header",
        default="X-Api-Key",
        groups=GROUP_OPERATOR,
        help="Name of the header that contains the API key.",
    )
    client_certificate_info = fields.Char(
        string="Client Certificate",
        compute="_compute_client_certificate_info",
        groups=GROUP_OPERATOR,
        help="Subject of the client certificate (mTLS) and its expiry date.",
    )

    signing_mode = fields.Selection(
        selection=SIGNING_MODES,
        string="Signature",
        default="none",
        required=True,
        groups=GROUP_OPERATOR,
        help="Standard Webhooks (standardwebhooks.com): ID, time and signature in "
        "three headers. HMAC Header: one header, as GitHub and Shopify send "
        "it. HMAC by Template: over a time and the body, as Stripe and Slack send it. "
        "Changing the mode removes the secret.",
    )
    secret_expires_at = fields.Datetime(
        string="Old Secret Until",
        readonly=True,
        copy=False,
        groups=GROUP_OPERATOR,
        help="Until then, requests are also signed with the previous secret, so "
        "that the receiver can switch without losing a request.",
    )
    hmac_header_name = fields.Char(
        string="Signature Header", default="X-Hub-Signature-256", groups=GROUP_OPERATOR
    )
    hmac_algorithm = fields.Selection(
        selection=[
            ("sha256", "SHA-256"),
            ("sha512", "SHA-512"),
            ("sha1", "SHA-1 (old receivers)"),
        ],
        string="Algorithm",
        default="sha256",
        required=True,
        groups=GROUP_OPERATOR,
    )
    hmac_encoding = fields.Selection(
        selection=[("hex", "Hexadecimal"), ("base64", "Base64")],
        string="Encoding",
        default="hex",
        required=True,
        groups=GROUP_OPERATOR,
    )
    hmac_prefix = fields.Char(
        string="Prefix",
        default="sha256=",
        groups=GROUP_OPERATOR,
        help="Text before the signature, such as GitHub's sha256=.",
    )
    verify_python = fields.Text(
        string="How to Verify (Python)",
        compute="_compute_verify",
        groups=GROUP_OPERATOR,
        help="Code for the receiver. It needs the raw request body, byte for byte.",
    )
    verify_node = fields.Text(
        string="How to Verify (Node)",
        compute="_compute_verify",
        groups=GROUP_OPERATOR,
        help="Code for the receiver. It needs the raw request body, byte for byte.",
    )

    auth_secret = secret_column(SecretChar, "Stored Secret")
    signing_secret = secret_column(SecretChar, "Stored Signing Secret")
    old_secret = secret_column(SecretChar, "Stored Signing Secret Before")
    client_certificate = secret_column(SecretText, "Stored Client Certificate")

    auth_secret_input = secret_input(
        fields.Char,
        string="Secret",
        help="Access token, password, API key or client secret. It is stored and "
        "never shown again. Leave it empty to keep the current one. env:NAME or "
        "file:/path refers to a secret of the server, if odoo.conf allows it.",
    )
    signing_secret_input = secret_input(
        fields.Char,
        string="Signing Secret",
        help="A secret that the receiver gave you. It replaces the current secret "
        "at once. Press Generate Secret to create a new one instead. env:NAME or "
        "file:/path refers to a secret of the server, if odoo.conf allows it.",
    )
    client_certificate_input = secret_input(
        fields.Text,
        string="New Client Certificate",
        help="Certificate, intermediate certificates and private key without "
        "password, one after the other as PEM. Stored and never shown again.",
    )
    has_auth_secret = fields.Boolean(
        string="Secret Set", compute="_compute_has_secrets", groups=GROUP_OPERATOR
    )
    has_signing_secret = fields.Boolean(
        string="Signing Secret Set",
        compute="_compute_has_secrets",
        groups=GROUP_OPERATOR,
    )
    has_client_certificate = fields.Boolean(
        string="Client Certificate Set",
        compute="_compute_has_secrets",
        groups=GROUP_OPERATOR,
    )

    def _compute_secret_inputs(self):
        for name in INPUTS:
            self[name] = False

    @api.depends("auth_secret", "signing_secret", "client_certificate")
    def _compute_has_secrets(self):
        for endpoint in self:
            endpoint.has_auth_secret = is_stored(endpoint, "auth_secret")
            endpoint.has_signing_secret = is_stored(endpoint, "signing_secret")
            endpoint.has_client_certificate = is_stored(endpoint, "client_certificate")

    @api.depends(
        "signing_mode",
        "hmac_header_name",
        "hmac_algorithm",
        "hmac_encoding",
        "hmac_prefix",
        "signature_value_template",
        "signature_text_template",
        "signature_time_header",
        "signing_public_key",
    )
    @api.depends_context("lang")
    def _compute_verify(self):
        for endpoint in self:
            snippets = snippets_of(endpoint) or (False, False)
            endpoint.verify_python, endpoint.verify_node = snippets

    @api.depends("client_certificate")
    @api.depends_context("lang")
    def _compute_client_certificate_info(self):
        for endpoint in self:
            try:
                pem = endpoint._read_secret("client_certificate")
                found = pem and describe(pem)
            except ServiceError as error:
                endpoint.client_certificate_info = translate(self.env, error)
            else:
                endpoint.client_certificate_info = found and self.env._(
                    "%(name)s, until %(date)s", name=found.name, date=found.until
                )

    # Steps of `create` and `write`

    def _check_new_signing_secret(self, vals):
        """Refuse a signing secret that is too short, when it is entered."""
        secret = vals.get("signing_secret_input")
        if not secret:
            return
        self._check_field_access(self._fields["signing_secret_input"], "write")
        secret = literal_of(secret.strip())
        for endpoint in self if secret else ():
            mode = vals.get("signing_mode") or endpoint.signing_mode
            # Without a mode yet, the form of the secret determines its kind.
            standard = mode == "standard" or (
                mode in (False, "none") and secret.startswith(SECRET_PREFIXES)
            )
            try:
                check_new_secret(secret, standard=standard)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    @api.model
    def _split_secrets(self, vals):
        """The values without the inputs, and the columns of these inputs."""
        rest, secrets = dict(vals), {}
        for name, column in INPUTS.items():
            if name not in rest:
                continue
            self._check_field_access(self._fields[name], "write")
            given = (rest.pop(name) or "").strip()
            if given:
                secrets[column] = given
        return rest, secrets

    def _replace_secrets(self, vals, entered):
        """Store entered secrets; delete those of another mode than `vals` sets."""
        for endpoint in self:
            endpoint._store_secrets(secrets_of_other_kind(endpoint, vals) | entered)

    def _signed_otherwise(self, vals):
        """The endpoints that have another signing mode than `vals` sets."""
        mode = vals.get("signing_mode")
        return self.filtered(lambda each: mode and each.signing_mode != mode)

    def _store_secrets(self, secrets, *, is_reported=False):
        """Write columns of secrets for a user who may write the endpoint.

        :param is_reported: the caller's own message names them
        """
        if not secrets:
            return
        self.check_access("write")
        secrets = to_store(self, secrets)
        changed = {} if is_reported else _changed_secrets(self, secrets)
        # Locked first: the server logs a failed statement with all its values, and
        # after the lock the next one can't conflict with another transaction.
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT 1 FROM %s WHERE id = ANY(%s) FOR NO KEY UPDATE",
                SQL.identifier(self._table),
                self.ids,
            )
        )
        endpoint = self.sudo()
        with recorded(self.env, changed) as audit:
            for each, columns in changed.items():
                audit.note_secrets(each, columns)
            super(BwtWebhookOutboundEndpointSecurity, endpoint).write(secrets)
            endpoint.flush_recordset(list(secrets))

    def _check_written_security(self, vals, lost_secret):
        """Check these endpoints after a write of `vals` that could break them.

        :param lost_secret: those whose authentication secret another host deleted,
            which is reported in the chatter, not refused
        """
        if not CHECKED & vals.keys():
            return
        if {"auth_mode", "state"} & vals.keys():
            lost_secret = self.browse()
        (self - lost_secret)._check_security()
        lost_secret._check_security(needs_secret=False)

    def _check_security(self, needs_secret=True):
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
        if self.signing_mode in ("hmac", "template"):
            check_header(self.hmac_header_name or "", self.hmac_prefix or "")
            refuse_connection_header(self.hmac_header_name)
        if self.signing_mode != "none" and is_stored(self, "signing_secret"):
            self._signature().headers("msg", 0, b"")

    # Secrets of another host

    def _origins(self):
        """By endpoint, the origins of its target and of its token server."""
        return {endpoint: origins_of(endpoint.sudo()) for endpoint in self}

    def _forget_secrets_of_another_host(self, origins, entered=()):
        """Delete secrets whose target has changed, and report it.

        :param origins: what `_origins` returned before the change
        :param entered: columns that the same save fills
        :return: the endpoints that lost their authentication secret
        """
        lost_secret = self.browse()
        for endpoint, before in origins.items():
            endpoint = endpoint.sudo()
            targets = changed_targets(endpoint, before)
            if not targets:
                continue
            self.env["bwt.webhook.outbound.endpoint.token"].sudo()._forget(endpoint.id)
            removed = {
                column: False
                for column in columns_bound_to(targets)
                if is_stored(endpoint, column) and column not in entered
            }
            if not removed:
                continue
            if "old_secret" in removed:
                removed["secret_expires_at"] = False
            endpoint._store_secrets(removed, is_reported=True)
            notify_removed(endpoint.with_user(self.env.user).sudo(), removed)
            if "auth_secret" in removed:
                lost_secret += self.browse(endpoint.id)
        return lost_secret

    @api.onchange("target_hostname", "oauth_token_url", "connector_backend_ref")
    def _onchange_origin(self):
        """Warn before saving that another host deletes the secrets."""
        saved = self._origin.sudo()
        if not saved:
            return None
        bound = columns_bound_to(changed_targets(self, origins_of(saved)))
        lost = [
            column
            for name, column in INPUTS.items()
            if column in bound and is_stored(saved, column) and not self[name]
        ]
        if not lost:
            return None
        return {
            "warning": {
                "title": self.env._("Secrets removed"),
                "message": removed_text(self.env, lost),
            }
        }

    # Values of a request

    def _signature(self):
        """The signature of each request, None without one."""
        if self.signing_mode == "hmac":
            return HmacSignature(
                self.hmac_header_name or "",
                self._read_secret("signing_secret"),
                self.hmac_algorithm,
                self.hmac_encoding,
                self.hmac_prefix or "",
            )
        if self.signing_mode not in ("standard", "template"):
            return None
        until, signs_too = self.secret_expires_at, self._uses_secret("old_secret")
        secrets = {
            "secret": self._read_secret("signing_secret"),
            "old_secret": self._read_secret("old_secret") if signs_too else "",
            "old_until": until.replace(tzinfo=timezone.utc).timestamp()
            if until
            else 0.0,
        }
        if self.signing_mode == "template":
            return self._template_signature(**secrets)
        return StandardSignature(**secrets)

    def _credential(self):
        """The `Credential` of each request, None without one; raises ServiceError."""
        if not self._uses_secret("auth_secret"):
            return None
        secret = self._read_secret("auth_secret")
        if self.auth_mode == "bearer":
            return Credential.bearer(secret)
        if self.auth_mode == "basic":
            return Credential.basic(self.auth_user, secret)
        if self.auth_mode == "api_key":
            return Credential.api_key(self.auth_header_name, secret)
        if self.auth_mode == "oauth2":
            return Credential.bearer(self._oauth_token())
        return None

    def _usable_certificate(self):
        """The client certificate as PEM, None without one; raises ServiceError."""
        certificate = self._read_secret("client_certificate")
        if not certificate:
            return None
        tls_context(certificate)
        return certificate

    def _trust(self) -> Trust:
        """The `Trust` of this endpoint; requests an OAuth2 access token if needed.

        Never raises for a setting: a fault is part of the value, and fails each
        delivery with its message.
        """
        self.ensure_one()
        endpoint = self.sudo()
        values = {"egress": Policy(), "is_token": endpoint.auth_mode == "oauth2"}
        parameters = egress_parameters(endpoint.env)
        parts = {
            "egress": lambda: egress_policy(endpoint.env, parameters),
            "proxy": lambda: egress_proxy(endpoint.env, parameters),
            "client_certificate": endpoint._usable_certificate,
            "signature": endpoint._signature,
            "credential": endpoint._credential,
        }
        with each_read_once():
            for name, read in parts.items():
                try:
                    values[name] = read()
                except TokenAwaited as error:
                    values.setdefault("fault", error)
                    values["not_before"] = error.at
                except SecretUnavailable as error:
                    values.setdefault("fault", error)
                    values["not_before"] = time.time() + RETRY_SECONDS
                except ServiceError as error:
                    values.setdefault("fault", error)
            masked = endpoint._masked(values.get("credential"))
        return Trust(secrets=masked, **values)

    def _masked(self, credential):
        token = ""
        if credential is not None and self.auth_mode == "oauth2":
            token = credential.value.removeprefix("Bearer ")
        return (
            *masked_forms(token),
            *self._auth_secrets(),
            *masked_forms(
                self._readable_secret("signing_secret"),
                self._readable_secret("old_secret"),
            ),
        )

    def _auth_secrets(self):
        secret = self._readable_secret("auth_secret")
        if self.auth_mode == "basic" and secret:
            return masked_forms((self.auth_user or "", secret))
        return masked_forms(secret)

    def _delete_old_secret(self):
        """End the time in which the signing secret before this one signs too."""
        for endpoint in self:
            endpoint._store_secrets({"old_secret": False})
        self.write({"secret_expires_at": False})

    # Buttons

    def action_generate_secret(self):
        """Open the dialog that generates a secret and shows it once."""
        self.ensure_one()
        self.check_access("write")
        return self.env["bwt.webhook.outbound.secret"]._dialog(self)

    def _generate_secret(self, overlap_hours, kind="secret"):
        """Store a new signing secret; returns what the receiver gets, shown once.

        :param overlap_hours: how long the previous one signs too, if a request can
            have two signatures (see `signs_twice`)
        :param kind: of Standard Webhooks: "secret", or "key" for an ed25519 key, of
            which the receiver gets the public part only
        """
        self.ensure_one()
        self.check_access("write")
        if self.signing_mode != "standard":
            secret = random_secrets.token_hex(32)
        else:
            secret = new_private_key() if kind == "key" else new_secret()
        if not self.signs_twice:
            self._store_secrets({"signing_secret": secret})
            return secret
        try:
            old = overlap_hours > 0 and entered_again(self, "signing_secret")
        except ServiceError as error:
            raise misconfigured(self, error) from error
        self._store_secrets({"signing_secret": secret, "old_secret": old})
        until = fields.Datetime.now() + timedelta(hours=overlap_hours)
        self.write({"secret_expires_at": until if old else False})
        return public_key_of(secret) or secret

    def action_remove_client_certificate(self):
        """Remove the client certificate."""
        self._store_secrets({"client_certificate": False})
        return True
