# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The status of an endpoint, to filter and group by."""

from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from ..constants import ENDPOINT, OPERATOR
from .common import OutboundCase


@tagged("post_install", "-at_install")
class TestEndpointStatus(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoints = {
            word: cls.make_endpoint(f"status-{word}")
            for word in (
                "stopped",
                "circuit_open",
                "late",
                "failing",
                "paused",
                "no_deliveries",
                "healthy",
            )
        } | {"off": cls.make_endpoint("status-off", state="draft")}
        cls.endpoints["stopped"].health_ids.circuit_state = "manual"
        cls.endpoints["circuit_open"].health_ids.circuit_state = "half_open"
        for word, each in cls.endpoints.items():
            if word != "no_deliveries":
                each.health_ids.recent_results = "1" * 20
        cls.endpoints["failing"].health_ids.recent_results = "1" * 17 + "000"
        cls.endpoints["paused"].is_paused = True
        cls.queued(cls.endpoints["late"], minutes=6)
        cls.queued(cls.endpoints["healthy"], minutes=4)
        cls.all = cls.env[ENDPOINT].concat(*cls.endpoints.values())

    @classmethod
    def queued(cls, endpoint, minutes):
        delivery = endpoint.queue_delivery({})
        delivery.next_attempt_at = fields.Datetime.now() - timedelta(minutes=minutes)

    def test_each_status(self):
        """The status is what needs attention most, and follows its inputs."""
        found = {word: each.health for word, each in self.endpoints.items()}

        self.assertEqual({word: word for word in self.endpoints}, found)

        for word, then in (("late", "paused"), ("stopped", "stopped")):
            self.endpoints[word].is_paused = True
            self.all.invalidate_recordset(["health"])
            self.assertEqual(then, self.endpoints[word].health)

    def test_failing(self):
        """Failing is less than 90 % of the last attempts, and green is the rest.

        An endpoint whose requests were all refused with 404 was Healthy.
        """
        endpoint = self.endpoints["healthy"]
        for results, health in (
            (False, "no_deliveries"),
            ("1", "healthy"),
            ("0", "failing"),
            ("0" + "1" * 8, "failing"),
            ("0" + "1" * 9, "healthy"),
            ("1" * 19 + "0", "healthy"),
            ("00" + "1" * 18, "healthy"),
            ("000" + "1" * 17, "failing"),
        ):
            with self.subTest(results):
                endpoint.health_ids.recent_results = results
                self.all.invalidate_recordset(["health"])
                self.assertEqual(health, endpoint.health)
        self.assertEqual("17 of 20 succeeded", endpoint.recent_attempts)

    def test_paused_and_stopped(self):
        """An endpoint that is both is found by either filter; its badge shows both."""
        stopped = self.endpoints["stopped"]
        stopped.is_paused = True

        self.assertEqual("stopped", stopped.health)
        found = self.env[ENDPOINT].search([("is_paused", "=", True)])
        self.assertIn(stopped, found)
        for view in ("form", "list", "kanban"):
            arch = self.env[ENDPOINT].get_view(view_type=view)["arch"]
            self.assertIn('widget="webhook_health"', arch)

    def test_search(self):
        """A filter finds what the card says, whatever the lane has just written."""
        domain = [("id", "in", self.all.ids)]
        for word, endpoint in self.endpoints.items():
            found = self.env[ENDPOINT].search([*domain, ("health", "=", word)])
            self.assertEqual(endpoint, found, word)
        others = self.env[ENDPOINT].search([*domain, ("health", "!=", "healthy")])
        self.assertEqual(self.all - self.endpoints["healthy"], others)

    def test_columns(self):
        """The kanban view's columns: what needs attention first, none without cards."""
        kept = self.all - self.endpoints["circuit_open"]
        as_kanban = self.env[ENDPOINT].with_context(read_group_expand=True)
        groups = as_kanban.web_read_group([("id", "in", kept.ids)], ["health"])
        groups = groups["groups"]

        self.assertEqual(
            [
                *("stopped", "late", "failing", "paused"),
                *("no_deliveries", "healthy", "off"),
            ],
            [group["health"] for group in groups],
        )
        for group in groups:
            found = self.env[ENDPOINT].search(group["__extra_domain"]) & kept
            self.assertEqual(self.endpoints[group["health"]], found)

    def test_rights(self):
        """Operators group by it; a user without our groups can't infer it."""
        operator = new_test_user(self.env, "status", OPERATOR)
        other = new_test_user(self.env, "status_other", "base.group_user")
        domain = [("id", "in", self.all.ids)]

        as_operator = self.env[ENDPOINT].with_user(operator)
        self.assertEqual(8, len(as_operator._read_group(domain, ["health"])))
        as_other = self.env[ENDPOINT].with_user(other)
        with self.assertRaises(AccessError):
            as_other._read_group(domain, ["health"])
        with self.assertRaises(AccessError):
            as_other.search([("health", "=", "healthy")])

    def test_before_it_is_saved(self):
        """A form for a new endpoint opens, though no lane knows it yet."""
        self.assertFalse(self.env[ENDPOINT].new({}).health)
