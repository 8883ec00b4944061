# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""b2: the jobs a second that queue_job itself runs, counted as its own benchmark does.

The benchmark is a script of OCA/queue's pull request 981 (benchmark_jobs.py); no
release of queue_job has it yet, so its shape is written here again. Trivial jobs
(`queue.job._test_job`) are queued in several databases with nothing but queue_job's
dependencies, 500 per transaction. Then a server with a runner and prefork workers
starts. The rate is the number of jobs divided by the time from the first start to the
last end, over all databases. Its authors report 155 to 166 jobs a second on 8 slots and
3 databases, on a machine of theirs.

Workers load a database with their first job for it, which the script counts, too. So
the rate of the last half of the jobs is compared with the lane: it is the higher one.
"""

import contextlib

from benchmarks.ground import wait_until
from benchmarks.report import Row, median
from tools.console import Trouble, say
from tools.databases import Databases
from tools.odoo_server import OdooServer

DATABASES = ("bench_jobs_0", "bench_jobs_1", "bench_jobs_2")
SLOTS = 8  # capacity of the channel
WORKERS = SLOTS + 1  # a job finds a free worker
PER_COMMIT = 500  # jobs

# Runs in `odoo shell`, which provides `env`.
QUEUE = """
for number in range({count}):
    env["queue.job"].with_delay(description="benchmark")._test_job()
    if number % {per_commit} == {per_commit} - 1:
        env.cr.commit()
env.cr.commit()
"""
ENDED = "SELECT count(*) AS count FROM queue_job WHERE state IN ('done', 'failed')"
# In seconds, of those that are done.
TIMES = """
SELECT extract(epoch FROM date_started)::float AS started,
    extract(epoch FROM date_done)::float AS done
FROM queue_job WHERE state = 'done'"""


def own_rate(ground, size):
    """a, b2 and c alternating, on one machine at one time."""
    loop, lane, jobs, last_half = [ground.run_loop(size.loop)], [], [], []
    with _databases(ground.cluster) as databases:
        for _round in range(size.pairs):
            ground.clear()
            lane.append(ground.run("orders", count=size.lane).rate)
            whole, half = _run(ground.cluster, databases, size.own_jobs)
            jobs.append(whole)
            last_half.append(half)
            loop.append(ground.run_loop(size.loop))
            say(
                f"    a {loop[-1]:,.0f}/s   c {lane[-1]:,.0f}/s   "
                f"b2 {whole:,.0f}/s, its last half {half:,.0f}/s"
            )
    around = [(one + other) / 2 for one, other in zip(loop, loop[1:], strict=False)]
    samples = {"a": loop, "b2": jobs, "b2_last_half": last_half, "c": lane}
    yield Row(
        f"b2 queue_job's own benchmark, {len(DATABASES)} x {size.own_jobs:,} jobs : a",
        f"{median(jobs):,.0f}/s, its last half {median(last_half):,.0f}/s",
        _ratio(last_half, around),
        samples=samples,
    )
    figure = f"{median(lane):,.0f}/s : {median(last_half):,.0f}/s"
    yield Row("c : b2", figure, _ratio(lane, last_half), 8, 15, samples=samples)


@contextlib.contextmanager
def _databases(cluster):
    """Databases without this addon; removed at the end."""
    databases = Databases(cluster)
    try:
        for name in DATABASES:
            databases.fresh(name, install=())
        yield databases
    finally:
        for name in DATABASES:
            databases.drop(name)


def _run(cluster, databases, count) -> tuple[float, float]:
    """Jobs per second: of all, and of the last half."""
    for name in DATABASES:
        cluster.execute(name, "DELETE FROM queue_job")
        databases.shell(name, QUEUE.format(count=count, per_commit=PER_COMMIT))
    server = OdooServer(
        cluster,
        ",".join(DATABASES),
        workers=WORKERS,
        channels=f"root:{SLOTS}",
        options={
            "dbfilter": f"^({'|'.join(DATABASES)})$",
            "max_cron_threads": 0,
            "log_level": "warn",
        },
    )
    try:
        server.start().wait_ready()
        wait_until(
            lambda: all(_ended(cluster, name) >= count for name in DATABASES),
            lambda: f"{[_ended(cluster, name) for name in DATABASES]} of {count} ended",
            0.5,
        )
    finally:
        server.stop()
        server.discard()
    times = [row for name in DATABASES for row in cluster.rows(name, TIMES)]
    if len(times) < count * len(DATABASES):
        raise Trouble(f"only {len(times)} jobs of queue_job's benchmark are done")
    ends = sorted(row["done"] for row in times)
    first, middle = min(row["started"] for row in times), len(ends) // 2
    whole = len(ends) / (ends[-1] - first)
    return whole, (len(ends) - middle) / (ends[-1] - ends[middle - 1])


def _ended(cluster, name) -> int:
    return cluster.rows(name, ENDED)[0]["count"]


def _ratio(rates, others):
    """Median of the ratios of adjacent runs."""
    return median([one / other for one, other in zip(rates, others, strict=False)])
