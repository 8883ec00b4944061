# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Results that the database refuses to store."""

from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.services.outcome import HandlerOutcome

from ..constants import DELIVERY
from .common import CommittedCase, OutboundCase

LANE = "odoo.addons.bwt_webhooks_outbound.lane"
NO_INTEGER = 2**40  # as id of a rule: larger than the column


def decide(raw_of):
    """An `_invoke_handler` that returns what `raw_of(delivery)` says, as a dict."""
    return lambda delivery, request: HandlerOutcome.from_raw(raw_of(delivery), request)


@tagged("post_install", "-at_install")
class TestRefusedResults(CommittedCase):
    def setUp(self):
        super().setUp()
        self.ids = self.queue(*range(20))
        self.bad = self.ids[7]

    def handle(self, **of_bad):
        """The handler decides this for the bad delivery, and sends the others."""
        self.enterContext(
            patch.object(
                self.registry[DELIVERY],
                "_invoke_handler",
                decide(lambda each: of_bad if each.id == self.bad else None),
            )
        )

    def run_quietly(self):
        with mute_logger(f"{LANE}.record", "odoo.sql_db"):
            return self.run_lane()

    @contextmanager
    def trigger(self, table, condition):
        """The database refuses rows of this table where `condition` holds."""
        name = "bwt_test_refuse"
        with self.transaction() as env:
            env.cr.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger AS "
                "$$ BEGIN RAISE EXCEPTION 'not this one'; END $$ LANGUAGE plpgsql"
            )
            env.cr.execute(
                f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW "
                f"WHEN ({condition}) EXECUTE FUNCTION {name}()"
            )
        try:
            yield
        finally:
            with self.transaction() as env:
                env.cr.execute(f"DROP TRIGGER {name} ON {table}")
                env.cr.execute(f"DROP FUNCTION {name}()")

    def of_bad(self, *names):
        [values] = self.committed([self.bad], *names)
        return values

    def test_one_of_a_chunk(self):
        """All are done and sent once; the note of the one names the database's error.

        The responses of its whole chunk were dropped, and all of it was sent again.
        """
        self.handle(matched_rule_id=NO_INTEGER)

        self.run_quietly()
        self.run_lane()

        self.assertEqual(["done"] * 20, self.states(self.ids))
        self.assertEqual(20, self.receiver.total)
        status, note = self.of_bad("response_status_code", "processing_note")
        self.assertEqual(200, status)
        self.assertIn("integer out of range", note)

    def test_state_that_is_refused(self):
        """A delivery whose state can't be stored waits in error, and says what it was.

        It is not sent again: the receiver has it.
        """
        condition = f"NEW.state = 'done' AND NEW.id = {self.bad}"
        with self.trigger("bwt_webhook_outbound_delivery", condition):
            self.run_quietly()
            self.run_lane()

        self.assertEqual(20, self.receiver.total)
        state, error, next_at = self.of_bad(
            "state", "processing_error", "next_attempt_at"
        )
        self.assertEqual(("error", False), (state, next_at))
        self.assertIn("not this one", error)
        self.assertIn("HTTP status: 200", error)
        self.assertEqual(19, self.states(self.ids).count("done"))

    def test_attempt_that_is_refused(self):
        """The same where it is the attempt that can't be closed as it was."""
        condition = f"NEW.finished_at IS NOT NULL AND NEW.delivery_id = {self.bad}"
        with self.trigger("bwt_webhook_outbound_delivery_attempt", condition):
            self.run_quietly()

        self.assertEqual(20, self.receiver.total)
        self.assertEqual(19, self.states(self.ids).count("done"))
        self.assertIn("not this one", self.of_bad("processing_error")[0])

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.recording")
    def test_request_that_cannot_be_stored(self):
        """A payload that the attempt can't hold is that delivery's error.

        An override of `_invoke_handler` may put one in; it ended every lane.
        """
        self.set_up(request_body_mode="form_urlencoded")
        bad = self.bad

        def gate(delivery, request):
            payload = {"at": object() if delivery.id == bad else 1}
            return HandlerOutcome("send", replace(request, payload=payload))

        self.enterContext(
            patch.object(self.registry[DELIVERY], "_invoke_handler", gate)
        )

        self.run_quietly()

        state, reason, error = self.of_bad(
            "state", "failure_reason", "processing_error"
        )
        self.assertEqual(("error", "build"), (state, reason))
        self.assertIn("object", error)
        self.assertEqual(19, self.states(self.ids).count("done"))
        self.assertEqual(19, self.receiver.total)

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.recording")
    def test_decision(self):
        """A decision that can't be stored is that delivery's error; others are sent.

        It ended every lane of the endpoint at its first claim.
        """
        self.handle(status="cancel", note="no", matched_rule_id=NO_INTEGER)

        self.run_quietly()

        state, reason, error = self.of_bad(
            "state", "failure_reason", "processing_error"
        )
        self.assertEqual(("error", "handler"), (state, reason))
        self.assertIn("integer out of range", error)
        self.assertEqual(19, self.states(self.ids).count("done"))


@tagged("post_install", "-at_install")
class TestRefusedDirectly(OutboundCase):
    def test_result(self):
        """`process_delivery` stores what can be stored, in the caller's transaction."""
        self.patch(
            type(self.env[DELIVERY]),
            "_invoke_handler",
            decide(lambda _delivery: {"matched_rule_id": NO_INTEGER}),
        )
        delivery = self.queue({"a": 1})

        with mute_logger("odoo.sql_db"):
            delivery.process_delivery()

        self.assertEqual("done", delivery.state)
        self.assertIn("integer out of range", delivery.processing_note)
