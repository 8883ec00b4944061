# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
)

from .request_case import RequestCase


class TestHeadersAndUrl(RequestCase):
    def test_header_literal_is_sent_as_typed(self):
        """A header literal is text: `true` and `1.10` stay as they are."""
        self.header("X-Flag", literal="true")
        self.header("X-Price", literal="1.10")
        self.header("X-Id", literal="id {order_id} {{x}}")
        self.header("X-None")
        self.header("X-Number", "context_key", "order_id")
        self.header("X-Missing", "context_key", "missing")

        self.assertEqual(
            {
                "X-Flag": "true",
                "X-Price": "1.10",
                "X-Id": "id 7 {x}",
                "X-None": "",
                "X-Number": "7",
                "X-Missing": "",
            },
            self.built(context_lines={"order_id": 7}).headers,
        )

    def test_names_compare_without_case(self):
        """A rule replaces what was queued, whatever its case."""
        self.header("x-shop", literal="rule")

        headers = self.built(headers={"X-Shop": "queued", "X-Other": "1"}).headers

        self.assertEqual({"X-Other": "1", "x-shop": "rule"}, headers)

    def test_refused_headers(self):
        """Names that the sender sets, no tokens, and control characters are refused."""
        for name in ("Host", "content-length", "Transfer-Encoding", "Connection"):
            with self.refused(name):
                self.header(name, literal="x")
        for name, literal in (("X Shop", "x"), ("X-Shop", "a\nb"), ("X:", "x")):
            with self.assertRaises(WebhookProcessingConfigurationError):
                self.header(name, literal=literal)
        self.header("X-Name", "context_key", "name")
        delivery = self.deliver(context_lines={"name": "a\r\nSet-Cookie: b"})
        with self.refused("shop-orders.*X-Name"):
            delivery._encode_request(delivery._build_outbound_request())

    def test_url_tokens_are_encoded(self):
        """Path and query values are percent-encoded; 0 is a value, empty is none."""
        self.endpoint.target_path = "/orders/{order}?q={query}&n={n}"

        request = self.built(context_lines={"order": "a/b", "query": "x&y=ä", "n": 0})

        self.assertEqual(
            "https://shop.example.com/orders/a%2Fb?q=x%26y%3D%C3%A4&n=0",
            request.target_url,
        )
        with self.refused(
            r"\"Shop orders\" \(shop-orders\).*{order}",
            WebhookProcessingConfigurationError,
        ):
            self.built(context_lines={"order": "", "query": "x", "n": 1})

    def test_webhook_id_is_always_sent(self):
        """The message's id is a header of every request, whatever rules say."""
        self.header("Webhook-Id", literal="forged")
        delivery = self.deliver({"a": 1})

        encoded = delivery._encode_request(delivery._build_outbound_request())

        names = [name.lower() for name, _ in encoded.headers]
        self.assertEqual(1, names.count("webhook-id"))
        self.assertIn(("webhook-id", delivery.message_uid), encoded.headers)
        self.assertIn(("Content-Type", "application/json"), encoded.headers)
        self.assertEqual(b'{"a": 1}', encoded.body)

    def test_body_modes(self):
        """Each mode has its encoding and type, unless a rule sets the type."""
        delivery = self.deliver({"a": {"b": [1, True, None]}})

        def sent(mode, **options):
            self.endpoint.request_body_mode = mode
            one = self.deliver(**options) if options else delivery
            encoded = one._encode_request(one._build_outbound_request())
            return dict(encoded.headers).get("Content-Type"), encoded.body

        self.assertEqual(
            (
                "application/x-www-form-urlencoded",
                b"a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D=true&a%5Bb%5D%5B2%5D=",
            ),
            sent("form_urlencoded"),
        )
        kind, body = sent(
            "multipart",
            payload={"a": 1},
            files={"doc": {"filename": "a.txt", "content": b"hello"}},
        )
        self.assertTrue(kind.startswith("multipart/form-data; boundary="))
        self.assertIn(b'name="doc"; filename="a.txt"', body)
        self.assertIn(b"hello", body)
        self.assertEqual(
            ("text/plain; charset=utf-8", "<a>ä</a>".encode()),
            sent("raw", payload="<a>ä</a>"),
        )
        self.header("content-type", literal="application/xml")
        self.assertEqual(b"<a/>", sent("raw", payload="<a/>")[1])
        one = self.deliver("<a/>")
        encoded = one._encode_request(one._build_outbound_request())
        self.assertIn(("content-type", "application/xml"), encoded.headers)

    def test_files_need_multipart(self):
        """Files that the mode can't carry stop the delivery instead of being lost."""
        delivery = self.deliver(files={"doc": {"filename": "a", "content": b"x"}})

        with self.refused("multipart"):
            delivery._encode_request(delivery._build_outbound_request())

    def test_chatter_attachments_are_not_sent(self):
        """Only attachments that name a form field are files of the request."""
        self.endpoint.request_body_mode = "multipart"
        delivery = self.deliver({"a": 1})
        self.env["ir.attachment"].create(
            {
                "name": "private.txt",
                "raw": b"secret",
                "res_model": delivery._name,
                "res_id": delivery.id,
            }
        )

        self.assertEqual({}, delivery._build_outbound_request().files)
