# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What ended well goes after its days, in batches; errors and dead letters stay."""

from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import delivery

from ..constants import DELIVERY
from .common import STATES, CommittedCase, OutboundCase


def days_ago(days):
    return utcnow() - timedelta(days=days)


@tagged("post_install", "-at_install")
class TestRetention(OutboundCase):
    def vacuum(self):
        return self.env[DELIVERY]._gc_ended_deliveries()

    def left(self, deliveries):
        return deliveries.exists().mapped("state")

    def test_only_what_ended_well(self):
        """Done and canceled go; everything else stays, however old."""
        old = self.env[DELIVERY].union(
            *(self.in_state(state, processed_at=days_ago(91)) for state in STATES)
        )
        young = self.in_state("done", processed_at=days_ago(89))

        self.assertEqual((2, 0), self.vacuum())

        self.assertEqual(set(STATES) - {"done", "canceled"}, set(self.left(old)))
        self.assertTrue(young.exists())

    def test_days_of_each_endpoint(self):
        """Each endpoint keeps its own days; 0 keeps all; paused and archived count."""
        keeps = self.make_endpoint("keeps", retention_days=0)
        short = self.make_endpoint("short", retention_days=1)
        deliveries = keeps.queue_delivery() + short.queue_delivery() + self.queue()
        deliveries.write({"state": "done", "processed_at": days_ago(2)})
        short.action_archive()

        self.vacuum()

        self.assertEqual(keeps + self.endpoint, deliveries.exists().endpoint_id)

    def test_traces_go_along(self):
        """Attempts, lines, files and messages go too; a replay stays."""
        self.endpoint.request_body_mode = "multipart"
        delivery = self.queue({"a": 1}, {"k": 1}, files={"doc": {"content": b"x"}})
        delivery.process_delivery()
        delivery.message_post(body=self.endpoint.name)
        delivery.action_create_replay_delivery()
        replay = delivery.replay_delivery_ids
        attempts, lines = delivery.attempt_ids, delivery.context_line_ids
        messages = delivery.message_ids
        files = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)]
        )
        for records in (attempts, lines, messages, files):
            self.assertTrue(records)
        delivery.processed_at = days_ago(100)
        self.env.flush_all()

        self.vacuum()

        for records in (delivery, attempts, lines, messages, files):
            self.assertFalse(records.exists(), records)
        self.assertFalse(replay.replayed_from_delivery_id)
        self.assertEqual({"k": 1}, replay._get_context_values())

    def test_in_batches(self):
        """A batch at a time, and it says whether more are left: the vacuum commits."""
        self.patch(delivery, "RETENTION_BATCH", 2)
        deliveries = self.endpoint.queue_deliveries([{}] * 5)
        deliveries.write({"state": "done", "processed_at": days_ago(100)})
        self.env.flush_all()

        results = [self.vacuum() for _number in range(3)]

        self.assertEqual([(2, 1), (2, 1), (1, 0)], results)
        self.assertFalse(deliveries.exists())

    def test_one_method_of_the_vacuum(self):
        """The vacuum finds it, once: no other model has it too."""
        name = "_gc_ended_deliveries"
        found = [model for model in self.env.registry if hasattr(self.env[model], name)]

        self.assertEqual([DELIVERY], found)
        self.assertTrue(self.env[DELIVERY]._gc_ended_deliveries._autovacuum)

    def test_cost(self):
        """A batch costs the same number of statements whatever its size, nearly."""
        counts = []
        for size in (10, 500):
            deliveries = self.endpoint.queue_deliveries(
                [{"context_lines": {"k": 1}}] * size
            )
            deliveries.write({"state": "done", "processed_at": days_ago(100)})
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.assertEqual(size, self.vacuum()[0])
            counts.append(self.env.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0] + 5)


class TestRetentionBesideUsers(CommittedCase):
    def test_a_locked_row_waits_for_the_next_time(self):
        """A locked row is left for the next run; the rest is deleted now."""
        ids = self.queue(1, 2, 3)
        with self.transaction() as env:
            env[DELIVERY].browse(ids).write(
                {"state": "done", "processed_at": days_ago(100)}
            )
        with self.read_committed() as user, self.transaction() as env:
            user.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE",
                (ids[0],),
            )
            self.assertEqual((2, 0), env[DELIVERY]._gc_ended_deliveries())
        with self.transaction() as env:
            self.assertEqual(ids[:1], env[DELIVERY].browse(ids).exists().ids)

    def test_a_row_changed_meanwhile_costs_no_run(self):
        """One row written since the snapshot isn't the end of the run: it says "more".

        The vacuum would log an error and come back a day later.
        """
        ids = self.queue(1, 2)
        with self.transaction() as env:
            env[DELIVERY].browse(ids).write(
                {"state": "done", "processed_at": days_ago(100)}
            )
        with self.transaction() as env:
            env.cr.execute("SELECT 1")  # the snapshot is taken here
            with self.transaction() as user:
                user[DELIVERY].browse(ids[0]).replay_count = 1
            self.assertEqual((0, 1), env[DELIVERY]._gc_ended_deliveries())
            env.cr.rollback()
            self.assertEqual((2, 0), env[DELIVERY]._gc_ended_deliveries())
