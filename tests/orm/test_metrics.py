# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Metrics of all endpoints: what they say, and what reading them costs."""

import time
from datetime import timedelta
from unittest import SkipTest

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import REASON_COLUMNS, hour_of
from odoo.addons.bwt_webhooks_outbound.models import metrics
from odoo.addons.bwt_webhooks_outbound.models.const import FAILURE_REASONS
from odoo.addons.bwt_webhooks_outbound.services.histogram import BOUNDS

from ..receiver import status
from .common import OutboundCase

HOURS = "bwt_webhook_outbound_endpoint_hour"


@tagged("post_install", "-at_install")
class TestMetrics(OutboundCase):
    def scraped(self):
        """Metric -> labels as sorted pairs -> value."""
        try:
            from prometheus_client.parser import text_string_to_metric_families
        except ImportError as error:
            raise SkipTest("needs prometheus-client") from error
        self.env.flush_all()
        found = {}
        for metric in text_string_to_metric_families(
            metrics.metrics_text(self.env(su=True))
        ):
            for sample in metric.samples:
                key = tuple(sorted(sample.labels.items()))
                values = found.setdefault(sample.name, {})
                self.assertNotIn(key, values, "a sample is there twice")
                values[key] = sample.value
        return found

    def value(self, found, name, **labels):
        labels = {"endpoint": "orders", **labels}
        return found[name].get(tuple(sorted(labels.items())))

    def test_what_waits(self):
        """Due deliveries, the age of the oldest, those in flight; not what ended."""
        now = utcnow()
        self.in_state("queued", next_attempt_at=now - timedelta(seconds=90))
        self.in_state("error", next_attempt_at=now - timedelta(seconds=30))
        self.in_state("error", next_attempt_at=now + timedelta(hours=1))
        self.in_state("processing")
        for state in ("done", "dead_letter", "canceled", "draft"):
            self.in_state(state)

        found = self.scraped()

        self.assertEqual(2, self.value(found, "bwt_webhooks_due"))
        age = self.value(found, "bwt_webhooks_oldest_due_age_seconds")
        self.assertAlmostEqual(90, age, delta=15)
        self.assertEqual(1, self.value(found, "bwt_webhooks_in_flight"))
        self.assertEqual(0, self.value(found, "bwt_webhooks_lanes"))
        self.assertEqual(0, self.value(found, "bwt_webhooks_paused"))
        self.assertIn(found["bwt_webhooks_runner_seen"][()], (0, 1))

    def test_attempts(self):
        """By outcome and by reason, with a histogram that agrees."""
        for answers in ((status(200),), (status(503),), (status(404),)):
            self.receiver.script("/orders", *answers)
            self.queue({"a": 1}).sudo().process_delivery()

        found = self.scraped()

        name = "bwt_webhooks_attempts_total"
        self.assertEqual(1, self.value(found, name, outcome="succeeded"))
        self.assertEqual(1, self.value(found, name, outcome="retried"))
        self.assertEqual(1, self.value(found, name, outcome="failed"))
        name = "bwt_webhooks_attempt_failures_total"
        self.assertEqual(1, self.value(found, name, reason="http_5xx"))
        self.assertEqual(1, self.value(found, name, reason="http_4xx"))
        self.assertEqual(0, self.value(found, name, reason="timeout"))
        name = "bwt_webhooks_request_duration_seconds"
        self.assertEqual(3, self.value(found, f"{name}_count"))
        self.assertEqual(3, self.value(found, f"{name}_bucket", le="+Inf"))
        self.assertGreater(self.value(found, f"{name}_sum"), 0)

    def test_every_reason_has_a_column(self):
        """A reason that is added to the selection is counted, too."""
        self.assertEqual({name for name, _label in FAILURE_REASONS}, {*REASON_COLUMNS})
        self.assertLessEqual(set(metrics.SHOWN_BOUNDS), set(BOUNDS))

    def test_counters_begin_again(self):
        """Earlier hours are not read, so that no sum falls when one is deleted."""
        start = metrics.start_of_counters(utcnow())
        self.assertEqual(0, start.hour % 6)
        self.env.cr.execute(
            f"""INSERT INTO {HOURS} (endpoint_id, hour, lane_slot, succeeded)
            VALUES (%(id)s, %(before)s, 0, 5), (%(id)s, %(start)s, 0, 2),
                (%(id)s, %(start)s, 1, 1)""",
            {
                "id": self.endpoint.id,
                "before": start - timedelta(hours=1),
                "start": start,
            },
        )

        found = self.scraped()

        name = "bwt_webhooks_attempts_total"
        self.assertEqual(3, self.value(found, name, outcome="succeeded"))

    def test_sums_of_old_hours_keep_all_figures(self):
        """When rows without a lane are summed up, reasons and durations stay."""
        hour = hour_of(utcnow()) - timedelta(hours=5)
        self.env.cr.execute(
            f"""INSERT INTO {HOURS} (endpoint_id, hour, ms_total, reason_dns)
            VALUES (%(id)s, %(hour)s, 1.5, 1), (%(id)s, %(hour)s, 3000000000, 2)""",
            {"id": self.endpoint.id, "hour": hour},
        )
        model = self.env["bwt.webhook.outbound.endpoint.hour"].sudo()

        model._gc_old_hours()

        [row] = model.search([("endpoint_id", "=", self.endpoint.id)])
        self.assertEqual((3000000001.5, 3), (row.ms_total, row.reason_dns))

    def test_the_circuit(self):
        """One of its states is 1; closed by hand counts as closed."""
        health = self.endpoint.sudo().health_ids
        health.write({"circuit_state": "open", "opened_at": utcnow()})
        name = "bwt_webhooks_circuit_state"

        found = self.scraped()
        self.assertEqual(1, self.value(found, name, state="open"))
        self.assertEqual(0, self.value(found, name, state="closed"))

        self.endpoint.circuit_reset_at = utcnow() + timedelta(seconds=1)
        found = self.scraped()
        self.assertEqual(0, self.value(found, name, state="open"))
        self.assertEqual(1, self.value(found, name, state="closed"))

    def test_only_active_endpoints(self):
        """The number of series is that of active endpoints."""
        self.make_endpoint("draft", state="draft")

        self.assertNotIn("draft", str(self.scraped()))

    def test_nothing_is_written(self):
        """It can be read in a transaction that may not write."""
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL transaction_read_only = on")

        self.assertTrue(metrics.metrics_text(self.env(su=True)))


