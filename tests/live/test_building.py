# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What building does to a worker: it is ended, kept busy, filled up."""

import os
import re
import threading
import time
from pathlib import Path
from statistics import quantiles

import pytest
from stage import database_name, serving, stage, wait_until

from receiver import Receiver
from tools.databases import Databases
from tools.workspace import ADDON

MIB = 2**20
PARKED_WITHIN = 60  # seconds from the first kill
LIMIT_TIME_REAL = 25  # seconds
QUICK = {"timeout_seconds": 2}  # leaves room for building within the limit
SAMPLES = 60


@pytest.fixture(scope="module")
def shop(cluster):
    name = database_name("hazards")
    try:
        Databases(cluster).fresh(name, install=(ADDON, "bwt_test_connector"))
        with stage(cluster, "building", origin=name) as made:
            made.caller.run(
                "env['bwt.webhook.handler'].create({'name': 'Hazards', "
                "'code': 'hazards', 'direction': 'outbound', "
                "'execution_mode': 'python', 'python_model_name': 'shop.hazard', "
                "'python_method_name': 'decide'})"
            )
            yield made
    finally:
        Databases(cluster).drop(name)


@pytest.fixture(scope="module")
def server(shop):
    # Odoo's own limits of memory; capacity below the number of workers.
    with serving(
        shop.cluster,
        shop.database,
        workers=3,
        channels="root:2",
        options={"limit_time_real": LIMIT_TIME_REAL},
    ) as started:
        yield started


def hazardous(shop, code, url, **values):
    """An endpoint whose handler does what the payloads say."""
    shop.endpoint(code, url, **values)
    shop.caller.run(
        "endpoint(code).handler_id = "
        "env['bwt.webhook.handler'].search([('code', '=', 'hazards')])",
        code=code,
    )
    return code


def queue_payloads(shop, code, payloads):
    """Queue these in one committed transaction; returns their message uids."""
    return shop.caller.run(
        "result = endpoint(code).queue_deliveries("
        "[{'payload': each} for each in payloads]).sudo().mapped('message_uid')",
        code=code,
        payloads=payloads,
    )


class Neighbour:
    """A healthy endpoint that gets a delivery several times a second, until it ends."""

    def __init__(self, shop, receiver, code):
        self.shop, self.receiver = shop, receiver
        self.code = shop.endpoint(code, receiver.url, "/neighbour", **QUICK)
        self.committed = {}  # message uid -> seconds since the epoch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._queue)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join()

    def _queue(self):
        while not self._ended.wait(0.25):
            [uid] = self.shop.queue(self.code)
            self.committed[uid] = time.time()

    def delays(self):
        """Seconds from commit to arrival of each delivery, once all have arrived."""
        wait_until(lambda: self.receiver.counts().keys() >= self.committed.keys())
        arrived = {}
        for request in self.receiver.requests_to("/neighbour"):
            arrived.setdefault(request.webhook_id, request.time)
        return [arrived[uid] - moment for uid, moment in self.committed.items()]


def test_a_handler_that_ends_the_process(shop, server, receiver, code):
    """Seven of eight are sent, the eighth is parked and says why.

    It stayed queued without a trace and killed each worker that came, the endpoint
    stopped, dead jobs filled the channel and a neighbour waited for minutes.
    """
    hazardous(shop, code, receiver.url, **QUICK)
    payloads = [{"n": n} for n in range(8)]
    payloads[3]["do"] = ["end_the_process", 1]

    with Neighbour(shop, receiver, f"{code}-near") as near:
        wait_until(lambda: len(near.committed) >= 4)
        known = len(receiver.requests_to("/neighbour"))
        uids = queue_payloads(shop, code, payloads)
        shop.wait_for_states(code, PARKED_WITHIN, done=7, error=1)
        beside = len(receiver.requests_to("/neighbour")) - known
        wait_until(lambda: len(near.committed) >= SAMPLES)
    median, p95 = (quantiles(near.delays(), n=20)[place] for place in (9, 18))

    [killer] = [each for each in shop.deliveries(code) if each["state"] == "error"]
    counts = receiver.counts()
    twice = sum(counts.get(uid, 1) - 1 for uid in uids)
    print(
        f"ended process: {twice} sent twice; {beside} of the neighbour beside it, "
        f"from commit to arrival {median:.2f} s (median), {p95:.2f} s (p95)"
    )
    assert uids[3] == killer["message_uid"]
    assert ("handler", None) == (killer["failure_reason"], killer["next_attempt_at"])
    assert "ended" in killer["processing_error"]
    assert set(uids) - {uids[3]} <= set(counts)
    assert uids[3] not in counts
    assert beside > 0
    shop.wait_for_idle(code)
    assert not shop.running(code)


