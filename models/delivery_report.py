# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models
from odoo.tools import SQL

from .const import DELIVERY, ENDPOINT


class BwtWebhookOutboundDeliveryReport(models.Model):
    """Service levels: how many deliveries of a day succeeded, and how fast.

    Percentiles can't be summed: groups show the worst of their days.
    """

    _name = "bwt.webhook.outbound.delivery.report"
    _description = "Outbound Webhook Service Levels"
    _auto = False
    _order = "day desc, endpoint_id"
    _rec_name = "endpoint_id"
    _depends = {
        DELIVERY: [
            "company_id",
            "end_to_end_seconds",
            "endpoint_id",
            "processed_at",
            "queue_to_done_seconds",
            "state",
            "write_date",
        ]
    }

    endpoint_id = fields.Many2one(comodel_name=ENDPOINT, readonly=True)
    company_id = fields.Many2one(comodel_name="res.company", readonly=True)
    day = fields.Date(
        readonly=True, help="When the deliveries ended, or went to Error (UTC)."
    )
    done_count = fields.Integer(string="Done", readonly=True)
    dead_letter_count = fields.Integer(string="Dead Letters", readonly=True)
    error_count = fields.Integer(
        string="Errors",
        readonly=True,
        help="Deliveries in Error now: they wait for a retry, or for a user.",
    )
    success_rate = fields.Float(
        readonly=True,
        aggregator="avg",
        help="Share of the deliveries that are done, of these, dead letters and "
        "errors.",
    )
    p50_seconds = fields.Float(
        string="p50 (s)",
        readonly=True,
        aggregator="max",
        help="Half of the deliveries were done within this, from queueing on.",
    )
    p95_seconds = fields.Float(
        string="p95 (s)",
        readonly=True,
        aggregator="max",
        help="95 of 100 deliveries were done within this, from queueing on.",
    )
    p99_seconds = fields.Float(
        string="p99 (s)",
        readonly=True,
        aggregator="max",
        help="99 of 100 deliveries were done within this, from queueing on.",
    )
    end_to_end_p95_seconds = fields.Float(
        string="End to End p95 (s)",
        readonly=True,
        aggregator="max",
        help="95 of 100 deliveries were done within this, from their creation on.",
    )

    @property
    def _table_query(self):
        return SQL(
            """SELECT min(id) AS id, endpoint_id, company_id,
            COALESCE(processed_at, write_date)::date AS day,
            count(*) FILTER (WHERE state = 'done') AS done_count,
            count(*) FILTER (WHERE state = 'dead_letter') AS dead_letter_count,
            count(*) FILTER (WHERE state = 'error') AS error_count,
            avg((state = 'done')::int) AS success_rate,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY queue_to_done_seconds)
                FILTER (WHERE state = 'done') AS p50_seconds,
            percentile_disc(0.95) WITHIN GROUP (ORDER BY queue_to_done_seconds)
                FILTER (WHERE state = 'done') AS p95_seconds,
            percentile_disc(0.99) WITHIN GROUP (ORDER BY queue_to_done_seconds)
                FILTER (WHERE state = 'done') AS p99_seconds,
            percentile_disc(0.95) WITHIN GROUP (ORDER BY end_to_end_seconds)
                FILTER (WHERE state = 'done') AS end_to_end_p95_seconds
            FROM bwt_webhook_outbound_delivery
            WHERE state IN ('done', 'dead_letter') AND processed_at IS NOT NULL
            OR state = 'error'
            GROUP BY endpoint_id, company_id,
            COALESCE(processed_at, write_date)::date"""
        )
