# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How a delivery is requested: what is stored, what it costs, who is woken."""

import json
from datetime import datetime, timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import DELIVERY
from .common import OutboundCase

DRAWN = {"id", "message_uid", "queue_number", "queued_at", "next_attempt_at"}


@tagged("post_install", "-at_install")
class TestQueueing(OutboundCase):
    def requests(self, count):
        return [
            {"payload": {"n": n}, "context_lines": {"order_id": n, "ref": "x"}}
            for n in range(count)
        ]

    def needs_plain_insert(self):
        if self.endpoint._has_foreign_hooks():
            self.skipTest("an addon here hangs on the making of deliveries")

    def test_insert_writes_what_create_writes(self):
        """The bulk INSERT writes the same rows as the ORM's create, lines too.

        Otherwise a column added later would be empty for most deliveries.
        """
        self.needs_plain_insert()
        given = {
            "payload": {"a": [1, "ü"]},
            "context_lines": {"text": "42", "number": 42},
            "headers": {"X-Shop": "1"},
            "record": self.env.user.partner_id,
            "supersede": True,
        }
        inserted = self.endpoint.queue_delivery(**given)
        self.patch(type(self.endpoint), "_has_foreign_hooks", lambda self: True)
        created = self.endpoint.queue_delivery(**given)

        ours, theirs = self.row(inserted), self.row(created)
        self.assertEqual(
            {name: theirs[name] for name in theirs if name not in DRAWN},
            {name: ours[name] for name in ours if name not in DRAWN},
        )
        self.assertLess(ours["queue_number"], theirs["queue_number"])
        for one, other in zip(
            inserted.context_line_ids, created.context_line_ids, strict=True
        ):
            ours, theirs = self.row(one), self.row(other)
            for own in ("id", "delivery_id"):
                del ours[own], theirs[own]
            self.assertEqual(theirs, ours)

    def test_overrides_of_create_are_called(self):
        """An override of `create`, as automation rules make it, sees each delivery.

        The fast way past the ORM would otherwise switch other addons off.
        """
        seen = []
        create = type(self.env[DELIVERY]).create

        def spy(self, vals_list):
            seen.extend(vals_list)
            return create(self, vals_list)

        self.patch(type(self.env[DELIVERY]), "create", spy)

        deliveries = self.endpoint.queue_deliveries(self.requests(3))

        self.assertEqual(3, len(seen))
        self.assertEqual(["queued"] * 3, deliveries.mapped("state"))
        self.assertEqual(6, len(deliveries.context_line_ids))
        self.assertEqual(1, len(self.wake_ups()))

    def test_query_counts(self):
        """One delivery costs six queries at most, a thousand no more than ten.

        A query per delivery would show in every order that is confirmed.
        """
        self.needs_plain_insert()
        self.queue({"a": 1}, {"order_id": 7})
        counts = {}
        for count in (1, 10, 1000):
            self.env.cr.execute("DELETE FROM queue_job")
            self.env.flush_all()
            self.env.invalidate_all()
            requests = self.requests(count)
            before = self.env.cr.sql_log_count
            self.endpoint.queue_deliveries(requests)
            self.env.flush_all()
            counts[count] = self.env.cr.sql_log_count - before
        self.assertLessEqual(counts[1], 6)
        self.assertEqual(counts[1], counts[10])
        self.assertEqual(counts[1], counts[1000])

    def test_one_wake_up_per_transaction(self):
        """A burst in one transaction requests one lane, whatever the calls.

        A job per delivery would keep the runner busy with lanes that find nothing.
        """
        for number in range(5):
            self.queue({"n": number})
        self.endpoint.queue_deliveries(self.requests(5))

        self.assertEqual(1, len(self.wake_ups()))
        job = self.wake_ups()
        self.assertFalse(job.eta)
        self.assertEqual(0, job.max_retries)
        self.assertEqual("root.webhooks.outbound", job.channel)

    def test_later_does_not_swallow_now(self):
        """Deliveries for now and for later request a wake-up each, one per date.

        with_delay returns an existing job and leaves its date unchanged: a shared key
        would make what is due now wait for what is due in an hour.
        """
        soon, later = utcnow() + timedelta(hours=1), utcnow() + timedelta(hours=2)

        self.endpoint.queue_deliveries(
            [{"payload": 1, "eta": later}, {"payload": 2, "eta": soon}, {"payload": 3}]
        )

        now, then = self.wake_ups().sorted(lambda job: job.eta or datetime.min)
        self.assertFalse(now.eta)
        self.assertAlmostEqual(then.eta, soon, delta=timedelta(seconds=1))

    def test_rolled_back_savepoint_takes_its_wake_up_along(self):
        """After a rollback to a savepoint the next delivery requests a lane again.

        Storing "requested already" outside the database would lose the wake-up.
        """
        savepoint = self.env.cr.savepoint()
        self.queue({"a": 1})
        savepoint.close(rollback=True)
        self.assertFalse(self.wake_ups())

        self.queue({"a": 2})

        self.assertEqual(1, len(self.wake_ups()))

    def test_order_of_the_queue_is_the_order_given(self):
        """Places are drawn in the order of the list, and never lent twice."""
        first = self.endpoint.queue_deliveries(self.requests(50))
        second = self.endpoint.queue_deliveries(self.requests(50))

        numbers = (first + second).mapped("queue_number")
        self.assertEqual(sorted(set(numbers)), numbers)
        self.assertEqual(
            list(range(50)), [json.loads(each.payload_json)["n"] for each in first]
        )

    def test_a_bad_one_among_many_leaves_nothing(self):
        """What is refused is refused before anything is written.

        A caller that catches the error and continues would send half of its list.
        """
        before = self.env[DELIVERY].search_count([])
        bad = (
            {"payload": {"a": {1, 2}}},
            {"payload": 1, "files": {"doc": {"filename": "x"}}},
            {"payload": 1, "context_lines": [{"key_name": "k"} | {"source_kind": "x"}]},
            {"payload": 1, "supersede": True},
        )
        for request in bad:
            with self.subTest(request=request), self.refused("Orders"):
                self.endpoint.queue_deliveries([{"payload": 1}, request])

        self.assertEqual(before, self.env[DELIVERY].search_count([]))
        self.assertFalse(self.wake_ups())

    def test_empty_list(self):
        """Without a request nothing is done, without an error."""
        self.assertFalse(self.endpoint.queue_deliveries([]))
        self.assertFalse(self.wake_ups())

    def test_draft_first_then_the_button(self):
        """Created as a draft, lines added, then queued: as older code does it.

        Drafts may be made on an endpoint that isn't active; queueing them may not.
        """
        self.endpoint.action_set_draft()
        vals = {"endpoint_id": self.endpoint.id}
        draft = self.env[DELIVERY].create(vals)
        self.assertEqual({"endpoint_id": self.endpoint.id}, vals)
        draft.context_line_ids.create(
            {"delivery_id": draft.id, "key_name": "k", "literal_value": "1"}
        )
        with self.refused("Draft"):
            draft.action_queue_delivery()
        self.assertEqual("draft", draft.state)
        self.endpoint.action_activate()

        draft.action_queue_delivery()

        self.assertEqual("queued", draft.state)
        self.assertEqual(self.endpoint.company_id, draft.company_id)
        self.assertTrue(draft.queue_number and draft.next_attempt_at)
        self.assertEqual(1, len(self.wake_ups()))

    def test_without_jobs_it_is_sent_at_once(self):
        """Under queue_job__no_delay queueing sends in the caller's transaction."""
        endpoint = self.endpoint.with_context(queue_job__no_delay=True)

        delivery = endpoint.queue_delivery({"a": 1})

        self.assertEqual("done", delivery.state)
        self.assertEqual({"a": 1}, self.receiver.wait_for_requests(1)[0].json())
        self.assertFalse(self.wake_ups())

    def test_silent(self):
        """Queueing writes no message and subscribes nobody."""
        endpoint = self.endpoint.with_context(tracking_disable=False)

        delivery = endpoint.queue_delivery({"a": 1})

        self.assertFalse(delivery.message_ids)
        self.assertFalse(delivery.message_follower_ids)
