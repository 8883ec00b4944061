# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs that wait, fail or are refused, and whose records they send."""

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError
from odoo.tests import Form
from odoo.tests.common import new_test_user
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.models.run import PACE_MAX

from ..constants import ADMINISTRATOR, ENDPOINT, OPERATOR, RUN
from .run_case import FAST, RunCase


class TestRunsThatWait(RunCase):
    def assert_waits(self, run, pattern):
        before = run.processed_count
        self.feed(run)
        self.assertEqual(("running", before), (run.state, run.processed_count))
        self.assertRegex(run.message, pattern)

    def test_endpoint_archived(self):
        """It says so, queues and skips nothing, and continues by itself."""
        run = self.backfill(pace=600)
        self.feed(run)

        self.endpoint.action_archive()
        self.assert_waits(run, "It waits: the endpoint isn't active. Activate")
        self.assertEqual(0, self.endpoint.skipped_count)
        self.endpoint.action_activate()
        self.work_off(run)

        self.assertEqual(sorted(self.contacts.ids), self.sent_ids(run))

    def test_endpoint_paused(self):
        """Deliveries would wait, and later ones behind them."""
        run = self.backfill(pace=600)

        self.endpoint.action_pause()
        self.assert_waits(run, "It waits. The endpoint is paused")
        self.endpoint.action_resume()
        self.work_off(run)

        self.assertEqual("done", run.state)

    def test_circuit_open(self):
        """A target that fails gets no backlog."""
        run = self.backfill(pace=600)
        health = self.env[f"{ENDPOINT}.health"].sudo()
        health = health.search([("endpoint_id", "=", self.endpoint.id)])

        health.circuit_state = "open"
        self.endpoint.invalidate_recordset()
        self.assert_waits(run, "It waits. The circuit is open")
        health.circuit_state = "closed"
        self.endpoint.invalidate_recordset()
        self.work_off(run)

        self.assertEqual("done", run.state)


class TestRunsThatFail(RunCase):
    def assert_fails(self, run, pattern):
        self.feed(run)
        self.assertEqual("failed", run.state)
        self.assertRegex(run.message, pattern)

    def test_action_deleted(self):
        """What it would send isn't known any more."""
        run = self.backfill(pace=600)
        self.shop.unlink()
        run.invalidate_recordset()

        self.assert_fails(run, "server action was deleted. Create another run")

    def test_model_uninstalled(self):
        """The addon of its model was uninstalled: a message instead of a traceback."""
        run = self.backfill(pace=600)
        self.env.cr.execute(
            "UPDATE ir_model SET model = 'x.gone' WHERE id = %s", (self.model.id,)
        )
        self.env.invalidate_all()

        self.assert_fails(run, "The model res.partner isn't installed any more")

    def test_another_endpoint(self):
        """Half of the records at one target and half at another helps nobody."""
        run = self.backfill(pace=600)
        self.shop.bwt_webhook_endpoint_id = self.env[ENDPOINT].create(
            {"name": "O", "code": "o", "target_hostname": self.receiver.url}
        )

        self.assert_fails(run, "sends to another endpoint now")

    def test_starter_archived(self):
        """Records are read with the rights of this user, who has none any more."""
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        run = self.backfill(pace=600, user=admin)
        admin.active = False

        self.assert_fails(run, "The user who started it is archived")

    def test_filter_that_is_invalid_now(self):
        """It names a field that is gone: one message, and it continues when resumed."""
        run = self.backfill(pace=600)
        self.feed(run)
        run.domain = "[('gone', '=', 1)]"

        self.assert_fails(run, "gone")
        run.domain = str(self.domain)
        run.action_resume_run()
        self.work_off(run)

        self.assertEqual(sorted(self.contacts.ids), self.sent_ids(run))

    def test_action_that_can_build_nothing(self):
        """One message on the run, not a delivery in Error for each record."""
        run = self.backfill(pace=600)
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_action_line SET source_expression = 'gone' "
            "WHERE action_id = %s",
            (self.shop.id,),
        )
        self.env.invalidate_all()

        self.assert_fails(run, "gone")
        self.assertEqual(0, run.not_built_count)


