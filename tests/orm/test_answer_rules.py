# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Response conditions, from the form to the state of the delivery."""

from pathlib import Path

from odoo.addons.bwt_webhooks_outbound.services.http.response import BODY_LIMIT

from ..constants import ANSWER_RULE, ANSWER_VALUE, SEND_TEST
from .answer_case import AnswerCase

RECIPES = Path(__file__).resolve().parents[2] / "docs/answers.md"


class TestAnswerRules(AnswerCase):
    def test_error_in_a_success_is_retried(self):
        """200 {"ok": false, "error": "ratelimited"} is retried, and says why."""
        self.condition(
            "retry",
            source_kind="body_path",
            source_expression="error",
            expected_value="ratelimited",
            retry_seconds=30,
            note="Too many messages.",
        )
        self.respond((200, {"ok": False, "error": "ratelimited"}), (200, {"ok": True}))

        delivery = self.send()

        self.assertEqual(("error", 1), (delivery.state, delivery.retry_number))
        self.assertEqual("answer", delivery.failure_reason)
        wait = delivery.next_attempt_at - delivery.attempt_ids.finished_at
        self.assertAlmostEqual(30, wait.total_seconds(), delta=5)
        self.assertIn('"error equals ratelimited" matched', delivery.status_message)
        self.assertIn("Too many messages.", delivery.status_message)

        delivery.process_delivery()
        self.assertEqual("done", delivery.state)

    def test_there_already_is_done(self):
        """409 is done; the note names the condition, in green."""
        self.condition("done", statuses="409", name="There already")
        self.respond((409, {}))

        delivery = self.send()

        self.assertEqual(("done", False), (delivery.state, delivery.failure_reason))
        self.assertIn('"There already" matched', delivery.status_message)
        self.assertFalse(delivery.has_late_note)

    def test_errors_of_graphql(self):
        """200 with errors is a dead letter that offers a correction."""
        self.condition(
            "dead_letter",
            statuses="200-299",
            source_kind="body_path",
            source_expression="errors",
            operator="is_set",
        )
        self.respond((200, {"errors": [{"message": "no such field"}]}))

        delivery = self.send()

        self.assertEqual("dead_letter", delivery.state)
        self.assertTrue(delivery.needs_correction)
        self.assertIn("no such field", delivery.response_body)

    def test_cancel(self):
        """The delivery is canceled, and doesn't claim that it was never sent."""
        self.condition("cancel", statuses="404")
        self.respond((404, {}))

        delivery = self.send()

        self.assertEqual("canceled", delivery.state)
        self.assertEqual("canceled", delivery.attempt_ids.state)
        self.assertIn("responded with 404", delivery.status_message)

    def test_order_and_inactive_conditions(self):
        """The sequence decides; an inactive condition is skipped."""
        self.condition("done", statuses="409", sequence=5, active=False)
        self.condition("done", statuses="400-499", sequence=20)
        self.condition("dead_letter", statuses="409", sequence=10)
        self.respond((409, {}))

        self.assertEqual("dead_letter", self.send().state)

    def test_a_long_body_is_read_and_recorded_short(self):
        """A condition sees a megabyte; what is stored is as short as ever."""
        self.condition(
            "dead_letter",
            source_kind="body_path",
            source_expression="end",
            operator="is_set",
        )
        self.respond((200, {"fill": "x" * 500_000, "end": 1}))

        delivery = self.send()

        self.assertEqual("dead_letter", delivery.state)
        self.assertLess(len(delivery.response_body), BODY_LIMIT + 100)
        self.assertIn("cut", delivery.response_body[-60:])

    def test_send_test_names_the_condition(self):
        """Who tries an endpoint sees which condition decided."""
        self.condition("done", statuses="409", name="There already")
        self.respond((409, {}))
        test = self.env[SEND_TEST].create({"endpoint_id": self.endpoint.id})

        test.action_preview()
        test.action_send()

        self.assertIn("There already", test.status_message)

    def test_refused_when_saved(self):
        """What can be known to be wrong is refused, with the condition's name."""
        for vals, words in (
            ({}, "has no condition"),
            ({"statuses": "40x"}, "not a valid HTTP status"),
            ({"source_kind": "header"}, "path is empty"),
            ({"source_kind": "header", "source_expression": "a b"}, "header name"),
            ({"source_kind": "body_path", "source_expression": "a..b"}, "empty part"),
            (
                {"source_kind": "body", "operator": "matches", "expected_value": "("},
                "regular expression",
            ),
            ({"statuses": "409", "retry_seconds": -1}, "not a valid delay"),
        ):
            with self.subTest(words), self.refused(words):
                self.condition("done", **vals)

    def test_nothing_is_read_without_rules(self):
        """An endpoint without conditions and values costs a lane no statement."""
        self.endpoint.flush_recordset()
        statements = []
        execute = self.env.cr.execute

        def watched(query, *args, **kwargs):
            statements.append(str(getattr(query, "code", query)))
            return execute(query, *args, **kwargs)

        self.patch(self.env.cr, "execute", watched)

        self.send()

        self.assertTrue(statements)
        for each in statements:
            self.assertNotRegex(each, r"endpoint_answer_\w+|external_ref\b")


