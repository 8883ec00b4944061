# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action: a webhook never stops the work of the user who triggers it."""

import json

from psycopg2 import errors as pg_errors

from odoo.exceptions import AccessError, UserError
from odoo.sql_db import db_connect
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.lane import sql

from ..constants import DELIVERY, ENDPOINT, RECOVER, SKIP
from .action_case import ServerActionCase
from .common import CommittedCase

PREPARE = "odoo.addons.bwt_webhooks_outbound.lane.batch"


class FailureCase(ServerActionCase):
    """A rule on contacts whose action sends a field that may raise."""

    def setUp(self):
        super().setUp()
        self.need_test_addon("base.automation")
        [self.rule_action] = self.rule(self.action("name", "email_formatted"))
        self.enterContext(mute_logger(PREPARE))

    def not_built(self, record=None):
        """A delivery that could not be built, of a save."""
        record = record or self.partner
        self.fail_to_compute(lambda partner: partner.name == "Bad")
        record.name = "Bad"
        return self.queued(record)


@tagged("post_install", "-at_install")
class TestEndpointState(FailureCase):
    def test_a_draft_endpoint_stores_drafts(self):
        """The save goes through and nothing is lost: Queue sends it later."""
        self.endpoint.state = "draft"

        self.partner.name = "Countess"

        delivery = self.queued(self.partner)
        self.assertEqual("draft", delivery.state)
        self.assertEqual(self.rule_action, delivery.server_action_id)
        self.endpoint.state = "active"
        delivery.action_queue_delivery()
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)

    def test_an_archived_endpoint_skips_and_counts(self):
        """The save goes through; the endpoint says how many were not queued."""
        self.endpoint.state = "archived"

        self.partner.name = "Countess"
        self.company.child_ids.write({"name": "Both"})

        self.assertFalse(self.queued(self.partner, *self.company.child_ids))
        self.assertEqual(3, self.endpoint.skipped_count)
        self.assertTrue(self.endpoint.last_skipped_at)

    def test_counts_are_summed_up(self):
        """The vacuum leaves one row per endpoint, and the figures stay."""
        other = self.endpoint.copy({"code": "other", "state": "archived"})
        self.endpoint.state = "archived"
        for endpoint in (self.endpoint, other, self.endpoint):
            self.env[SKIP]._count(endpoint, self.rule_action, self.partner.browse())
        last = self.endpoint.last_skipped_at

        self.env[SKIP]._gc_sum_up()

        (self.endpoint | other).invalidate_recordset()
        self.assertEqual([2, 1], (self.endpoint | other).mapped("skipped_count"))
        self.assertEqual(last, self.endpoint.last_skipped_at)
        ours = [("endpoint_id", "in", (self.endpoint | other).ids)]
        self.assertEqual(2, self.env[SKIP].search_count(ours))

    def test_a_paused_endpoint_takes_deliveries(self):
        """Pausing stops sending, not queueing."""
        self.endpoint.is_paused = True

        self.partner.name = "Countess"

        self.assertEqual(["queued"], self.queued(self.partner).mapped("state"))


