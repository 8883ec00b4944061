# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The environment of a measurement: a database, a caller, a server, a receiver."""

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass

import psycopg2
from caller import Caller
from stage import wait_for_runner

from benchmarks import workload
from receiver import Receiver
from tools import fetch
from tools.console import Trouble, say
from tools.odoo_server import OdooServer
from tools.workspace import REPOSITORY, child_environment, folder, tail

WORKERS = 5  # one more than the capacity of the channel: a job finds a free worker
CHANNELS = "root:4"
TIMEOUT = 180  # seconds
POLL = 0.02
URL_PATH = "/orders"
LEFT_TO_REQUESTS = {
    *("host", "user-agent", "accept", "accept-encoding", "connection"),
    *("content-length", "webhook-id"),
}

# Each reads a partial index, for any size of the history.
LEFT = """
SELECT EXISTS (
    SELECT 1 FROM bwt_webhook_outbound_delivery WHERE endpoint_id = ANY(%(ids)s)
    AND state IN ('queued', 'error') AND next_attempt_at IS NOT NULL
) OR EXISTS (
    SELECT 1 FROM bwt_webhook_outbound_delivery WHERE endpoint_id = ANY(%(ids)s)
    AND state = 'processing'
)"""
BUSY = """
SELECT EXISTS (
    SELECT 1 FROM queue_job WHERE state IN ('enqueued', 'started')
    OR state = 'pending' AND (eta IS NULL OR eta < now() AT TIME ZONE 'UTC')
)"""


@dataclass(frozen=True)
class Run:
    """Deliveries of one commit, all of them done."""

    count: int
    seconds: float  # from the commit until the last was recorded as done
    arrival_seconds: float  # from the commit until the last arrived
    queue_seconds: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def arrival_rate(self) -> float:
        return self.count / self.arrival_seconds


