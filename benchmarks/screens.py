# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server time of the screens over 100,000 deliveries."""

from benchmarks.report import Row, median

COUNT = 100_000
ROUNDS = 3
MOST = 1  # second, for each opening, filter and group
ENDPOINTS = ("orders", "stock", "invoices", "contacts", "labels")

# A tenth failed, a hundredth waits, the rest is done; over the last 30 days.
FILL = """
INSERT INTO bwt_webhook_outbound_delivery (
    name, message_uid, state, queued_at, processed_at, payload_json,
    request_headers_json, queue_number, endpoint_id, company_id, retry_number,
    attempt_count, replay_count, interruption_count, queue_to_done_seconds,
    end_to_end_seconds, response_status_code, response_headers_json, response_body,
    failure_reason, next_attempt_at, res_model, res_id,
    create_date, create_uid, write_date, write_uid
) SELECT
    'orders / ' || n, 'msg_' || md5(n::text), state, at,
    CASE WHEN state = 'done' THEN at END,
    '{"order": {"id": ' || n || ', "note": "' || repeat(md5(n::text), 12) || '"}}',
    '{}', nextval('bwt_webhook_outbound_queue_number'), id, company_id, 0, 1, 0, 0,
    n %% 500, n %% 500, CASE WHEN state = 'done' THEN 200 ELSE 400 + n %% 120 END,
    '{"Content-Type": "application/json"}', '{}',
    CASE WHEN state IN ('error', 'dead_letter') THEN 'http_4xx' END,
    CASE WHEN state = 'error' THEN now() AT TIME ZONE 'UTC' + interval '1 hour' END,
    'res.partner', n %% 5000, at, 1, at, 1
FROM generate_series(%(count)s, 1, -1) AS n -- ids grow with the date
CROSS JOIN LATERAL (
    SELECT now() AT TIME ZONE 'UTC' - n * interval '26 seconds' AS at,
    CASE WHEN n %% 10 = 0 THEN 'dead_letter' WHEN n %% 103 = 0 THEN 'error'
    WHEN n %% 107 = 0 THEN 'canceled' ELSE 'done' END AS state
) AS moment
JOIN LATERAL (
    SELECT id, company_id FROM bwt_webhook_outbound_endpoint
    ORDER BY id OFFSET n %% %(endpoints)s LIMIT 1
) AS endpoint ON TRUE
"""

# The requests of the web client, with their SQL statements, longest first.
QUERIES = """
import time
from ast import literal_eval
from lxml import etree

DELIVERY = "bwt.webhook.outbound.delivery"
ENDPOINT = "bwt.webhook.outbound.endpoint"

def spec(model, view_type):
    arch = etree.fromstring(env[model].get_view(view_type=view_type)["arch"])
    return {field.get("name"): {} for field in arch.iter("field")}

def rows(model, domain=(), view_type="list"):
    env[model].web_search_read(
        list(domain), spec(model, view_type), limit=80, count_limit=10_001
    )

def groups(model, group, *aggregates, domain=(), **more):
    env[model].web_read_group(
        list(domain), [group], ["__count", *aggregates], limit=80, **more
    )

def screens():
    yield "open", "deliveries", lambda: rows(DELIVERY)
    view = env[DELIVERY].get_view(view_type="search")
    for entry in etree.fromstring(view["arch"]).iter("filter"):
        name = entry.get("name")
        group = literal_eval(entry.get("context", "{}")).get("group_by")
        domain = literal_eval(entry.get("domain", "[]"))
        if group:
            yield "group", name, lambda g=group: groups(DELIVERY, g)
        elif domain:
            yield "filter", name, lambda d=domain: rows(DELIVERY, d)
    for name, domain in (
        ("name", [("name", "ilike", "4711")]),
        ("payload of all days", [("payload_json", "ilike", "4711")]),
        ("payload", [("payload_json", "ilike", "4711"), ("age_days", "<=", 7)]),
        ("record", [("record_name", "ilike", "admin")]),
        ("message id", [("message_ref", "=", "msg_" + "0" * 32)]),
    ):
        yield "search", name, lambda d=domain: rows(DELIVERY, d)
    attention = [("state", "=", "dead_letter")]
    for group in ("endpoint_id", "detailed_reason"):
        yield "open", f"attention by {group}", lambda g=group: groups(
            DELIVERY, g, domain=attention, auto_unfold=True
        )
    yield "open", "endpoints", lambda: rows(ENDPOINT)
    yield "open", "endpoint cards", lambda: (
        groups(ENDPOINT, "health"), rows(ENDPOINT, view_type="kanban")
    )
    overview = env["bwt.webhook.outbound.overview"]
    yield "open", "overview", lambda: overview.action_read_overview("days")
    yield "open", "reporting", lambda: groups(DELIVERY, "create_date:day")
    yield "open", "service levels", lambda: groups(
        DELIVERY + ".report", "day:day", "p95_seconds:max", "done_count:sum"
    )

def plan(show):
    ran, execute = [], env.cr.execute
    def listening(query, *given, **more):
        started = time.perf_counter()
        execute(query, *given, **more)
        ran.append((time.perf_counter() - started, env.cr.query.decode()))
    env.cr.execute = listening
    try:
        show()
    finally:
        env.cr.execute = execute
    _took, statement = max(ran)
    env.cr.execute("EXPLAIN (ANALYZE, BUFFERS) " + statement.replace("%", "%%"), ())
    return [statement, *(line for (line,) in env.cr.fetchall())]

result = []
for kind, name, show in screens():
    times = []
    for _round in range(rounds):
        env.invalidate_all()
        started = time.perf_counter()
        show()
        times.append(time.perf_counter() - started)
    env.invalidate_all()
    result.append([kind, name, times, plan(show)])
"""


def screens(ground, _size):
    """Each opening, filter, group and search; the slowest of each kind is reported."""
    for code in ENDPOINTS:
        ground.endpoint(code)
    ground.clear()
    values = {"count": COUNT, "endpoints": len(ENDPOINTS)}
    with ground.connection.cursor() as cursor:
        cursor.execute(FILL, values)
        cursor.execute("VACUUM ANALYZE bwt_webhook_outbound_delivery")
    measured = ground.caller.run(QUERIES, rounds=ROUNDS)
    for kind in ("open", "filter", "group", "search"):
        times = {name: took for each, name, took, _plan in measured if each == kind}
        slowest = max(times, key=lambda name: median(times[name]))
        yield Row(
            f"{COUNT:,} deliveries: {kind}, the longest of {len(times)}",
            f"{slowest}, shortest {min(map(median, times.values())) * 1000:.0f} ms",
            median(times[slowest]),
            MOST,
            lower=True,
            is_ratio=False,
            unit="s",
            samples={
                name: {"seconds": took, "plan": plan}
                for each, name, took, plan in measured
                if each == kind
            },
        )
    ground.clear()
