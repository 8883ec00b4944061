# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The stage of a live test: a database, who queues, a server, and what can be seen.

Waiting is for a state with a deadline: `wait_until` and the helpers based on it.
"""

import contextlib
import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import psycopg2
import server_logs
from caller import Caller

from tools.databases import Databases
from tools.odoo_server import OdooServer
from tools.workspace import folder

FINAL = ("done", "dead_letter", "canceled")
POLL = 0.1  # seconds between two checks of the database
TIMEOUT = 30  # seconds; the machine may be busy
RUNNER_READY = "queue job runner ready"

DELIVERY = "bwt_webhook_outbound_delivery"
ATTEMPT = "bwt_webhook_outbound_delivery_attempt"
HEALTH = "bwt_webhook_outbound_endpoint_health"


def wait_until(check, timeout=TIMEOUT, *, what="the expected state", instead=None):
    """What `check()` returns once it is true.

    TimeoutError else, with what there is `instead()`, or with the last check.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen = check()
        if seen:
            return seen
        if time.monotonic() > deadline:
            found = instead() if instead else repr(seen)
            raise TimeoutError(f"no {what} within {timeout} s; last seen: {found}")
        time.sleep(POLL)


class Stage:
    """A database with the addon, a caller in it, and questions to its tables."""

    def __init__(self, cluster, database):
        self.cluster = cluster
        self.database = database
        self.caller = Caller(cluster, database)
        self._connection = None

    def __enter__(self):
        self.caller.start()
        return self

    def __exit__(self, *_error):
        self._disconnect()
        self.caller.stop()

    # --- what is done

    def endpoint(self, code, url, path="/", **values) -> str:
        """Create an active endpoint; returns its code."""
        values = {
            "name": code,
            "code": code,
            "target_hostname": url,
            "target_path": path,
            "state": "active",
            "timeout_seconds": 10,
            "retry_schedule": "1s,1s,1s",
            **values,
        }
        self.caller.run(
            "env['bwt.webhook.outbound.endpoint'].create(values)", values=values
        )
        return code

    def queue(self, code, count=1, *, first=0, **values) -> list[str]:
        """Queue deliveries in one committed transaction; returns their message uids."""
        return self.caller.run(
            "result = endpoint(code).queue_deliveries([\n"
            "    {'payload': {'n': n}, **values} for n in range(first, first + count)\n"
            "]).sudo().mapped('message_uid')",
            code=code,
            count=count,
            first=first,
            values=values,
        )

    def press(self, code, button):
        """Call an endpoint's button and commit."""
        self.caller.run(f"endpoint(code).{button}()", code=code)

    def execute(self, statement) -> str:
        return self.cluster.execute(self.database, statement)

    # --- what is seen

    def rows(self, query) -> list[dict]:
        """The rows of a SELECT, each a dict with JSON's types.

        Over a connection that stays: ten times a second, a process and a connection
        for each check would take an eighth of a core.
        """
        wrapped = f"SELECT coalesce(json_agg(q), '[]') FROM ({query}) AS q"
        try:
            return self._fetch(wrapped)
        except psycopg2.Error:  # a test may have ended it, or PostgreSQL itself
            self._disconnect()
            return self._fetch(wrapped)

    def _fetch(self, query):
        if not self._connection:
            given = self.cluster.environment()
            self._connection = psycopg2.connect(
                dbname=self.database,
                host=given.get("PGHOST"),
                port=given.get("PGPORT"),
                user=given.get("PGUSER"),
            )
            self._connection.autocommit = True  # leaves no snapshot behind
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            [[found]] = cursor.fetchall()
            return found

    def _disconnect(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def deliveries(self, code) -> list[dict]:
        """All deliveries of an endpoint in queue order."""
        return self.rows(
            f"SELECT d.* FROM {DELIVERY} d "
            "JOIN bwt_webhook_outbound_endpoint e ON e.id = d.endpoint_id "
            f"WHERE e.code = '{code}' ORDER BY d.queue_number"
        )

    def delivery(self, code) -> dict:
        """The one delivery of an endpoint."""
        [delivery] = self.deliveries(code)
        return delivery

    def attempts(self, code) -> list[dict]:
        """All attempts of an endpoint, by delivery in queue order, then by number."""
        return self.rows(
            f"SELECT a.*, d.message_uid FROM {ATTEMPT} a "
            f"JOIN {DELIVERY} d ON d.id = a.delivery_id "
            "JOIN bwt_webhook_outbound_endpoint e ON e.id = d.endpoint_id "
            f"WHERE e.code = '{code}' ORDER BY d.queue_number, a.attempt_number"
        )

    def attempt_states(self, code) -> list[str]:
        return [attempt["state"] for attempt in self.attempts(code)]

    def states(self, code="%") -> dict[str, int]:
        """How many deliveries are in which state, of one endpoint or of all."""
        counted = self.rows(
            f"SELECT d.state, count(*) FROM {DELIVERY} d "
            "JOIN bwt_webhook_outbound_endpoint e ON e.id = d.endpoint_id "
            f"WHERE e.code LIKE '{code}' GROUP BY 1 ORDER BY 1"
        )
        return {row["state"]: row["count"] for row in counted}

    def account(self, code, expected=()) -> str:
        """The counts by state, and the newest error of each that isn't expected."""
        newest = self.rows(
            "SELECT DISTINCT ON (d.state) d.state, d.name, d.processing_error "
            f"FROM {DELIVERY} d "
            "JOIN bwt_webhook_outbound_endpoint e ON e.id = d.endpoint_id "
            f"WHERE e.code LIKE '{code}' ORDER BY d.state, d.write_date DESC, d.id DESC"
        )
        failures = [
            f"{row['state']}, the newest ({row['name']}): {row['processing_error']}"
            for row in newest
            if row["state"] not in expected and row["processing_error"]
        ]
        return "\n  ".join([str(self.states(code)), *failures])

    def health(self, code) -> dict:
        [row] = self.rows(
            f"SELECT h.* FROM {HEALTH} h "
            "JOIN bwt_webhook_outbound_endpoint e ON e.id = h.endpoint_id "
            f"WHERE e.code = '{code}'"
        )
        return row

    def jobs(self, code) -> list[dict]:
        """The queue jobs of an endpoint: wake-ups, watchdogs, calls for more."""
        return self.rows(
            "SELECT j.* FROM queue_job j, bwt_webhook_outbound_endpoint e "
            "WHERE j.identity_key LIKE 'bwt_webhook_outbound:%:' || e.id || ':%' "
            f"AND e.code = '{code}' ORDER BY j.id"
        )

    def running(self, code) -> list[str]:
        """Uuids of the jobs that run a lane of this endpoint now."""
        return [job["uuid"] for job in self.jobs(code) if job["state"] == "started"]

    # --- what is waited for

    def wait_for_states(self, code, timeout=TIMEOUT, **expected):
        """Wait until the counts are these, as in `done=3, error=1`."""
        wait_until(
            lambda: self.states(code) == expected,
            timeout,
            what=f"{expected} of {code}",
            instead=lambda: self.account(code, expected),
        )

    def wait_for_end(self, code="%", timeout=TIMEOUT) -> dict[str, int]:
        """Wait until every delivery is in a final state; returns the counts."""

        wait_until(
            lambda: set(self.states(code)) <= set(FINAL),
            timeout,
            what=f"end of all of {code}",
            instead=lambda: self.account(code, FINAL),
        )
        return self.states(code)

    def wait_for_idle(self, code, timeout=TIMEOUT):
        """Wait until no lane of this endpoint runs or is about to."""

        def jobs():
            return Counter(job["state"] for job in self.jobs(code))

        wait_until(
            lambda: not jobs().keys() & {"started", "enqueued", "pending"},
            timeout,
            what=f"end of the lanes of {code}",
            instead=lambda: f"jobs {dict(jobs())}",
        )


def database_name(label) -> str:
    """A name of this run: another one on the same cluster has its own."""
    return f"live_{os.getpid()}_{label}"


def drop_old_databases(cluster):
    """Remove the databases of runs that were killed."""
    for name in cluster.databases():
        owner = re.match(r"live_(\d+)_", name)
        if owner and not Path("/proc", owner[1]).exists():
            Databases(cluster).drop(name)


@contextlib.contextmanager
def stage(cluster, label, *, origin, origin_cluster=None):
    """A stage on a copy of the database `origin`; dropped at the end."""
    name = database_name(label)
    try:
        if origin_cluster:
            cluster.copy_from(origin_cluster, origin, name)
        else:
            cluster.create(name, origin)
        _copy_files(origin, name)
        with Stage(cluster, name) as made:
            yield made
    finally:
        Databases(cluster).drop(name)


def _copy_files(origin, name):
    filestore = folder("data", "filestore")
    if (filestore / origin).exists():
        shutil.copytree(filestore / origin, filestore / name, copy_function=os.link)


@contextlib.contextmanager
def serving(cluster, database, *, waits_for_runner=True, **options):
    """A server whose job runner is ready; its folder is removed at the end.

    Its log stays when the block fails, see `server_logs`.

    A second server on a database has a runner that waits for the first one's end.
    """
    server = OdooServer(cluster, database, **options)
    try:
        with server_logs.kept_on_failure(server):
            server.start().wait_ready()
            if waits_for_runner:
                wait_for_runner(server)
            yield server
    finally:
        server.kill()
        server.discard()


def wait_for_runner(server, seen_before=0, timeout=90):
    """Wait until the web server responds and its job runner works."""
    server.wait_ready()
    wait_until(
        lambda: server.log().count(RUNNER_READY) > seen_before,
        timeout,
        what=f"ready job runner in {server.log_path}",
    )


def connected_to(server, port) -> set[int]:
    """Ids of the server's processes that have a connection to this port."""
    wanted = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].split(":")[1], 16) == port and fields[3] == "01":
            wanted.add(f"socket:[{fields[9]}]")
    found = set()
    for pid in server.processes():
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(handle) in wanted:
                        found.add(pid)
    return found


