# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bytes on disk of a delivery that is done, with its attempt, indexes and TOAST."""

from benchmarks import workload
from benchmarks.report import Row

TABLES = (
    "bwt_webhook_outbound_delivery",
    "bwt_webhook_outbound_delivery_attempt",
    "bwt_webhook_outbound_delivery_context_line",
)
SIZES = """
SELECT pg_relation_size(c.oid), COALESCE(pg_total_relation_size(c.reltoastrelid), 0),
    pg_indexes_size(c.oid), pg_total_relation_size(c.oid)
FROM pg_class c WHERE c.oid = %s::regclass"""
INDEXES = """
SELECT i.relname, pg_relation_size(i.oid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = %s::regclass ORDER BY 2 DESC, 1"""


def disk(ground, size):
    """Payloads of 2,000 bytes that are sent as they were queued; after a VACUUM."""
    ground.endpoint("disk", payload_rule_ids=[], header_rule_ids=[])
    ground.clear()
    before = ground.target.receiver.total
    queued = ground.caller.run(workload.QUEUE_ORDERS, code="disk", count=size.disk)
    ground.finish(queued, ["disk"], size.disk, before)
    ground.wait_for_idle()
    with ground.connection.cursor() as cursor:
        cursor.execute(f"VACUUM {', '.join(TABLES)}")
    total, samples = 0, {}
    for table in TABLES:
        [(heap, toast, indexes, each)] = ground.query(SIZES, [table])
        name = table.removeprefix("bwt_webhook_outbound_")
        per = {"heap": heap, "toast": toast, "indexes": indexes}
        per |= dict(ground.query(INDEXES, [table]))
        samples[name] = {key: value / size.disk for key, value in per.items()}
        total += each
        yield Row(
            f"disk: {name}",
            f"{heap / size.disk:,.0f} rows, {toast / size.disk:,.0f} TOAST, "
            f"{indexes / size.disk:,.0f} indexes",
            each / size.disk,
            is_ratio=False,
            unit="bytes",
            samples=samples[name],
        )
    yield Row(
        f"disk: a delivery of {queued['bytes']:,.0f} bytes",
        f"{size.disk:,} done",
        total / size.disk,
        is_ratio=False,
        unit="bytes",
    )
    ground.clear()
