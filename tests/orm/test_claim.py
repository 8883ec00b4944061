# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane claims: by due date, by order, one alone, none twice."""

import json
from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health
from odoo.addons.bwt_webhooks_outbound.lane.pacing import Position
from odoo.addons.bwt_webhooks_outbound.lane.recording import open_attempts

from .common import CommittedCase, OutboundCase


def claimed_keys(batch):
    return [json.loads(each.encoded.body)["key"] for each in batch.prepared]


@tagged("post_install", "-at_install")
class TestClaim(OutboundCase):
    def take(self, limit=10, *, alone=False, now=None):
        """One batch as a lane would claim it, held by job `j` in slot 0."""
        self.env.flush_all()
        endpoint = self.endpoint._for_lane()
        snapshot = endpoint._outbound_snapshot()
        health = Health(self.env.cr, endpoint.id, snapshot.policy, False)
        now = now or utcnow()
        claim = Claim(endpoint, snapshot, health, Position(), "j")
        batch = claim.take(limit, now, alone=alone)
        open_attempts(self.env.cr, snapshot, batch.prepared, "j", 0, now)
        self.env.invalidate_all()
        return batch

    def test_longest_due_first(self):
        """Without an order the longest due goes first, then by place in the queue."""
        a, b, c, d = self.queue_keys("a", "b", "c", "d")
        c.next_attempt_at = utcnow() - timedelta(hours=1)
        d.next_attempt_at = utcnow() + timedelta(hours=1)

        batch = self.take()

        self.assertEqual(["c", "a", "b"], claimed_keys(batch))
        self.assertTrue(batch.is_last)
        self.assertEqual(["processing"] * 3, (a + b + c).mapped("state"))
        self.assertEqual([1, 1, 1], (a + b + c).mapped("attempt_count"))
        self.assertEqual(["processing"] * 3, (a + b + c).attempt_ids.mapped("state"))
        self.assertEqual("queued", d.state)

    def test_what_is_not_due_stays(self):
        """Only queued and error are claimed; an error without a date waits."""
        for state in ("draft", "processing", "done", "dead_letter", "canceled"):
            self.in_state(state, next_attempt_at=utcnow())
        self.in_state("error")

        self.assertEqual(0, self.take().claimed)

    def test_one_at_a_time_per_key(self):
        """With an order per key only the first of each key goes, keys side by side."""
        self.endpoint.ordering = "key"
        self.queue_keys("a", "a", "b", "b", "c")

        self.assertEqual(["a", "b", "c"], claimed_keys(self.take()))
        self.assertEqual(0, self.take().claimed)

    def test_what_is_left_of_other_shares(self):
        """A lane whose own keys are all in flight claims those of absent lanes."""
        self.endpoint.write({"ordering": "key", "parallel_lanes": 3})
        keys = [f"k{number}" for number in range(30)]
        self.queue_keys(*keys, *keys)

        batches = [claimed_keys(self.take(40)) for _claim in range(3)]

        self.assertEqual(sorted(keys), sorted(batches[0] + batches[1]))
        self.assertTrue(batches[0] and batches[1])
        self.assertEqual([], batches[2])

    def test_what_the_first_of_an_order_keeps_waiting(self):
        """Waiting, in flight and in error without a date hold those behind; ended not.

        What is behind a failing one must not overtake it.
        """
        self.endpoint.ordering = "key"
        for state, date, holds in (
            ("error", utcnow() + timedelta(hours=1), True),
            ("error", False, True),
            ("processing", False, True),
            ("done", False, False),
            ("dead_letter", False, False),
            ("canceled", False, False),
            ("draft", False, False),
        ):
            with self.subTest(state=state, date=date):
                first, second = self.queue_keys("a", "a")
                first.write({"state": state, "next_attempt_at": date})
                claimed = claimed_keys(self.take())
                self.assertEqual([] if holds else ["a"], claimed)
                (first + second).write({"state": "done"})

    def test_long_lines_do_not_hide_others(self):
        """One free delivery behind many that are held is found, even for a probe.

        The first claim reads few rows; with a limit of one it found nothing and the
        lane came back every second for nothing.
        """
        self.endpoint.ordering = "key"
        head, *_rest = self.queue_keys(*["a"] * 60)
        head.write({"state": "error", "next_attempt_at": utcnow() + timedelta(hours=1)})

        for limit, key in ((1, "b"), (10, "c")):
            with self.subTest(limit=limit):
                free = self.queue_keys(key)
                self.assertEqual([key], claimed_keys(self.take(limit)))
                free.state = "done"

    def test_all_in_one_line(self):
        """With an order per endpoint one is in flight, in the order of queueing."""
        self.endpoint.ordering = "endpoint"
        self.queue_keys("a", "b", "c")

        self.assertEqual(["a"], claimed_keys(self.take()))
        self.assertEqual(0, self.take().claimed)

    def test_order_changed_while_they_wait(self):
        """What waits is assigned to the group of the new order, by key or by record."""
        partner = self.env.user.partner_id
        self.queue_keys("a", "a")
        self.queue({"key": "p"}, record=partner)
        self.queue({"key": "p"}, record=partner)
        self.endpoint.ordering = "key"
        self.env.flush_all()

        self.env.cr.execute(sql.regroup(self.endpoint.id, "key"))
        self.env.invalidate_all()

        self.assertEqual(["a", "p"], claimed_keys(self.take()))

    def test_superseded(self):
        """Of many with one key only the newest goes; the others name it, uncounted.

        What was tried before and what has another key stays.
        """
        tried = self.queue({"key": "k"}, ordering_key="k")
        tried.attempt_count = 1
        old = self.queue_keys("k", "k", "k", supersede=True)
        new = self.queue({"key": "k"}, ordering_key="k", supersede=True, name="newest")
        plain = self.queue({"key": "x"}, ordering_key="x")

        batch = self.take()

        self.assertEqual(["k", "k", "x"], claimed_keys(batch))
        self.assertEqual(3, batch.concluded)
        self.assertEqual({"canceled"}, set(old.mapped("state")))
        self.assertIn("newest", old[0].processing_note)
        self.assertFalse(old.attempt_ids)
        self.assertTrue(all(old.mapped("processed_at")))
        for each in (tried, new, plain):
            self.assertEqual("processing", each.state)

    def test_a_canceled_one_supersedes_nothing(self):
        """A newer value that was canceled or reset leaves the older one to go."""
        old, new = self.queue_keys("k", "k", supersede=True)
        new.action_cancel_delivery()

        self.take()

        self.assertEqual("processing", old.state)

    def test_interrupted_goes_alone(self):
        """Interrupted deliveries are claimed alone, when nothing else is in flight.

        It may be what kills the worker: others would be interrupted with it each time.
        """
        self.queue_keys("a", "b")
        for number in range(2):
            self.in_state(
                "error",
                failure_reason="interrupted",
                next_attempt_at=utcnow() - timedelta(minutes=number),
            )

        beside = self.take()
        self.assertEqual((2, False), (beside.claimed, beside.is_alone))
        for _number in range(2):
            alone = self.take(alone=True)
            self.assertEqual((1, True), (alone.claimed, alone.is_alone))
            self.assertFalse(alone.is_last)
        self.assertEqual(0, self.take(alone=True).claimed)

    def test_a_bad_one_does_not_hurt_the_batch(self):
        """One that can't be built is an error; those beside it are sent."""
        self.endpoint.target_path = "/orders/{n}"
        good = self.queue({"key": "a"}, {"n": 1}) + self.queue({"key": "b"}, {"n": 2})
        bad = self.queue({"key": "bad"})

        batch = self.take()

        self.assertEqual(["a", "b"], claimed_keys(batch))
        self.assertEqual(("error", "build"), (bad.state, bad.failure_reason))
        self.assertFalse(bad.next_attempt_at or bad.job_uuid)
        self.assertEqual(["processing"] * 2, good.mapped("state"))

    def test_given_back_as_if_never_claimed(self):
        """What never left goes back: state, place, count; its attempts are gone."""
        deliveries = self.queue_keys("a", "b")
        before = [self.row(each) for each in deliveries]
        self.take()
        self.env.cr.execute(
            sql.release_unsent(deliveries.ids, "queued", "another job", utcnow())
        )
        self.env.invalidate_all()
        self.assertEqual({"processing"}, set(deliveries.mapped("state")))

        self.env.cr.execute(sql.release_unsent(deliveries.ids, "queued", "j", utcnow()))
        self.env.invalidate_all()

        after = [self.row(each) for each in deliveries]
        for row in before + after:
            del row["write_date"], row["write_uid"]
        self.assertEqual(before, after)
        self.assertFalse(deliveries.attempt_ids)


