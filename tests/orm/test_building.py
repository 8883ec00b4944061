# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Building under bounds: time, bytes, handlers that fail or end their worker."""

import resource
from datetime import timedelta

from odoo import SUPERUSER_ID, api
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import result_of_response
from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health
from odoo.addons.bwt_webhooks_outbound.lane.lane import Lane
from odoo.addons.bwt_webhooks_outbound.lane.pacing import (
    CLAIM_BYTES,
    DELIVERY_BYTES_MAX,
    Position,
    fitting,
    pages,
)
from odoo.addons.bwt_webhooks_outbound.lane.recording import open_attempts
from odoo.addons.bwt_webhooks_outbound.services.errors import Message
from odoo.addons.bwt_webhooks_outbound.services.http.response import HttpResponse

from ..constants import DELIVERY, HANDLER
from .common import CommittedCase, OutboundCase, duty_on, jobs

MIB = 2**20


def hazardous(env):
    """The handler that does what the payload says."""
    return env[HANDLER].create(
        {
            "name": "Hazards",
            "code": "hazards",
            "direction": "outbound",
            "execution_mode": "python",
            "python_model_name": "shop.hazard",
            "python_method_name": "decide",
        }
    )


@tagged("post_install", "-at_install", "any_database")
class TestBatchBounds(OutboundCase):
    def take(self, limit=10, *, alone=True, room=CLAIM_BYTES):
        """One batch as a lane would claim it."""
        self.env.flush_all()
        endpoint = self.endpoint._for_lane()
        snapshot = endpoint._outbound_snapshot()
        health = Health(self.env.cr, endpoint.id, snapshot.policy, False)
        now = utcnow()
        claim = Claim(endpoint, snapshot, health, Position(), "j")
        batch = claim.take(limit, now, alone=alone, room=room)
        open_attempts(self.env.cr, snapshot, batch.prepared, "j", 0, now)
        self.env.invalidate_all()
        return batch

    def do(self, name, argument):
        return self.queue({"do": [name, argument]})

    def test_a_second_of_building_ends_a_batch(self):
        """After a second what is built is sent; nothing is written for the others.

        The whole batch was built first: with slow handlers the worker was killed
        before anything was sent, each time.
        """
        self.endpoint.handler_id = hazardous(self.env)
        deliveries = sum((self.do("sleep", 0.6) for _ in range(4)), self.env[DELIVERY])
        before = [self.row(each) for each in deliveries[2:]]

        batch = self.take()

        self.assertEqual((2, False), (batch.claimed, batch.is_last))
        self.assertEqual(["processing"] * 2, deliveries[:2].mapped("state"))
        self.assertEqual(before, [self.row(each) for each in deliveries[2:]])

    def test_a_claim_is_bounded_by_bytes(self):
        """What doesn't fit is left where it is, and found by the next claim.

        Counted by number alone a batch took all memory, and the worker was killed.
        """
        deliveries = self.endpoint.queue_deliveries(
            [{"payload": {"text": "x" * 1000}} for _ in range(5)]
        )

        first = self.take(room=2500)
        second = self.take(room=2500)
        beside = self.take(room=500, alone=False)
        alone = self.take(room=500, alone=True)

        taken = [each.claimed for each in (first, second, beside, alone)]
        self.assertEqual([2, 2, 0, 1], taken)
        self.assertEqual([False] * 3, [first.is_last, second.is_last, beside.is_last])
        self.assertEqual(["processing"] * 5, deliveries.mapped("state"))

    def test_hooks_may_ask_another_delivery(self):
        """A hook reads the values of a delivery beside it, and then its own again.

        The context carries one scope, that of the delivery that is prepared.
        """
        deliveries = self.endpoint.queue_deliveries(
            [{"context_lines": {"n": number}} for number in range(3)]
        )

        def headers(delivery):
            other = deliveries.with_env(delivery.env)[(delivery.id + 1) % 3]
            read = [each._get_context_values()["n"] for each in (other, delivery)]
            return {"X-Read": read == [deliveries.ids.index(other.id), own(delivery)]}

        def own(delivery):
            return deliveries.ids.index(delivery.id)

        self.patch(type(deliveries), "_collect_extra_headers", headers)

        batch = self.take()

        read = [dict(each.encoded.headers)["X-Read"] for each in batch.prepared]
        self.assertEqual(["True"] * 3, read)

    def test_files_count(self):
        """The files of a delivery are part of its size."""
        self.endpoint.request_body_mode = "multipart"
        for _number in range(3):
            self.queue(files={"f": {"filename": "a.bin", "content": b"x" * 1000}})

        batch = self.take(room=2500)

        self.assertEqual((2, False), (batch.claimed, batch.is_last))

    def test_what_a_handler_enlarges_is_refused(self):
        """A request that grew beyond what may be queued is an error, not sent."""
        self.endpoint.handler_id = hazardous(self.env)
        large = self.do("enlarge", DELIVERY_BYTES_MAX)
        small = self.queue({"n": 1})

        self.take()  # a second may have passed by now
        self.take()

        self.assertEqual(("error", "build"), (large.state, large.failure_reason))
        self.assertRegex(large.processing_error, "take 101 MiB.*100 MiB at most")
        self.assertFalse(large.attempt_ids)
        self.assertEqual("processing", small.state)

    def test_too_large_is_refused_when_queued(self):
        """More than a worker can send is refused with its size, whatever holds it."""
        text = "x" * DELIVERY_BYTES_MAX
        files = {"f": {"filename": "a.bin", "content": text.encode()}}

        for request in ({"payload": {"text": text}}, {"payload": {}, "files": files}):
            with self.subTest(request=list(request)), self.refused("take 101 MiB"):
                self.queue(**request)

        self.assertFalse(self.endpoint.outbound_delivery_ids)

    def test_too_large_a_draft_is_refused_when_queued(self):
        """A draft that was filled by hand is measured by its button."""
        draft = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_delivery "
            "SET payload_json = to_json(repeat('x', %s))::text WHERE id = %s",
            (DELIVERY_BYTES_MAX, draft.id),
        )
        self.env.invalidate_all()

        with self.refused("take 101 MiB"):
            draft.action_queue_delivery()

        self.assertEqual("draft", draft.state)

    def test_large_ones_are_inserted_in_their_order(self):
        """Queueing in several statements keeps the order that was given."""
        deliveries = self.endpoint.queue_deliveries(
            [{"name": str(n), "payload": "x" * 3 * MIB} for n in range(5)]
        )

        self.assertEqual([str(n) for n in range(5)], deliveries.mapped("name"))
        numbers = deliveries.mapped("queue_number")
        self.assertEqual(sorted(numbers), numbers)

    def test_sent_directly_without_open_files(self):
        """Sending at once raises what this server lacks, and changes nothing."""
        self.endpoint.handler_id = hazardous(self.env)
        delivery = self.do("lack_files", 0)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)

        try:
            with self.refused("ran out of open files"):
                delivery.process_delivery()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

        self.env.invalidate_all()
        self.assertEqual(("queued", 0), (delivery.state, delivery.attempt_count))
        self.assertFalse(delivery.attempt_ids)

    def test_interrupted_by_a_shortage(self):
        """A request that was under way when memory ran out is sent again, for free."""
        delivery = self.queue({"n": 1})
        batch = self.take()
        env, now = self.endpoint._for_lane().env, utcnow()
        response = HttpResponse(reason="interrupted", error=Message("no memory"))

        result, signal = result_of_response(
            batch.prepared[0], response, self.endpoint._outbound_snapshot(), env, now
        )

        self.assertEqual("ignore", signal)
        self.assertEqual(("error", "interrupted"), (result.state, result.attempt_state))
        self.assertEqual((now, 0), (result.next_attempt_at, result.retry_number))
        self.assertEqual("processing", delivery.state)

    def test_pages(self):
        """Rows are cut by number and by bytes; one too large has its own page."""

        def cut(*sizes):
            return list(pages(sizes, int, count=3, size=10))

        self.assertEqual([], cut())
        self.assertEqual([[1, 1, 1], [1]], cut(1, 1, 1, 1))
        self.assertEqual([[5, 5], [5]], cut(5, 5, 5))
        self.assertEqual([[1], [20], [1]], cut(1, 20, 1))

    def test_fitting(self):
        """The first one fits whatever its size when nothing else is held."""
        self.assertEqual(2, fitting([4, 4, 4], 10, alone=True))
        self.assertEqual(1, fitting([40, 4], 10, alone=True))
        self.assertEqual(0, fitting([40, 4], 10, alone=False))
        self.assertEqual(0, fitting([], 10, alone=True))


