# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries are sent while things are killed: one run, drawn from a seed."""

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass, field

from caller import CallFailed
from stage import connected_to, describe, tally, wait_until

from receiver import status

LOOSE, BY_KEY = "loose", "by-key"
KEYS = 12
LANES_EVERY = 5  # seconds between changes of the number of lanes
# Seconds without an arrival: something is stuck. After a crash of PostgreSQL, Odoo
# answers one request with an error for each dead connection in its pool, and the runner
# of queue_job searches for jobs lost that way once a minute: two rounds are possible.
STILL = 150
RUNNER_LOCK = 2293787760715711918  # PG_ADVISORY_LOCK_ID of queue_job's runner
POLL = 0.01  # seconds; a fault should hit at its moment


@dataclass
class Result:
    """What a run came to."""

    name: str
    seed: int
    seen: dict  # see `stage.tally`
    moving: list[float]  # seconds from each fault to the next arrival
    disorder: list[str]
    restarts: int  # of a server that ended by itself
    seconds: float

    @property
    def amiss(self) -> list[str]:
        """A sentence on each promise that did not hold."""
        found = [f"lost: {uid}" for uid in self.seen["lost"]]
        found += [f"no attempt explains: {uid}" for uid in self.seen["unexplained"]]
        if self.seen["states"] != {"done": self.seen["queued"]}:
            found.append(f"not done: {self.seen['states']}")
        return found + self.disorder

    def __str__(self):
        moving = ", ".join(f"{seconds:.1f}" for seconds in sorted(self.moving))
        return (
            f"{self.name}, seed {self.seed}: {describe(self.seen)}; {len(self.moving)} "
            f"faults, moving again after {moving or '-'} s; server ended by itself "
            f"{self.restarts} times; {self.seconds:.0f} s"
        )


