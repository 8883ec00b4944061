# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Handlers, gates and hooks of other addons that break the lane's transaction."""

import threading
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import psycopg2

from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.response_hooks import TRIES_MAX
from odoo.addons.bwt_webhooks_outbound.lane.savepoint import Savepoint

from ..constants import DELIVERY, LOGGER
from .common import CommittedCase, OutboundCase


def swallow(env):
    """Catch a database error without a savepoint, as careless code does."""
    try:
        env.cr.execute("SELECT 1 / 0", log_exceptions=False)
    except psycopg2.Error:
        return


class ForeignCase(CommittedCase):
    """Eight deliveries; the code under test runs for the one with the number BAD."""

    COUNT = 8
    BAD = 3

    def setUp(self):
        super().setUp()
        self.set_up(retry_schedule="1h")
        self.enterContext(self.new_deliveries())

    @contextmanager
    def new_deliveries(self):
        """Eight more, and overrides that end with the block."""
        self.ids = self.queue(*({"n": n} for n in range(self.COUNT)))
        self.bad = self.ids[self.BAD]
        with ExitStack() as self.overrides:
            yield

    def override(self, name, code, only_bad=True):
        """`code(delivery)` runs in this method for the bad delivery, then the method.

        What `code` returns, if anything, is returned instead.
        """
        original = getattr(self.registry[DELIVERY], name)
        bad = self.bad

        def overridden(delivery, *args, **kwargs):
            result = code(delivery) if not only_bad or delivery.id == bad else None
            return original(delivery, *args, **kwargs) if result is None else result

        self.overrides.enter_context(
            patch.object(self.registry[DELIVERY], name, overridden)
        )

    def run_quietly(self):
        with mute_logger(f"{LOGGER}.lane.batch", "odoo.sql_db"):
            self.run_lane()

    def of_bad(self, *names):
        [values] = self.committed([self.bad], *names)
        return values

    def assert_others_are_done(self):
        others = [each for each in self.ids if each != self.bad]
        self.assertEqual(["done"] * (self.COUNT - 1), self.states(others))

    def partner(self, name="before"):
        """Id of a committed record that the code under test writes to."""
        with self.transaction() as env:
            partner = env["res.partner"].create({"name": name})
        self.addCleanup(self._take_partner_away, partner.id)
        return partner.id

    def _take_partner_away(self, partner_id):
        with self.transaction() as env:
            env["res.partner"].browse(partner_id).unlink()

    def name_of(self, partner_id):
        with self.transaction() as env:
            return env["res.partner"].browse(partner_id).name


