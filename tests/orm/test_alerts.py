# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who is notified of failed deliveries and of a failing target."""

from contextlib import suppress
from unittest.mock import patch

import psycopg2

from odoo import Command
from odoo.modules.module import load_script
from odoo.tests import TransactionCase, tagged
from odoo.tools import file_path

from odoo.addons.bwt_webhooks_outbound.lane import sql

from ..constants import DELIVERY, ENDPOINT, OPERATOR
from ..receiver import status
from .common import CommittedCase

FAILURES = "bwt_webhooks_outbound.mail_activity_type_dead_letter"
CIRCUIT_OPEN = "bwt_webhooks_outbound.mail_activity_type_circuit_open"
MIGRATION = "bwt_webhooks_outbound/migrations/19.0.1.2.0/pre-activity-types.py"
LANE = "odoo.addons.bwt_webhooks_outbound.lane.report"


@tagged("post_install", "-at_install")
class TestAlerts(CommittedCase):
    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            groups = [env.ref(name).id for name in OPERATOR.split(",")]
            # Without a password: to hash one takes a third of a second.
            user = env["res.users"].create(
                {
                    "name": "Responsible",
                    "login": f"responsible-{id(self)}",
                    "email": "responsible@example.com",
                    "group_ids": [Command.set(groups)],
                }
            )
            self.user_id = user.id
        self.addCleanup(self._take_user_away)
        self.set_up(responsible_id=self.user_id, retry_schedule="1h")

    def _take_user_away(self):
        with self.transaction() as env:
            env["mail.activity"].with_context(active_test=False).search(
                [("user_id", "=", self.user_id)]
            ).unlink()
            env["res.users"].browse(self.user_id).active = False

    def activities(self, xml_id, active_test=True):
        """(user, open) of the activities of this endpoint."""
        with self.transaction() as env:
            found = env["mail.activity"].with_context(active_test=active_test)
            found = found.search(
                [
                    ("res_model", "=", ENDPOINT),
                    ("res_id", "=", self.endpoint_id),
                    ("activity_type_id", "=", env.ref(xml_id).id),
                ]
            )
            return [(each.user_id.id, each.active) for each in found]

    def notes(self):
        """Texts of the endpoint's chatter, newest first."""
        with self.transaction() as env:
            return [str(each.body) for each in self.endpoint(env).message_ids]

    def press(self, button, ids):
        """An operator's button on deliveries."""
        with self.transaction() as env:
            getattr(env[DELIVERY].with_user(self.user_id).browse(ids), button)()

    def failed_permanently(self, count=1):
        """Ids of deliveries that the target refused for good."""
        self.receiver.script("/in", *[status(404)] * count)
        ids = self.queue(*range(count))
        self.run_lane()
        self.assertEqual(["dead_letter"] * count, self.states(ids))
        return ids

    def test_one_activity_per_endpoint_and_day(self):
        """Thirty dead letters in several lanes are one activity, not thirty."""
        self.failed_permanently(20)
        self.failed_permanently(10)

        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_what_was_marked_as_done_stays_done_today(self):
        """The user who ticked it off knows; tomorrow's is a new one."""
        self.failed_permanently()
        with self.transaction() as env:
            activities = env["mail.activity"].search([("user_id", "=", self.user_id)])
            activities.action_feedback(feedback="I know")
        self.failed_permanently()
        self.assertEqual([], self.activities(FAILURES))

        with self.transaction() as env:
            env.cr.execute(
                "UPDATE mail_activity SET create_date = create_date - interval '1 day' "
                "WHERE user_id = %s",
                (self.user_id,),
            )
        self.failed_permanently()
        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_it_closes_itself_when_nothing_needs_attention(self):
        """The last one that is taken up again closes it, with a note."""
        first, second = self.failed_permanently(2)
        self.press("action_retry_now", [first])
        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

        self.press("action_reset_to_draft", [second])

        self.assertEqual([], self.activities(FAILURES, active_test=False))
        self.assertIn("No deliveries need attention any more.", self.notes()[0])

    def test_what_closed_itself_is_notified_again(self):
        """Resolved, and failing again the same day: the user is notified again."""
        ids = self.failed_permanently()
        self.press("action_reset_to_draft", ids)

        self.failed_permanently()

        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_an_error_without_a_date_is_notified_too(self):
        """What can't be built needs attention as much as a dead letter."""
        self.set_up(target_path="/in/{order_id}")
        ids = self.queue({})
        self.run_lane()

        self.assertEqual(["error"], self.states(ids))
        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_what_was_interrupted_too_often_is_notified(self):
        """What may be killing the worker needs attention as well."""
        ids = self.queue({})
        with self.transaction() as env:
            env[DELIVERY].browse(ids).write(
                {"state": "processing", "interruption_count": 4, "lane_slot": 0}
            )

        self.run_lane()

        self.assertEqual(["error"], self.states(ids))
        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_a_planned_retry_notifies_nobody(self):
        """What resolves itself needs no manual intervention."""
        self.receiver.script("/in", status(503))
        self.queue({})
        self.run_lane()

        self.assertEqual([], self.activities(FAILURES))

    def test_nobody_responsible_nobody_notified(self):
        """The lane continues silently."""
        self.set_up(responsible_id=False)

        self.failed_permanently(2)

        self.assertEqual([], self.activities(FAILURES))

    def test_a_failed_notification_does_not_stop_the_lane(self):
        """A note that can't be written loses neither results nor deliveries."""
        with self.transaction() as env:
            # A database error during the notification, as a broken addon makes one.
            env.cr.execute(
                "CREATE FUNCTION bwt_test_refuse() RETURNS trigger AS "
                "$$ BEGIN RAISE EXCEPTION 'refused'; END $$ LANGUAGE plpgsql"
            )
            env.cr.execute(
                "CREATE TRIGGER bwt_test_refuse BEFORE INSERT ON mail_activity "
                "EXECUTE FUNCTION bwt_test_refuse()"
            )
        self.addCleanup(self._drop_trigger)
        with self.assertLogs(LANE, "WARNING"), self.assertLogs("odoo.sql_db", "ERROR"):
            self.failed_permanently(3)

    def _drop_trigger(self):
        with self.transaction() as env:
            env.cr.execute("DROP TRIGGER bwt_test_refuse ON mail_activity")
            env.cr.execute("DROP FUNCTION bwt_test_refuse()")

    def test_second_lane(self):
        """A lane in the second slot notifies as the first one does.

        It held the lock of its slot, which was the lock for notifications: with two
        lanes nobody heard of dead letters.
        """
        self.set_up(parallel_lanes=2)

        with self.read_committed() as first_lane:
            first_lane.cr.execute(sql.try_slot(self.endpoint_id, 0))
            self.failed_permanently(3)

        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_failure_is_tried_again(self):
        """A lane that could not notify does so later, for what it recorded before.

        The day counted as done before the user was notified.
        """
        self.set_up(parallel_lanes=2)
        self.receiver.script("/in", status(404), status(404))
        self.queue(1, 2)
        notify = self.registry[ENDPOINT]._notify_of_failures
        calls = []

        def fail_once(endpoint):
            calls.append(endpoint.id)
            if len(calls) == 1:
                raise ValueError("mail is broken")
            return notify(endpoint)

        self.enterContext(
            patch.object(self.registry[ENDPOINT], "_notify_of_failures", fail_once)
        )

        with self.assertLogs(LANE, "WARNING"):
            self.run_lane()

        self.assertEqual(2, len(calls))
        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_swallowed_database_error_while_notifying(self):
        """An addon that swallows a database error is found out, and it is tried again.

        The commit rolled back in silence, and the user counted as notified.
        """

        def swallow(endpoint, *args, **kwargs):
            with suppress(psycopg2.Error):
                endpoint.env.cr.execute("SELECT 1 / 0", log_exceptions=False)

        self.enterContext(
            patch.object(self.registry[ENDPOINT], "activity_schedule", swallow)
        )

        with self.assertLogs(LANE, "WARNING") as logs:
            self.failed_permanently(3)

        self.assertIn("division by zero", "".join(logs.output))

    def test_failing_post_on_a_circuit_change(self):
        """A chatter post that fails stops neither recording nor sending.

        The lane ended, with other requests in flight.
        """
        self.set_up(circuit_threshold=1, retry_schedule="1s")
        self.receiver.script("/in", status(503))

        def fail(endpoint, *args, **kwargs):
            raise ValueError("chatter is broken")

        self.enterContext(patch.object(self.registry[ENDPOINT], "message_post", fail))
        ids = self.queue(1)

        with self.assertLogs(LANE, "WARNING") as logs:
            self.run_lane()

        self.assertIn("chatter is broken", "".join(logs.output))
        self.assertEqual(["error"], self.states(ids))
        self.assertEqual(1, len(self.pending()))

    def test_language_that_was_archived(self):
        """A responsible user of an archived language is notified in an active one."""
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE res_partner SET lang = 'xx_XX' WHERE id = %s",
                (env["res.users"].browse(self.user_id).partner_id.id,),
            )

        self.failed_permanently()

        self.assertEqual([(self.user_id, True)], self.activities(FAILURES))

    def test_an_opening_circuit_is_notified_and_closes_itself(self):
        """One activity while the circuit is open; the first response closes it."""
        self.set_up(circuit_threshold=2, retry_schedule="1s,1s,1s,1s", max_in_flight=1)
        self.receiver.script("/in", status(503), status(503), status(503), status(200))
        ids = self.queue(1, 2)
        self.run_lane()
        self.assertEqual([(self.user_id, True)], self.activities(CIRCUIT_OPEN))

        self._probe(ids)
        self.assertEqual([(self.user_id, True)], self.activities(CIRCUIT_OPEN))
        self._probe(ids)

        self.assertEqual([], self.activities(CIRCUIT_OPEN, active_test=False))
        self.assertIn("The target responds again: sending resumes.", self.notes()[0])

    def _probe(self, ids):
        """The cool-down has passed; a lane runs."""
        self.make_due(ids)
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE bwt_webhook_outbound_endpoint_health "
                "SET next_probe_at = now() AT TIME ZONE 'UTC' - interval '1 second' "
                "WHERE endpoint_id = %s",
                (self.endpoint_id,),
            )
        self.run_lane()

    def test_close_circuit_closes_it(self):
        """A user who closes the circuit knows of it."""
        self.receiver.script("/in", status(410))
        self.queue(1)
        self.run_lane()
        self.assertEqual([(self.user_id, True)], self.activities(CIRCUIT_OPEN))

        with self.transaction() as env:
            self.endpoint(env).action_reset_circuit()

        self.assertEqual([], self.activities(CIRCUIT_OPEN, active_test=False))
        self.assertIn("pressed Close Circuit", self.notes()[0])


@tagged("post_install", "-at_install")
class TestActivityTypes(TransactionCase):
    def test_an_update_keeps_the_types_under_their_new_names(self):
        """The activities of an updated database keep their type.

        A type loaded under a new name would be another record, and the activities of
        the old one would never close.
        """
        kept = self.env.ref(FAILURES) + self.env.ref(CIRCUIT_OPEN)
        names = self.env["ir.model.data"].search(
            [("model", "=", kept._name), ("module", "=", "bwt_webhooks_outbound")]
        )
        current = names.filtered(lambda name: name.res_id in kept.ids).sorted("res_id")
        (names - current).unlink()  # of a database that was updated without it
        for name, old in zip(current, ("given_up", "resting"), strict=True):
            name.name = f"mail_activity_type_{old}"
        self.env.flush_all()

        migration = load_script(file_path(MIGRATION), "pre_activity_types")
        migration.migrate(self.env.cr, "19.0.1.0.0")
        self.env.invalidate_all()
        self.env.registry.clear_cache()

        self.assertEqual(kept, self.env.ref(FAILURES) + self.env.ref(CIRCUIT_OPEN))
