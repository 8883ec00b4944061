# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`make bench`: compare the lane with a script and with jobs, in one run.

    python3 tools/cli.py bench [--quick] [--only NAME] [--set SIZE=NUMBER] [--json FILE]
    python3 tools/cli.py bench --profile

Everything is sent to a receiver on the loopback; databases are called bench_*.
"""

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True  # the repository stays as it is
sys.path[0] = str(REPOSITORY)
sys.path[1:1] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "live")]

from benchmarks import (
    costs,
    disk,
    footprint,
    held_snapshot,
    missing,
    old_rows,
    profiling,
    queue_job_rate,
    screens,
    throughput,
    timing,
)
from benchmarks.ground import Ground, Target
from benchmarks.report import circumstances, show_table, write_json
from tools import fetch
from tools.console import Trouble, duration, say, step
from tools.databases import Databases
from tools.postgres import Cluster
from tools.workspace import ADDON, exclusive

MAIN, HISTORY = "bench_main", "bench_history_copy"
REFERENCE = "bwt_webhooks_reference"


@dataclass(frozen=True)
class Size:
    """How much of each; the defaults are the full run."""

    rounds: int = 3  # of a, b, c
    pairs: int = 3  # of comparisons with and without something
    loop: int = 10_000
    lane: int = 10_000
    jobs: int = 600
    disturbed: int = 6_000
    lanes: int = 6_000
    slow_seconds: int = 10
    singles: int = 120
    queueing: int = 60
    burst: int = 2_000
    steady_seconds: int = 60
    memory: int = 10_000
    records: int = 1_000_000
    live_seconds: int = 20
    disk: int = 20_000
    paces: tuple = (600, 6_000)
    own_jobs: int = 1_000  # in each database
    held_rate: int = 800
    held_seconds: int = 900
    held_span: int = 60  # of one figure
    held_aged: int = 0  # deliveries done before, beside the same snapshot
    costs: int = 10_000
    cost_rates: tuple = (200, 400, 800)  # the first is a figure of the model
    cost_seconds: int = 20
    overload: int = 5_000
    overload_seconds: int = 30
    footprint: int = 100_000


QUICK = Size(
    rounds=2,
    pairs=2,
    loop=3_000,
    lane=4_000,
    jobs=200,
    disturbed=2_400,
    lanes=2_400,
    slow_seconds=3,
    singles=100,
    queueing=40,
    burst=500,
    steady_seconds=15,
    memory=4_000,
    records=100_000,
    live_seconds=10,
    paces=(600, 6_000),
    own_jobs=300,
    held_seconds=30,
    held_span=15,
    held_aged=100_000,
    costs=4_000,
    cost_seconds=6,
    overload_seconds=6,
    footprint=4_000,
)


# In the order of the run: all on one server, but for `history` and those below.
SCENARIOS = {
    "compare": (throughput.compare, "a loop, b jobs, c the lane"),
    "jobs": (queue_job_rate.own_rate, "b2, the benchmark of queue_job"),
    "latency": (timing.latency, "single deliveries, commit to arrival"),
    "queueing": (timing.queueing, "what queueing costs"),
    "building": (timing.building, "what rules and handlers cost"),
    "burst": (timing.burst, "as many transactions as deliveries"),
    "snapshot": (throughput.open_transaction, "a transaction held open elsewhere"),
    "held": (held_snapshot.held_snapshot, "a snapshot held open for minutes"),
    "hanging": (throughput.hanging, "nine endpoints beside a hanging one"),
    "lanes": (throughput.lanes, "1, 2 and 4 lanes; parallel lanes"),
    "ordered": (throughput.ordered, "an order per key, with 1, 2 and 4 lanes"),
    "slow": (throughput.slow_target, "a target that takes 50 ms"),
    "steady": (timing.steady, "1,000 deliveries a second"),
    "costs": (costs.costs, "processor time by process; a model; 5,000/s offered"),
    "recovery": (timing.recovery, "a worker is killed while it sends"),
    "backfill": (missing.backfill, "live deliveries beside a run"),
    "screens": (screens.screens, "lists, groups and reports of 100,000 deliveries"),
    "disk": (disk.disk, "bytes on disk of a delivery that is done"),
}
ON_ONE_WORKER = {
    "memory": (throughput.memory, "large deliveries, one worker"),
    "footprint": (footprint.footprint, "memory and disk per delivery, one worker"),
}
NAMES = (*SCENARIOS, "history", *ON_ONE_WORKER, "missing")


class Bench:
    """One run: its resources, and the rows so far."""

    def __init__(self, cluster, target, options):
        self.cluster = cluster
        self.target = target
        self.databases = Databases(cluster)
        self.size = replace(QUICK if options.quick else Size(), **dict(options.set))
        self.wanted = options.only or NAMES
        self.rows = []
        self.where = None

    def run(self):
        """Run all selected scenarios."""
        with self.ground(MAIN) as ground:
            with ground.serving():
                ground.endpoint("orders")
                ground.take_samples("orders")
                for name, (scenario, title) in SCENARIOS.items():
                    if name in self.wanted:
                        self.note(name, title, scenario(ground, self.size))
                if "history" in self.wanted:
                    self.history(ground)
            for name, (scenario, title) in ON_ONE_WORKER.items():
                if name in self.wanted:
                    with ground.serving(workers=1, channels="root:1"):
                        ground.endpoint("orders")
                        self.note(name, title, scenario(ground, self.size))
            if "missing" in self.wanted:
                ground.endpoint("orders")
                title = "which of many records have not arrived"
                self.note("missing", title, missing.missing(ground, self.size))

    def history(self, ground):
        """The same on a database of many rows, with a server of its own."""
        old_rows.copy_with_history(self.cluster, self.databases, self.ground, HISTORY)
        with self.ground(HISTORY) as full:
            full.endpoint("orders")
            with full.serving():
                scenario = throughput.history(ground, full, self.size)
                self.note("history", "a million old deliveries", scenario)
        self.databases.drop(HISTORY)

    def note(self, name, title, rows):
        """Run a scenario and print its rows."""
        started = time.monotonic()
        say(f"{name}: {title}")
        for row in rows:
            self.rows.append(row)
            value = f"   {row.formatted(row.value)}" if row.value is not None else ""
            say(f"  {row.scenario}: {row.figure}{value}   {row.grade}")
        say(f"  ({duration(time.monotonic() - started)})")

    def ground(self, database):
        """The `Ground` on a database."""
        return Ground(self.cluster, database, self.target)


def bench(options) -> int:
    """The scenarios, then the table; 1 if a figure misses its minimum."""
    started = time.monotonic()
    with exclusive("bench"), Cluster.running() as cluster, Target() as target:
        run = Bench(cluster, target, options)
        with step("a fresh database"):
            run.databases.fresh(MAIN, install=(ADDON, REFERENCE))
        try:
            run.where = circumstances(cluster, MAIN)
            say("  ".join(f"{key} {value}" for key, value in run.where.items()))
            if options.profile:
                _profile(run)
                return 0
            run.run()
        finally:
            for name in (MAIN, HISTORY):
                run.databases.drop(name)
            if run.rows:
                say()
                show_table(run.rows)
            if options.json and run.rows:
                write_json(options.json, run.where, run.rows)
    say(f"\n{duration(time.monotonic() - started)}; cores: {os.cpu_count()}")
    return int(any(row.grade == "NO" for row in run.rows))


def _profile(run):
    with run.ground(MAIN) as ground:
        with ground.serving(workers=1, channels="root:1"):
            ground.endpoint("orders")
            profiling.profile(ground, run.size.lane)


def _setting(text):
    """`NAME=NUMBER`: a field of `Size`."""
    name, _equals, number = text.partition("=")
    if not isinstance(getattr(Size, name, None), int) or not number.isdigit():
        names = ", ".join(sorted(vars(Size()).keys()))
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER of {names}")
    return name, int(number)


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("command", choices=["bench"])
    parser.add_argument("--quick", action="store_true", help="three minutes in all")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=NUMBER",
        help="another size, such as held_rate=400 or held_seconds=7200",
    )
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--profile", action="store_true", help="the lane under py-spy")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    more = os.environ.get("ODOO_ADDONS_PATH")
    addons = [str(REPOSITORY / "benchmarks" / "addons"), *([more] if more else [])]
    os.environ["ODOO_ADDONS_PATH"] = ",".join(addons)
    fetch.ensure("odoo")
    try:
        return bench(options)
    except Trouble as trouble:
        say(f"\n{trouble}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
