# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The long form of the tests of faults: more kills, more deliveries.

    python tests/live/soak.py --seed 7 [--deliveries 2000] [--faults 20] [NAME ...]
    python tests/live/soak.py --minutes 30 [--seed 7] [--rate 60]

Prints one line per scenario and ends with 1 if a promise did not hold. The tests run
the same scenarios with smaller numbers. With `--minutes` there is one run: deliveries
are queued at a rate, workers, servers and database connections are killed, halfway the
addon is updated, and the state of the tables is printed at start, middle and end.
"""

import argparse
import random
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    HERE = Path(__file__).resolve().parent
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

import server_logs
from balanced_run import BalancedRun
from balancer import Balancer, server_options
from faulty_run import Run
from long_run import LongRun
from private_cluster import PrivateCluster
from stage import database_name, drop_old_databases, serving, stage

from receiver import Receiver
from tools.databases import Databases
from tools.odoo_server import free_port
from tools.postgres import Cluster


def server_killed(cluster, origin, seed, deliveries, faults):
    """SIGKILL to the whole server again and again."""
    with (
        stage(cluster, "killed", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database) as server,
    ):
        run = Run(shop, [server], receiver, seed)
        return run.execute("server killed", deliveries, [run.kill_server] * faults)


def workers_killed(cluster, origin, seed, deliveries, faults):
    """Prefork: workers killed, the server killed or requested to stop, at random."""
    # Room for more lanes than there are: queue_job's runner counts a killed job as
    # running until another lane closes it, and a full channel waits up to 60 s.
    with (
        stage(cluster, "workers", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):
        run = Run(shop, [server], receiver, seed)
        drawn = [run.kill_worker, run.kill_server, run.stop_server]
        drawn = random.Random(seed).choices(drawn, weights=[3, 1, 1], k=faults)
        return run.execute("workers killed", deliveries, drawn)


def ordered_lanes(cluster, origin, seed, deliveries, faults):
    """Several lanes with an order, their number changes, and workers are killed."""
    with (
        stage(cluster, "ordered", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=5, channels="root:4") as server,
    ):
        run = Run(shop, [server], receiver, seed, keys=199, lanes=4, delay=0.005)
        drawn = [run.kill_worker, run.kill_server, run.stop_server]
        drawn = random.Random(seed).choices(drawn, weights=[6, 1, 1], k=faults)
        return run.execute("ordered lanes", deliveries, drawn)


def backends_ended(cluster, origin, seed, deliveries, faults):
    """The server's database connections ended one after the other."""
    with (
        stage(cluster, "backends", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database) as server,
    ):
        run = Run(shop, [server], receiver, seed)
        return run.execute("backends ended", deliveries, [run.end_backend] * faults)


def database_restarted(cluster, origin, seed, deliveries, faults):
    """PostgreSQL stopped and started, and crashed, alternating."""
    with (
        PrivateCluster.running() as own,
        stage(own, "restarts", origin=origin, origin_cluster=cluster) as shop,
        Receiver() as receiver,
        serving(own, shop.database) as server,
    ):
        run = Run(shop, [server], receiver, seed)
        both = [run.restart_database, run.crash_database]
        drawn = [both[number % 2] for number in range(faults)]
        return run.execute("database restarted", deliveries, drawn)


def two_servers(cluster, origin, seed, deliveries, faults):
    """Two servers on one database; the one that runs the jobs is killed."""
    with (
        stage(cluster, "two", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database) as first,
        serving(cluster, shop.database, waits_for_runner=False) as second,
    ):
        run = Run(shop, [first, second], receiver, seed)
        return run.execute("two servers", deliveries, [run.kill_leader] * faults)


def long_run(cluster, origin, seed, minutes, rate):
    """Minutes of queueing and kills, with an upgrade in the middle."""
    with (
        stage(cluster, "long", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):
        # Many keys: one in twenty deliveries waits for a retry, and its key with it.
        run = LongRun(shop, [server], receiver, seed, keys=199, rate=rate)
        return run.run_for("long run", minutes)


def balanced_servers(cluster, origin, seed, deliveries, faults):
    """Two servers behind a load balancer, as in docs/servers.md, killed in turn."""
    port = free_port()
    options = server_options(port)
    with (
        stage(cluster, "balanced", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, waits_for_runner=False, **options) as first,
        serving(cluster, shop.database, waits_for_runner=False, **options) as second,
        Balancer(port, [first, second]) as balancer,
    ):
        run = BalancedRun(shop, [first, second], receiver, seed, balancer=balancer)
        return run.execute("balanced servers", deliveries, faults)


SCENARIOS = {
    "server-killed": server_killed,
    "workers-killed": workers_killed,
    "ordered-lanes": ordered_lanes,
    "backends-ended": backends_ended,
    "database-restarted": database_restarted,
    "two-servers": two_servers,
    "balanced-servers": balanced_servers,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rate", type=int, default=60, help="a second; with --minutes")
    parser.add_argument("names", nargs="*", help=", ".join(SCENARIOS))
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; choose from: {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    print(f"seed {options.seed}", flush=True)
    amiss = []
    with Cluster.running() as cluster:
        drop_old_databases(cluster)
        origin = database_name("origin")
        Databases(cluster).fresh(origin)
        try:
            if options.minutes:
                numbers = options.minutes, options.rate
                amiss += _soak("long-run", long_run, cluster, origin, options, numbers)
            for name in options.names or ([] if options.minutes else SCENARIOS):
                numbers = options.deliveries, options.faults
                amiss += _soak(name, SCENARIOS[name], cluster, origin, options, numbers)
        finally:
            Databases(cluster).drop(origin)
    print("every promise held" if not amiss else "\n".join(amiss), flush=True)
    return 1 if amiss else 0


def _soak(name, scenario, cluster, origin, options, numbers):
    try:
        result = scenario(cluster, origin, options.seed, *numbers)
    except TimeoutError as stuck:
        print("\n".join([f"{name}: {stuck}", *server_logs.report()]), flush=True)
        return [f"{name}: {stuck}"]
    print(result, flush=True)
    return [f"{name}: {line}" for line in result.amiss]


if __name__ == "__main__":
    sys.exit(main())
