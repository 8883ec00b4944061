# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lane import diagnostics, sql
from ..lane.clock import utcnow
from ..lane.diagnostics import GRACE_PERIOD, queue_state, trouble
from .endpoint_policy import READERS

CIRCUIT_STATES = [
    ("closed", "Closed"),
    ("open", "Open"),
    ("half_open", "Half-Open (Probing)"),
    ("manual", "Stopped by Receiver (410)"),
]


class BwtWebhookOutboundEndpointHealth(models.Model):
    """The state of a target, in a row that only the lane writes.

    Otherwise a lane and a user who edits the endpoint would write the same row.
    """

    _name = "bwt.webhook.outbound.endpoint.health"
    _description = "Outbound Webhook Endpoint Health"
    _rec_name = "endpoint_id"
    _log_access = False

    endpoint_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.endpoint",
        required=True,
        ondelete="cascade",
        readonly=True,
    )
    company_id = fields.Many2one(related="endpoint_id.company_id")
    circuit_state = fields.Selection(
        selection=CIRCUIT_STATES,
        default="closed",
        required=True,
        readonly=True,
        help="As recorded by the last lane. Open: the target failed too often in a "
        "row; one probe is sent after a pause. Stopped by Receiver: the target "
        "answered 410 Gone; nothing is sent until the circuit is closed by "
        "hand.",
    )
    failure_streak = fields.Integer(
        string="Consecutive Failures", readonly=True, help="Consecutive failures."
    )
    opened_at = fields.Datetime(readonly=True)
    cooldown_seconds = fields.Float(readonly=True)
    next_probe_at = fields.Datetime(readonly=True)
    rate_tokens = fields.Float(readonly=True)
    rate_tokens_at = fields.Datetime(readonly=True)
    last_success_at = fields.Datetime(readonly=True)
    last_failure_at = fields.Datetime(readonly=True)
    shortage_at = fields.Datetime(
        readonly=True,
        help="When this Odoo server last ran out of files, threads or memory while "
        "sending.",
    )
    shortage = fields.Char(
        readonly=True, help="The resource that this Odoo server ran out of."
    )
    ordering_in_force = fields.Char(
        string="Current Ordering",
        readonly=True,
        help="The ordering by which the waiting deliveries are grouped.",
    )

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")


_logger = logging.getLogger(__name__)
SHORTAGE_SHOWN = timedelta(minutes=10)


