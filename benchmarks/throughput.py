# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How many deliveries a second: compared with a script and jobs, and under load."""

import time

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from benchmarks.report import Row, median, percentile
from receiver import hold, status
from tools.console import say

REFERENCE_COUNTS = 0.04  # of a; with less the comparison would be unfair


def compare(ground, size):
    """a, b and c alternating; each c and b is compared with the a before and after."""
    loop, jobs, lane, arrival = [ground.run_loop(size.loop)], [], [], []
    for _round in range(size.rounds):
        lane.append(_lane(ground, size.lane, "orders", note=arrival))
        jobs.append(ground.run_reference(size.jobs))
        loop.append(ground.run_loop(size.loop))
        say(f"    a {loop[-1]:,.0f}/s   c {lane[-1]:,.0f}/s   b {jobs[-1]:,.0f}/s")
    around = [(one + other) / 2 for one, other in zip(loop, loop[1:], strict=False)]
    samples = {"a": loop, "b": jobs, "c": lane, "c_arrival": arrival}
    figure = f"{median(loop):,.0f}/s"
    yield Row("a  bare requests.Session loop", figure, samples=samples)
    ratio = _ratio(jobs, around)
    figure = f"{median(jobs):,.0f}/s"
    yield Row("b  one job per delivery : a", figure, ratio, REFERENCE_COUNTS)
    figure = f"{median(lane):,.0f}/s (arrival {median(arrival):,.0f}/s)"
    yield Row("c  the lane : a", figure, _ratio(lane, around), 0.8, 1.3)
    figure = "" if ratio >= REFERENCE_COUNTS else "b is too slow to count"
    yield Row("c : b", figure, _ratio(lane, jobs), 12, 25)


def open_transaction(ground, size):
    """With an old snapshot held open during the run: no dead row can be vacuumed."""
    without, beside = [], []
    for _round in range(size.pairs):
        without.append(_lane(ground, size.disturbed, "orders"))
        ground.clear()
        with _held_open(ground):
            beside.append(_lane(ground, size.disturbed, "orders", clear=False))
        say(f"    without {without[-1]:,.0f}/s   with {beside[-1]:,.0f}/s")
    yield _compared("a transaction held open : without", beside, without, 0.7, 0.9)


class _held_open:
    """A transaction in REPEATABLE READ that has seen the deliveries."""

    def __init__(self, ground):
        self.ground = ground

    def __enter__(self):
        self.connection = self.ground.connect()
        self.connection.set_isolation_level(ISOLATION_LEVEL_REPEATABLE_READ)
        self.connection.cursor().execute(
            "SELECT count(*) FROM bwt_webhook_outbound_delivery"
        )

    def __exit__(self, *_error):
        self.connection.close()


def hanging(ground, size):
    """Nine healthy endpoints, without and with a tenth that never responds."""
    codes = [ground.endpoint(f"healthy-{number}") for number in range(9)]
    ground.endpoint("hanging", "/hanging", timeout_seconds=30)
    count = size.disturbed // 9 * 9
    without, beside = [], []
    for _round in range(size.pairs):
        without.append(_lane(ground, count, *codes))
        beside.append(_beside_hanging(ground, count, codes))
        say(f"    without {without[-1]:,.0f}/s   beside {beside[-1]:,.0f}/s")
    yield _compared("9 healthy endpoints beside a hanging one", beside, without, 0.9, 1)


def _beside_hanging(ground, count, codes):
    ground.clear()
    receiver = ground.target.receiver
    receiver.script("/hanging", hold())
    ground.queue("hanging", count=40)
    time.sleep(1)  # its lane is running now
    rate = ground.run(*codes, count=count).rate
    receiver.script("/hanging", status(200))
    receiver.release()
    ground.wait_for_done(["hanging"])
    return rate


