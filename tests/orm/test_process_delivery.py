# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`process_delivery()`: the lane's steps at once, in the caller's transaction."""

import json
from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.services.outcome import HandlerOutcome

from ..constants import DELIVERY, LOGGER
from ..receiver import close, cut, redirect, status, throttle
from .common import OutboundCase


@tagged("post_install", "-at_install", "any_database")
class TestDirect(OutboundCase):
    def sent(self, *responses, **options):
        """A delivery processed once while the target responds like this."""
        self.receiver.script("/orders", *responses)
        delivery = self.queue({"a": 1}, **options)
        delivery.process_delivery()
        return delivery

    def test_delivered(self):
        """A 2xx ends it: attempt, response and times are stored, nothing committed."""
        delivery = self.sent(status(201, b'{"id": 7}', [("X-Id", "7")]))

        [request] = self.receiver.requests
        self.assertEqual(delivery.message_uid, request.header("webhook-id"))
        self.assertEqual("done", delivery.state)
        self.assertEqual(201, delivery.response_status_code)
        self.assertEqual('{"id": 7}', delivery.response_body)
        self.assertEqual("7", json.loads(delivery.response_headers_json)["X-Id"])
        self.assertFalse(delivery.next_attempt_at or delivery.job_uuid)
        self.assertGreater(delivery.queue_to_done_seconds, 0)
        attempt = delivery.attempt_ids
        self.assertEqual((1, "done"), (attempt.attempt_number, attempt.state))
        self.assertEqual(f"{delivery.name} / Attempt 1", attempt.name)
        self.assertEqual(f"{self.receiver.url}/orders", attempt.target_url)
        self.assertEqual('{"a": 1}', attempt.payload_json)
        self.assertEqual('{"a": 1}', delivery.payload_json)

    def test_the_result_of_each_response(self):
        """Retried, for good or done: state, reason, next attempt, attempt's state."""
        cases = (
            (status(503), "error", "http_5xx", True),
            (status(408), "error", "http_4xx", True),
            (throttle(7), "error", "http_4xx", True),
            (close(), "error", "connect", True),
            (status(404), "dead_letter", "http_4xx", False),
            (status(410), "dead_letter", "http_4xx", False),
            (redirect(), "dead_letter", "redirect", False),
            (cut(), "done", False, False),
        )
        for response, state, reason, again in cases:
            with self.subTest(state=state, reason=reason):
                delivery = self.sent(response)
                self.assertEqual(state, delivery.state)
                self.assertEqual(reason, delivery.failure_reason)
                self.assertEqual(again, bool(delivery.next_attempt_at))
                self.assertEqual(int(again), delivery.retry_number)
                self.assertEqual(not again, bool(delivery.processed_at))
                self.assertEqual(state, delivery.attempt_ids.state)
                self.assertEqual(state != "done", bool(delivery.processing_error))

    def test_retry_after_counts_when_longer(self):
        """The server's wish is kept where it is longer than the schedule's delay."""
        delivery = self.sent(throttle(3600))

        wait = (delivery.next_attempt_at - utcnow()).total_seconds()
        self.assertAlmostEqual(3600, wait, delta=30)

    def test_retries_used_up(self):
        """After the last delay the failure is final; attempts are counted on."""
        self.endpoint.retry_schedule = "1s"
        delivery = self.sent(status(503))
        uid = delivery.message_uid
        self.assertEqual("error", delivery.state)

        delivery.process_delivery()

        self.assertEqual("dead_letter", delivery.state)
        self.assertEqual([2, 1], delivery.attempt_ids.mapped("attempt_number"))
        self.assertEqual(2, delivery.attempt_count)
        self.assertEqual({uid: 2}, self.receiver.counts())

    def test_an_empty_schedule_retries_nothing(self):
        """Without delays the first failure is final."""
        self.endpoint.retry_schedule = False

        self.assertEqual("dead_letter", self.sent(status(503)).state)

    def test_what_has_ended_is_not_changed(self):
        """Done, dead-lettered and canceled deliveries are not sent again."""
        for state in ("done", "dead_letter", "canceled"):
            delivery = self.in_state(state)
            before = self.row(delivery)
            delivery.process_delivery()
            self.assertEqual(before, self.row(delivery))
        self.assertEqual(0, self.receiver.total)

    def test_endpoint_that_does_not_send(self):
        """On a draft, archived or paused endpoint it raises and changes nothing."""
        delivery = self.queue({"a": 1})
        before = self.row(delivery)
        for vals in ({"state": "draft"}, {"state": "archived"}, {"is_paused": True}):
            self.endpoint.write({"state": "active", "is_paused": False} | vals)
            with self.subTest(vals=vals), self.refused('Endpoint "Orders"'):
                delivery.process_delivery()
        self.assertEqual(before, self.row(delivery))
        self.assertEqual(0, self.receiver.total)

    def test_a_draft_is_sent(self):
        """A draft takes a place and is sent: a script's shortest way."""
        draft = self.env[DELIVERY].create(
            {"endpoint_id": self.endpoint.id, "payload_json": '{"b": 2}'}
        )

        draft.process_delivery()

        self.assertEqual("done", draft.state)
        self.assertTrue(draft.queue_number and draft.queued_at)
        self.assertEqual({"b": 2}, self.receiver.requests[0].json())

    def test_who_is_in_flight_is_not_sent_again(self):
        """A delivery that a lane has claimed is refused."""
        delivery = self.in_state("processing", job_uuid="x", lane_slot=0)

        with self.refused("being sent right now"):
            delivery.process_delivery()

    def test_order_is_kept(self):
        """One that isn't first in its order is refused; a record set goes in order."""
        self.endpoint.ordering = "key"
        first, second, other = self.queue_keys("a", "a", "b")

        with self.refused("ordering group"):
            second.process_delivery()
        (other + second + first).process_delivery()

        self.assertEqual(
            ["a", "a", "b"],
            [request.json()["key"] for request in self.receiver.requests],
        )
        self.assertEqual(
            [first.message_uid, second.message_uid, other.message_uid],
            [each.header("webhook-id") for each in self.receiver.requests],
        )

    def test_a_canceled_delivery_keeps_nothing_waiting(self):
        """Groups of an order that is no longer in force block nothing."""
        self.endpoint.ordering = "endpoint"
        _first, second = self.queue_keys("a", "b")
        self.endpoint.ordering = "none"

        second.process_delivery()

        self.assertEqual("done", second.state)

    def test_superseded(self):
        """What a newer one replaced isn't sent, and says what replaced it."""
        old, new = self.queue_keys("stock", "stock", supersede=True)
        new.name = "newest"

        (old + new).process_delivery()

        self.assertEqual(("canceled", "done"), (old.state, new.state))
        self.assertIn("newest", old.processing_note)
        self.assertFalse(old.attempt_ids)
        self.assertEqual(1, self.receiver.total)

    def test_health_is_the_lanes(self):
        """It writes no health row: a caller's transaction would hold up the lane."""
        before = self.row(self.endpoint.health_ids)

        self.sent(status(503))
        self.sent(status(200))

        self.assertEqual(before, self.row(self.endpoint.health_ids))

    def test_unusual_responses_are_stored(self):
        """NUL, bad UTF-8 and huge bodies are kept as far as they can be."""
        delivery = self.sent(status(200, b"a\x00b\xff\xed\xa0\x80"))
        self.assertEqual("done", delivery.state)
        self.assertTrue(delivery.response_body.startswith("a\ufffdb\ufffd"))

        delivery = self.sent(status(200, b"x" * 100_000))
        self.assertEqual("done", delivery.state)
        self.assertRegex(delivery.response_body, r"\n\[.*cut.*\]$")
        self.assertLess(len(delivery.response_body), 66_000)

    def test_odd_texts_of_handlers_fail_nothing(self):
        """A note that no database stores, a rule that isn't there: still recorded.

        One such delivery would otherwise fail every batch that it is claimed in.
        """
        odd = {"note": "a\x00b\ud800", "matched_rule_id": 2**31 - 1}
        for raw in (odd, odd | {"status": "done"}, odd | {"payload": {"a": "\ud800"}}):
            with self.subTest(raw=raw):
                self.patch(
                    type(self.env[DELIVERY]),
                    "_invoke_handler",
                    lambda self, request, raw=raw: HandlerOutcome.from_raw(
                        raw, request
                    ),
                )
                delivery = self.sent(status(200))
                self.assertEqual("done", delivery.state, delivery.processing_error)
                self.assertEqual("a\ufffdb?", delivery.processing_note)
                self.assertFalse(delivery.matched_outbound_rule_id)

    def test_a_body_that_can_not_be_encoded(self):
        """A form with half a surrogate pair is an error of its own, on record."""
        self.endpoint.request_body_mode = "form_urlencoded"

        delivery = self.endpoint.queue_delivery({"a": "\ud800"})
        delivery.process_delivery()

        self.assertIn(delivery.state, ("done", "error"))
        self.assertEqual(len(delivery.attempt_ids), delivery.attempt_count)

    def test_a_handler_that_fails(self):
        """What a failing hook wrote is rolled back; the delivery needs attention."""
        partner = self.env["res.partner"].create({"name": "before"})

        def fail(self, request):
            partner.with_env(self.env).name = "after"
            self.env.flush_all()
            raise RuntimeError("boom\x00")

        self.patch(type(self.env[DELIVERY]), "_invoke_handler", fail)
        with self.assertLogs(LOGGER, "WARNING"):
            delivery = self.sent(status(200))

        self.assertEqual(
            ("error", "handler"), (delivery.state, delivery.failure_reason)
        )
        self.assertIn("boom", delivery.processing_error)
        self.assertEqual("error", delivery.attempt_ids.state)
        self.assertFalse(delivery.next_attempt_at)
        self.assertEqual("before", partner.name)
        self.assertEqual(0, self.receiver.total)

    def test_a_response_hook_that_fails(self):
        """The delivery stays done with a note; the hook's writes are rolled back."""
        partner = self.env["res.partner"].create({"name": "before"})

        def fail(self, response, state, outcome):
            partner.with_env(self.env).name = f"{response.status_code} {state}"
            self.env.flush_all()
            raise ValueError("no such binding")

        self.patch(type(self.env[DELIVERY]), "_handle_outbound_response", fail)
        with self.assertLogs(LOGGER, "WARNING"):
            delivery = self.sent(status(200))

        self.assertEqual("done", delivery.state)
        self.assertIn("no such binding", delivery.processing_note)
        self.assertEqual("before", partner.name)

    def test_what_the_caller_wrote_is_kept(self):
        """Values that the caller set and hasn't flushed survive the sending."""
        partner = self.env["res.partner"].create({"name": "before"})
        delivery = self.queue({"a": 1})
        partner.name = "after"

        delivery.process_delivery()

        self.assertEqual("after", partner.name)
        self.assertEqual("after", self.row(partner)["name"])

    def test_due_later_is_sent_now(self):
        """Called by hand, an error doesn't wait for its next attempt."""
        delivery = self.sent(status(503))
        self.assertGreater(delivery.next_attempt_at, utcnow())
        self.receiver.script("/orders")

        delivery.process_delivery()

        self.assertEqual("done", delivery.state)

    def test_a_lane_outside_the_runner_sends_in_the_transaction(self):
        """`run_lane` in a test or a script sends what is due, raising for nothing.

        A uuid in the context proves no job: a commit would be the caller's surprise.
        """
        self.endpoint.ordering = "key"
        due, behind, later = self.queue_keys("a", "a", "b")
        later.next_attempt_at = utcnow() + timedelta(hours=1)
        stuck, behind_stuck = self.queue_keys("c", "c")
        stuck.write({"state": "error", "next_attempt_at": False})

        report = self.endpoint.with_context(job_uuid="not-a-job").run_lane()

        self.assertRegex(report, "2 sent in the caller's transaction, 1 left")
        self.assertEqual(["done", "done"], (due + behind).mapped("state"))
        self.assertEqual(["queued"] * 2, (later + behind_stuck).mapped("state"))
        self.endpoint.is_paused = True
        self.assertIn("doesn't send", self.endpoint.run_lane())
        gone = self.make_endpoint("gone")
        gone.unlink()
        self.assertIn("gone", gone.run_lane())