def tally(receiver, uids, attempts, states) -> dict:
    """Counts of a run: queued, arrived, distinct, duplicates, and what is amiss.

    A duplicate is an arrival whose response is on no attempt: only an interrupted one
    explains it.
    """
    counts = Counter(receiver.counts())
    responded, interrupted = Counter(), Counter()
    for attempt in attempts:
        responded[attempt["message_uid"]] += attempt["response_status_code"] is not None
        interrupted[attempt["message_uid"]] += attempt["state"] == "interrupted"
    surplus = {uid: counts[uid] - responded[uid] for uid in uids}
    return {
        "queued": len(uids),
        "arrived": sum(counts[uid] for uid in uids),
        "distinct": sum(uid in counts for uid in uids),
        "duplicates": sum(max(count, 0) for count in surplus.values()),
        "interrupted": sum(interrupted.values()),
        "lost": [uid for uid in uids if uid not in counts],
        "unexplained": [uid for uid in uids if surplus[uid] > interrupted[uid]],
        "states": states,
    }


def describe(seen) -> str:
    """One line with the counts of a `tally`."""
    counts = ("queued", "arrived", "distinct", "duplicates", "interrupted")
    line = ", ".join(f"{name} {seen[name]}" for name in counts)
    amiss = f", LOST {seen['lost']}" if seen["lost"] else ""
    amiss += f", UNEXPLAINED {seen['unexplained']}" if seen["unexplained"] else ""
    return f"{line}, states {seen['states']}{amiss}"
