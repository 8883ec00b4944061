# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A retry sends the body of the attempt before, unless it has to be another."""

import hashlib
import hmac
from unittest.mock import patch

from odoo import Command

from odoo.addons.bwt_webhooks_outbound.lane import sent_before

from ..constants import HANDLER, HANDLER_RULE, HEADER_RULE, PAYLOAD_RULE
from ..receiver import status
from .answer_case import AnswerCase
from .common import CommittedCase

SECRET = "a-signing-secret-of-the-shop"


class TestRepetition(AnswerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rule = cls.env[PAYLOAD_RULE].create(
            {
                "endpoint_id": cls.endpoint.id,
                "target_path": "name",
                "source_kind": "record_field",
                "source_expression": "name",
            }
        )

    def setUp(self):
        super().setUp()
        self.receiver.script("/orders", status(503), status(503), status(200))

    def fail(self, **options):
        """A delivery about the partner whose first attempt has failed."""
        return self.send(**options)

    def retry(self, delivery):
        """The next attempt, after the record has changed."""
        self.partner.name = "Eve"
        delivery.process_delivery()
        return self.bodies()

    def bodies(self):
        return [each.body for each in self.receiver.requests]

    def assert_repeated(self, bodies):
        self.assertEqual(bodies[0], bodies[1])

    def assert_built_again(self, bodies):
        self.assertIn(b"Ada", bodies[0])
        self.assertNotIn(b"Ada", bodies[1])
        self.assertIn(b"Eve", bodies[1])

    def test_same_bytes_and_message_id(self):
        """The record changed between the attempts: the receiver sees one message."""
        delivery = self.fail()
        self.retry(delivery)
        self.partner.name = "Zoe"
        delivery.process_delivery()

        self.assertEqual([b'{"name": "Ada"}'] * 3, self.bodies())
        self.assertEqual(
            {delivery.message_uid},
            {each.webhook_id for each in self.receiver.requests},
        )
        self.assertEqual(3, len(delivery.attempt_ids))
        self.assertEqual(
            {'{"name": "Ada"}'}, set(delivery.attempt_ids.mapped("payload_json"))
        )
        self.assertEqual("done", delivery.state)

    def test_another_delivery_has_the_new_values(self):
        """Only attempts of one delivery share a body."""
        self.retry(self.fail())
        self.send()

        self.assertEqual(b'{"name": "Eve"}', self.bodies()[-1])

    def test_changed_configuration(self):
        """Each change of what shapes requests: the retry is built with it."""
        handler = self.env[HANDLER].create(
            {
                "name": "Notes",
                "code": "notes",
                "outbound_rule_ids": [Command.create({"name": "all"})],
            }
        )
        rule = handler.outbound_rule_ids
        self.endpoint.handler_id = handler
        header = {"header_name": "X-Shop", "literal_value": "1"}
        assignment = {"target_expression": "note", "literal_value": "n"}
        condition = {"source_expression": "name", "operator": "is_set"}
        for change in (
            lambda: self.endpoint.write({"target_path": "/orders?v=2"}),
            lambda: self.rule.write({"target_path": "title"}),
            lambda: self.endpoint.write({"header_rule_ids": [Command.create(header)]}),
            lambda: self.endpoint.header_rule_ids.write({"literal_value": "2"}),
            lambda: self.endpoint.header_rule_ids.unlink(),
            lambda: rule.write({"note": "seen"}),
            lambda: rule.write({"assignment_ids": [Command.create(assignment)]}),
            lambda: rule.write({"condition_ids": [Command.create(condition)]}),
            lambda: rule.assignment_ids.unlink(),
            lambda: rule.unlink(),
            lambda: self.condition("retry", statuses="409"),
            lambda: self.endpoint.answer_rule_ids.unlink(),
            lambda: self.value(),
            lambda: handler.action_archive() or handler.action_unarchive(),
            lambda: self.endpoint.write({"handler_id": False}),
            lambda: self.endpoint.write({"empty_value": "false"}),
        ):
            self.receiver.clear()
            self.receiver.script("/orders", status(503))
            self.partner.name = "Ada"
            delivery = self.fail()
            before = self.endpoint.config_version
            change()
            self.assertGreater(self.endpoint.config_version, before)
            self.assert_built_again(self.retry(delivery))
            versions = delivery.attempt_ids.mapped("config_version")
            self.assertEqual([self.endpoint.config_version, before], versions)

    def test_settings_that_shape_nothing(self):
        """A longer schedule or a note is no reason to send another body."""
        delivery = self.fail()
        self.endpoint.write({"retry_schedule": "1h,2h", "note": "x", "name": "Shop"})

        self.assert_repeated(self.retry(delivery))

    def test_edited_by_a_user(self):
        """Payload, headers and context lines: what a user has changed is sent."""
        line = {"key_name": "a", "literal_value": "1"}
        for edit in (
            lambda delivery: delivery.write({"payload_json": '{"a": 2}'}),
            lambda delivery: delivery.write({"request_headers_json": '{"X-A": "1"}'}),
            lambda delivery: delivery.write(
                {"context_line_ids": [Command.create(line)]}
            ),
            lambda delivery: delivery.context_line_ids.write({"literal_value": "7"}),
            lambda delivery: delivery.context_line_ids.unlink(),
        ):
            self.receiver.clear()
            self.receiver.script("/orders", status(503))
            self.partner.name = "Ada"
            delivery = self.fail(context_lines={"k": "v"})
            edit(delivery)
            self.assert_built_again(self.retry(delivery))
            self.partner.name = "Ada"
            delivery.process_delivery()
            self.assertEqual(self.bodies()[1], self.bodies()[2])

    def test_reset_to_draft(self):
        """Whoever takes it back to draft has it built from the record again."""
        delivery = self.fail()
        delivery.action_reset_to_draft()

        self.assert_built_again(self.retry(delivery))

    def test_edit_of_a_new_delivery(self):
        """Nothing to note before the first attempt."""
        delivery = self.queue({}, record=self.partner)
        delivery.payload_json = '{"a": 1}'

        self.assertEqual(0, delivery.edited_at_attempt)

    def test_rebuild_for_each_attempt(self):
        """Chosen on the endpoint: the current values are sent."""
        self.endpoint.rebuild_each_attempt = True

        self.assert_built_again(self.retry(self.fail()))

    def test_retried_after_a_refusal(self):
        """Retry Now on a body that the receiver refused sends the corrected record."""
        self.receiver.script("/orders", status(422), status(200))
        delivery = self.fail()
        self.assertEqual("dead_letter", delivery.state)
        delivery.action_retry_now()

        self.assert_built_again(self.retry(delivery))

    def test_retried_after_all_delays(self):
        """The receiver may have processed it before it stopped responding."""
        self.endpoint.retry_schedule = False
        delivery = self.fail()
        self.assertEqual("dead_letter", delivery.state)
        delivery.action_retry_now()

        self.assert_repeated(self.retry(delivery))

    def test_create_that_became_an_update(self):
        """The record got its ID meanwhile: no second POST."""
        self.upsert()
        delivery = self.fail()
        self.endpoint._set_external_ref(self.partner, "R-77")

        self.assert_built_again(self.retry(delivery))
        self.assertEqual([("POST", "/orders"), ("PUT", "/orders/R-77")], self.arrived())

    def test_another_url(self):
        """A path with a value of the record: the body belongs to its URL."""
        self.endpoint.target_path = "/orders?n={k}"
        delivery = self.fail(
            context_lines=[
                {
                    "key_name": "k",
                    "source_kind": "record_field",
                    "source_expression": "name",
                }
            ]
        )

        self.assert_built_again(self.retry(delivery))

    def test_secret_in_the_url(self):
        """The URL is stored masked, and is still recognized."""
        self.endpoint.target_path = "/orders?token={k}"
        delivery = self.fail(context_lines={"k": "s3cret-token"})

        self.assert_repeated(self.retry(delivery))
        self.assertIn("s3cret-token", self.receiver.requests[1].path)

    def test_charset(self):
        """XML in Latin-1: the same bytes, under the same Content-Type."""
        self.rule.unlink()
        self.endpoint.write(
            {
                "request_body_mode": "raw",
                "body_template": '<o n="ü"><t t-out="record.name"/></o>',
                "header_rule_ids": [
                    Command.create(
                        {
                            "header_name": "Content-Type",
                            "literal_value": "text/xml; charset=iso-8859-1",
                        }
                    )
                ],
            }
        )
        bodies = self.retry(self.fail())

        self.assert_repeated(bodies)
        self.assertIn("ü".encode("latin-1"), bodies[1])
        first, second = self.receiver.requests
        self.assertEqual("text/xml; charset=iso-8859-1", second.header("Content-Type"))
        self.assertEqual(
            first.header("Content-Length"), second.header("Content-Length")
        )

    def test_form_and_csv(self):
        """They are made of the stored payload again."""
        for mode in ("form_urlencoded", "csv"):
            self.receiver.clear()
            self.receiver.script("/orders", status(503))
            self.partner.name = "Ada"
            self.rule.target_path = "*.name" if mode == "csv" else "name"
            if mode == "csv":
                self.rule.write(
                    {
                        "source_kind": "record_field",
                        "source_expression": "child_ids.*.name",
                    }
                )
                self.env["res.partner"].create(
                    {"name": "Çe, 1", "parent_id": self.partner.id}
                )
            self.endpoint.request_body_mode = mode
            delivery = self.fail()
            self.partner.child_ids.name = "other"

            bodies = self.retry(delivery)
            self.assert_repeated(bodies)
            kinds = {each.header("Content-Type") for each in self.receiver.requests}
            self.assertEqual(1, len(kinds))

    def test_multipart(self):
        """Files and fields: the same bytes, the boundary included."""
        self.endpoint.request_body_mode = "multipart"
        files = {"doc": {"filename": "a.txt", "content": b"x"}}
        bodies = self.retry(self.fail(files=files))

        self.assertIn(b"Ada", bodies[0])
        self.assert_repeated(bodies)

    def test_masked_body(self):
        """What is stored isn't what was sent: it is built again."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "t0ken-77"})
        delivery = self.fail(payload={"key": "t0ken-77"})
        self.assertIn("***", delivery.attempt_ids.payload_json)

        bodies = self.retry(delivery)
        self.assert_built_again(bodies)
        self.assertIn(b"t0ken-77", bodies[1])

    def test_large_body(self):
        """It isn't read for a whole batch, but when it is needed."""
        delivery = self.fail(payload={"text": "x" * sent_before.AT_ONCE})

        self.assert_repeated(self.retry(delivery))

    def test_signature_and_headers_are_new(self):
        """Headers are those of now; the signature is valid over the old bytes."""
        self.endpoint.write({"signing_mode": "hmac", "signing_secret_input": SECRET})
        self.env[HEADER_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "header_name": "X-Name",
                "source_kind": "record_field",
                "source_expression": "name",
            }
        )
        self.assert_repeated(self.retry(self.fail()))

        for request, name in zip(self.receiver.requests, ("Ada", "Eve"), strict=True):
            digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
            signature = request.header("X-Hub-Signature-256")
            self.assertEqual(f"sha256={digest}", signature)
            self.assertEqual(name, request.header("X-Name"))

    def test_new_secret(self):
        """A rotated secret signs the old bytes."""
        self.endpoint.write({"signing_mode": "hmac", "signing_secret_input": SECRET})
        delivery = self.fail()
        self.endpoint.signing_secret_input = SECRET[::-1]
        self.assert_repeated(self.retry(delivery))

        request = self.receiver.requests[1]
        digest = hmac.new(SECRET[::-1].encode(), request.body, "sha256").hexdigest()
        self.assertEqual(f"sha256={digest}", request.header("X-Hub-Signature-256"))

    def test_decisions_count(self):
        """Handler and hooks are called again and may end the delivery."""
        self.endpoint.handler_id = self.env[HANDLER].create(
            {
                "name": "Gate",
                "code": "gate",
                "outbound_rule_ids": [
                    Command.create(
                        {
                            "name": "no Eve",
                            "result_status": "cancel",
                            "condition_ids": [
                                Command.create(
                                    {
                                        "source_kind": "request_field",
                                        "source_expression": "payload.name",
                                        "operator": "equals",
                                        "expected_value": "Eve",
                                    }
                                )
                            ],
                        }
                    )
                ],
            }
        )
        delivery = self.fail()

        self.assertEqual(1, len(self.retry(delivery)))
        self.assertEqual("canceled", delivery.state)

    def retry_without_record(self, delivery):
        """The next attempt, after the record was deleted."""
        self.partner.unlink()
        delivery.process_delivery()
        return self.bodies()

    def test_record_deleted_before_a_retry(self):
        """The receiver gets the message that it may have got; no record is needed.

        Otherwise a deletion during an outage loses the last state of the record.
        """
        self.env[HEADER_RULE].create(
            [
                {
                    "endpoint_id": self.endpoint.id,
                    "header_name": "X-Name",
                    "source_kind": "record_field",
                    "source_expression": "name",
                },
                {
                    "endpoint_id": self.endpoint.id,
                    "header_name": "X-Api-Key",
                    "literal_value": "key-77",
                },
            ]
        )
        self.endpoint.write(
            {
                "auth_mode": "bearer",
                "auth_secret_input": "t0ken-77",
                "signing_mode": "hmac",
                "signing_secret_input": SECRET,
            }
        )
        delivery = self.fail()

        self.assert_repeated(self.retry_without_record(delivery))
        first, second = self.receiver.requests
        for name in (
            *("X-Name", "X-Api-Key", "Authorization", "Content-Type"),
            *("X-Hub-Signature-256", "webhook-id"),
        ):
            self.assertTrue(second.header(name))
            self.assertEqual(first.header(name), second.header(name))
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)
        self.assertEqual(3, len(self.receiver.requests))

    def test_record_deleted_and_secret_in_the_url(self):
        """The URL was stored masked; it is built again where it needs no record."""
        self.endpoint.target_path = "/orders?token={k}"
        delivery = self.fail(context_lines={"k": "s3cret-token"})

        self.assert_repeated(self.retry_without_record(delivery))
        self.assertIn("s3cret-token", self.receiver.requests[1].path)

    def test_record_deleted_and_masked_body(self):
        """What was sent isn't known: Error, and nothing else is sent."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "t0ken-77"})
        delivery = self.fail(payload={"key": "t0ken-77"})

        self.assertEqual(1, len(self.retry_without_record(delivery)))
        self.assertEqual("error", delivery.state)
        self.assertIn("was deleted", delivery.processing_error)

    def test_record_deleted_with_template_and_handler(self):
        """Neither a template nor the handler runs for a request that they made."""
        self.rule.unlink()
        condition = {
            "source_kind": "record_field",
            "source_expression": "name",
            "operator": "is_set",
        }
        assignment = {
            "target_scope": "header",
            "target_expression": "X-Handled",
            "source_kind": "record_field",
            "source_expression": "name",
        }
        rule = {
            "name": "named",
            "result_status": "mutate",
            "condition_ids": [Command.create(condition)],
            "assignment_ids": [Command.create(assignment)],
        }
        handler = self.env[HANDLER].create(
            {
                "name": "Named",
                "code": "named",
                "outbound_rule_ids": [Command.create(rule)],
            }
        )
        self.endpoint.write(
            {
                "handler_id": handler.id,
                "request_body_mode": "raw",
                "body_template": '<o><t t-out="record.name"/></o>',
            }
        )

        self.assert_repeated(self.retry_without_record(self.fail()))
        self.assertEqual("Ada", self.receiver.requests[1].header("X-Handled"))

    def test_record_deleted_before_the_first_attempt(self):
        """It isn't lost: the message names record and rule, and what can be done."""
        delivery = self.queue({"a": 1}, record=self.partner)
        partner_id = self.partner.id
        self.partner.unlink()
        delivery.process_delivery()

        self.assertEqual("error", delivery.state)
        self.assertFalse(delivery.next_attempt_at)
        for part in (
            f"(res.partner, {partner_id}) was deleted",
            'payload rule "name"',
            "Cancel the delivery",
            "Retry Now",
        ):
            self.assertIn(part, delivery.processing_error)
        self.rule.unlink()
        delivery.action_retry_now()
        delivery.process_delivery()
        self.assertEqual(b'{"a": 1}', self.bodies()[0])

    def test_attempts_without_a_request(self):
        """A retry that a handler requests has no body to be repeated."""
        rule = {"name": "later", "result_status": "retry", "retry_seconds": 0}
        handler = self.env[HANDLER].create(
            {
                "name": "Later",
                "code": "later",
                "outbound_rule_ids": [Command.create(rule)],
            }
        )
        self.endpoint.handler_id = handler
        delivery = self.fail()
        self.assertEqual([], self.bodies())
        self.assertFalse(delivery.attempt_ids.body_hash)
        self.env[HANDLER_RULE].search([("handler_id", "=", handler.id)]).unlink()

        self.retry(delivery)
        self.assertEqual([b'{"name": "Eve"}'], self.bodies())

    def test_first_attempts_pay_nothing(self):
        """No query if nothing in the batch was attempted before."""
        with patch.object(
            sent_before.sql, "sent_requests", wraps=sent_before.sql.sent_requests
        ) as read:
            self.fail()
        read.assert_not_called()


