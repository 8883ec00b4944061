# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What rules, lines and handlers cost: no query per delivery, half a millisecond."""

import gc
import time

from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import Claimed, Prepared
from odoo.addons.bwt_webhooks_outbound.lane.batch import prepare_batch

from .request_case import ENDPOINT, RequestCase, assignment, condition

LIMIT = 0.0005  # CPU seconds per delivery, beyond a plain build


class TestBuildCost(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = cls.env[ENDPOINT].create(
            {
                "name": "Plain",
                "code": "plain",
                "target_hostname": "https://shop.example.com",
            }
        )
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

    def queue(self, endpoint, count, rich):
        lines = {"order_id": 42, "shop": "s", "note": "a text"} if rich else None
        return endpoint.queue_deliveries(
            [
                {
                    "payload": {"total": 5, "lines": [{"sku": "a", "qty": 1}]},
                    "context_lines": lines,
                    "record": self.partners[n] if rich else None,
                    "name": f"Order {n}",
                }
                for n in range(count)
            ]
        ).sudo()

    def prepare(self, deliveries):
        """What the lane does with a claimed batch; returns queries and seconds."""
        self.env.flush_all()
        self.env.invalidate_all()
        gc.collect()
        endpoint = deliveries[0].endpoint_id._for_lane()
        claimed = [
            Claimed(each, "", "queued", 0, 0, 0, None) for each in deliveries.ids
        ]
        before, start = self.cr.sql_log_count, time.thread_time()
        snapshot = endpoint._outbound_snapshot()
        batch = prepare_batch(deliveries.with_env(endpoint.env), snapshot, claimed)
        seconds = time.thread_time() - start  # CPU: neighbours don't count
        for each in batch:
            self.assertIsInstance(each, Prepared, getattr(each, "error", None))
        return self.cr.sql_log_count - before, seconds

    def test_same_queries_for_ten_and_a_thousand(self):
        """No query per delivery, or the lane would wait for the database."""
        self.prepare(self.queue(self.endpoint, 1, True))  # fills Odoo's own caches
        few, _ = self.prepare(self.queue(self.endpoint, 10, True))
        many, _ = self.prepare(self.queue(self.endpoint, 1000, True))

        self.assertEqual(few, many)

    def test_cost_beyond_a_plain_build(self):
        """Five header rules, five payload rules, three lines, a handler of three."""
        rich = self.queue(self.endpoint, 1000, True)
        plain = self.queue(self.plain, 1000, False)

        costs = [
            (self.prepare(rich)[1] - self.prepare(plain)[1]) / 1000 for _ in range(3)
        ]

        self.assertLess(min(costs), LIMIT)
