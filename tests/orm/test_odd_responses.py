# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Responses that are not as they should be: what becomes of their delivery."""

import json
from datetime import timedelta, timezone

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health

from ..constants import ATTEMPT, DELIVERY
from ..receiver import close, redirect, status, throttle
from .common import CommittedCase, OutboundCase


def raw(data):
    """Respond with these bytes and close."""

    def response(exchange):
        exchange.send(data)
        exchange.close()

    return response


@tagged("post_install", "-at_install")
class TestOddResponses(OutboundCase):
    def sent(self, *responses, **options):
        """A delivery processed once while the target responds like this."""
        self.receiver.script("/orders", *responses)
        delivery = self.queue({"a": 1}, **options)
        delivery.process_delivery()
        return delivery

    def seen_by_hooks(self):
        """What response hooks get from now on."""
        responses = []

        def keep(delivery, response, state, outcome):
            responses.append(response)

        self.patch(type(self.env[DELIVERY]), "_handle_outbound_response", keep)
        return responses

    def test_a_success_with_a_malformed_header_is_done(self):
        """It is sent once, and a note says what is wrong with the response.

        A header that isn't one made the delivery a dead letter after eight requests.
        """
        for line in (b"Name : value", b"No colon", b": empty", b"Content-Length: -1"):
            with self.subTest(line=line):
                head = b"HTTP/1.1 200 OK\r\nX-Id: 7\r\n" + line + b"\r\n\r\n"

                delivery = self.sent(raw(head + b"taken"))

                self.assertEqual("done", delivery.state)
                self.assertEqual("taken", delivery.response_body)
                headers = json.loads(delivery.response_headers_json)
                self.assertEqual("7", headers["X-Id"])
                self.assertIn("malformed", delivery.attempt_ids.processing_note)

    def test_repeated_headers_are_kept(self):
        """On record and for hooks, all values of a name, whatever its case.

        Only the last one was kept.
        """
        responses = self.seen_by_hooks()
        pairs = [("Link", "<a>"), ("X-Id", "7"), ("link", "<b>")]

        delivery = self.sent(status(200, b"{}", pairs))

        headers = json.loads(delivery.response_headers_json)
        self.assertEqual(("<a>, <b>", "7"), (headers["Link"], headers["X-Id"]))
        self.assertNotIn("link", headers)
        [response] = responses
        self.assertEqual("<a>, <b>", response.headers["LINK"])
        self.assertEqual("7", response.headers.get("x-id"))

    def test_a_byte_order_mark_is_not_recorded(self):
        """A hook that reads the text as JSON would fail at it."""
        responses = self.seen_by_hooks()

        delivery = self.sent(status(200, b'\xef\xbb\xbf{"id": 7}'))

        self.assertEqual('{"id": 7}', delivery.response_body)
        self.assertEqual({"id": 7}, json.loads(responses[0].text))

    def test_a_secret_of_the_url_is_masked_in_the_response(self):
        """A receiver repeats it in `Location`, other headers and the body."""
        self.endpoint.target_path = "/orders?token=s3cr3t%2Fkey&id=7"
        location = "https://a.example/?token=s3cr3t%2Fkey&again=1"
        response = status(
            302,
            b'{"url": "?token=s3cr3t%2Fkey", "token": "s3cr3t/key"}',
            [("Location", location), ("X-Echo", "s3cr3t/key")],
        )
        self.receiver.script("/orders", response)
        delivery = self.queue({"a": 1})

        delivery.process_delivery()

        self.assertEqual(302, delivery.response_status_code)
        for record in (delivery, delivery.attempt_ids):
            for name in (
                "response_headers_json",
                "response_body",
                "processing_error",
                "processing_note",
            ):
                self.assertNotIn("s3cr3t", record[name] or "")
        headers = json.loads(delivery.response_headers_json)
        self.assertEqual("https://a.example/?token=***&again=1", headers["Location"])
        self.assertEqual("***", json.loads(delivery.response_body)["token"])

    def test_a_redirect_names_no_secret(self):
        """The error of a redirect quotes its target."""
        delivery = self.sent(redirect("https://a.example/?api_key=s3cr3t"))

        self.assertIn("https://a.example/?api_key=***", delivery.processing_error)

    def test_a_unix_time_in_retry_after(self):
        """It is the moment of the next attempt, not a number of seconds."""
        moment = utcnow() + timedelta(seconds=3000)

        delivery = self.sent(
            throttle(int(moment.replace(tzinfo=timezone.utc).timestamp()))
        )

        wait = (delivery.next_attempt_at - moment).total_seconds()
        self.assertAlmostEqual(0, wait, delta=30)


