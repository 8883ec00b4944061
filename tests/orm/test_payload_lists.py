# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Lists that payload rules build: from relations, from JSON, nested, selected."""

import json

from odoo import Command
from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.build_scope import outbound_build

from .action_case import ServerActionCase
from .request_case import RequestCase, assignment

SELECTION = ("list_domain", "list_order", "list_limit")


@tagged("post_install", "-at_install")
class TestPayloadLists(RequestCase):
    """Rules of an endpoint, about a contact with children, tags and accounts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.make_company("Lovelace", "Ada", "Byron", "Claire")
        tags = cls.env["res.partner.category"].create([{"name": "A"}, {"name": "B"}])
        cls.company.child_ids[0].category_id = tags
        cls.company.child_ids[0].bank_ids = [
            Command.create({"acc_number": number}) for number in ("1", "2")
        ]

    @classmethod
    def make_company(cls, name, *children):
        return cls.env["res.partner"].create(
            {
                "name": name,
                "is_company": True,
                "child_ids": [
                    Command.create({"name": child, "email": f"{child}@x.example"})
                    for child in children
                ],
            }
        )

    def field(self, target, path, **vals):
        return self.rule(target, "record_field", path, **vals)

    def listed(self, target, path, **vals):
        return self.rule(target, "list", path, **vals)

    def payload(self, record=None, payload=None, lines=None):
        return self.built(payload, lines, record=record or self.company).payload

    def test_items_in_the_order_of_relation_and_rules(self):
        """One object per child, keys in the order of the rules; constants in each."""
        self.field("order.name", "name")
        self.field("order.lines.*.name", "child_ids.*.name")
        self.rule("order.lines.*.kind", literal="{shop}")
        self.field("order.lines.*.of", "name")
        self.field("order.lines.*.mail.address", "child_ids.*.email")
        self.field("order.lines.*.tags", "child_ids.*.category_id.*.name")
        self.field("order.last", "ref")

        found = self.payload(lines={"shop": "S"})

        names = ["Ada", "Byron", "Claire"]
        self.assertEqual(
            {
                "name": "Lovelace",
                "lines": [
                    {
                        "name": name,
                        "kind": "S",
                        "of": "Lovelace",
                        "mail": {"address": f"{name}@x.example"},
                        "tags": ["A", "B"] if name == "Ada" else [],
                    }
                    for name in self.company.child_ids.mapped("name")
                ],
                "last": None,
            },
            found["order"],
        )
        self.assertEqual(sorted(names), [x["name"] for x in found["order"]["lines"]])
        self.assertEqual(
            ["name", "kind", "of", "mail", "tags"], list(found["order"]["lines"][0])
        )

    def test_no_record_makes_an_empty_list(self):
        """A list that rules build replaces what the payload had, and may be empty."""
        self.field("lines.*.name", "child_ids.*.name")
        self.rule("lines.*.of", literal="{missing}")

        found = self.payload(self.partner, {"lines": [{"old": 1}], "kept": 2})

        self.assertEqual({"lines": [], "kept": 2}, found)

    def test_values_as_items(self):
        """A target that ends in `*` makes a list of the values themselves."""
        self.field("tags.*", "child_ids.0.category_id.*.name")
        self.field("mails.*", "child_ids.*.email", if_empty="omit")
        self.company.child_ids[0].email = False

        found = self.payload()

        self.assertEqual(["A", "B"], found["tags"])
        self.assertEqual(2, len(found["mails"]))

    def test_values_and_keys_in_one_list(self):
        """A key can't be written into a value: the rule is named, no traceback."""
        self.field("tags.*.name", "child_ids.*.name")
        last = self.field("tags.*", "child_ids.*.name")
        self.assertEqual(["Ada", "Byron", "Claire"], self.payload()["tags"])
        last.sequence = 1

        with self.refused(r'rule "tags\.\*\.name".*can\'t be written'):
            self.payload()

    def test_the_whole_payload_is_a_list(self):
        """`*` at the start."""
        self.field("*.name", "child_ids.*.name")

        found = self.payload(payload={"old": 1})

        self.assertEqual([{"name": n} for n in ("Ada", "Byron", "Claire")], found)

    def test_lists_in_lists(self):
        """The second `*` reads from the item of the first; outer values go inside."""
        self.field("people.*.name", "child_ids.*.name")
        self.field("people.*.banks.*.number", "child_ids.*.bank_ids.*.acc_number")
        self.field("people.*.banks.*.owner", "child_ids.*.name")
        self.field("people.*.banks.*.root", "name")
        self.listed("people", "child_ids", list_limit=2)
        self.listed("people.*.banks", "child_ids.*.bank_ids", list_order="id desc")

        found = self.payload()["people"]

        banks = [
            {"number": number, "owner": "Ada", "root": "Lovelace"}
            for number in ("2", "1")
        ]
        self.assertEqual(
            [{"name": "Ada", "banks": banks}, {"name": "Byron", "banks": []}], found
        )

    def test_lists_from_json(self):
        """Lists of context values and of the request; a missing one is empty."""
        self.rule("a.*.sku", "context_key", "lines.*.product.code")
        self.rule("a.*.qty", "context_key", "lines.*.qty", value_map="1 = one")
        self.rule("b.*.x", "request_field", "payload.items.*.x")
        self.rule("c.*.x", "context_key", "nothing.*.x")
        lines = {"lines": [{"product": {"code": "A"}, "qty": 1}, {"qty": 2}]}

        found = self.payload(payload={"items": [{"x": 5, "y": 6}]}, lines=lines)

        self.assertEqual(
            [{"sku": "A", "qty": "one"}, {"sku": None, "qty": 2}], found["a"]
        )
        self.assertEqual([{"x": 5}], found["b"])
        self.assertEqual([], found["c"])
        with self.refused(r'payload rule "a.*.sku".*is 5, not a list'):
            self.payload(lines={"lines": 5})

    def test_a_star_without_a_partner(self):
        """On an endpoint it writes into each item that the payload has, as before."""
        self.rule("lines.*.shop", literal="S")
        self.rule("lines.*.n", "record_field", "name")

        found = self.payload(payload={"lines": [{"a": 1}, {}]})

        row = {"shop": "S", "n": "Lovelace"}
        self.assertEqual([{"a": 1} | row, row], found["lines"])

    def test_a_list_of_selected_records(self):
        """Filter, order and limit; alone, the list has the ids or the names."""
        self.field("lines.*.name", "child_ids.*.name")
        self.listed(
            "lines",
            "child_ids",
            list_domain='[("email", "!=", "Byron@x.example")]',
            list_order="name desc",
            list_limit=2,
        )
        self.listed("ids", "child_ids", list_domain='[("name", "like", "Ada")]')
        self.listed("names", "child_ids", value_format="name", list_limit=1)
        self.listed("none", "child_ids", list_domain="[('name', '=', 'x')]")

        found = self.payload()

        self.assertEqual([{"name": "Claire"}, {"name": "Ada"}], found["lines"])
        self.assertEqual(self.company.child_ids[0].ids, found["ids"])
        self.assertEqual(["Lovelace, Ada"], found["names"])
        self.assertEqual([], found["none"])

    def test_what_fails_names_the_rule(self):
        """A value that doesn't fit, an unknown field, a path that isn't a list."""
        rule = self.field("lines.*.n", "child_ids.*.name", value_format="decimal")
        with self.refused(
            r'payload rule "lines\.\*\.n": format "decimal" doesn\'t fit'
        ):
            self.payload()
        rule.write({"value_format": False, "source_expression": "child_ids.*.nmae"})
        with self.refused(r'payload rule "lines\.\*\.n".*no field "nmae".*name'):
            self.payload()
        rule.source_expression = "name.*.x"
        with self.refused("holds a plain value|doesn't end on a list"):
            self.payload()
        rule.unlink()
        self.rule("x.*.y", "record_field", "child_ids.*.name")
        constant = self.rule("x.*.z", literal="{key}")
        with self.refused(r'payload rule "x\.\*\.z": token {key} has no value'):
            self.payload()
        constant.active = False
        self.assertEqual(3, len(self.payload()["x"]))

    def test_conflicts_are_refused_when_saved(self):
        """Both rules are named; an inactive one doesn't count."""
        first = self.field("lines.*.a", "child_ids.*.name")
        with self.refused(
            r'"lines\.\*\.a" reads "child_ids.*payload rule "lines\.\*\.b" reads "bank'
        ):
            self.field("lines.*.b", "bank_ids.*.acc_number")
        with self.refused("can't be read from two places"):
            self.listed("lines", "bank_ids")
        other = self.field("lines.*.b", "bank_ids.*.acc_number", active=False)
        with self.refused("can't be read from two places"):
            other.active = True
        first.active = False
        other.active = True
        self.listed("lines", "bank_ids")
        with self.refused("has two rules of kind List of Records"):
            self.listed("lines", "bank_ids")

    def test_a_stored_conflict_fails_the_delivery_only(self):
        """Rules that were saved by other means don't stop the endpoint."""
        self.field("lines.*.a", "child_ids.*.name")
        other = self.field("x.*.b", "bank_ids.*.acc_number")
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint_payload_rule "
            "SET target_path = 'lines.*.b' WHERE id = %s",
            [other.id],
        )
        self.env.invalidate_all()

        with self.refused("can't be read from two places"):
            self.payload()

    def test_invalid_selections(self):
        """What can be known without the model is refused when it is saved."""
        for vals, message in (
            ({"list_domain": "name = 1"}, "not a list of conditions"),
            ({"list_domain": '[("name", "=", uid)]'}, "with plain values"),
            ({"list_domain": '[("id", "child_of", 1)]'}, "child_of needs a search"),
            ({"list_domain": '[("__class__", "=", 1)]'}, "is not a valid field name"),
            ({"list_order": "name; drop"}, "can't be used"),
            ({"list_order": "name sideways"}, '"name sideways" is not a plain stored'),
            ({"list_limit": -1}, "the limit -1 is not valid"),
        ):
            with self.subTest(vals), self.refused(message), self.cr.savepoint():
                self.listed("lines", "child_ids", **vals)

    def test_selections_that_do_not_fit_the_model(self):
        """Known when the model is: the delivery fails and names the rule."""
        rule = self.listed("lines", "child_ids")
        for vals, message in (
            ({"list_domain": '[("nmae", "=", 1)]'}, 'no field "nmae"'),
            ({"list_order": "parent_id"}, '"parent_id" is not a plain stored field'),
            ({"list_order": "nothing"}, '"nothing" is not a plain'),
            ({"list_domain": '[("parent_id", "=", "x")]'}, "compare parent_id.name"),
            ({"list_domain": '[("name", ">", 5)]'}, "filter .* can't be used"),
        ):
            rule.write(dict.fromkeys(SELECTION, False) | vals)
            with self.subTest(vals), self.refused(f'rule "lines".*{message}'):
                self.payload()

    def test_handler_assignments_build_lists_too(self):
        """Between other changes of the request, at the place of their first."""
        self.handler(
            {
                "result_status": "mutate",
                "assignment_ids": [
                    assignment("payload", "a", "1"),
                    assignment(
                        "payload",
                        "lines.*.name",
                        kind="record_field",
                        expression="child_ids.*.name",
                    ),
                    assignment("header", "X-A", "b"),
                    assignment("payload", "lines.*.kind", '"k"'),
                    assignment("payload", "lines.0.first", "true"),
                ],
            }
        )

        request = self.handler_outcome({"old": 0}, record=self.company).request

        self.assertEqual("b", request.headers["X-A"])
        names = ("Ada", "Byron", "Claire")
        lines = [{"name": name, "kind": "k"} for name in names]
        lines[0]["first"] = True
        self.assertEqual({"old": 0, "a": 1, "lines": lines}, dict(request.payload))
        rule = self.endpoint.handler_id.outbound_rule_ids
        with self.refused('assignment to "lines.[*].name" reads "child_ids'):
            rule.assignment_ids = [
                assignment(
                    "payload",
                    "lines.*.no",
                    kind="record_field",
                    expression="bank_ids.*.acc_number",
                )
            ]
        with self.refused("can only be written into the payload"):
            rule.assignment_ids = [
                assignment("header", "X-B", kind="list", expression="child_ids")
            ]

    def test_same_queries_for_one_and_a_hundred(self):
        """No query per line or per delivery: relations are read for the batch."""
        self.field("lines.*.name", "child_ids.*.name")
        self.field("lines.*.country", "child_ids.*.country_id.code")
        self.field("lines.*.tags", "child_ids.*.category_id", value_format="name")
        self.field("lines.*.banks.*.n", "child_ids.*.bank_ids.*.acc_number")
        self.rule("lines.*.text", literal="{record.country_id.name} {company.name}")
        self.listed(
            "lines",
            "child_ids",
            list_domain='[("type", "!=", "other"), ("country_id.code", "!=", "XX")]',
            list_order="email, id desc",
        )
        country = self.env.ref("base.be")
        companies = self.env["res.partner"].browse()
        for n in range(120):
            companies += self.make_company(f"C{n}", "A", "B", "C")
        (companies | companies.child_ids).country_id = country
        tags = self.env["res.partner.category"].create({"name": "T"})
        companies.child_ids.category_id = tags
        companies.child_ids.bank_ids = [Command.create({"acc_number": "7"})]
        queries = {}
        for count in (2, 1, 20, 100):  # the first fills caches of models
            deliveries = self.endpoint.queue_deliveries(
                [{"record": company} for company in companies[:count]]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            snapshot = self.endpoint._outbound_snapshot()
            for scope in deliveries._read_scopes(snapshot).values():
                with outbound_build(scope.delivery.env).of(snapshot, scope):
                    built = scope.delivery._build_outbound_request()
                lines = built.payload["lines"]
                self.assertEqual(["BE"] * 3, [line["country"] for line in lines])
            queries[count] = self.env.cr.sql_log_count - before

        self.assertEqual(queries[1], queries[20])
        self.assertEqual(queries[1], queries[100])


@tagged("post_install", "-at_install")
class TestListsOfActions(ServerActionCase):
    """Payload rules of a server action, whose model is known."""

    def rules(self, *rules):
        """An action whose payload these rules build: (target, path) or dicts."""
        return self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create(
                    {
                        "usage": "payload",
                        "sequence": sequence,
                        "target": rule[0],
                        "source_expression": rule[1],
                        **(rule[2] if len(rule) > 2 else {}),
                    }
                )
                for sequence, rule in enumerate(rules)
            ],
        )

    def test_a_payload_with_lines(self):
        """Objects and lists of any number, from clicks alone."""
        action = self.rules(
            ("order.number", "name"),
            ("order.vat", "vat"),
            ("order.lines.*.sku", "child_ids.*.name", {"value_format": "upper"}),
            ("order.lines.*.mail", "child_ids.*.email", {"if_empty": "omit"}),
            (
                "order.lines.*.kind",
                False,
                {"source_kind": "literal", "literal_value": "{record.name}/1"},
            ),
            (
                "order.lines",
                "child_ids",
                {"source_kind": "list", "list_order": "name desc"},
            ),
        )

        [delivery] = self.run_on(action, self.company)

        kind = "Lovelace Ltd/1"
        self.assertEqual(
            {
                "order": {
                    "number": "Lovelace Ltd",
                    "vat": None,
                    "lines": [
                        {"sku": "BYRON", "kind": kind},
                        {"sku": "ADA", "mail": "ada@example.com", "kind": kind},
                    ],
                }
            },
            json.loads(delivery.payload_json),
        )

    def test_a_list_is_the_payload(self):
        """The `*` at the start, and a contact without children."""
        action = self.rules(("*", "child_ids.*.name"))

        found = [
            json.loads(each.payload_json)
            for each in self.run_on(action, self.company | self.partner)
        ]

        self.assertEqual([["Ada", "Byron"], []], found)

    def test_refused_when_saved(self):
        """The model is known here, so nothing is left for the delivery."""
        cases = (
            ([("a.*.x", "name")], '"a.[*]" is a list without a source.*Write [*] into'),
            (
                [("a.*.x", "child_ids.*.name"), ("a.*.y", "bank_ids.*.id")],
                'payload rule "a.[*].x" reads "child_ids.[*].name"',
            ),
            (
                [("a.*.x", "child_ids.*.name", {"value_format": "decimal"})],
                None,
            ),
            (
                [("a.*.x", "child_ids.*.parent_id", {"value_format": "decimal"})],
                'format "decimal" doesn\'t fit "child_ids.[*].parent_id"',
            ),
            (
                [("a.*.x", "child_ids.*.name", {"value_format": "label"})],
                "a field of type char",
            ),
            (
                [("a", "color", {"value_format": "date"})],
                "a field of type integer",
            ),
            ([("a.*.x", "child_ids.*.nmae")], 'no field "nmae"'),
            (
                [("a", "name", {"source_kind": "list"})],
                "doesn't end on a list",
            ),
        )
        domains = (
            ('[("nmae", "=", 1)]', 'no field "nmae"'),
            ('[("ref", "=", "x")]', 'field "ref" of res.partner is limited to groups'),
            ('[("name", "=", 1), "x"]', "can't be used"),
            ('[("child_ids", "any", [])]', "any needs a search"),
        )
        for rules, message in cases:
            with self.subTest(rules):
                if message is None:
                    self.rules(*rules)
                    continue
                with self.refused(message), self.cr.savepoint():
                    self.rules(*rules)
        field = self.env["res.partner"]._fields["ref"]
        self.patch(field, "groups", "bwt_webhooks_outbound.group_webhooks_admin")
        for domain, message in domains:
            selection = {"source_kind": "list", "list_domain": domain}
            with self.subTest(domain), self.refused(message), self.cr.savepoint():
                self.rules(("a", "child_ids", selection))
        for order in ("parent_id", "email_formatted", "nothing", "name up"):
            selection = {"source_kind": "list", "list_order": order}
            refused = self.refused("can't be used|no field")
            with self.subTest(order), refused, self.cr.savepoint():
                self.rules(("a", "child_ids", selection))

    def test_a_list_only_fills_a_payload(self):
        """A context value is one value; a list of it is a path with `*`."""
        with self.refused("can only be the source of a payload rule"):
            self.action(
                "name",
                bwt_webhook_context_ids=[
                    Command.create(
                        {
                            "usage": "context",
                            "target": "k",
                            "source_kind": "list",
                            "source_expression": "child_ids",
                        }
                    )
                ],
            )
