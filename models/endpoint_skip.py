# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import datetime, time

from odoo import api, fields, models
from odoo.tools import SQL

from ..lane import sql
from ..lane.clock import utcnow
from .const import ENDPOINT
from .endpoint_alerts import FAILURES
from .endpoint_policy import READERS

# Key of what was counted in this transaction, stored on its cursor until it ends.
NOTED = "bwt_webhooks_outbound.skipped"


class BwtWebhookOutboundEndpointSkip(models.Model):
    """Deliveries that server actions did not queue, as the endpoint is archived.

    Rows are only inserted, never updated: a counter in one row would make users who
    save at the same time wait for each other, and fail. The vacuum sums them up.
    """

    _name = "bwt.webhook.outbound.endpoint.skip"
    _description = "Outbound Webhook Endpoint: Skipped Deliveries"
    _order = "id desc"

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", index=True
    )
    skipped = fields.Integer(string="Skipped Deliveries", required=True)
    last_at = fields.Datetime(string="Last Skipped At", required=True)

    @api.autovacuum
    def _gc_sum_up(self):
        """Sum up the rows of each endpoint in one."""
        self.env.cr.execute(
            SQL(
                """WITH taken AS (
                    SELECT id FROM bwt_webhook_outbound_endpoint_skip
                    ORDER BY id FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM bwt_webhook_outbound_endpoint_skip s
                    USING taken WHERE s.id = taken.id
                    RETURNING s.endpoint_id, s.skipped, s.last_at
                )
                INSERT INTO bwt_webhook_outbound_endpoint_skip
                    (endpoint_id, skipped, last_at)
                SELECT endpoint_id, sum(skipped), max(last_at) FROM gone
                GROUP BY endpoint_id"""
            )
        )
        self.invalidate_model()


class BwtWebhookOutboundEndpointNotQueued(models.AbstractModel):
    """What server actions could not queue on this endpoint, and its notification."""

    _name = "bwt.webhook.outbound.endpoint.not.queued"
    _description = "Outbound Webhook Endpoint: Not Queued"

    skipped_count = fields.Integer(
        string="Skipped Deliveries",
        compute="_compute_skipped",
        groups=READERS,
        help="Deliveries that server actions did not queue while the endpoint was "
        "archived.",
    )
    last_skipped_at = fields.Datetime(compute="_compute_skipped", groups=READERS)

    def _compute_skipped(self):
        found = {
            endpoint.id: (count, last)
            for endpoint, count, last in self.env[
                "bwt.webhook.outbound.endpoint.skip"
            ]._read_group(
                [("endpoint_id", "in", self.ids)],
                ["endpoint_id"],
                ["skipped:sum", "last_at:max"],
            )
        }
        for endpoint in self:
            count, last = found.get(endpoint.id, (0, False))
            endpoint.skipped_count = count
            endpoint.last_skipped_at = last

    def _count_skipped(self, action, records):
        """Count deliveries that `action` did not queue: one per record and transaction.

        :param records: empty for one delivery about no record
        :return: how many
        """
        skips = self.env["bwt.webhook.outbound.endpoint.skip"].sudo()
        noted = self.env.cr.postcommit.data.setdefault(NOTED, {})
        keys = [(action.id, record._name, record.id) for record in records]
        if not action.bwt_webhook_each_time:
            # A rollback to a savepoint may have removed some.
            known = skips.browse({noted[key] for key in keys if key in noted})
            known = set(known.exists().ids)
            keys = [key for key in keys if noted.get(key) not in known]
        count = len(keys) if records else 1
        if count:
            made = skips.create(
                {"endpoint_id": self.id, "skipped": count, "last_at": utcnow()}
            )
            noted.update(dict.fromkeys(keys, made.id))
        return count

    # Notify

    def _request_notification(self):
        """Request a notification on what actions could not queue.

        In a job: an activity writes followers and messages of the endpoint, rows on
        which concurrent transactions of users would conflict.
        """
        self.ensure_one()
        if not self.responsible_id or self._was_notified_today():
            return
        self.env.cr.execute(sql.transaction_id())
        transaction = self.env.cr.fetchone()[0]
        self._for_lane().with_delay(
            identity_key=f"bwt_webhook_outbound:notify:{self.id}:{transaction}",
            description=f"Notify of webhooks that were not queued: {self.code}",
        ).notify_not_queued()

    @api.private
    def notify_not_queued(self):
        """Job: create today's activity of the responsible user.

        :return: True if one was created
        """
        if self.state == "active":
            return self._notify_of_failures()
        if not self._wants_notification(FAILURES) or not self._may_notify():
            return False
        if self._was_notified_today():
            return False
        notes = {
            "draft": self.env._(
                "Server actions queue deliveries on this endpoint, which is in draft: "
                "they are stored as drafts. Activate the endpoint and queue them, or "
                "archive the actions."
            ),
            "archived": self.env._(
                "Server actions queue deliveries on this endpoint, which is archived: "
                "they are skipped. Activate the endpoint, or archive the actions."
            ),
        }
        self._alert(
            FAILURES,
            self.env._("Webhook endpoint isn't active"),
            notes[self.state],
        )
        return True

    def _was_notified_today(self):
        midnight = datetime.combine(utcnow().date(), time.min)
        # Including activities marked as done: that user knows for today.
        notified = self._alerts().with_context(active_test=False)
        domain = [
            *self._alert_domain(FAILURES),
            ("create_date", ">=", midnight),
        ]
        return bool(notified.search_count(domain, limit=1))
