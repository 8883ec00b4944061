# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an attempt and its delivery have in common is stored once, and read as ever."""

import json
from random import Random
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from odoo.addons.bwt_webhooks_outbound.lane import sent_before, sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import dry_run_build

from ..constants import (
    ADMINISTRATOR,
    ATTEMPT,
    DELIVERY,
    HANDLER,
    OPERATOR,
    PAYLOAD_RULE,
)
from ..receiver import close, status
from .common import OutboundCase
from .content_case import EMAIL, ContentCase

SHARED = ("payload_json", "response_headers_json", "response_body")


@tagged("post_install", "-at_install")
class TestContentOnce(OutboundCase):
    def answer(self, *responses):
        """Script the target: (status, body) pairs."""
        script = [status(code, body.encode()) for code, body in responses]
        self.receiver.script("/orders", *script)

    def send(self, payload=None, **options):
        payload = {"n": 4711} if payload is None else payload
        delivery = self.queue(payload, **options)
        delivery.process_delivery()
        return delivery

    def again(self, delivery):
        """Retry, and send it at once."""
        delivery.action_bulk("resend")
        delivery.process_delivery()

    def stored(self, attempt):
        """Which of the texts its row has."""
        row = self.row(attempt)
        return {name for name in SHARED if row[name] is not None}

    def shown(self, delivery, name="payload_json"):
        """What the attempts show, oldest first, as it is read from the database."""
        self.env.flush_all()
        self.env.invalidate_all()
        return [each[name] for each in delivery.attempt_ids.sorted("attempt_number")]

    def test_stored_with_the_delivery_alone(self):
        """Payload and response of a delivery that is done; headers are those sent."""
        self.answer((200, '{"id": 1}'))
        delivery = self.send()
        attempt = delivery.attempt_ids

        self.assertEqual("done", delivery.state)
        self.assertEqual(set(), self.stored(attempt))
        row = self.row(delivery)
        self.assertEqual('{"n": 4711}', row["payload_json"])
        self.assertEqual('{"id": 1}', row["response_body"])
        self.assertIn("webhook-id", self.row(attempt)["request_headers_json"])

    def test_every_way_to_read_it(self):
        """Field, RPC, export, formatted, cURL command, group, related field."""
        self.answer((200, '{"id": 1}'))
        delivery = self.send()
        attempt = delivery.attempt_ids
        headers = delivery.response_headers_json
        expected = dict(zip(SHARED, ('{"n": 4711}', headers, '{"id": 1}'), strict=True))
        self.env.invalidate_all()

        self.assertIn("Content-Length", headers)
        for name, value in expected.items():
            self.assertEqual(value, attempt[name])
        [read] = attempt.read([*SHARED, "payload_pretty", "response_body_pretty"])
        self.assertEqual(expected, {name: read[name] for name in SHARED})
        self.assertEqual({"n": 4711}, json.loads(read["payload_pretty"]))
        self.assertEqual({"id": 1}, json.loads(read["response_body_pretty"]))
        [searched] = self.env[ATTEMPT].search_read(
            [("delivery_id", "=", delivery.id)], SHARED
        )
        self.assertEqual(expected, {name: searched[name] for name in SHARED})
        exported = attempt.export_data(list(SHARED))["datas"]
        self.assertEqual([list(expected.values())], exported)
        exported = delivery.export_data(["attempt_ids/payload_json"])["datas"]
        self.assertEqual([['{"n": 4711}']], exported)
        self.assertIn("4711", attempt.curl_command)
        self.assertIn("4711", delivery.curl_command)
        groups = self.env[ATTEMPT]._read_group(
            [("delivery_id", "=", delivery.id)], ["payload_json"], ["__count"]
        )
        self.assertEqual([('{"n": 4711}', 1)], groups)
        copied = attempt.copy({"attempt_number": 2})
        self.assertEqual(set(SHARED), self.stored(copied))

    def test_searches(self):
        """Search terms find what only the delivery stores."""
        self.answer((200, "seen 0815"), (200, "other"))
        attempt = self.send().attempt_ids
        other = self.send({"n": 1}).attempt_ids
        both = [("id", "in", (attempt | other).ids)]

        for name, operator, value in (
            ("payload_json", "ilike", "4711"),
            ("payload_json", "=", '{"n": 4711}'),
            ("payload_json", "in", ['{"n": 4711}']),
            ("response_body", "like", "0815"),
            ("response_headers_json", "ilike", '"content-length": "9"'),
        ):
            found = self.env[ATTEMPT].search([*both, (name, operator, value)])
            self.assertEqual(attempt, found, (name, operator))
        found = self.env[ATTEMPT].search([*both, ("payload_json", "not like", "4711")])
        self.assertEqual(other, found)
        self.assertFalse(
            self.env[ATTEMPT].search([*both, ("payload_json", "=", False)])
        )
        found = self.env[ATTEMPT].search(both, order="payload_json")
        self.assertEqual([other.id, attempt.id], found.ids)
        found = self.env[DELIVERY].search(
            [("attempt_ids.payload_json", "=", '{"n": 1}')]
        )
        self.assertIn(other.delivery_id, found)

    def test_empty_is_not_the_same_as_shared(self):
        """An empty body, response or payload is shown as empty."""
        self.endpoint.request_body_mode = "raw"
        self.answer((500, ""), (200, "later"))
        delivery = self.send("")
        self.assertEqual(1, len(delivery.attempt_ids))
        self.again(delivery)

        self.assertEqual(["", "later"], self.shown(delivery, "response_body"))
        self.assertEqual(
            ["", ""], [each.body.decode() for each in self.receiver.requests]
        )

    def test_no_response_is_none(self):
        """An attempt without a response doesn't show that of another attempt."""
        self.receiver.script("/orders", status(503, b"busy"), close(), status(200))
        delivery = self.send()
        delivery.process_delivery()

        self.assertEqual(["busy", False], self.shown(delivery, "response_body"))
        self.assertEqual("busy", delivery.response_body)
        found = delivery.attempt_ids.filtered_domain([("response_body", "=", False)])
        self.assertEqual([2], found.mapped("attempt_number"))
        self.assertFalse(delivery.attempt_ids[0].response_headers_json)

    def test_reset_to_draft_and_edited(self):
        """What was sent and received stays with the old attempt, in one transaction."""
        self.answer((422, "wrong"), (200, "right"))
        delivery = self.send()
        self.assertEqual("dead_letter", delivery.state)
        self.assertEqual(set(), self.stored(delivery.attempt_ids))

        delivery.action_reset_to_draft()
        self.assertEqual(["wrong"], self.shown(delivery, "response_body"))
        admin = new_test_user(self.env, "once-edits", ADMINISTRATOR)
        delivery.with_user(admin).payload_json = '{"n": 1}'
        self.assertEqual(['{"n": 4711}'], self.shown(delivery))
        delivery.payload_json = '{"n": 2}'  # a second one before it is sent
        delivery.action_queue_delivery()
        delivery.process_delivery()

        self.assertEqual(['{"n": 4711}', '{"n": 2}'], self.shown(delivery))
        self.assertEqual(["wrong", "right"], self.shown(delivery, "response_body"))
        self.assertEqual(set(), self.stored(delivery.attempt_ids[0]))
        self.assertIn("4711", delivery.attempt_ids[1].curl_command)

    def test_edited_without_a_flush(self):
        """An edit that is only in memory counts, and what the cache has stays right."""
        delivery = self.send()
        attempt = delivery.attempt_ids
        self.assertEqual('{"n": 4711}', attempt.payload_json)

        delivery.payload_json = '{"n": 1}'
        self.assertEqual('{"n": 4711}', attempt.payload_json)
        attempt.invalidate_recordset()
        self.assertEqual('{"n": 4711}', attempt.payload_json)

    def test_failed_retried_dead_lettered(self):
        """Each attempt shows its response, whatever follows."""
        self.endpoint.retry_schedule = "1s,1s"
        answers = [(503, "one"), (503, "two"), (503, "three"), (200, "four")]
        self.answer(*answers)
        delivery = self.send()
        for _retry in range(2):
            delivery.process_delivery()
        self.assertEqual("dead_letter", delivery.state)
        self.assertEqual(["one", "two", "three"], self.shown(delivery, "response_body"))
        self.assertEqual(set(), self.stored(delivery.attempt_ids[0]))

        self.again(delivery)

        self.assertEqual("done", delivery.state)
        texts = [body for _status, body in answers]
        self.assertEqual(texts, self.shown(delivery, "response_body"))
        self.assertEqual(['{"n": 4711}'] * 4, self.shown(delivery))
        lengths = [
            json.loads(each)["Content-Length"]
            for each in self.shown(delivery, "response_headers_json")
        ]
        self.assertEqual(["3", "3", "5", "4"], lengths)

    def test_sent_again_after_it_was_done(self):
        """Without a response this time: the first attempt still shows its own."""
        self.receiver.script("/orders", status(200, b"one"), close(), status(201, b""))
        delivery = self.send()
        self.again(delivery)
        self.assertEqual(["one", False], self.shown(delivery, "response_body"))
        delivery.process_delivery()

        self.assertEqual(["one", False, ""], self.shown(delivery, "response_body"))

    def test_another_payload_per_attempt(self):
        """A rule or handler that changes it each time: each attempt has its own."""
        partner = self.env["res.partner"].create({"name": "One"})
        self.env[PAYLOAD_RULE].create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "name",
                "source_kind": "record_field",
                "source_expression": "name",
            }
        )
        self.endpoint.rebuild_each_attempt = True
        self.answer((503, ""), (503, ""), (200, ""))
        delivery = self.send(record=partner)
        for name in ("Two", "Three"):
            partner.name = name
            delivery.process_delivery()

        names = [json.loads(each)["name"] for each in self.shown(delivery)]
        self.assertEqual(["One", "Two", "Three"], names)
        self.assertEqual({"n": 4711}, json.loads(delivery.payload_json))

    def test_code_that_writes_the_payload(self):
        """It replaces what is stored while the next attempt is built."""
        self.answer((503, ""), (503, ""), (200, ""))
        delivery = self.send()
        built = type(delivery)._build_outbound_request
        count = iter(range(9))

        def written(each):
            each.payload_json = json.dumps({"n": next(count)})
            return built(each).replaced(payload=json.loads(each.payload_json))

        self.patch(type(delivery), "_build_outbound_request", written)
        self.endpoint.rebuild_each_attempt = True
        for _number in range(2):
            delivery.process_delivery()

        self.assertEqual(['{"n": 4711}', '{"n": 0}', '{"n": 1}'], self.shown(delivery))
        self.assertNotIn("payload_json", self.stored(delivery.attempt_ids[0]))

    def test_canceled_by_a_handler(self):
        """The attempt shows what would have been sent, also after an edit."""
        self.endpoint.handler_id = self.env[HANDLER].create(
            {
                "name": "Never",
                "code": "never",
                "outbound_rule_ids": [
                    Command.create({"name": "no", "result_status": "cancel"})
                ],
            }
        )
        delivery = self.send()
        self.assertEqual("canceled", delivery.state)
        self.assertNotIn("payload_json", self.stored(delivery.attempt_ids))

        delivery.action_reset_to_draft()
        delivery.payload_json = "{}"

        self.assertEqual(['{"n": 4711}'], self.shown(delivery))

    def test_masked_secrets(self):
        """A masked payload is not what the delivery stores: both stay as they are."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "s3cret-word"})
        delivery = self.send({"own": "s3cret-word"})

        self.assertIn("payload_json", self.stored(delivery.attempt_ids))
        self.assertEqual(['{"own": "***"}'], self.shown(delivery))
        self.assertNotIn("s3cret-word", str(self.row(delivery.attempt_ids)))

    def test_interrupted(self):
        """An attempt that a killed worker left open shows its payload."""
        delivery = self.queue({"n": 4711})
        self.env.flush_all()
        now = utcnow()
        row = (
            *(delivery.id, "a / Attempt 1", 1, "processing", None, "post", "json"),
            *("https://x.example", "{}", '{"n": 4711}'),
            *([None] * 7),
            1,
        )
        company = self.endpoint.company_id.id
        self.env.cr.execute(
            sql.open_attempts(self.endpoint.id, company, "job", now, [row])
        )
        self.env.cr.execute(
            sql.mark_processing([delivery.id], "job", 0, now, attempts=1)
        )
        self.env.cr.execute(sql.interrupt_attempts(self.endpoint.id, 0, now, "killed"))
        self.env.cr.execute(
            sql.release_interrupted(
                self.endpoint.id, 0, now, limit=5, note="killed", error=""
            )
        )
        self.env.invalidate_all()
        self.assertEqual("interrupted", delivery.attempt_ids.state)
        self.assertEqual(set(), self.stored(delivery.attempt_ids))
        self.assertEqual(['{"n": 4711}'], self.shown(delivery))

        delivery.action_reset_to_draft()
        delivery.payload_json = "{}"

        self.assertEqual(['{"n": 4711}'], self.shown(delivery))

    def test_a_retry_repeats_it(self):
        """Though a handler would add to it now; read with the batch, or alone."""
        partner = self.env["res.partner"].create({"name": "Ada"})
        condition = {
            "source_kind": "record_field",
            "source_expression": "name",
            "operator": "equals",
            "expected_value": "Eve",
        }
        assignment = {"target_expression": "note", "literal_value": "Eve"}
        self.endpoint.handler_id = self.env[HANDLER].create(
            {
                "name": "Eve",
                "code": "eve",
                "outbound_rule_ids": [
                    Command.create(
                        {
                            "name": "eve",
                            "condition_ids": [Command.create(condition)],
                            "assignment_ids": [Command.create(assignment)],
                        }
                    )
                ],
            }
        )
        for at_once in (sent_before.AT_ONCE, 1):
            self.receiver.clear()
            self.answer((503, ""), (200, ""))
            partner.name = "Ada"
            delivery = self.send(record=partner)
            self.assertNotIn("payload_json", self.stored(delivery.attempt_ids))
            partner.name = "Eve"
            with patch.object(sent_before, "AT_ONCE", at_once):
                delivery.process_delivery()

            bodies = [each.body for each in self.receiver.requests]
            self.assertEqual([b'{"n": 4711}'] * 2, bodies)
        self.send(record=partner)
        self.assertIn(b"Eve", self.receiver.requests[-1].body)

    def test_a_retry_after_an_edit_of_the_row(self):
        """It is sent as edited; the query of what was sent has the old payload."""
        self.answer((503, ""), (200, ""))
        delivery = self.send()
        version = self.endpoint.config_version
        self.env.cr.execute(sql.sent_requests(delivery.ids, version, 1000))
        self.assertEqual('{"n": 4711}', self.env.cr.fetchone()[-1])
        delivery.payload_json = '{"n": 1}'
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery SET edited_at_attempt = 0 "
            "WHERE id = %s",
            (delivery.id,),
        )
        self.env.cr.execute(sql.sent_requests(delivery.ids, version, 1000))
        self.assertEqual('{"n": 4711}', self.env.cr.fetchone()[-1])

    def test_dry_run(self):
        """It is compared with what was sent."""
        delivery = self.send()
        self.env.flush_all()

        [row] = self.env.execute_query(dry_run_build._past(delivery.ids))

        past = dry_run_build.Past(*row)
        self.assertEqual('{"n": 4711}', past.payload)

    def test_beside_the_rows(self):
        """A payload isn't copied when its row is updated: the row has a pointer to it.

        Otherwise each update of a delivery writes its payload once more.
        """
        [(toast,)] = self.env.execute_query(
            SQL(
                "SELECT reltoastrelid::regclass::text FROM pg_class "
                "WHERE oid = 'bwt_webhook_outbound_delivery'::regclass"
            )
        )
        count = SQL("SELECT count(DISTINCT chunk_id) FROM %s", SQL(toast))
        [(before,)] = self.env.execute_query(count)

        words = Random(1)  # 2,200 characters, compressed to less than 1,200 bytes
        text = " ".join(f"{words.getrandbits(32):08x} was ordered" for _ in range(100))
        self.assertEqual("done", self.send({"text": text}).state)

        self.assertEqual([(before + 1,)], self.env.execute_query(count))

    def test_rights(self):
        """Whoever may read the attempt reads it; nobody else does."""
        attempt = self.send().attempt_ids
        operator = new_test_user(self.env, "once-operator", OPERATOR)
        plain = new_test_user(self.env, "once-plain", "base.group_user")
        company = self.env["res.company"].create({"name": "Elsewhere"})
        elsewhere = new_test_user(
            self.env,
            "once-elsewhere",
            OPERATOR,
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        self.env.invalidate_all()

        self.assertEqual('{"n": 4711}', attempt.with_user(operator).payload_json)
        for user in (plain, elsewhere):
            self.env.invalidate_all()
            with self.assertRaises(AccessError):
                attempt.with_user(user).read(["payload_json"])
        found = self.env[ATTEMPT].with_user(elsewhere)
        self.assertFalse(found.search([("payload_json", "like", "4711")]))

    def test_deleted(self):
        """An attempt goes alone; with the delivery both are gone."""
        delivery = self.send()
        delivery.attempt_ids.unlink()
        self.assertEqual('{"n": 4711}', self.row(delivery)["payload_json"])
        attempt = self.send().attempt_ids
        attempt.delivery_id.unlink()
        self.assertFalse(attempt.exists())

    def test_written(self):
        """A value of its own, by field."""
        self.answer((200, "body"))
        delivery = self.send()
        delivery.attempt_ids.response_body = "other"

        self.assertEqual(["other"], self.shown(delivery, "response_body"))
        self.assertEqual({"response_body"}, self.stored(delivery.attempt_ids))
        self.assertEqual("body", delivery.response_body)

    def test_earlier_rows(self):
        """Attempts of earlier versions have all of it, and show that."""
        self.answer((200, "body"))
        delivery = self.send()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery_attempt SET payload_json = 'a', "
            "response_body = 'b', response_headers_json = '{}' WHERE delivery_id = %s",
            (delivery.id,),
        )

        self.assertEqual(["a"], self.shown(delivery))
        self.assertEqual(["b"], self.shown(delivery, "response_body"))
        delivery.payload_json = "{}"
        self.assertEqual(["a"], self.shown(delivery))

    def test_a_status_without_texts(self):
        """Rows that other code has made: a later response isn't taken for theirs."""
        self.answer((500, "one"), (200, "two"))
        delivery = self.send()
        self.env.flush_all()
        for table in (delivery._table, delivery.attempt_ids._table):
            self.env.cr.execute(f"UPDATE {table} SET response_body = NULL")
        self.env.invalidate_all()

        self.again(delivery)

        self.assertEqual(["", "two"], self.shown(delivery, "response_body"))

    def test_no_statement_for_what_was_never_sent(self):
        """Writing a draft costs what it did."""
        drafts = self.env[DELIVERY].create(
            [{"endpoint_id": self.endpoint.id} for _number in range(3)]
        )
        self.env.flush_all()
        with self.assertQueryCount(1):
            drafts.payload_json = '{"n": 1}'
            drafts.flush_recordset()


@tagged("post_install", "-at_install")
class TestDeletedOnce(ContentCase):
    def test_sizes_of_what_is_stored_once(self):
        """They are those of what was sent and received, though it was stored once."""
        delivery = self.plant()
        attempt = delivery.attempt_ids
        sent, received = attempt.payload_json, attempt.response_body
        self.assertIn(EMAIL, sent)
        self.assertIsNone(self.row(attempt)["payload_json"])
        delivery.endpoint_id.content_days = 30
        self.age(delivery, 31)

        self.empty()

        self.env.invalidate_all()
        self.assertEqual(len(sent), attempt.payload_size)
        self.assertEqual(len(received), attempt.response_size)
        self.assertEqual(("{}", False), (attempt.payload_json, attempt.response_body))
        found = self.planted()
        self.assertFalse({delivery._table, attempt._table} & found.keys())
