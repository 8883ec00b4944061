# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bad input is refused with the record, the value and the remedy; nothing is lost."""

from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
    WebhookValidationError,
)

from ..constants import DELIVERY, ENDPOINT
from .common import OutboundCase

NAMED = r'Endpoint "Orders" \(orders\): '


@tagged("post_install", "-at_install")
class TestBadInput(OutboundCase):
    def setUp(self):
        super().setUp()
        self.waiting = self.queue({"a": 1})

    def assertStillQueued(self):
        self.assertEqual("queued", self.waiting.state)
        self.assertEqual(
            self.waiting,
            self.env[DELIVERY].search([("endpoint_id", "=", self.endpoint.id)]),
        )

    def test_what_queueing_refuses(self):
        """Each argument that can't be used is named with its value and a remedy.

        A silent default would send something else than was meant.
        """
        partner = self.env["res.partner"]
        cases = {
            r"a\.1 is of type set": {"payload": {"a": [1, {2}]}},
            r"payload.*res\.partner": {"payload": partner},
            r"k.*set": {"context_lines": {"k": {1}}},
            r"context lines must be.*str": {"context_lines": "k=v"},
            r"context line 1 is": {"context_lines": ["k"]},
            r"context key 7": {"context_lines": {7: 1}},
            r'context line "k".*no_such_kind': {
                "context_lines": [{"key_name": "k", "source_kind": "no_such_kind"}]
            },
            r'context line "k".*path is empty': {
                "context_lines": [{"key_name": "k", "source_kind": "company_field"}]
            },
            r'context line "k".*no_such_field': {
                "context_lines": [
                    {"key_name": "k", "source_kind": "company_field"}
                    | {"source_expression": "no_such_field"}
                ]
            },
            r'context line "k".*first': {
                "context_lines": [{"key_name": "k", "sequence": "first"}]
            },
            r"headers must be a mapping, not list": {"headers": ["X-A"]},
            r"files must be a mapping.*list": {"files": [("doc", b"")]},
            r'file "doc"': {"files": {"doc": {"filename": "x"}}},
            r'content of file "doc" is int': {"files": {"doc": {"content": 7}}},
            r"record= takes one record and got 0 \(res\.partner\)": {"record": partner},
            r"record='res\.partner,1' is not a record": {"record": "res.partner,1"},
            r'header "Host" is set by the sender': {"headers": {"Host": "a"}},
            r'header "content-length" is set': {"headers": {"content-length": "1"}},
            r'"X A" is not a valid header name': {"headers": {"X A": "1"}},
            r"isn't saved yet": {"record": partner.new({})},
            r"eta='tomorrow' is not a valid time": {"eta": "tomorrow"},
            r"eta=.*is not a valid time": {"eta": timedelta(hours=1)},
            r"supersede needs an ordering key": {"supersede": True},
        }
        for pattern, given in cases.items():
            with self.subTest(given=given), self.refused(NAMED + ".*" + pattern):
                self.queue(given.pop("payload", None), **given)
        self.assertStillQueued()

    def test_arguments_that_do_not_exist(self):
        """A misspelt argument of a bulk request is reported, not ignored."""
        with self.refused(NAMED + ".*doesn't accept paylod.*payload"):
            self.endpoint.queue_deliveries([{"paylod": 1}])
        with self.refused(NAMED + ".*doesn't accept"):
            self.endpoint.queue_deliveries(["payload"])
        self.assertStillQueued()

    def test_endpoints_that_take_none(self):
        """Draft and archived endpoints, none and several: a sentence for each."""
        for state, label in (("draft", "Draft"), ("archived", "Archived")):
            self.endpoint.state = state
            with self.refused(NAMED + f".*{label}.*Activate", WebhookValidationError):
                self.queue({"a": 1})
        nobody = self.env[ENDPOINT].search([("code", "=", "no-such-code")])
        with self.refused("found none. Search by code"):
            nobody.queue_delivery({"a": 1})
        with self.refused("found 2. Search by code"):
            (self.endpoint + self.make_endpoint("other")).queue_delivery({"a": 1})
        self.assertStillQueued()

    def test_what_an_endpoint_refuses(self):
        """Settings that can't work are refused when saved, with the value quoted."""
        cases = {
            r'code "Shop Orders" is not a valid technical name': {
                "code": "Shop Orders"
            },
            r'code "shop-Ä"': {"code": "shop-Ä"},
            r'code "-shop"': {"code": "-shop"},
            r'hostname "shop\.example\.com" is not a valid base URL': {
                "target_hostname": "shop.example.com"
            },
            r'hostname "ftp://x" is not a valid base URL': {
                "target_hostname": "ftp://x"
            },
            r'hostname "http://u:p@x" is not a valid base URL': {
                "target_hostname": "http://u:p@x"
            },
            r'hostname "http://x:port" is not a valid base URL': {
                "target_hostname": "http://x:port"
            },
            r'hostname "https://\{x\}\.com" is not a valid base URL': {
                "target_hostname": "https://{x}.com"
            },
            r'hostname "http://x/y" contains more': {"target_hostname": "http://x/y"},
            r'hostname "http://x\?y=1" contains more': {
                "target_hostname": "http://x?y=1"
            },
            r"it has no target hostname": {"target_hostname": False},
            r'path "/x#y" has a fragment': {"target_path": "/x#y"},
            r"Timeout.* is 0\. Enter a value from 1 to 60": {"timeout_seconds": 0},
            r"Timeout.* is 61\. Enter a value from 1 to 60": {"timeout_seconds": 61},
            r"In Flight is 0": {"max_in_flight": 0},
            r"Parallel Lanes is 17": {"parallel_lanes": 17},
            r"Rate Limit is -1": {"rate_limit": -1},
            r"Retention.* is -1": {"retention_days": -1},
            r'retry schedule part "5x" is not a valid duration': {
                "retry_schedule": "5s,5x"
            },
            r'status "200" can\'t be retried': {"retry_on_status": "200"},
            r"2 parallel lanes can't send all deliveries one after": {
                "parallel_lanes": 2,
                "ordering": "endpoint",
            },
        }
        for pattern, vals in cases.items():
            with (
                self.subTest(vals=vals),
                self.refused(
                    r'Endpoint "Orders" \(.*\): .*' + pattern,
                    WebhookProcessingConfigurationError,
                ),
            ):
                self.endpoint.write(vals)
        self.assertStillQueued()

    def test_what_an_endpoint_normalizes(self):
        """Outer spaces, a trailing slash and a missing leading one are not errors."""
        self.endpoint.write(
            {"target_hostname": " https://x.com/ ", "target_path": "?a={b}"}
        )

        self.assertEqual("https://x.com/?a={b}", self.endpoint.target_url)
        self.endpoint.target_path = False
        self.assertEqual("/", self.endpoint.target_path)

    def test_json_written_into_a_delivery(self):
        """A broken text or header is refused on the delivery, which stays as it was.

        A header that only the sender sets would stop the delivery when it is built.
        """
        for name, text, pattern in (
            (
                "payload_json",
                "{",
                r'Delivery ".*": Payload is not valid JSON: .*Correct the text',
            ),
            ("payload_json", "[NaN]", "Payload is not valid JSON: NaN"),
            ("request_headers_json", "[1]", r"Headers must be a JSON object.*\[1\]"),
            ("request_headers_json", '{"host": "a"}', '"host" is set by the sender'),
            (
                "request_headers_json",
                '{"X A": "a"}',
                '"X A" is not a valid header name',
            ),
        ):
            with self.subTest(text=text), self.refused(pattern):
                self.waiting[name] = text
        self.waiting.invalidate_recordset()
        self.assertEqual('{"a": 1}', self.waiting.payload_json)

    def test_a_missing_path_token(self):
        """The delivery stops with the token's name; it is corrected and continues."""
        self.endpoint.target_path = "/orders/{order_id}"

        self.waiting.process_delivery()

        self.assertEqual("error", self.waiting.state)
        self.assertEqual("build", self.waiting.failure_reason)
        self.assertFalse(self.waiting.next_attempt_at or self.waiting.attempt_ids)
        self.assertRegex(self.waiting.processing_error, NAMED + r".*\{order_id\}")
        self.endpoint.target_path = "/orders"
        self.waiting.action_queue_delivery()
        self.waiting.process_delivery()
        self.assertEqual("done", self.waiting.state)

    def test_texts_that_a_database_can_not_store(self):
        """NUL and half surrogate pairs in values and names fail nothing."""
        odd = "a\x00b\ud800c"

        delivery = self.queue({odd: odd}, {"k": odd}, name=odd, ordering_key=odd)

        self.assertEqual("a\ufffdb?c", delivery.name)
        self.assertEqual({"k": odd}, delivery._get_context_values())
