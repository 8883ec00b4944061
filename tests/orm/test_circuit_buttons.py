# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an open circuit shows, and the buttons that operators have for it."""

from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import Form, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health

from ..constants import DELIVERY, OPERATOR, RECOVER
from .common import OutboundCase


@tagged("post_install", "-at_install", "any_database")
class TestCircuitButtons(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = new_test_user(cls.env, "circuit_operator", OPERATOR)
        cls.stranger = new_test_user(cls.env, "circuit_user", "base.group_user")
        cls.as_operator = cls.endpoint.with_user(cls.operator)

    def open_circuit(self, *signals):
        """As a lane does it, a moment ago."""
        self.env.flush_all()
        health = Health(
            self.env.cr,
            self.endpoint.id,
            self.endpoint._policy(),
            self.endpoint.circuit_reset_at,
        )
        health.note(signals, utcnow())
        self.env.invalidate_all()
        self.endpoint.health_ids.sudo().recent_results = "1"
        self.env.flush_all()

    def shown(self):
        """Circuit and health as a form reads them, and as list and filter find them."""
        endpoint = self.as_operator
        self.env.invalidate_all()
        by_form = Form(endpoint)
        domain = [("id", "=", endpoint.id)]
        [(health, _count)] = endpoint._read_group(domain, ["health"], ["__count"])
        circuit = by_form.circuit_state
        self.assertEqual(health, by_form.health)
        for name, value in (("health", health), ("circuit_state", circuit)):
            self.assertEqual(endpoint, endpoint.search([*domain, (name, "=", value)]))
            self.assertFalse(endpoint.search([*domain, (name, "!=", value)]))
        return circuit, health, by_form.failure_streak

    def test_close_circuit_is_seen_at_once(self):
        """Form, list, filter and badge show it though nothing is due and no lane runs.

        The button seemed to do nothing: they showed what the last lane had recorded.
        """
        for signals, circuit, health in (
            (["failure"] * 10, "open", "circuit_open"),
            (["open"], "manual", "stopped"),
        ):
            with self.subTest(circuit):
                self.open_circuit(*signals)
                self.assertEqual((circuit, health), self.shown()[:2])

                self.as_operator.action_reset_circuit()

                self.assertEqual(("closed", "healthy", 0), self.shown())
                lane = Health(
                    self.env.cr,
                    self.endpoint.id,
                    self.endpoint._policy(),
                    self.endpoint.circuit_reset_at,
                )
                self.assertEqual(5, lane.allow(5, utcnow()).count)
                lane.note(["success"], utcnow())

    def test_what_opens_later_is_shown_again(self):
        """A circuit that opens after it was closed by hand is open."""
        self.open_circuit("open")
        self.as_operator.action_reset_circuit()
        self.open_circuit("open")

        self.assertEqual(("manual", "stopped"), self.shown()[:2])

    def test_a_breaker_that_is_switched_off(self):
        """With threshold 0 everything is sent, and nothing says otherwise."""
        self.open_circuit(*["failure"] * 10)

        self.endpoint.circuit_threshold = 0

        self.assertEqual(("closed", "healthy"), self.shown()[:2])

    def test_paused_does_not_hide_stopped(self):
        """Resuming alone would send nothing: 410 is what needs attention first."""
        self.open_circuit("open")

        self.as_operator.action_pause()

        self.assertEqual("stopped", self.shown()[1])
        self.as_operator.action_reset_circuit()
        self.assertEqual("paused", self.shown()[1])
        self.as_operator.action_resume()
        self.assertEqual("healthy", self.shown()[1])

    def test_labels(self):
        """The labels of the screens are the standard terms."""
        labels = dict(self.endpoint._fields["health"]._description_selection(self.env))

        self.assertEqual(
            {
                "stopped": "Stopped by Receiver (410)",
                "circuit_open": "Circuit Open",
                "late": "Delayed",
                "failing": "Failing",
                "paused": "Paused",
                "no_deliveries": "No Deliveries Yet",
                "healthy": "Healthy",
                "off": "Not Active",
            },
            labels,
        )

    def test_operators_do_what_their_banners_say(self):
        """Close Circuit, Pause and Resume are in an operator's form, and work.

        The banner advised them to press a button that only administrators had.
        """
        arch = self.as_operator.get_view(view_type="form")["arch"]
        buttons = ("action_reset_circuit", "action_pause", "action_resume")

        for button in buttons:
            self.assertIn(f'name="{button}"', arch)
            getattr(self.as_operator, button)()
        self.assertFalse(self.endpoint.is_paused)
        notes = self.endpoint.message_ids.mapped("body")
        self.assertIn("circuit_operator", " ".join(notes))
        self.assertIn("pressed Close Circuit", " ".join(notes))

    def test_nobody_else_does(self):
        """An internal user reads an endpoint's name and works none of its buttons."""
        other = self.env["res.company"].create({"name": "Other"})
        foreign = new_test_user(
            self.env,
            "circuit_foreign",
            OPERATOR,
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )

        for user in (self.stranger, foreign):
            for button in ("action_reset_circuit", "action_pause", "action_resume"):
                with self.subTest(user.login, button=button):
                    with self.assertRaises(AccessError):
                        getattr(self.endpoint.with_user(user), button)()
        self.assertFalse(self.endpoint.circuit_reset_at)
        self.assertFalse(self.endpoint.is_paused)

    def test_recover_says_that_it_waits(self):
        """What Recover queues while the circuit is open waits, and it says so.

        "3 queued again." and nothing moved.
        """
        for prepare, message in (
            (lambda: self.open_circuit(*["failure"] * 10), "The circuit is open"),
            (lambda: self.open_circuit("open"), "410 Gone"),
            (self.as_operator.action_pause, "paused"),
        ):
            with self.subTest(message):
                self.in_state(
                    "dead_letter", processed_at=utcnow(), failure_reason="timeout"
                )
                prepare()
                dialog = self.env[RECOVER].with_user(self.operator)
                dialog = dialog.create({"endpoint_id": self.endpoint.id})
                self.assertIn(message, dialog.waits)

                notification = dialog.action_recover()["params"]

                self.assertIn("1 queued again.", notification["message"])
                self.assertIn(message, notification["message"])
                self.assertEqual("warning", notification["type"])
                self.as_operator.action_reset_circuit()
                self.as_operator.action_resume()
                self.env[DELIVERY].search([]).action_bulk("cancel")

    def test_recover_of_an_endpoint_that_sends(self):
        """Nothing waits, and nothing is said about it."""
        self.in_state("dead_letter", processed_at=utcnow(), failure_reason="timeout")
        dialog = self.env[RECOVER].create({"endpoint_id": self.endpoint.id})
        self.assertFalse(dialog.waits)

        notification = dialog.action_recover()["params"]

        self.assertEqual(
            ("1 queued again.", "success"),
            (notification["message"], notification["type"]),
        )

    def test_delayed_endpoint_that_was_closed(self):
        """After Close Circuit the health depends on what is due, as for any other."""
        self.open_circuit("open")
        delivery = self.queue({"a": 1})
        delivery.next_attempt_at = fields.Datetime.now() - timedelta(minutes=6)

        self.as_operator.action_reset_circuit()

        self.assertEqual("late", self.shown()[1])