class TestRecipes(AnswerCase):
    """The tables of docs/answers.md, as they are written there."""

    def recipe(self, heading):
        """The rows of the first table under a heading, as dicts."""
        text = RECIPES.read_text().split(f"### {heading}\n")[1].split("\n### ")[0]
        lines = [line for line in text.splitlines() if line.startswith("|")]
        cells = [[c.strip(" `") for c in line.strip("|").split("|")] for line in lines]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]

    def add_conditions(self, heading):
        """Add the conditions of a recipe; labels are those of the form."""
        fields = self.env[ANSWER_RULE]._fields
        for number, row in enumerate(self.recipe(heading)):
            vals = {
                "sequence": number,
                "statuses": row["HTTP status"],
                "source_expression": row.get("path"),
                "expected_value": row.get("value"),
                "retry_seconds": int(row.get("after (s)") or 0),
            }
            for name, column in (
                ("source_kind", "value from"),
                ("operator", "operator"),
                ("outcome", "result"),
            ):
                labels = fields[name]._description_selection(self.env)
                by_label = {label: value for value, label in labels}
                if row.get(column):
                    vals[name] = by_label[row[column]]
            self.condition(**vals)

    def test_graphql(self):
        """Errors are a dead letter, data is done."""
        self.add_conditions("GraphQL")
        self.respond((200, {"errors": [{}]}), (200, {"data": {}, "errors": []}))

        self.assertEqual("dead_letter", self.send().state)
        self.assertEqual("done", self.send().state)

    def test_ok_false(self):
        """A rate limit is retried, any other error is a dead letter, ok is done."""
        self.add_conditions("200 with ok: false")
        self.respond(
            (200, {"ok": False, "error": "ratelimited"}),
            (200, {"ok": False, "error": "invalid_auth"}),
            (200, {"ok": True}),
        )

        states = [self.send().state for _ in range(3)]
        self.assertEqual(["error", "dead_letter", "done"], states)

    def test_there_already(self):
        """409 is done."""
        self.add_conditions("409 for a record that already exists")
        self.respond((409, {}))

        self.assertEqual("done", self.send().state)

    def test_store_on_the_record(self):
        """Labels of the recipe are those of the form, and its values are stored."""
        fields = self.env["res.partner"].fields_get()
        by_label = {info["string"]: name for name, info in fields.items()}
        labels = self.env[ANSWER_VALUE]._fields["source_kind"]
        kinds = {
            label: value for value, label in labels._description_selection(self.env)
        }
        for row in self.recipe("Store the ID and address on the record"):
            self.value(
                by_label[row["field"]],
                row["path or header"],
                source_kind=kinds[row["value from"]],
                only_if_empty=row["options"] == "Only If Empty",
                if_empty="omit" if "Leave Unchanged" in row["options"] else "error",
            )
        self.respond((201, {"id": "R-77"}))

        delivery = self.send()

        self.assertEqual("R-77", self.partner.ref)
        self.assertFalse(delivery.has_late_note, delivery.processing_note)
