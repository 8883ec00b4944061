# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The dialog Send Test."""

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from odoo.addons.queue_job.jobrunner.runner import PG_ADVISORY_LOCK_ID

from ..constants import DELIVERY, SEND_TEST
from ..receiver import status
from .trust_case import TrustCase


@tagged("any_database")
class TestSendTest(TrustCase):
    def opened(self, user=None, **values):
        """The dialog as the endpoint's button opens it."""
        action = self.endpoint.action_send_test()
        tests = self.env[SEND_TEST].with_context(**action["context"])
        return tests.with_user(user or self.env.user).create(values)

    def test_what_is_shown_is_what_is_sent(self):
        """Method, URL, each header and the body are the same bytes, id included."""
        self.endpoint.target_path = "/orders/{order_id}"
        self.header("X-Shop", literal="s1")
        self.rule("shop", literal="s1")
        test = self.opened(
            payload_json='{"a": 1}',
            line_ids=[Command.create({"key_name": "order_id", "literal_value": "S 7"})],
        )

        test.action_preview()
        shown = (test.request_line, test.request_headers, test.request_body)
        self.assertEqual(0, self.receiver.total, "looking sends nothing")
        test.action_send()

        request = self.receiver.wait_for_requests(1)[-1]
        self.assertEqual(f"POST {self.receiver.url}/orders/S%207", shown[0])
        for line in shown[1].splitlines():
            name, value = line.split(": ", 1)
            with self.subTest(name):
                self.assertEqual(value, request.header(name))
        self.assertEqual(shown[2].encode(), request.body)
        self.assertEqual("done", test.delivery_state)
        self.assertEqual(200, test.response_status)
        self.assertIn("the target responded with 200", test.status_message)

    def test_a_preview_stores_nothing(self):
        """No delivery, no message, no line remains of a preview."""
        before = self.env[DELIVERY].search_count([])
        test = self.opened()

        test.action_preview()
        test.action_preview()

        self.assertEqual(before, self.env[DELIVERY].search_count([]))
        self.assertEqual("request", test.step)

    def test_secrets_are_masked(self):
        """Neither the credential nor a secret in the payload is shown."""
        self.endpoint.write(
            {"auth_mode": "bearer", "auth_secret_input": "t0ken-secret"}
        )
        test = self.opened(payload_json='{"echo": "t0ken-secret"}')

        test.action_preview()

        self.assertIn("Authorization: ***", test.request_headers)
        for shown in (test.request_line, test.request_headers, test.request_body):
            self.assertNotIn("t0ken-secret", shown)

    def test_an_address_that_is_not_allowed_is_shown_before(self):
        """An address that is refused is named before anything is tried."""
        test = self.opened()
        test.action_preview()
        self.assertTrue(test.is_allowed)
        self.assertIn("Requests to 127.0.0.1 are allowed.", test.egress_check)

        self.endpoint.target_hostname = "http://169.254.169.254"
        test.action_back()
        test.action_preview()

        self.assertFalse(test.is_allowed)
        self.assertIn("metadata service of a cloud", test.egress_check)

    def test_what_cannot_be_built_says_why(self):
        """A token without a value is named, and nothing can be sent."""
        self.endpoint.target_path = "/orders/{order_id}"
        test = self.opened(line_ids=[Command.clear()])

        test.action_preview()

        self.assertIn("order_id", test.outcome)
        self.assertFalse(test.request_line)

    def test_a_handlers_decision_is_shown(self):
        """What a handler would stop is said; what it wrote is undone."""
        self.handler({"result_status": "cancel", "note": "closed today"})
        test = self.opened()

        test.action_preview()

        self.assertRegex(
            test.outcome,
            'No request would be sent: the rule ".+" of the handler decides Cancel',
        )

    def test_it_opens_with_the_keys_that_are_needed(self):
        """Path and rules name keys; the last delivery has their values."""
        self.endpoint.target_path = "/orders/{order_id}"
        self.rule("lang", "context_key", "locale")
        self.deliver(context_lines={"order_id": "S7"})

        lines = self.opened().line_ids

        self.assertEqual(["order_id", "locale"], lines.mapped("key_name"))
        self.assertEqual(["S7", False], lines.mapped("literal_value"))

    def test_a_past_delivery_is_a_start(self):
        """Payload, headers, lines, record and files are copied."""
        past = self.deliver(
            {"n": 5},
            {"k": "v"},
            headers={"X-A": "1"},
            record=self.partner,
            files={"doc": {"filename": "a.txt", "content": b"x"}},
        )
        form = Form(
            self.env[SEND_TEST].with_context(default_endpoint_id=self.endpoint.id)
        )
        form.source_delivery_id = past
        test = form.save()

        test.action_preview()
        test.action_send()

        sent = test.delivery_id
        self.assertEqual(past.payload_json, sent.payload_json)
        self.assertEqual(past.request_headers_json, sent.request_headers_json)
        self.assertEqual(
            [("k", "v")],
            [(x.key_name, x.literal_value) for x in sent.context_line_ids],
        )
        self.assertEqual(
            ("res.partner", self.partner.id), (sent.res_model, sent.res_id)
        )
        self.assertEqual(
            1,
            self.env["ir.attachment"].search_count(
                [("res_model", "=", DELIVERY), ("res_id", "=", sent.id)]
            ),
        )
        self.assertNotEqual(past.message_uid, sent.message_uid)

    def test_a_failure_is_shown_and_not_retried(self):
        """The response of a failing target is shown; a test isn't retried for a day."""
        self.receiver.script("/orders", status(503, b"maintenance"))
        test = self.opened()
        test.action_preview()
        test.action_send()

        self.assertEqual(
            (503, "maintenance"), (test.response_status, test.response_body)
        )
        self.assertEqual("error", test.delivery_state)
        test.action_stop_retries()
        test.invalidate_recordset()  # the dialog reads it again
        self.assertEqual("canceled", test.delivery_state)

    def test_what_was_stored_is_shown(self):
        """The response page names the stored values, or says that there are none.

        A user who sets up write-back would have to open the record after each test.
        """
        partner = self.env["res.partner"].create({"name": "Ada"})
        self.endpoint.answer_value_ids = [
            Command.create(
                {
                    "source_expression": "id",
                    "target_model": "res.partner",
                    "target_field": "ref",
                }
            ),
            Command.create({"source_expression": "uid", "target_kind": "external_id"}),
        ]
        body = b'{"id": "R-1", "uid": "u7"}'
        self.receiver.script(
            "/orders", status(200, body), status(200, body), status(503, body)
        )
        test = self.opened(record_ref=f"res.partner,{partner.id}")
        shown = []
        for _number in range(3):
            test.action_preview()
            test.action_send()
            shown.append(test.stored_values)
            test.action_back()

        self.assertEqual("Reference: R-1\nExternal ID: u7", shown[0])
        for text in shown[1:]:
            self.assertIn("Nothing was stored. No response value applies", text)

    def test_what_could_not_be_stored_is_shown(self):
        """Without a record nothing is stored, and the reason is above."""
        self.endpoint.answer_value_ids = [
            Command.create({"source_expression": "uid", "target_kind": "external_id"})
        ]
        self.receiver.script("/orders", status(200, b'{"uid": "u7"}'))
        test = self.opened()
        test.action_preview()
        test.action_send()

        self.assertEqual(
            "Nothing was stored. The reason is shown above.", test.stored_values
        )
        self.assertIn("about no record", test.status_message)

    def test_another_test_has_another_id(self):
        """The receiver would drop a second one with the same id."""
        test = self.opened()
        test.action_preview()
        test.action_send()
        with self.refused("Preview the request first"):
            test.action_send()
        test.action_back()
        test.action_preview()
        test.action_send()

        first, second = self.receiver.wait_for_requests(2)
        self.assertNotEqual(first.webhook_id, second.webhook_id)

    def test_a_draft_endpoint_may_be_previewed_only(self):
        """The request can be tried out before the endpoint is active."""
        self.endpoint.state = "draft"
        test = self.opened()
        test.action_preview()
        self.assertTrue(test.request_line)

        with self.refused("accepts no deliveries. Activate it first"):
            test.action_send()

    def test_bad_json_is_refused(self):
        """The text is named as what it is."""
        with self.refused("the payload is not valid JSON"):
            self.opened(payload_json="{")

    def test_operators_send_no_tests(self):
        """Who may not change what is sent may not send what they like."""
        with self.assertRaises(AccessError):
            self.opened(self.user("operator"))

    def test_a_record_must_be_readable(self):
        """A rule reads it as superuser: a user who names it must have access."""
        administrator = self.user("administrator")
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.partner.company_id = elsewhere
        test = self.opened(administrator, record_ref=f"res.partner,{self.partner.id}")

        with self.assertRaises(AccessError):
            test.action_preview()

    def test_what_serves_odoo_itself_is_not_offered(self):
        """A choice of 130 models is none; the start's record is taken all the same."""
        offered = dict(self.env[SEND_TEST]._selection_record_model())
        parameter = self.env["ir.config_parameter"].search([], limit=1)
        past = self.deliver(record=parameter)
        form = Form(
            self.env[SEND_TEST].with_context(default_endpoint_id=self.endpoint.id)
        )
        form.source_delivery_id = past
        test = form.save()

        test.action_preview()
        test.action_send()

        self.assertIn("res.partner", offered)
        for model in ("ir.config_parameter", "queue.job", DELIVERY, "mail.message"):
            self.assertNotIn(model, offered)
        self.assertFalse(test.record_ref)
        self.assertEqual("ir.config_parameter", test.delivery_id.res_model)
        self.assertEqual(parameter.id, test.delivery_id.res_id)

    def test_a_name_that_does_not_resolve_now_is_no_refusal(self):
        """Its delivery is tried again, so the dialog doesn't say that it is refused."""
        self.endpoint.target_hostname = "https://nowhere.invalid"
        test = self.opened()

        test.action_preview()

        self.assertRegex(
            test.egress_check,
            r'^The name "nowhere.invalid" .* would be retried on the schedule\.$',
        )
        self.assertTrue(test.is_unresolved)
        self.endpoint.retry_schedule = False
        test.action_back()
        test.action_preview()
        self.assertRegex(test.egress_check, "would be dead-lettered")

    def test_it_says_that_no_job_runner_works(self):
        """A green test isn't taken for a queue that moves: nothing else is sent."""
        test = self.opened()
        self.assertRegex(test.runner_warning, "No job runner works.*server_wide_mod")

        with self.registry.cursor() as cr:  # what the runner holds while it works
            cr.execute("SELECT pg_try_advisory_lock(%s)", (PG_ADVISORY_LOCK_ID,))
            test.invalidate_recordset()
            self.assertFalse(test.runner_warning)
            cr.execute("SELECT pg_advisory_unlock(%s)", (PG_ADVISORY_LOCK_ID,))
        test = test.with_context(queue_job__no_delay=True)
        self.assertFalse(test.runner_warning)
