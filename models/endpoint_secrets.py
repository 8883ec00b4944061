# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The secrets of an endpoint: their columns, their inputs, and the host they belong to.

A secret can be written but not read. It was entered for one origin (scheme, host,
port), so any change of the target deletes it.

What a column holds (clear text, a reference, ciphertext) is known only here and in
`services/secrets.py`; everything that uses a secret calls `_read_secret`.
"""

from contextlib import contextmanager
from contextvars import ContextVar

from psycopg2.errors import LockNotAvailable

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lane.slot import read_committed
from ..services.egress.target_url import origin_of
from ..services.errors import ServiceError
from ..services.secrets import (
    ENCRYPTED,
    REFERENCES,
    TEXT,
    SecretUnavailable,
    as_entered,
)
from .const import ENDPOINT, GROUP_ADMIN, GROUP_OPERATOR
from .errors import misconfigured, translate
from .res_config_settings import egress_proxy, encrypt_proxy, secret_store

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
COLUMNS = ("auth_secret", "signing_secret", "old_secret", "client_certificate")
TOKEN = f"{ENDPOINT}.token"
RETRY_SECONDS = 60  # until a secret that couldn't be read is read again
# A save of an endpoint takes less; the caller's own transaction would never end.
LOCK_TIMEOUT = "10s"

_read = ContextVar("bwt_webhooks_outbound_secrets", default=None)


@contextmanager
def each_read_once():
    """Within, a secret is decrypted or its file read once: all parts have one value."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def is_stored(endpoint, column):
    """Whether there is such a secret, readable or not."""
    return bool(endpoint.sudo()[column])


def to_store(endpoints, values):
    """Values of columns, with entered secrets as they are stored."""
    stored = dict(values)
    for column in COLUMNS:
        if stored.get(column):
            try:
                stored[column] = secret_store().stored(
                    stored[column], _bound_to(ENDPOINT, column)
                )
            except ServiceError as error:
                raise misconfigured(endpoints[:1], error) from error
    return stored


def entered_again(endpoint, column):
    """A stored secret as it can be entered in another column; False without one."""
    stored = endpoint.sudo()[column]
    if not stored:
        return False
    return as_entered(stored, endpoint._read_secret(column))


def literal_of(entered):
    """The secret that is entered itself; empty for a reference to one."""
    return "" if entered.startswith(REFERENCES) else entered.removeprefix(TEXT)


def token_to_store(value):
    """An access token as it is stored."""
    return value and secret_store().sealed(value, _bound_to(TOKEN, "value"))


def token_stored(stored):
    """A stored access token; raises SecretUnavailable."""
    return stored and secret_store().value(stored, _bound_to(TOKEN, "value"))


def _bound_to(model, column):
    return f"{model}.{column}"


def _labels(env):
    return {
        "auth_secret": env._("Secret"),
        "signing_secret": env._("Signing Secret"),
        "old_secret": env._("Previous Signing Secret"),
        "client_certificate": env._("Client Certificate"),
    }


