# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a delivery says in plain language."""

from datetime import timedelta

from odoo import Command, fields

from ..constants import DELIVERY
from ..receiver import status
from .trust_case import TrustCase


class TestStatusMessage(TrustCase):
    """The sentence on top says what happened and what to do next."""

    def said(self, delivery):
        """The sentence as it is now."""
        delivery.invalidate_recordset(["status_message"])
        return delivery.status_message

    def test_a_draft_says_how_it_is_sent(self):
        """Who makes one by hand reads which button comes next."""
        delivery = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})

        self.assertIn(
            'Press Queue to send it to "Shop orders"', delivery.status_message
        )

    def test_what_waits_names_what_it_waits_for(self):
        """Paused, not active, circuit-open: each says so, and the way out."""
        delivery = self.deliver()
        self.assertRegex(self.said(delivery), "is sent within seconds")

        self.endpoint.is_paused = True
        self.assertIn('"Shop orders" is paused. Resume it.', self.said(delivery))
        self.endpoint.write({"is_paused": False, "state": "draft"})
        self.assertIn("is in state Draft. Activate it.", self.said(delivery))
        self.endpoint.state = "active"
        self.endpoint.health_ids.circuit_state = "open"
        self.assertIn("failed too often in a row", self.said(delivery))

    def test_what_waits_behind_another_names_it(self):
        """An order that holds something back is not a mystery."""
        self.endpoint.ordering = "endpoint"
        first, second = self.deliver(name="first"), self.deliver(name="second")

        self.assertIn('Waits behind "first"', second.status_message)
        first.sudo().write({"state": "error", "next_attempt_at": False})
        self.assertIn("dead-lettered or canceled: 1.", self.said(first))

    def test_later_is_described(self):
        """A date is read as "in 3 hours", and as "due now" when it has passed."""
        now = fields.Datetime.now()
        delivery = self.deliver(eta=now + timedelta(hours=3, minutes=1))

        self.assertEqual("in 3 hours", delivery.next_attempt_summary)
        self.assertEqual(
            "Will be sent in 3 hours. Press Send Now to send it at once.",
            delivery.status_message,
        )
        delivery.sudo().next_attempt_at = now - timedelta(minutes=1)
        self.assertEqual("due now", delivery.next_attempt_summary)

    def test_done_says_how_the_target_responded(self):
        """Nothing is left to do, and the sentence says so by saying it arrived."""
        delivery = self.process({"a": 1})

        self.assertEqual(
            "Delivered at the first attempt: the target responded with 200.",
            delivery.status_message,
        )

    def test_what_the_handler_canceled_names_it(self):
        """Else "Press Reset to Draft" leads to a delivery that is canceled again."""
        self.handler({"result_status": "cancel", "note": "closed today"})
        delivery = self.process({"a": 1})

        self.assertIn('Canceled by the handler "Decider"', self.said(delivery))
        self.assertIn("closed today", self.said(delivery))
        delivery.action_reset_to_draft()
        delivery.action_cancel_delivery()
        self.assertIn("Press Reset to Draft to send it after all", self.said(delivery))

    def test_refused_credentials_lead_to_the_endpoint(self):
        """A 401 is corrected on the endpoint, then the delivery goes as it is."""
        self.receiver.script("/orders", status(401))

        said = self.process({"a": 1}).status_message

        self.assertIn("the receiver refused the credentials", said)
        self.assertIn('Correct endpoint "Shop orders", then press Retry Now.', said)

    def test_refused_content_leads_to_the_draft(self):
        """A 422 is about the content: the draft is where it can be corrected."""
        self.receiver.script("/orders", status(422))

        delivery = self.process({"a": 1})

        self.assertIn(
            "Press Reset to Draft, correct the payload, then press Queue",
            delivery.status_message,
        )
        self.assertTrue(delivery.needs_correction)

    def test_a_failure_that_is_retried_says_when(self):
        """Nobody need press anything, and the sentence says so."""
        self.endpoint.retry_schedule = "2h"
        self.receiver.script("/orders", status(503))

        said = self.process({"a": 1}).status_message

        self.assertRegex(said, r"attempt 1 of 2. It is retried in 2 hours.")

    def test_a_retry_that_is_due_says_so(self):
        """Past its date nobody reads "tried again due now"."""
        self.receiver.script("/orders", status(503))
        delivery = self.process({"a": 1})

        delivery.sudo().next_attempt_at = fields.Datetime.now() - timedelta(minutes=1)

        self.assertIn("It is due for a retry.", self.said(delivery))

    def test_a_retry_that_nothing_moves_says_why(self):
        """Due for minutes it isn't "due" alone: no job runner works here."""
        self.endpoint.target_hostname = "https://nowhere.invalid"
        delivery = self.process({"a": 1})
        self.assertTrue(self.said(delivery).startswith('The name "nowhere.invalid"'))

        delivery.sudo().next_attempt_at = fields.Datetime.now() - timedelta(minutes=5)
        delivery.sudo().flush_recordset()

        self.assertIn("No job runner works on this database", self.said(delivery))

    def test_request_and_response_are_formatted(self):
        """JSON is read line by line; what is stored and sent stays as it was."""
        self.receiver.script("/orders", status(200, b'{"id": 7, "total": 1.10}'))
        delivery = self.process({"order": {"id": 1}})
        attempt = delivery.attempt_ids

        self.assertIn('{\n  "order": {\n    "id": 1', attempt.payload_pretty)
        self.assertNotIn("\n", attempt.payload_json)
        self.assertIn('\n  "total": 1.10\n', delivery.response_body_pretty)
        self.assertIn('\n  "webhook-id": ', attempt.request_headers_pretty)

    def test_what_cannot_be_built_needs_attention(self):
        """What an endpoint lacks is corrected there, and Retry Now comes next."""
        self.rule("lines.0.sku", literal="x")

        delivery = self.process({"lines": 5})

        self.assertIn('"lines" is 5', delivery.status_message)
        self.assertIn(
            'correct endpoint "Shop orders", then press Retry Now.',
            delivery.status_message,
        )
        self.assertFalse(delivery.needs_correction)

    def test_a_missing_token_leads_to_the_draft(self):
        """Context lines are written in a draft: Retry Now would only fail again."""
        self.endpoint.target_path = "/orders/{order_id}"

        delivery = self.process({"a": 1})

        self.assertIn(
            "press Reset to Draft, add order_id on the page Context, then press Queue.",
            delivery.status_message,
        )
        self.assertTrue(delivery.needs_correction)
        delivery.action_reset_to_draft()
        self.assertIn(
            "The path needs order_id: add it on the page Context",
            self.said(delivery),
        )
        self.assertFalse(delivery.needs_correction)
        delivery.context_line_ids = [
            Command.create({"key_name": "order_id", "literal_value": "S7"})
        ]
        self.assertIn("Press Queue to send it", self.said(delivery))
        delivery.action_queue_delivery()
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)

    def test_an_empty_value_is_corrected_not_added(self):
        """The line is there: it is said that its value is what is missing."""
        self.endpoint.target_path = "/orders/{order_id}"

        said = self.process({"a": 1}, {"order_id": ""}).status_message

        self.assertIn("give order_id a value on the page Context", said)

    def test_headers_that_cannot_be_sent_lead_to_the_draft(self):
        """Deliveries of before headers were checked: what is wrong is in them."""
        delivery = self.deliver({"a": 1}).sudo()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery SET request_headers_json = %s "
            "WHERE id = %s",
            ('{"Host": "a"}', delivery.id),
        )
        delivery.invalidate_recordset()

        delivery.process_delivery()

        self.assertIn('header "Host" is set by the sender', delivery.status_message)
        self.assertIn("press Reset to Draft, correct it, then", delivery.status_message)
        self.assertTrue(delivery.needs_correction)

    def test_a_handler_that_waits_says_why(self):
        """Its note is what users need; "Handler" alone explains nothing."""
        self.handler(
            {
                "result_status": "retry",
                "retry_seconds": 540,
                "note": "the customer has no e-mail yet",
            }
        )

        said = self.process({"a": 1}).status_message

        self.assertEqual(
            'The handler "Decider" requested a retry: the customer has no e-mail '
            "yet\nThis was attempt 1 of 8. It is retried in 9 minutes. Press Retry "
            "Now to retry at once.",
            said,
        )

    def test_an_address_that_is_not_allowed(self):
        """Nothing of the endpoint need be wrong: its network may have to be allowed."""
        self.endpoint.target_hostname = "http://10.0.0.5"

        said = self.process({"a": 1}).status_message

        self.assertIn("Once the address is allowed, or endpoint", said)
        self.assertNotIn("Correct endpoint", said)

    def test_what_was_noted_after_the_response_is_separate(self):
        """A response hook that failed isn't hidden where all seems well."""
        delivery = self.process({"a": 1})
        self.assertFalse(delivery.has_late_note)

        delivery.processing_note = "The response hook failed: KeyError: 'X-Shop-Id'"

        self.assertTrue(delivery.has_late_note)
        self.assertIn("The response hook failed", self.said(delivery))

    def test_a_handlers_own_note_is_not_a_warning(self):
        """What was known before the request was sent doesn't turn the banner yellow."""
        self.handler({"result_status": "send", "note": "express"})

        delivery = self.process({"a": 1})

        self.assertEqual("express", delivery.processing_note)
        self.assertFalse(delivery.has_late_note)

    def test_the_url_is_the_one_that_was_requested(self):
        """Once there is an attempt its URL is shown, without tokens."""
        self.endpoint.target_path = "/orders/{order_id}"
        delivery = self.deliver({"a": 1}, {"order_id": "S7"}).sudo()
        self.assertIn("/orders/{order_id}", delivery.shown_url)

        delivery.process_delivery()
        delivery.invalidate_recordset()

        self.assertEqual(f"{self.receiver.url}/orders/S7", delivery.shown_url)

    def test_used_up_and_by_hand(self):
        """A used up schedule has another message than a manual dead letter."""
        self.endpoint.retry_schedule = False
        self.receiver.script("/orders", status(503))
        self.assertIn(
            "Failed permanently; attempts made: 1.",
            self.process({"a": 1}).status_message,
        )

        by_hand = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})
        by_hand.action_dead_letter()
        self.assertIn("Moved to Dead Letter by hand", self.said(by_hand))

    def test_every_state_has_a_message(self):
        """A delivery has a message in every state."""
        delivery = self.deliver().sudo()

        for state, _label in delivery._fields["state"].selection:
            with self.subTest(state):
                delivery.state = state
                self.assertTrue(self.said(delivery))


class TestReaders(TrustCase):
    def test_operators_read_all_of_it(self):
        """Operators can read the messages of deliveries and their endpoints."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "t0ken"})
        delivery = self.process({"a": 1}).with_user(self.user("operator"))

        self.assertIn("responded with 200", delivery.status_message)
        self.assertIn("curl --request POST", delivery.curl_command)
        self.assertTrue(delivery.age_text)
        endpoint = delivery.endpoint_id
        for name in ("url_preview", "policy_summary", "chart_24h"):
            self.assertTrue(endpoint[name])
