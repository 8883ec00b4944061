# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Skip If Nothing Changed, and changes that aren't sent back to who made them."""

import base64
import hashlib
import json
from datetime import timedelta

from odoo import Command

from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health
from odoo.addons.bwt_webhooks_outbound.lane.pacing import Position
from odoo.addons.bwt_webhooks_outbound.models.const import ECHO

from ..constants import ATTEMPT, DELIVERY, HEADER_RULE, PAYLOAD_RULE
from ..receiver import status
from .action_case import ServerActionCase
from .answer_case import AnswerCase
from .common import CommittedCase


class TestUnchanged(AnswerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint.skip_if_unchanged = True

    def states(self, *deliveries):
        return [each.state for each in deliveries]

    def test_equal_requests(self):
        """The second is canceled, with the reason; another record is sent."""
        first = self.send(payload={"a": 1})
        second = self.send(payload={"a": 1})
        other = self.send(self.other, payload={"a": 1})

        self.assertEqual(
            ["done", "canceled", "done"], self.states(first, second, other)
        )
        self.assertEqual(2, self.receiver.total)
        self.assertIn("those that the receiver got", second.processing_note)
        self.assertIn("those that the receiver got", second.status_message)
        self.assertEqual("canceled", second.attempt_ids.state)

    def test_a_change_back(self):
        """Only the last request counts: A, B, A are three requests."""
        for value in (1, 2, 1, 1):
            last = self.send(payload={"a": value})

        self.assertEqual(3, self.receiver.total)
        self.assertEqual("canceled", last.state)

    def test_what_is_compared(self):
        """Method, URL, headers and body; nothing that is new for each message."""
        self.endpoint.write(
            {
                "signing_mode": "standard",
                "signing_secret_input": f"whsec_{base64.b64encode(bytes(24)).decode()}",
                "auth_mode": "bearer",
                "auth_secret_input": "t0ken-1",
            }
        )
        self.env[HEADER_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": "X-Message",
                "source_kind": "delivery_field",
                "source_expression": "message_uid",
            }
        )
        self.send()
        self.endpoint.auth_secret_input = "t0ken-2"
        self.assertEqual("canceled", self.send().state)

        for change in (
            {"http_method": "put"},
            {"target_path": "/orders?v=2"},
            {
                "header_rule_ids": [
                    Command.create({"header_name": "X-Shop", "literal_value": "1"})
                ]
            },
        ):
            self.endpoint.write(change)
            self.assertEqual(
                ["done", "canceled"], self.states(self.send(), self.send())
            )
        self.assertEqual("done", self.send(headers={"X-Own": "1"}).state)
        self.assertEqual("done", self.send(payload={"a": 2}).state)

    def test_values_that_are_read_when_it_is_built(self):
        """Rules of the endpoint belong to the request."""
        self.env[PAYLOAD_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "name",
                "source_kind": "record_field",
                "source_expression": "name",
            }
        )
        self.send()
        self.partner.name = "Eve"

        self.assertEqual(["done", "canceled"], self.states(self.send(), self.send()))

    def test_last_request_failed(self):
        """What the receiver has is not known: it is sent."""
        self.send()
        for code in (503, 422):
            self.receiver.script("/orders", status(code), status(200))
            self.send(payload={"a": 2})
            self.assertEqual("done", self.send().state)

    def test_late_retry_of_another(self):
        """An older delivery was sent again after the last one."""
        self.receiver.script("/orders", status(503), status(200))
        older = self.send(payload={"a": 1})
        self.send(payload={"a": 2})
        older.process_delivery()
        self.assertEqual("done", older.state)

        self.assertEqual("done", self.send(payload={"a": 2}).state)

    def test_requests_that_overlapped(self):
        """Which of them arrived last isn't known."""
        self.send(payload={"a": 1})
        last = self.send(payload={"a": 2})
        first = self.env[ATTEMPT].search([("endpoint_id", "=", self.endpoint.id)])[-1]
        first.finished_at = last.attempt_ids.started_at + timedelta(seconds=1)
        self.env.flush_all()

        self.assertEqual("done", self.send(payload={"a": 2}).state)

    def test_in_flight(self):
        """An equal request is awaited; another one is sent."""
        first = self.send(payload={"a": 1})
        first.attempt_ids.write({"state": "processing", "finished_at": False})
        self.env.flush_all()

        second = self.send(payload={"a": 1})
        self.assertEqual(("queued", 0), (second.state, second.attempt_count))
        self.assertGreater(second.next_attempt_at, utcnow())
        self.assertTrue(self.wake_ups())
        first.attempt_ids.write({"state": "done", "finished_at": utcnow()})
        self.env.flush_all()
        second.process_delivery()
        self.assertEqual("canceled", second.state)

        first.attempt_ids.write({"state": "processing", "finished_at": False})
        self.env.flush_all()
        self.assertEqual("done", self.send(payload={"a": 2}).state)

    def test_what_a_user_sends(self):
        """Replay, and Queue after Reset to Draft, send it in any case."""
        first, second = self.send(), self.send()
        second.action_reset_to_draft()
        second.process_delivery()
        replay = self.env[DELIVERY].browse(
            first.action_create_replay_delivery()["res_id"]
        )
        replay.action_queue_delivery()
        replay.process_delivery()

        self.assertEqual(["done", "done", "done"], self.states(first, second, replay))
        self.assertEqual("canceled", self.send().state)

    def test_no_record(self):
        """Nothing to compare with; the argument of code says so."""
        for _number in range(2):
            delivery = self.queue({"a": 1})
            delivery.process_delivery()
            self.assertEqual("done", delivery.state)
        with self.refused("skip_if_unchanged needs a record"):
            self.queue({"a": 1}, skip_if_unchanged=True)

    def test_argument_of_code(self):
        """One delivery of an endpoint that doesn't compare; others count as sent."""
        self.endpoint.skip_if_unchanged = False
        self.assertEqual(["done"] * 2, self.states(self.send(), self.send()))
        first = self.send(skip_if_unchanged=True)
        self.assertEqual("done", first.state)
        self.assertEqual("canceled", self.send(skip_if_unchanged=True).state)
        self.assertEqual("done", self.send().state)
        self.assertEqual("done", self.send(payload={"a": 2}).state)
        self.assertEqual("done", self.send(skip_if_unchanged=True).state)

    def test_nothing_to_pay_without_it(self):
        """Attempts of other endpoints store nothing to compare."""
        self.endpoint.skip_if_unchanged = False
        attempt = self.send().attempt_ids

        self.assertFalse(attempt.subject or attempt.request_hash)
        self.assertEqual(hashlib.sha256(b"{}").hexdigest(), attempt.body_hash)

    def test_create_or_update(self):
        """Creation and update differ in method and path; the second update is equal."""
        self.upsert()
        self.respond((201, {"id": "R-77"}))

        created, updated, skipped = self.send(), self.send(), self.send()
        self.assertEqual(
            ["done", "done", "canceled"], self.states(created, updated, skipped)
        )
        self.assertEqual([("POST", "/orders"), ("PUT", "/orders/R-77")], self.arrived())


