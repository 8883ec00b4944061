# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Formats, empty values and fields in literals, wherever a value has a source."""

import json

from odoo import Command
from odoo.tests import Form, new_test_user, tagged

from .action_case import ServerActionCase
from .request_case import RequestCase, assignment, condition

LINE = "bwt.webhook.outbound.delivery.context_line"


@tagged("post_install", "-at_install")
class TestRuleFormats(RequestCase):
    """Rules of an endpoint, about a contact."""

    def setUp(self):
        super().setUp()
        self.partner.write(
            {
                "comment": "<p>Hello <b>World</b></p>",
                "partner_latitude": 2.675,
                "category_id": [Command.create({"name": name}) for name in ("A", "B")],
                "parent_id": self.env["res.partner"].create({"name": "Lovelace"}).id,
                "vat": False,
            }
        )

    def formatted(self, path, value_format, **vals):
        """What a rule with this path and format sends."""
        vals = {"value_format": value_format, **vals}
        rule = self.rule("x", "record_field", path, **vals)
        try:
            return self.built(record=self.partner).payload.get("x", "left out")
        finally:
            rule.active = False

    def test_a_decimal_has_two_places_first(self):
        """Choosing the format must not round prices to whole numbers unnoticed."""
        with Form(self.endpoint) as form, form.payload_rule_ids.new() as rule:
            rule.target_path = "x"
            rule.source_kind = "record_field"
            rule.source_expression = "partner_latitude"
            rule.value_format = "decimal"

        self.assertEqual(2.68, self.built(record=self.partner).payload["x"])

    def test_each_format(self):
        """What the receiver gets for fields of every kind."""
        self.env["res.lang"]._activate_lang("de_DE")
        partner = self.partner
        self.env.cr.execute(
            "UPDATE res_partner SET create_date = '2026-11-24 23:30:05' WHERE id = %s",
            [partner.id],
        )
        self.env.invalidate_all()
        berlin = {"format_timezone": "Europe/Berlin"}
        places = {"format_places": 2}
        german = {"format_language": "de_DE"}
        labels = dict(
            partner._fields["type"]._description_selection(
                self.env(context={"lang": "de_DE"})
            )
        )
        for path, value_format, vals, expected in (
            ("id", "text", {}, str(partner.id)),
            ("is_company", "text", {}, "false"),
            ("partner_latitude", "integer", {}, 3),
            ("partner_latitude", "decimal", places, 2.68),
            (
                "partner_latitude",
                "decimal",
                {"format_places": 4, "format_as_text": True},
                "2.6750",
            ),
            ("create_date", "date", {"format_pattern": "dd.MM.yyyy"}, "24.11.2026"),
            ("create_date", "date", berlin, "2026-11-25"),
            ("create_date", "datetime", berlin, "2026-11-25T00:30:05+01:00"),
            ("create_date", "timestamp", {}, 1795563005),
            (
                "create_date",
                "timestamp",
                {"format_unit": "milliseconds"},
                1795563005000,
            ),
            ("type", "label", {}, "Contact"),
            ("type", "label", german, labels[partner.type]),
            ("parent_id", "name", {}, "Lovelace"),
            ("category_id", "name", {}, ["A", "B"]),
            ("category_id.*", "name", {}, ["A", "B"]),
            ("category_id.0", "name", {}, "A"),
            ("category_id.*.name", "lower", {}, ["a", "b"]),
            ("comment", "plain_text", {}, "Hello *World*"),
            ("name", "upper", {}, "ADA"),
            ("email", "truncate", {"format_length": 3}, "ada"),
            ("vat", "upper", {}, None),
        ):
            with self.subTest(path, format=value_format, **vals):
                self.assertEqual(expected, self.formatted(path, value_format, **vals))

    def test_empty_values(self):
        """Null, an empty text, no key, an error; false and 0 are values."""
        self.endpoint.empty_value = "false"
        for if_empty, expected in (
            (False, False),
            ("null", None),
            ("blank", ""),
            ("omit", "left out"),
        ):
            with self.subTest(if_empty):
                found = self.formatted("vat", "upper", if_empty=if_empty)
                self.assertEqual(expected, found)
        with self.refused('payload rule "x": the value is empty'):
            self.formatted("vat", False, if_empty="error")
        self.assertIs(False, self.formatted("is_company", False, if_empty="error"))
        self.assertEqual(0, self.formatted("color", False, if_empty="error"))

    def test_value_map_then_empty_then_format(self):
        """The order that the help promises."""
        value_map = {"value_map": "Ada = countess\nx =\n = nothing"}

        self.assertEqual("COUNTESS", self.formatted("name", "upper", **value_map))
        self.assertEqual("NOTHING", self.formatted("vat", "upper", **value_map))

    def test_fields_in_literals(self):
        """Texts with fields; alone, a field keeps its type."""
        text = "{record.name} ({record.parent_id.name}) of {company.name}, {shop}"
        self.rule("text", literal=text)
        self.rule("id", literal="{record.id}")
        self.rule("is_company", literal="{record.is_company}")
        self.rule("all", literal='{"mail": "{partner.email}", "no": "{{record.x}}"}')
        self.rule("vat", literal="VAT {record.vat}", if_empty="omit")
        self.header("X-Name", literal="<{record.name}>")
        self.rule("old", literal="{order.name}")

        request = self.built({}, {"shop": "S"}, record=self.partner)

        company = self.endpoint.company_id.name
        self.assertEqual(
            {
                "text": f"Ada (Lovelace) of {company}, S",
                "id": self.partner.id,
                "is_company": False,
                "all": {"mail": "ada@example.com", "no": "{record.x}"},
                "old": "{order.name}",
            },
            request.payload,
        )
        self.assertEqual("<Ada>", request.headers["X-Name"])
        self.rule("vat", literal="VAT {record.vat}")
        with self.refused('rule "vat": token {record.vat} has no value. Fill in'):
            self.built({}, {"shop": "S"}, record=self.partner)

    def test_values_given_by_code_name_no_fields(self):
        """A customer's text with braces stays text: it must not read a record."""
        self.rule("text", "context_key", "text")
        given = "{record.name} {company.name}"

        found = self.built({}, {"text": given}, record=self.partner).payload

        self.assertEqual(given, found["text"])

    def test_headers_lines_conditions_and_assignments(self):
        """A format works wherever a value has a source."""
        self.header("X-No", "record_field", "name", value_format="upper")
        self.header("X-Vat", "record_field", "vat", if_empty="omit")
        self.rule("line", "context_key", "line")
        self.rule("none", "context_key", "none")
        delivery = self.deliver({}, record=self.partner)
        self.env[LINE].create(
            [
                {
                    "delivery_id": delivery.id,
                    "key_name": key,
                    "source_kind": "record_field",
                    "source_expression": path,
                    **vals,
                }
                for key, path, vals in (
                    ("line", "name", {"value_format": "lower"}),
                    ("none", "vat", {"if_empty": "omit"}),
                )
            ]
        )
        command = condition("name", "equals", "ADA", kind="record_field")
        command[2]["value_format"] = "upper"
        change = assignment("payload", "n", kind="record_field", expression="color")
        change[2]["value_format"] = "text"
        self.handler(
            {
                "result_status": "mutate",
                "condition_ids": [command],
                "assignment_ids": [change],
            }
        )

        request = delivery._invoke_handler(delivery._build_outbound_request()).request

        self.assertEqual({"line": "ada", "none": None, "n": "0"}, dict(request.payload))
        self.assertEqual("ADA", request.headers["X-No"])
        self.assertNotIn("X-Vat", request.headers)

    def test_refused_when_saved(self):
        """Options that are invalid, formats that need a field, unknown fields."""
        for kind, path, literal, vals, message in (
            ("literal", False, "x", {"value_format": "label"}, "needs a path that"),
            ("context_key", "a", False, {"value_format": "name"}, "needs a path that"),
            (
                "record_field",
                "name",
                False,
                {"value_format": "decimal", "format_places": 11},
                "11 decimal places",
            ),
            (
                "record_field",
                "date",
                False,
                {"value_format": "date", "format_pattern": "YYYY-MM-DD"},
                'pattern "YYYY-MM-DD" is not valid',
            ),
            (
                "record_field",
                "date",
                False,
                {"value_format": "datetime", "format_timezone": "Mars"},
                'time zone "Mars" is not known',
            ),
            ("company_field", "name", False, {"value_format": "label"}, "type char"),
            (
                "company_field",
                "partner_id",
                False,
                {"value_format": "decimal"},
                "many2one",
            ),
            ("endpoint_field", "id", False, {"value_format": "date"}, "type integer"),
            ("literal", False, "{company.nmae}", {}, 'no field "nmae"'),
            ("literal", False, "{partner.__class__}", {}, "not a valid field name"),
            ("literal", False, "{record._x.y}", {}, "not a valid field name"),
        ):
            with self.subTest(path=path, literal=literal, **vals):
                with self.refused(message), self.cr.savepoint():
                    self.rule("x", kind, path, literal, **vals)

    def test_a_value_that_does_not_fit_stops_the_delivery(self):
        """The model isn't known before: the rule is named on the delivery."""
        with self.refused('payload rule "x": format "decimal" doesn\'t fit .*Ada'):
            self.formatted("name", "decimal")
        with self.refused('payload rule "x": format "label".*type char'):
            self.formatted("name", "label")
        with self.refused('payload rule "x": format "date".*type integer'):
            self.formatted("color", "date")

    def test_literals_read_as_their_writer_may(self):
        """A field in a literal, like a path, is limited to the writer's rights."""
        user = new_test_user(
            self.env,
            "rule-writer",
            "base.group_user,bwt_webhooks_outbound.group_webhooks_admin",
        )
        parameter = self.env["ir.config_parameter"].search([], limit=1)
        self.rule("x").with_user(user).literal_value = "{record.value}"
        with self.refused("may not read"):
            self.built(record=parameter)
        delivery = self.deliver({}, record=parameter)
        self.rule("y", "context_key", "k")
        self.endpoint.payload_rule_ids[0].active = False
        for literal in ("{record.value}", '"\\u007brecord.value}"'):
            delivery.context_line_ids.unlink()
            self.env[LINE].create(
                {
                    "delivery_id": delivery.id,
                    "key_name": "k",
                    "literal_value": literal,
                    "limited_to_user_id": user.id,
                }
            ).write({"limited_to_user_id": user.id})
            with self.subTest(literal), self.refused("may not read"):
                delivery._build_outbound_request()

    def test_lists_read_as_their_writer_may(self):
        """Each record of a relation is checked, and what a filter compares."""
        user = new_test_user(
            self.env,
            "list-writer",
            "base.group_user,bwt_webhooks_outbound.group_webhooks_admin",
        )
        other = self.env["res.company"].create({"name": "Other"})
        parent = self.partner.parent_id
        self.env["res.partner"].create(
            {"name": "Secret", "parent_id": parent.id, "company_id": other.id}
        )
        rules = self.env["bwt.webhook.outbound.endpoint.payload.rule"].with_user(user)
        rule = rules.create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "lines.*.name",
                "source_kind": "record_field",
                "source_expression": "child_ids.*.name",
            }
        )
        with self.refused("may not read the record"):
            self.built(record=parent)
        rule.sudo().unlink()
        rules.create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "lines",
                "source_kind": "list",
                "source_expression": "bank_ids",
                "list_domain": '[("partner_id.child_ids.name", "=", "Secret")]',
            }
        )
        parent.bank_ids = [Command.create({"acc_number": "1"})]

        with self.refused("may not read"):
            self.built(record=parent)