@tagged("post_install", "-at_install", "any_database")
class TestNotBuilt(FailureCase):
    def test_a_field_that_raises_does_not_stop_the_save(self):
        """What can't be built is kept with action, record and reason."""
        delivery = self.not_built()

        self.assertEqual("Bad", self.partner.name)
        self.assertEqual(
            ("error", self.rule_action, "res.partner", "build", True, False),
            (
                delivery.state,
                delivery.server_action_id,
                delivery.res_model,
                delivery.failure_reason,
                delivery.needs_build,
                delivery.next_attempt_at,
            ),
        )
        self.assertIn('Server Action "Tell the shop"', delivery.processing_error)
        self.assertIn("ZeroDivisionError: no address", delivery.processing_error)
        self.assertIn("press Queue", delivery.status_message)

    def test_errors_of_every_kind_are_kept(self):
        """Whatever a computed field raises stays with the delivery."""
        for error in (UserError, AccessError, RecursionError, MemoryError, KeyError):
            with self.subTest(error.__name__):
                partner = self.env["res.partner"].create({"name": "Good"})
                with mute_logger(PREPARE):
                    self.fail_to_compute(lambda each: each.name == "Bad", error)
                    partner.name = "Bad"

                self.assertEqual("error", self.queued(partner).state)
                self.assertIn("no address", self.queued(partner).processing_error)

    def test_a_database_error_of_a_field_leaves_the_transaction_usable(self):
        """Its savepoint takes the error away: the save and the delivery stay."""
        compute = type(self.partner)._compute_email_formatted

        def divide(partners):
            partners.env.cr.execute("SELECT 1 / 0")
            return compute(partners)

        self.patch(type(self.partner), "_compute_email_formatted", divide)

        with mute_logger("odoo.sql_db"):
            self.partner.name = "Countess"

        self.assertEqual("error", self.queued(self.partner).state)
        self.env.cr.execute(
            "SELECT name FROM res_partner WHERE id = %s", (self.partner.id,)
        )
        self.assertEqual([("Countess",)], self.env.cr.fetchall())

    def test_queue_builds_it_again(self):
        """With the values of the record as it is then; it is sent."""
        delivery = self.not_built()

        with self.refused("ZeroDivisionError: no address"):
            delivery.action_queue_delivery()
        self.assertEqual("error", delivery.state)
        self.rule_action.base_automation_id.active = False
        self.partner.name = "Good"
        delivery.action_queue_delivery()

        self.assertEqual(("queued", False), (delivery.state, delivery.needs_build))
        self.assertEqual("Good", json.loads(delivery.payload_json)["name"])
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)

    def test_retry_now_and_a_replay_build_it_too(self):
        """No way into the queue sends a payload that was never built."""
        delivery = self.not_built()
        replay = self.env[DELIVERY].browse(
            delivery.action_create_replay_delivery()["res_id"]
        )
        self.rule_action.base_automation_id.active = False
        self.partner.name = "Good"

        replay.action_queue_delivery()
        delivery.action_retry_now()

        self.assertEqual(["Good", "Good"], self.sent_names(self.partner))

    def test_a_payload_by_hand_is_sent_as_it_is(self):
        """After Reset to Draft what a user writes isn't replaced."""
        delivery = self.not_built()

        delivery.action_reset_to_draft()
        delivery.payload_json = '{"name": "By hand"}'
        delivery.action_queue_delivery()

        self.assertEqual(["By hand"], self.sent_names(self.partner))

    def test_a_record_that_is_gone_is_named(self):
        """There is nothing left to build from, and Queue says so."""
        delivery = self.not_built(self.company.child_ids[0])

        self.company.child_ids[0].unlink()

        with self.refused("was deleted, so its payload can't be built"):
            delivery.action_queue_delivery()

    def test_it_keeps_nothing_of_its_order_waiting(self):
        """What was never built must not hold back what comes after."""
        self.endpoint.ordering = "endpoint"
        bad = self.not_built()
        after = self.endpoint.queue_delivery({})

        self.assertEqual((False, 0), (bad.ordering_group, bad.queue_number))
        self.assertNotIn("Waits behind", after.status_message)
        after.process_delivery()
        self.assertEqual("done", after.state)

    def test_a_change_of_the_order_adds_it_to_no_group(self):
        """Regrouping what waits leaves it out."""
        bad = self.not_built()
        waiting = self.endpoint.queue_delivery({})

        self.env.flush_all()
        self.env.cr.execute(sql.regroup(self.endpoint.id, "endpoint"))

        (bad | waiting).invalidate_recordset()
        self.assertEqual(["*", False], (waiting | bad).mapped("ordering_group"))

    def test_a_path_that_is_gone_does_not_stop_the_save(self):
        """A field was removed after the action was saved: the fault is shown."""
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_action_line SET source_expression = 'gone' "
            "WHERE action_id = %s AND source_expression = 'email_formatted'",
            (self.rule_action.id,),
        )
        self.env.invalidate_all()

        self.partner.name = "Countess"

        self.assertEqual("error", self.queued(self.partner).state)
        self.assertIn('"gone"', self.queued(self.partner).processing_error)
        self.assertIn('"gone"', self.rule_action.bwt_webhook_fault)
        self.assertFalse(self.rule_action.warning, "Odoo refuses to run it then")

    def test_a_missing_path_token_does_not_stop_the_save(self):
        """It is an error of the delivery, shown there."""
        self.endpoint.target_path = "/orders/{order_id}"

        self.partner.name = "Countess"

        self.assertEqual(["queued"], self.queued(self.partner).mapped("state"))

    def test_one_bad_record_among_many_is_alone(self):
        """The others are queued, each once."""
        partners = self.env["res.partner"].create(
            [{"name": f"Contact {number}"} for number in range(7)]
        )
        self.queued(*partners).unlink()
        action = self.action("name", "email_formatted")
        self.fail_to_compute(lambda partner: partner == partners[4])

        self.run_on(action, partners)

        states = {each.res_id: each.state for each in self.queued(*partners)}
        expected = dict.fromkeys(partners.ids, "queued") | {partners[4].id: "error"}
        self.assertEqual(expected, states)
        self.assertEqual(7, len(self.queued(*partners)))

    def test_a_plain_user_may_save(self):
        """Neither the failure nor what it stores needs rights of webhooks."""
        user = self.user("internal")
        user.group_ids |= self.env.ref("base.group_partner_manager")
        self.endpoint.responsible_id = self.env.user
        self.fail_to_compute(lambda partner: partner.name == "Bad")

        self.partner.with_user(user).name = "Bad"
        self.env.flush_all()

        self.assertEqual("error", self.queued(self.partner).state)

    def test_a_deletion_sends_the_values_as_of_the_deletion(self):
        """And one that can't be built lets the record go."""
        self.rule_action.base_automation_id.trigger = "on_unlink"
        self.fail_to_compute(lambda partner: partner.name == "Bad")
        good, bad = self.company.child_ids
        bad.name = "Bad"

        self.company.child_ids.unlink()

        found = self.queued(good, bad)
        self.assertEqual(["queued", "error"], found.mapped("state"))
        self.assertEqual("Ada", json.loads(found[0].payload_json)["name"])

    def test_nobody_but_the_engine_names_the_action(self):
        """What names one is built as superuser: no user may write it."""
        administrator = self.user("administrator")
        deliveries = self.env[DELIVERY].with_user(administrator)
        own = deliveries.create({"endpoint_id": self.endpoint.id})

        for vals in (
            {"server_action_id": self.rule_action.id},
            {"needs_build": True},
        ):
            with self.refused("can't be set", AccessError):
                own.write(vals)
            with self.refused("can't be set", AccessError):
                deliveries.create({"endpoint_id": self.endpoint.id, **vals})

    def test_an_operator_reads_which_action_queued_it(self):
        """The form names it to those who may not open server actions."""
        delivery = self.not_built().with_user(self.user("operator"))

        name = {"fields": {"display_name": {}}}
        [read] = delivery.web_read({"server_action_id": name})

        self.assertEqual("Tell the shop", read["server_action_id"]["display_name"])

    def test_a_delivery_whose_action_was_deleted_says_what_to_do(self):
        """Queue can't build without the action."""
        delivery = self.not_built()
        self.rule_action.unlink()

        with self.refused("server action that queued it was deleted"):
            delivery.action_queue_delivery()


