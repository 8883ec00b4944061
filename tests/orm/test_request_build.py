# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
)

from .request_case import RequestCase


class TestPayloadRules(RequestCase):
    def test_literals_are_json_where_they_parse(self):
        """`149.99` is a number, `"42"` a text, `abc` a text, empty stays empty."""
        for target, literal in [
            ("number", "149.99"),
            ("flag", "true"),
            ("quoted", '"42"'),
            ("text", "abc"),
            ("object", '{"a": {"b": 1}}'),
            ("empty", False),
        ]:
            self.rule(target, literal=literal)

        self.assertEqual(
            self.built().payload,
            {
                "number": 149.99,
                "flag": True,
                "quoted": "42",
                "text": "abc",
                "object": {"a": {"b": 1}},
                "empty": False,
            },
        )

    def test_tokens_in_literals(self):
        """A text that is one token keeps the value's type; others become text."""
        self.rule("id", literal="{order_id}")
        self.rule("label", literal="order {order_id}")
        self.rule("deep", literal='{"list": ["{order_id}", "{{order_id}}"]}')

        payload = self.built(context_lines={"order_id": 42}).payload

        self.assertEqual(payload["id"], 42)
        self.assertEqual(payload["label"], "order 42")
        self.assertEqual(payload["deep"], {"list": [42, "{order_id}"]})

    def test_a_literal_object_is_not_shared_between_deliveries(self):
        """What one delivery writes into a literal must not reach the next."""
        self.rule("order", literal='{"lines": []}')
        self.rule("order.lines.0", kind="context_key", expression="sku")

        self.assertEqual(
            self.built(context_lines={"sku": "a"}).payload, {"order": {"lines": ["a"]}}
        )
        self.assertEqual(
            self.built(context_lines={"sku": "b"}).payload, {"order": {"lines": ["b"]}}
        )

    def test_every_source_kind(self):
        """Each kind of source gives its value."""
        self.partner.category_id = self.env["res.partner.category"].create(
            [{"name": "a"}, {"name": "b"}]
        )
        for target, kind, expression in [
            ("delivery", "delivery_field", "name"),
            ("endpoint", "endpoint_field", "code"),
            ("company", "company_field", "partner_id.name"),
            ("partner", "partner_field", "ref"),
            ("record", "record_field", "email"),
            ("names", "record_field", "category_id.*.name"),
            ("key", "context_key", "order.lines.0.sku"),
            ("request", "request_field", "payload.queued"),
        ]:
            self.rule(target, kind, expression)

        payload = self.built(
            {"queued": [1]},
            {"order": {"lines": [{"sku": "S"}]}},
            record=self.partner,
            name="Order 1",
        ).payload

        self.assertEqual(
            payload,
            {
                "queued": [1],
                "delivery": "Order 1",
                "endpoint": "shop-orders",
                "company": self.env.company.partner_id.name,
                "partner": "A-1",
                "record": "ada@example.com",
                "names": ["a", "b"],
                "key": "S",
                "request": [1],
            },
        )

    def test_partner_of_the_record(self):
        """The record's partner when it has one, else the company's."""
        self.rule("partner", "partner_field", "name")
        user = self.env["res.users"].create(
            {"name": "Grace", "login": "grace", "partner_id": self.partner.id}
        )

        self.assertEqual(self.built(record=user).payload["partner"], "Grace")
        self.assertEqual(
            self.built().payload["partner"], self.env.company.partner_id.name
        )
        self.assertEqual(
            self.built(record=self.env["res.country"].search([], limit=1)).payload,
            {"partner": self.env.company.partner_id.name},
        )

    def test_record_that_is_gone_stops_the_delivery(self):
        """A rule that can't be met stops the delivery and says so."""
        self.rule("email", "record_field", "email")
        delivery = self.deliver(record=self.partner)
        self.partner.unlink()

        with self.refused(r"shop-orders.*\"email\".*is gone"):
            delivery._build_outbound_request()
        with self.refused("about no record"):
            self.built()

    def test_order_active_and_whole_payload(self):
        """Later rules win, inactive ones are skipped, no path replaces all."""
        self.rule("a", literal="2", sequence=20)
        self.rule("a", literal="1", sequence=10)
        self.rule("b", literal="1", active=False)
        self.rule(False, literal='{"whole": true}', sequence=5)

        self.assertEqual(self.built({"old": 1}).payload, {"whole": True, "a": 2})

    def test_value_map(self):
        """`from = to` a line, `* = default` for the rest."""
        self.rule("state", "context_key", "state", value_map="sale = confirmed\n* = 0")
        self.header("X-State", "context_key", "state", value_map="sale = 1.10")

        request = self.built(context_lines={"state": "sale"})
        other = self.built(context_lines={"state": "draft"})

        self.assertEqual(request.payload, {"state": "confirmed"})
        self.assertEqual(request.headers, {"X-State": "1.10"})
        self.assertEqual(other.payload, {"state": 0})
        self.assertEqual(other.headers, {"X-State": "draft"})
        with self.refused("no \"=\""):
            self.rule("x", literal="1", value_map="sale confirmed")

    def test_dates_relations_and_binary(self):
        """Dates are ISO 8601 in UTC, binary content is encoded once."""
        self.rule("date", "delivery_field", "queued_at")
        self.rule("one", "record_field", "country_id")
        self.rule("none", "record_field", "category_id")
        self.rule("image", "record_field", "image_1920")
        self.partner.country_id = self.env.ref("base.be")
        pixel = (
            b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
            b"hgGAWjR9awAAAABJRU5ErkJggg=="
        )
        self.partner.image_1920 = pixel

        delivery = self.deliver(record=self.partner)
        payload = delivery._build_outbound_request().payload

        self.assertEqual(payload["date"], delivery.queued_at.isoformat() + "Z")
        self.assertEqual(payload["one"], self.env.ref("base.be").id)
        self.assertEqual(payload["none"], [])
        self.assertEqual(payload["image"].encode(), self.partner.image_1920)

    def test_collision_names_rule_and_path(self):
        """A path that runs into a plain value names endpoint, rule and path."""
        self.rule("a.b", literal="1")

        with self.refused(r"shop-orders.*payload rule \"a.b\"", WebhookProcessingConfigurationError):
            self.built({"a": "text"})

    def test_company_language(self):
        """Everything is read in the company's language, whoever queued."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env.company.partner_id.lang = "fr_FR"
        country = self.env.ref("base.be").with_context(lang="fr_FR")
        country.name = "Belgique"
        self.rule("country", "record_field", "name")

        delivery = self.deliver(record=self.env.ref("base.be").with_context(lang="en_US"))

        self.assertEqual(delivery._build_outbound_request().payload["country"], "Belgique")


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
            self.built(context_lines={"order_id": 7}).headers,
            {
                "X-Flag": "true",
                "X-Price": "1.10",
                "X-Id": "id 7 {x}",
                "X-None": "",
                "X-Number": "7",
                "X-Missing": "",
            },
        )

    def test_names_compare_without_case(self):
        """A rule replaces what was queued, whatever its case."""
        self.header("x-shop", literal="rule")

        headers = self.built(headers={"X-Shop": "queued", "X-Other": "1"}).headers

        self.assertEqual(headers, {"X-Other": "1", "x-shop": "rule"})

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

        request = self.built(
            context_lines={"order": "a/b", "query": "x&y=ä", "n": 0}
        )

        self.assertEqual(
            request.target_url,
            "https://shop.example.com/orders/a%2Fb?q=x%26y%3D%C3%A4&n=0",
        )
        with self.refused(r"\"Shop orders\" \(shop-orders\).*{order}", WebhookProcessingConfigurationError):
            self.built(context_lines={"order": "", "query": "x", "n": 1})

    def test_webhook_id_goes_out_always(self):
        """The message's id is a header of every request, whatever rules say."""
        self.header("Webhook-Id", literal="forged")
        delivery = self.deliver({"a": 1})

        wire = delivery._encode_request(delivery._build_outbound_request())

        names = [name.lower() for name, _ in wire.headers]
        self.assertEqual(names.count("webhook-id"), 1)
        self.assertIn(("webhook-id", delivery.message_uid), wire.headers)
        self.assertIn(("Content-Type", "application/json"), wire.headers)
        self.assertEqual(wire.body, b'{"a": 1}')

    def test_body_modes(self):
        """Each mode has its encoding and type, unless a rule sets the type."""
        delivery = self.deliver({"a": {"b": [1, True, None]}})

        def sent(mode, **options):
            self.endpoint.request_body_mode = mode
            one = self.deliver(**options) if options else delivery
            wire = one._encode_request(one._build_outbound_request())
            return dict(wire.headers).get("Content-Type"), wire.body

        self.assertEqual(
            sent("form_urlencoded"),
            (
                "application/x-www-form-urlencoded",
                b"a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D=true&a%5Bb%5D%5B2%5D=",
            ),
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
            sent("raw", payload="<a>ä</a>"),
            ("text/plain; charset=utf-8", "<a>ä</a>".encode()),
        )
        self.header("content-type", literal="application/xml")
        self.assertEqual(sent("raw", payload="<a/>")[1], b"<a/>")
        one = self.deliver("<a/>")
        wire = one._encode_request(one._build_outbound_request())
        self.assertIn(("content-type", "application/xml"), wire.headers)

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

        self.assertEqual(delivery._build_outbound_request().files, {})


