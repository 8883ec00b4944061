# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .endpoint_policy import READERS

LATE = timedelta(minutes=5)
# What needs a person stands first, as do the columns of the kanban view.
STANDINGS = [
    ("stopped", "Stopped"),
    ("resting", "Resting"),
    ("late", "Late"),
    ("failing", "Failing"),
    ("paused", "Paused"),
    ("healthy", "Healthy"),
    ("off", "Not Active"),
]
READ_BESIDE = {
    "bwt.webhook.outbound.endpoint.health": ("circuit_state", "failure_streak"),
    "bwt.webhook.outbound.delivery": ("endpoint_id", "next_attempt_at", "state"),
}


class EndpointStanding(models.AbstractModel):
    """How an endpoint stands, as one word to filter and group by: never stored.

    The lane writes a row of its own and time passes by itself, so the database is
    asked for the word each time.
    """

    _name = "bwt.webhook.outbound.endpoint.standing"
    _description = "Outbound Webhook Endpoint: Standing"

    health = fields.Selection(
        selection=STANDINGS,
        compute="_compute_health",
        search="_search_health",
        group_expand="_sorted_healths",
        groups=READERS,
        help="Stopped: the target answered 410 Gone, a person must resume it. Resting: "
        "the circuit is open, probes go out. Late: a delivery is due for more than "
        "five minutes. Failing: the last request failed.",
    )

    def _compute_health(self):
        stored = self.sudo()._origin
        query = stored._as_query(ordered=False)
        word = stored._field_to_sql(self._table, "health", query)
        words = dict(
            self.env.execute_query(
                query.select(SQL.identifier(self._table, "id"), word)
            )
        )
        for endpoint in self:
            endpoint.health = words.get(endpoint._origin.id)

    def _search_health(self, operator, value):
        if operator != "in":
            return NotImplemented

        def is_one_of(model, alias, query):
            word = model._field_to_sql(alias, "health", query)
            return SQL("%s IN %s", word, tuple(value))

        return Domain.custom(to_sql=is_one_of)

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr != "health":
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields["health"], "read")
        return SQL(
            """CASE WHEN %(state)s <> 'active' THEN 'off'
            WHEN %(is_paused)s THEN 'paused'
            ELSE (
                SELECT CASE WHEN h.circuit_state = 'manual' THEN 'stopped'
                WHEN h.circuit_state <> 'closed' THEN 'resting'
                WHEN EXISTS (
                    SELECT FROM bwt_webhook_outbound_delivery d
                    WHERE d.endpoint_id = h.endpoint_id
                    AND d.state IN ('queued', 'error')
                    AND d.next_attempt_at < %(late)s
                ) THEN 'late'
                WHEN h.failure_streak > 0 THEN 'failing'
                ELSE 'healthy' END
                FROM bwt_webhook_outbound_endpoint_health h
                WHERE h.endpoint_id = %(id)s
            ) END""",
            state=self._field_to_sql(alias, "state", query),
            is_paused=self._field_to_sql(alias, "is_paused", query),
            id=SQL.identifier(alias, "id"),
            late=fields.Datetime.now() - LATE,
            to_flush=[
                self.env[model]._fields[name]
                for model, names in READ_BESIDE.items()
                for name in names
            ],
        )

    def _sorted_healths(self, values, domain):
        return [word for word, _label in STANDINGS if word in values]
