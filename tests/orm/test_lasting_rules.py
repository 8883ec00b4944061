# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Compiled rules that lanes keep for one version of their endpoint."""

from odoo import SUPERUSER_ID, Command, api

from .common import CommittedCase


class TestLastingRules(CommittedCase):
    def rule(self, kind="header_rule_ids", **vals):
        with self.transaction() as env:
            self.endpoint(env)[kind] = [Command.create(vals)]

    def sent(self):
        """The request of one more delivery, sent by a lane of its own."""
        self.receiver.clear()
        self.queue({"n": 1})
        self.run_lane()
        [request] = self.receiver.requests
        return request

    def known(self, field_name):
        with self.transaction() as env:
            endpoint = self.endpoint(env)._for_lane()
            return endpoint._lasting_rules(field_name, endpoint.config_version)

    def test_a_change_applies_to_the_next_lane(self):
        """A rule that is created, changed, archived or deleted since."""
        header = {"header_name": "X-A", "source_kind": "literal"}
        self.assertIsNone(self.sent().header("X-A"))
        self.assertEqual((), self.known("header_rule_ids"))

        self.rule(**header, literal_value="one")
        self.assertEqual("one", self.sent().header("X-A"))
        self.assertEqual("one", self.sent().header("X-A"), "known by now")
        self.assertEqual(1, len(self.known("header_rule_ids")))

        for vals, expected in (
            ({"literal_value": "two"}, "two"),
            ({"active": False}, None),
            ({"active": True}, "two"),
        ):
            with self.transaction() as env:
                rules = self.endpoint(env).with_context(active_test=False)
                rules.header_rule_ids.write(vals)
            self.assertEqual(expected, self.sent().header("X-A"), vals)

        with self.transaction() as env:
            self.endpoint(env).header_rule_ids.unlink()
        self.assertIsNone(self.sent().header("X-A"))

    def test_a_rolled_back_change(self):
        """What a transaction had changed, and took back, is known to no lane."""
        self.rule(header_name="X-A", source_kind="literal", literal_value="one")
        self.sent()
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            endpoint = self.endpoint(env)
            endpoint.header_rule_ids.literal_value = "lost"
            endpoint._outbound_snapshot()  # as a preview does
            cr.rollback()
        self.rule(header_name="X-B", source_kind="literal", literal_value="two")

        request = self.sent()
        self.assertEqual("one", request.header("X-A"))
        self.assertEqual("two", request.header("X-B"))

    def test_which_rules_last(self):
        """Rules that hold records, or a language, are compiled for each transaction."""
        lasting = (
            {"source_kind": "literal", "literal_value": "odoo"},
            {"source_kind": "context_key", "source_expression": "order_id"},
            {"source_kind": "request_field", "source_expression": "payload.n"},
            {
                "source_kind": "request_field",
                "source_expression": "payload.n",
                "value_map": "1 = one",
            },
        )
        others = (
            {"source_kind": "literal", "literal_value": "of {company.name}"},
            {"source_kind": "company_field", "source_expression": "name"},
            {"source_kind": "delivery_field", "source_expression": "name"},
            {"source_kind": "record_field", "source_expression": "display_name"},
            {
                "source_kind": "request_field",
                "source_expression": "payload.n",
                "value_format": "text",
            },
        )
        for vals in lasting + others:
            with self.transaction() as env:
                self.endpoint(env).payload_rule_ids.unlink()
            self.rule("payload_rule_ids", target_path="value", **vals)
            known = self.known("payload_rule_ids")
            self.assertEqual(vals in lasting, known is not None, vals)

    def test_lists_do_not_last(self):
        """A pair of rules that makes a list holds the rules themselves."""
        self.rule(
            "payload_rule_ids",
            target_path="lines.*.n",
            source_kind="literal",
            literal_value="1",
        )
        self.assertIsNone(self.known("payload_rule_ids"))

    def test_an_invalid_rule_refuses_each_time(self):
        """The message of an invalid rule is the same in the second lane."""
        self.rule(header_name="X-A", source_kind="context_key", source_expression="a")
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE bwt_webhook_outbound_endpoint_header_rule "
                "SET source_expression = 'a..b' WHERE endpoint_id = %s",
                (self.endpoint_id,),
            )
        notes = []
        for _lane in range(2):
            ids = self.queue({"n": 1})
            self.run_lane()
            notes += self.committed(ids, "state", "processing_error")
        self.assertEqual(notes[0], notes[1])