@tagged("post_install", "-at_install")
class TestHandlerTransactions(ForeignCase):
    def test_swallowed_database_error(self):
        """The one delivery is in error with the real message, the others are sent.

        The aborted transaction ended the job of every lane, and nothing was sent.
        """
        for name in (
            "_build_outbound_request",
            "_pre_dispatch_check",
            "_invoke_handler",
            "_collect_extra_headers",
            "_encode_request",
        ):
            with self.subTest(name=name), self.new_deliveries():
                self.override(name, lambda delivery: swallow(delivery.env))

                self.run_quietly()

                self.assert_others_are_done()
                state, error, next_at = self.of_bad(
                    "state", "processing_error", "next_attempt_at"
                )
                self.assertEqual(("error", False), (state, next_at))
                self.assertIn("division by zero", error)
                self.assertIn("self.env.cr.savepoint()", error)

    def test_swallowed_and_a_statement_after_it(self):
        """A later statement that fails for it does not hide the real message."""

        def code(delivery):
            swallow(delivery.env)
            delivery.env.cr.execute("SELECT 1", log_exceptions=False)

        self.override("_invoke_handler", code)

        self.run_quietly()

        self.assert_others_are_done()
        self.assertIn("division by zero", self.of_bad("processing_error")[0])

    def test_error_before_the_commit(self):
        """A precommit callback is code of the handler: it fails that delivery only."""
        self.override(
            "_invoke_handler",
            lambda delivery: delivery.env.cr.precommit.add(
                lambda: swallow(delivery.env)
            ),
        )

        self.run_quietly()

        self.assert_others_are_done()
        self.assertIn("division by zero", self.of_bad("processing_error")[0])

    def test_error_after_the_commit(self):
        """A postcommit callback that raises is logged; every delivery is sent once.

        It ended the lane between the commit of its claim and the first request.
        """

        def fail():
            raise ValueError("after the commit")

        self.override(
            "_invoke_handler", lambda delivery: delivery.env.cr.postcommit.add(fail)
        )

        with self.assertLogs(LOGGER, "WARNING") as logs:
            self.run_lane()

        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertEqual(self.COUNT, self.receiver.total)
        self.assertIn("after the commit", "".join(logs.output))

    def test_commit_and_rollback(self):
        """Ending the transaction raises: the claim and its locks are the lane's.

        A commit in a handler made the savepoint vanish, and nothing was sent.
        """
        calls = {
            "cr.commit()": lambda cr: cr.commit(),  # pylint: disable=invalid-commit  # refused
            "cr.rollback()": lambda cr: cr.rollback(),
            "cr.close()": lambda cr: cr.close(),
            "COMMIT": lambda cr: cr.execute(" commit"),
            "ROLLBACK": lambda cr: cr.execute("ROLLBACK"),
        }
        for call, end in calls.items():
            with self.subTest(call=call), self.new_deliveries():
                self.override(
                    "_invoke_handler", lambda delivery, end=end: end(delivery.env.cr)
                )

                self.run_quietly()

                self.assert_others_are_done()
                state, error = self.of_bad("state", "processing_error")
                self.assertEqual("error", state)
                self.assertIn(f"{call} is not allowed in handlers", error)

    def test_connection_commit(self):
        """The connection's own commit is refused, too."""
        self.override(
            "_invoke_handler", lambda delivery: delivery.env.cr.connection.commit()
        )

        self.run_quietly()

        self.assert_others_are_done()
        self.assertIn("is not allowed", self.of_bad("processing_error")[0])

    def test_savepoints_of_its_own(self):
        """A handler that rolls back to its own savepoint is left alone."""

        def code(delivery):
            try:
                with delivery.env.cr.savepoint():
                    delivery.env.cr.execute("SELECT 1 / 0", log_exceptions=False)
            except psycopg2.Error:
                delivery.env.cr.execute("SAVEPOINT mine")
                delivery.env.cr.execute("ROLLBACK TO SAVEPOINT mine")

        self.override("_invoke_handler", code)

        self.run_lane()

        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))

    def test_what_it_wrote_is_rolled_back(self):
        """Nothing of a handler that swallowed an error is kept."""
        partner_id = self.partner()

        def code(delivery):
            delivery.env["res.partner"].browse(partner_id).name = "after"
            delivery.env.flush_all()
            swallow(delivery.env)

        self.override("_invoke_handler", code)

        self.run_quietly()

        self.assertEqual("before", self.name_of(partner_id))

    def test_statement_that_is_canceled(self):
        """A timeout of the handler's own statement fails that delivery only.

        psycopg2 has one class for it and for a lost connection, and the lane ended.
        """

        def code(delivery):
            delivery.env.cr.execute("SET LOCAL statement_timeout = '20ms'")
            delivery.env.cr.execute("SELECT pg_sleep(5)", log_exceptions=False)

        self.override("_invoke_handler", code)

        self.run_quietly()

        self.assert_others_are_done()
        self.assertIn("statement timeout", self.of_bad("processing_error")[0])

    def test_exit(self):
        """SystemExit and KeyboardInterrupt in a handler are errors like any other."""
        for error in (SystemExit("done"), KeyboardInterrupt()):
            with self.subTest(error=error), self.new_deliveries():

                def code(_delivery, error=error):
                    raise error

                self.override("_invoke_handler", code)

                self.run_quietly()

                self.assert_others_are_done()
                self.assertIn(type(error).__name__, self.of_bad("processing_error")[0])

    def test_a_row_that_another_transaction_has_locked(self):
        """The delivery is tried again on schedule, the others are sent.

        The whole claim was repeated for as long as the lock was held.
        """
        partner_id = self.partner()
        self.override(
            "_invoke_handler", lambda delivery: lock(delivery.env, partner_id)
        )

        with self.read_committed() as other:
            lock(other, partner_id)
            self.run_quietly()

        self.assert_others_are_done()
        state, note, next_at = self.of_bad(
            "state", "processing_note", "next_attempt_at"
        )
        self.assertEqual("error", state)
        self.assertTrue(next_at)
        self.assertIn("could not obtain lock", note)
        self.make_due([self.bad])
        self.run_lane()
        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertEqual(self.COUNT, self.receiver.total)

    def test_deadlock(self):
        """A handler that loses a deadlock runs again, and its delivery is sent."""
        first, second = self.partner(), self.partner()
        rival = Rival(self, first, second)
        self.override("_invoke_handler", rival.lose_once)

        self.run_quietly()

        rival.join()
        self.assertEqual(2, rival.calls)
        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))