def test_slow_handlers(shop, server, receiver, code):
    """What is built is sent after a second of building, not after the last one.

    The whole batch was built first: the worker was killed at `limit_time_real`, every
    time, and nothing was ever sent.
    """
    hazardous(shop, code, receiver.url, **QUICK)
    count = int(os.environ.get("BWT_SLOW", 7))
    name, seconds = os.environ.get("BWT_SLOW_DO", "sleep:4").split(":")

    uids = queue_payloads(shop, code, [{"do": [name, float(seconds)]}] * count)

    shop.wait_for_states(code, 60 + 2 * count * float(seconds), done=count)
    lanes = [job for job in shop.jobs(code) if "recorded" in (job["result"] or "")]
    print(f"{count} handlers, {name} {seconds} s: {len(lanes)} lanes")
    assert dict.fromkeys(uids, 1) == receiver.counts()
    assert ["done"] * count == shop.attempt_states(code)
    assert not re.search(r"WorkerHTTP \(\d+\) timeout after", server.log())


class MemoryWatch:
    """The most memory that a process of the server took, while the block runs."""

    def __init__(self, server):
        self.server = server
        self.peak = 0  # bytes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        for pid in self.server.processes():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget earlier peaks
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.wait(0.1):
            for pid in self.server.processes():
                self.peak = max(self.peak, _peak_of(pid))


def _peak_of(pid):
    """Resident bytes at the most; 0 when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0
    )


def queue_large(shop, code, count, size):
    """Queue deliveries of that many bytes, each in a transaction of its own."""
    return [
        shop.caller.run(
            "result = endpoint(code).queue_delivery("
            "{'n': n, 'text': 'x' * size}).sudo().message_uid",
            code=code,
            n=n,
            size=size,
        )
        for n in range(count)
    ]


def test_large_payloads(shop, server, code):
    """Large deliveries and a small one behind them are sent, in less than 1 GiB.

    A batch was claimed by number alone: MemoryError under Odoo's default limits,
    nothing sent, and nothing on the deliveries that said so.
    """
    count = int(os.environ.get("BWT_LARGE", 8))
    size = int(os.environ.get("BWT_LARGE_MIB", 20)) * MIB
    with Receiver(compact=True) as receiver, MemoryWatch(server) as memory:
        shop.endpoint(code, receiver.url, is_paused=True, timeout_seconds=5)
        uids = queue_large(shop, code, count, size) + shop.queue(code)
        shop.press(code, "action_resume")
        shop.wait_for_states(code, 120 + 5 * count, done=count + 1)

    peak = memory.peak / MIB
    print(f"{count} x {size // MIB} MiB and a small one: worker's peak {peak:.0f} MiB")
    assert dict.fromkeys(uids, 1) == receiver.counts()
    assert [{"state": "done", "count": count + 1}] == shop.rows(
        "SELECT a.state, count(*) FROM bwt_webhook_outbound_delivery_attempt a "
        "JOIN bwt_webhook_outbound_endpoint e ON e.id = a.endpoint_id "
        f"WHERE e.code = '{code}' GROUP BY a.state"
    )
    assert memory.peak < 1024 * MIB
