# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Circuit breaker and rate limit on the health row, as a lane reads and writes it."""

from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import PROBE_RESERVE, Health

from ..constants import DELIVERY
from ..receiver import delay, status
from .common import CommittedCase, OutboundCase

SECOND = timedelta(seconds=1)


@tagged("post_install", "-at_install")
class TestCircuit(OutboundCase):
    def setUp(self):
        super().setUp()
        self.now = utcnow()
        self.endpoint.circuit_threshold = 3

    def health(self):
        """The health as a lane has it after reading its snapshot."""
        self.env.flush_all()
        endpoint = self.endpoint
        return Health(
            self.env.cr, endpoint.id, endpoint._policy(), endpoint.circuit_reset_at
        )

    def stored(self):
        self.endpoint.health_ids.invalidate_recordset()
        return self.endpoint.health_ids

    def open(self):
        return self.health().note(["failure"] * 3, self.now)

    def test_opens_after_failures_in_a_row(self):
        """At the threshold it opens: nothing may be claimed until the probe.

        Other responses in between reset the count, other failures don't count.
        """
        signals = ["failure", "failure", "success", "failure", "ignore", "failure"]
        self.assertEqual(("closed", "closed"), self.health().note(signals, self.now))
        self.assertEqual(2, self.stored().failure_streak)

        self.assertEqual(("closed", "open"), self.health().note(["failure"], self.now))

        health = self.stored()
        self.assertEqual(self.now, health.opened_at)
        self.assertEqual(self.now + 60 * SECOND, health.next_probe_at)
        self.assertEqual(self.now, health.last_failure_at)
        allowance = self.health().allow(10, self.now)
        self.assertEqual(0, allowance.count)
        self.assertEqual(health.next_probe_at, allowance.not_before)
        self.assertEqual(health.next_probe_at, self.health().not_before(self.now))

    def test_one_probe_for_all_lanes(self):
        """After the cooldown one lane sends one delivery; the next waits for it."""
        self.open()
        then = self.now + 61 * SECOND

        allowed = self.health().allow(10, then)
        again = self.health().allow(10, then)

        self.assertEqual((1, True), (allowed.count, allowed.is_probe))
        self.assertEqual(0, again.count)
        self.assertEqual("half_open", self.stored().circuit_state)

    def test_a_probe_goes_once_though_two_lanes_saw_it_due(self):
        """A lane that read the row before the other's probe finds it taken."""
        self.open()
        health, then = self.health(), self.now + 61 * SECOND
        seen = self.stored().next_probe_at

        self.assertTrue(health._take_probe(seen, then))
        self.assertFalse(health._take_probe(seen, then))

    def test_a_clock_set_back_does_not_keep_it_open(self):
        """A probe that lies hours ahead of the clock is made now, by one lane.

        The claim requested a date in the past and would have waited until then.
        """
        self.open()
        self.endpoint.health_ids.sudo().next_probe_at = self.now + timedelta(days=3)
        self.env.flush_all()

        self.assertEqual(1, self.health().allow(10, self.now).count)
        self.assertEqual(0, self.health().allow(10, self.now).count)

    def test_open_without_a_date(self):
        """An open circuit that names no date for its probe gets one now, not never."""
        self.open()
        self.endpoint.health_ids.sudo().next_probe_at = False
        self.endpoint.health_ids.sudo().opened_at = False
        self.env.flush_all()

        allowance = self.health().allow(10, self.now)

        self.assertEqual((1, True), (allowance.count, allowance.is_probe))

    def test_the_result_of_a_probe(self):
        """Success closes, failure doubles the cooldown, else the next one may probe."""
        then = self.now + 61 * SECOND
        for signal, state, wait in (
            ("failure", "open", 120),
            ("ignore", "open", 0),
            ("success", "closed", None),
        ):
            with self.subTest(signal=signal):
                self.open()
                self.health().allow(10, then)

                self.assertEqual(state, self.health().note([signal], then)[1])

                health = self.stored()
                self.assertEqual(
                    wait is not None and then + wait * SECOND,
                    health.next_probe_at,
                )
                self.health().note(["success"], then)

    def test_failing_probes_double_the_cooldown(self):
        """Each failed probe doubles the wait, up to an hour; it stays open since then.

        After it was closed, the doubling begins again.
        """
        self.open()
        waits = []
        for _ in range(8):
            then = self.stored().next_probe_at
            self.health().allow(10, then)
            self.health().note(["failure"], then)
            waits.append((self.stored().next_probe_at - then).total_seconds())

        self.assertEqual([120, 240, 480, 960, 1920, 3600, 3600, 3600], waits)
        self.assertEqual(self.now, self.stored().opened_at)
        self.health().allow(10, self.stored().next_probe_at)
        self.health().note(["success", *["failure"] * 3], self.now)
        self.assertEqual(self.now + 60 * SECOND, self.stored().next_probe_at)

    def test_a_lost_probe_does_not_block(self):
        """When a worker is killed with the probe, another follows after its timeout."""
        self.open()
        then = self.now + 60 * SECOND
        self.health().allow(10, then)
        lost = then + (self.endpoint.timeout_seconds + PROBE_RESERVE) * SECOND

        self.assertEqual(0, self.health().allow(10, lost - SECOND).count)
        self.assertEqual((1, None, True), self.health().allow(10, lost))

    def test_gone_waits_for_a_user(self):
        """A 410 stops it until a user closes the circuit; no success does."""
        self.assertEqual(
            ("closed", "manual"), self.health().note(["open", "success"], self.now)
        )
        later = self.now + timedelta(days=30)
        self.assertEqual(0, self.health().allow(10, later).count)
        self.assertIs(False, self.health().not_before(later))

        self.endpoint.action_reset_circuit()

        self.assertEqual(10, self.health().allow(10, later).count)
        self.assertIsNone(self.health().not_before(later))
        self.health().note(["success"], later)
        self.assertEqual("closed", self.stored().circuit_state)
        self.assertFalse(self.stored().opened_at)

    def test_threshold_of_zero_never_opens(self):
        """0 switches it off, also for one that is open."""
        self.open()
        self.endpoint.circuit_threshold = 0

        self.assertEqual(10, self.health().allow(10, self.now).count)
        self.health().note(["failure"] * 50, self.now)
        self.assertEqual(10, self.health().allow(10, self.now).count)

    def test_tokens(self):
        """So many per period, a burst at most; what wasn't used comes back."""
        self.endpoint.write({"rate_limit": 5, "rate_period": "minute"})

        first = self.health().allow(3, self.now)
        second = self.health().allow(10, self.now)
        self.assertEqual((3, 2), (first.count, second.count))
        self.assertEqual(self.now + 12 * SECOND, second.not_before)
        self.assertEqual(0, self.health().allow(10, self.now + 11 * SECOND).count)
        self.assertEqual(1, self.health().allow(10, self.now + 12 * SECOND).count)

        self.health().return_tokens(1)
        self.assertEqual(1, self.health().allow(10, self.now + 12 * SECOND).count)
        self.assertEqual(5, self.health().allow(10, self.now + 600 * SECOND).count)

    def test_no_limit_takes_no_lock(self):
        """Without a limit the health row is only read: lanes don't wait here."""
        before = self.row(self.endpoint.health_ids)
        self.assertEqual((500, None, False), self.health().allow(500, self.now))
        self.health().return_tokens(100)
        self.assertEqual(before, self.row(self.endpoint.health_ids))