@tagged("post_install", "-at_install")
class TestHeldBack(OutboundCase):
    def health(self):
        self.env.flush_all()
        endpoint = self.endpoint
        return Health(self.env.cr, endpoint.id, endpoint._policy(), False)

    def test_retry_after_stops_the_endpoint(self):
        """Nothing is claimed until then, also without a circuit breaker.

        Only the delivery with that response waited: the others were still refused.
        """
        now = utcnow()
        for threshold in (0, 10):
            with self.subTest(threshold=threshold):
                self.endpoint.circuit_threshold = threshold
                moved = self.health().note(["failure"], now, backoff=600)

                self.assertEqual(("closed", "closed"), moved)
                until = now + timedelta(seconds=600)
                allowance = self.health().allow(10, now)
                self.assertEqual((0, until), (allowance.count, allowance.not_before))
                self.assertEqual(until, self.health().not_before(now))
                self.assertEqual(10, self.health().allow(10, until).count)
                self.assertIsNone(self.health().not_before(until))

    def test_a_waiting_delivery_says_until_when(self):
        """Otherwise it is due and nobody knows why it isn't sent."""
        delivery = self.queue({"a": 1})

        self.health().note(["failure"], utcnow(), backoff=600)
        delivery.endpoint_id.invalidate_recordset()
        delivery.endpoint_id.health_ids.invalidate_recordset()

        self.assertIn("requested a pause until", delivery.status_message)


@tagged("post_install", "-at_install")
class TestOddResponsesInLane(CommittedCase):
    def test_a_kept_connection_that_died_costs_no_retry(self):
        """The request is sent again at once, with the same id, and a note says so.

        Servers close idle connections when they like; it counted as a failed attempt.
        """
        self.set_up(max_in_flight=1)
        self.receiver.script("/in", status(200), close(), status(200))

        ids = self.queue({"n": 1}, {"n": 2})
        self.run_lane()

        self.assertEqual(
            [("done", 1, 0), ("done", 1, 0)],
            self.committed(ids, "state", "attempt_count", "retry_number"),
        )
        first, second, third = self.receiver.requests
        self.assertEqual(second.webhook_id, third.webhook_id)
        self.assertEqual(second.head, third.head)
        self.assertNotEqual(first.webhook_id, second.webhook_id)
        with self.transaction() as env:
            attempts = env[ATTEMPT].search([("delivery_id", "in", ids)], order="id")
            notes = attempts.mapped("processing_note")
        self.assertFalse(notes[0])
        self.assertIn("sent again on a new connection", notes[1])

    def test_a_lane_waits_as_long_as_the_receiver_requests(self):
        """The next lane sends nothing, and leaves a wake-up for that moment."""
        self.receiver.script("/in", throttle(600))
        first = self.queue({"n": 1})
        self.run_lane()
        until = utcnow() + timedelta(seconds=600)

        second = self.queue({"n": 2})
        self.run_lane()

        self.assertEqual(["error"], self.states(first))
        self.assertEqual(["queued"], self.states(second))
        self.assertEqual(1, len(self.receiver.requests))
        [eta] = [each for each in self.pending() if each]
        self.assertAlmostEqual(0, (eta - until).total_seconds(), delta=30)

    def test_what_waits_in_a_lane_is_released(self):
        """Deliveries that no thread has picked go back to their place."""
        self.set_up(max_in_flight=1)
        self.receiver.script("/in", *[throttle(600)] * 500)
        ids = self.queue(*[{"n": number} for number in range(500)])

        self.run_lane()

        sent = len(self.receiver.requests)
        self.assertLess(sent, 500)
        states = self.states(ids)
        self.assertEqual(
            (sent, 500 - sent), (states.count("error"), states.count("queued"))
        )
