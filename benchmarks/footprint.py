# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Memory of the lane's worker, and bytes of disk, per delivery of 2,000 bytes."""

import time

from benchmarks import workload
from benchmarks.processes import memory, reset_peak
from benchmarks.report import Row
from tools.console import say

PAYLOAD = 2_000  # bytes, as JSON
CHUNK = 5_000  # deliveries queued at a time
SINGLE = 500  # deliveries queued one by one, each with its wake-up
TABLES = {
    "delivery": "bwt_webhook_outbound_delivery",
    "attempt": "bwt_webhook_outbound_delivery_attempt",
    "context lines": "bwt_webhook_outbound_delivery_context_line",
    "queue_job": "queue_job",
}

# Payloads of a size; the text can't be compressed, as that of real orders hardly can.
QUEUE = (
    workload.REQUEST
    + """
import hashlib, json, time
def sized(n):
    given = request(n)
    order = given["payload"]["order"]
    order["note"] = ""
    left = size - len(json.dumps(given["payload"]))
    parts = (hashlib.sha256(b"%d %d" % (n, part)).hexdigest() for part in range(99))
    order["note"] = "".join(parts)[: max(left, 0)]
    return given
if each_alone:
    for number in range(first, first + count):
        endpoint(code).queue_delivery(**sized(number))
        env.cr.commit()
else:
    endpoint(code).queue_deliveries([sized(n) for n in range(first, first + count)])
env.flush_all()
env.cr.commit()
result = {"committed": time.time(), "seconds": 0}
"""
)
SIZES = """
SELECT pg_relation_size(%(table)s, 'main'), pg_indexes_size(%(table)s),
    pg_total_relation_size(%(table)s)"""


def footprint(ground, size):
    """Over deliveries in chunks: resident memory, then the tables they leave."""
    worker = ground.warm_worker()
    _vacuum(ground, full=True)
    empty = _sizes(ground)
    wal = _wal(ground)
    reset_peak(worker)
    before, _peak = memory(worker)
    resident = []
    for first in range(0, size.footprint, CHUNK):
        _send(ground, first, min(CHUNK, size.footprint - first))
        resident.append(memory(worker)[0])
    ground.wait_for_idle()
    after, peak = memory(worker)
    say(f"    resident by chunk: {', '.join(f'{each:.0f}' for each in resident)} MB")
    yield Row(
        f"worker memory over {size.footprint:,} of {PAYLOAD:,} bytes: growth",
        f"{before:,.0f} MB before, {after:,.0f} MB after, peak {peak:,.0f} MB",
        after - before,
        at_least=100,
        aim=30,
        lower=True,
        is_ratio=False,
        unit="MB",
        samples={"resident": resident, "peak": peak},
    )
    written = (_wal(ground) - wal) / size.footprint
    _vacuum(ground)
    left = _sizes(ground)
    _vacuum(ground, full=True)
    packed = _sizes(ground)
    yield from _rows(size.footprint, empty, left, packed, written)
    ground.clear()
    yield _single(ground)


def _send(ground, first, count, each_alone=False):
    before = ground.target.receiver.total
    queued = ground.caller.run(
        QUEUE, code="orders", first=first, count=count, size=PAYLOAD,
        each_alone=each_alone,
    )  # fmt: skip
    ground.finish(queued, ["orders"], count, before)
    ground.target.arrivals.clear()


def _rows(count, empty, left, packed, written):
    total = 0
    for name in TABLES:
        heap, indexes, everything = (
            (after - before) / count
            for after, before in zip(left[name], empty[name], strict=True)
        )
        least = (packed[name][2] - empty[name][2]) / count
        total += everything
        toast = everything - heap - indexes
        yield Row(
            f"disk per done delivery of {PAYLOAD:,} bytes: {name}",
            f"table {heap:,.0f}, TOAST {toast:,.0f}, indexes {indexes:,.0f}; "
            f"packed {least:,.0f}",
            everything,
            is_ratio=False,
            unit="bytes",
        )
    yield Row(
        f"disk per done delivery of {PAYLOAD:,} bytes: all",
        f"written as WAL {written:,.0f} bytes",
        total,
        is_ratio=False,
        unit="bytes",
    )


def _single(ground):
    """The wake-ups of deliveries that are queued one by one stay for 30 days."""
    _vacuum(ground, full=True)
    empty = _sizes(ground)["queue_job"][2]
    _send(ground, 0, SINGLE, each_alone=True)
    ground.wait_for_idle()
    [(jobs,)] = ground.query("SELECT count(*) FROM queue_job")
    _vacuum(ground, full=True)
    used = _sizes(ground)["queue_job"][2] - empty
    return Row(
        "disk per delivery queued alone: queue_job",
        f"{jobs / SINGLE:.2f} jobs each, packed",
        used / SINGLE,
        is_ratio=False,
        unit="bytes",
    )


def _sizes(ground):
    return {
        name: ground.query(SIZES, {"table": table})[0] for name, table in TABLES.items()
    }


def _wal(ground) -> int:
    [(written,)] = ground.query("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    return int(written)


def _vacuum(ground, *, full=False):
    time.sleep(0.5)  # the last transaction of a lane ends after its deliveries
    with ground.connection.cursor() as cursor:
        for table in TABLES.values():
            cursor.execute(f"VACUUM {'FULL' if full else ''} {table}")
