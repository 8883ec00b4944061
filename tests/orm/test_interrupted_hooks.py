# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Response hooks when the worker dies between the recording and the hook."""

from unittest.mock import patch

from psycopg2.errors import DeadlockDetected

from odoo import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.lane import recovery, response_hooks
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.lane import Lane
from odoo.addons.bwt_webhooks_outbound.lane.response_hooks import TRIES_MAX
from odoo.addons.bwt_webhooks_outbound.models.const import ECHO

from ..constants import ATTEMPT, DELIVERY
from ..receiver import close, status
from .common import CommittedCase


class Killed(BaseException):
    """As a killed worker: nothing catches it, its transaction is rolled back."""


@tagged("post_install", "-at_install")
class TestInterruptedHooks(CommittedCase):
    def setUp(self):
        super().setUp()
        self.called = []
        self.kills = 0
        case = self

        def hook(delivery, response, state, outcome):
            case.called.append((response, state, outcome))
            # What a hook writes is rolled back with its transaction.
            delivery.processing_note = f"{delivery.processing_note or ''}told "
            if case.kills:
                case.kills -= 1
                delivery.env.flush_all()
                raise Killed

        self.enterContext(
            patch.object(
                self.registry[DELIVERY], "_handle_outbound_response", autospec=True
            )
        ).side_effect = hook

    def run_and_be_killed(self):
        self.kills = 1
        with self.assertRaises(Killed):
            self.run_lane()

    def note(self, ids):
        return self.committed(ids, "processing_note")[0][0]

    def marks(self):
        with self.transaction() as env:
            attempts = env[ATTEMPT].search([("endpoint_id", "=", self.endpoint_id)])
            return attempts.sorted("id").mapped("hook_try")

    def test_each_response_once(self):
        """Every response has its hook once, no mark stays; without a response none."""
        self.receiver.script("/in", status(200), status(404), close())
        self.set_up(max_in_flight=1)
        self.queue(1, 2, 3)

        self.run_lane()
        self.run_lane()

        self.assertEqual(
            ["done", "dead_letter"], [state for _response, state, _ in self.called]
        )
        self.assertEqual([0, 0, 0], self.marks())

    def test_killed_before_the_hook_is_over(self):
        """The next lane calls it with the response on record; its effect is there once.

        Otherwise the receiver's id, which only that response holds, is lost for good.
        """
        response = status(200, b'{"id": 7}', [("X-Remote-Id", "r7")])
        self.receiver.script("/in", response)
        ids = self.queue({"order": 1})
        self.run_and_be_killed()
        self.assertEqual((["done"], [1]), (self.states(ids), self.marks()))
        self.assertFalse(self.note(ids))

        self.run_lane()

        (_first, (response, state, outcome)) = self.called
        self.assertEqual("told ", self.note(ids))
        self.assertEqual([0], self.marks())
        self.assertEqual((200, "done"), (response.status_code, state))
        self.assertEqual('{"id": 7}', response.text)
        self.assertEqual("r7", response.headers["X-Remote-Id"])
        self.assertEqual(
            ("send", {"order": 1}), (outcome.status, outcome.request.payload)
        )
        self.assertEqual(1, self.receiver.total)

    def test_a_payload_that_masking_has_broken(self):
        """Masking a number makes the stored JSON invalid: the hook gets its text.

        Reading it would otherwise stop one lane after the other.
        """
        self.set_up(auth_mode="bearer", auth_secret_input="47114711")
        self.queue({"order": 47114711})
        self.run_and_be_killed()

        self.run_lane()

        outcome = self.called[-1][2]
        self.assertEqual('{"order": ***}', outcome.request.payload)
        self.assertEqual([0], self.marks())

    def test_a_hook_that_stops_its_worker(self):
        """After some tries it is dead-lettered with a note, and deliveries continue.

        Otherwise a bad response would stop each lane of the endpoint before its claim.
        """
        ids = self.queue({"order": 1})
        for _try in range(TRIES_MAX + 1):
            self.run_and_be_killed()
        more = self.queue({"order": 2})

        self.run_lane()

        self.assertEqual(["done"], self.states(more))
        self.assertIn("is not called again", self.note(ids))
        self.assertEqual([0, 0], self.marks())

    def test_interrupted_ones_run_last(self):
        """What is due is sent before a hook that was interrupted is called again.

        It may end the worker once more; it came first and held up every delivery.
        """
        self.queue({"order": 1})
        self.run_and_be_killed()
        self.called.clear()
        self.queue({"order": 2})

        self.run_lane()

        orders = [outcome.request.payload["order"] for *_, outcome in self.called]
        self.assertEqual([2, 1], orders)
        self.assertEqual([0, 0], self.marks())

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.batch")
    def test_a_recorded_response_that_cannot_be_read(self):
        """The hook's note says so, and the lane ends in order."""
        ids = self.queue({"order": 1})
        self.run_and_be_killed()
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE bwt_webhook_outbound_delivery_attempt "
                "SET request_headers_json = '{' WHERE delivery_id = ANY(%s)",
                (ids,),
            )

        self.run_lane()

        self.assertIn("JSONDecodeError", self.note(ids))
        self.assertEqual([0], self.marks())

    def test_the_sweep_sees_it(self):
        """An endpoint with a hook left and no lane coming is woken."""
        self.queue({"order": 1})
        self.run_and_be_killed()
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE queue_job SET state = 'done' WHERE identity_key LIKE %s",
                (f"bwt_webhook_outbound:%:{self.endpoint_id}:%",),
            )
            self.assertIn(
                self.endpoint_id, recovery.find_stuck_endpoints(env.cr, utcnow())
            )

        self.run_lane()

        with self.transaction() as env:
            self.assertNotIn(
                self.endpoint_id, recovery.find_stuck_endpoints(env.cr, utcnow())
            )

    def test_of_a_lane_at_work(self):
        """A hook that another lane is calling isn't called a second time."""
        ids = self.queue({"order": 1})
        self.run_and_be_killed()
        with self.read_committed() as other:
            other.cr.execute(
                "UPDATE bwt_webhook_outbound_delivery_attempt SET hook_try = NULL "
                "WHERE delivery_id = ANY(%s)",
                (ids,),
            )
            self.run_lane()
            other.cr.commit()

        self.assertEqual(1, len(self.called))