class TestRunsRefused(RunCase):
    def test_a_second_run_of_the_action(self):
        """Each would send the records of the other once more."""
        first = self.backfill()

        with self.refused('run "Contact to the shop" of the same .* Wait for it'):
            self.backfill()
        first.action_pause_run()
        with self.refused("has not ended"):
            self.backfill()
        first.action_cancel_run()
        self.assertEqual("running", self.backfill().state)

    def test_two_that_start_at_the_same_moment(self):
        """The check of each sees none of the other: the database refuses one."""
        first, second = self.backfill(), self.backfill_draft()

        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            second.state = first.state
            second.flush_recordset()

    def backfill_draft(self):
        return self.env[RUN].create({"action_id": self.shop.id, "name": "Second"})

    def test_pace(self):
        """Zero would never end, and a negative one neither."""
        for pace in (0, -5, PACE_MAX + 1):
            with self.subTest(pace), self.refused("Enter 1 to 30000"):
                self.backfill(pace=pace)

    def test_endpoint_that_is_not_active(self):
        """Nothing could be queued."""
        self.endpoint.action_set_draft()

        with self.refused("accepts no deliveries. Activate it first"):
            self.backfill()

    def test_action_of_another_endpoint(self):
        other = self.env[ENDPOINT].create(
            {"name": "O", "code": "o", "target_hostname": self.receiver.url}
        )

        with self.refused("doesn't queue deliveries on it. Give one that does"):
            other.backfill(self.shop, self.domain)

    def test_action_of_another_type(self):
        code = self.env["ir.actions.server"].create(
            {"name": "Code", "model_id": self.model.id, "state": "code"}
        )

        with self.refused("doesn't queue webhooks. Choose one of the type"):
            self.env[RUN].create({"action_id": code.id})

    def test_filter(self):
        """Refused when it starts: a name or a field that isn't known."""
        with self.refused("can't be evaluated"):
            self.backfill(domain="[('name', '=', nobody)]")
        with self.refused("can't be evaluated: Invalid field res.partner.gone"):
            self.backfill(domain=[("gone", "=", 1)])

    def test_a_filter_with_the_rights_of_another(self):
        """A record in a filter would give all rights to those who write filters."""
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)
        for text in (
            "[('id', 'in', user.sudo().search([]).ids)]",
            "[('id', 'in', model.search([]).ids)]",
            "[('id', 'in', uid.env['res.users'].ids)]",
            "[('name', '=', b64encode(b'x'))]",
        ):
            run = self.backfill_draft().with_user(admin)
            run.domain = text
            with self.subTest(text):
                self.assertIn("can't be evaluated", run.matching_message)
                with self.refused("can't be evaluated"):
                    run.action_start_run()
        run.domain = (
            "[('create_uid', '!=', uid), ('company_id', 'in', [False, *company_ids]), "
            "('create_date', '<', context_today() - relativedelta(days=1)), "
            "('write_date', '<', datetime.datetime.now()), "
            "('create_date', '>', time.strftime('%Y-01-01'))]"
        )
        self.assertIn("minutes at this pace", run.matching_message)

    def test_copies(self):
        """Duplicate makes a draft, of a run that a reconciliation started too."""
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)
        run = self.backfill()
        run.sudo().write({"origin": "reconciliation"})

        copy = run.with_user(admin).copy()

        self.assertEqual(("draft", "backfill"), (copy.state, copy.origin))
        self.assertEqual((0, False), (copy.processed_count, copy.started_at))

    def test_endpoint_without_an_action(self):
        """The button says what is missing."""
        self.shop.unlink()

        with self.refused("no server action queues deliveries on it"):
            self.endpoint.action_backfill()

    def test_what_it_sends_is_fixed(self):
        """A filter that is changed half-way would leave records out."""
        run = self.backfill()
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)

        with self.refused("what it sends can't be changed"):
            run.with_user(admin).write({"domain": "[]"})
        run.with_user(admin).pace = 5

    def test_engine_fields(self):
        """A user who could set `user_id` would have records read as another."""
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)
        runs = self.env[RUN].with_user(admin)
        for vals in ({"user_id": 2}, {"state": "running"}, {"last_id": 7}):
            with self.subTest(vals), self.refused("can't be set by hand", AccessError):
                runs.create({"action_id": self.shop.id, **vals})
            with self.subTest(vals), self.refused("can't be set by hand", AccessError):
                self.backfill_draft().with_user(admin).write(vals)
        made = runs.with_context(default_user_id=2, default_state="running").create(
            {"action_id": self.shop.id}
        )
        self.assertEqual(("draft", False), (made.state, made.user_id.id))

    def test_delete_while_it_runs(self):
        run = self.backfill()

        with self.refused("Cancel it before you delete it"):
            run.unlink()
        run.action_cancel_run()
        run.unlink()

    def test_buttons_in_another_state(self):
        run = self.backfill()

        for button in ("action_start_run", "action_resume_run"):
            with self.subTest(button), self.refused("it is in state Running"):
                getattr(run, button)()