def lock(env, partner_id):
    env.cr.execute(
        "SELECT 1 FROM res_partner WHERE id = %s FOR UPDATE NOWAIT",
        [partner_id],
        log_exceptions=False,
    )


class Rival:
    """Another transaction: the first call of `lose_once` is a deadlock's victim."""

    def __init__(self, case, first, second):
        self.case, self.first, self.second = case, first, second
        self.calls = 0
        self.thread = threading.Thread(target=self._run)
        self.has_first, self.may_wait = threading.Event(), threading.Event()

    def lose_once(self, delivery):
        self.calls += 1
        cr = delivery.env.cr
        query = "SELECT 1 FROM res_partner WHERE id = %s FOR UPDATE"
        if self.calls > 1:
            return
        self.thread.start()
        self.has_first.wait(30)
        cr.execute("SET LOCAL deadlock_timeout = '50ms'")
        cr.execute(query, [self.second])
        self.may_wait.set()
        self._wait_until_it_waits()
        cr.execute(query, [self.first])

    def _run(self):
        # A plain cursor: in Odoo's runner the registry is locked for other threads.
        query = "SELECT 1 FROM res_partner WHERE id = %s FOR UPDATE"
        with self.case.registry.cursor() as cr:
            cr.execute("SET LOCAL deadlock_timeout = '60s'")
            cr.execute("SELECT pg_backend_pid()")
            self.pid = cr.fetchone()[0]
            cr.execute(query, [self.first])
            self.has_first.set()
            self.may_wait.wait(30)
            cr.execute(query, [self.second])

    def _wait_until_it_waits(self):
        with self.case.read_committed() as env:
            for _poll in range(600):
                env.cr.execute(
                    "SELECT wait_event_type = 'Lock' FROM pg_stat_activity "
                    "WHERE pid = %s",
                    [self.pid],
                )
                if env.cr.fetchone()[0]:
                    return
                env.cr.execute("SELECT pg_sleep(0.05)")

    def join(self):
        self.thread.join(30)
        self.case.assertFalse(self.thread.is_alive())


@tagged("post_install", "-at_install")
class TestHookTransactions(ForeignCase):
    def override_hook(self, code, only_bad=True):
        self.override("_handle_outbound_response", code, only_bad)

    def test_swallowed_database_error(self):
        """All are done and sent once; the note has the real message.

        The lane ended with others in flight, which were sent a second time.
        """
        self.override_hook(lambda delivery: swallow(delivery.env))

        self.run_quietly()

        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertEqual(self.COUNT, self.receiver.total)
        self.assertIn("division by zero", self.of_bad("processing_note")[0])

    def test_commit(self):
        """A commit in a hook is refused with a message; the hooks beside it count."""
        self.override_hook(lambda delivery: delivery.env.cr.commit())

        self.run_quietly()

        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertIn("cr.commit() is not allowed", self.of_bad("processing_note")[0])

    def test_exit(self):
        """SystemExit in a hook is a failure of that hook."""

        def code(_delivery):
            raise SystemExit

        self.override_hook(code)

        self.run_quietly()

        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertIn("SystemExit", self.of_bad("processing_note")[0])

    def test_deadlock(self):
        """A hook that loses a deadlock is called again, and leaves no note.

        The response of the receiver was lost with it.
        """
        first, second = self.partner(), self.partner()
        rival = Rival(self, first, second)

        def code(delivery):
            rival.lose_once(delivery)
            delivery.env["res.partner"].browse(first).name = "told"

        self.override_hook(code)

        self.run_quietly()

        rival.join()
        self.assertEqual(2, rival.calls)
        self.assertEqual("told", self.name_of(first))
        self.assertFalse(self.of_bad("processing_note")[0])
        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))

    @mute_logger(f"{LOGGER}.lane.batch")
    def test_lock_that_stays(self):
        """The hook is tried a few times, by later lanes too; then a note says why."""
        partner_id = self.partner()
        calls = []

        def code(delivery):
            calls.append(delivery.id)
            lock(delivery.env, partner_id)

        self.override_hook(code)

        with self.read_committed() as other:
            lock(other, partner_id)
            self.run_lane()
            self.assertEqual(3, len(calls))
            self.assertFalse(self.of_bad("processing_note")[0])
            [retry_at] = self.pending()
            self.assertTrue(retry_at)
            self.run_lane()

        self.assertEqual(1 + TRIES_MAX, len(calls))
        self.assertIn("could not obtain lock", self.of_bad("processing_note")[0])
        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.run_lane()
        self.assertEqual(1 + TRIES_MAX, len(calls))

    def test_lock_that_is_released(self):
        """A later lane calls the hook again, and what it writes is there once."""
        partner_id = self.partner()

        def code(delivery):
            lock(delivery.env, partner_id)
            delivery.env["res.partner"].browse(partner_id).name += " told"

        self.override_hook(code)
        with self.read_committed() as other:
            lock(other, partner_id)
            self.run_lane()

        self.run_lane()

        self.assertEqual("before told", self.name_of(partner_id))
        self.assertFalse(self.of_bad("processing_note")[0])

    def test_second_lane(self):
        """A lane in the second slot calls each hook once; one of them fails alone."""
        self.set_up(parallel_lanes=2)
        calls = []

        def code(delivery):
            calls.append(delivery.id)
            if delivery.id == self.bad:
                swallow(delivery.env)

        self.override_hook(code, only_bad=False)

        with self.read_committed() as first_lane:
            first_lane.cr.execute(sql.try_slot(self.endpoint_id, 0))
            self.run_quietly()

        self.assertEqual(sorted(self.ids), sorted(calls))
        self.assertEqual(["done"] * self.COUNT, self.states(self.ids))
        self.assertIn("division by zero", self.of_bad("processing_note")[0])


