# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which records have not arrived: exactly those, and what is done about it."""

import logging
import time

from odoo.exceptions import AccessError
from odoo.tests import Form
from odoo.tests.common import new_test_user

from odoo.addons.bwt_webhooks_outbound.lane import job_sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import reconciliation_check, run_batch
from odoo.addons.bwt_webhooks_outbound.models.reconciliation import ACTIVITY

from ..constants import ADMINISTRATOR, DELIVERY, ENDPOINT, RECONCILIATION, RUN
from .run_case import RunCase

_logger = logging.getLogger(__name__)

MANY = 3000
EACH = 20  # records that are missing in one way


class ReconciliationCase(RunCase):
    """Contacts that were all delivered, and a reconciliation of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reconciliation = cls.env[RECONCILIATION].create(
            {"action_id": cls.shop.id, "domain": str(cls.domain), "since_days": 0}
        )
        cls.deliver_all()

    @classmethod
    def deliver_all(cls):
        run = cls.endpoint.backfill(cls.shop, cls.domain)
        while run.state == "running":
            run_batch.feed(run, utcnow(), is_paced=False)
        deliveries = cls.env[DELIVERY].search(run._deliveries_domain())
        deliveries.write(
            {"state": "done", "next_attempt_at": False, "processed_at": utcnow()}
        )
        cls.env.flush_all()
        # As if a later transaction than that of the records had queued them.
        cls.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery SET create_date = create_date + "
            "interval '1 minute' WHERE id = ANY(%s)",
            (deliveries.ids,),
        )
        cls.env.invalidate_all()

    def check(self):
        """A whole check, as its jobs do it."""
        self.reconciliation.action_check()
        while self.reconciliation.state == "checking":
            self.reconciliation.run_check()
        return self.reconciliation

    def counts(self):
        names = dict(reconciliation_check.VERDICTS)
        found = {name: self.reconciliation[f"{name}_count"] for name in names}
        return {name: count for name, count in found.items() if count}

    def found(self, verdict):
        """Ids of the records that the list of a button shows."""
        action = getattr(self.reconciliation, f"action_view_{verdict}")()
        results = self.env[action["res_model"]].search(action["domain"])
        return set(results.mapped("res_id"))

    def last_deliveries(self, records):
        return self.env[DELIVERY].search(
            [("res_model", "=", "res.partner"), ("res_id", "in", records.ids)]
        )

    def touch(self, records):
        """As if they were written after their delivery."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = now() + interval '1 hour' "
            "WHERE id = ANY(%s)",
            (records.ids,),
        )
        self.env.invalidate_all()

    def make_missing(self, count):
        """Contacts that are missing in five ways: dict of verdict -> records."""
        parts = [self.contacts[n * count : (n + 1) * count] for n in range(5)]
        never, deleted, failed, outdated, canceled = parts
        # Never queued, and queued by another action alone.
        self.last_deliveries(never).write({"server_action_id": False})
        self.last_deliveries(deleted).unlink()
        self.last_deliveries(failed[:10]).write({"state": "dead_letter"})
        self.last_deliveries(failed[10:]).write({"state": "error"})
        outdated.write({"name": "Changed"})
        self.touch(outdated)
        self.last_deliveries(canceled).write({"state": "canceled"})
        self.env.flush_all()
        return {
            "never_queued": never | deleted,
            "failed": failed,
            "outdated": outdated,
            "canceled": canceled,
        }


class TestManyRecords(ReconciliationCase):
    @classmethod
    def make_contacts(cls, count, name="Contact"):
        return super().make_contacts(MANY, name)

    def test_exactly_the_missing_ones(self):
        """Of 3,000, those that are missing in five ways; nothing else is reported."""
        missing = self.make_missing(EACH)
        self.touch(self.contacts[1000:1100])  # book-keeping: the payload is the same
        self.env.flush_all()
        before, began = self.env.cr.sql_log_count, time.monotonic()

        self.check()

        took = time.monotonic() - began
        queries = self.env.cr.sql_log_count - before
        _logger.info("%s records: %.2f s, %s queries", MANY, took, queries)
        self.assertEqual(
            {
                "never_queued": 2 * EACH,
                "failed": EACH,
                "outdated": EACH,
                "canceled": EACH,
                "delivered": MANY - 5 * EACH,
            },
            self.counts(),
        )
        for verdict, records in missing.items():
            self.assertEqual(set(records.ids), self.found(verdict), verdict)
        self.assertEqual(5 * EACH, self.reconciliation.missing_count)
        self.assertLess(queries, 150)

    def test_steps(self):
        """A check of any length is done in steps, and a kill repeats one of them."""
        self.make_missing(EACH)
        self.patch(reconciliation_check, "CHUNK", 500)
        self.patch(reconciliation_check, "STEP_SECONDS", 1e-6)
        self.reconciliation.action_check()
        steps = 0
        while self.reconciliation.state == "checking":
            self.reconciliation.run_check()
            steps += 1

        self.assertEqual(MANY / 500 + 1, steps)
        self.assertEqual(5 * EACH, self.reconciliation.missing_count)