@tagged("post_install", "-at_install")
class TestRefuse(FailureCase):
    def test_refuse_raises(self):
        """Who chose it wants no work saved whose webhook is not queued."""
        self.rule_action.bwt_webhook_failure_mode = "refuse"
        for state in ("draft", "archived"):
            self.endpoint.state = state
            with self.refused("accepts no deliveries"):
                self.partner.name = "Countess"
        self.endpoint.state = "active"

        self.fail_to_compute(lambda partner: partner.name == "Bad", UserError)
        with self.refused("no address", UserError):
            self.partner.name = "Bad"


@tagged("post_install", "-at_install")
class TestUsersWork(FailureCase):
    def test_the_users_own_errors_are_theirs(self):
        """What the user wrote is flushed before: its error isn't the webhook's."""
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(pg_errors.CheckViolation),
            self.env.cr.savepoint(),
        ):
            self.partner.write({"name": False, "type": "contact"})

        self.env.invalidate_all()
        self.assertFalse(self.queued(self.partner))

    def test_what_odoo_retries_passes(self):
        """A serialization failure or a deadlock is Odoo's to retry, as it is."""

        def wrapped(text):
            try:
                raise pg_errors.SerializationFailure(text)
            except pg_errors.SerializationFailure as error:
                failure = UserError(text)
                failure.__cause__ = error
                return failure

        for raised, seen in (
            (pg_errors.SerializationFailure, pg_errors.SerializationFailure),
            (pg_errors.DeadlockDetected, pg_errors.DeadlockDetected),
            (wrapped, pg_errors.SerializationFailure),
        ):
            self.fail_to_compute(lambda partner: partner.name == "Bad", raised)
            with (
                self.subTest(seen.__name__),
                self.assertRaises(seen),
                self.env.cr.savepoint(),
            ):
                self.partner.name = "Bad"

    def test_an_error_that_the_caller_handles_is_not_the_webhooks(self):
        """A save in an `except` block is guarded as any other."""
        self.fail_to_compute(lambda partner: partner.name == "Bad")

        try:
            raise pg_errors.SerializationFailure("the caller's own")
        except pg_errors.SerializationFailure:
            self.partner.name = "Bad"

        self.assertEqual("error", self.queued(self.partner).state)

    def test_a_lock_that_is_not_free_passes(self):
        """Odoo runs the request again, for it waits for nobody."""
        compute = type(self.partner)._compute_email_formatted

        def lock(partners):
            partners.env.cr.execute(
                "SELECT FROM res_lang ORDER BY id LIMIT 1 FOR UPDATE NOWAIT"
            )
            return compute(partners)

        with db_connect(self.env.cr.dbname).cursor() as other:
            other.execute("SELECT FROM res_lang ORDER BY id LIMIT 1 FOR UPDATE")
            self.patch(type(self.partner), "_compute_email_formatted", lock)

            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(pg_errors.LockNotAvailable),
                self.env.cr.savepoint(),
            ):
                self.partner.name = "Countess"

    def test_the_users_cache_stays(self):
        """New records keep their values, and what was pending is written."""
        new = self.env["res.partner"].new(
            {"name": "New", "child_ids": [(0, 0, {"name": "Child"})]}
        )
        byron = self.company.child_ids[1]
        byron.ref = "pending"
        wizard = self.env[RECOVER].new({"with_errors": False})

        delivery = self.not_built()

        self.assertTrue(delivery.needs_build)
        self.assertEqual(("New", "Child"), (new.name, new.child_ids.name))
        self.assertEqual(("Bad", "pending"), (self.partner.name, byron.ref))
        self.assertFalse(wizard.with_errors)
        self.env.invalidate_all()
        self.assertEqual(("Bad", "pending"), (self.partner.name, byron.ref))

    def test_what_a_failing_field_wrote_is_undone(self):
        """Neither the database nor the cache keeps half of a failed build."""
        byron = self.company.child_ids[1]

        def write_and_fail(partners):
            byron.ref = "half"
            byron.flush_recordset()
            byron.function = "pending"
            raise ZeroDivisionError

        self.patch(type(self.partner), "_compute_email_formatted", write_and_fail)

        self.partner.name = "Countess"

        self.assertEqual((False, False), (byron.ref, byron.function))
        self.env.invalidate_all()
        self.assertEqual((False, False), (byron.ref, byron.function))
        self.assertEqual("Countess", self.partner.name)

    def test_precommit_hooks_of_the_user_run_once(self):
        """A savepoint that flushes would run them at each firing."""
        seen = []
        self.env.cr.precommit.add(lambda: seen.append(1))

        self.partner.name = "Countess"

        self.assertEqual([], seen)
        self.env.cr.precommit.clear()


