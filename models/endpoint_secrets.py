# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: its secrets, which go in and never come out."""

from odoo import api, fields, models
from odoo.tools import SQL

from .const import GROUP_ADMIN
from .endpoint_policy import READERS

# What an administrator types in, and the column that nobody reads through a form, an
# export or RPC: only code that runs as superuser.
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


def secret_column(kind, label):
    """A stored secret: in no view, copy, export, search, group or read."""
    return kind(
        string=label,
        groups=fields.NO_ACCESS,
        copy=False,
        exportable=False,
        prefetch="secrets",  # read together, and only by who asks for them
    )


def secret_input(kind, **options):
    """The way in: always shown empty; left empty it changes nothing."""
    return kind(
        compute="_compute_secret_inputs",
        readonly=False,
        copy=False,
        exportable=False,
        groups=GROUP_ADMIN,
        **options,
    )


class EndpointSecrets(models.AbstractModel):
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
        help="The token, password, key or client secret. It is kept and never shown "
        "again; leave it empty to keep the one that is there.",
    )
    signing_secret_input = secret_input(
        fields.Char,
        string="Signing Secret",
        help="A secret that the receiver gave you: it takes the place of the one that "
        "is there at once. Generate Secret makes a new one instead.",
    )
    client_certificate_input = secret_input(
        fields.Text,
        string="New Client Certificate",
        help="Certificate (and those between it and its authority) and private key "
        "without password, one after the other as PEM. Kept and never shown again.",
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
        return super().write(vals)

    @api.model
    def _part_secrets(self, vals):
        """The values without the inputs, and the columns that those are for."""
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
        """Write columns of secrets for whoever may write the endpoint."""
        if not secrets:
            return
        self.check_access("write")
        # Locked first: a statement that fails stands in the server's log with all its
        # values, and after this one the next can't meet another transaction.
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT 1 FROM %s WHERE id = ANY(%s) FOR NO KEY UPDATE",
                SQL.identifier(self._table),
                self.ids,
            )
        )
        endpoint = self.sudo()
        super(EndpointSecrets, endpoint).write(secrets)
        endpoint.flush_recordset(list(secrets))

    def action_remove_client_certificate(self):
        """Show no client certificate any more."""
        self._keep_secrets({"client_certificate": False})
        return True
