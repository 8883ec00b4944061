# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How much a lane claims ahead, and how much it records at once."""

from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.pacing import Pace

from .common import OutboundCase

CLOCK = "odoo.addons.bwt_webhooks_outbound.lane.pacing.time.monotonic"
BODY = 500  # bytes


@tagged("post_install", "-at_install")
class TestPace(OutboundCase):
    def setUp(self):
        super().setUp()
        self.clock = 100.0
        self.startPatcher(patch(CLOCK, lambda: self.clock))
        self.pace = Pace()
        self.clock += 0.3  # the endpoint is read, and the first batch is built

    def send(self, count, seconds):
        """Send so many, which are all answered after these seconds."""
        self.pace.sent([BODY] * count)
        self.clock += seconds
        self.pace.saw(count)
        self.pace.freed(count * BODY)

    def test_first_batches_grow(self):
        """Each is twice as large: the cost of a batch hardly depends on its size."""
        sizes = []
        for _ in range(4):
            sizes.append(self.pace.batch)
            self.send(self.pace.batch, 0.02)

        self.assertEqual([32, 64, 128, 256], sizes)

    def test_one_early_response(self):
        """The time before the first request is no part of its rate."""
        self.pace.sent([BODY] * 32)
        self.pace.saw(1)

        self.assertEqual(0, self.pace.rate)
        self.assertEqual(16, self.pace.chunk)
        self.assertEqual(64, self.pace.batch)

    def test_slow_target(self):
        """Nothing more is claimed while requests of the first batch wait."""
        self.pace.sent([BODY] * 32)
        self.clock += 5

        self.assertEqual(1, self.pace.low_water)
        self.assertEqual(0, self.pace.rate)

    def test_known_rate(self):
        """Three batches are half a second of work; a fifth is recorded at once."""
        self.send(150, 0.125)

        self.assertAlmostEqual(1200, self.pace.rate)
        self.assertEqual((200, 400), (self.pace.batch, self.pace.low_water))
        self.assertEqual(240, self.pace.chunk)
