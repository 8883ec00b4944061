# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What rules, lines and handlers cost: no query per delivery; time: `make bench`."""

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import Claimed, Prepared
from odoo.addons.bwt_webhooks_outbound.lane.batch import prepare_batch

from .request_case import RequestCase, assignment, condition


@tagged("any_database")
class TestBuildCost(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = cls.env["res.partner"].create(
            [{"name": f"Partner {n}", "ref": f"R{n}"} for n in range(1000)]
        )

    def setUp(self):
        super().setUp()
        self.endpoint.target_path = "/orders/{order_id}?from={shop}"
        for n in range(2):
            self.header(f"X-Literal-{n}", literal="order {order_id}")
            self.rule(f"literals.l{n}", literal='{"id": "{order_id}", "n": 1.5}')
        self.header("X-Company", "company_field", "name")
        self.header("X-Partner", "partner_field", "name")
        self.header("X-Key", "context_key", "shop", value_map="s = shop\n* = other")
        self.rule("partner.ref", "record_field", "ref", value_map="a = b")
        self.rule("partner.country", "record_field", "country_id.code")
        self.rule("queued", "delivery_field", "queued_at")
        self.handler(
            {
                "result_status": "cancel",
                "condition_ids": [condition("payload.total", "greater", "1000")],
            },
            {
                "result_status": "retry",
                "condition_ids": [
                    condition("ref", "starts_with", "Z", kind="record_field"),
                ],
            },
            {
                "result_status": "mutate",
                "condition_ids": [condition("payload.total", "is_set")],
                "assignment_ids": [
                    assignment("header", "X-Rule", "{order_id}"),
                    assignment("payload", "seen", "true"),
                ],
            },
        )

    def queue(self, count):
        return self.endpoint.queue_deliveries(
            [
                {
                    "payload": {"total": 5, "lines": [{"sku": "a", "qty": 1}]},
                    "context_lines": {"order_id": 42, "shop": "s", "note": "a text"},
                    "record": self.partners[n],
                    "name": f"Order {n}",
                }
                for n in range(count)
            ]
        ).sudo()

    def queries(self, count):
        """Queries with which the lane prepares a claimed batch of that size."""
        deliveries = self.queue(count)
        self.env.flush_all()
        self.env.invalidate_all()
        endpoint = deliveries[0].endpoint_id._for_lane()
        claimed = [
            Claimed(each, "", "queued", 0, 0, 0, None) for each in deliveries.ids
        ]
        before = self.cr.sql_log_count
        snapshot = endpoint._outbound_snapshot()
        batch = prepare_batch(deliveries.with_env(endpoint.env), snapshot, claimed)
        for each in batch:
            self.assertIsInstance(each, Prepared, getattr(each, "error", None))
        return self.cr.sql_log_count - before

    def test_same_queries_for_ten_and_a_thousand(self):
        """No query per delivery, or the lane would wait for the database."""
        self.queries(1)  # fills Odoo's own caches

        self.assertEqual(self.queries(10), self.queries(1000))
