# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Paths, payloads and headers that can't be sent are refused when they are saved."""

from ..constants import DELIVERY, ENDPOINT
from .request_case import RequestCase


class TestPaths(RequestCase):
    def test_what_a_url_cannot_contain_is_encoded(self):
        """What is saved is what is sent.

        Such a path was saved, and every delivery failed when it was built.
        """
        for typed, saved in (
            ("/a b", "/a%20b"),
            ('/a"b"', "/a%22b%22"),
            (" orders?q=a b&r={id} ", "/orders?q=a%20b&r={id}"),
            ("/{{x}}/\u00a0y", "/{{x}}/%C2%A0y"),
        ):
            with self.subTest(path=typed):
                self.endpoint.target_path = typed

                self.assertEqual(saved, self.endpoint.target_path)
                delivery = self.deliver({}, {"id": "1"})
                delivery._encode_request(delivery._build_outbound_request())

    def test_what_nobody_means_is_refused(self):
        """Line breaks, control characters, backslashes, braces that are not tokens."""
        for path in ("/a\nb", "/a\x00b", "/a\\b", "/{order id}", "/{}", "/{a", "/a}"):
            with self.subTest(path=path):
                with self.refused("Shop orders.*path"), self.cr.savepoint():
                    self.endpoint.target_path = path
                with self.refused('"Other".*path'), self.cr.savepoint():
                    self.env[ENDPOINT].create(
                        {
                            "name": "Other",
                            "code": "other",
                            "target_hostname": "https://a.example",
                            "target_path": path,
                        }
                    )


class TestDraftValues(RequestCase):
    def draft(self, **vals):
        return self.env[DELIVERY].create({"endpoint_id": self.endpoint.id, **vals})

    def test_a_payload_that_can_not_be_sent_is_refused(self):
        """With a message, on create and on write.

        `1e999` became Infinity, which no receiver reads; 5,000 brackets a traceback.
        """
        draft = self.draft()
        for payload in (
            '{"a": 1e999}',
            '{"a": NaN}',
            "-Infinity",
            "[" * 5000 + "]" * 5000,
            "[" * 250 + "]" * 250,
            "[1,",
            "9" * 5000,
        ):
            with self.subTest(payload=payload[:20]):
                with self.refused("Payload|payload"), self.cr.savepoint():
                    draft.payload_json = payload
                with self.refused("Payload|payload"), self.cr.savepoint():
                    self.draft(payload_json=payload)

    def test_headers_that_can_not_be_sent_are_refused(self):
        """Lists and objects, line breaks, letters beyond Latin-1."""
        for value in ('["a"]', "{}", '"a\\nb"', '"\\u20ac"', "1e999"):
            with self.subTest(value=value), self.refused("X-A"), self.cr.savepoint():
                self.draft(request_headers_json=f'{{"X-A": {value}}}')

    def test_values_of_other_types_are_kept(self):
        """Numbers, booleans and nothing are header values; any JSON is a payload."""
        headers = '{"A": 1, "B": true, "C": null, "D": "", "E": 1.5}'

        draft = self.draft(request_headers_json=headers, payload_json="[1, [2]]")

        request = draft._build_outbound_request()
        self.assertEqual(
            {"A": "1", "B": "True", "C": "", "D": "", "E": "1.5"}, request.headers
        )
        self.assertEqual([1, [2]], request.payload)
