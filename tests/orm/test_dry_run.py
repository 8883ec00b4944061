# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A dry run tells which past deliveries would differ: exactly those, and how."""

import json
from datetime import timedelta

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form
from odoo.tests.common import new_test_user

from odoo.addons.bwt_webhooks_outbound.lane import job_sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models.content_retention import delete_content

from ..constants import (
    ADMINISTRATOR,
    CONDITION,
    DRY_RUN,
    ENDPOINT,
    HANDLER,
    HANDLER_RULE,
    HEADER_RULE,
    OPERATOR,
    PAYLOAD_RULE,
)
from .action_case import ServerActionCase
from .request_case import need_test_addon

RESULT = f"{DRY_RUN}.result"


class DryRunCase(ServerActionCase):
    """Deliveries that were sent, and a dry run of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contact = cls.env["res.partner"].create({"name": "Ada", "ref": "A-1"})

    def setUp(self):
        super().setUp()
        self.receiver.clear()

    def queue(self, payload=None, **options):
        return self.endpoint.queue_delivery(payload, **options)

    def make_endpoint(self, code, **vals):
        return self.env[ENDPOINT].create(
            {
                "name": code.title(),
                "code": code,
                "target_hostname": self.receiver.url,
                "target_path": f"/{code}",
                **vals,
            }
        )

    def row(self, record):
        """All columns of the record's row as they are in the database."""
        record.flush_recordset()
        self.env.cr.execute(
            f"SELECT * FROM {record._table} WHERE id = %s", (record.id,)
        )
        return self.env.cr.dictfetchone()

    def done(self, payload=None, **options):
        """A delivery that the receiver has accepted."""
        delivery = self.queue({"a": 1} if payload is None else payload, **options)
        delivery.process_delivery()
        self.assertEqual("done", delivery.state, delivery.processing_error)
        self.receiver.clear()
        return delivery

    def new(self, record=None, **vals):
        record = self.endpoint if record is None else record
        dry_run = self.env[DRY_RUN].browse(record.action_compare()["res_id"])
        dry_run.write(vals)
        return dry_run

    def work(self, dry_run):
        """Start it and run its job."""
        dry_run.action_start_dry_run()
        with self.enter_registry_test_mode():
            dry_run.run_dry_run()
        return dry_run

    def compare(self, record=None, **vals):
        dry_run = self.work(self.new(record, **vals))
        self.assertEqual("done", dry_run.state, dry_run.message)
        self.assertEqual([], self.receiver.requests)
        return dry_run

    def result(self, delivery, dry_run=None):
        dry_run = dry_run or self.compare()
        return dry_run.result_ids.filtered(lambda each: each.delivery_id == delivery)

    def verdicts(self, dry_run):
        return {each.delivery_id: each.verdict for each in dry_run.result_ids}

    def differences(self, result):
        """What differs, without the texts of the table."""
        return [tuple(each) for each in json.loads(result.differences_json or "[]")]

    def payload_rule(self, path, value, endpoint=None, **vals):
        return self.env[PAYLOAD_RULE].create(
            {
                "endpoint_id": (endpoint or self.endpoint).id,
                "target_path": path,
                "source_kind": "literal",
                "literal_value": value,
                **vals,
            }
        )

    def handler(self, status, **condition):
        """A handler whose only rule has this result if the payload has `stop`."""
        handler = self.env[HANDLER].create({"name": "Decide", "code": f"by-{status}"})
        rule = self.env[HANDLER_RULE].create(
            {"name": "Stop", "handler_id": handler.id, "result_status": status}
        )
        self.env[CONDITION].create(
            {
                "rule_id": rule.id,
                "source_kind": "request_field",
                "source_expression": "payload.stop",
                "operator": "is_set",
                **condition,
            }
        )
        return handler


