# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""OAuth2 tokens, one row per endpoint, for all lanes and servers."""

from contextlib import contextmanager
from typing import NamedTuple

from odoo import SUPERUSER_ID, api, fields, models
from odoo.tools import SQL

from ..lane.slot import read_committed

# Longer than one request to a token server may take: whoever waits finds its token.
LOCK_TIMEOUT = "20s"


class TokenRow(NamedTuple):
    """A token, or why there is none; times are seconds since the epoch."""

    fingerprint: str  # of the settings that it was got with
    value: str
    renew_at: float
    problem: str
    may_recover: bool
    failures: int  # in a row
    ask_again_at: float


class EndpointToken(models.Model):
    """Rows are read and written here alone, by SQL: the log shows no failed statement,
    and nobody has access, so that no token comes out by another way."""

    _name = "bwt.webhook.outbound.endpoint.token"
    _description = "Outbound Webhook Endpoint Token"
    _log_access = False

    endpoint_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.endpoint",
        required=True,
        ondelete="cascade",
    )
    fingerprint = fields.Char(groups=fields.NO_ACCESS)
    value = fields.Char(groups=fields.NO_ACCESS)
    renew_at = fields.Float(digits=False, groups=fields.NO_ACCESS)
    problem = fields.Text(groups=fields.NO_ACCESS)
    may_recover = fields.Boolean(groups=fields.NO_ACCESS)
    failures = fields.Integer(groups=fields.NO_ACCESS)
    ask_again_at = fields.Float(digits=False, groups=fields.NO_ACCESS)

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")

    @contextmanager
    def _own_transaction(self, endpoint_id):
        """This model on a cursor of its own with the row locked; commits at the end.

        On the caller's cursor for an endpoint that isn't committed yet: no other
        transaction can know it.
        """
        with self.env.registry.cursor() as cr:
            # In REPEATABLE READ who waited for the row would fail instead of seeing
            # the token that was got meanwhile.
            read_committed(cr)
            tokens = self.with_env(api.Environment(cr, SUPERUSER_ID, {}))
            cr.execute(SQL("SELECT set_config('lock_timeout', %s, true)", LOCK_TIMEOUT))
            if tokens._row(endpoint_id, lock=True):
                yield tokens
                return
        yield self

    def _row(self, endpoint_id, *, lock=False) -> TokenRow | None:
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT %s FROM bwt_webhook_outbound_endpoint_token "
                "WHERE endpoint_id = %s %s",
                SQL(", ".join(TokenRow._fields)),
                endpoint_id,
                SQL("FOR NO KEY UPDATE") if lock else SQL(),
            )
        )
        row = self.env.cr.fetchone()
        return row and TokenRow(*row)

    def _keep(self, endpoint_id, **values):
        """Write a row's columns."""
        self.env.cr.execute(
            SQL(
                "UPDATE bwt_webhook_outbound_endpoint_token SET %s "
                "WHERE endpoint_id = %s",
                SQL(", ").join(
                    SQL("%s = %s", SQL.identifier(name), value)
                    for name, value in values.items()
                ),
                endpoint_id,
            ),
            log_exceptions=False,
        )

    def _forget(self, endpoint_id):
        """Drop the token and what is known of its server."""
        self.env.flush_all()
        self._keep(
            endpoint_id,
            fingerprint=None,
            value=None,
            renew_at=0.0,
            problem=None,
            may_recover=False,
            failures=0,
            ask_again_at=0.0,
        )
