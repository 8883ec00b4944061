# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Text bodies with values in them, and headers, as they are sent."""

from xml.etree import ElementTree

from .request_case import RequestCase

NAME = 'Smith & Sons <"1">'


class TestRawBodies(RequestCase):
    def setUp(self):
        super().setUp()
        self.endpoint.request_body_mode = "raw"

    def sent(self, context_lines=None, **options):
        """The encoded request of a new delivery."""
        delivery = self.deliver("", context_lines, **options)
        return delivery._encode_request(
            delivery._invoke_handler(delivery._build_outbound_request()).request
        )

    def test_a_value_in_xml_is_escaped(self):
        """Whether a header rule or the delivery names the content type.

        A customer with an ampersand made the whole body unreadable.
        """
        self.rule("", literal='<order by="{name}">{name}</order>')

        by_delivery = self.sent({"name": NAME}, headers={"content-type": "text/xml"})
        self.header("Content-Type", literal="application/xml; charset=utf-8")
        by_rule = self.sent({"name": NAME})

        for encoded in (by_delivery, by_rule):
            order = ElementTree.fromstring(encoded.body)
            self.assertEqual((NAME, NAME), (order.text, order.get("by")))

    def test_a_value_that_a_handler_puts_into_xml_is_escaped(self):
        """A handler's rule writes a body as a payload rule does."""
        self.handler(
            {
                "assignment_ids": [
                    (
                        0,
                        0,
                        {"target_scope": scope, "target_expression": target}
                        | {"literal_value": literal},
                    )
                    for scope, target, literal in (
                        ("header", "Content-Type", "text/xml"),
                        ("payload", "", "<name>{name}</name>"),
                    )
                ]
            }
        )

        encoded = self.sent({"name": NAME})

        self.assertEqual(NAME, ElementTree.fromstring(encoded.body).text)

    def test_a_value_in_csv_is_quoted(self):
        """A comma in a value begins no column."""
        self.header("Content-Type", literal="text/csv")
        self.rule("", literal="{name},7")

        self.assertEqual(b'"a,""b""",7', self.sent({"name": 'a,"b"'}).body)

    def test_plain_text_is_not_changed(self):
        """Without a content type nothing is escaped."""
        self.rule("", literal="Hello {name}")

        self.assertEqual(f"Hello {NAME}".encode(), self.sent({"name": NAME}).body)

    def test_the_charset_of_the_header_is_that_of_the_body(self):
        """Or it is said that it can't be."""
        self.rule("", literal="<a>{name}</a>")
        charset = self.header("Content-Type", literal="text/xml; charset=ISO-8859-1")

        self.assertEqual(b"<a>\xfc</a>", self.sent({"name": "ü"}).body)
        with self.refused("charset iso-8859-1 can't encode"):
            self.sent({"name": "€"})
        charset.literal_value = "text/xml; charset=nonsense"
        with self.refused('charset "nonsense"'):
            self.sent({"name": "ü"})


class TestHeaderValues(RequestCase):
    def test_a_list_or_an_object_is_refused(self):
        """By a rule, a handler's rule and when queued; the message names the header."""
        with self.refused('header "X-Tags" is a list or an object'):
            self.deliver({}, headers={"X-Tags": ["a"]})
        self.header("X-Ids", "record_field", "child_ids")
        self.partner.child_ids = [(0, 0, {"name": name}) for name in "ab"]
        with self.refused('header rule "X-Ids".*list or an object'):
            self.built(record=self.partner)
        self.endpoint.header_rule_ids.unlink()
        self.header("X-Line", "context_key", "line")
        with self.refused('header rule "X-Line".*list or an object'):
            self.built(context_lines={"line": {"a": 1}})

    def test_a_multipart_type_gets_its_boundary(self):
        """A rule can't know it, and without it no receiver can separate the parts."""
        self.endpoint.request_body_mode = "multipart"
        self.header("Content-Type", literal="multipart/form-data")
        delivery = self.deliver({"a": "1"})

        encoded = delivery._encode_request(delivery._build_outbound_request())

        kind = dict(encoded.headers)["Content-Type"]
        boundary = kind.removeprefix("multipart/form-data; boundary=")
        self.assertTrue(encoded.body.startswith(f"--{boundary}\r\n".encode()))

    def test_a_user_agent_rule_wins(self):
        """Without one the addon names itself."""
        delivery = self.deliver({})
        before = delivery._encode_request(delivery._build_outbound_request())
        self.header("user-agent", literal="shop/1")

        after = delivery._encode_request(delivery._build_outbound_request())

        agent = dict(before.headers)["User-Agent"]
        self.assertRegex(agent, r"^bwt-webhooks-outbound/[0-9.]+$")
        self.assertIn(("user-agent", "shop/1"), after.headers)
        self.assertNotIn("User-Agent", dict(after.headers))
