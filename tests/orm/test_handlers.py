# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
)

from ..constants import DELIVERY, HANDLER, HANDLER_RULE
from .request_case import RequestCase, assignment, condition


class TestRules(RequestCase):
    def test_first_matching_rule_decides(self):
        """All conditions must hold; the first rule wins; inactive ones are skipped."""
        self.handler(
            {"result_status": "cancel", "active": False},
            {
                "result_status": "cancel",
                "condition_ids": [
                    condition("payload.total", "greater", "9"),
                    condition("payload.paid", "equals", "true"),
                ],
            },
            {
                "result_status": "dead_letter",
                "note": "too big",
                "condition_ids": [condition("payload.total", "greater", "9")],
            },
            {"result_status": "done"},
        )

        outcome = self.handler_outcome({"total": 10, "paid": False})

        self.assertEqual("dead_letter", outcome.status)
        self.assertEqual("too big", outcome.note)
        rule = self.env[HANDLER_RULE].browse(outcome.matched_rule_id)
        self.assertEqual("rule 3", rule.name)
        self.assertEqual(
            "cancel", self.handler_outcome({"total": 10, "paid": True}).status
        )
        done = self.handler_outcome({"total": 9})
        self.assertEqual("done", done.status)
        self.assertIn("rule 4", done.note)

    def test_no_rule_sends(self):
        """Without a rule that holds the request goes as it is."""
        handler = self.handler(
            {"result_status": "cancel", "condition_ids": [condition("payload.x")]}
        )
        self.assertEqual("send", self.handler_outcome({"x": 1}).status)
        delivery = self.deliver({"x": 1})
        self.assertEqual(
            {"status": "send"}, delivery._execute_model_driven_handler(handler)
        )

    def test_retry_requires_seconds(self):
        """The result Retry Later carries its seconds."""
        self.handler({"result_status": "retry", "retry_seconds": 90})
        outcome = self.handler_outcome()
        self.assertEqual(("retry", 90), (outcome.status, outcome.seconds))
        with self.refused("Enter 0 or more"):
            self.endpoint.handler_id.outbound_rule_ids.retry_seconds = -1

    def test_assignments_change_request_header_and_payload(self):
        """Every scope is changed, later assignments see earlier ones."""
        handler = self.handler(
            {
                "result_status": "mutate",
                "assignment_ids": [
                    assignment("request", "http_method", "PUT"),
                    assignment("request", "target_url", "https://b.example.com/{id}"),
                    assignment("header", "x-shop", "1.10"),
                    assignment("header", "X-None", kind="context_key", expression="no"),
                    assignment(
                        "payload", "order.id", kind="context_key", expression="id"
                    ),
                    assignment(
                        "payload",
                        "copy",
                        kind="request_field",
                        expression="payload.order.id",
                    ),
                ],
            }
        )
        delivery = self.deliver({"a": 1}, {"id": 7}, headers={"X-Shop": "old"})
        request = delivery._build_outbound_request()

        outcome = delivery._invoke_handler(request)

        self.assertEqual("send", outcome.status)
        self.assertEqual("put", outcome.request.http_method)
        self.assertEqual("https://b.example.com/7", outcome.request.target_url)
        self.assertEqual({"x-shop": "1.10", "X-None": ""}, outcome.request.headers)
        self.assertEqual(
            {"a": 1, "order": {"id": 7}, "copy": 7}, outcome.request.payload
        )
        self.assertEqual({"a": 1}, request.payload, "the request is never changed")
        raw = delivery._execute_model_driven_handler(handler, request.to_dict())
        self.assertEqual(
            {"status", "matched_rule_id", "target_url", "http_method", "headers"}
            | {"payload"},
            set(raw),
        )

    def test_refused_while_saved(self):
        """A rule that can't work is refused while it is saved."""
        for rule, text in (
            ({"assignment_ids": [assignment("request", "body", "1")]}, "no part"),
            ({"assignment_ids": [assignment("header", "Host", "1")]}, "Host"),
            ({"assignment_ids": [assignment("header", "a b", "1")]}, "header name"),
            (
                {"condition_ids": [condition("payload.a", "matches", "(")]},
                "regular expression",
            ),
            (
                {"condition_ids": [condition("unlink", kind="delivery_field")]},
                "has no field",
            ),
        ):
            with self.refused(f"(?s)Decider.*{text}"):
                self.handler(rule)

    def test_a_rule_that_fails_names_itself(self):
        """An assignment without value stops the delivery and says where."""
        self.handler({"assignment_ids": [assignment("payload", "a", "{missing}")]})
        with self.refused(r'shop-orders.*rule "rule 1", assignment to "a".*{missing}'):
            self.handler_outcome()

    def test_archived_handler_stops(self):
        """An archived handler doesn't run, and nothing bypasses it."""
        self.handler({"result_status": "cancel"}).active = False
        with self.refused("archived", WebhookProcessingConfigurationError):
            self.handler_outcome()

    def test_code_is_unique_and_not_copied(self):
        """Codes are unique over companies; a copy gets its own, rules along."""
        handler = self.handler({"condition_ids": [condition("payload.x")]})
        copy = handler.copy()
        self.assertEqual("decider-copy", copy.code)
        self.assertEqual(
            "payload.x", copy.outbound_rule_ids.condition_ids.source_expression
        )

    def test_a_used_handler_is_not_deleted(self):
        """Deleting it would send what it held back."""
        handler = self.handler({"result_status": "cancel"})
        with self.refused("Shop orders uses it"):
            handler.unlink()
        self.endpoint.handler_id = False
        handler.unlink()

    def test_company_of_a_used_handler_is_kept(self):
        """A handler can't leave its endpoints to another company."""
        handler = self.handler()
        company = self.env["res.company"].create({"name": "Other"})
        with self.refused("Shop orders"):
            handler.company_id = company


