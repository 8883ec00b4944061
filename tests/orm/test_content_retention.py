# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Content is deleted after its days, the delivery stays, and says so everywhere."""

import json
from datetime import timedelta

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import content_retention, delivery

from ..constants import ADMINISTRATOR, ATTEMPT, DELIVERY
from .common import STATES, CommittedCase
from .content_case import EMAIL, ContentCase
from .test_reconciliation import ReconciliationCase

# What is kept of an emptied row: never what a user, a record or a receiver wrote.
KEPT = {
    DELIVERY: {
        *("id create_uid create_date write_uid write_date name endpoint_id").split(),
        *("company_id message_uid state failure_reason queued_at processed_at").split(),
        *("next_attempt_at retry_number queue_to_done_seconds origin").split(),
        *("end_to_end_seconds response_status_code needs_build supersede").split(),
        *("matched_outbound_rule_id replayed_from_delivery_id replay_count").split(),
        *("attempt_count ordering_key ordering_group skip_if_unchanged").split(),
        *("settle_started_at res_model res_id server_action_id job_uuid").split(),
        *("lane_slot queue_number interruption_count edited_at_attempt").split(),
        *("build_tries content_deleted_at content_deletion payload_size").split(),
        "payload_hash",
    },
    ATTEMPT: {
        *("id name delivery_id endpoint_id company_id attempt_number state").split(),
        *("started_at finished_at duration_ms failure_reason http_method").split(),
        *("request_body_mode target_url body_hash config_version subject").split(),
        *("request_hash response_status_code job_uuid hook_try").split(),
        *("payload_size response_size").split(),
    },
}
EMPTY = (None, "", "{}", False)


