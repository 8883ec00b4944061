"""Deliveries while things are killed: the long form, and what the tests run of it.

A run draws its faults from a seed, keeps the server up whatever ends it, and gives a
`Result` with counts and with what is amiss. By hand (`make soak SEED=7`):

    python tests/live/soak.py --seed 7 [--deliveries 2000] [--faults 20] [--only NAME]
"""

import argparse
import contextlib
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here.parent.parent), str(here.parent)]

from cases import (
    PATIENCE,
    RUNNER_READY,
    connected_to,
    describe,
    serving,
    stage,
    tally,
    wait_until,
)
from private_cluster import PrivateCluster
from receiver import Receiver

from tools.databases import Databases
from tools.postgres import Cluster

LOOSE, BY_KEY = "loose", "by-key"
KEYS = 12
STILL = 90  # seconds without an arrival: something is stuck


@dataclass
class Result:
    """What a run came to."""

    name: str
    seed: int
    counts: dict  # see `tally`
    moving: list[float] = field(default_factory=list)  # s from fault to next arrival
    disorder: list[str] = field(default_factory=list)
    restarts: int = 0  # of a server that ended by itself
    seconds: float = 0.0

    @property
    def amiss(self) -> list[str]:
        """Sentences on each promise that did not hold; empty when all did."""
        counts = self.counts
        found = [f"lost: {uid}" for uid in counts["lost"]]
        found += [f"arrived unexplained: {uid}" for uid in counts["unexplained"]]
        if counts["states"] != {"done": counts["queued"]}:
            found.append(f"states: {counts['states']}")
        return found + self.disorder

    def __str__(self):
        faults = len(self.moving) or 1
        moving = ", ".join(f"{seconds:.1f}" for seconds in sorted(self.moving))
        return (
            f"{self.name} (seed {self.seed}): {describe(self.counts)}; "
            f"{counts_per(self.counts['duplicates'], faults)} duplicates per fault, "
            f"moving again after {moving or '-'} s, "
            f"server restarted {self.restarts} times, {self.seconds:.0f} s in all"
        )


def counts_per(count, faults) -> str:
    return f"{count / faults:.1f}"


class Run:
    """Deliveries of two endpoints, one without and one with an order, under faults."""

    def __init__(self, shop, server, receiver, seed):
        self.shop = shop
        self.server = server
        self.receiver = receiver
        self.seed = seed
        self.random = random.Random(seed)
        self.restarts = 0
        self.moving = []
        self.uids = []
        receiver.script("/", self._answer)

    def _answer(self, exchange):
        """After a moment, 200; one in twenty is told 503 the first time."""
        request = exchange.request
        time.sleep(0.02)
        told_to_wait = exchange.tries == 1 and request.webhook_id.endswith(tuple("7"))
        code = "503 Later" if told_to_wait and "ab" in request.webhook_id else "200 OK"
        exchange.send(f"HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n".encode())

    def prepare(self, deliveries):
        """Create the endpoints and queue, in transactions of drawn sizes."""
        policy = {"max_in_flight": self.random.choice([4, 8]), "circuit_threshold": 0}
        self.shop.endpoint(LOOSE, self.receiver.url, **policy)
        self.shop.endpoint(BY_KEY, self.receiver.url, ordering="key", **policy)
        left = {LOOSE: deliveries // 2, BY_KEY: deliveries - deliveries // 2}
        while left:
            code = self.random.choice(sorted(left))
            count = min(left[code], self.random.randint(1, max(deliveries // 5, 1)))
            left[code] -= count
            self.uids += self._queue(code, count, first=left[code])
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
            keys=KEYS,
        )

    def execute(self, name, deliveries, faults, fault) -> Result:
        """Queue, do `fault()` at drawn moments, wait for the end; gives the result."""
        began = time.monotonic()
        self.prepare(deliveries)
        for moment in self._moments(deliveries, faults):
            self._wait_for_arrivals(moment)
            arrived, hit = self.receiver.total, time.monotonic()
            fault()
            self._wait_for_total(arrived + 1)
            self.moving.append(time.monotonic() - hit)
        self._wait_for_arrivals(deliveries)
        self._wait_for_end()
        attempts = self.shop.attempts(LOOSE) + self.shop.attempts(BY_KEY)
        return Result(
            name,
            self.seed,
            tally(self.receiver, self.uids, attempts, self.shop.states()),
            self.moving,
            self._disorder(),
            self.restarts,
            time.monotonic() - began,
        )

    def _moments(self, deliveries, faults):
        """After how many distinct arrivals the faults come, drawn."""
        early = self.random.sample(range(1, int(deliveries * 0.8)), faults)
        return sorted(early)

    def _wait_for_arrivals(self, distinct):
        self._wait(lambda: len(self.receiver.counts()) >= distinct, distinct)

    def _wait_for_total(self, total):
        self._wait(lambda: self.receiver.total >= total, total)

    def _wait(self, look, wanted):
        """Wait while anything arrives; brings up a server that ended by itself."""
        seen, since = self.receiver.total, time.monotonic()
        while not look():
            self.revive()
            if self.receiver.total != seen:
                seen, since = self.receiver.total, time.monotonic()
            if time.monotonic() - since > STILL:
                raise TimeoutError(
                    f"nothing arrived for {STILL} s, {wanted} wanted, "
                    f"{len(self.receiver.counts())} distinct of {seen} here; "
                    f"states {self.shop.states()}"
                )
            time.sleep(0.01)

    def _wait_for_end(self):
        def ended():
            self.revive()
            return self.shop.states() == {"done": len(self.uids)} or None

        with contextlib.suppress(TimeoutError):  # the result tells the states
            wait_until(ended, STILL)

    def revive(self):
        """Start the server again if it ended; Odoo's master may, without PostgreSQL."""
        if not self.server.is_running():
            self.restarts += 1
            self.server.kill()  # workers may outlive their master
            self.server.start()

    def _disorder(self):
        """Deliveries of a key that arrived after a later one of the same key."""
        places = {
            row["message_uid"]: (row["ordering_key"], row["queue_number"])
            for row in self.shop.deliveries(BY_KEY)
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
        """SIGKILL to all processes at once, as when the machine goes down."""
        self.server.kill()
        self.server.start()

    def kill_worker(self):
        """SIGKILL to the processes that send at this moment."""
        for pid in connected_to(self.server, self.receiver.port):
            if pid != self.server.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    import os, signal

                    os.kill(pid, signal.SIGKILL)
