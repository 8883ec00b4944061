# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Latencies: of queueing, of arrival, of a burst, at a steady rate."""

import os
import random
import signal
import time

from stage import connected_to

from benchmarks import workload
from benchmarks.ground import URL_PATH, wait_until
from benchmarks.report import Row, median, percentile
from receiver import hold, status
from tools.console import say


def latency(ground, size):
    """From the commit to the arrival of single deliveries, by the lane and by jobs."""
    ground.clear()
    lane, jobs = [], []
    for number in range(size.singles + 3):
        sent = ground.caller.run(workload.ONE, code="orders", number=number)
        lane.append(ground.target.arrival_of(sent["uid"]) - sent["committed"])
        _pause()
        sent = ground.queue_reference()
        jobs.append(ground.target.arrival_of(sent["uid"]) - sent["committed"])
        _pause()
    lane, jobs = (
        lane[3:],
        jobs[3:],
    )  # the first ones load everything that is loaded once
    for share, at_most, aim in ((0.5, 2.0, 1.3), (0.95, 2.5, 1.5)):
        ours, theirs = percentile(lane, share), percentile(jobs, share)
        yield Row(
            f"commit to arrival, single, p{share * 100:.0f}, c : b",
            f"{ours * 1000:.1f} ms : {theirs * 1000:.1f} ms",
            ours / theirs,
            at_most,
            aim,
            lower=True,
            samples={"c": lane, "b": jobs},
        )


def _pause():
    time.sleep(random.uniform(0.08, 0.16))


def queueing(ground, size):
    """Time of the caller: for one delivery, and for many in bulk."""
    ground.clear()
    given = {"code": "orders", "count": size.queueing + 3, "pause": 0.04}
    cost = ground.caller.run(workload.COST, **given)
    calls, commits = (median(cost[name][3:]) * 1000 for name in ("calls", "commits"))
    yield Row(
        "queue_delivery alone",
        f"{calls:.1f} ms, its commit {commits:.1f} ms",
        median(cost["queries"][3:]),
        8,
        6,
        lower=True,
        is_ratio=False,
        unit="queries",
        samples=cost,
    )
    took = []
    for _round in range(4):
        ground.clear()
        took.append(ground.queue("orders", count=1000)["seconds"])
    yield Row(
        "queue_deliveries, 1,000 with 2 context lines",
        f"{median(took) * 1000:.0f} ms in all",
        median(took),  # of a thousand, in seconds: ms each
        0.5,
        0.2,
        lower=True,
        is_ratio=False,
        unit="ms each",
        samples={"seconds": took},
    )


def building(ground, _size):
    """What rules, context lines and a handler add to a build: CPU of the lane."""
    cost = ground.caller.run(workload.BUILD)
    rich, plain = (min(cost[code][1:]) for code in ("cost-rich", "cost-plain"))
    yield Row(
        "build with 10 rules, 3 context lines, 3 handler rules",
        f"plain {plain:.2f} ms, with them {rich:.2f} ms",
        rich - plain,  # of a thousand, in seconds: ms each
        0.5,
        0.3,
        lower=True,
        is_ratio=False,
        unit="ms more",
        samples=cost,
    )


def recovery(ground, size):
    """From the kill of a worker until its request is sent again."""
    receiver, took = ground.target.receiver, []
    for _round in range(size.pairs):
        ground.clear()
        receiver.script(URL_PATH, hold(), status(200))
        uid = ground.caller.run(workload.ONE, code="orders", number=1)["uid"]
        ground.target.arrival_of(uid)
        for worker in connected_to(ground.server, receiver.port):
            os.kill(worker, signal.SIGKILL)
        killed = time.time()
        wait_until(lambda: len(ground.target.arrivals) > 1, lambda: "not sent again")
        took.append(ground.target.arrivals[1][1] - killed)
        receiver.release()
        ground.wait_for_done(["orders"])
    yield Row(
        "a killed worker: until its request is sent again",
        f"longest {max(took):.1f} s",
        median(took),
        15,
        6,
        lower=True,
        is_ratio=False,
        unit="s",
        samples={"seconds": took},
    )


def burst(ground, size):
    """Many deliveries, each in its own transaction."""
    ground.clear()
    before = ground.target.receiver.total
    sent = ground.caller.run(workload.BURST, code="orders", count=size.burst)
    run = ground.finish(sent, ["orders"], size.burst, before)
    ground.wait_for_idle()
    [(ran,)] = ground.query(
        "SELECT count(date_started) FROM queue_job "
        "WHERE identity_key LIKE 'bwt_webhook_outbound:lane:%'"
    )
    requested = size.burst  # one by each transaction; those that didn't run may be gone
    scenario = f"{size.burst:,} deliveries in as many transactions"
    yield Row(
        f"{scenario}: after the last commit",
        f"{size.burst / sent['seconds']:,.0f} transactions/s",
        run.seconds,
        1,
        0.2,
        lower=True,
        is_ratio=False,
        unit="s",
    )
    figure = f"{ran:,} of {requested:,} wake-ups ran"
    share = ran / max(requested, 1)
    yield Row(f"{scenario}: share run", figure, share, 0.2, 0.1, lower=True)


def steady(ground, size):
    """A steady rate of 1,000 a second: the delay in the last ten seconds."""
    ground.clear()
    seconds = size.steady_seconds
    given = {"code": "orders", "rate": 1000, "seconds": seconds}
    offered = ground.caller.run(workload.STEADY, **given)
    sent = offered["sent"]
    say(f"    offered {1000 * seconds / offered['seconds']:,.0f}/s")
    ended = ground.wait_for_done(["orders"])
    arrived = dict(reversed(ground.target.arrivals))  # the first arrival of each
    last = [each for each in sent if each[0] > sent[-1][0] - 10]
    delays = []
    for committed, first, final in last:
        uids = ground.query(
            "SELECT message_uid FROM bwt_webhook_outbound_delivery "
            "WHERE id BETWEEN %s AND %s",
            [first, final],
        )
        delays += [arrived[uid] - committed for (uid,) in uids]
    p50, p95 = percentile(delays, 0.5), percentile(delays, 0.95)
    yield Row(
        f"1,000/s offered for {seconds} s: delay p95, last ten seconds",
        f"p50 {p50:.2f} s, all done {ended - sent[-1][0]:.2f} s after the last",
        p95,
        2,
        0.2,
        lower=True,
        is_ratio=False,
        unit="s",
        samples={"offered_per_second": 1000 * seconds / offered["seconds"]},
    )