@tagged("post_install", "-at_install")
class TestContentRetention(ContentCase):
    def test_nothing_of_it_is_left_in_the_database(self):
        """In any column of any table, nor in the file store.

        Otherwise a backup has what the company says it has deleted.
        """
        done = self.plant()
        done.endpoint_id.content_days = 30
        files = self.stored_files(done)
        self.age(done, 31)
        before = self.planted()
        self.assertGreaterEqual(set(before), {done._table, done.attempt_ids._table})
        self.assertTrue(files and all(each.exists() for each in files))

        self.assertEqual((1, 0), self.empty())

        self.assertEqual({"res_partner": 0}, {"res_partner": 0} | self.planted())
        self.assertFalse(self.stored_files(done))
        self.env.cr.execute("SELECT 1 FROM ir_attachment WHERE name LIKE '%planted%'")
        self.assertFalse(self.env.cr.fetchall())

    def test_what_is_kept(self):
        """State, dates, status, sizes, hashes, message id and record, and no more."""
        done = self.plant(record=self.contact)
        attempt = done.attempt_ids
        done.endpoint_id.content_days = 30
        self.age(done, 31)
        rows = self.row(done), self.row(attempt)
        sent, received = attempt.payload_json, attempt.response_body
        self.assertTrue(rows[1]["body_hash"])

        self.empty()

        names = {"name", "ordering_key", "ordering_group", "target_url"}
        for record, before in zip((done, attempt), rows, strict=True):
            after = self.row(record)
            kept = KEPT[record._name]
            for name, value in after.items():
                if name not in kept:
                    self.assertIn(value, EMPTY, f"{record._name}.{name} is kept")
                elif name in names:
                    self.assertNotIn(EMAIL, value or "")
                elif before[name]:
                    self.assertEqual(before[name], value, name)
        self.assertEqual(len(rows[0]["payload_json"]), done.payload_size)
        self.assertEqual(len(sent), attempt.payload_size)
        self.assertEqual(len(received), attempt.response_size)
        self.assertEqual(f"{self.receiver.url}/***", attempt.target_url)
        self.assertFalse(done.context_line_ids)
        self.assertEqual(
            ("res.partner", self.contact.id), (done.res_model, done.res_id)
        )

    def test_what_ended_and_what_did_not(self):
        """Done, canceled and dead-lettered ones; those that will be sent keep it."""
        self.endpoint.content_days = 7
        old = {
            state: self.in_state(state, processed_at=utcnow() - timedelta(days=8))
            for state in STATES
        }
        young = self.in_state("done", processed_at=utcnow() - timedelta(days=6))
        kept = self.make_endpoint("kept").queue_delivery({"a": 1})
        kept.write({"state": "done", "processed_at": utcnow() - timedelta(days=99)})

        self.assertEqual((3, 0), self.empty())

        emptied = {state for state, each in old.items() if each.content_deleted_at}
        self.assertEqual({"done", "canceled", "dead_letter"}, emptied)
        for each in (young, kept, old["error"]):
            self.assertEqual({"a": 1}, json.loads(each.payload_json))
        self.assertEqual((0, 0), self.empty())

    def test_a_response_hook_comes_first(self):
        """It reads the response; emptied before it, the hook would see nothing."""
        self.endpoint.content_days = 1
        done = self.queue({"a": 1})
        done.process_delivery()
        self.age(done, 2)
        self.assertTrue(done.attempt_ids)
        done.attempt_ids.hook_try = 1
        self.env.flush_all()
        self.assertEqual((0, 0), self.empty())

        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = NULL"
        )

        self.assertEqual((1, 0), self.empty())

    def test_in_batches(self):
        """A batch per transaction, and what is empty is not read again."""
        self.patch(delivery, "CONTENT_BATCH", 2)
        self.endpoint.content_days = 1
        deliveries = self.endpoint.queue_deliveries([{}] * 5)
        deliveries.write({"state": "done", "next_attempt_at": False})
        self.age(deliveries, 2)

        found = [self.empty() for _number in range(3)]

        self.assertEqual([(2, 1), (2, 1), (1, 0)], found)
        self.assertTrue(all(deliveries.mapped("content_deleted_at")))

    def test_statements_of_a_batch(self):
        """Their number doesn't depend on how many deliveries a batch has."""
        self.endpoint.content_days = 1
        counts = []
        for size in (10, 400):
            made = self.endpoint.queue_deliveries([{"context_lines": {"k": 1}}] * size)
            made.write({"state": "done", "next_attempt_at": False})
            self.age(made, 2)
            before = self.env.cr.sql_log_count
            self.assertEqual(size, self.empty()[0])
            counts.append(self.env.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0] + 5)

    # What reads the content afterwards

    def emptied(self, state="done", **options):
        found = self.plant(**options)
        found.endpoint_id.content_days = 30
        found.write({"state": state})
        self.age(found, 31)
        self.empty()
        self.assertTrue(found.content_deleted_at)
        return found

    def test_it_is_not_sent_again(self):
        """Empty content under the same message id would be worse than none."""
        for number, (state, button) in enumerate(
            (
                ("dead_letter", "action_retry_now"),
                ("dead_letter", "action_reset_to_draft"),
                ("canceled", "action_reset_to_draft"),
                ("done", "action_create_replay_delivery"),
            )
        ):
            with self.subTest(button, state=state):
                found = self.emptied(state, code=f"emptied-{number}")
                with self.refused("content was deleted on .* Run its server action"):
                    getattr(found, button)()
                self.assertEqual(state, found.state)
        found.action_bulk("replay")
        self.assertFalse(found.replay_delivery_ids)
        with self.assertRaises(ValidationError):
            found.sudo()._do_replay()

    def test_a_dead_letter_can_still_be_canceled(self):
        """So that it needs no attention any more."""
        found = self.emptied("dead_letter")

        found.action_cancel_delivery()

        self.assertEqual("canceled", found.state)

    def test_it_is_said(self):
        """On the delivery, on its attempts and in the command for a terminal."""
        found = self.emptied("dead_letter")

        said = r"Content was deleted on .*, 31 days after the delivery ended\."
        self.assertRegex(found.content_message, said)
        self.assertRegex(found.attempt_ids.content_message, said)
        self.assertRegex(found.curl_command, f"^# {said}")
        self.assertIn("content was deleted", found.status_message)
        self.assertNotIn("Retry Now", found.status_message)
        self.assertFalse(found.needs_correction)

    def test_users_do_not_set_it(self):
        """Otherwise a user could make a delivery look as if it had no content."""
        admin = new_test_user(self.env, "content-admin", ADMINISTRATOR)
        draft = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})

        with self.assertRaises(AccessError):
            draft.with_user(admin).content_deleted_at = utcnow()
        with self.assertRaises(AccessError):
            draft.with_user(admin).read(["payload_hash"])

    # Settings

    def test_days(self):
        """Not negative, and not more than the deliveries are kept."""
        with self.refused("Content Retention.* is -1. Enter a value from 0"):
            self.endpoint.content_days = -1
        with self.refused("Retention of Failures.* is -1"):
            self.endpoint.failed_retention_days = -1
        with self.refused("deliveries are deleted after 90 already. Enter at most 90"):
            self.endpoint.content_days = 91
        self.endpoint.write({"content_days": 91, "retention_days": 0})
        with self.refused("Enter at most 30"):
            self.endpoint.retention_days = 30

    def test_default_of_new_endpoints(self):
        """Set with the other defaults, and refused as on an endpoint."""
        settings = self.env["res.config.settings"]
        admin = self.env.ref("base.user_admin")
        with Form(settings.with_user(admin)) as form:
            form.bwt_webhook_default_content_days = 14
            form.bwt_webhook_default_failed_retention_days = 365
        form.record.set_values()

        made = self.make_endpoint("fresh")

        self.assertEqual((14, 365), (made.content_days, made.failed_retention_days))
        form.record.bwt_webhook_default_content_days = 91
        with self.refused("Enter at most 90"):
            form.record.set_values()