class TestUnchangedInLanes(CommittedCase):
    """A receiver that writes each record back to Odoo, which queues it again."""

    WRITES = 6  # then the receiver stops, so that a loop ends

    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            self.partner_id = env["res.partner"].create({"name": "Ada"}).id
            action = env["ir.actions.server"].create(
                {
                    "name": "Tell the shop",
                    "model_id": env["ir.model"]._get("res.partner").id,
                    "state": "bwt_webhook_outbound",
                    "bwt_webhook_endpoint_id": self.endpoint_id,
                    "bwt_webhook_field_ids": [
                        Command.create({"usage": "field", "source_expression": "name"})
                    ],
                }
            )
            self.action_id = action.id
        self.addCleanup(self.take_away_action)
        self.written = 0
        self.receiver.on_request = self.write_back

    def take_away_action(self):
        with self.transaction() as env:
            env["ir.actions.server"].browse(self.action_id).unlink()
            env["res.partner"].browse(self.partner_id).unlink()

    def write_back(self, request=None):
        """Write what arrived, as an integration does that mirrors orders."""
        if self.written == self.WRITES:
            return
        self.written += 1
        with self.transaction() as env:
            partner = env["res.partner"].browse(self.partner_id)
            partner.name = request.json()["name"] if request else "Ada"
            self.change(env, partner)

    def change(self, env, partner):
        # As an automation rule does for each save.
        action = env["ir.actions.server"].browse(self.action_id)
        context = {"active_model": "res.partner", "active_ids": partner.ids}
        action.with_context(**context, active_id=partner.id).run()

    def run_loop(self):
        with self.transaction() as env:
            self.change(env, env["res.partner"].browse(self.partner_id))
        for _run in range(self.WRITES + 2):
            self.run_lane()
            with self.transaction() as env:
                waiting = env[DELIVERY].search(
                    [
                        ("endpoint_id", "=", self.endpoint_id),
                        ("state", "=", "queued"),
                    ]
                )
                ids = waiting.ids
            if not ids:
                break
            self.make_due(ids)
        with self.transaction() as env:
            return (
                env[DELIVERY]
                .search([("endpoint_id", "=", self.endpoint_id)], order="id")
                .mapped("state")
            )

    def test_loop_without_the_guard(self):
        """It would go on for ever: it ends because this receiver stops."""
        self.assertEqual(["done"] * (self.WRITES + 1), self.run_loop())
        self.assertEqual(self.WRITES + 1, self.receiver.total)

    def test_loop_with_the_guard(self):
        """One request, although the answer to it is written while it is in flight."""
        self.set_up(skip_if_unchanged=True)

        self.assertEqual(["done", "canceled"], self.run_loop())
        self.assertEqual(1, self.receiver.total)

    def test_loop_with_the_guard_of_the_action(self):
        """The same, set on the server action."""
        with self.transaction() as env:
            action = env["ir.actions.server"].browse(self.action_id)
            action.bwt_webhook_skip_if_unchanged = True

        self.assertEqual(["done", "canceled"], self.run_loop())
        self.assertEqual(1, self.receiver.total)

    def test_equal_deliveries_of_one_batch(self):
        """The second waits for the first; a different one in between is sent."""
        self.receiver.on_request = None
        self.set_up(skip_if_unchanged=True)
        with self.transaction() as env:
            partner = env["res.partner"].browse(self.partner_id)
            ids = (
                self.endpoint(env)
                .queue_deliveries(
                    [{"payload": {"a": each}, "record": partner} for each in (1, 1, 2)]
                )
                .ids
            )
        self.run_lane()
        self.assertEqual(["done", "queued", "done"], self.states(ids))
        self.make_due(ids[1:2])
        self.run_lane()

        # The last request was the one with 2.
        self.assertEqual(["done"] * 3, self.states(ids))

    def test_lanes_that_build_at_the_same_moment(self):
        """The second waits until the attempt of the first is known, then is canceled.

        Both would be sent: neither lane sees what the other has not committed.
        """
        self.receiver.on_request = None
        self.set_up(skip_if_unchanged=True, ordering="none", parallel_lanes=2)
        with self.transaction() as env:
            partner, other = (
                env["res.partner"].browse(self.partner_id),
                env.user.partner_id,
            )
            ids = (
                self.endpoint(env)
                .queue_deliveries(
                    [
                        {"payload": 1, "record": each}
                        for each in (partner, partner, other)
                    ]
                )
                .ids
            )
        with self.read_committed() as env:
            endpoint = self.endpoint(env)._for_lane()
            snapshot = endpoint._outbound_snapshot()
            health = Health(env.cr, endpoint.id, snapshot.policy, False)
            claim = Claim(endpoint, snapshot, health, Position(), "j")
            batch = claim.take(1, utcnow(), alone=False)
            self.assertEqual(ids[:1], [each.claimed.id for each in batch.prepared])

            self.run_lane()

            self.assertEqual(["queued", "queued", "done"], self.states(ids))
        self.run_lane()
        self.make_due(ids[1:2])
        self.run_lane()
        self.assertEqual(["done", "canceled", "done"], self.states(ids))