@dataclass
class Run:
    """Two endpoints, one without and one with an order, and faults meanwhile."""

    shop: object  # Stage
    servers: list  # of OdooServer; the first one is hit
    receiver: object
    seed: int
    keys: int = KEYS
    lanes: int = 1  # of each endpoint, at most; their number changes all the time
    delay: float = 0.02  # seconds that a response takes
    restarts: int = 0
    lanes_at: float = 0  # monotonic clock of the next change
    uids: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.random = random.Random(self.seed)

    @property
    def server(self):
        return self.servers[0]

    def execute(self, name, deliveries, faults) -> Result:
        """Queue, call each of `faults` at a drawn moment, wait for the end."""
        began = time.monotonic()
        self.receiver.script("/", self._respond)
        self._queue_all(deliveries)
        moments = self.random.sample(range(10, int(deliveries * 0.8)), len(faults))
        moving = []
        for moment, fault in zip(sorted(moments), faults, strict=True):
            self._wait_for(lambda: len(self.receiver.counts()), moment)
            hit = time.monotonic()
            fault()
            self._wait_for(lambda: self.receiver.total, self.receiver.total + 1)
            moving.append(time.monotonic() - hit)
        self._wait_for(lambda: len(self.receiver.counts()), deliveries)
        self._wait_for_end()
        attempts = self.shop.attempts(LOOSE) + self.shop.attempts(BY_KEY)
        seen = tally(self.receiver, self.uids, attempts, self.shop.states())
        took = time.monotonic() - began
        disorder = self._disorder()
        return Result(name, self.seed, seen, moving, disorder, self.restarts, took)

    def _respond(self, exchange):
        """200 after a moment; one in twenty hears 503 the first time."""
        time.sleep(self.delay)
        is_busy = exchange.tries == 1 and exchange.request.json()["n"] % 20 == 7
        status(503 if is_busy else 200)(exchange)

    def _queue_all(self, deliveries):
        """Create the endpoints and queue, in transactions of drawn sizes."""
        policy = {
            "max_in_flight": self.random.choice([4, 8]),
            "circuit_threshold": 0,
            "retry_schedule": ",".join(["1s"] * 20),
        }
        self.shop.endpoint(LOOSE, self.receiver.url, **policy)
        self.shop.endpoint(BY_KEY, self.receiver.url, ordering="key", **policy)
        left = {LOOSE: deliveries // 2, BY_KEY: deliveries - deliveries // 2}
        number = 0
        while left:
            code = self.random.choice(sorted(left))
            count = min(left[code], self.random.randint(1, max(deliveries // 5, 1)))
            self.uids += self._queue(code, count, number)
            number += count
            left[code] -= count
            left = {code: count for code, count in left.items() if count}

    def _queue(self, code, count, first):
        return self.shop.caller.run(
            "result = endpoint(code).queue_deliveries([\n"
            "    {'payload': {'n': n}, 'ordering_key': f'k{n % keys}'}\n"
            "    for n in range(first, first + count)\n"
            "]).sudo().mapped('message_uid')",
            code=code,
            count=count,
            first=first,
            keys=self.keys,
        )

    def _wait_for(self, check, wanted):
        """Wait as long as anything arrives; `check()` returns a number."""
        seen, since = self.receiver.total, time.monotonic()
        while check() < wanted:
            self._revive()
            self._change_lanes()
            if self.receiver.total != seen:
                seen, since = self.receiver.total, time.monotonic()
            if time.monotonic() - since > STILL:
                raise TimeoutError(
                    f"seed {self.seed}: nothing arrived for {STILL} s, {check()} of "
                    f"{wanted} here; states {self.shop.states()}"
                )
            time.sleep(POLL)

    def _wait_for_end(self):
        def ended():
            self._revive()
            return self.shop.states() == {"done": len(self.uids)}

        with contextlib.suppress(TimeoutError):  # the result has the states
            wait_until(ended, STILL)

    def _revive(self):
        """Start servers again that ended; Odoo's master may, without PostgreSQL."""
        for server in self.servers:
            if not server.is_running():
                self.restarts += 1
                server.kill()  # workers may outlive their master
                server.start()

    def _change_lanes(self):
        """As an administrator would, on both endpoints."""
        if self.lanes < 2 or time.monotonic() < self.lanes_at:
            return
        self.lanes_at = time.monotonic() + LANES_EVERY
        with contextlib.suppress(CallFailed):  # a lane had the row at that moment
            self.shop.caller.run(
                "for code in codes:\n    endpoint(code).parallel_lanes = lanes",
                codes=[LOOSE, BY_KEY],
                lanes=self.random.randint(1, self.lanes),
            )

    def _disorder(self):
        """Arrivals of a key behind a later one of the same key."""
        places = {
            delivery["message_uid"]: (
                delivery["ordering_key"],
                delivery["queue_number"],
            )
            for delivery in self.shop.deliveries(BY_KEY)
        }
        furthest, found = {}, []
        for request in self.receiver.requests:
            if request.webhook_id not in places:
                continue
            key, number = places[request.webhook_id]
            if number < furthest.get(key, 0):
                found.append(f"out of order: {key} {number} after {furthest[key]}")
            furthest[key] = max(number, furthest.get(key, 0))
        return found

    # --- faults

    def kill_server(self):
        """SIGKILL to all its processes at once, as when the machine goes down."""
        self.server.kill()
        self.server.start()

    def kill_leader(self):
        """SIGKILL to the server whose runner starts the jobs; it comes back."""
        if leader := self.leader():
            leader.kill()
            leader.start()

    def leader(self):
        """The server whose runner starts the jobs; None while none does."""
        rows = self.shop.rows(
            "SELECT a.application_name AS name FROM pg_locks l "
            "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
            "AND l.objsubid = 1 AND l.granted AND l.database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) "
            f"AND (l.classid::bigint << 32) + l.objid::bigint = {RUNNER_LOCK}"
        )
        names = {row["name"] for row in rows}
        for server in self.servers:
            if names & {f"odoo-{pid}" for pid in server.processes()}:
                return server
        return None

    def kill_worker(self):
        """SIGKILL to one of the processes that send at this moment."""
        senders = connected_to(self.server, self.receiver.port)
        workers = sorted(senders - {self.server.process.pid})
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(workers), signal.SIGKILL)

    def stop_server(self):
        """SIGTERM, as at a deployment."""
        self.server.stop()
        self.server.start()

    def end_backend(self):
        """End one of the server's connections to the database, drawn."""
        backends = self._backends()
        if backends:
            pid = self.random.choice(backends)
            self.shop.execute(f"SELECT pg_terminate_backend({pid})")

    def _backends(self):
        """Backends of the servers: not of the caller, not of observers."""
        rows = self.shop.rows(
            "SELECT pid, application_name AS name FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        names = {f"odoo-{pid}" for server in self.servers for pid in server.processes()}
        return sorted(row["pid"] for row in rows if row["name"] in names)

    def restart_database(self):
        """Stop PostgreSQL as an administrator would, and start it."""
        self.shop.cluster.restart()

    def crash_database(self):
        """SIGKILL to one backend: PostgreSQL ends all others and recovers."""
        backends = self._backends()
        if backends:
            os.kill(self.random.choice(backends), signal.SIGKILL)
