# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Service levels: percentiles per endpoint and day."""

from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from ..constants import REPORT
from .common import OutboundCase


@tagged("post_install", "-at_install")
class TestReport(OutboundCase):
    def test_percentiles_of_a_day(self):
        """Done deliveries count with their time, dead letters with their number."""
        noon = fields.Datetime.to_datetime("2026-03-02 12:00:00")
        for seconds in range(1, 101):
            ended = noon + timedelta(seconds=seconds)
            self.in_state("done", queued_at=noon, processed_at=ended)
        for _number in range(25):
            self.in_state("dead_letter", queued_at=noon, processed_at=noon)

        row = self.env[REPORT].search([("endpoint_id", "=", self.endpoint.id)])

        self.assertEqual(1, len(row))
        self.assertEqual("2026-03-02", str(row.day))
        self.assertEqual((100, 25), (row.done_count, row.dead_letter_count))
        self.assertAlmostEqual(0.8, row.success_rate)
        self.assertEqual(
            (50, 95, 99), (row.p50_seconds, row.p95_seconds, row.p99_seconds)
        )

    def test_errors(self):
        """What waits in Error counts, also where nothing has ended.

        An endpoint whose every request failed was missing for as long as it retried.
        """
        self.in_state("error", failure_reason="http_5xx")
        self.in_state("error", next_attempt_at=fields.Datetime.now())

        row = self.env[REPORT].search([("endpoint_id", "=", self.endpoint.id)])

        self.assertEqual(1, len(row))
        self.assertEqual(
            (0, 0, 2, 0.0),
            (row.done_count, row.dead_letter_count, row.error_count, row.success_rate),
        )
        self.assertEqual(fields.Date.today(), row.day)

    def test_groups_show_the_worst_day(self):
        """Percentiles can't be added up; an average would hide the bad day."""
        for day, seconds in (("2026-03-02", 1), ("2026-03-03", 60)):
            noon = fields.Datetime.to_datetime(f"{day} 12:00:00")
            ended = noon + timedelta(seconds=seconds)
            self.in_state("done", queued_at=noon, processed_at=ended)

        [(worst, count)] = self.env[REPORT]._read_group(
            [("endpoint_id", "=", self.endpoint.id)],
            [],
            ["p95_seconds:max", "done_count:sum"],
        )

        self.assertEqual((60, 2), (worst, count))