class TestCircuitOfALane(CommittedCase):
    def committed_state(self):
        """(circuit, messages, activities) of the endpoint as committed."""
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            texts = endpoint.message_ids.sorted("id").mapped("body")
            return endpoint.circuit_state, texts, len(endpoint.activity_ids)

    def make_probe_due(self):
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE bwt_webhook_outbound_endpoint_health SET next_probe_at = %s "
                "WHERE endpoint_id = %s",
                (utcnow() - SECOND, self.endpoint_id),
            )

    def test_opens_probes_and_closes(self):
        """Failures open it and notify a user, once; a probe that succeeds closes it.

        While it is open nothing is sent, no delivery loses a retry, and the one wake-up
        left lies at the next probe.
        """
        with self.transaction() as env:
            responsible = env.ref("base.user_admin").id
        self.set_up(
            circuit_threshold=3,
            max_in_flight=1,
            responsible_id=responsible,
            retry_schedule="1s,1h",
        )
        self.receiver.script("/in", delay(0.03, status(503)))
        ids = self.queue(*range(20))

        self.run_lane()

        state, texts, activities = self.committed_state()
        self.assertEqual(("open", 1), (state, activities))
        self.assertIn("failed too often", texts[-1])
        tried = self.receiver.total
        self.assertLess(tried, 20)
        self.assertEqual(20 - tried, self.states(ids).count("queued"))
        unsent = self.committed(ids, "state", "attempt_count", "retry_number")
        self.assertEqual(20 - tried, unsent.count(("queued", 0, 0)))
        [eta] = self.pending()
        self.assertAlmostEqual(
            60, (eta - utcnow()).total_seconds(), delta=10, msg="next probe"
        )

        self.make_probe_due()
        self.run_lane()
        self.assertEqual(tried + 1, self.receiver.total)
        state, texts, activities = self.committed_state()
        self.assertEqual(("open", 1), (state, activities))

        self.receiver.script("/in", status(200))
        self.make_probe_due()
        self.make_due([each for each in ids if self.states([each]) == ["error"]])
        self.run_lane()

        self.assertEqual({"done"}, set(self.states(ids)))
        state, texts, _activities = self.committed_state()
        self.assertEqual("closed", state)
        self.assertIn("responds again", texts[-1])

    def test_gone(self):
        """A 410 ends the delivery and stops the endpoint; the button sets it going."""
        self.set_up(max_in_flight=1)
        self.receiver.script("/in", delay(0.03, status(410)))
        ids = self.queue(*range(10))

        self.run_lane()

        self.assertEqual("manual", self.committed_state()[0])
        waiting = self.states(ids).count("queued")
        self.assertTrue(waiting)
        self.assertEqual([], self.pending())
        self.receiver.script("/in", status(200))
        with self.transaction() as env:
            self.endpoint(env).action_reset_circuit()
        self.assertEqual([None], self.pending())
        self.run_lane()
        self.assertEqual(waiting, self.states(ids).count("done"))

    def test_rate_limit(self):
        """No more than the limit goes; the rest waits for the next permit."""
        self.set_up(rate_limit=3, rate_period="hour")
        ids = self.queue(*range(10))

        self.run_lane()

        self.assertEqual(3, self.receiver.total)
        self.assertEqual(7, self.states(ids).count("queued"))
        [eta] = self.pending()
        self.assertAlmostEqual(1200, (eta - utcnow()).total_seconds(), delta=20)

    def test_rate_limit_and_locked_deliveries(self):
        """Due work that others hold locked is left to a wake-up, as without a limit.

        The lane claimed every millisecond, in vain, until its time was up.
        """
        self.set_up(rate_limit=100, rate_period="second")
        ids = self.queue(1)
        take = Claim.take

        with (
            self.read_committed() as other,
            patch.object(Claim, "take", autospec=True, side_effect=take) as claims,
        ):
            other.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s) "
                "FOR UPDATE",
                (ids,),
            )
            self.run_lane()

        self.assertEqual(1, claims.call_count)
        self.assertEqual(1, len(self.pending()))
        self.run_lane()
        self.assertEqual(["done"], self.states(ids))

    def test_what_is_not_sent_takes_no_permit(self):
        """A request that can't be built leaves its permit to the next delivery."""
        self.set_up(rate_limit=2, rate_period="hour", target_path="/in/{n}")
        broken = self.queue(1, 2, 3)
        whole = self.queue(4, 5, context_lines={"n": 1})

        self.run_lane()

        self.assertEqual(["error"] * 3, self.states(broken))
        self.assertEqual(["done"] * 2, self.states(whole))

    def test_order_by_key_through_retries(self):
        """A failing delivery holds its key, in order, and no other key."""
        self.set_up(ordering="key", retry_schedule="1h")
        ids = self.queue(1, 2, ordering_key="a") + self.queue(3, 4, ordering_key="b")
        with self.transaction() as env:
            failing = env[DELIVERY].browse(ids[0]).message_uid

        def response(exchange):
            bad = exchange.request.webhook_id == failing and exchange.tries == 1
            status(503 if bad else 200)(exchange)

        self.receiver.script("/in", response)
        self.run_lane()
        self.assertEqual(["error", "queued", "done", "done"], self.states(ids))

        self.make_due(ids[:1])
        self.run_lane()

        self.assertEqual(["done"] * 4, self.states(ids))
        sent = [request.json() for request in self.receiver.requests]
        self.assertEqual([1, 1, 2], [each for each in sent if each < 3])
        self.assertEqual([3, 4], [each for each in sent if each > 2])
