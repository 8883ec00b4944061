# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An endpoint's states, copies and end, and what they mean for what waits."""

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import ADMINISTRATOR, DELIVERY, ENDPOINT
from .common import OutboundCase


@tagged("post_install", "-at_install")
class TestEndpointLife(OutboundCase):
    def test_moves(self):
        """Active, draft, archived: each button takes the other two states only."""
        for button, target in (
            ("action_activate", "active"),
            ("action_set_draft", "draft"),
            ("action_archive", "archived"),
        ):
            for state in ("active", "draft", "archived"):
                with self.subTest(button=button, state=state):
                    self.endpoint.state = state
                    if state == target:
                        shown = f"it is in state {target.capitalize()}. Use the buttons"
                        with self.refused(shown):
                            getattr(self.endpoint, button)()
                    else:
                        self.assertIs(True, getattr(self.endpoint, button)())
                        self.assertEqual(target, self.endpoint.state)

    def test_what_waits_continues(self):
        """Activating, resuming and a looser order or limit wake what waits.

        Nothing else would: its wake-up came and went while nothing could be sent.
        """
        self.queue({"a": 1})
        for vals, back in (
            ({"state": "archived"}, {"state": "active"}),
            ({"is_paused": True}, {"is_paused": False}),
            ({"ordering": "endpoint"}, {"ordering": "none"}),
            ({"rate_limit": 1}, {"rate_limit": 0}),
            ({"circuit_threshold": 1}, {"circuit_threshold": 0}),
            ({}, {"circuit_reset_at": utcnow()}),
        ):
            with self.subTest(vals=vals, back=back):
                self.endpoint.write(vals)
                self.env.flush_all()
                self.env.cr.execute("DELETE FROM queue_job")
                self.env.invalidate_all()

                self.endpoint.write(back)

                self.assertEqual(1, len(self.wake_ups()))

    def test_copy(self):
        """A copy is a draft with its own code: it must not send beside its origin."""
        copies = self.endpoint.copy() + self.endpoint.copy()

        self.assertEqual(["orders-copy", "orders-copy-2"], copies.mapped("code"))
        self.assertEqual(["draft", "draft"], copies.mapped("state"))
        self.assertEqual(2, len(copies.health_ids))

    def test_company_stays_while_there_are_deliveries(self):
        """An endpoint with deliveries keeps its company; theirs would change unseen."""
        company = self.env["res.company"].create({"name": "Other"})
        self.make_endpoint("free").company_id = company
        self.queue({"a": 1})

        with self.refused("company"):
            self.endpoint.company_id = company

    def test_delete(self):
        """Unfinished deliveries forbid it; the others go along, files and all."""
        waiting = self.queue(files={"doc": {"content": b"x"}})
        with self.refused("unfinished", UserError):
            self.endpoint.unlink()
        waiting.action_cancel_delivery()
        waiting.message_post(body=self.endpoint.name)
        traces = [
            self.env["ir.attachment"].search(
                [("res_model", "=", DELIVERY), ("res_id", "=", waiting.id)]
            ),
            waiting.message_ids,
        ]
        self.assertTrue(all(traces))

        self.endpoint.unlink()

        for records in (waiting, *traces):
            self.assertFalse(records.exists())

    def test_counts(self):
        """All deliveries, and those in error or dead letter, per endpoint."""
        for state in ("done", "error", "dead_letter", "queued"):
            self.in_state(state)

        self.assertEqual(4, self.endpoint.outbound_delivery_count)
        self.assertEqual(2, self.endpoint.failed_delivery_count)
        action = self.endpoint.action_view_failed_outbound_deliveries()
        self.assertEqual(2, self.env[DELIVERY].search_count(action["domain"]))

    def test_its_maker_is_responsible(self):
        """Who makes an endpoint is notified of its trouble until someone else is named.

        An installed data file names nobody: the robot reads no activities.
        """
        admin = new_test_user(
            self.env,
            "maker",
            ADMINISTRATOR,
        )
        made = (
            self.env[ENDPOINT]
            .with_user(admin)
            .create({"name": "A", "code": "a-b", "state": "draft"})
        )

        self.assertEqual(admin, made.responsible_id)
        self.assertFalse(self.endpoint.responsible_id)

    def test_health_row_comes_with_the_endpoint(self):
        """Each endpoint has one health row from the start; a lane counts on it."""
        endpoint = self.env[self.endpoint._name].create(
            {
                "name": "With rules",
                "code": "with-rules",
                "state": "draft",
                "header_rule_ids": [
                    Command.create({"header_name": "X-A", "literal_value": "1"})
                ],
            }
        )

        self.assertEqual(1, len(endpoint.health_ids))
        self.assertEqual("closed", endpoint.circuit_state)
