# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What arrives at a real receiver, byte for byte what `requests` would send."""

import re
from dataclasses import replace
from itertools import product

import requests

from odoo.addons.bwt_webhooks_outbound.services.http.encoding import default_headers
from odoo.addons.bwt_webhooks_outbound.services.transport import build_transport_kwargs

from ..receiver import Receiver
from .request_case import RequestCase, assignment, condition

METHODS = ("post", "put", "patch", "delete")
PAYLOADS = {
    "json": {"ä": [1, 2.5, None, True, {"b": "c"}]},
    "form_urlencoded": {"a": {"b": [1, True, None]}, "c": "x&y=ä"},
    "multipart": {"a": {"b": 1}, "c": "ä"},
    "raw": "<order>ä</order>",
}


class TestRequestArrives(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.receiver = cls.enterClassContext(Receiver())
        cls.endpoint.target_hostname = cls.receiver.url
        # Both sides draw a boundary; the same one, so that bytes can be compared.
        cls.classPatch(requests.models, "encode_multipart_formdata", _fixed_boundary)

    def setUp(self):
        super().setUp()
        self.receiver.clear()
        self.header("X-Order", literal="{order_id}")
        self.header("X-Empty")

    def arrives(self, payload, path="/orders", **options):
        """Sends it, sends the same with `requests`, returns both as received."""
        delivery = self.deliver(payload, {"order_id": 7}, **options).sudo()
        built = delivery._build_outbound_request()
        request = delivery._invoke_handler(built).request
        delivery.process_delivery()
        self.assertEqual("done", delivery.state, delivery.processing_error)
        headers = {**request.headers, "webhook-id": delivery.message_uid}
        kwargs = build_transport_kwargs(replace(request, headers=headers))
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(default_headers())  # these are our own
            session.request(**kwargs)
        ours, theirs = self.receiver.wait_for_requests(2, path=path)
        self.receiver.clear()
        return ours, theirs

    def assertSameBytes(self, ours, theirs):
        self.assertEqual(theirs.method, ours.method)
        self.assertEqual(theirs.path, ours.path)
        # Our boundary is made of the parts.
        made = MADE.search(ours.head)
        for name in ("head", "body"):
            sent = getattr(ours, name)
            sent = sent.replace(made[1], BOUNDARY.encode()) if made else sent
            self.assertEqual(getattr(theirs, name), sent)

    def test_every_mode_and_method(self):
        """Request line, headers in their order and body are the same bytes."""
        files = {
            "doc": {"filename": "ä.txt", "content": b"\x00\xff", "content_type": "a/b"}
        }
        for method, mode in product(METHODS, PAYLOADS):
            with self.subTest(method=method, mode=mode):
                self.endpoint.write({"http_method": method, "request_body_mode": mode})
                given = {"files": files} if mode == "multipart" else {}
                self.assertSameBytes(*self.arrives(PAYLOADS[mode], **given))

    def test_delete_without_body(self):
        """DELETE with an empty payload has no body and no type."""
        self.endpoint.http_method = "delete"

        ours, theirs = self.arrives({})

        self.assertSameBytes(ours, theirs)
        self.assertEqual(b"", ours.body)
        self.assertIsNone(ours.header("Content-Type"))

    def test_json_that_is_not_an_object(self):
        """Any JSON value is a payload."""
        for payload in ([1, "a"], "text", 0, 1.5, True):
            with self.subTest(payload=payload):
                ours, theirs = self.arrives(payload)
                self.assertSameBytes(ours, theirs)
                self.assertEqual(payload, ours.json())

    def test_multipart_fields_without_files(self):
        """Fields alone are still a multipart body."""
        self.endpoint.request_body_mode = "multipart"

        ours, theirs = self.arrives({"a": 1})

        self.assertSameBytes(ours, theirs)
        self.assertIn(b'form-data; name="a"', ours.body)

    def test_what_a_handler_changed_arrives(self):
        """The handler's URL, method, header and payload are what is sent."""
        self.handler(
            {
                "condition_ids": [condition("payload.total", "greater", "5")],
                "result_status": "mutate",
                "assignment_ids": [
                    assignment("request", "http_method", "patch"),
                    assignment(
                        "request", "target_url", f"{self.receiver.url}/big/{{order_id}}"
                    ),
                    assignment("header", "X-Order", "big"),
                    assignment("payload", "lines.0.sku", "A"),
                ],
            }
        )

        ours, theirs = self.arrives({"total": 9}, path="/big/7")

        self.assertSameBytes(ours, theirs)
        self.assertEqual("PATCH", ours.method)
        self.assertEqual("big", ours.header("X-Order"))
        self.assertEqual({"total": 9, "lines": [{"sku": "A"}]}, ours.json())

    def test_decisions_are_recorded_on_an_attempt(self):
        """Which rule decided, and why, is on the attempt; nothing was sent."""
        for status, state in (
            ("done", "done"),
            ("cancel", "canceled"),
            ("dead_letter", "dead_letter"),
            ("retry", "error"),
        ):
            with self.subTest(status=status):
                handler = self.handler(
                    {"result_status": status, "note": "not today", "retry_seconds": 60},
                    code=f"handler-{status}",
                )
                delivery = self.deliver({"a": 1}, {"order_id": 7}).sudo()
                delivery.process_delivery()

                self.assertEqual(state, delivery.state)
                self.assertEqual(status == "retry", bool(delivery.next_attempt_at))
                self.assertEqual(
                    handler.outbound_rule_ids, delivery.matched_outbound_rule_id
                )
                self.assertIn("not today", delivery.attempt_ids.processing_note)
                self.assertEqual(0, self.receiver.total)


_real_encode = requests.models.encode_multipart_formdata
BOUNDARY = "0123456789abcdef"
MADE = re.compile(rb"boundary=([0-9a-f]{16})\b")


def _fixed_boundary(fields, boundary=None):
    return _real_encode(fields, boundary or BOUNDARY)
