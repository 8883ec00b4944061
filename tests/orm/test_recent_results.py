# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The results of an endpoint's last attempts, on every path that records one."""

from odoo.modules.module import load_script
from odoo.tests import tagged
from odoo.tools.misc import file_path

from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import AttemptResult
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health

from ..constants import DELIVERY, ENDPOINT
from ..receiver import status
from .common import CommittedCase, OutboundCase

MIGRATION = "bwt_webhooks_outbound/migrations/19.0.1.3.0/post-endpoint-health.py"


def migrate(env):
    env.flush_all()
    script = load_script(file_path(MIGRATION), "post_endpoint_health")
    script.migrate(env.cr, "19.0.1.2.0")
    env.invalidate_all()


@tagged("post_install", "-at_install")
class TestRecordedResults(CommittedCase):
    def health(self):
        """Recorded results and the health that they mean."""
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            return endpoint.health_ids.recent_results, endpoint.health

    def sent(self, *responses):
        """Send a delivery for each of these responses, one after the other."""
        self.receiver.script("/in", *responses)
        ids = self.queue(*range(len(responses)))
        self.run_lane()
        return ids

    def test_a_lane_records_each_result(self):
        """Refusals such as 404 count, though the circuit ignores them."""
        self.set_up(retry_schedule="1h", max_in_flight=1)
        self.assertEqual((False, "no_deliveries"), self.health())

        self.sent(status(200))
        self.assertEqual(("1", "healthy"), self.health())

        self.sent(status(404))
        self.assertEqual(("10", "failing"), self.health())

        self.sent(status(503), status(503), status(204))
        self.assertEqual(("10001", "failing"), self.health())

    def test_only_refusals(self):
        """One of one failed, with 4xx: nothing else would update the health row."""
        self.sent(status(422))

        self.assertEqual(("0", "failing"), self.health())

    def test_after_a_recovery(self):
        """It is Failing until nine of ten of the last 20 attempts succeeded."""
        self.set_up(max_in_flight=1)
        self.sent(*[status(404)] * 5)

        self.sent(*[status(200)] * 17)
        self.assertEqual(("000" + "1" * 17, "failing"), self.health())

        self.sent(status(200))
        self.assertEqual(("00" + "1" * 18, "healthy"), self.health())

    def test_a_request_that_is_not_built(self):
        """It never reached the target, but nothing works: not green."""
        self.set_up(target_path="/in/{order_id}")

        [delivery] = self.queue(1)
        self.run_lane()

        self.assertEqual(["error"], self.states([delivery]))
        self.assertEqual(("0", "failing"), self.health())

    def test_an_interrupted_attempt(self):
        """A killed worker says nothing about the target."""
        [delivery] = self.queue(1)
        with self.transaction() as env:
            record = env[DELIVERY].browse(delivery)
            record.write({"state": "processing", "lane_slot": 0, "attempt_count": 1})

        self.run_lane()

        self.assertEqual(["done"], self.states([delivery]))
        self.assertEqual(("1", "healthy"), self.health())

    def test_sent_in_the_callers_transaction(self):
        """A direct run adds its results after the commit, and none without it.

        In the caller's transaction lanes would wait for the row until it ends.
        """
        ids = self.queue(1, 2)
        self.receiver.script("/in", status(200), status(404))

        with self.transaction() as env:
            env[DELIVERY].browse(ids).process_delivery()
            with self.read_committed() as other:
                other.cr.execute(
                    "SELECT recent_results FROM bwt_webhook_outbound_endpoint_health "
                    "WHERE endpoint_id = %s FOR UPDATE NOWAIT",
                    (self.endpoint_id,),
                )
                self.assertEqual([(None,)], other.cr.fetchall())

        self.assertEqual(("10", "failing"), self.health())

    def test_the_update_fills_what_lanes_would_have_recorded(self):
        """An endpoint that sent before the update isn't one without deliveries."""
        self.set_up(retry_schedule="1h", max_in_flight=1)
        self.sent(status(200), status(404), status(503), *[status(200)] * 20)
        self.sent(status(500), status(200))
        recorded = self.health()
        self.assertEqual(20, len(recorded[0]))

        with self.transaction() as env:
            self.endpoint(env).health_ids.recent_results = False
            migrate(env)

        self.assertEqual(recorded, self.health())


@tagged("post_install", "-at_install")
class TestUpdate(OutboundCase):
    def test_a_saved_filter_of_a_renamed_health(self):
        """A filter that users saved finds endpoints again after the update."""
        saved = self.env["ir.filters"].create(
            {
                "name": "Circuit",
                "model_id": ENDPOINT,
                "domain": "[('health', 'in', ['resting', \"late\"])]",
            }
        )

        migrate(self.env)

        self.assertEqual("[('health', 'in', ['circuit_open', \"late\"])]", saved.domain)

    def test_a_batch_costs_one_statement(self):
        """Results are written by the statement that writes the circuit."""
        policy = self.endpoint._policy()
        health = Health(self.env.cr, self.endpoint.id, policy, False)
        now = utcnow()
        result = AttemptResult(None, "done", "done", 0, now)
        self.env.flush_all()

        with self.assertQueryCount(2):
            health.note(["success"], now, results=[result] * 30)

        self.env.invalidate_all()
        self.assertEqual("1" * 20, self.endpoint.health_ids.recent_results)
