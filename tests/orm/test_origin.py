# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Why a delivery was queued."""

from odoo.exceptions import AccessError
from odoo.tests.common import new_test_user

from ..constants import ADMINISTRATOR, DELIVERY, SEND_TEST
from .action_case import ServerActionCase


class TestOrigin(ServerActionCase):
    def ended(self, state):
        """A delivery in this state."""
        delivery = self.deliver({"a": 1})
        delivery.write({"state": state, "next_attempt_at": False})
        return delivery

    def test_what_code_and_actions_queue_is_live(self):
        """Queued by a call, by a server action, and written by hand as a draft."""
        by_code = self.deliver({"a": 1})
        by_action = self.run_on(self.action("name"), self.company)
        by_hand = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})

        found = by_code + by_action + by_hand

        self.assertEqual(["live"] * 3, found.mapped("origin"))

    def test_a_replay(self):
        """The copy is a replay; the delivery that it is a copy of stays live."""
        delivery = self.ended("done")

        delivery.action_create_replay_delivery()

        self.assertEqual("live", delivery.origin)
        self.assertEqual("replay", delivery.replay_delivery_ids.origin)

    def test_retry_now_is_no_replay(self):
        """The same message is sent again: it is still what happened."""
        delivery = self.ended("dead_letter")

        delivery.action_retry_now()

        self.assertEqual("live", delivery.origin)

    def test_send_test(self):
        """What the dialog sends is a test, for the receiver, too."""
        self.header("X-Origin", literal="{origin}")
        context = self.endpoint.action_send_test()["context"]
        test = self.env[SEND_TEST].with_context(**context).create({})

        test.action_preview()
        test.action_send()

        self.assertEqual("test", test.delivery_id.origin)
        self.assertIn("X-Origin: test", test.request_headers)
        self.assertEqual(
            "test", self.receiver.wait_for_requests(1)[-1].header("X-Origin")
        )

    def test_path_header_and_rule_read_it(self):
        """As a token and as a context key, without a context line."""
        self.endpoint.target_path = "/orders/{origin}"
        self._rule("payload", "target_path", "by", "context_key", "origin", False, {})

        self.deliver({"a": 1}).process_delivery()

        request = self.receiver.wait_for_requests(1)[-1]
        self.assertEqual("/orders/live", request.path)
        self.assertEqual({"a": 1, "by": "live"}, request.json())

    def test_a_context_line_of_that_name_takes_precedence(self):
        """Otherwise endpoints that have one would send something else."""
        self.endpoint.target_path = "/orders/{origin}"

        self.deliver({}, {"origin": "Hamburg"}).process_delivery()

        self.assertEqual("/orders/Hamburg", self.receiver.wait_for_requests(1)[-1].path)

    def test_nothing_is_missing_for_the_token(self):
        """A form that asks for its value would be wrong: it is always there."""
        self.endpoint.target_path = "/orders/{origin}"
        action = self.action("name")

        self.assertFalse(action.bwt_webhook_hint)

    def test_a_user_can_not_set_it(self):
        """A user who writes a delivery can't make it look like a run's."""
        admin = new_test_user(self.env, "origin-admin", ADMINISTRATOR)
        deliveries = self.env[DELIVERY].with_user(admin)
        values = {"endpoint_id": self.endpoint.id, "origin": "backfill"}

        with self.refused("Origin can't be set", AccessError):
            deliveries.create(values)
        with self.refused("Origin can't be set", AccessError):
            self.deliver({}).with_user(admin).write({"origin": "test"})

    def test_rows_of_other_code_are_live(self):
        """The column has a default: nobody has to know it."""
        delivery = self.deliver({})
        self.env.cr.execute(
            "INSERT INTO bwt_webhook_outbound_delivery (name, endpoint_id, message_uid,"
            " state, request_headers_json, payload_json) SELECT name, endpoint_id, "
            "message_uid, 'draft', '{}', '{}' FROM bwt_webhook_outbound_delivery "
            "WHERE id = %s RETURNING origin",
            (delivery.id,),
        )

        self.assertEqual("live", self.env.cr.fetchone()[0])

    def test_groups(self):
        """The report counts deliveries by it."""
        self.ended("done").action_create_replay_delivery()

        groups = self.env[DELIVERY]._read_group(
            [("endpoint_id", "=", self.endpoint.id)], ["origin"], ["__count"]
        )

        self.assertEqual([("live", 1), ("replay", 1)], groups)
