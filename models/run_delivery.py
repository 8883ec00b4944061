# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs over past deliveries: which they are, and how the next ones are queued."""

from collections import Counter

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .const import DELIVERY, RUN

STATES_OF_REPLAYS = ("done", "error", "dead_letter", "canceled")
REASONS_SHOWN = 5


class BwtWebhookOutboundRunDelivery(models.Model):
    """A delivery that a run queues again, in its place. Written by SQL."""

    _name = f"{RUN}.delivery"
    _description = "Outbound Webhook Run: Past Delivery"
    _order = "run_id, position"
    _rec_name = "delivery_id"
    _log_access = False

    run_id = fields.Many2one(comodel_name=RUN, required=True, ondelete="cascade")
    position = fields.Integer(required=True)
    # Without foreign keys: retention deletes deliveries while a run is under way.
    delivery_id = fields.Integer(required=True)
    queued_id = fields.Integer(index="btree_not_null")

    _place = models.UniqueIndex("(run_id, position)")

    @api.model
    def _fill(self, run, deliveries, domain):
        """Store what the domain finds now, in the order in which it was queued.

        :param deliveries: an empty recordset with the rights of the user
        :return: how many there are
        """
        self.env.flush_all()
        found = deliveries._search(Domain(domain))
        place = SQL(
            "row_number() OVER (ORDER BY %s, %s)",
            SQL.identifier(deliveries._table, "queue_number"),
            SQL.identifier(deliveries._table, "id"),
        )
        self.env.cr.execute(
            SQL(
                "INSERT INTO bwt_webhook_outbound_run_delivery "
                "(run_id, position, delivery_id) %s",
                found.select(
                    SQL("%s", run.id),
                    place,
                    SQL.identifier(deliveries._table, "id"),
                ),
            )
        )
        return self.env.cr.rowcount


class PastDeliveries:
    """The deliveries of a run that were not queued again yet."""

    def __init__(self, run):
        self.run = run
        env = run.env(
            user=run.user_id.id,
            su=False,
            context={
                "allowed_company_ids": run.company_ids_json or [],
                "lang": run.user_id.lang,
                "tz": run.user_id.tz,
                "tracking_disable": True,  # notes on thousands of deliveries
            },
        )
        self.deliveries = env[DELIVERY]
        self.left = Counter()

    def _ids(self, limit):
        return self.run.env.execute_query(
            SQL(
                "SELECT position, delivery_id FROM bwt_webhook_outbound_run_delivery "
                "WHERE run_id = %s AND position > %s ORDER BY position LIMIT %s",
                self.run.id,
                self.run.last_id,
                limit,
            )
        )

    def queue_next(self, limit):
        """Queue the next ones again.

        :return: how many were processed, the last position, and how many were queued
        :raise: what prevents it for any delivery
        """
        rows = self._ids(limit)
        if not rows:
            return 0, self.run.last_id, 0
        listed = self.deliveries.browse([row[1] for row in rows])
        fitting = self._fitting(listed)
        queued = self._queue_copies(fitting) if self._is_new else self._resend(fitting)
        self._store(queued)
        return len(rows), rows[-1][0], len(queued)

    @property
    def _is_new(self):
        return self.run.replay_with == "new"

    def _fitting(self, listed):
        """Those that still are as they were when the run was started."""
        env = self.run.env
        readable = listed.exists()._filtered_access("read")
        self.left[env._("deleted")] += len(listed) - len(readable)
        states = (self.run.replay_states or "").split(",")
        started_at = self.run.started_at
        fitting = readable.filtered(
            lambda each: (
                each.state in states
                and not (each.queued_at and each.queued_at > started_at)
            )
        )
        changed = len(readable) - len(fitting)
        self.left[env._("changed since the run was started")] += changed
        return fitting

    def _count_left(self, result):
        for _delivery, why in result.left:
            self.left[why.rstrip(".")] += 1

    def _resend(self, fitting):
        """Pairs (delivery, itself)."""
        result = fitting._bulk("resend")
        self._count_left(result)
        return [(each.id, each.id) for each in result.done]

    def _queue_copies(self, fitting):
        """Pairs (delivery, its copy)."""
        last_id = self.run._last_delivery_id()
        copied = fitting._bulk("replay")
        self._count_left(copied)
        copies = self.deliveries.search(
            [
                ("replayed_from_delivery_id", "in", copied.done.ids),
                ("id", ">", last_id),
                ("state", "=", "draft"),
            ],
            order="id",
        )
        result = copies._bulk("queue")
        self._count_left(result)
        return [(each.replayed_from_delivery_id.id, each.id) for each in result.done]

    def _store(self, pairs):
        if not pairs:
            return
        self.run.env.cr.execute(
            SQL(
                """UPDATE bwt_webhook_outbound_run_delivery listed
                SET queued_id = pair.queued_id
                FROM unnest(%s, %s) AS pair (delivery_id, queued_id)
                WHERE listed.run_id = %s AND listed.delivery_id = pair.delivery_id
                AND listed.position > %s""",
                [pair[0] for pair in pairs],
                [pair[1] for pair in pairs],
                self.run.id,
                self.run.last_id,
            )
        )

    def left_message(self):
        """A line per reason, the most frequent first."""
        return "\n".join(
            f"{count} · {why}"
            for why, count in self.left.most_common(REASONS_SHOWN)
            if count
        )
