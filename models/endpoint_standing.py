# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .endpoint_health import CIRCUIT_STATES
from .endpoint_policy import READERS

LATE = timedelta(minutes=5)
# What needs a person stands first, as do the columns of the kanban view.
STANDINGS = [
    ("stopped", "Stopped by Receiver (410)"),
    ("resting", "Circuit Open"),
    ("late", "Delayed"),
    ("failing", "Failing"),
    ("paused", "Paused"),
    ("healthy", "Healthy"),
    ("off", "Not Active"),
]
READ_BESIDE = {
    "bwt.webhook.outbound.endpoint.health": (
        "circuit_state",
        "failure_streak",
        "opened_at",
    ),
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
        help="Stopped by Receiver: the target answered 410 Gone; nothing is sent until "
        "the circuit is closed by hand. Circuit Open: only probes are sent. Delayed: a "
        "delivery is due for more than five minutes. Failing: the last request failed.",
    )
    circuit_state = fields.Selection(
        selection=CIRCUIT_STATES,
        string="Circuit",
        compute="_compute_circuit",
        search="_search_circuit_state",
        groups=READERS,
        help="Open: the target failed too often in a row; one probe is sent after a "
        "pause. Stopped by Receiver: the target answered 410 Gone; nothing is sent "
        "until the circuit is closed by hand.",
    )
    failure_streak = fields.Integer(
        compute="_compute_circuit", groups=READERS, help="Failures in a row."
    )

    @api.depends(
        "health_ids.circuit_state",
        "health_ids.failure_streak",
        "health_ids.opened_at",
        "circuit_reset_at",
        "circuit_threshold",
    )
    def _compute_circuit(self):
        """The circuit as the next lane will find it: see `_closed_sql`."""
        for endpoint in self:
            row = endpoint.health_ids[:1]
            opened_at, closed_at = row.opened_at, endpoint.circuit_reset_at
            if row.circuit_state in (False, "closed"):
                is_over = False
            elif not endpoint.circuit_threshold and row.circuit_state != "manual":
                is_over = True
            else:
                is_over = bool(opened_at and closed_at and closed_at >= opened_at)
            endpoint.circuit_state = "closed" if is_over else row.circuit_state
            endpoint.failure_streak = 0 if is_over else row.failure_streak

    def _search_circuit_state(self, operator, value):
        if operator != "in":
            return NotImplemented

        def is_one_of(model, alias, query):
            return SQL(
                """(SELECT CASE WHEN %s THEN 'closed' ELSE h.circuit_state END
                FROM bwt_webhook_outbound_endpoint_health h
                WHERE h.endpoint_id = %s) IN %s""",
                model._closed_sql(alias, query),
                SQL.identifier(alias, "id"),
                tuple(value),
            )

        return Domain.custom(to_sql=is_one_of)

    def _closed_sql(self, alias, query):
        """Whether an open circuit (row `h`) is closed, though no lane recorded it yet.

        Closed by a person since it opened, or switched off. Lanes judge the same way,
        see `lane/health.py`; they alone write the row, so that they never wait for a
        person's transaction.
        """
        return SQL(
            """(coalesce(%(reset_at)s >= h.opened_at, false)
            OR %(threshold)s = 0 AND h.circuit_state <> 'manual')""",
            reset_at=self._field_to_sql(alias, "circuit_reset_at", query),
            threshold=self._field_to_sql(alias, "circuit_threshold", query),
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
            ELSE (
                SELECT CASE WHEN h.circuit_state = 'manual' AND NOT %(is_closed)s
                THEN 'stopped'
                WHEN %(is_paused)s THEN 'paused'
                WHEN h.circuit_state <> 'closed' AND NOT %(is_closed)s THEN 'resting'
                WHEN EXISTS (
                    SELECT FROM bwt_webhook_outbound_delivery d
                    WHERE d.endpoint_id = h.endpoint_id
                    AND d.state IN ('queued', 'error')
                    AND d.next_attempt_at < %(late)s
                ) THEN 'late'
                WHEN h.failure_streak > 0
                AND (h.circuit_state = 'closed' OR NOT %(is_closed)s) THEN 'failing'
                ELSE 'healthy' END
                FROM bwt_webhook_outbound_endpoint_health h
                WHERE h.endpoint_id = %(id)s
            ) END""",
            state=self._field_to_sql(alias, "state", query),
            is_paused=self._field_to_sql(alias, "is_paused", query),
            is_closed=self._closed_sql(alias, query),
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
