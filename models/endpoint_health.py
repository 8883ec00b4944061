# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The health of an endpoint's target: recorded by lanes, and read for its form.

What depends on time is read from the database each time and never stored.
"""

import logging
from datetime import timedelta

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lane import diagnostics, jobs
from ..lane.clock import utcnow
from ..lane.diagnostics import GRACE_PERIOD, trouble

_logger = logging.getLogger(__name__)

CIRCUIT_STATES = [
    ("closed", "Closed"),
    ("open", "Open (Waiting)"),
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
        "responded with 410 Gone; nothing is sent until the circuit is closed by "
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
    recent_results = fields.Char(
        readonly=True,
        help="The last 20 attempts, oldest first: 1 succeeded, 0 failed.",
    )
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


# Figures


def oldest_due_dates(endpoints):
    """Endpoint id -> when its oldest due delivery became due, None without one."""
    endpoints.env.cr.execute(
        SQL(
            """SELECT e.id, (
                SELECT next_attempt_at FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = e.id AND d.state IN ('queued', 'error')
                AND d.next_attempt_at <= %s
                ORDER BY d.next_attempt_at, d.queue_number LIMIT 1
            ) FROM bwt_webhook_outbound_endpoint e WHERE e.id = ANY(%s)""",
            fields.Datetime.now(),
            list(endpoints.ids),
        )
    )
    return dict(endpoints.env.cr.fetchall())


def attempt_figures(endpoints):
    """Endpoint id -> success rate, p50 and p95 in ms of the last 24 hours."""
    endpoints.env.cr.execute(
        SQL(
            """SELECT endpoint_id, avg((state = 'done')::int),
            percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms),
            percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms)
            FROM bwt_webhook_outbound_delivery_attempt
            WHERE endpoint_id = ANY(%s) AND started_at >= %s
            AND state IN ('done', 'error', 'dead_letter')
            AND duration_ms IS NOT NULL
            GROUP BY endpoint_id""",
            list(endpoints.ids),
            fields.Datetime.now() - timedelta(hours=24),
        )
    )
    return {row[0]: row[1:] for row in endpoints.env.cr.fetchall()}


# Why nothing is sent

SHORTAGE_SHOWN = timedelta(minutes=10)


def sending_problem(endpoint, now):
    """Why due deliveries aren't sent and what to do; False without a problem."""
    if endpoint.state != "active" or endpoint.is_paused:
        return False
    health = endpoint.health_ids[:1]
    if health.shortage_at and now - health.shortage_at < SHORTAGE_SHOWN:
        return endpoint.env._(
            "%(time)s (UTC): %(shortage)s The deliveries keep their place and "
            "their retries, and sending is retried within seconds.",
            time=health.shortage_at.strftime("%Y-%m-%d %H:%M:%S"),
            shortage=health.shortage,
        )
    if endpoint.circuit_state != "closed" or not endpoint.oldest_due_at:
        return False
    return trouble(
        endpoint.env,
        jobs.queue_state(endpoint.env.cr, endpoint.id, now),
        endpoint.oldest_due_at,
        now,
        float(endpoint.timeout_seconds),
    )


def runner_warning(endpoint):
    """Warning that no job runner works, or False; a test doesn't show that."""
    env = endpoint.env
    if not endpoint or endpoint._runs_without_jobs():
        return False
    if jobs.queue_state(env.cr, endpoint.id, utcnow()).runner_alive:
        return False
    finding = diagnostics.why_no_runner(env.cr.dbname)
    return env._(
        "This test is sent at once; other deliveries wait. %s",
        diagnostics.summary(env, finding),
    )


def check_runner_if_late(env):
    """Store the result of the check, for the forms, while jobs start late."""
    parameters = env["ir.config_parameter"].sudo()
    finding = None
    if jobs.are_wake_ups_late(env.cr, utcnow() - GRACE_PERIOD):
        finding = diagnostics.check_runner(env)
    before = parameters.get_param(diagnostics.PARAMETER)
    after = "" if finding is None or finding.is_good else diagnostics.dump(finding)
    if after and after != before:
        _logger.warning("%s", diagnostics.summary(env, finding))
    if (before or "") != after:
        parameters.set_param(diagnostics.PARAMETER, after)


# Circuit


def current_circuit(endpoint):
    """State and failure streak of the circuit as the next lane will see them.

    In SQL: `circuit_closed_sql`.
    """
    row = endpoint.health_ids[:1]
    if row.circuit_state in (False, "closed"):
        return row.circuit_state, row.failure_streak
    if not endpoint.circuit_threshold and row.circuit_state != "manual":
        return "closed", 0
    opened_at, closed_at = row.opened_at, endpoint.circuit_reset_at
    if opened_at and closed_at and closed_at >= opened_at:
        return "closed", 0
    return row.circuit_state, row.failure_streak