class BwtWebhookOutboundEndpointFigures(models.AbstractModel):
    """Figures of an endpoint for its form: read when shown, never stored."""

    _name = "bwt.webhook.outbound.endpoint.figures"
    _description = "Outbound Webhook Endpoint: Figures"

    health_ids = fields.One2many(
        string="Recorded Health",
        comodel_name="bwt.webhook.outbound.endpoint.health",
        inverse_name="endpoint_id",
        groups=READERS,
        help="Health of the target as recorded by the lane: one row.",
    )
    next_probe_at = fields.Datetime(related="health_ids.next_probe_at", groups=READERS)
    last_success_at = fields.Datetime(
        related="health_ids.last_success_at", string="Last Success", groups=READERS
    )
    last_failure_at = fields.Datetime(
        related="health_ids.last_failure_at", string="Last Failure", groups=READERS
    )
    oldest_due_at = fields.Datetime(
        compute="_compute_oldest_due",
        groups=READERS,
        help="When the oldest due delivery became due. If this time stays in the "
        "past, nothing is being sent.",
    )
    queue_trouble = fields.Text(
        string="Sending Problem",
        compute="_compute_queue_trouble",
        groups=READERS,
        help="Why due deliveries aren't sent and what to do. Empty when there is no "
        "problem.",
    )
    success_rate_24h = fields.Float(
        string="Success Rate (24 h)",
        compute="_compute_attempt_figures",
        groups=READERS,
        help="Share of the attempts of the last 24 hours that were answered with 2xx.",
    )
    duration_p50_ms = fields.Integer(
        string="Duration p50 (ms)",
        compute="_compute_attempt_figures",
        groups=READERS,
        help="Half of the requests of the last 24 hours were answered within this.",
    )
    duration_p95_ms = fields.Integer(
        string="Duration p95 (ms)",
        compute="_compute_attempt_figures",
        groups=READERS,
        help="95 of 100 requests of the last 24 hours were answered within this.",
    )

    def _compute_oldest_due(self):
        self.env.cr.execute(
            SQL(
                """SELECT e.id, (
                    SELECT next_attempt_at FROM bwt_webhook_outbound_delivery d
                    WHERE d.endpoint_id = e.id AND d.state IN ('queued', 'error')
                    AND d.next_attempt_at <= %s
                    ORDER BY d.next_attempt_at, d.queue_number LIMIT 1
                ) FROM bwt_webhook_outbound_endpoint e WHERE e.id = ANY(%s)""",
                fields.Datetime.now(),
                list(self.ids),
            )
        )
        oldest = dict(self.env.cr.fetchall())
        for endpoint in self:
            endpoint.oldest_due_at = oldest.get(endpoint.id)

    def _compute_queue_trouble(self):
        now = utcnow()
        for endpoint in self:
            endpoint.queue_trouble = False
            if endpoint.state != "active" or endpoint.is_paused:
                continue
            health = endpoint.health_ids[:1]
            if health.shortage_at and now - health.shortage_at < SHORTAGE_SHOWN:
                endpoint.queue_trouble = endpoint._shortage_text(health)
                continue
            if endpoint.circuit_state != "closed" or not endpoint.oldest_due_at:
                continue
            state = queue_state(self.env.cr, endpoint.id, now)
            endpoint.queue_trouble = trouble(
                self.env,
                state,
                endpoint.oldest_due_at,
                now,
                float(endpoint.timeout_seconds),
            )

    def _shortage_text(self, health):
        return self.env._(
            "%(time)s (UTC): %(shortage)s The deliveries keep their place and "
            "their retries, and sending is retried within seconds.",
            time=health.shortage_at.strftime("%Y-%m-%d %H:%M:%S"),
            shortage=health.shortage,
        )

    def _runner_warning(self):
        """Warning that no job runner works, or False; a test doesn't show that."""
        if not self or self._runs_without_jobs():
            return False
        if queue_state(self.env.cr, self.id, utcnow()).runner_alive:
            return False
        finding = diagnostics.why_no_runner(self.env.cr.dbname)
        return self.env._(
            "This test is sent at once; other deliveries wait. %s",
            diagnostics.summary(self.env, finding),
        )

    def action_check_runner(self):
        """Report whether the job runner can start jobs, and what prevents it."""
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        finding = diagnostics.check_runner(self.env)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Job Runner"),
                "message": diagnostics.summary(self.env, finding),
                "type": "success" if finding.is_good else "danger",
                "sticky": True,
            },
        }

    @api.model
    def _check_runner_if_late(self):
        """Store the result of the check, for the forms, while jobs start late."""
        parameters = self.env["ir.config_parameter"].sudo()
        self.env.cr.execute(sql.late_wake_ups(utcnow() - GRACE_PERIOD))
        finding = None
        if self.env.cr.fetchone()[0]:
            finding = diagnostics.check_runner(self.env)
        before = parameters.get_param(diagnostics.PARAMETER)
        after = "" if finding is None or finding.is_good else diagnostics.dump(finding)
        if after and after != before:
            _logger.warning("%s", diagnostics.summary(self.env, finding))
        if (before or "") != after:
            parameters.set_param(diagnostics.PARAMETER, after)

    def _compute_attempt_figures(self):
        self.env.cr.execute(
            SQL(
                """SELECT endpoint_id, avg((state = 'done')::int),
                percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms),
                percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms)
                FROM bwt_webhook_outbound_delivery_attempt
                WHERE endpoint_id = ANY(%s) AND started_at >= %s
                AND state IN ('done', 'error', 'dead_letter')
                AND duration_ms IS NOT NULL
                GROUP BY endpoint_id""",
                list(self.ids),
                fields.Datetime.now() - timedelta(hours=24),
            )
        )
        figures = {row[0]: row[1:] for row in self.env.cr.fetchall()}
        for endpoint in self:
            rate, p50, p95 = figures.get(endpoint.id, (0, 0, 0))
            endpoint.success_rate_24h = float(rate or 0)
            endpoint.duration_p50_ms = p50 or 0
            endpoint.duration_p95_ms = p95 or 0


LATE = timedelta(minutes=5)
# What needs attention is first, as in the columns of the kanban view.
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


class BwtWebhookOutboundEndpointStanding(models.AbstractModel):
    """The status of an endpoint, to filter and group by: never stored.

    The lane writes another row, and the status changes with time, so it is read from
    the database each time.
    """

    _name = "bwt.webhook.outbound.endpoint.standing"
    _description = "Outbound Webhook Endpoint: Status"

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
        string="Consecutive Failures",
        compute="_compute_circuit",
        groups=READERS,
        help="Consecutive failures.",
    )

    @api.depends(
        "health_ids.circuit_state",
        "health_ids.failure_streak",
        "health_ids.opened_at",
        "circuit_reset_at",
        "circuit_threshold",
    )
    def _compute_circuit(self):
        """The circuit as the next lane will see it: see `_closed_sql`."""
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

        Closed by a user after it opened, or disabled. Lanes apply the same rule, see
        `lane/health.py`; only they write the row, so that they never wait for the
        transaction of a user.
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
