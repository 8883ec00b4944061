# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the Overview shows, and its buttons."""

from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import hour_of
from odoo.addons.bwt_webhooks_outbound.models import overview

from ..constants import DELIVERY, OPERATOR
from .common import OutboundCase

OVERVIEW = "bwt.webhook.outbound.overview"


@tagged("any_database")
class TestOverview(OutboundCase):
    def setUp(self):
        super().setUp()
        # Of its own, whatever other endpoints the database has.
        self.company = self.env["res.company"].create({"name": "Overview"})
        self.endpoint.company_id = self.company
        self.operator = new_test_user(
            self.env, "overview-operator", OPERATOR, company_id=self.company.id
        )

    def overview(self, user=None, period="hours", **context):
        self.env.flush_all()
        return (
            self.env[OVERVIEW]
            .with_context(**context)
            .with_user(user or self.operator)
            .action_read_overview(period)
        )

    def count(self, hour, slot=0, **counts):
        """Attempts of an hour, as a lane counts them."""
        self.env.execute_query(sql.start_hour(self.endpoint.id, slot, hour, counts))

    def failed(self, count=1, endpoint=None, **vals):
        vals = {"failure_reason": "http_4xx", "response_status_code": 404} | vals
        deliveries = self.env[DELIVERY]
        for _number in range(count):
            delivery = (endpoint or self.endpoint).queue_delivery({})
            delivery.write({"state": "dead_letter", "next_attempt_at": False} | vals)
            deliveries += delivery
        return deliveries

    def test_hours_beside_the_day_before(self):
        """24 bars up to this hour, their sum, and the same of the 24 hours before."""
        now = hour_of(utcnow())
        self.count(now, succeeded=8, retried=1, failed=1, ms_50=9, ms_2000=1)
        self.count(now, slot=1, succeeded=1, ms_50=1)
        self.count(now - timedelta(hours=23), succeeded=1, ms_50=1)
        self.count(now - timedelta(hours=24), failed=1)
        self.count(now - timedelta(hours=48), failed=7)

        shown = self.overview()

        bars = [
            (bar["succeeded"], bar["retried"], bar["failed"]) for bar in shown["bars"]
        ]
        self.assertEqual([(1, 0, 0), *[(0, 0, 0)] * 22, (9, 1, 1)], bars)
        self.assertEqual(12, shown["current"]["attempts"])
        self.assertAlmostEqual(10 / 12, shown["current"]["success_rate"])
        self.assertTrue(40 < shown["current"]["p50"] <= 50)
        self.assertTrue(1500 < shown["current"]["p95"] <= 2000)
        before = {"attempts": 1, "success_rate": 0.0, "p50": None, "p95": None}
        self.assertEqual(before, shown["before"])

    def test_days_begin_at_midnight_of_the_user(self):
        """An attempt at 23:00 UTC belongs to the next day in Tokyo."""
        noon = datetime(2026, 3, 10, 12)
        for tz, expected in (("UTC", [1, 0]), ("Asia/Tokyo", [0, 1])):
            self.env.execute_query(
                sql.start_hour(
                    self.endpoint.id, None, datetime(2026, 3, 9, 23), {"succeeded": 1}
                )
            )
            with patch.object(overview, "utcnow", return_value=noon):
                shown = self.overview(period="days", tz=tz)
            self.assertEqual(30, len(shown["bars"]))
            bars = [bar["succeeded"] for bar in shown["bars"]]
            self.assertEqual(expected, [bool(each) for each in bars[-2:]])

    def test_a_time_zone_that_the_server_lacks(self):
        """The page is in UTC then: the tzdata of some systems lacks US/Eastern."""
        self.env.cr.execute(
            "UPDATE res_partner SET tz = 'Mars/Base' WHERE id = %s",
            (self.operator.partner_id.id,),
        )
        self.env.invalidate_all()
        for period in ("hours", "days"):
            self.assertTrue(self.overview(period=period)["bars"])

    def test_failures_are_grouped(self):
        """One group per endpoint and reason, the largest first, with its last message.

        What a retry follows isn't among them: nobody has to do anything.
        """
        self.failed(2, processing_error="HTTP 404: first")
        newest = self.failed(processing_error="HTTP 404: last")
        self.failed(failure_reason="timeout", processing_error="no response")
        waits = self.queue({})
        waits.write({"state": "error", "failure_reason": "timeout"})
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery SET write_date = write_date "
            "+ interval '1 minute' WHERE id = %s",
            newest.ids,
        )
        self.env.invalidate_all()

        shown = self.overview()

        self.assertEqual(
            [("http_404", "HTTP 404 Not Found", 3), ("timeout", "Timeout", 1)],
            [
                (each["reason"], each["label"], each["count"])
                for each in shown["groups"]
            ],
        )
        self.assertEqual("HTTP 404: last", shown["groups"][0]["message"])
        self.assertEqual(newest.name, shown["groups"][0]["newest"])
        self.assertEqual(1, shown["waiting"])
        self.assertFalse(shown["has_more_failures"])

    def test_a_bound_is_said(self):
        """Where not all failures are read, the page says so."""
        self.failed(3)
        waiting = [self.queue({}) for _number in range(3)]

        with (
            patch.object(overview, "FAILED_READ", 2),
            patch.object(overview, "WAITING_READ", 2),
        ):
            shown = self.overview()

        self.assertEqual(3, len(waiting))
        self.assertEqual((2, True), (shown["waiting"], shown["waiting_is_more"]))
        [group] = shown["groups"]
        self.assertEqual((2, True), (group["count"], group["count_is_more"]))
        self.assertTrue(shown["has_more_failures"])

    def test_endpoints_that_send_nothing(self):
        """Stopped, open, delayed and paused ones are named, with their buttons."""
        cases = {
            "stopped": {"circuit_state": "manual", "opened_at": utcnow()},
            "circuit_open": {"circuit_state": "open", "opened_at": utcnow()},
            "late": {},
            "paused": {},
        }
        for code, vals in cases.items():
            endpoint = self.make_endpoint(
                code.replace("_", "-"), company_id=self.company.id
            )
            endpoint.health_ids.sudo().write(vals)
            delivery = endpoint.queue_delivery({})
            if code == "late":
                delivery.next_attempt_at = utcnow() - timedelta(minutes=9)
            endpoint.is_paused = code == "paused"

        shown = self.overview()["endpoints"]

        self.assertEqual(list(cases), [each["health"] for each in shown])
        self.assertEqual(
            [True, True, False, False], [e["may_close_circuit"] for e in shown]
        )
        self.assertEqual(
            [True, True, True, False], [each["may_pause"] for each in shown]
        )
        self.assertEqual([1] * 4, [each["waiting"] for each in shown])
        self.assertIn("9 minutes ago", shown[2]["oldest_due"])
        self.assertTrue(all(each["message"] for each in shown))

    def test_nothing_to_do(self):
        """Without a failure, and without an endpoint, the lists are empty."""
        shown = self.overview()
        self.assertTrue(shown["has_endpoint"])
        self.assertEqual(([], []), (shown["groups"], shown["endpoints"]))
        self.assertFalse(shown["may_create"])
        self.assertEqual(0, shown["current"]["attempts"])
        self.endpoint.unlink()

        shown = self.overview()

        self.assertFalse(shown["has_endpoint"])
        self.assertEqual(0, shown["waiting"])

    def test_a_runner_that_is_gone_is_shown(self):
        """No job runner is connected to a test's database: the page says what to do."""
        self.assertIn("server_wide_modules", self.overview()["runner_problem"])

    def test_companies(self):
        """Figures, failures and buttons end at the chosen companies."""
        company = self.env["res.company"].create({"name": "Second"})
        self.operator.company_ids += company
        theirs = self.make_endpoint("theirs", company_id=company.id)
        self.failed(2, endpoint=theirs)
        now = hour_of(utcnow())
        self.env.execute_query(sql.start_hour(theirs.id, 0, now, {"failed": 2}))
        self.count(now, succeeded=1)
        ours = self.env[OVERVIEW].with_user(self.operator)

        both = ours.with_context(
            allowed_company_ids=[self.company.id, company.id]
        ).action_read_overview()
        one = ours.with_context(
            allowed_company_ids=self.company.ids
        ).action_read_overview()

        self.assertEqual(
            (3, 2), (both["current"]["attempts"], both["groups"][0]["count"])
        )
        self.assertEqual((1, []), (one["current"]["attempts"], one["groups"]))
        self.operator.company_ids = self.company
        for method in ("action_retry_failures", "action_open_failures"):
            with self.refused("access", AccessError):
                getattr(ours, method)(theirs.id, "http_404")

    def test_record_rules_of_others_count(self):
        """A rule that hides deliveries hides them in counts and messages, too."""
        self.failed(1, processing_error="seen")
        self.failed(1, processing_error="hidden")
        self.env["ir.rule"].create(
            {
                "name": "some",
                "model_id": self.env["ir.model"]._get_id(DELIVERY),
                "domain_force": "[('processing_error', '!=', 'hidden')]",
            }
        )

        [group] = self.overview()["groups"]

        self.assertEqual((1, "seen"), (group["count"], group["message"]))

    def test_only_operators(self):
        """Other users are refused by a text that says whom to ask."""
        nobody = new_test_user(self.env, "overview-nobody", "base.group_user")
        for call in (
            lambda page: page.action_read_overview(),
            lambda page: page.action_open_failures(self.endpoint.id, "timeout"),
            lambda page: page.action_retry_failures(self.endpoint.id, "timeout"),
        ):
            with self.refused("Only webhooks operators", AccessError):
                call(self.env[OVERVIEW].with_user(nobody))

    def test_retry_of_a_group(self):
        """Retry queues the group and nothing else, and says how many."""
        group, other = self.failed(3), self.failed(1, response_status_code=400)
        page = self.env[OVERVIEW].with_user(self.operator)

        action = page.action_retry_failures(self.endpoint.id, "http_404")

        self.assertEqual("3 queued again.", action["params"]["message"])
        self.assertEqual({"queued"}, set(group.mapped("state")))
        self.assertEqual("dead_letter", other.state)

    def test_retry_while_the_endpoint_waits(self):
        """Retry says why nothing is sent yet, and whether more are left."""
        self.failed(3)
        self.endpoint.is_paused = True
        page = self.env[OVERVIEW].with_user(self.operator)

        with patch.object(overview, "RETRIED_AT_ONCE", 2):
            action = page.action_retry_failures(self.endpoint.id, "http_404")

        self.assertIn("is paused", action["params"]["message"])
        self.assertIn("press Retry again", action["params"]["message"])
        self.assertEqual("warning", action["params"]["type"])

    def test_open_shows_the_deliveries_of_the_group(self):
        """Open leads to what the group counts."""
        group = self.failed(2)
        self.failed(failure_reason="timeout")
        page = self.env[OVERVIEW].with_user(self.operator)

        action = page.action_open_failures(self.endpoint.id, "http_404")

        self.assertEqual(group, self.env[DELIVERY].search(action["domain"], order="id"))
        self.assertEqual("Orders: HTTP 404 Not Found", action["name"])

    def test_every_page_has_a_link(self):
        """`/odoo/webhooks` and the others can be bookmarked, sent and written down."""
        actions = self.env["ir.model.data"].search(
            [
                ("module", "=", "bwt_webhooks_outbound"),
                ("model", "in", ["ir.actions.act_window", "ir.actions.client"]),
                # Made by a button, for the Action menu of a model.
                ("name", "not like", "record_deliveries_%"),
                # Buttons of empty lists, which open a form.
                ("name", "not like", "%_new"),
            ]
        )
        found = {
            each.name: self.env[each.model].browse(each.res_id) for each in actions
        }
        # A dialog is opened over a page, and an entry of an Action menu for a record.
        paths = {
            name: action.path
            for name, action in found.items()
            if action.target != "new" and not action.binding_model_id
        }

        self.assertEqual("webhooks", paths["action_webhook_outbound_overview"])
        self.assertEqual({}, {name: path for name, path in paths.items() if not path})