class TestDryRun(DryRunCase):
    def test_unchanged(self):
        """What is made again for each request is no change: id, time, signature."""
        self.endpoint.write(
            {
                "signing_mode": "standard",
                "signing_secret_input": "whsec_"
                + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0",
                "auth_mode": "bearer",
                "auth_secret_input": "bearer-secret",
                "send_traceparent": True,
            }
        )
        self.env[HEADER_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": "X-Uid",
                "source_kind": "delivery_field",
                "source_expression": "message_uid",
            }
        )
        deliveries = [self.done({"n": n, "é": ["ß", None]}) for n in range(3)]

        dry_run = self.compare()

        self.assertEqual(dict.fromkeys(deliveries, "unchanged"), self.verdicts(dry_run))
        self.assertEqual(
            (3, 3, 3),
            (dry_run.total_count, dry_run.compared_count, dry_run.unchanged_count),
        )
        self.assertFalse(any(dry_run.result_ids.mapped("new_body")))

    def test_exactly_the_changed_ones(self):
        """A changed rule changes those that it applies to; each difference is right."""
        rule = self.payload_rule("kind", "order")
        same = self.done({"n": 1, "kind": "order"})
        rule.literal_value = "invoice"
        other = self.done({"n": 2})
        rule.write({"literal_value": "order"})

        dry_run = self.compare()

        self.assertEqual({same: "unchanged", other: "changed"}, self.verdicts(dry_run))
        result = self.result(other, dry_run)
        self.assertEqual(
            [("body", "kind", '"invoice"', '"order"')], self.differences(result)
        )
        self.assertEqual(1, result.difference_count)
        self.assertIn("Body kind", result.differences)
        self.assertEqual({"n": 2, "kind": "order"}, json.loads(result.new_body))
        self.assertEqual({"n": 2, "kind": "invoice"}, json.loads(result.old_body))

    def test_method_url_and_headers(self):
        delivery = self.done()
        self.endpoint.write({"http_method": "put", "target_path": "/new"})
        self.env[HEADER_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": "X-Kind",
                "source_kind": "literal",
                "literal_value": "order",
            }
        )

        result = self.result(delivery)

        self.assertEqual(
            [
                ("method", "", "POST", "PUT"),
                ("url", "", f"{self.receiver.url}/orders", f"{self.receiver.url}/new"),
                ("header", "X-Kind", None, "order"),
            ],
            self.differences(result),
        )
        self.assertEqual(("POST", "PUT"), (result.old_method, result.new_method))

    def test_decisions(self):
        """Each decision of a handler has its own result."""
        stopped, sent = self.done({"stop": 1}), self.done({"n": 1})
        for status in ("cancel", "done", "dead_letter", "retry"):
            with self.subTest(status):
                self.endpoint.handler_id = self.handler(status)
                dry_run = self.compare()
                self.assertEqual(
                    {stopped: status, sent: "unchanged"}, self.verdicts(dry_run)
                )
                self.assertEqual(1, dry_run[f"{status}_count"])
                self.assertIn("Stop", self.result(stopped, dry_run).message)

    def test_error(self):
        delivery = self.done({"n": 1})
        self.payload_rule(
            "x", False, source_kind="record_field", source_expression="name"
        )

        result = self.result(delivery)

        self.assertEqual("error", result.verdict)
        self.assertIn("has no record", result.message)

    def test_what_was_not_sent(self):
        """Canceled then and now is unchanged; sent now is a change."""
        self.endpoint.handler_id = self.handler("cancel")
        delivery = self.queue({"stop": 1})
        delivery.process_delivery()
        self.assertEqual("canceled", delivery.state)

        self.assertEqual("unchanged", self.result(delivery).verdict)
        self.endpoint.handler_id = False
        result = self.result(delivery)
        self.assertEqual("changed", result.verdict)
        self.assertIn("would be sent now", result.message)
        self.assertEqual({"stop": 1}, json.loads(result.new_body))

    def test_error_that_is_fixed(self):
        """A delivery that could not be built tells whether it could be now."""
        rule = self.payload_rule(
            "x", False, source_kind="record_field", source_expression="name"
        )
        delivery = self.queue({"n": 1})
        delivery.process_delivery()
        self.assertEqual("error", delivery.state)

        self.assertEqual("unchanged", self.result(delivery).verdict)
        rule.unlink()
        self.assertEqual("changed", self.result(delivery).verdict)

    def test_secrets(self):
        """A secret in a payload is masked, and a new one isn't a change."""
        secret = {"auth_mode": "api_key", "auth_secret_input": "first-secret"}
        self.endpoint.write(secret)
        delivery = self.done({"key": "first-secret", "n": 1})
        self.payload_rule("n", "2")

        result = self.result(delivery)

        self.assertEqual([("body", "n", "1", "2")], self.differences(result))
        texts = result.read()[0]
        self.assertNotIn("first-secret", str(texts))
        self.assertIn("***", result.new_body)

        self.endpoint.auth_secret_input = "second-secret"
        result = self.result(delivery)
        self.assertEqual([("body", "n", "1", "2")], self.differences(result))

    def test_values_made_again(self):
        """A value that differs from build to build is not told, others are."""
        need_test_addon(self.env, "shop.hazard")
        self.endpoint.handler_id = self.env[HANDLER].create(
            {
                "name": "Python",
                "code": "python",
                "execution_mode": "python",
                "python_model_name": "shop.hazard",
                "python_method_name": "decide",
            }
        )
        delivery = self.done({"do": ["stamp", None]})
        name = delivery.name
        self.assertEqual("unchanged", self.result(delivery).verdict)

        self.env[HEADER_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": "X-New",
                "source_kind": "literal",
                "literal_value": "1",
            }
        )
        result = self.result(delivery)
        self.assertEqual([("header", "X-New", None, "1")], self.differences(result))
        self.assertEqual(name, delivery.name)

    def test_deleted_record(self):
        self.payload_rule(
            "name", False, source_kind="record_field", source_expression="name"
        )
        delivery = self.done({"n": 1}, record=self.contact)
        self.contact.unlink()

        result = self.result(delivery)

        self.assertEqual("not_compared", result.verdict)
        self.assertIn("record was deleted", result.message)

    def test_deleted_record_that_nothing_reads(self):
        delivery = self.done({"n": 1}, record=self.contact)
        self.contact.unlink()

        self.assertEqual("unchanged", self.result(delivery).verdict)
        self.payload_rule("n", "2")
        self.assertEqual("changed", self.result(delivery).verdict)

    def test_deleted_content(self):
        delivery = self.done({"n": 1})
        delivery.flush_recordset()
        delete_content(self.env(su=True), delivery.ids, "retention", utcnow())

        result = self.result(delivery)

        self.assertEqual("not_compared", result.verdict)
        self.assertIn("content was deleted", result.message)

    def test_content_is_deleted_from_results(self):
        """What a dry run has stored goes with the content of its delivery."""
        delivery = self.done({"name": "Ada"})
        self.payload_rule("other", "x")
        result = self.result(delivery)
        self.assertIn("Ada", result.new_body)

        delete_content(self.env(su=True), delivery.ids, "forget", utcnow())

        row = self.row(result)
        self.assertNotIn("Ada", str(row))
        self.assertTrue(result.content_message)

    def test_created_at_the_receiver(self):
        """The request that created a record isn't one that updates it now."""
        self.endpoint.write(
            {
                "create_or_update": True,
                "update_method": "put",
                "update_path": "/orders/{external_id}",
            }
        )
        delivery = self.done({"n": 1}, record=self.contact)
        reference = self.env["bwt.webhook.outbound.external.ref"].create(
            {
                "external_id": "R-1",
                "reference_scope": self.endpoint.reference_scope,
                "res_model": "res.partner",
                "res_id": self.contact.id,
            }
        )
        # The transaction of this test began before the attempt.
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_external_ref SET create_date = %s "
            "WHERE id = %s",
            (utcnow(), reference.id),
        )

        result = self.result(delivery)
        self.assertEqual("unchanged", result.verdict, self.differences(result))

        update = self.done({"n": 2}, record=self.contact)
        verdicts = self.verdicts(self.compare())
        self.assertEqual({delivery: "unchanged", update: "unchanged"}, verdicts)

    def test_body_modes(self):
        """Forms, multipart and plain text are compared as well."""
        for mode, payload in (
            ("form_urlencoded", {"a": "1"}),
            ("multipart", {"a": "1"}),
            ("raw", "one\ntwo"),
        ):
            with self.subTest(mode):
                endpoint = self.make_endpoint(f"m-{mode[:4]}", request_body_mode=mode)
                delivery = endpoint.queue_delivery(
                    payload,
                    files=mode == "multipart"
                    and {"doc": ("a.txt", b"text", "text/plain")}
                    or None,
                )
                delivery.process_delivery()
                self.assertEqual("done", delivery.state, delivery.processing_error)
                self.receiver.clear()
                self.assertEqual(
                    "unchanged",
                    self.result(delivery, self.compare(endpoint)).verdict,
                )

    def test_large_body(self):
        """One that is too large to be compared by its values is compared as a whole."""
        delivery = self.done({"text": "x" * 300_000})
        self.assertEqual("unchanged", self.result(delivery).verdict)

        self.payload_rule("n", "2")
        result = self.result(delivery)

        self.assertEqual("changed", result.verdict)
        self.assertIn("too large", result.message)
        self.assertLess(len(result.new_body), 70_000)

    def test_selection(self):
        """The last ones, or a span; drafts and what waits are left out."""
        first, second, third = (self.done({"n": n}) for n in range(3))
        self.queue({"n": 9})
        first.queued_at = utcnow() - timedelta(days=2)

        self.assertEqual(
            {second, third}, set(self.verdicts(self.compare(limit_count=2)))
        )
        span = self.compare(
            selection="span",
            date_from=utcnow() - timedelta(days=3),
            date_to=utcnow() - timedelta(days=1),
        )
        self.assertEqual({first}, set(self.verdicts(span)))
        for count in (0, -1, 10_001):
            with self.subTest(count), self.refused("Enter 1 to"):
                self.new(limit_count=count)
        with self.refused("ends before it begins"):
            self.new(date_from=utcnow(), date_to=utcnow() - timedelta(days=1))

    def test_nothing_to_compare(self):
        dry_run = self.compare()

        self.assertIn("no such deliveries", dry_run.message)

    # Trial

    def test_trial(self):
        """A copy of endpoint and handler is changed and compared; nothing else is."""
        self.endpoint.handler_id = self.handler("cancel")
        self.payload_rule("kind", "order")
        stopped, sent = self.done({"n": 0}), self.done({"n": 1})
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "secret-1"})

        action = self.endpoint.action_duplicate_for_trial()
        dry_run = self.env[DRY_RUN].browse(action["res_id"])
        trial = dry_run.settings_id

        self.assertEqual("draft", trial.state)
        self.assertNotIn(trial.handler_id, (self.endpoint.handler_id, False))
        self.assertEqual(trial.payload_rule_ids.mapped("literal_value"), ["order"])
        self.work(dry_run)
        self.assertEqual(
            {stopped: "unchanged", sent: "unchanged"}, self.verdicts(dry_run)
        )
        trial.payload_rule_ids.literal_value = "invoice"
        self.work(dry_run)
        self.assertEqual({stopped: "changed", sent: "changed"}, self.verdicts(dry_run))
        self.assertEqual(
            [("body", "kind", '"order"', '"invoice"')],
            self.differences(self.result(sent, dry_run)),
        )
        self.assertEqual(
            {stopped: "unchanged", sent: "unchanged"}, self.verdicts(self.compare())
        )

    def test_handler_instead(self):
        """A handler is tried on the deliveries of an endpoint that uses another."""
        delivery = self.done({"stop": 1})
        handler = self.handler("dead_letter")

        with self.refused("no endpoint uses it"):
            handler.action_compare()
        dry_run = self.compare(handler_id=handler.id)

        self.assertEqual("dead_letter", self.result(delivery, dry_run).verdict)

    # Server action

    def compare_action(self, action):
        dry_run = self.env[DRY_RUN].browse(
            action.action_bwt_webhook_compare()["res_id"]
        )
        self.work(dry_run)
        self.assertEqual("done", dry_run.state, dry_run.message)
        return dry_run

    def test_action(self):
        """Payload and context lines are built again from the record."""
        action = self.action("name", "ref")
        action.bwt_webhook_context_ids = [
            Command.create(
                {
                    "usage": "context",
                    "target": "ref",
                    "source_kind": "record_field",
                    "source_expression": "ref",
                }
            )
        ]
        [delivery] = self.run_on(action, self.contact)
        delivery.process_delivery()

        self.assertEqual(
            "unchanged", self.result(delivery, self.compare_action(action)).verdict
        )
        self.contact.ref = "A-2"
        result = self.result(delivery, self.compare_action(action))
        self.assertEqual("changed", result.verdict)
        self.assertEqual(
            [("body", "ref", '"A-1"', '"A-2"'), ("context", "ref", "A-1", "A-2")],
            self.differences(result),
        )
        action.bwt_webhook_field_ids[0].source_expression = "city"
        paths = [
            each[1]
            for each in self.differences(
                self.result(delivery, self.compare_action(action))
            )
        ]
        self.assertEqual(["name", "ref", "city", "ref"], paths)

    def test_action_that_fails(self):
        """An error of one record concerns that one."""
        action = self.action("email_formatted")
        others = self.env["res.partner"].create([{"name": "B"}, {"name": "C"}])
        deliveries = self.run_on(action, self.contact | others)
        for delivery in deliveries:
            delivery.process_delivery()
        self.fail_to_compute(lambda each: each == self.contact)
        self.env.invalidate_all()

        dry_run = self.compare_action(action)

        self.assertEqual(
            ["error", "unchanged", "unchanged"],
            [self.verdicts(dry_run)[each] for each in deliveries],
        )
        self.assertIn("no address", self.result(deliveries[0], dry_run).message)

    def test_action_of_a_deleted_record(self):
        action = self.action("name")
        [delivery] = self.run_on(action, self.contact)
        delivery.process_delivery()
        self.contact.unlink()

        result = self.result(delivery, self.compare_action(action))

        self.assertEqual("not_compared", result.verdict)
        self.assertIn("record was deleted", result.message)

    def test_schedule(self):
        """The form of scheduled actions has the same button."""
        cron = self.env["ir.cron"].create(
            {
                "name": "Nightly",
                "model_id": self.model.id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
            }
        )

        action = cron.action_bwt_webhook_compare()

        dry_run = self.env[DRY_RUN].browse(action["res_id"])
        self.assertEqual(cron.ir_actions_server_id, dry_run.action_id)

    # Rights and lifecycle

    def test_rights(self):
        """Administrators start, operators read, in their companies."""
        delivery = self.done()
        dry_run = self.compare()
        operator = new_test_user(self.env, "dry-operator", OPERATOR)
        company = self.env["res.company"].create({"name": "Other"})
        other = new_test_user(
            self.env,
            "dry-other",
            ADMINISTRATOR,
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        result = self.result(delivery, dry_run)

        self.assertEqual("unchanged", result.with_user(operator).verdict)
        for user, method in ((operator, "action_start_dry_run"), (other, "read")):
            with self.subTest(method), self.assertRaises(AccessError):
                getattr(dry_run.with_user(user), method)()
        with self.assertRaises(AccessError):
            result.with_user(other).read(["new_body"])
        with self.assertRaises(AccessError):
            self.endpoint.with_user(other).action_compare()
        admin = new_test_user(self.env, "dry-admin", ADMINISTRATOR)
        theirs = self.make_endpoint("theirs", company_id=company.id)
        for vals, error in (
            ({"state": "done"}, AccessError),
            ({"user_id": 1}, AccessError),
            ({"endpoint_id": theirs.id}, AccessError),
            ({"settings_id": theirs.id}, UserError),
        ):
            with self.subTest(vals), self.assertRaises(error):
                with self.env.cr.savepoint():
                    dry_run.with_user(admin).write(vals)
        with self.assertRaises(AccessError):
            self.env[DRY_RUN].with_user(admin).create({"endpoint_id": theirs.id})

    def test_other_company(self):
        """Deliveries that who started it may not read are not compared."""
        company = self.env["res.company"].create({"name": "Other"})
        theirs = self.make_endpoint("theirs", company_id=company.id)
        theirs.queue_delivery({"n": 1}).process_delivery()
        dry_run = self.new(theirs)
        admin = new_test_user(self.env, "dry-admin", ADMINISTRATOR)
        dry_run.sudo()._start(admin, admin.company_id)

        with self.enter_registry_test_mode():
            dry_run.run_dry_run()

        self.assertEqual(0, dry_run.total_count)

    def test_last_one_is_kept(self):
        """A dry run replaces earlier ones of its endpoint; each ends after a week."""
        self.done()
        first = self.compare()
        second = self.compare()

        self.assertFalse(first.exists())
        self.assertEqual(1, len(second.result_ids))
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_dry_run SET create_date = create_date - "
            "interval '8 days' WHERE id = %s",
            (second.id,),
        )
        self.env.invalidate_all()
        self.env[DRY_RUN]._gc_dry_runs()
        self.assertFalse(second.exists())
        self.assertFalse(self.env[RESULT].search([("dry_run_id", "=", second.id)]))

    def test_buttons(self):
        """Lists show what a count says, and one at work can't be changed or deleted."""
        delivery = self.done({"stop": 1})
        self.endpoint.handler_id = self.handler("cancel")
        dry_run = self.compare()

        action = dry_run.action_view_cancel()
        found = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(delivery, found.delivery_id)
        self.assertEqual(delivery.id, found.action_view_delivery()["res_id"])
        dry_run.action_start_dry_run()
        admin = new_test_user(self.env, "dry-admin", ADMINISTRATOR)
        with self.refused("at work"):
            dry_run.with_user(admin).write({"limit_count": 5})
        with self.refused("at work"):
            dry_run.unlink()
        with self.refused("Use the buttons"):
            dry_run.action_start_dry_run()
        other = self.new()
        with self.refused("at work"):
            other.action_start_dry_run()
        dry_run.action_cancel_dry_run()
        with self.enter_registry_test_mode():
            self.assertIn("nothing to do", dry_run.run_dry_run())
        self.assertEqual("canceled", dry_run.state)
        with self.refused("can't be duplicated"):
            dry_run.copy()
        self.assertTrue(Form(dry_run).name)

    def test_job(self):
        """It has a channel of its own; one whose job is gone gets another."""
        self.done()
        dry_run = self.new()
        dry_run.action_start_dry_run()
        jobs = self.env["queue.job"].search(
            [("identity_key", "=", job_sql.dry_run_key(dry_run.id))]
        )
        self.assertEqual(["root.webhooks.dry_runs"], jobs.mapped("channel"))
        jobs.unlink()

        self.env[DRY_RUN]._wake_interrupted()
        self.env[DRY_RUN]._wake_interrupted()

        jobs = self.env["queue.job"].search(
            [("identity_key", "=", job_sql.dry_run_key(dry_run.id))]
        )
        self.assertEqual(1, len(jobs))

    def test_interrupted(self):
        """A second start of the job reads as: the worker ended."""
        self.done()
        dry_run = self.new()
        dry_run.action_start_dry_run()
        dry_run.sudo().write({"state": "running", "total_count": 7})

        with self.enter_registry_test_mode():
            dry_run.run_dry_run()

        self.assertEqual("failed", dry_run.state)
        self.assertIn("worker ended after 0 of 7", dry_run.message)
        self.work(dry_run)
        self.assertEqual("done", dry_run.state)
