# Copyright 2026 bwt
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
            {
                "number": 149.99,
                "flag": True,
                "quoted": "42",
                "text": "abc",
                "object": {"a": {"b": 1}},
                "empty": False,
            },
            self.built().payload,
        )

    def test_tokens_in_literals(self):
        """A text that is one token keeps the value's type; others become text."""
        self.rule("id", literal="{order_id}")
        self.rule("label", literal="order {order_id}")
        self.rule("deep", literal='{"list": ["{order_id}", "{{order_id}}"]}')

        payload = self.built(context_lines={"order_id": 42}).payload

        self.assertEqual(42, payload["id"])
        self.assertEqual("order 42", payload["label"])
        self.assertEqual({"list": [42, "{order_id}"]}, payload["deep"])

    def test_a_literal_object_is_not_shared_between_deliveries(self):
        """What one delivery writes into a literal must not reach the next."""
        self.rule("order", literal='{"lines": []}')
        self.rule("order.lines.0", kind="context_key", expression="sku")

        self.assertEqual(
            {"order": {"lines": ["a"]}}, self.built(context_lines={"sku": "a"}).payload
        )
        self.assertEqual(
            {"order": {"lines": ["b"]}}, self.built(context_lines={"sku": "b"}).payload
        )

    def test_every_source_kind(self):
        """Each kind of source returns its value."""
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
            payload,
        )

    def test_partner_of_the_record(self):
        """The record's partner when it has one, else the company's."""
        self.rule("partner", "partner_field", "name")
        user = self.env["res.users"].create(
            {"name": "Grace", "login": "grace", "partner_id": self.partner.id}
        )

        self.assertEqual("Grace", self.built(record=user).payload["partner"])
        self.assertEqual(
            self.env.company.partner_id.name, self.built().payload["partner"]
        )
        self.assertEqual(
            {"partner": self.env.company.partner_id.name},
            self.built(record=self.env["res.country"].search([], limit=1)).payload,
        )

    def test_record_that_is_gone_stops_the_delivery(self):
        """A rule that can't be met stops the delivery and says so."""
        self.rule("email", "record_field", "email")
        delivery = self.deliver(record=self.partner)
        self.partner.unlink()

        with self.refused(r"shop-orders.*\"email\".*was deleted"):
            delivery._build_outbound_request()
        with self.refused("has no record"):
            self.built()

    def test_order_active_and_whole_payload(self):
        """Later rules win, inactive ones are skipped, no path replaces all."""
        self.rule("a", literal="2", sequence=20)
        self.rule("a", literal="1", sequence=10)
        self.rule("b", literal="1", active=False)
        self.rule(False, literal='{"whole": true}', sequence=5)

        self.assertEqual({"whole": True, "a": 2}, self.built({"old": 1}).payload)

    def test_value_map(self):
        """`from = to` a line, `* = default` for the rest."""
        self.rule("state", "context_key", "state", value_map="sale = confirmed\n* = 0")
        self.header("X-State", "context_key", "state", value_map="sale = 1.10")

        request = self.built(context_lines={"state": "sale"})
        other = self.built(context_lines={"state": "draft"})

        self.assertEqual({"state": "confirmed"}, request.payload)
        self.assertEqual({"X-State": "1.10"}, request.headers)
        self.assertEqual({"state": 0}, other.payload)
        self.assertEqual({"X-State": "draft"}, other.headers)
        with self.refused('no "="'):
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

        self.assertEqual(delivery.queued_at.isoformat() + "Z", payload["date"])
        self.assertEqual(self.env.ref("base.be").id, payload["one"])
        self.assertEqual([], payload["none"])
        self.assertEqual(self.partner.image_1920, payload["image"].encode())

    def test_collision_names_rule_and_path(self):
        """A path that runs into a plain value names endpoint, rule and path."""
        self.rule("a.b", literal="1")

        with self.refused(
            r"shop-orders.*payload rule \"a.b\"", WebhookProcessingConfigurationError
        ):
            self.built({"a": "text"})

    def test_company_language(self):
        """Everything is read in the company's language, for any caller."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env.company.partner_id.lang = "fr_FR"
        country = self.env.ref("base.be").with_context(lang="fr_FR")
        country.name = "Belgique"
        self.rule("country", "record_field", "name")

        delivery = self.deliver(
            record=self.env.ref("base.be").with_context(lang="en_US")
        )

        self.assertEqual(
            "Belgique", delivery._build_outbound_request().payload["country"]
        )
