# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Attempts counted per endpoint and hour."""

from datetime import timedelta

from odoo.modules.module import load_script
from odoo.tests import tagged
from odoo.tools import file_path, mute_logger

from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import BUCKETS, RESULTS, hour_of
from odoo.addons.bwt_webhooks_outbound.models.endpoint_hour import (
    COLUMNS,
    KEPT,
    sums_by_hour,
)

from ..constants import DELIVERY, ENDPOINT
from ..receiver import status
from .common import CommittedCase
from .trust_case import TrustCase

HOUR = f"{ENDPOINT}.hour"
TABLE = "bwt_webhook_outbound_endpoint_hour"
MIGRATION = "bwt_webhooks_outbound/migrations/19.0.1.3.0/post-hourly-figures.py"


def totals(env, endpoint):
    """Sums of all hours of an endpoint, by column, without those that are 0."""
    hours = sums_by_hour(env, endpoint.ids, utcnow() - KEPT).values()
    sums = [sum(column) for column in zip(*hours, strict=True)] if hours else []
    return {name: each for name, each in zip(COLUMNS, sums, strict=False) if each}


def results(env, endpoint):
    """(succeeded, retried, failed) of an endpoint."""
    found = totals(env, endpoint)
    return tuple(found.get(name, 0) for name in RESULTS)


def counted_again(env):
    """Delete all figures and count the attempts, as the update does."""
    env.cr.execute(f"DELETE FROM {TABLE}")
    load_script(file_path(MIGRATION), "post_hourly_figures").migrate(env.cr, "19.0")


@tagged("post_install", "-at_install")
class TestHourlyFigures(TrustCase):
    def test_every_attempt_is_counted_once(self):
        """Each way in which an attempt ends has its column; others aren't counted.

        What the update counts from stored attempts is the same: otherwise charts
        would change at the day of the update.
        """
        self.endpoint.retry_schedule = "1h"
        self.receiver.script("/orders", status(200), status(503), status(422))
        for _number in range(3):
            self.process({})
        self.assertEqual((1, 1, 1), results(self.env, self.endpoint))
        for outcome, expected in (
            ("done", (2, 1, 1)),
            ("dead_letter", (2, 1, 2)),
            ("retry", (2, 1, 2)),  # postponed: neither a success nor a failure
            ("cancel", (2, 1, 2)),
        ):
            with self.subTest(outcome):
                self.handler({"result_status": outcome}, code=outcome.replace("_", "-"))
                self.process({})
                self.assertEqual(expected, results(self.env, self.endpoint))
        self.endpoint.handler_id = False
        self.rule("a", "record_field", "name")  # can't be built: there is no record
        refused = self.process({})
        self.assertEqual("error", refused.state)
        self.assertEqual(len(refused.attempt_ids), 0)
        self.assertEqual((2, 1, 2), results(self.env, self.endpoint))

        before = totals(self.env, self.endpoint)
        self.assertEqual(3, sum(before.get(name, 0) for name in BUCKETS))
        counted_again(self.env)
        self.assertEqual(before, totals(self.env, self.endpoint))

    def test_every_bucket_has_a_column(self):
        """A new bound of the histogram needs a column, else recording would fail."""
        self.assertEqual([], [n for n in COLUMNS if n not in self.env[HOUR]._fields])

    def test_old_hours_are_deleted_and_single_rows_summed_up(self):
        """Nothing grows without limit, and no attempt is lost or counted twice."""
        for _number in range(3):
            self.process({})
        now = hour_of(utcnow())
        lane = {"succeeded": 4, "ms_5": 4}
        for days, slot in ((1, 0), (1, 1), (63, 0), (63, None)):
            hour = now - timedelta(days=days)
            query = sql.start_hour(self.endpoint.id, slot, hour, lane)
            self.env.execute_query(query)

        self.env[HOUR]._gc_old_hours()

        domain = [("endpoint_id", "=", self.endpoint.id)]
        rows = self.env[HOUR].search_read(domain, ["succeeded", "hour"], order="id")
        self.assertEqual([3, 4, 4], sorted(row["succeeded"] for row in rows))
        self.assertEqual(11, results(self.env, self.endpoint)[0])

    def test_figures_stay_when_deliveries_are_deleted(self):
        """Retention deletes attempts; the chart of the month still shows them."""
        self.process({}).unlink()

        self.assertEqual((1, 0, 0), results(self.env, self.endpoint))

    def test_figures_end_with_their_endpoint_and_company(self):
        """Another company must not see how much was sent, and no row is left behind."""
        self.process({}).unlink()
        self.endpoint.company_id = self.env["res.company"].create({"name": "Other"})
        self.assertEqual((0, 0, 0), results(self.env, self.endpoint))
        self.process({}).unlink()
        self.assertEqual((1, 0, 0), results(self.env, self.endpoint))
        self.endpoint.company_id = self.endpoint.company_id  # no change
        self.assertEqual((1, 0, 0), results(self.env, self.endpoint))

        self.endpoint.unlink()

        self.assertEqual((0, 0, 0), results(self.env, self.endpoint))


