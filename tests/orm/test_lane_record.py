# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the lane writes by SQL equals what the ORM would have written."""

from odoo.tests import tagged

from ..constants import ATTEMPT, DELIVERY
from ..receiver import close, cut, status
from .common import CommittedCase

SUPERUSER = 1


@tagged("post_install", "-at_install")
class TestLaneRecord(CommittedCase):
    def setUp(self):
        super().setUp()
        self.set_up(retry_schedule="1h", max_in_flight=1)
        responses = (status(200), status(503), status(404), close(), cut(), status(429))
        self.receiver.script("/in", *responses)
        self.ids = self.queue(*range(len(responses)))
        self.run_lane()

    def test_stored_computed_fields(self):
        """Every stored computed or related field of deliveries and attempts agrees.

        A report would otherwise count durations or companies that aren't so.
        """
        with self.transaction() as env:
            deliveries = env[DELIVERY].browse(self.ids)
            states = set(deliveries.mapped("state"))
            self.assertEqual({"done", "error", "dead_letter"}, states)
            for records in (deliveries, deliveries.attempt_ids):
                computed = [
                    field
                    for field in records._fields.values()
                    if field.store and field.compute
                ]
                self.assertTrue(computed)
                for field in computed:
                    self._compare(env, records, field)

    def _compare(self, env, records, field):
        for record in records:
            before = record[field.name]
            env.add_to_compute(field, record)
            record._recompute_field(field)
            if field.type == "float":
                self.assertAlmostEqual(before, record[field.name], places=5)
            else:
                self.assertEqual(before, record[field.name], field)

    def test_counts_names_and_log_columns(self):
        """Attempts are counted, numbered and named; who and when is written."""
        with self.transaction() as env:
            for delivery in env[DELIVERY].browse(self.ids):
                attempts = delivery.attempt_ids
                self.assertEqual(len(attempts), delivery.attempt_count)
                self.assertEqual(f"{delivery.name} / Attempt 1", attempts.name)
                self.assertEqual(attempts.name, attempts.display_name)
                self.assertEqual(SUPERUSER, delivery.write_uid.id)
                self.assertGreater(delivery.write_date, delivery.create_date)
                self.assertLessEqual(attempts.started_at, attempts.finished_at)
                for name in (
                    "response_status_code",
                    "response_headers_json",
                    "response_body",
                    "processing_note",
                    "processing_error",
                    "failure_reason",
                ):
                    self.assertEqual(attempts[name], delivery[name], name)
                self.assertFalse(delivery.job_uuid or delivery.lane_slot)

    def test_columns_that_the_orm_requires(self):
        """No required column of an attempt is empty, no selection holds a stranger."""
        with self.transaction() as env:
            attempts = env[DELIVERY].browse(self.ids).attempt_ids
            for field in env[ATTEMPT]._fields.values():
                if not field.store:
                    continue
                for value in attempts.mapped(field.name):
                    if field.required and field.type != "integer":
                        self.assertTrue(value, field)
                    if field.type == "selection" and value:
                        self.assertIn(value, dict(field.selection), field)