@tagged("post_install", "-at_install")
class TestDirectTransactions(OutboundCase):
    def test_swallowed_database_error(self):
        """`process_delivery` reports it, and the caller's transaction is usable."""
        partner = self.env["res.partner"].create({"name": "caller's"})
        self.patch(
            type(self.env[DELIVERY]),
            "_invoke_handler",
            lambda delivery, request: swallow(delivery.env),
        )
        delivery = self.queue({"a": 1})

        with self.assertLogs(LOGGER, "WARNING"):
            delivery.process_delivery()

        self.assertEqual("error", delivery.state)
        self.assertIn("division by zero", delivery.processing_error)
        self.assertEqual("caller's", self.row(partner)["name"])

    def test_callbacks_after_the_commit_find_their_data(self):
        """What code in a savepoint leaves for after the commit is done with its data.

        Odoo's bus keeps its channels in `cr.postcommit.data`: notifications were lost.
        """
        found = []
        callbacks = self.cr.postcommit

        def notify():
            found.append(self.cr.postcommit.data.pop("channels"))

        with Savepoint(self.cr):
            self.cr.postcommit.data["channels"] = ["one"]
            self.cr.postcommit.add(notify)
        callbacks.run()

        self.assertEqual([["one"]], found)
        self.assertIs(callbacks, self.cr.postcommit)

    def test_swallowed_in_a_hook(self):
        """The delivery stays done, with a note."""
        self.patch(
            type(self.env[DELIVERY]),
            "_handle_outbound_response",
            lambda delivery, *args: swallow(delivery.env),
        )
        delivery = self.queue({"a": 1})

        with self.assertLogs(LOGGER, "WARNING"):
            delivery.process_delivery()

        self.assertEqual("done", delivery.state)
        self.assertIn("division by zero", delivery.processing_note)

    def test_race(self):
        """A lost race is the caller's to repeat: it raises as it came."""

        def lose(delivery, request):
            raise psycopg2.errors.SerializationFailure

        self.patch(type(self.env[DELIVERY]), "_invoke_handler", lose)
        delivery = self.queue({"a": 1})

        with self.assertRaises(psycopg2.OperationalError):
            delivery.process_delivery()

        self.assertEqual("queued", delivery.state)

    def test_commit(self):
        """The caller's cursor can't be committed by a handler; the caller may after."""
        before = vars(self.env.cr).get("commit")
        self.patch(
            type(self.env[DELIVERY]),
            "_invoke_handler",
            lambda delivery, request: delivery.env.cr.commit(),
        )
        delivery = self.queue({"a": 1})

        delivery.process_delivery()

        self.assertIn("cr.commit() is not allowed", delivery.processing_error)
        self.assertEqual(before, vars(self.env.cr).get("commit"))