@tagged("post_install", "-at_install", "any_database")
class TestMetricsOfMany(OutboundCase):
    """1,000 endpoints with a history of a month, and a backlog."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cr = cls.env.cr
        cls.env.flush_all()
        cr.execute(
            """INSERT INTO bwt_webhook_outbound_endpoint
            SELECT (jsonb_populate_record(e, jsonb_build_object(
                'id', nextval('bwt_webhook_outbound_endpoint_id_seq'),
                'code', 'e' || n))).*
            FROM bwt_webhook_outbound_endpoint e, generate_series(1, 1000) n
            WHERE e.id = %s RETURNING id""",
            cls.endpoint.ids,
        )
        cls.ids = [row[0] for row in cr.fetchall()]
        cr.execute(
            """INSERT INTO bwt_webhook_outbound_endpoint_health
            (endpoint_id, circuit_state) SELECT unnest(%s), 'closed'""",
            (cls.ids,),
        )
        cr.execute(
            f"""INSERT INTO {HOURS} (endpoint_id, hour, lane_slot, succeeded, ms_50)
            SELECT id, date_trunc('hour', now() AT TIME ZONE 'UTC')
                - n * interval '1 hour', 0, 1, 1
            FROM unnest(%s) id, generate_series(-6, 300) n""",
            (cls.ids,),
        )
        cr.execute(
            """INSERT INTO bwt_webhook_outbound_delivery (
                name, endpoint_id, company_id, message_uid, state, queue_number,
                next_attempt_at, supersede, attempt_count, request_headers_json,
                payload_json, create_date
            ) SELECT 'd', (%s)[1 + n %% 1000], %s, 'msg' || n,
                CASE WHEN n %% 10 = 0 THEN 'queued' ELSE 'done' END, n,
                CASE WHEN n %% 10 = 0 THEN now() - interval '1 hour' END,
                FALSE, 0, '{}', '{}', now()
            FROM generate_series(1, 100000) n""",
            (cls.ids, cls.endpoint.company_id.id),
        )
        for table in ("endpoint", "endpoint_health", "endpoint_hour", "delivery"):
            cr.execute(f"ANALYZE bwt_webhook_outbound_{table}")

    def scanned(self, query):
        """Tables that are read from end to end."""
        cr = self.env.cr
        cr.execute("EXPLAIN (FORMAT JSON) " + query.code, query.params)
        pending, found = [cr.fetchone()[0][0]["Plan"]], set()
        while pending:
            node = pending.pop()
            pending += node.get("Plans", ())
            if node["Node Type"] == "Seq Scan":
                found.add(node["Relation Name"])
        return found

    def test_no_scan_of_history(self):
        """Deliveries, attempts and hours are found by index."""
        now = utcnow()
        read = self.scanned(metrics.endpoints_now(self.env, now))
        read |= self.scanned(
            metrics.figures_since(self.ids, metrics.start_of_counters(now))
        )

        self.assertLessEqual(
            read,
            {
                "bwt_webhook_outbound_endpoint",
                "bwt_webhook_outbound_endpoint_health",
                "pg_database",
            },
        )

    def test_a_scrape_of_1000_endpoints(self):
        """Under 100 ms, the best of five: the machine has other work, too.

        At the end of the hours that are counted, when there are most of them.
        """
        env, seconds = self.env(su=True), []
        now = metrics.start_of_counters(utcnow()) + timedelta(hours=5, minutes=59)
        for _time in range(5):
            began = time.perf_counter()
            text = metrics.metrics_text(env, now)
            seconds.append(time.perf_counter() - began)

        self.assertGreater(text.count('endpoint="e'), 30_000)
        self.assertLess(min(seconds), 0.1, seconds)