def circuit_domain(states):
    """Endpoints whose circuit is in one of these states."""

    def is_one_of(model, alias, query):
        return SQL(
            """(SELECT CASE WHEN %s THEN 'closed' ELSE h.circuit_state END
            FROM bwt_webhook_outbound_endpoint_health h
            WHERE h.endpoint_id = %s) IN %s""",
            circuit_closed_sql(model, alias, query),
            SQL.identifier(alias, "id"),
            tuple(states),
        )

    return Domain.custom(to_sql=is_one_of)


def circuit_closed_sql(endpoints, alias, query):
    """Whether an open circuit (row `h`) is closed, though no lane recorded it yet.

    Closed by a user after it opened, or disabled. Lanes apply the same rule, see
    `lane/health.py`; only they write the row, so that they never wait for the
    transaction of a user.
    """
    return SQL(
        """(coalesce(%(reset_at)s >= h.opened_at, false)
        OR %(threshold)s = 0 AND h.circuit_state <> 'manual')""",
        reset_at=endpoints._field_to_sql(alias, "circuit_reset_at", query),
        threshold=endpoints._field_to_sql(alias, "circuit_threshold", query),
    )


# Health: what a user sees, filters and groups by

# What needs attention is first, as in the columns of the kanban view.
HEALTHS = [
    ("stopped", "Stopped by Receiver (410)"),
    ("circuit_open", "Circuit Open"),
    ("late", "Delayed"),
    ("failing", "Failing"),
    ("paused", "Paused"),
    ("no_deliveries", "No Deliveries Yet"),
    ("healthy", "Healthy"),
    ("off", "Not Active"),
]
LATE = timedelta(minutes=5)
LEAST_SUCCESS = 90  # percent of the last attempts; an endpoint below is failing
# What `health_sql` reads of other models.
READ_BESIDE = {
    "bwt.webhook.outbound.endpoint.health": (
        "circuit_state",
        "opened_at",
        "recent_results",
    ),
    "bwt.webhook.outbound.delivery": ("endpoint_id", "next_attempt_at", "state"),
}


def health_sql(endpoints, alias, query):
    """The health as an expression: the lane writes another row, and time passes."""
    return SQL(
        """CASE WHEN %(state)s <> 'active' THEN 'off'
        ELSE (
            SELECT CASE WHEN h.circuit_state = 'manual' AND NOT %(is_closed)s
            THEN 'stopped'
            WHEN %(is_paused)s THEN 'paused'
            WHEN h.circuit_state <> 'closed' AND NOT %(is_closed)s THEN 'circuit_open'
            WHEN EXISTS (
                SELECT FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = h.endpoint_id
                AND d.state IN ('queued', 'error')
                AND d.next_attempt_at < %(late)s
            ) THEN 'late'
            WHEN coalesce(h.recent_results, '') = '' THEN 'no_deliveries'
            WHEN length(replace(h.recent_results, '0', '')) * 100
                < length(h.recent_results) * %(least)s THEN 'failing'
            ELSE 'healthy' END
            FROM bwt_webhook_outbound_endpoint_health h
            WHERE h.endpoint_id = %(id)s
        ) END""",
        state=endpoints._field_to_sql(alias, "state", query),
        is_paused=endpoints._field_to_sql(alias, "is_paused", query),
        is_closed=circuit_closed_sql(endpoints, alias, query),
        id=SQL.identifier(alias, "id"),
        late=fields.Datetime.now() - LATE,
        least=LEAST_SUCCESS,
        to_flush=[
            endpoints.env[model]._fields[name]
            for model, names in READ_BESIDE.items()
            for name in names
        ],
    )


def read_healths(endpoints):
    """Endpoint id -> health."""
    stored = endpoints.sudo()._origin
    query = stored._as_query(ordered=False)
    health = stored._field_to_sql(stored._table, "health", query)
    select = query.select(SQL.identifier(stored._table, "id"), health)
    return dict(endpoints.env.execute_query(select))


def recent_summary(endpoint):
    """`17 of 20 succeeded`; False before the first attempt."""
    results = endpoint.health_ids[:1].recent_results
    return results and endpoint.env._(
        "%(done)s of %(all)s succeeded", done=results.count("1"), all=len(results)
    )


def health_domain(values):
    """Endpoints whose health is one of these values."""

    def is_one_of(model, alias, query):
        health = model._field_to_sql(alias, "health", query)
        return SQL("%s IN %s", health, tuple(values))

    return Domain.custom(to_sql=is_one_of)