def lanes(ground, size):
    """1, 2 and 4 endpoints, each with its lane on a worker; one endpoint with 2."""
    four = [ground.endpoint(f"lane-{number}") for number in range(4)]
    ground.endpoint("wide", parallel_lanes=2)
    count = size.lanes // 4 * 4
    cases = {"1": four[:1], "2": four[:2], "4": four, "wide": ["wide"]}
    rates = {name: [] for name in cases}
    for _round in range(size.pairs):
        for name, codes in cases.items():
            rates[name].append(_lane(ground, count, *codes))
        figures = "   ".join(
            f"{name}: {found[-1]:,.0f}/s" for name, found in rates.items()
        )
        say(f"    {figures}")
    yield _compared("2 endpoints on 2 workers : one", rates["2"], rates["1"], 1.4, 1.6)
    yield _compared("4 endpoints on 4 workers : one", rates["4"], rates["1"])
    yield _compared("one endpoint, 2 lanes : 1", rates["wide"], rates["1"], 1.3, 1.5)


def ordered(ground, size):
    """One after the other per key, 1,000 keys: 1, 2 and 4 lanes."""
    ground.endpoint("ordered", ordering="key")
    rates = {lanes: [] for lanes in (1, 2, 4)}
    for _round in range(size.pairs):
        for number, found in rates.items():
            ground.endpoint("ordered", ordering="key", parallel_lanes=number)
            ground.clear()
            found.append(ground.run("ordered", count=size.lane, keys=1000).rate)
        figures = "   ".join(f"{n}: {found[-1]:,.0f}/s" for n, found in rates.items())
        say(f"    {figures}")
    yield _compared("ordered keys, 2 lanes : 1", rates[2], rates[1], 1.4, 1.8)
    yield _compared("ordered keys, 4 lanes : 1", rates[4], rates[1])


def slow_target(ground, size):
    """A target that takes 50 ms, 32 requests in flight: the share of 32 / 50 ms."""
    ground.endpoint("slow", "/delay/50", max_in_flight=32)
    ground.clear()
    most = 32 / 0.05
    run = ground.run("slow", count=int(most * size.slow_seconds))
    figure = f"{run.rate:,.0f}/s of {most:,.0f}/s"
    yield Row("50 ms target, 32 in flight", figure, run.rate / most, 0.8, 0.9)


def history(ground, full, size):
    """With a million old deliveries in the tables, against empty ones.

    full: the ground with the history
    """
    empty, after = [], []
    for _round in range(size.pairs):
        empty.append(_lane(ground, size.disturbed, "orders"))
        full.target.clear()
        full.wait_for_idle()
        after.append(full.run("orders", count=size.disturbed).rate)
        say(f"    empty {empty[-1]:,.0f}/s   with history {after[-1]:,.0f}/s")
    yield _compared("1,000,000 old deliveries : empty", after, empty, 0.9, 1)


def _lane(ground, count, *codes, clear=True, note=None):
    """Deliveries per second of the lane."""
    if clear:
        ground.clear()
    run = ground.run(*codes, count=count)
    if note is not None:
        note.append(run.arrival_rate)
    return run.rate


def _compared(scenario, rates, others, at_least=None, aim=None):
    figure = f"{median(rates):,.0f}/s : {median(others):,.0f}/s"
    samples = {"rates": rates, "others": others}
    return Row(scenario, figure, _ratio(rates, others), at_least, aim, samples=samples)


def _ratio(rates, others):
    """Median of the ratios of adjacent runs: a slow machine slows both."""
    return median([one / other for one, other in zip(rates, others, strict=True)])


def memory(ground, size):
    """How much the worker's resident memory grows over large deliveries."""
    worker = ground.warm_worker()  # load everything that is loaded once
    before = _resident(worker)
    seen = [before]
    queued_before = ground.target.receiver.total
    queued = ground.queue("orders", count=size.memory, size=10_000)
    while ground.target.receiver.total - queued_before < size.memory:
        seen.append(_resident(worker))
        time.sleep(0.1)
    run = ground.finish(queued, ["orders"], size.memory, queued_before)
    ground.wait_for_idle()
    seen.append(_resident(worker))
    figure = (
        f"{run.rate:,.0f}/s, {before:,.0f} MB before, p95 {percentile(seen, 0.95):,.0f}"
    )
    yield Row(
        f"worker memory, {size.memory:,} of 10 KB",
        figure,
        max(seen) - before,
        at_least=100,
        aim=30,
        lower=True,
        is_ratio=False,
        unit="MB",
    )


def _resident(pid) -> float:
    """Resident memory of a process in MB."""
    with open(f"/proc/{pid}/status") as status_file:
        for line in status_file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0