class TestReconciliation(ReconciliationCase):
    def test_nothing_is_missing(self):
        self.check()

        self.assertEqual({"delivered": 25}, self.counts())
        self.assertTrue(self.reconciliation.checked_at)

    def test_on_its_way(self):
        """What waits for a lane, a retry or a user's Queue isn't missing."""
        queued, retried, draft = self.contacts[:3]
        self.last_deliveries(queued).state = "queued"
        self.last_deliveries(retried).write(
            {"state": "error", "next_attempt_at": utcnow()}
        )
        self.last_deliveries(draft).state = "draft"

        self.check()

        self.assertEqual({"waiting": 3, "delivered": 22}, self.counts())
        self.assertEqual({queued.id, retried.id, draft.id}, self.found("waiting"))

    def test_canceled_because_nothing_changed(self):
        """The receiver has the payload: the last delivery was not needed."""
        self.shop.with_context(
            active_model="res.partner", active_ids=self.contacts[0].ids
        ).run()
        self.last_deliveries(self.contacts[0]).sorted("id")[-1].state = "canceled"

        self.check()

        self.assertEqual({"delivered": 25}, self.counts())

    def test_older_than_the_retention(self):
        """Its delivery may have been deleted: not reported, even if it was written."""
        old = self.contacts[:5]
        self.last_deliveries(old).unlink()
        self.endpoint.retention_days = 90
        self.env.cr.execute(
            "UPDATE res_partner SET create_date = now() - interval '200 days' "
            "WHERE id = ANY(%s)",
            (old.ids,),
        )
        self.touch(old)

        self.check()
        self.assertEqual({"not_checkable": 5, "delivered": 20}, self.counts())
        self.endpoint.retention_days = 0
        self.check()
        self.assertEqual({"never_queued": 5, "delivered": 20}, self.counts())

    def test_since(self):
        """Records with an earlier date aren't checked."""
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = now() - interval '10 days' "
            "WHERE id = ANY(%s)",
            (self.contacts[:5].ids,),
        )
        self.env.invalidate_all()
        self.reconciliation.since_days = 7

        self.check()

        self.assertEqual({"delivered": 20}, self.counts())

    def test_a_payload_that_can_not_be_built(self):
        """Not the one that was delivered, and the others are compared all the same."""
        bad = self.contacts[3]
        self.touch(self.contacts)
        self.shop.bwt_webhook_field_ids.source_expression = "email_formatted"
        for delivery in self.last_deliveries(self.contacts):
            delivery.payload_json = delivery.payload_json.replace(
                "name", "email_formatted"
            )
        self.fail_to_compute(lambda each: each.id == bad.id)

        self.check()

        self.assertIn(bad.id, self.found("outdated"))

    def test_written_after_it_was_queued(self):
        """In the same transaction, as by a workflow that continues: it is outdated."""
        contact = self.contacts[0]
        self.shop.with_context(active_model="res.partner", active_ids=contact.ids).run()
        contact.name = "Written later in the transaction"
        self.env.flush_all()
        self.last_deliveries(contact).write({"state": "done"})

        self.check()

        self.assertEqual({contact.id}, self.found("outdated"))

    def test_an_earlier_payload_was_replayed(self):
        """The receiver has the earlier one: the replay came last."""
        contact, same = self.contacts[:2]
        earlier = self.last_deliveries(contact)
        contact.name = "Changed"
        self.env.flush_all()
        self.shop.with_context(active_model="res.partner", active_ids=contact.ids).run()
        (earlier | self.last_deliveries(same)).action_create_replay_delivery()
        replays = self.env[DELIVERY].search([("origin", "=", "replay")])
        self.assertEqual({contact.id, same.id}, set(replays.mapped("res_id")))
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = write_date - interval '1 hour' "
            "WHERE id = ANY(%s)",
            ((contact | same).ids,),
        )
        self.env.invalidate_all()
        self.last_deliveries(contact | same).write({"state": "done"})

        self.check()

        self.assertEqual({contact.id}, self.found("outdated"))

    def test_written_back_and_deleted_after_the_retention(self):
        """Old records that a response wrote to, whose deliveries are deleted.

        None of them is missing, so none is reported: not those that were canceled
        because nothing had changed since a delivery that is deleted either.
        """
        deleted, canceled = self.contacts[:3], self.contacts[3:6]
        self.env.cr.execute(
            "UPDATE res_partner SET create_date = now() - interval '200 days' "
            "WHERE id = ANY(%s)",
            ((deleted | canceled).ids,),
        )
        self.endpoint.retention_days = 90
        self.contacts.write({"ref": "written back"})
        self.touch(self.contacts)
        self.last_deliveries(deleted).unlink()
        self.last_deliveries(canceled).write({"state": "canceled"})

        self.check()

        self.assertEqual({"not_checkable": 6, "delivered": 19}, self.counts())
        self.assertEqual(0, self.reconciliation.missing_count)

    def test_dates_without_a_time(self):
        """A date field is compared as one, whatever the hour of the check."""
        field = self.env["ir.model.fields"].create(
            {
                "name": "x_day",
                "model_id": self.model.id,
                "ttype": "date",
                "field_description": "Day",
            }
        )
        self.contacts[:5].write({"x_day": "2001-02-03"})
        self.contacts[5:].write({"x_day": utcnow().date()})
        self.reconciliation.write({"date_field": field.name, "since_days": 1})

        self.check()

        self.assertEqual(20, sum(self.counts().values()))

    def test_queue_missing(self):
        """A run queues what was never queued or was canceled, and nothing else."""
        missing = self.make_missing(2)
        wanted = missing["never_queued"] | missing["canceled"]
        self.check()

        action = self.reconciliation.action_queue_missing()
        run = self.env[RUN].browse(action["res_id"])
        self.work_off(run)

        self.assertEqual(sorted(wanted.ids), self.sent_ids(run))
        self.assertEqual(
            {"reconciliation"},
            set(self.env[DELIVERY].search(run._deliveries_domain()).mapped("origin")),
        )
        self.check()
        self.assertEqual({"failed": 2, "outdated": 2, "delivered": 21}, self.counts())

    def test_queue_failed_and_outdated(self):
        missing = self.make_missing(2)
        self.check()
        for verdict in ("failed", "outdated"):
            button = getattr(self.reconciliation, f"action_queue_{verdict}")
            run = self.env[RUN].browse(button()["res_id"])
            self.work_off(run)
            self.assertEqual(sorted(missing[verdict].ids), self.sent_ids(run))

    def test_delivered_meanwhile(self):
        """Each record is checked again before it is queued."""
        never = self.make_missing(2)["never_queued"]
        self.check()
        self.shop.with_context(
            active_model="res.partner", active_ids=never[:3].ids
        ).run()

        run = self.env[RUN].browse(self.reconciliation.action_queue_missing()["res_id"])
        self.work_off(run)

        self.assertFalse(set(never[:3].ids) & set(self.sent_ids(run)))
        self.assertIn(never[3].id, self.sent_ids(run))