@tagged("post_install", "-at_install")
class TestLaneFigures(CommittedCase):
    def rows(self):
        """(slot, succeeded, retried, failed) of each row."""
        with self.transaction() as env:
            rows = env[HOUR].search([("endpoint_id", "=", self.endpoint_id)])
            return sorted(
                (row.lane_slot, row.succeeded, row.retried, row.failed) for row in rows
            )

    def test_a_lane_counts_in_one_row(self):
        """Any number of batches, decisions included, add up in the row of its slot."""
        self.set_up(retry_schedule="1h")
        self.receiver.script("/in", status(503), status(404), *[status(200)] * 3)
        self.queue(1, 2)
        self.run_lane()
        with self.transaction() as env:
            handler = env["bwt.webhook.handler"].create(
                {
                    "name": "Ends",
                    "code": f"ends-{id(self)}",
                    "outbound_rule_ids": [
                        (0, 0, {"name": "ends", "result_status": "dead_letter"})
                    ],
                }
            )
        self.addCleanup(self._take_handler_away, handler.id)
        self.set_up(handler_id=handler.id)
        self.queue(3)
        self.run_lane()
        self.set_up(handler_id=False)
        self.queue(4, 5, 6)
        self.run_lane()

        self.assertEqual([(0, 3, 1, 2)], self.rows())
        with self.transaction() as env:
            before = totals(env, self.endpoint(env))
            counted_again(env)
            self.assertEqual(before, totals(env, self.endpoint(env)))
            env.cr.rollback()

    def _take_handler_away(self, handler_id):
        with self.transaction() as env:
            self.endpoint(env).handler_id = False
            env["bwt.webhook.handler"].browse(handler_id).unlink()

    def test_interrupted_attempts_are_counted(self):
        """An attempt that a killed lane left open counts, and so does the last one.

        Otherwise a worker that is killed again and again would look like silence.
        """
        once, often = self.queue(1, 2)
        with self.transaction() as env:
            deliveries = env[DELIVERY].browse([once, often])
            deliveries.write({"state": "processing", "lane_slot": 0})
            deliveries[1].interruption_count = 4
            for each in deliveries:
                env[f"{DELIVERY}.attempt"].create(
                    {
                        "name": "open",
                        "delivery_id": each.id,
                        "attempt_number": 1,
                        "started_at": utcnow(),
                        "http_method": "post",
                        "request_body_mode": "json",
                        "target_url": "http://127.0.0.1/in",
                        "request_headers_json": "{}",
                        "payload_json": "{}",
                    }
                )
            deliveries.attempt_count = 1

        self.run_lane()

        self.assertEqual(["done", "error"], self.states([once, often]))
        self.assertEqual([(0, 1, 1, 1)], self.rows())

    def test_two_lanes_never_wait_for_each_other(self):
        """While one lane has counted and not committed, another one counts, too.

        The same holds for a long transaction that sends a delivery itself.
        """
        hour, counts = hour_of(utcnow()), {"succeeded": 1}
        with self.read_committed() as first, self.read_committed() as second:
            for env, slot in ((first, 0), (second, 1), (first, None), (second, None)):
                env.cr.execute("SET LOCAL lock_timeout = '1s'")
                env.cr.execute(sql.start_hour(self.endpoint_id, slot, hour, counts))
                if slot is not None:
                    query = sql.count_attempts(self.endpoint_id, slot, hour, counts)
                    env.cr.execute(query)
                    self.assertEqual(1, env.cr.rowcount)
            first.cr.commit()
            second.cr.commit()

        self.assertEqual(
            [(0, 1, 0, 0), (0, 1, 0, 0), (0, 2, 0, 0), (1, 2, 0, 0)], self.rows()
        )

    def test_two_owners_of_a_slot_lose_nothing(self):
        """A lane that lost its slot unnoticed begins the hour beside its successor."""
        hour, counts = hour_of(utcnow()), {"failed": 1, "ms_5": 1}
        with self.read_committed() as first, self.read_committed() as second:
            for env in (first, second):  # neither sees a row
                env.cr.execute(sql.count_attempts(self.endpoint_id, 0, hour, counts))
                self.assertEqual(0, env.cr.rowcount)
            first.cr.execute(sql.start_hour(self.endpoint_id, 0, hour, counts))
            first.cr.commit()
            second.cr.execute(sql.start_hour(self.endpoint_id, 0, hour, counts))
            second.cr.commit()

        self.assertEqual([(0, 0, 0, 2)], self.rows())

    @mute_logger("odoo.sql_db", "odoo.addons.bwt_webhooks_outbound.lane.health")
    def test_what_is_sent_is_recorded_without_figures(self):
        """If the database refuses figures, results are recorded all the same.

        Otherwise a trigger or a full table would send every request again.
        """
        with self.transaction() as env:
            env.cr.execute(
                f"ALTER TABLE {TABLE} ADD CONSTRAINT test_refused "
                f"CHECK (endpoint_id <> {self.endpoint_id})"
            )
        self.addCleanup(self._accept_again)
        ids = self.queue(1, 2)

        self.run_lane()

        self.assertEqual(["done", "done"], self.states(ids))
        self.assertEqual(2, self.receiver.total)
        self.assertEqual([], self.rows())

    def _accept_again(self):
        with self.transaction() as env:
            env.cr.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT test_refused")
