# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where claims start to read while dead rows make reading from the beginning slow."""
# pylint: disable=invalid-commit  # real transactions, on cursors of their own

from datetime import timedelta
from unittest.mock import patch

from odoo import SUPERUSER_ID, api
from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane import pacing
from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health
from odoo.addons.bwt_webhooks_outbound.lane.pacing import Check, Position
from odoo.addons.bwt_webhooks_outbound.lane.recording import open_attempts

from .common import CommittedCase, OutboundCase

CLOCK = "odoo.addons.bwt_webhooks_outbound.lane.pacing.time.monotonic"


def slow_position() -> Position:
    """One whose last two checks from the beginning took a second each."""
    position = Position()
    position.full.took(1)
    position.full.took(1)
    return position


@tagged("post_install", "-at_install")
class TestCheck(OutboundCase):
    def setUp(self):
        super().setUp()
        self.clock = 100.0
        self.startPatcher(patch(CLOCK, lambda: self.clock))

    def test_slow_check_is_rare(self):
        """A check takes at most a two-hundredth of the time, else it stops sending."""
        check = Check(1.0)
        self.assertEqual(0, check.left)
        check.took(0.5)
        check.took(0.5)
        self.clock += 60

        self.assertTrue(check.is_slow)
        self.assertEqual(40, check.left)

    def test_one_slow_check(self):
        """One that waited for a busy server, or that found many rows, isn't slow."""
        check = Check(1.0)
        check.took(0.5)
        self.assertFalse(check.is_slow)
        check.took(0.1, rows=500)
        self.assertFalse(check.is_slow)
        self.assertEqual(1, check.left)

    def test_expired_check(self):
        """What is known to be there is looked for at once, however slow that is."""
        position = slow_position()
        self.assertGreater(position.full.left, 0)
        position.restart()

        self.assertEqual(0, position.full.left)
        self.assertIsNone(position.begin(utcnow()))

    def test_new_lane(self):
        """A new lane starts at the beginning, unless that was slow a moment ago."""
        position = Position.of("x", 1, 0)
        self.addCleanup(pacing._POSITIONS.pop, ("x", 1, 0))
        position._last = (utcnow(), 7)
        position.full.took(0)
        self.assertIsNone(Position.of("x", 1, 0).begin(utcnow()))

        position._last = (utcnow(), 7)
        position.full.took(1)
        position.full.took(1)
        self.assertIsNotNone(Position.of("x", 1, 0).begin(utcnow()))
        self.assertIsNone(Position.of("x", 1, 1).begin(utcnow()))
        pacing._POSITIONS.pop(("x", 1, 1))


@tagged("post_install", "-at_install")
class TestLateCommit(CommittedCase):
    def claim(self, env, position, now):
        """Ids that a lane claims."""
        endpoint = self.endpoint(env)._for_lane()
        snapshot = endpoint._outbound_snapshot()
        health = Health(env.cr, endpoint.id, snapshot.policy, False)
        claim = Claim(endpoint, snapshot, health, position, "j")
        batch = claim.take(10, now, alone=False)
        open_attempts(env.cr, snapshot, batch.prepared, "j", 0, now)
        env.cr.commit()
        return [each.claimed.id for each in batch.prepared]

    def test_late_commit(self):
        """What commits long after it was queued is found though full checks are rare.

        Claims start at the place that the last one reached. A transaction that queued
        before that, and commits after it, would wait for the next full check.
        """
        position = slow_position()
        later = utcnow() + timedelta(minutes=1)
        position._last = (later - timedelta(seconds=30), 0)
        with self.registry.cursor() as cr, self.read_committed() as lane:
            env = api.Environment(cr, SUPERUSER_ID, {})
            late = self.endpoint(env).queue_deliveries([{"payload": "late"}]).ids
            first = self.queue("first")
            with self.transaction() as other:
                deliveries = other["bwt.webhook.outbound.delivery"].browse(first)
                deliveries.next_attempt_at = later
            self.assertEqual(first, self.claim(lane, position, later))
            cr.commit()

            self.assertEqual(late, self.claim(lane, position, later))
        self.assertGreater(position.full.left, 0)
