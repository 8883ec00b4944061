# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Figures per endpoint and hour: attempts by result, and their durations.

Charts and percentages over millions of attempts read these few rows.
"""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..lane.clock import utcnow
from ..lane.health import BUCKETS, REASON_COLUMNS, RESULTS
from .const import ENDPOINT

_logger = logging.getLogger(__name__)

KEPT = timedelta(days=62)  # a chart of 30 days, and the 30 days before them
COLUMNS = (*RESULTS, *BUCKETS)
STORED = (*COLUMNS, "ms_total", *REASON_COLUMNS.values())


def sums_of(columns):
    """`sum(a), sum(b), ...`"""
    return SQL(", ").join(SQL("sum(%s)", SQL.identifier(name)) for name in columns)


_SUMS = sums_of(COLUMNS)


def _bucket(label):
    return fields.Integer(string=label, readonly=True)


class BwtWebhookOutboundEndpointHour(models.Model):
    """Attempts that began in one hour. Written by SQL (``lane/health.py``).

    Several rows belong to one hour: one per lane, and one per delivery that was sent
    in the transaction of its caller. Their sum counts.
    """

    _name = "bwt.webhook.outbound.endpoint.hour"
    _description = "Outbound Webhook Endpoint: Figures per Hour"
    _order = "hour desc, endpoint_id"
    _rec_name = "endpoint_id"
    _log_access = False

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", readonly=True
    )
    company_id = fields.Many2one(related="endpoint_id.company_id")
    hour = fields.Datetime(
        required=True, readonly=True, help="The beginning of the hour (UTC)."
    )
    lane_slot = fields.Integer(
        readonly=True,
        aggregator=False,
        help="The lane that counts in this row. Empty: counted outside of a lane.",
    )
    succeeded = fields.Integer(readonly=True, help="Attempts that ended as done.")
    retried = fields.Integer(
        readonly=True, help="Attempts that failed and that a retry follows."
    )
    failed = fields.Integer(
        readonly=True, help="Attempts that failed without another retry."
    )
    # Requests by duration, one column per bucket: an update names only those it
    # changes, and sums need no unpacking.
    ms_5 = _bucket("Up to 5 ms")
    ms_10 = _bucket("Up to 10 ms")
    ms_15 = _bucket("Up to 15 ms")
    ms_20 = _bucket("Up to 20 ms")
    ms_30 = _bucket("Up to 30 ms")
    ms_40 = _bucket("Up to 40 ms")
    ms_50 = _bucket("Up to 50 ms")
    ms_75 = _bucket("Up to 75 ms")
    ms_100 = _bucket("Up to 100 ms")
    ms_150 = _bucket("Up to 150 ms")
    ms_200 = _bucket("Up to 200 ms")
    ms_300 = _bucket("Up to 300 ms")
    ms_400 = _bucket("Up to 400 ms")
    ms_500 = _bucket("Up to 500 ms")
    ms_750 = _bucket("Up to 750 ms")
    ms_1000 = _bucket("Up to 1 s")
    ms_1500 = _bucket("Up to 1.5 s")
    ms_2000 = _bucket("Up to 2 s")
    ms_3000 = _bucket("Up to 3 s")
    ms_5000 = _bucket("Up to 5 s")
    ms_7500 = _bucket("Up to 7.5 s")
    ms_10000 = _bucket("Up to 10 s")
    ms_15000 = _bucket("Up to 15 s")
    ms_30000 = _bucket("Up to 30 s")
    ms_60000 = _bucket("Up to 60 s")
    ms_more = _bucket("Longer Than 60 s")
    ms_total = fields.Float(
        string="Total Duration", readonly=True, help="Of all requests, in ms."
    )
    # Attempts by failure reason, also those that a retry follows.
    reason_dns = _bucket("Failed: Name Not Resolved")
    reason_connect = _bucket("Failed: Connection Failed")
    reason_tls = _bucket("Failed: TLS")
    reason_timeout = _bucket("Failed: Timeout")
    reason_interrupted = _bucket("Failed: Interrupted")
    reason_egress = _bucket("Failed: Address Refused")
    reason_redirect = _bucket("Failed: Redirect")
    reason_http_4xx = _bucket("Failed: HTTP 4xx")
    reason_http_5xx = _bucket("Failed: HTTP 5xx")
    reason_response = _bucket("Failed: Invalid Response")
    reason_answer = _bucket("Failed: Response Condition")
    reason_build = _bucket("Failed: Request Not Built")
    reason_handler = _bucket("Failed: Handler")

    # Rows without a slot are never in conflict: NULLs differ from each other.
    _lane_unique = models.UniqueIndex("(endpoint_id, hour, lane_slot)")

    def init(self):
        # A busy lane updates its row many times a second: with space in the page it
        # writes no index, and vacuum finds the few dead rows soon.
        self.env.cr.execute(
            """ALTER TABLE bwt_webhook_outbound_endpoint_hour SET (
                fillfactor = 50,
                autovacuum_vacuum_scale_factor = 0.0,
                autovacuum_vacuum_threshold = 1000
            )"""
        )

    @api.autovacuum
    def _gc_old_hours(self):
        """Delete hours that no screen shows, and sum up rows that no lane updates."""
        self.env.cr.execute(
            SQL(
                "DELETE FROM bwt_webhook_outbound_endpoint_hour WHERE hour < %s",
                utcnow() - KEPT,
            )
        )
        _logger.info("retention deleted_hours=%s", self.env.cr.rowcount)
        self.env.cr.execute(
            SQL(
                """WITH taken AS (
                    SELECT id FROM bwt_webhook_outbound_endpoint_hour
                    WHERE lane_slot IS NULL AND (endpoint_id, hour) IN (
                        SELECT endpoint_id, hour
                        FROM bwt_webhook_outbound_endpoint_hour
                        WHERE lane_slot IS NULL
                        GROUP BY endpoint_id, hour HAVING count(*) > 1
                    ) FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM bwt_webhook_outbound_endpoint_hour h
                    USING taken WHERE h.id = taken.id RETURNING h.*
                )
                INSERT INTO bwt_webhook_outbound_endpoint_hour
                    (endpoint_id, hour, %(names)s)
                SELECT endpoint_id, hour, %(sums)s FROM gone
                GROUP BY endpoint_id, hour""",
                names=SQL(", ").join(map(SQL.identifier, STORED)),
                sums=sums_of(STORED),
            )
        )
        self.invalidate_model()


def sums_by_hour(env, endpoint_ids, start):
    """Hour -> sums of `COLUMNS` over these endpoints, for hours from `start` on."""
    env.cr.execute(
        SQL(
            """SELECT hour, %s FROM bwt_webhook_outbound_endpoint_hour
            WHERE endpoint_id = ANY(%s) AND hour >= %s GROUP BY hour""",
            _SUMS,
            list(endpoint_ids),
            start,
        )
    )
    return {hour: [each or 0 for each in sums] for hour, *sums in env.cr.fetchall()}


def delete_figures(endpoints):
    """Delete the figures of endpoints: they show what another company sent."""
    model = endpoints.env["bwt.webhook.outbound.endpoint.hour"].sudo()
    model.search([("endpoint_id", "in", endpoints.ids)]).unlink()