@tagged("post_install", "-at_install")
class TestPythonHandlers(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("shop.backend")

    def python(self, method, model="shop.backend"):
        handler = self.env[HANDLER].create(
            {
                "name": "Python",
                "code": "python",
                "execution_mode": "python",
                "python_model_name": model,
                "python_method_name": method,
            }
        )
        self.endpoint.handler_id = handler
        return handler

    def test_marked_method_gets_delivery_and_request(self):
        """It decides on the request; the one-argument form works too."""
        handler = self.python("decide")
        outcome = self.handler_outcome(headers={"A": "1"})
        self.assertEqual({"A": "1", "X-Decided": "yes"}, outcome.request.headers)

        handler.python_method_name = "decide_alone"
        outcome = self.handler_outcome(name="Order")
        self.assertEqual(("cancel", "not Order"), (outcome.status, outcome.note))

    def test_unmarked_method_is_refused(self):
        """Anything its author didn't mark is refused when saved and when run."""
        for model, method, text in (
            ("shop.backend", "unmarked", "not a webhook callback"),
            ("shop.backend", "unlink", "not a webhook callback"),
            ("shop.backend", "missing", "not a webhook callback"),
            ("no.model", "decide", "doesn't exist"),
            ("shop.backend", False, "needs a model and a method"),
        ):
            with self.refused(text, WebhookProcessingConfigurationError):
                self.python(method, model)
        handler = self.python("decide")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_handler SET python_method_name = 'unmarked'"
        )
        handler.invalidate_recordset()
        with self.refused("not a webhook callback"):
            self.handler_outcome()

    def test_an_override_keeps_the_mark(self):
        """The mark is found along the method's MRO."""
        handler = self.python("decide")
        backend = type(self.env["shop.backend"])
        with patch.object(backend, "decide", lambda self, delivery, request: False):
            handler._check_python_method()
            self.assertEqual("cancel", self.handler_outcome().status)

    def test_nonsense_is_quoted(self):
        """What makes no sense becomes an error that quotes it."""
        self.python("decide")
        backend = type(self.env["shop.backend"])
        for raw, text in (
            ("yes", "returned 'yes'"),
            ({"status": "maybe"}, "'maybe'"),
            ({"request_body_mode": "xml"}, '"xml"'),
            ({"payload": {"a": {1}}}, "type set"),
        ):
            with patch.object(backend, "decide", lambda *args, raw=raw: raw):
                with self.refused(f"shop-orders.*{text}"):
                    self.handler_outcome()


class TestHooks(RequestCase):
    def test_precedence_of_headers(self):
        """Endpoint rules < handler < `_collect_extra_headers`, without case."""
        for name in ("X-A", "X-B", "X-C"):
            self.header(name, literal="rule")
        self.handler(
            {
                "assignment_ids": [
                    assignment("header", "x-b", "handler"),
                    assignment("header", "x-c", "handler"),
                ]
            }
        )
        with patch.object(
            type(self.env[DELIVERY]), "_collect_extra_headers", lambda self: {"X-C": 3}
        ):
            headers = self.handler_outcome().request.headers

        self.assertEqual({"X-A": "rule", "x-b": "handler", "X-C": "3"}, headers)

    def test_pre_dispatch_check_comes_before_the_handler(self):
        """A result dict ends it, None and a send let the handler decide."""
        self.handler({"result_status": "cancel"})
        delivery_class = type(self.env[DELIVERY])
        for raw, status in (
            ({"status": "done", "note": "x"}, "done"),
            (None, "cancel"),
            ({"status": "send", "headers": {"A": "1"}}, "cancel"),
            (False, "cancel"),
        ):
            with patch.object(
                delivery_class, "_pre_dispatch_check", lambda self, raw=raw: raw
            ):
                self.assertEqual(status, self.handler_outcome().status)

    def test_result_helpers(self):
        """The dicts that callbacks and gates return."""
        delivery = self.deliver()
        self.assertEqual({"status": "done"}, delivery.webhook_done())
        self.assertEqual(
            {"status": "retry", "note": "later", "seconds": 5},
            delivery.webhook_retry("later", seconds=5),
        )
        self.assertEqual("cancel", delivery.webhook_cancel("no")["status"])
        self.assertEqual("bad", delivery.webhook_dead_letter("bad")["note"])
        self.assertEqual(
            {"status": "send", "headers": {"A": "1"}},
            delivery._build_outbound_delivery_result("send", headers={"A": "1"}),
        )
