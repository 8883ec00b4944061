# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..lane import runner_check, sql
from ..lane.clock import utcnow
from ..lane.watch import PATIENCE, queue_state, trouble
from .endpoint_policy import READERS

_logger = logging.getLogger(__name__)
SHORTAGE_SHOWN = timedelta(minutes=10)


class EndpointFigures(models.AbstractModel):
    """How an endpoint stands, for its form: read when shown, never stored."""

    _name = "bwt.webhook.outbound.endpoint.figures"
    _description = "Outbound Webhook Endpoint: Figures"

    health_ids = fields.One2many(
        string="Lane's Record",
        comodel_name="bwt.webhook.outbound.endpoint.health",
        inverse_name="endpoint_id",
        groups=READERS,
        help="The lane's own record of the target: one row.",
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
        help="Since when the longest due delivery waits. If this grows, nothing moves.",
    )
    queue_trouble = fields.Text(
        compute="_compute_queue_trouble",
        groups=READERS,
        help="Why due deliveries lie about, and what to do; empty when all is well.",
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
            "%(time)s (UTC): %(shortage)s The deliveries keep their place and their "
            "retries, and sending is tried again within seconds.",
            time=health.shortage_at.strftime("%Y-%m-%d %H:%M:%S"),
            shortage=health.shortage,
        )

    def _runner_warning(self):
        """What a test doesn't show: that no job runner works; False when one does."""
        if not self or self._runs_without_jobs():
            return False
        if queue_state(self.env.cr, self.id, utcnow()).runner_alive:
            return False
        finding = runner_check.why_no_runner(self.env.cr.dbname)
        return self.env._(
            "This test is sent at once; other deliveries wait. %s",
            runner_check.summary(self.env, finding),
        )

    def action_check_runner(self):
        """Say whether the job runner can start jobs, and what keeps it from it."""
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        finding = runner_check.check_runner(self.env)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Job Runner"),
                "message": runner_check.summary(self.env, finding),
                "type": "success" if finding.is_good else "danger",
                "sticky": True,
            },
        }

    @api.model
    def _check_runner_if_late(self):
        """Keep what the check finds, for the forms, while jobs don't start in time."""
        parameters = self.env["ir.config_parameter"].sudo()
        self.env.cr.execute(sql.late_wake_ups(utcnow() - PATIENCE))
        finding = None
        if self.env.cr.fetchone()[0]:
            finding = runner_check.check_runner(self.env)
        before = parameters.get_param(runner_check.PARAMETER)
        after = "" if finding is None or finding.is_good else runner_check.dump(finding)
        if after and after != before:
            _logger.warning("%s", runner_check.summary(self.env, finding))
        if (before or "") != after:
            parameters.set_param(runner_check.PARAMETER, after)

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
