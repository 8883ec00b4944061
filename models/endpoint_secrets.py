# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: its secrets, which can be written but not read.

Secrets follow the host: they were entered for one origin (scheme, host, port), so any
change of the target deletes them.
"""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..services.egress.target_url import origin_of
from .const import GROUP_ADMIN
from .endpoint_policy import READERS

# The input of an administrator, and its column, which can't be read by a form, an
# export or RPC, but only by code that runs as superuser.
INPUTS = {
    "auth_secret_input": "auth_secret",
    "signing_secret_input": "signing_secret",
    "client_certificate_input": "client_certificate",
}
# A secret of one kind is never sent as another.
KINDS = {
    "auth_mode": ("auth_secret",),
    "signing_mode": ("signing_secret", "old_secret"),
}
# The secrets of each target. A signature over a body is valid at the previous receiver
# wherever it was sent: a new host could forward it. A client certificate identifies us
# to any server. The token server's access token is sent to the endpoint's host. Secrets
# that the token server never gets are kept when only its URL changes.
BOUND_TO = {
    "requests": ("auth_secret", "signing_secret", "old_secret", "client_certificate"),
    "tokens": ("auth_secret", "client_certificate"),
}


def secret_column(kind, label):
    """A stored secret: in no view, copy, export, search, group or read."""
    return kind(
        string=label,
        groups=fields.NO_ACCESS,
        copy=False,
        exportable=False,
        prefetch="secrets",  # read together, and only on demand
    )


def secret_input(kind, **options):
    """An input: always shown empty; left empty it changes nothing."""
    return kind(
        compute="_compute_secret_inputs",
        readonly=False,
        copy=False,
        exportable=False,
        groups=GROUP_ADMIN,
        **options,
    )


class BwtWebhookOutboundEndpointSecrets(models.AbstractModel):
    """Columns that hold secrets, and the fields that take them in."""

    _name = "bwt.webhook.outbound.endpoint.secrets"
    _description = "Outbound Webhook Endpoint: Secrets"

    auth_secret = secret_column(fields.Char, "Stored Secret")
    signing_secret = secret_column(fields.Char, "Stored Signing Secret")
    old_secret = secret_column(fields.Char, "Stored Signing Secret Before")
    client_certificate = secret_column(fields.Text, "Stored Client Certificate")

    auth_secret_input = secret_input(
        fields.Char,
        string="Secret",
        help="Access token, password, API key or client secret. It is stored and "
        "never shown again. Leave it empty to keep the current one.",
    )
    signing_secret_input = secret_input(
        fields.Char,
        string="Signing Secret",
        help="A secret that the receiver gave you. It replaces the current secret "
        "at once. Press Generate Secret to create a new one instead.",
    )
    client_certificate_input = secret_input(
        fields.Text,
        string="New Client Certificate",
        help="Certificate, intermediate certificates and private key without "
        "password, one after the other as PEM. Stored and never shown again.",
    )
    has_auth_secret = fields.Boolean(
        string="Secret Set", compute="_compute_has_secrets", groups=READERS
    )
    has_signing_secret = fields.Boolean(
        string="Signing Secret Set", compute="_compute_has_secrets", groups=READERS
    )
    has_client_certificate = fields.Boolean(
        string="Client Certificate Set", compute="_compute_has_secrets", groups=READERS
    )

    def _compute_secret_inputs(self):
        for name in INPUTS:
            self[name] = False

    @api.depends("auth_secret", "signing_secret", "client_certificate")
    def _compute_has_secrets(self):
        for endpoint in self:
            secrets = endpoint.sudo()
            endpoint.has_auth_secret = bool(secrets.auth_secret)
            endpoint.has_signing_secret = bool(secrets.signing_secret)
            endpoint.has_client_certificate = bool(secrets.client_certificate)

    @api.model_create_multi
    def create(self, vals_list):
        parted = [self._part_secrets(vals) for vals in vals_list]
        endpoints = super().create([vals for vals, _secrets in parted])
        for endpoint, (_vals, secrets) in zip(endpoints, parted, strict=True):
            endpoint._keep_secrets(secrets)
        return endpoints

    def write(self, vals):
        vals, secrets = self._part_secrets(vals)
        for endpoint in self:
            forgotten = {
                column: False
                for field, columns in KINDS.items()
                if field in vals and vals[field] != endpoint[field]
                for column in columns
            }
            endpoint._keep_secrets(forgotten | secrets)
        origins = self._origins()
        result = super().write(vals)
        self._forget_misplaced(origins, secrets)
        return result

    @api.model
    def _part_secrets(self, vals):
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

    def _keep_secrets(self, secrets):
        """Write columns of secrets for a user who may write the endpoint."""
        if not secrets:
            return
        self.check_access("write")
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
        super(BwtWebhookOutboundEndpointSecrets, endpoint).write(secrets)
        endpoint.flush_recordset(list(secrets))

    # Secrets follow the host

    def _origins(self):
        """By endpoint, the origins of its target and its token server."""
        return {endpoint: endpoint.sudo()._origin_of_each() for endpoint in self}

    def _origin_of_each(self):
        try:
            host = self._get_outbound_target_hostname()
        except UserError:  # its backend's addon isn't installed
            host = self.target_hostname
        is_oauth = self.auth_mode == "oauth2"
        return {
            "requests": origin_of(host),
            "tokens": origin_of(is_oauth and self.oauth_token_url),
        }

    def _misplaced(self, before):
        """Columns of secrets that were entered for another origin.

        :param before: origins, as `_origin_of_each` returned them
        """
        return {
            column: False
            for target in self._moved(before)
            for column in BOUND_TO[target]
            if self[column]
        }

    def _moved(self, before):
        """Which of `before` have another origin now; a first one is not a change."""
        now = self._origin_of_each()
        return [name for name, was in before.items() if was not in ("", now[name])]

    def _forget_misplaced(self, origins, entered=()):
        """Delete secrets whose target has changed, and report it.

        :param origins: what `_origins` returned before the change
        :param entered: columns that the same save fills
        """
        for endpoint, before in origins.items():
            endpoint = endpoint.sudo()
            if not endpoint._moved(before):
                continue
            self.env["bwt.webhook.outbound.endpoint.token"].sudo()._forget(endpoint.id)
            forgotten = endpoint._misplaced(before)
            forgotten = {name: False for name in forgotten if name not in entered}
            if not forgotten:
                continue
            if "old_secret" in forgotten:
                forgotten["secret_expires_at"] = False
            endpoint._keep_secrets(forgotten)
            endpoint.with_user(self.env.user).sudo()._notify_forgotten(forgotten)

    def _notify_forgotten(self, columns):
        """Notify the endpoint's followers and the user which secrets were deleted."""
        text = self._forgotten_text(columns)
        self.message_post(body=text)
        self.env.user._bus_send(
            "simple_notification",
            {
                "type": "warning",
                "title": self.env._("Secrets removed: endpoint %s", self.name),
                "message": text,
                "sticky": True,
            },
        )

    def _forgotten_text(self, columns):
        labels = {
            "auth_secret": self.env._("Secret"),
            "signing_secret": self.env._("Signing Secret"),
            "client_certificate": self.env._("Client Certificate"),
        }
        return self.env._(
            "The target host has changed, so the secrets of the previous host were "
            "removed: %s. Enter them again for the new host.",
            ", ".join(label for name, label in labels.items() if name in columns),
        )

    @api.onchange("target_hostname", "oauth_token_url", "connector_backend_ref")
    def _onchange_origin(self):
        """Warn before saving that another host deletes the secrets."""
        saved = self._origin.sudo()
        if not saved:
            return None
        moved = self._moved(saved._origin_of_each())
        bound = {column for target in moved for column in BOUND_TO[target]}
        lost = [
            column
            for name, column in INPUTS.items()
            if column in bound and saved[column] and not self[name]
        ]
        if not lost:
            return None
        return {
            "warning": {
                "title": self.env._("Secrets removed"),
                "message": self._forgotten_text(lost),
            }
        }

    def action_remove_client_certificate(self):
        """Remove the client certificate."""
        self._keep_secrets({"client_certificate": False})
        return True