class TestNightlyCheck(ReconciliationCase):
    def night(self):
        self.env[RECONCILIATION]._cron_check()
        while self.reconciliation.state == "checking":
            self.reconciliation.run_check()

    def activities(self):
        kind = self.env.ref(ACTIVITY)
        return self.reconciliation.activity_ids.filtered(
            lambda each: each.activity_type_id == kind
        )

    def test_report(self):
        """An activity for what isn't known yet, closed when nothing is missing."""
        user = new_test_user(self.env, "responsible", ADMINISTRATOR)
        self.endpoint.responsible_id = user
        self.reconciliation.schedule = "report"
        self.night()
        self.assertFalse(self.activities())

        self.last_deliveries(self.contacts[0]).state = "dead_letter"
        self.night()
        self.assertEqual(user, self.activities().user_id)
        self.activities().unlink()
        self.night()
        self.assertFalse(self.activities(), "it is known")
        self.last_deliveries(self.contacts[1]).state = "dead_letter"
        self.night()
        self.assertEqual(1, len(self.activities()))
        self.last_deliveries(self.contacts[:2]).write({"state": "done"})
        self.night()
        self.assertFalse(self.activities())

    def test_repair(self):
        """What is missing is queued, and not a second time while it is on its way."""
        missing = self.make_missing(2)
        self.reconciliation.schedule = "repair"

        self.night()

        run = self.env[RUN].search([("reconciliation_id", "=", self.reconciliation.id)])
        self.assertEqual("running", run.state)
        self.night()
        self.assertEqual("running", run.state)
        self.work_off(run)
        expected = sorted(sum((each.ids for each in missing.values()), []))
        self.assertEqual(expected, self.sent_ids(run))

    def test_a_check_by_hand_of_one_without_schedule(self):
        """Who pressed Check Now sees the result: no activity for others."""
        self.endpoint.responsible_id = new_test_user(
            self.env, "responsible", ADMINISTRATOR
        )
        self.last_deliveries(self.contacts[0]).state = "dead_letter"

        self.check()

        self.assertEqual(1, self.reconciliation.failed_count)
        self.assertFalse(self.activities())

    def test_not_completed(self):
        """The responsible user is told; what was known before is no news later."""
        user = new_test_user(self.env, "responsible", ADMINISTRATOR)
        self.endpoint.responsible_id = user
        self.reconciliation.schedule = "report"
        self.last_deliveries(self.contacts[0]).state = "dead_letter"
        self.night()
        self.activities().unlink()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_action_line SET source_expression = 'gone' "
            "WHERE action_id = %s",
            (self.shop.id,),
        )
        self.env.invalidate_all()
        self.touch(self.contacts[5])

        self.night()

        self.assertIn("gone", self.reconciliation.message)
        self.assertEqual({}, self.counts())
        self.assertIn("not completed", self.activities().summary)
        self.assertIn("gone", str(self.activities().note))
        self.activities().unlink()
        self.shop.bwt_webhook_field_ids.source_expression = "name"
        self.night()
        self.assertEqual(set(self.contacts[0].ids), self.found("failed"))
        self.assertFalse(self.activities(), "it is known")

    def test_without_schedule(self):
        """By hand only."""
        self.env[RECONCILIATION]._cron_check()

        self.assertEqual("idle", self.reconciliation.state)

    def test_an_interrupted_check(self):
        """Its job was lost: another one is requested."""
        self.reconciliation.action_check()
        key = job_sql.check_key(self.reconciliation.id)
        waiting = self.env["queue.job"].sudo().search([("identity_key", "=", key)])
        waiting.unlink()

        self.env[ENDPOINT]._cron_wake_endpoints()

        self.assertTrue(
            self.env["queue.job"].sudo().search_count([("identity_key", "=", key)])
        )


