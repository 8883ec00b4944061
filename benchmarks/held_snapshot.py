# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Minutes beside a transaction that is held open: no dead row can be vacuumed.

Each delivery leaves an entry in the index of what is due, and until the snapshot is
gone every statement that reads that index from its beginning passes all of them.
"""

import contextlib
import time

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from benchmarks.ground import wait_until
from benchmarks.offering import Offer, minutes
from benchmarks.processes import Meter
from benchmarks.report import Row
from tools.console import say

AGED_PER_COMMIT = 20_000

# Deliveries that were queued, in flight and done within the last 15 minutes: three
# transactions each, as with a lane.
AGE = (
    """
    INSERT INTO bwt_webhook_outbound_delivery (
        name, message_uid, state, queued_at, next_attempt_at, payload_json,
        request_headers_json, queue_number, endpoint_id, company_id, retry_number,
        attempt_count, replay_count, interruption_count, queue_to_done_seconds,
        end_to_end_seconds, create_date, create_uid, write_date, write_uid
    ) SELECT 'orders / ' || n, 'msg_old_' || n, 'queued', at, at,
        '{"order": {"id": ' || n || ', "note": "' || repeat(md5(n::text), 12) || '"}}',
        '{}', nextval('bwt_webhook_outbound_queue_number'), e.id, e.company_id, 0, 0,
        0, 0, 0, 0, at, 1, at, 1
    FROM generate_series(%(first)s, %(last)s) AS n, bwt_webhook_outbound_endpoint e,
        LATERAL (SELECT now() AT TIME ZONE 'UTC'
            - (%(count)s - n) * interval '15 minutes' / %(count)s AS at) AS moment
    WHERE e.code = 'orders'""",
    """
    UPDATE bwt_webhook_outbound_delivery
    SET state = 'processing', lane_slot = 0, attempt_count = 1
    WHERE id > %(after)s""",
    """
    UPDATE bwt_webhook_outbound_delivery
    SET state = 'done', lane_slot = NULL, next_attempt_at = NULL,
        processed_at = queued_at, response_status_code = 200
    WHERE id > %(after)s""",
)

# The plans of what a lane reads of waiting deliveries; nothing is changed.
PLANS = """
import json
from datetime import timedelta
from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.tools import SQL

target = endpoint(code).id
env.cr.rollback()
env.cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
now = utcnow()
statements = {
    "claim": sql.claim(target, now, 32),
    "claim from its place": sql.claim(target, now, 32, (now - timedelta(seconds=1), 0)),
    "next due": sql.next_due(target, False),
    "slots in use": sql.slots_in_use(target),
}
result = {}
for name, statement in statements.items():
    env.cr.execute(SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) %s", statement))
    [[[found]]] = env.cr.fetchall()
    plan = found["Plan"]
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    result[name] = [found["Execution Time"], pages]
env.cr.rollback()
"""

DEAD = """
SELECT relname, n_dead_tup, pg_total_relation_size(relid)
FROM pg_stat_user_tables WHERE relname = 'bwt_webhook_outbound_delivery'"""


@contextlib.contextmanager
def held_open(ground):
    """A transaction in REPEATABLE READ that has seen the deliveries."""
    connection = ground.connect()
    try:
        connection.set_isolation_level(ISOLATION_LEVEL_REPEATABLE_READ)
        connection.cursor().execute(
            "SELECT count(*) FROM bwt_webhook_outbound_delivery"
        )
        yield
    finally:
        connection.close()


def held_snapshot(ground, size):
    """Deliveries at a rate while a snapshot is held: by minute, from first to last."""
    ground.clear()
    rate, seconds, length = size.held_rate, size.held_seconds, size.held_span
    before = ground.target.receiver.total
    with held_open(ground):
        _age(ground, size.held_aged)
        offer = Offer(ground, "orders", rate, seconds).start()
        plans, dead, usage = [], [], []
        while offer.is_running:
            meter = Meter(ground, time.monotonic)
            time.sleep(min(length, seconds) * 0.5)
            plans.append(ground.caller.run(PLANS, code="orders"))
            dead.append(ground.query(DEAD)[0])
            _say_progress(ground, offer, before, plans[-1], dead[-1])
            time.sleep(min(length, seconds) * 0.5)
            usage.append(meter.read())
        offer.join()
        wait_until(
            lambda: ground.target.receiver.total - before >= offer.count,
            lambda: f"{ground.target.receiver.total - before} of {offer.count} arrived",
        )
    spans = minutes(ground, offer, length)
    for each in spans:
        say(
            f"    {each.number}. {_span(length)}: p50 {each.p50:.3f} s, "
            f"p95 {each.p95:.3f} s, backlog {each.backlog:,.0f}, at most {each.most:,}"
        )
    for number, each in enumerate(usage, 1):
        say(f"    {number}. {_span(length)}: {each}")
    ground.clear()
    yield from _rows(size, offer, spans, plans, dead)


def _rows(size, offer, spans, plans, dead):
    what = f"{offer.rate:,}/s beside a snapshot held for {_span(size.held_seconds)}"
    if size.held_aged:
        what += f" and {size.held_aged:,} deliveries"
    length = _span(size.held_span)
    first, last = spans[0], spans[-1]
    samples = {
        "spans": [vars(each) for each in spans],
        "plans": plans,
        "dead": [row[1:] for row in dead],
        "aged": size.held_aged,
        "offered_per_second": offer.offered,
    }
    yield Row(
        f"{what}: delay p95, last {length}",
        f"p50 {last.p50:.3f} s; first {length} {first.p50:.3f} and {first.p95:.3f} s",
        last.p95,
        0.5,
        0.2,
        lower=True,
        is_ratio=False,
        unit="s",
        samples=samples,
    )
    backlog = sorted(each.backlog for each in spans)[len(spans) // 2]
    yield Row(
        f"{what}: backlog, median",
        f"last {length} {last.backlog:,.0f}, at most {last.most:,}",
        backlog,
        offer.rate * 0.5,
        offer.rate * 0.1,
        lower=True,
        is_ratio=False,
        unit="waiting",
    )
    _name, rows, bytes_ = dead[-1]
    yield Row(
        f"{what}: dead rows",
        f"{bytes_ / 2**20:,.0f} MiB of deliveries",
        rows,
        is_ratio=False,
        unit="rows",
    )
    for name in ("claim", "claim from its place"):
        (began, _pages), (ended, pages) = plans[0][name], plans[-1][name]
        yield Row(
            f"{what}: statement of a {name}",
            f"{began:.1f} ms at first, {ended:.1f} ms and {pages:,} pages at last",
            ended,
            is_ratio=False,
            unit="ms",
        )


def _say_progress(ground, offer, before, plans, dead):
    arrived = ground.target.receiver.total - before
    times = ", ".join(f"{name} {took:.1f} ms" for name, (took, _) in plans.items())
    say(
        f"    {time.time() - offer.began:,.0f} s: {offer.count:,} queued, "
        f"{arrived:,} arrived; {dead[1]:,} dead rows; {times}"
    )


def _age(ground, count):
    """Leave as many dead rows as `count` deliveries did."""
    if not count:
        return
    with ground.connection.cursor() as cursor:
        for first in range(0, count, AGED_PER_COMMIT):
            last = min(first + AGED_PER_COMMIT, count) - 1
            cursor.execute("SELECT max(id) FROM bwt_webhook_outbound_delivery")
            values = {"first": first, "last": last, "count": count}
            values["after"] = cursor.fetchone()[0] or 0
            for statement in AGE:
                cursor.execute(statement, values)


def _span(seconds):
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