@tagged("post_install", "-at_install")
class TestKilledWhileBuilding(CommittedCase):
    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            handler = hazardous(env)
            self.endpoint(env).write(
                {"handler_id": handler.id, "retry_schedule": "1h", "max_in_flight": 2}
            )
        self.addCleanup(self._drop_handler, handler.id)

    def _drop_handler(self, handler_id):
        self.set_up(handler_id=False)
        with self.transaction() as env:
            env[HANDLER].browse(handler_id).unlink()

    def run_after_kill(self):
        """A lane whose job ran before, and whose worker was killed then."""
        with self.started_job() as uuid, self.registry.cursor() as cr:
            with self.transaction() as env:
                env.cr.execute(
                    "UPDATE queue_job SET retry = 1 WHERE uuid = %s", (uuid,)
                )
            env = api.Environment(cr, SUPERUSER_ID, {"job_uuid": uuid})
            return Lane(self.endpoint(env), uuid).run()

    def arrived(self):
        return sorted(each.json()["n"] for each in self.receiver.requests)

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.batch")
    def test_whatever_a_handler_raises_stops_its_delivery_alone(self):
        """Those beside it are sent; the lane, the worker and its job live on."""
        for name in ("SystemExit", "KeyboardInterrupt", "MemoryError"):
            with self.subTest(name=name):
                self.receiver.clear()
                ids = self.queue({"n": 1}, {"n": 2, "do": ["raise", name]}, {"n": 3})

                self.run_lane()

                self.assertEqual(["done", "error", "done"], self.states(ids))
                self.assertEqual([1, 3], self.arrived())
                [row] = self.committed(ids[1:2], "failure_reason", "processing_error")
                self.assertEqual("handler", row[0])
                self.assertIn(name, row[1])

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.batch")
    def test_endless_recursion_stops_its_delivery_alone(self):
        """RecursionError is an error of the handler like any other."""
        ids = self.queue({"n": 1, "do": ["recurse", 0]}, {"n": 2})

        self.run_lane()

        self.assertEqual(["error", "done"], self.states(ids))

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.lane")
    def test_what_kills_the_lane_is_found_and_parked(self):
        """One at a time, each marked before: the one that kills twice is an error.

        It stayed queued without a trace, and killed each lane that came.
        """
        kill = {"n": 2, "do": ["raise", "GeneratorExit"]}
        ids = self.queue({"n": 0}, {"n": 1}, kill, {"n": 3})

        with self.assertRaises(GeneratorExit):
            self.run_lane()
        self.assertEqual(["queued"] * 4, self.states(ids))
        self.assertEqual([(0,)] * 4, self.committed(ids, "build_tries"))
        with self.assertRaises(GeneratorExit):
            self.run_after_kill()
        self.assertEqual(["done", "done", "queued", "queued"], self.states(ids))
        self.assertEqual([(0,), (0,), (1,), (0,)], self.committed(ids, "build_tries"))
        with self.assertRaises(GeneratorExit):
            self.run_lane()  # the mark alone makes it careful
        self.assertEqual([(2,)], self.committed(ids[2:3], "build_tries"))
        self.run_lane()

        self.assertEqual(["done", "done", "error", "done"], self.states(ids))
        self.assertEqual([0, 1, 3], self.arrived())
        [row] = self.committed(
            ids[2:3], "failure_reason", "next_attempt_at", "build_tries"
        )
        self.assertEqual(("handler", False, 0), row)
        [(text,)] = self.committed(ids[2:3], "processing_error")
        self.assertRegex(text, "ended or ran out of memory 2 times while it built")

    def test_queued_again_it_is_built_again(self):
        """Once the handler is corrected, queueing the delivery sends it."""
        [delivery_id] = self.queue({"n": 0})
        with self.transaction() as env:
            env[DELIVERY].browse(delivery_id).build_tries = 2
        self.run_lane()
        self.assertEqual(["error"], self.states([delivery_id]))

        with self.transaction() as env:
            env[DELIVERY].browse(delivery_id).action_queue_delivery()
        self.run_lane()

        self.assertEqual(["done"], self.states([delivery_id]))

    def test_the_innocent_lose_their_mark(self):
        """What was being built when the worker was killed is sent like any other."""
        ids = self.queue({"n": 0}, {"n": 1})
        with self.transaction() as env:
            env[DELIVERY].browse(ids[1]).build_tries = 1

        self.run_lane()

        self.assertEqual(
            [("done", 0), ("done", 0)], self.committed(ids, "state", "build_tries")
        )

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.lane")
    def test_careful_with_an_order(self):
        """With an order per key each is built alone too, in its order."""
        self.set_up(ordering="key")
        ids = self.queue(*({"n": n} for n in range(4)), ordering_key="k")

        self.run_after_kill()

        self.assertEqual(["done"] * 4, self.states(ids))
        self.assertEqual([0, 1, 2, 3], [e.json()["n"] for e in self.receiver.requests])

    def test_jobs_of_killed_lanes_leave_the_channel(self):
        """This endpoint's are closed, those of others are pending; who runs is spared.

        queue_job's runner counted them as running, and a neighbour waited a minute.
        """
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            other = endpoint.copy({"code": "neighbour", "state": "active"})
            dead, alive = (
                jobs.start_watchdog(endpoint, duty_on(endpoint), f"job-{n}")
                for n in range(2)
            )
            others = jobs.start_watchdog(other, duty_on(other), "job-2")
            other_id = other.id
            env.flush_all()
            env.cr.execute(
                """WITH begun AS (
                    UPDATE queue_job SET state = 'started' WHERE uuid = ANY(%s)
                    RETURNING id
                ) INSERT INTO queue_job_lock (queue_job_id) SELECT id FROM begun""",
                ([dead, alive, others],),
            )
        self.addCleanup(self._drop_neighbour, other_id)

        with self.read_committed() as running, self.read_committed() as lane:
            running.cr.execute(
                "SELECT 1 FROM queue_job_lock WHERE queue_job_id = "
                "(SELECT id FROM queue_job WHERE uuid = %s) FOR UPDATE",
                (alive,),
            )
            killed = jobs.free_dead_jobs(self.endpoint(lane), utcnow())
            again = jobs.free_dead_jobs(self.endpoint(lane), utcnow())

        self.assertEqual((True, False), (killed, again))
        with self.transaction() as env:
            env.cr.execute(
                "SELECT uuid, state, COALESCE(retry, 0) FROM queue_job "
                "WHERE uuid = ANY(%s)",
                ([dead, alive, others],),
            )
            found = {uuid: rest for uuid, *rest in env.cr.fetchall()}
        expected = {dead: ["done", 0], alive: ["started", 0], others: ["pending", 1]}
        self.assertEqual(expected, found)

    def _drop_neighbour(self, endpoint_id):
        with self.transaction() as env:
            env.cr.execute(
                "DELETE FROM queue_job WHERE identity_key LIKE %s",
                (f"bwt_webhook_outbound:%:{endpoint_id}:%",),
            )
            env[self.endpoint(env)._name].browse(endpoint_id).unlink()

    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.lane")
    def test_without_open_files_nothing_is_held_against_the_target(self):
        """What this server lacks costs no retry; the endpoint says what it is.

        Ten such failures opened the circuit, and the retry schedule ran out while the
        target was well.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        ids = self.queue({"n": 0, "do": ["lack_files", 0]}, {"n": 1})
        names = ("state", "attempt_count", "retry_number", "failure_reason")
        before = self.committed(ids, *names)

        try:
            self.run_lane()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        self.assertEqual(before, self.committed(ids, *names))
        self.assertFalse(self.receiver.requests)
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            self.assertFalse(env[DELIVERY].browse(ids).attempt_ids)
            self.assertEqual("closed", endpoint.circuit_state)
            self.assertEqual(0, endpoint.failure_streak)
            self.assertRegex(endpoint.queue_trouble, "ran out of open files.*ulimit -n")
        [eta] = self.pending()
        self.assertLess(timedelta(seconds=2), eta - utcnow())
        with self.transaction() as env:
            env[DELIVERY].browse(ids[:1]).payload_json = '{"n": 0}'
        self.run_lane()
        self.assertEqual(["done"] * 2, self.states(ids))