class TestContextLines(RequestCase):
    def test_mapping_round_trips(self):
        """What was given comes back with its type, braces and all."""
        given = {
            "text": "42",
            "number": 42,
            "flag": True,
            "nothing": None,
            "empty": "",
            "token": "a {order_id} {{b}} }}",
            "json": '{"a": {"b": 1}}',
            "list": [1, "{x}", {"k": "{{"}],
            "lines": "a\nb \"q\"",
        }

        self.assertEqual(self.deliver(context_lines=given)._get_context_values(), given)

    def test_lines_as_dicts_later_sees_earlier(self):
        """Lines with sources; tokens refer to the lines before them."""
        delivery = self.deliver(
            context_lines=[
                {"key_name": "id", "literal_value": "7"},
                {
                    "key_name": "code",
                    "source_kind": "endpoint_field",
                    "source_expression": "code",
                },
                {"key_name": "both", "literal_value": "{code}/{id}"},
                {"key_name": "typed", "literal_value": 7},
                {"key_name": "off", "literal_value": "1", "active": False},
            ]
        )

        self.assertEqual(
            delivery._get_context_values(),
            {"id": 7, "code": "shop-orders", "both": "shop-orders/7", "typed": 7},
        )

    def test_refused_lines(self):
        """What can't be a context line is refused by name."""
        for lines, text in (
            ({"a": {1, 2}}, "a is a set"),
            ({"": 1}, "is no text"),
            ("text", "must be a mapping"),
            ([{"key": "a"}], "context line 1"),
            (
                [{"key_name": "a", "source_kind": "company_field"}],
                "no path is given",
            ),
        ):
            with self.refused(text):
                self.deliver(context_lines=lines)

    def test_edited_line_is_used(self):
        """A line that is changed on a draft counts from then on."""
        delivery = self.env[self.endpoint.outbound_delivery_ids._name].create(
            {
                "endpoint_id": self.endpoint.id,
                "context_line_ids": [(0, 0, {"key_name": "a", "literal_value": "1"})],
            }
        )
        delivery.context_line_ids.literal_value = "2"

        self.assertEqual(delivery._get_context_values(), {"a": 2})
        self.assertEqual(
            delivery._resolve_source_value("context_key", "a", False), 2
        )
        self.assertFalse(delivery._resolve_source_value("nonsense", "a", False))