@tagged("post_install", "-at_install")
class TestActionFormats(ServerActionCase):
    """Rules and context lines of a server action."""

    def test_formats_and_fields(self):
        """Both are checked against the action's model and applied when it runs."""
        action = self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create(
                    {
                        "usage": "payload",
                        "target": "a",
                        "source_kind": "literal",
                        "literal_value": "{record.name} / {company.name}",
                    }
                ),
                Command.create(
                    {
                        "usage": "payload",
                        "target": "b",
                        "source_expression": "vat",
                        "if_empty": "omit",
                    }
                ),
            ],
            bwt_webhook_context_ids=[
                Command.create(
                    {
                        "usage": "context",
                        "target": "key",
                        "source_expression": "name",
                        "value_format": "upper",
                    }
                ),
                Command.create(
                    {
                        "usage": "context",
                        "target": "none",
                        "source_expression": "vat",
                        "if_empty": "omit",
                    }
                ),
            ],
        )

        [delivery] = self.run_on(action, self.company)

        name = self.endpoint.company_id.name
        self.assertEqual(
            {"a": f"Lovelace Ltd / {name}"}, json.loads(delivery.payload_json)
        )
        self.assertEqual({"key": "LOVELACE LTD"}, delivery._get_context_values())
        with self.refused('no field "nmae"'):
            action.bwt_webhook_rule_ids[0].literal_value = "{record.nmae}"
        field = self.env["res.partner"]._fields["ref"]
        self.patch(field, "groups", "bwt_webhooks_outbound.group_webhooks_admin")
        with self.refused("limited to groups"):
            action.bwt_webhook_rule_ids[0].literal_value = "{record.ref}"
