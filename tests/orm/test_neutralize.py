# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A neutralized copy of a database: it sends nothing, and stops nobody else."""

from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged

from ..constants import ENDPOINT
from .common import OutboundCase

STATES = ("wait_dependencies", "pending", "enqueued", "started", "failed")


@tagged("post_install", "-at_install")
class TestNeutralize(OutboundCase):
    def job(self, method, state, model=ENDPOINT):
        """The uuid of a job in this state."""
        uuid = f"{model}-{state}"
        self.env.cr.execute(
            """INSERT INTO queue_job (uuid, model_name, method_name, state, name,
            channel, date_created, priority)
            VALUES (%s, %s, %s, %s, 'test', 'root', now() at time zone 'UTC', 10)""",
            (uuid, model, method, state),
        )
        return uuid

    def states(self, uuids):
        self.env.cr.execute(
            "SELECT state FROM queue_job WHERE uuid = ANY(%s)", (uuids,)
        )
        return {state for (state,) in self.env.cr.fetchall()}

    def test_its_jobs_are_cancelled(self):
        """Beside the original they would stop the runner of all databases.

        queue_job's runner reads every unfinished job, failed ones too, and fails where
        two databases have one with the same uuid.
        """
        ours = [self.job("run_lane", state) for state in STATES]
        ended = self.job("run_lane", "done")
        others = self.job("write", "pending", model="res.partner")
        queued = self.queue({"a": 1})

        for query in get_neutralization_queries(["bwt_webhooks_outbound"]):
            self.env.cr.execute(query)

        self.assertEqual({"cancelled"}, self.states(ours))
        self.assertFalse(self.wake_ups())
        self.assertEqual({"done"}, self.states([ended]))
        self.assertEqual({"pending"}, self.states([others]))
        self.env.invalidate_all()
        self.assertEqual("queued", queued.state)

    def test_it_sends_once_an_endpoint_is_activated(self):
        """Without its old job a delivery doesn't wait for the next one."""
        self.queue({"a": 1})
        for query in get_neutralization_queries(["bwt_webhooks_outbound"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()

        self.endpoint.action_activate()

        self.assertEqual(1, len(self.wake_ups()))