class TestRepetitionInLanes(CommittedCase):
    def test_many_retries_in_one_batch(self):
        """One query for the batch; each delivery repeats its own body."""
        with self.transaction() as env:
            partners = env["res.partner"].create(
                [{"name": f"partner {number}"} for number in range(5)]
            )
            env[PAYLOAD_RULE].create(
                {
                    "endpoint_id": self.endpoint_id,
                    "target_path": "name",
                    "source_kind": "record_field",
                    "source_expression": "name",
                }
            )
            ids = (
                self.endpoint(env)
                .queue_deliveries([{"record": each} for each in partners])
                .ids
            )
        self.receiver.script("/in", status(503))
        self.run_lane()
        self.receiver.script("/in", status(200))
        with self.transaction() as env:
            env["res.partner"].browse(partners.ids).name = "other"
        self.make_due(ids)
        counted = patch.object(
            sent_before.sql, "sent_requests", wraps=sent_before.sql.sent_requests
        )
        with counted as read:
            self.run_lane()

        self.assertEqual(["done"] * 5, self.states(ids))
        self.assertEqual(1, read.call_count)
        bodies = {}
        for request in self.receiver.requests:
            bodies.setdefault(request.webhook_id, []).append(request.body)
        self.assertEqual(5, len({first for first, _second in bodies.values()}))
        for first, second in bodies.values():
            self.assertEqual(first, second)
        with self.transaction() as env:
            env["res.partner"].browse(partners.ids).unlink()