@tagged("post_install", "-at_install")
class TestRetentionOfFailures(ContentCase):
    def test_only_where_it_is_set(self):
        """Failures are kept for ever by default; of those that are set, the ended."""
        short = self.make_endpoint("short", failed_retention_days=10)
        long_ago = utcnow() - timedelta(days=11)
        vals = {"processed_at": long_ago, "next_attempt_at": False}
        dead, waits, needs, kept = (
            *(short.queue_delivery() for _number in range(3)),
            self.queue(),
        )
        (dead | kept).write({"state": "dead_letter", **vals})
        (waits | needs).write({"state": "error", **vals})
        waits.next_attempt_at = utcnow()
        self.env.flush_all()

        self.assertEqual((2, 0), self.env[DELIVERY]._gc_ended_deliveries())

        self.assertEqual(waits | kept, (dead | waits | needs | kept).exists())

    def test_without_content_too(self):
        """Both retentions find deliveries whose content was deleted before."""
        short = self.make_endpoint("short", failed_retention_days=20, content_days=5)
        states = ("done", "canceled", "dead_letter")
        made = {state: short.queue_delivery() for state in states}
        for state, each in made.items():
            each.write({"state": state, "next_attempt_at": False})
            self.age(each, 91)
        self.assertEqual((3, 0), self.empty())

        self.assertEqual((3, 0), self.env[DELIVERY]._gc_ended_deliveries())


@tagged("post_install", "-at_install")
class TestReconciliationWithoutContent(ReconciliationCase):
    def write_later(self, contacts):
        """As if they were written since, so that payloads are compared."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = now() + interval '1 hour' "
            "WHERE id = ANY(%s)",
            (contacts.ids,),
        )
        self.env.invalidate_all()

    def test_nothing_is_missing_because_content_was_deleted(self):
        """The hash of the payload tells what is outdated, as the payload did."""
        deliveries = self.env[DELIVERY].search(
            [("server_action_id", "=", self.shop.id)]
        )
        ids = content_retention.delete_content(
            self.env, deliveries.ids, "retention", utcnow()
        )
        self.assertEqual(25, len(ids))
        self.write_later(self.contacts)
        self.check()
        self.assertEqual({"delivered": 25}, self.counts())

        self.contacts[0].name = "Another"
        self.write_later(self.contacts)
        self.check()

        self.assertEqual({"delivered": 24, "outdated": 1}, self.counts())

    def test_without_a_hash_nothing_is_claimed(self):
        """Not checkable, where the stored payload was not valid."""
        delivery = self.env[DELIVERY].search(
            [("server_action_id", "=", self.shop.id)], limit=1
        )
        content_retention.delete_content(self.env, delivery.ids, "retention", utcnow())
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery SET payload_hash = NULL"
        )
        self.write_later(self.env["res.partner"].browse(delivery.res_id))

        self.check()

        self.assertEqual({"delivered": 24, "not_checkable": 1}, self.counts())


class TestContentBesideUsers(CommittedCase):
    def test_a_locked_delivery_waits_for_the_next_time(self):
        """Someone works on it: the rest is emptied now."""
        self.set_up(content_days=5)
        ids = self.queue(1, 2, 3)
        with self.transaction() as env:
            found = env[DELIVERY].browse(ids)
            found.write({"state": "done", "processed_at": utcnow() - timedelta(days=9)})
        with self.read_committed() as user, self.transaction() as env:
            user.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE",
                (ids[0],),
            )
            self.assertEqual((2, 0), env[DELIVERY]._gc_content())
        with self.transaction() as env:
            self.assertEqual((1, 0), env[DELIVERY]._gc_content())
