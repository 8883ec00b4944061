# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Trace context, a second header with the message id, compressed bodies."""

import gzip
import hashlib
import hmac
import json
import re
import shlex
import subprocess

from odoo.tests import tagged

from ..constants import ATTEMPT
from ..receiver import status
from .common import OutboundCase

SECRET = "whatever the receiver gave us"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")
LONG = {"text": "grün " * 1000}


@tagged("post_install", "-at_install")
class TestRequestAdditions(OutboundCase):
    def sent(self, payload=None, state="done", **options):
        """A new delivery after its first attempt, and what arrived."""
        self.receiver.clear()
        if state == "error":
            self.receiver.script("/orders", status(503))
        delivery = self.queue(payload or {"a": 1}, **options).sudo()
        delivery.process_delivery()
        self.assertEqual(state, delivery.state, delivery.processing_error)
        [request] = self.receiver.wait_for_requests(1)
        return delivery, request

    def attempts(self, delivery):
        return self.env[ATTEMPT].search([("delivery_id", "=", delivery.id)], order="id")

    def header_rule(self, name, value):
        return self.env["bwt.webhook.outbound.endpoint.header.rule"].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": name,
                "source_kind": "literal",
                "literal_value": value,
            }
        )

    def test_nothing_is_added_by_default(self):
        """Receivers get what they got before."""
        _delivery, request = self.sent(LONG)

        for name in ("traceparent", "content-encoding", "idempotency-key"):
            self.assertFalse(request.header(name))
        self.assertIsNone(self.endpoint.sudo()._request_extras())

    def test_traceparent(self):
        """One trace per message, a span per attempt; the attempt shows it."""
        self.endpoint.send_traceparent = True
        delivery, first = self.sent(state="error")
        delivery.process_delivery()
        second = self.receiver.wait_for_requests(2)[1]

        found = [
            TRACEPARENT.fullmatch(each.header("traceparent"))
            for each in (first, second)
        ]

        for each in found:
            self.assertEqual(delivery.message_uid.removeprefix("msg_"), each[1])
        self.assertNotEqual(found[0][2], found[1][2])
        stored = [
            json.loads(attempt.request_headers_json)["traceparent"]
            for attempt in self.attempts(delivery)
        ]
        self.assertEqual([each[0] for each in found], stored)

    def test_traceparent_of_another_id(self):
        """A message id that isn't a UUID is hashed."""
        self.endpoint.send_traceparent = True
        delivery = self.queue({"a": 1}).sudo()
        delivery.message_uid = "order/7"
        delivery.process_delivery()

        [request] = self.receiver.wait_for_requests(1)

        expected = hashlib.sha256(b"order/7").hexdigest()[:32]
        found = TRACEPARENT.fullmatch(request.header("traceparent"))
        self.assertEqual(expected, found[1])

    def test_headers_of_rules_win(self):
        """In any case of letters."""
        self.endpoint.write(
            {"send_traceparent": True, "id_header_name": "Idempotency-Key"}
        )
        given = f"00-{'a' * 32}-{'b' * 16}-00"
        self.header_rule("Traceparent", given)
        self.header_rule("idempotency-key", "mine")

        _delivery, request = self.sent()

        self.assertEqual(given, request.header("traceparent"))
        self.assertEqual("mine", request.header("idempotency-key"))
        self.assertEqual(1, request.head.lower().count(b"\r\ntraceparent:"))

    def test_also_send_id_as(self):
        """The same for all attempts; webhook-id stays."""
        self.endpoint.write(
            {"id_header_name": "Idempotency-Key", "id_header_value": "o-{message_id}"}
        )
        delivery, _first = self.sent(state="error")
        delivery.process_delivery()

        for request in self.receiver.wait_for_requests(2):
            self.assertEqual(
                f"o-{delivery.message_uid}", request.header("idempotency-key")
            )
            self.assertEqual(delivery.message_uid, request.header("webhook-id"))

    def test_invalid_id_headers_are_refused(self):
        """Unknown tokens are named; a header with another meaning is not taken."""
        for values, message in (
            ({"id_header_value": "{delivery}"}, r"unknown token \{delivery\}"),
            ({"id_header_value": "fixed"}, r"\{message_id\} once"),
            ({"id_header_value": False}, r"\{message_id\} once"),
            ({"id_header_value": "{message_id}\n"}, "line breaks"),
            ({"id_header_name": "webhook-id"}, "another meaning"),
            ({"id_header_name": "Content-Length"}, "set by the sender"),
            ({"id_header_name": "a b"}, "not a valid header name"),
        ):
            with self.subTest(values), self.refused(message):
                self.endpoint.write({"id_header_name": "Idempotency-Key", **values})
        with self.refused("from -1 bytes"):
            self.endpoint.gzip_from_bytes = -1

    def test_gzip(self):
        """From the size on; the attempt stores text and hash of the whole body."""
        self.endpoint.gzip_from_bytes = 100
        _small, plain = self.sent({"a": 1})
        delivery, request = self.sent(LONG)

        self.assertFalse(plain.header("content-encoding"))
        self.assertEqual("gzip", request.header("content-encoding"))
        self.assertEqual(str(len(request.body)), request.header("content-length"))
        body = gzip.decompress(request.body)
        self.assertEqual(LONG, json.loads(body))
        attempt = self.attempts(delivery)
        self.assertEqual(body.decode(), attempt.payload_json)
        attempt.flush_recordset()
        self.env.cr.execute(
            f"SELECT body_hash FROM {attempt._table} WHERE id = %s", (attempt.id,)
        )
        self.assertEqual(hashlib.sha256(body).hexdigest(), self.env.cr.fetchone()[0])
        _again, other = self.sent(LONG)
        self.assertEqual(request.body, other.body)
        self.assertEqual(bytes(4), request.body[4:8], "no time inside (RFC 1952)")

    def test_gzip_is_signed_before(self):
        """The signature is over the body that a framework passes on, decoded."""
        self.endpoint.write(
            {
                "gzip_from_bytes": 1,
                "signature_preset": "github",
                "signing_secret_input": SECRET,
            }
        )

        _delivery, request = self.sent(LONG)

        body = gzip.decompress(request.body)
        digest = hmac.digest(SECRET.encode(), body, "sha256").hex()
        self.assertEqual(f"sha256={digest}", request.header("x-hub-signature-256"))

    def test_gzip_of_every_body(self):
        """Forms, multipart with a file, XML; what has an encoding is left alone."""
        self.endpoint.gzip_from_bytes = 1
        file = {"filename": "a.txt", "content": b"x" * 5000}
        for mode, payload, options in (
            ("form_urlencoded", {"a": "b" * 500}, {}),
            ("multipart", {"a": "b" * 500}, {"files": {"doc": file}}),
            ("raw", "<a>" + "b" * 500 + "</a>", {}),
        ):
            self.endpoint.request_body_mode = mode
            with self.subTest(mode):
                _delivery, request = self.sent(payload, **options)
                self.assertEqual("gzip", request.header("content-encoding"))
                self.assertIn(b"b" * 500, gzip.decompress(request.body))
        self.header_rule("Content-Encoding", "identity")
        _delivery, request = self.sent("<a>" + "b" * 500 + "</a>")
        self.assertEqual("identity", request.header("content-encoding"))
        self.assertIn(b"b" * 500, request.body)

    def test_curl_sends_the_same(self):
        """The command of the attempt works, with and without files."""
        self.endpoint.gzip_from_bytes = 1
        delivery, request = self.sent(LONG)
        command = self.attempts(delivery).curl_command

        self.assertNotIn("content-encoding", command.lower())
        subprocess.run(
            [*shlex.split(command.replace("\\\n", "")), "--silent", "--noproxy", "*"],
            check=True,
            capture_output=True,
            timeout=30,
        )

        again = self.receiver.wait_for_requests(2)[1]
        self.assertEqual(gzip.decompress(request.body), again.body)

    def test_a_retry_repeats_the_body(self):
        """Although the record changed; the headers are made again."""
        self.endpoint.write({"gzip_from_bytes": 1, "send_traceparent": True})
        delivery, first = self.sent(LONG, state="error")
        delivery.process_delivery()

        second = self.receiver.wait_for_requests(2)[1]

        self.assertEqual(first.body, second.body)
        self.assertEqual(1, second.head.lower().count(b"\r\ncontent-encoding:"))