class TestBadInput(ReconciliationCase):
    def test_date_field(self):
        """A model without it, and a field that isn't stored or is no date."""
        for name in ("gone", "name", "email_formatted"):
            with self.subTest(name), self.refused("has no stored date field"):
                self.reconciliation.date_field = name

    def test_numbers(self):
        with self.refused(r"Since \(Days\) is -1. Enter 1 to 36500, or 0"):
            self.reconciliation.since_days = -1
        with self.refused("Enter 1 to 30000"):
            self.reconciliation.pace = 0

    def test_action_deleted(self):
        """Refused with a message, and nothing is checked."""
        self.shop.unlink()
        self.reconciliation.invalidate_recordset()

        with self.refused("has no server action"):
            self.reconciliation.action_check()

    def test_filter(self):
        """The check ends with a message."""
        self.reconciliation.domain = "[('gone', '=', 1)]"

        self.check()

        self.assertIn("gone", self.reconciliation.message)
        self.assertFalse(self.reconciliation.checked_at)

    def test_while_it_checks(self):
        self.reconciliation.action_check()

        with self.refused("it is checking now"):
            self.reconciliation.action_check()
        with self.refused("it is checking now"):
            self.reconciliation.action_queue_missing()

    def test_nothing_to_queue(self):
        self.check()

        with self.refused("found nothing to queue"):
            self.reconciliation.action_queue_failed()

    def test_while_a_run_queues(self):
        """Results that a run reads are not replaced."""
        self.make_missing(2)
        self.check()
        self.reconciliation.action_queue_missing()

        with self.refused("a run still queues"):
            self.reconciliation.action_check()

    def test_settings_at_work(self):
        """A check or a run doesn't continue with other settings than it began with."""
        missing = self.make_missing(2)
        self.reconciliation.action_check()
        for vals in (
            {"domain": "[]"},
            {"since_days": 5},
            {"date_field": "create_date"},
        ):
            with self.subTest(vals), self.refused("it is checking now"):
                self.reconciliation.write(vals)
        with self.refused("it is checking now"):
            self.reconciliation.unlink()
        self.reconciliation.run_check()
        run = self.env[RUN].browse(self.reconciliation.action_queue_failed()["res_id"])
        with self.refused("a run still queues"):
            self.reconciliation.domain = "[]"
        with self.refused("a run still queues"):
            self.reconciliation.unlink()
        self.work_off(run)

        self.assertEqual(sorted(missing["failed"].ids), self.sent_ids(run))
        self.reconciliation.domain = "[]"
        self.assertEqual({}, self.counts(), "found with another filter")
        self.reconciliation.unlink()

    def test_the_action_is_for_another_model_now(self):
        """Ids of one model aren't queued as those of another."""
        self.make_missing(2)
        self.check()
        self.env.cr.execute(
            "UPDATE ir_act_server SET model_id = %s WHERE id = %s",
            (self.env["ir.model"]._get_id("res.users"), self.shop.id),
        )
        self.env.invalidate_all()

        with self.refused("for another model or endpoint since .* Press Check Now"):
            self.reconciliation.action_queue_missing()
        self.reconciliation.write({"domain": "[]"})
        self.check()
        self.assertEqual("res.users", self.reconciliation.res_model)
        self.assertFalse(self.reconciliation.message)

    def test_the_action_changes_during_a_check(self):
        """It ends with a message and without a result."""
        self.reconciliation.action_check()
        self.shop.bwt_webhook_endpoint_id = self.env[ENDPOINT].create(
            {"name": "O", "code": "o", "target_hostname": self.receiver.url}
        )

        self.reconciliation.run_check()

        self.assertEqual("idle", self.reconciliation.state)
        self.assertIn("another model or endpoint", self.reconciliation.message)
        self.check()
        self.assertEqual("o", self.reconciliation.endpoint_id.code)

    def test_model_uninstalled(self):
        self.reconciliation.action_check()
        self.env.cr.execute(
            "UPDATE ir_model SET model = 'x.gone' WHERE id = %s", (self.model.id,)
        )
        self.env.invalidate_all()

        self.reconciliation.run_check()

        self.assertIn("isn't installed any more", self.reconciliation.message)
        with self.refused("aren't stored"):
            self.reconciliation.action_check()

    def test_who_saved_it_is_archived(self):
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        self.reconciliation.with_user(admin).domain = str(self.domain)
        admin.active = False

        self.check()

        self.assertIn("The user who saved it is archived", self.reconciliation.message)
        self.assertFalse(self.reconciliation.checked_at)

    def test_a_field_that_the_user_may_not_read(self):
        """The check says so instead of telling what the field contains."""
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        self.patch(
            self.env["res.partner"]._fields["ref"], "groups", "base.group_system"
        )
        self.reconciliation.with_user(admin).domain = "[('ref', '=', 'x')]"

        self.check()

        self.assertRegex(self.reconciliation.message, "ref|Reference")
        self.assertFalse(self.reconciliation.checked_at)

    def test_resume_after_another_check(self):
        """Its result is gone: it would end as done without having queued it."""
        self.make_missing(2)
        self.check()
        run = self.env[RUN].browse(self.reconciliation.action_queue_failed()["res_id"])
        run._end("failed", "Why")
        self.check()

        with self.refused("was checked again"):
            run.action_resume_run()

    def test_a_run_that_starts_during_a_check(self):
        """Two users press at the same moment: the result that a run reads is kept."""
        missing = self.make_missing(2)
        self.check()
        # Their transactions don't see each other.
        values = {"state": "checking", "check_number": 2, "last_id": 0}
        run = self.reconciliation._start_run(["failed"])
        self.reconciliation.write(values)

        self.reconciliation.run_check()
        self.assertEqual("idle", self.reconciliation.state)
        self.work_off(run)

        self.assertEqual(sorted(missing["failed"].ids), self.sent_ids(run))

    def test_whose_records(self):
        """Of who saved the settings, not of who presses Check Now."""
        other = self.env["res.company"].create({"name": "Other"})
        self.contacts[:5].company_id = other
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        self.reconciliation.with_user(admin).write(
            {"domain": str(self.domain), "date_field": "create_date"}
        )

        self.check()

        self.assertEqual(admin, self.reconciliation.user_id)
        self.assertEqual({"delivered": 20}, self.counts())

    def test_engine_fields(self):
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)
        for vals in ({"user_id": 2}, {"state": "checking"}, {"failed_count": 7}):
            with self.subTest(vals), self.refused("can't be set by hand", AccessError):
                self.reconciliation.with_user(admin).write(vals)

    def test_the_form(self):
        """An administrator creates one without reading server actions."""
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        with Form(self.env[RECONCILIATION].with_user(admin)) as form:
            form.action_choice = str(self.shop.id)
            form.domain = str(self.domain)
            self.assertEqual(self.endpoint, form.endpoint_id)
        made = form.save()

        self.assertEqual(admin, made.user_id)
        self.assertEqual("Contact to the shop", made.name)
        self.assertEqual(30, made.since_days)