class TestClaimTogether(CommittedCase):
    def test_two_lanes_share(self):
        """Two claims at once get different rows, and neither waits for the other."""
        ids = self.queue(*range(6))
        with self.read_committed() as one, self.read_committed() as other:
            now = utcnow()
            one.cr.execute(sql.claim(self.endpoint_id, now, 4))
            first = {row[0] for row in one.cr.fetchall()}
            other.cr.execute("SET LOCAL lock_timeout = '1s'")
            other.cr.execute(sql.claim(self.endpoint_id, now, 4))
            second = {row[0] for row in other.cr.fetchall()}

        self.assertEqual((4, 2), (len(first), len(second)))
        self.assertEqual(set(ids), first | second)

    def test_lanes_share_the_keys(self):
        """Two lanes claim the first of different keys each, and together all of them.

        Without shares one lane would claim all of them ahead and leave the other idle.
        """
        self.set_up(ordering="key")
        keys = [f"k{number}" for number in range(20)]
        for key in keys * 2:
            self.queue(1, ordering_key=key)
        now, claimed = utcnow(), []
        with self.read_committed() as one, self.read_committed() as other:
            for slot, lane in enumerate((one, other)):
                lane.cr.execute("SET LOCAL lock_timeout = '1s'")
                lane.cr.execute(
                    sql.claim_first_in_group(self.endpoint_id, now, 40, 200, (slot, 2))
                )
                claimed.append({row[0] for row in lane.cr.fetchall()})
            one.cr.execute(sql.groups_of_others(self.endpoint_id, now, (0, 2), 100))
            of_other = one.cr.fetchone()[0]
        with self.read_committed() as alone:
            by_group = []
            for slot in range(2):
                alone.cr.execute(sql.claim_heads(self.endpoint_id, now, 40, (slot, 2)))
                by_group.append({row[0] for row in alone.cr.fetchall()})

        self.assertEqual(20, len(claimed[0] | claimed[1]))
        self.assertFalse(claimed[0] & claimed[1])
        self.assertTrue(claimed[0] and claimed[1])
        self.assertEqual(claimed, by_group)
        self.assertEqual(len(claimed[1]), of_other)

    def test_a_locked_predecessor_is_still_in_front(self):
        """A locked row blocks its group; SKIP LOCKED doesn't hide it."""
        self.set_up(ordering="key")
        ids = self.queue(1, 2, ordering_key="k")
        with self.read_committed() as operator, self.read_committed() as lane:
            operator.cr.execute(
                "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE",
                (ids[0],),
            )
            lane.cr.execute(
                sql.claim_first_in_group(self.endpoint_id, utcnow(), 10, 50)
            )
            self.assertEqual([], lane.cr.fetchall())
            lane.cr.execute(sql.claim_heads(self.endpoint_id, utcnow(), 10))
            self.assertEqual([], lane.cr.fetchall())

    def test_lines_may_be_added_while_claimed(self):
        """A claimed row lets others refer to it: adding a line to it doesn't wait."""
        [delivery_id] = self.queue(1)
        with self.read_committed() as lane, self.read_committed() as other:
            lane.cr.execute(sql.claim(self.endpoint_id, utcnow(), 4))
            self.assertEqual(1, len(lane.cr.fetchall()))
            other.cr.execute("SET LOCAL lock_timeout = '1s'")
            other.cr.execute(
                "INSERT INTO bwt_webhook_outbound_delivery_context_line "
                "(delivery_id, key_name, source_kind) VALUES (%s, 'k', 'literal')",
                (delivery_id,),
            )
            self.assertEqual(1, other.cr.rowcount)
