# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests of runs over existing records."""

from datetime import timedelta

from odoo.addons.bwt_webhooks_outbound.lane import job_sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import run_batch

from ..constants import DELIVERY
from .action_case import ServerActionCase

FAST = 6000  # records a minute: 100 a second


class RunCase(ServerActionCase):
    """An action on contacts of one category, and a run over these."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.category = cls.env["res.partner.category"].create({"name": "Backfill"})
        cls.contacts = cls.make_contacts(25)
        cls.domain = [("category_id", "in", cls.category.ids)]
        cls.shop = cls.env["ir.actions.server"].create(
            {
                "name": "Contact to the shop",
                "model_id": cls.model.id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": cls.endpoint.id,
                "bwt_webhook_field_ids": [
                    (0, 0, {"usage": "field", "source_expression": "name"})
                ],
            }
        )

    @classmethod
    def make_contacts(cls, count, name="Contact"):
        return cls.env["res.partner"].create(
            [
                {"name": f"{name} {n}", "category_id": [(6, 0, cls.category.ids)]}
                for n in range(count)
            ]
        )

    def setUp(self):
        super().setUp()
        self.now = utcnow()

    def backfill(self, pace=FAST, domain=None, action=None, user=None):
        endpoint = self.endpoint.with_user(user) if user else self.endpoint
        return endpoint.backfill(
            action or self.shop, self.domain if domain is None else domain, pace=pace
        )

    def feed(self, run, seconds=1.0):
        """One batch, so many seconds after the last one; the lane is fast."""
        self.now += timedelta(seconds=seconds)
        run_batch.feed(run, self.now)
        self.end_waiting()

    def end_waiting(self):
        waiting = self.env[DELIVERY].search(
            [("endpoint_id", "=", self.endpoint.id), ("state", "=", "queued")]
        )
        self.end(waiting)

    def end(self, deliveries):
        deliveries.write({"state": "done", "next_attempt_at": False})
        deliveries.flush_recordset()

    def work_off(self, run, batches=60):
        for _batch in range(batches):
            if run.state != "running":
                return
            self.feed(run)
        self.fail(f"still running: {run.processed_count} of {run.total_count}")

    def sent_ids(self, run):
        found = self.env[DELIVERY].search(run._deliveries_domain(), order="id")
        return found.mapped("res_id")

    def waiting_jobs(self, run):
        return (
            self.env["queue.job"]
            .sudo()
            .search(
                [
                    ("identity_key", "=", job_sql.run_key(run.id)),
                    ("state", "=", "pending"),
                ]
            )
        )