class TestRunRights(RunCase):
    def test_records_of_who_started_it(self):
        """Of another company's records it sends none."""
        other = self.env["res.company"].create({"name": "Other"})
        self.contacts[:5].company_id = other
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        run = self.backfill(user=admin)

        self.work_off(run)

        self.assertEqual(20, run.total_count)
        self.assertEqual(sorted(self.contacts[5:].ids), self.sent_ids(run))

    def test_companies_that_were_chosen(self):
        """Of a user's companies, those that were active when it was started."""
        other = self.env["res.company"].create({"name": "Other"})
        self.contacts[:5].company_id = other
        admin = new_test_user(
            self.env,
            "run-admin",
            f"{ADMINISTRATOR},base.group_partner_manager",
            company_ids=[(6, 0, (self.env.company | other).ids)],
        )
        endpoint = self.endpoint.with_user(admin).with_context(
            allowed_company_ids=self.env.company.ids
        )
        run = endpoint.backfill(self.shop, self.domain, pace=FAST)

        self.work_off(run)

        self.assertEqual(20, run.queued_count)

    def test_operators_pause_and_administrators_start(self):
        """Starting sends data, so it is for those who configure what is sent."""
        operator = new_test_user(self.env, "run-operator", OPERATOR)
        admin = new_test_user(self.env, "run-admin", ADMINISTRATOR)
        run = (
            self.env[RUN]
            .with_user(admin)
            .create({"action_choice": str(self.shop.id), "domain": str(self.domain)})
        )

        with self.assertRaises(AccessError):
            run.with_user(operator).action_start_run()
        run.action_start_run()
        run.with_user(operator).action_pause_run()
        run.with_user(operator).action_resume_run()
        run.with_user(operator).action_cancel_run()

        self.assertEqual(admin, run.sudo().user_id)

    def test_the_form(self):
        """By an administrator who may read no server action, from the endpoint."""
        admin = new_test_user(
            self.env, "run-admin", f"{ADMINISTRATOR},base.group_partner_manager"
        )
        action = self.endpoint.with_user(admin).action_backfill()
        runs = self.env[RUN].with_user(admin).with_context(**action["context"])
        with Form(runs) as form:
            self.assertEqual(self.endpoint, form.endpoint_id)
            form.domain = str(self.domain)
            form.pace = 10
            self.assertEqual("25, 3 minutes at this pace", form.matching_message)
        run = form.save()

        run.action_start_run()

        self.assertEqual(("running", 25), (run.state, run.total_count))
        self.assertEqual("Contact to the shop", run.name)