class BwtWebhookOutboundEndpointSecrets(models.AbstractModel):
    """How the secrets of an endpoint are read, and what the form says of them."""

    _name = "bwt.webhook.outbound.endpoint.secrets"
    _description = "Outbound Webhook Endpoint: Stored Secrets"

    secret_status = fields.Text(
        string="Storage of Secrets",
        compute="_compute_secret_status",
        groups=GROUP_OPERATOR,
        help="Where each secret is: in this database, encrypted or in clear text, or "
        "in a file or variable of the server.",
    )
    secret_problem = fields.Text(
        string="Problem with Secrets",
        compute="_compute_secret_status",
        groups=GROUP_OPERATOR,
        help="Why a secret can't be read. Deliveries wait meanwhile.",
    )

    # Not of the columns, on which only superuser code may depend.
    @api.depends("has_auth_secret", "has_signing_secret", "has_client_certificate")
    @api.depends_context("lang")
    def _compute_secret_status(self):
        labels = _labels(self.env)
        proxy_problem = self._proxy_problem()
        for endpoint in self:
            said, problems = [], proxy_problem[:]
            for column in COLUMNS:
                stored = endpoint.sudo()[column]
                if not stored:
                    continue
                try:
                    endpoint._read_secret(column)
                    text = _status(self.env, stored)
                    said.append(f"{labels[column]}: {text}")
                except ServiceError as error:
                    text = translate(self.env, error)
                    to_add = problems if endpoint._uses_secret(column) else said
                    to_add.append(f"{labels[column]}: {text}")
            endpoint.secret_status = "\n".join(said)
            endpoint.secret_problem = "\n".join(problems)

    def _proxy_problem(self):
        try:
            egress_proxy(self.env)
        except SecretUnavailable as error:
            text = translate(self.env, error)
            return [self.env._("Proxy in Settings > Webhooks: %s", text)]
        except ServiceError:  # fails each delivery with its message
            return []
        return []

    def _read_secret(self, column) -> str:
        """The secret of a column, empty without one; the only reader of these columns.

        :raise SecretUnavailable: it can't be read now
        """
        stored = self.sudo()[column]
        if not stored:
            return ""
        known = _read.get()
        key = (column, stored)
        if known is not None and key in known:
            return known[key]
        value = secret_store().value(stored, _bound_to(ENDPOINT, column))
        if known is not None:
            known[key] = value
        return value

    def _uses_secret(self, column):
        """Whether requests need the secret of a column; others are not read."""
        if column == "auth_secret":
            return self.auth_mode != "none"
        if column == "old_secret":
            until = self.secret_expires_at
            return bool(until) and until > fields.Datetime.now()
        return column != "signing_secret" or self.signing_mode != "none"

    def _readable_secret(self, column) -> str:
        """Like `_read_secret`; empty if it can't be read."""
        try:
            return self._read_secret(column)
        except SecretUnavailable:
            return ""

    @api.model
    def _reencrypt_secrets(self, batch_size=100):
        """Encrypt secrets, access tokens and the proxy by the first key of odoo.conf.

        Each batch is a transaction of its own, so that an interrupted run continues
        where it ended. References and what the first key encrypted are left alone.
        :return: (number of values encrypted, ids of endpoints with one that can't be
            read, which is left as it is)
        :raise UserError: odoo.conf has no valid key; a row is locked by another
            transaction, or by changes of the caller that aren't committed
        """
        try:
            store = secret_store()  # one for all batches
        except SecretUnavailable as error:
            raise UserError(translate(self.env, error)) from error
        if not store.keys.current:
            raise UserError(
                self.env._(
                    "There is no key to encrypt secrets with. Set secret_keys in "
                    "section [bwt_webhooks_outbound] of odoo.conf."
                )
            )
        count, unreadable = encrypt_proxy(self.env), set()
        self.env.flush_all()
        for model, id_column, columns in (
            (ENDPOINT, "id", COLUMNS),
            (TOKEN, "endpoint_id", ("value",)),
        ):
            last = 0
            while last is not None:
                with self.env.registry.cursor() as cr:
                    read_committed(cr)
                    table = self.env[model]._table
                    rows = self._locked(cr, table, id_column, columns, last, batch_size)
                    for row_id, *stored in rows:
                        changed, is_readable = _encrypted_again(
                            store, model, columns, stored
                        )
                        # An access token is requested again.
                        if not is_readable and model == ENDPOINT:
                            unreadable.add(row_id)
                        if changed:
                            _update(cr, table, id_column, row_id, changed)
                            count += len(changed)
                last = rows[-1][0] if rows else None
        self.env.invalidate_all(flush=False)
        return count, sorted(unreadable)

    def _locked(self, cr, *selection):
        """The next rows; refuses to wait for a lock that is kept."""
        cr.execute(SQL("SELECT set_config('lock_timeout', %s, true)", LOCK_TIMEOUT))
        try:
            return _rows(cr, *selection)
        except LockNotAvailable as error:
            raise UserError(
                self.env._(
                    "An endpoint is being changed by another transaction, so its "
                    "secrets were not encrypted. In a shell, commit your changes "
                    "first. Then encrypt again: what was done already is kept."
                )
            ) from error


