# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import logging

from odoo import api, models
from odoo.tools import SQL

from ..lane.clock import utcnow
from .const import DELIVERY
from .delivery_state import TAKEN

_logger = logging.getLogger(__name__)

BATCH = 1000


class DeliveryRetention(models.AbstractModel):
    """What ended well goes after its endpoint's days; errors and dead letters stay."""

    _name = "bwt.webhook.outbound.delivery.retention"
    _description = "Outbound Webhook Delivery: Retention"

    @api.autovacuum
    def _gc_ended_deliveries(self):
        """Delete done and canceled deliveries older than `retention_days`, one batch.

        Attempts, context lines, files and messages go with them.
        :return: how many went and whether more are left: the vacuum commits and comes
            back for those
        """
        if self._name != DELIVERY:  # the vacuum asks every model, this part too
            return 0, 0
        try:
            with self.env.cr.savepoint():
                found = self._lock_expired(BATCH)
                self.browse(found).unlink()
        except TAKEN:  # somebody works on one of them: a fresh snapshot will do
            self.env.invalidate_all(flush=False)
            return 0, 1
        if found:
            _logger.info("retention deleted=%s", len(found))
        return len(found), int(len(found) == BATCH)

    @api.model
    def _lock_expired(self, limit):
        """Ids of up to `limit` deliveries whose days are over, longest ended first."""
        # By endpoint, so that each reads its own stretch of the partial index.
        self.env.cr.execute(
            SQL(
                """SELECT d.id FROM bwt_webhook_outbound_endpoint e CROSS JOIN LATERAL (
                    SELECT id FROM bwt_webhook_outbound_delivery
                    WHERE endpoint_id = e.id AND state IN ('done', 'canceled')
                    AND processed_at < %(now)s - e.retention_days * interval '1 day'
                    ORDER BY processed_at LIMIT %(limit)s
                ) d WHERE e.retention_days > 0 LIMIT %(limit)s""",
                now=utcnow(),
                limit=limit,
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s) "
                "FOR UPDATE SKIP LOCKED",
                ids,
            ),
            log_exceptions=False,  # the next run has them
        )
        return [row[0] for row in self.env.cr.fetchall()]