@tagged("post_install", "-at_install")
class TestNotified(FailureCase):
    def jobs(self):
        return self.env["queue.job"].search([("method_name", "=", "notify_not_queued")])

    def activities(self):
        return self.env["mail.activity"].search(
            [("res_model", "=", ENDPOINT), ("res_id", "=", self.endpoint.id)]
        )

    def test_the_responsible_user_is_notified_once_a_day(self):
        """By a job of the same transaction, not in the user's own."""
        self.endpoint.responsible_id = self.user("operator")
        before = self.jobs()

        self.not_built()
        job = self.jobs() - before
        self.assertEqual(1, len(job))
        self.assertFalse(self.activities())
        self.endpoint.notify_not_queued()
        for partner in self.company.child_ids:
            partner.name = "Bad"

        self.assertEqual(self.endpoint.responsible_id, self.activities().user_id)
        self.assertEqual(job, self.jobs() - before)

    def test_an_endpoint_that_is_not_active_is_notified(self):
        """Drafts and skips would pile up with nobody knowing."""
        self.endpoint.responsible_id = self.user("operator")
        for state, message in (("draft", "stored as drafts"), ("archived", "skipped")):
            with self.subTest(state):
                self.endpoint.state = state
                self.activities().unlink()
                self.jobs().unlink()

                self.partner.name = state
                self.endpoint.notify_not_queued()
                self.company.name = state

                self.assertEqual(1, len(self.jobs()))
                self.assertIn(message, self.activities().note)

    def test_without_a_responsible_user_nobody_is(self):
        """No job is left that finds nobody."""
        before = self.jobs()

        self.not_built()

        self.assertEqual(before, self.jobs())


