# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, models
from odoo.tools import SQL

from ..lane import sql, wake
from ..lane.clock import utcnow
from ..lane.direct import DirectRun
from ..lane.size import check_size
from ..services.errors import ConfigurationError, ServiceError
from .asked import ordering_group, record_key
from .refusal import refused


class DeliveryQueue(models.AbstractModel):
    """How a delivery gets into the queue, and how it is sent without one."""

    _name = "bwt.webhook.outbound.delivery.queue"
    _description = "Outbound Webhook Delivery: Queue"

    def _copy_files_to(self, replay):
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", self._name), ("res_id", "=", self.id)]
        )
        try:
            attachments._bwt_webhook_copy_to(replay.id)
        except ServiceError as error:
            raise refused(self, error) from error

    def _draw_queue_numbers(self, count):
        """Places in the queue, in order."""
        self.env.cr.execute(
            SQL(
                "SELECT nextval('bwt_webhook_outbound_queue_number') "
                "FROM generate_series(1, %s)",
                count,
            )
        )
        return [row[0] for row in self.env.cr.fetchall()]

    def _put_in_queue(self, fresh=False):
        """Make these due and wake their lanes; a new place where they have none.

        :param fresh: start the retry schedule anew
        """
        self._build_again()
        self._check_sizes()
        now = utcnow()
        vals = {
            "state": "queued",
            "queued_at": now,
            "next_attempt_at": now,
            "processed_at": False,
            "interruption_count": 0,
            "build_tries": 0,
            "processing_error": False,
            "failure_reason": False,
        }
        if fresh:
            vals["retry_number"] = 0
        self.write(vals)
        self._take_place()
        if self.endpoint_id[:1]._runs_without_jobs():
            self.process_delivery()
            return
        for endpoint in self.endpoint_id:
            wake.wake(endpoint)

    def _check_sizes(self):
        """Refuse deliveries that are too large to be sent.

        :raise ValidationError: names the first one
        """
        self.flush_recordset(["payload_json", "request_headers_json"])
        self.env["ir.attachment"].flush_model(["file_size", "description"])
        sizes = dict(self.env.execute_query(sql.queued_bytes(self.ids)))
        files = dict(self.env.execute_query(sql.file_bytes(self.ids)))
        for delivery in self:
            try:
                check_size(sizes.get(delivery.id, 0) + files.get(delivery.id, 0))
            except ConfigurationError as error:
                raise refused(delivery, error) from error

    def _take_place(self):
        """Give each its line in the order now in force, and a place if it has none."""
        placeless = self.filtered(lambda each: not each.queue_number).sorted("id")
        numbers = self._draw_queue_numbers(len(placeless)) if placeless else ()
        for delivery, number in zip(placeless, numbers, strict=True):
            delivery.queue_number = number
        for delivery in self:
            key = delivery.ordering_key
            ordering = delivery.endpoint_id.ordering
            if not key and (delivery.supersede or ordering == "key"):
                key = record_key(delivery.res_model, delivery.res_id)
                delivery.ordering_key = key
            delivery.ordering_group = ordering_group(ordering, key)

    @api.private
    def process_delivery(self):
        """Build, decide, send and record now, in the caller's transaction.

        Walks the lane's steps without a commit: for tests, scripts and connector
        addons. Deliveries that ended are left alone.

        :raise ValidationError: the endpoint doesn't send at present, the delivery is
            being sent right now, or isn't first in its order
        """
        for delivery in self.sudo().sorted(lambda each: (each.queue_number, each.id)):
            if delivery.state in ("done", "dead_letter", "canceled"):
                continue
            if delivery.endpoint_id.is_paused:
                raise refused(
                    delivery.endpoint_id,
                    self.env._("it is paused and sends nothing. Resume it first."),
                )
            delivery.endpoint_id._check_queueable()
            DirectRun(delivery).run()