class Target:
    """The receiver of all requests, with their times of arrival."""

    def __init__(self):
        self.arrivals = []  # (webhook-id, seconds since the epoch)
        self.receiver = Receiver(
            compact=True,
            on_request=lambda each: self.arrivals.append((each.webhook_id, each.time)),
        )

    def __enter__(self):
        self.receiver.start()
        return self

    def __exit__(self, *_error):
        self.receiver.stop()

    def clear(self):
        """Reset arrivals and scripts."""
        self.receiver.clear()
        self.arrivals.clear()

    def arrival_of(self, uid, timeout=TIMEOUT) -> float:
        """Wait for this delivery; returns when it arrived."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for seen, moment in reversed(self.arrivals):
                if seen == uid:
                    return moment
            time.sleep(0.002)
        raise Trouble(f"{uid} didn't arrive within {timeout} s")


class Ground:
    """A database with the addon, and the operations on it."""

    def __init__(self, cluster, database, target):
        self.cluster = cluster
        self.database = database
        self.target = target
        self.caller = Caller(cluster, database)
        self.server = None  # while one is serving
        self.samples = None
        self._ids = {}

    def __enter__(self):
        self.caller.start()
        self.connection = self.connect()
        self.connection.autocommit = True
        return self

    def __exit__(self, *_error):
        self.connection.close()
        self.caller.stop()

    def connect(self):
        """A separate connection."""
        given = self.cluster.environment()
        return psycopg2.connect(
            dbname=self.database,
            host=given.get("PGHOST", os.environ.get("PGHOST")),
            user=given.get("PGUSER", os.environ.get("PGUSER")),
        )

    def query(self, statement, values=None) -> list[tuple]:
        """Rows of a query, each in a transaction of its own."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    @contextlib.contextmanager
    def serving(self, *, workers=WORKERS, channels=CHANNELS):
        """The server whose workers run the lanes; reports errors in its log."""
        server = OdooServer(
            self.cluster, self.database, workers=workers, channels=channels
        )
        try:
            server.start()
            wait_for_runner(server)
            self.server = server
            yield server
        except BaseException:
            say(f"the end of the server's log:\n{tail(server.log_path, 12)}")
            raise
        finally:
            log = server.log()
            server.stop()
            server.discard()
            wrong = [line for line in log.splitlines() if " ERROR " in line]
            for line in wrong[:5]:
                say(f"! {line}")

    # --- endpoints and deliveries

    def endpoint(self, code, path=URL_PATH, **values) -> str:
        """An active endpoint with rules and signature; updated if it exists."""
        values = {
            "code": code,
            "target_hostname": self.target.receiver.url,
            "target_path": path,
            **values,
        }
        self._ids[code] = self.caller.run(workload.ENDPOINT, values=values)
        return code

    def clear(self):
        """Wait until every job has ended, then empty the queue and reset the target."""
        self.wait_for_idle()
        with self.connection.cursor() as cursor:
            cursor.execute("TRUNCATE bwt_webhook_outbound_delivery CASCADE")
            cursor.execute("DELETE FROM queue_job WHERE state = 'done'")
        self.target.clear()

    def queue(self, *codes, count, size=0, keys=0) -> dict:
        """Queue `count` deliveries in one transaction, evenly over the endpoints.

        :param keys: number of ordering keys; 0: none
        """
        return self.caller.run(
            workload.QUEUE, codes=codes, count=count, size=size, keys=keys
        )

    def run(self, *codes, count, size=0, keys=0) -> Run:
        """Queue deliveries and wait until all are done."""
        before = self.target.receiver.total
        queued = self.queue(*codes, count=count, size=size, keys=keys)
        return self.finish(queued, codes, count, before)

    def finish(self, queued, codes, count, before) -> Run:
        """Wait until what was queued is done, according to the database."""
        wait_until(
            lambda: self.target.receiver.total - before >= count,
            lambda: f"{self.target.receiver.total - before} of {count} arrived",
        )
        ended = self.wait_for_done(codes)
        ids = [self._ids[code] for code in codes]
        [(done, *_)] = self.query(
            "SELECT count(*) FROM bwt_webhook_outbound_delivery WHERE state = 'done' "
            "AND endpoint_id = ANY(%s) AND queued_at > now() AT TIME ZONE 'UTC' - "
            "interval '5 minutes'",
            [ids],
        )
        if done < count:
            raise Trouble(f"only {done} of {count} deliveries are done")
        last = max(moment for _uid, moment in self.target.arrivals[-count:])
        committed = queued["committed"]
        return Run(count, ended - committed, last - committed, queued["seconds"])

    def wait_for_done(self, codes) -> float:
        """Wait until everything is recorded; returns seconds since the epoch."""
        values = {"ids": [self._ids[code] for code in codes]}
        wait_until(
            lambda: not self.query(LEFT, values)[0][0], lambda: "deliveries left"
        )
        return time.time()

    def wait_for_idle(self):
        """Wait until no job runs or is about to run."""
        wait_until(lambda: not self.query(BUSY)[0][0], lambda: "jobs still run", 0.05)

    def warm_worker(self) -> int:
        """Run some deliveries; returns the process that ran them, the only worker."""
        self.clear()
        self.run("orders", count=500)
        self.wait_for_idle()
        [(pid,)] = self.query(
            "SELECT DISTINCT worker_pid FROM queue_job WHERE method_name = 'run_lane' "
            "AND date_started IS NOT NULL"
        )
        self.clear()
        return pid

    # --- references

    def take_samples(self, code):
        """Headers and payloads of received requests, for loop and jobs."""
        receiver = self.target.receiver
        receiver.compact = False
        self.run(code, count=50)
        requests, receiver.compact = receiver.requests, True
        self.clear()
        self.samples = [
            {
                "payload": each.json(),
                "headers": {
                    name: value
                    for name, value in each.headers
                    if name.lower() not in LEFT_TO_REQUESTS
                },
            }
            for each in requests
        ]

    @property
    def url(self) -> str:
        return self.target.receiver.url + URL_PATH

    def run_loop(self, count) -> float:
        """Requests per second of a bare `requests.Session` in a separate process."""
        path = folder("run") / f"bench-{os.getpid()}.json"
        path.write_text(json.dumps({"url": self.url, "samples": self.samples}))
        script = REPOSITORY / "benchmarks" / "loop.py"
        try:
            printed = subprocess.run(
                [fetch.odoo_python(), script, path, str(count)],
                env=child_environment(),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout
        finally:
            path.unlink()
        return count / float(printed)

    def queue_reference(self, count=1) -> dict:
        """Queue deliveries of the reference addon, each with its job."""
        values = {"samples": self.samples, "url": self.url, "count": count}
        return self.caller.run(workload.REFERENCE, **values)

    def run_reference(self, count) -> float:
        """Deliveries per second with one job each."""
        queued = self.queue_reference(count)
        left = "SELECT EXISTS (SELECT 1 FROM bwt_reference_delivery WHERE state <> %s)"
        wait_until(lambda: not self.query(left, ["done"])[0][0], lambda: "jobs left")
        return count / (time.time() - queued["committed"])


def wait_until(check, describe, poll=POLL):
    """Wait until `check()` is true; on a timeout raise with `describe()`."""
    deadline = time.monotonic() + TIMEOUT
    while not check():
        if time.monotonic() > deadline:
            raise Trouble(f"after {TIMEOUT} s: {describe()}")
        time.sleep(poll)