@tagged("post_install", "-at_install")
class TestByHand(FailureCase):
    """Buttons, lists and schedules."""

    def setUp(self):
        super().setUp()
        self.by_hand = self.action("name", "email_formatted")
        self.by_hand.create_action()

    def message(self):
        params = self.response["params"]
        return params["type"], params["message"]

    def test_the_responsible_user_reads_what_was_not_queued(self):
        """Errors are reported to a user who pressed a button."""
        self.fail_to_compute(lambda partner: partner == self.company)

        self.run_on(self.by_hand, self.partner | self.company)

        kind, message = self.message()
        self.assertEqual("warning", kind)
        self.assertIn("1 queued for Shop orders.", message)
        self.assertRegex(message, "1 could not be built.*no address")

    def test_the_responsible_user_reads_the_state_of_the_endpoint(self):
        """Drafts and skips are distinguished from what was queued."""
        self.endpoint.state = "draft"
        self.run_on(self.by_hand, self.partner | self.company)
        self.assertEqual(
            ("warning", "2 stored as draft: Shop orders is in draft."), self.message()
        )

        self.endpoint.state = "archived"
        self.run_on(self.by_hand, self.partner)
        self.assertEqual(
            ("warning", "1 skipped: Shop orders is archived."), self.message()
        )

    def test_a_scheduled_run_keeps_what_failed(self):
        """A filter that fails is an error to be queued again, not a dead schedule."""
        action = self.action(
            "name",
            usage="ir_cron",
            bwt_webhook_without_records="domain",
            bwt_webhook_domain="[('ref', '=', 'A-1')]",
        )
        self.company.ref = "A-2"
        self.env.cr.execute(
            "UPDATE ir_act_server SET bwt_webhook_domain = 'nonsense' WHERE id = %s",
            (action.id,),
        )
        self.env.invalidate_all()

        self.assertFalse(action.run())

        delivery = self.env[DELIVERY].search([("server_action_id", "=", action.id)])
        self.assertEqual(("error", 0), (delivery.state, delivery.res_id))
        self.assertIn("nonsense", delivery.processing_error)
        with self.refused("nonsense"):
            delivery.action_queue_delivery()
        action.bwt_webhook_domain = "[('ref', 'in', ['A-1', 'A-2'])]"
        delivery.action_queue_delivery()
        found = self.env[DELIVERY].search([("server_action_id", "=", action.id)])
        self.assertEqual(
            {self.partner.id, self.company.id}, set(found.mapped("res_id"))
        )
        self.assertEqual({"queued"}, set(found.mapped("state")))


@tagged("post_install", "-at_install")
class TestSavesAtOnce(CommittedCase):
    def test_users_do_not_wait_for_each_other(self):
        """Skips of two open transactions, while an administrator edits the endpoint.

        A counter in one row would block the second user and fail the first.
        """
        self.set_up(state="archived")
        with self.registry.cursor() as one, self.registry.cursor() as other:
            for cr in (one, other):
                cr.execute("SET LOCAL lock_timeout = '100ms'")
                cr.execute("SELECT count(*) FROM res_users")  # takes the snapshot
            self.set_up(name="Renamed")
            for cr in (one, other):
                with self.transaction() as env:
                    env = env(cr=cr)
                    actions, partners = env["ir.actions.server"], env["res.partner"]
                    env[SKIP]._count(self.endpoint(env), actions, partners)
                    env.flush_all()
            one.commit()  # pylint: disable=invalid-commit  # a cursor of its own
            other.commit()  # pylint: disable=invalid-commit  # likewise

        with self.transaction() as env:
            self.assertEqual(2, self.endpoint(env).skipped_count)