def _status(env, stored):
    if stored.startswith(REFERENCES):
        return env._('Read from "%s".', stored)
    keys = secret_store().keys
    if secret_store().is_current(stored):
        return env._('Encrypted with key "%s".', keys.current)
    if stored.startswith(ENCRYPTED):
        return env._(
            "Encrypted with an earlier key. Press Encrypt Again in Settings > Webhooks."
        )
    if keys.current:
        return env._(
            "Stored in clear text. Press Encrypt Again in Settings > Webhooks."
        )
    return env._("Stored in clear text. Set secret_keys in odoo.conf to encrypt it.")


def _rows(cr, table, id_column, columns, last, limit):
    identifiers = [SQL.identifier(name) for name in columns]
    cr.execute(
        SQL(
            "SELECT %(id)s, %(columns)s FROM %(table)s "
            "WHERE %(id)s > %(last)s AND num_nonnulls(%(columns)s) > 0 "
            "ORDER BY %(id)s LIMIT %(limit)s FOR NO KEY UPDATE",
            id=SQL.identifier(id_column),
            columns=SQL(", ").join(identifiers),
            table=SQL.identifier(table),
            last=last,
            limit=limit,
        ),
        log_exceptions=False,
    )
    return cr.fetchall()


def _encrypted_again(store, model, columns, stored):
    """Columns to write, and whether all values of the row can be read."""
    changed, is_readable = {}, True
    for column, text in zip(columns, stored, strict=True):
        if not text or store.is_current(text):
            continue
        bound_to = _bound_to(model, column)
        try:
            changed[column] = store.sealed(store.value(text, bound_to), bound_to)
        except SecretUnavailable:
            is_readable = False
    return changed, is_readable


def _update(cr, table, id_column, row_id, values):
    cr.execute(
        SQL(
            "UPDATE %s SET %s WHERE %s = %s",
            SQL.identifier(table),
            SQL(", ").join(
                SQL("%s = %s", SQL.identifier(name), value)
                for name, value in values.items()
            ),
            SQL.identifier(id_column),
            row_id,
        ),
        log_exceptions=False,
    )


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


def secrets_of_other_kind(endpoint, vals):
    """Columns of secrets that a change of mode in `vals` deletes, as values."""
    return {
        column: False
        for field, columns in KINDS.items()
        if field in vals and vals[field] != endpoint[field]
        for column in columns
    }


def origins_of(endpoint):
    """The origins of the endpoint's target and of its token server.

    :param endpoint: with sudo
    """
    try:
        host = endpoint._get_outbound_target_hostname()
    except UserError:  # its backend's addon isn't installed
        host = endpoint.target_hostname
    is_oauth = endpoint.auth_mode == "oauth2"
    return {
        "requests": origin_of(host),
        "tokens": origin_of(is_oauth and endpoint.oauth_token_url),
    }


def changed_targets(endpoint, before):
    """Which targets have another origin now; a first origin is not a change.

    :param endpoint: with sudo
    :param before: what `origins_of` returned before the change
    """
    now = origins_of(endpoint)
    return [name for name, was in before.items() if was not in ("", now[name])]


def columns_bound_to(targets):
    """Columns of the secrets that were entered for these targets."""
    return {column for target in targets for column in BOUND_TO[target]}


def removed_text(env, columns):
    """A message for users: these secrets were removed with their host."""
    labels = _labels(env)
    del labels["old_secret"]  # removed with the current one
    return env._(
        "The target host has changed, so the secrets of the previous host were "
        "removed: %s. Enter them again for the new host.",
        ", ".join(label for name, label in labels.items() if name in columns),
    )


def notify_removed(endpoint, columns):
    """Notify the endpoint's followers and the user which secrets were removed."""
    text = removed_text(endpoint.env, columns)
    endpoint.message_post(body=text)
    endpoint.env.user._bus_send(
        "simple_notification",
        {
            "type": "warning",
            "title": endpoint.env._("Secrets removed: endpoint %s", endpoint.name),
            "message": text,
            "sticky": True,
        },
    )