class TestEchoOfTheReceiver(ServerActionCase):
    def test_changes_of_a_user(self):
        """What the integration's user writes isn't sent back; others' changes are."""
        user = self.env["res.users"].create(
            {
                "name": "Shop",
                "login": "shop-integration",
                "group_ids": [
                    Command.link(self.env.ref("base.group_user").id),
                    Command.link(self.env.ref("base.group_partner_manager").id),
                ],
            }
        )
        action = self.action("name", bwt_webhook_skip_user_ids=[Command.link(user.id)])
        self.rule(action)

        self.company.with_user(user).name = "From the shop"
        self.env.flush_all()
        self.assertFalse(self.queued(self.company))
        self.company.name = "Ours"
        self.env.flush_all()
        self.assertEqual(["Ours"], self.sent_names(self.company))

    def answered(self, endpoint, name):
        """The contact after the response to a delivery has stored this name."""
        endpoint.answer_value_ids = [
            Command.clear(),
            Command.create(
                {
                    "source_expression": "name",
                    "target_model": "res.partner",
                    "target_field": "name",
                }
            ),
        ]
        response = status(200, json.dumps({"name": name}).encode())
        self.receiver.script(endpoint.target_path, response)
        endpoint.queue_delivery({"name": "x"}, record=self.company).process_delivery()
        self.env.flush_all()
        self.assertEqual(name, self.company.name)

    def sent_by(self, action):
        """Names in deliveries of an action about the contact."""
        found = self.queued(self.company).filtered(
            lambda each: each.server_action_id == action
        )
        return [json.loads(each.payload_json)["name"] for each in found]

    def test_changes_by_answers(self):
        """A response value isn't sent to the receiver that it comes from.

        A computed field of the contact is saved with its name, which fires the rule a
        second time.
        """
        scope = self.endpoint.reference_scope
        same, other = (
            self.endpoint.copy({"code": code, "state": "active", **vals})
            for code, vals in (("same", {"reference_scope": scope}), ("other", {}))
        )
        action = self.action("name", bwt_webhook_skip_answers=True)
        self.rule(action)
        self.answered(self.endpoint, "Own")
        self.answered(same, "Same")
        self.assertEqual([], self.sent_by(action))

        self.answered(other, "Other")
        self.assertEqual(["Other"], self.sent_by(action))

    def test_changes_of_code(self):
        """Code that stores what the receiver said gives the context key itself."""
        action = self.action("name", bwt_webhook_skip_answers=True)
        context = {ECHO: self.endpoint.id}
        self.assertFalse(self.run_on(action.with_context(**context), self.company))
        self.assertTrue(self.run_on(action, self.company))

    def test_changes_by_answers_are_sent_by_default(self):
        """An action without the option sends them as before."""
        action = self.action("name")
        self.rule(action)
        self.answered(self.endpoint, "Stored")

        self.assertEqual(["Stored"], self.sent_by(action))

    def test_option_of_the_action(self):
        """It is passed on to the deliveries, about a record only."""
        action = self.action("name", bwt_webhook_skip_if_unchanged=True)

        [delivery] = self.run_on(action, self.company)
        self.assertTrue(delivery.skip_if_unchanged)