@tagged("post_install", "-at_install")
class TestInterruptedValues(CommittedCase):
    """Values of a response when the worker dies before they are stored."""

    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            self.partner_id = env["res.partner"].create({"name": "Ada"}).id
        self.addCleanup(self._remove_partner)
        self.set_up(
            answer_value_ids=[
                Command.create(
                    {
                        "source_expression": "id",
                        "target_model": "res.partner",
                        "target_field": "ref",
                    }
                ),
                Command.create(
                    {"source_expression": "id", "target_kind": "external_id"}
                ),
            ],
            create_or_update=True,
            update_path="/in/{external_id}",
            auth_mode="bearer",
            auth_secret_input="R-secret-77",
        )
        self.receiver.script("/in", status(201, b'{"id": "R-secret-77"}'))
        self.written = []
        self.fault = None
        case, write = self, self.registry["res.partner"].write

        def watched(records, vals):
            if ECHO in records.env.context:
                case.written.append(vals)
                if case.fault:
                    fault, case.fault = case.fault, None
                    raise fault
            return write(records, vals)

        self.enterContext(patch.object(self.registry["res.partner"], "write", watched))

    def _remove_partner(self):
        with self.transaction() as env:
            env["bwt.webhook.outbound.external.ref"].search([]).unlink()
            env["res.partner"].browse(self.partner_id).unlink()

    def queue_partner(self):
        with self.transaction() as env:
            partner = env["res.partner"].browse(self.partner_id)
            return self.endpoint(env).queue_delivery({}, record=partner).ids

    def remove(self, partner):
        with self.transaction() as env:
            partner.with_env(env).unlink()

    def reference(self):
        with self.transaction() as env:
            partner = env["res.partner"].browse(self.partner_id)
            return partner.ref, self.endpoint(env)._get_external_ref(
                partner
            ).external_id

    def marks(self):
        with self.transaction() as env:
            env.cr.execute(
                "SELECT hook_try, hook_values FROM "
                "bwt_webhook_outbound_delivery_attempt WHERE endpoint_id = %s "
                "ORDER BY id",
                (self.endpoint_id,),
            )
            return env.cr.fetchall()

    def test_killed_before_values_are_stored(self):
        """They are stored once, as received: the recorded response is masked.

        The reference was recorded with the result, so that the delivery behind it is
        an update although the worker died in between.
        """
        self.fault = Killed()
        ids = self.queue_partner() + self.queue_partner()
        with self.assertRaises(Killed):
            self.run_lane()
        self.assertEqual("done", self.states(ids)[0])
        self.assertEqual((False, "R-secret-77"), self.reference())

        self.run_lane()

        self.assertEqual(("R-secret-77", "R-secret-77"), self.reference())
        self.assertEqual(
            [("POST", "/in"), ("PUT", "/in/R-secret-77")],
            [(each.method, each.path) for each in self.receiver.requests],
        )
        self.assertEqual([(None, None)] * 2, self.marks())
        self.assertEqual(2, len(self.written))
        self.assertNotIn("secret", self.committed(ids, "response_body")[0][0])

    def test_a_lost_race_is_tried_again(self):
        """A conflict with another transaction: the values are put back, then stored."""
        self.fault = DeadlockDetected("deadlock")
        ids = self.queue_partner()

        self.run_lane()

        self.assertEqual("R-secret-77", self.reference()[0])
        self.assertEqual([(None, None)], self.marks())
        self.assertFalse(self.committed(ids, "has_late_note")[0][0])

    @mute_logger("odoo.sql_db")  # logs each statement that ends without the lock
    def test_a_record_that_is_locked_for_long(self):
        """The lane continues, and stores the values when the record is free.

        It waited for as long as the other transaction took: nothing was recorded, and
        the worker was killed with its requests in flight.
        """
        # One after the other: each record gets an id of its own.
        bodies = (b'{"id": "R-secret-77"}', b'{"id": "R-2"}')
        self.receiver.script("/in", *(status(201, each) for each in bodies))
        ids = self.queue_partner()
        with self.transaction() as env:
            self.endpoint(env).max_in_flight = 1
            other = env["res.partner"].create({"name": "Other"})
            self.addCleanup(self.remove, other)
            more = self.endpoint(env).queue_delivery({}, record=other).ids
        wait = patch.object(response_hooks, "LOCK_WAIT", "100ms")
        with wait, self.transaction() as env:
            env.cr.execute(
                "SELECT FROM res_partner WHERE id = %s FOR UPDATE", (self.partner_id,)
            )
            for _run in range(TRIES_MAX + 2):
                self.run_lane()
            self.assertEqual(["done", "done"], self.states(ids + more))
            [(tries, values), _other] = self.marks()
            self.assertEqual((1, True), (tries, bool(values)))

        self.run_lane()

        self.assertEqual("R-secret-77", self.reference()[0])
        self.assertEqual([(None, None)] * 2, self.marks())
        for late in self.committed(ids + more, "has_late_note"):
            self.assertEqual((False,), late)

    def test_a_delivery_that_is_deleted_meanwhile(self):
        """An operator deletes a delivery whose values are yet to be stored.

        Its attempt was read after it was gone, which ended the lane with an error.
        """
        self.fault = Killed()
        ids = self.queue_partner()
        with self.assertRaises(Killed):
            self.run_lane()
        case, may_call = self, Lane._may_call_hook

        def delete_first(lane):
            with case.transaction() as env:
                env[DELIVERY].browse(ids).unlink()
            return may_call(lane)

        self.enterContext(patch.object(Lane, "_may_call_hook", delete_first))

        self.run_lane()

        self.assertEqual([], self.marks())

    def test_values_that_stop_each_worker(self):
        """After some tries they are dropped, with a note, and deliveries continue."""
        ids = self.queue_partner()
        for _try in range(TRIES_MAX + 1):
            self.fault = Killed()
            with self.assertRaises(Killed):
                self.run_lane()

        self.run_lane()

        [(note,)] = self.committed(ids, "processing_note")
        self.assertIn("values of the response were not stored", note)
        self.assertEqual([(None, None)], self.marks())
