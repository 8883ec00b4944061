# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries queued for minutes beside faults, with an upgrade in the middle."""

import contextlib
import threading
import time
from dataclasses import dataclass, field

from caller import CallFailed
from faulty_run import BY_KEY, LOOSE, Result, Run
from stage import tally, wait_for_runner

from tools.databases import Databases
from tools.workspace import ADDON

TABLES = (
    "bwt_webhook_outbound_delivery",
    "bwt_webhook_outbound_delivery_attempt",
    "bwt_webhook_outbound_delivery_context_line",
    "bwt_webhook_outbound_endpoint_health",
    "queue_job",
)
FAULT_EVERY = (10, 25)  # seconds between faults, drawn
TICK = 0.5  # seconds between transactions that queue
POLICY = {
    "max_in_flight": 8,
    "circuit_threshold": 0,
    "retry_schedule": ",".join(["1s"] * 20),
}

VACUUM = f"""
SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead,
    autovacuum_count AS vacuums, pg_total_relation_size(relid) AS size
FROM pg_stat_user_tables WHERE relname IN ({", ".join(f"'{name}'" for name in TABLES)})
ORDER BY relname"""


@dataclass
class LongResult(Result):
    """What a long run came to, with the state of its tables."""

    upgrade: float = 0.0  # seconds that the server was stopped for it
    failed_calls: int = 0  # transactions that queued, failed and were repeated
    tables: dict = field(default_factory=dict)  # moment -> rows of VACUUM

    def __str__(self):
        lines = [
            super().__str__(),
            f"upgraded in {self.upgrade:.0f} s; {self.failed_calls} transactions that "
            "queued were repeated",
        ]
        for moment, rows in self.tables.items():
            for row in rows:
                lines.append(
                    f"  {moment:6} {row['name']}: {row['live']:,} live and "
                    f"{row['dead']:,} dead rows, {row['size'] / 2**20:,.1f} MiB, "
                    f"vacuumed {row['vacuums']} times"
                )
        return "\n".join(lines)


@dataclass
class LongRun(Run):
    """Queues at a rate while faults hit, and updates the addon halfway."""

    rate: int = 60  # deliveries a second
    failed_calls: int = 0
    _ends: bool = False
    _error: Exception | None = None

    def run_for(self, name, minutes) -> LongResult:
        """Queue and hit for so many minutes, then wait for what is left."""
        began, seconds = time.monotonic(), minutes * 60
        self.receiver.script("/", self._respond)
        self.shop.endpoint(LOOSE, self.receiver.url, **POLICY)
        self.shop.endpoint(BY_KEY, self.receiver.url, ordering="key", **POLICY)
        tables = {"start": self.shop.rows(VACUUM)}
        thread = threading.Thread(target=self._queue_at_rate, daemon=True)
        thread.start()
        try:
            moving = self._hit_until(began + seconds / 2)
            tables["middle"] = self.shop.rows(VACUUM)
            upgrade = self._upgrade()
            moving += self._hit_until(began + seconds)
        finally:
            self._ends = True
            thread.join()
        if self._error:
            raise self._error
        self._wait_for(lambda: len(self.receiver.counts()), len(self.uids))
        self._wait_for_end()
        tables["end"] = self.shop.rows(VACUUM)
        attempts = self.shop.attempts(LOOSE) + self.shop.attempts(BY_KEY)
        return LongResult(
            name,
            self.seed,
            tally(self.receiver, self.uids, attempts, self.shop.states()),
            moving,
            self._disorder(),
            self.restarts,
            time.monotonic() - began,
            upgrade=upgrade,
            failed_calls=self.failed_calls,
            tables=tables,
        )

    def _hit_until(self, end) -> list[float]:
        """A fault now and then; seconds from each until something arrived."""
        faults = [self.kill_worker] * 4 + [self.end_backend] * 2
        faults += [self.kill_server, self.stop_server]
        moving = []
        while time.monotonic() < end:
            pause = time.monotonic() + self.random.uniform(*FAULT_EVERY)
            while time.monotonic() < min(pause, end):
                self._revive()
                time.sleep(0.1)
            if time.monotonic() >= end:
                break
            hit = time.monotonic()
            self.random.choice(faults)()
            self._wait_for(lambda: self.receiver.total, self.receiver.total + 1)
            moving.append(time.monotonic() - hit)
        return moving

    def _upgrade(self) -> float:
        """Stop, `odoo -u`, start, as at a deployment; others queue meanwhile."""
        began = time.monotonic()
        self.server.stop()
        Databases(self.shop.cluster).update(self.shop.database, ADDON)
        seen = self.server.log().count("queue job runner ready")
        self.server.start()
        wait_for_runner(self.server, seen)
        return time.monotonic() - began

    def _queue_at_rate(self):
        """Runs in a thread of its own, as another Odoo server would queue."""
        number, started = 0, time.monotonic()
        try:
            while not self._ends:
                wanted = int((time.monotonic() - started) * self.rate)
                count = min(wanted - number, self.rate)  # after a pause: bit by bit
                for code in (LOOSE, BY_KEY):
                    if count > 1:
                        self.uids += self._queue_surely(code, count // 2, number)
                        number += count // 2
                time.sleep(TICK)
        except Exception as error:
            self._error = error

    def _queue_surely(self, code, count, number):
        """Queue; a transaction that an upgrade or a fault ended is repeated."""
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(CallFailed):
                return self._queue(code, count, number)
            self.failed_calls += 1
            if time.monotonic() > deadline:
                return self._queue(code, count, number)
            time.sleep(1)
