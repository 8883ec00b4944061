# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The deliveries, and the code that the calling Odoo runs (tests/live/caller.py)."""

# 3 header rules, 3 payload rules, and a signature. The code sees `env` and its values.
ENDPOINT = """
import base64
model = env["bwt.webhook.outbound.endpoint"]
found = model.search([("code", "=", values["code"])])
if found:
    found.write(values)
    result = found.id
else:
    def source(kind, **more):
        return (0, 0, {"source_kind": kind, **more})
    values = {
        "name": values["code"],
        "state": "active",
        "header_rule_ids": [
            source("literal", header_name="X-Source", literal_value="odoo"),
            source("context_key", header_name="X-Order-Id",
                   source_expression="order_id"),
            source("request_field", header_name="X-Total",
                   source_expression="payload.order.total"),
        ],
        "payload_rule_ids": [
            source("literal", target_path="source", literal_value="odoo"),
            source("context_key", target_path="order.warehouse",
                   source_expression="warehouse"),
            source("request_field", target_path="order.state",
                   source_expression="payload.order.state",
                   value_map="sale = confirmed"),
        ],
        **values,
    }
    if "signing_secret_input" in model._fields:
        secret = base64.b64encode(b"s" * 32).decode()
        values.update(signing_mode="standard", signing_secret_input=f"whsec_{secret}")
    result = model.create(values).id
"""

REQUEST = """
def request(n, size=0):
    order = {
        "id": n,
        "number": f"S{n:06d}",
        "state": "sale",
        "customer": {"name": "Azure Interior", "email": "azure@example.com"},
        "lines": [
            {"sku": f"SKU-{n}-{line}", "quantity": line, "price": 12.5 * line}
            for line in (1, 2, 3)
        ],
        "total": 75.0,
    }
    if size:
        order["note"] = "x" * size
    return {
        "payload": {"order": order},
        "context_lines": {"order_id": n, "warehouse": "WH1"},
    }
"""

# The time of the commit is returned: later times are measured from it.
QUEUE = (
    REQUEST
    + """
import time
requests = [request(n, size) for n in range(count)]
started = time.monotonic()
for number, each in enumerate(requests if keys else ()):
    each["ordering_key"] = f"key {number % keys}"
for code in codes:
    endpoint(code).queue_deliveries(requests[: count // len(codes)])
env.flush_all()
took = time.monotonic() - started
env.cr.commit()
result = {"committed": time.time(), "seconds": took}
"""
)

# Orders of 2,000 bytes, which PostgreSQL compresses to about half.
QUEUE_ORDERS = """
import json, random, time

def order(number):
    chance = random.Random(number)
    lines, found = [], {"order": f"S{number:08d}", "partner": chance.getrandbits(40)}
    while len(json.dumps(found | {"lines": lines})) < 1900:
        lines.append({
            "sku": f"SKU-{chance.getrandbits(32):08x}",
            "barcode": str(chance.randrange(10**12, 10**13)),
            "quantity": chance.randrange(1, 50),
            "price": chance.randrange(100, 99999) / 100,
        })
    found["lines"] = lines
    found["note"] = "." * (2000 - len(json.dumps(found | {"note": ""})))
    return found

requests = [{"payload": order(number)} for number in range(count)]
started = time.monotonic()
endpoint(code).queue_deliveries(requests)
env.flush_all()
took = time.monotonic() - started
size = sum(len(json.dumps(each["payload"])) for each in requests) / count
env.cr.commit()
result = {"committed": time.time(), "seconds": took, "bytes": size}
"""

ONE = (
    REQUEST
    + """
import time
given = request(number)
uid = endpoint(code).queue_delivery(**given).sudo().message_uid
env.cr.commit()
result = {"committed": time.time(), "uid": uid}
"""
)

REFERENCE = """
import json, time, uuid
vals_list = []
for number in range(count):
    sample = samples[number % len(samples)]
    uid = uuid.uuid4().hex
    headers = sample["headers"] | {"webhook-id": uid}
    vals_list.append({
        "url": url,
        "headers": json.dumps(headers),
        "payload": json.dumps(sample["payload"]),
    })
env["bwt.reference.delivery"].queue(vals_list)
env.flush_all()
env.cr.commit()
result = {"committed": time.time(), "uid": uid}
"""

COST = (
    REQUEST
    + """
import time
target, calls, queries, commits = endpoint(code), [], [], []
for number in range(count):
    given = request(number)
    before = env.cr.sql_log_count
    started = time.monotonic()
    target.queue_delivery(**given)
    env.flush_all()
    called = time.monotonic()
    queries.append(env.cr.sql_log_count - before)
    env.cr.commit()
    calls.append(called - started)
    commits.append(time.monotonic() - called)
    time.sleep(pause)
result = {"calls": calls, "queries": queries, "commits": commits}
"""
)

# CPU seconds with which a lane prepares 1,000 deliveries: with rules and a handler, and
# plain ones. Nothing is committed.
BUILD = """
import gc, time
from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import Claimed
from odoo.addons.bwt_webhooks_outbound.lane.batch import prepare_batch

def source(kind, expression=False, literal=False, **more):
    return (0, 0, {
        "source_kind": kind, "source_expression": expression,
        "literal_value": literal, **more,
    })

def condition(kind, expression, operator, expected=False):
    return source(kind, expression, operator=operator, expected_value=expected)

def assignment(scope, target, literal):
    return source("literal", False, literal, target_scope=scope,
                  target_expression=target)

def rule(status, *conditions, assign=()):
    return (0, 0, {
        "name": status, "result_status": status,
        "condition_ids": list(conditions), "assignment_ids": list(assign),
    })

model, host = env["bwt.webhook.outbound.endpoint"], "https://shop.example.com"
plain = model.create({"name": "Plain", "code": "cost-plain", "target_hostname": host})
handler = env["bwt.webhook.handler"].create({
    "name": "Cost", "code": "cost", "direction": "outbound",
    "outbound_rule_ids": [
        rule("cancel", condition("request_field", "payload.total", "greater", "1000")),
        rule("retry", condition("record_field", "ref", "starts_with", "Z")),
        rule("mutate", condition("request_field", "payload.total", "is_set"), assign=(
            assignment("header", "X-Rule", "{order_id}"),
            assignment("payload", "seen", "true"),
        )),
    ],
})
rich = model.create({
    "name": "Rich", "code": "cost-rich", "target_hostname": host,
    "target_path": "/orders/{order_id}?from={shop}", "handler_id": handler.id,
    "header_rule_ids": [
        source("literal", literal="order {order_id}", header_name="X-Literal-0"),
        source("literal", literal="order {order_id}", header_name="X-Literal-1"),
        source("company_field", "name", header_name="X-Company"),
        source("partner_field", "name", header_name="X-Partner"),
        source("context_key", "shop", header_name="X-Key",
               value_map="s = shop\\n* = other"),
    ],
    "payload_rule_ids": [
        source("literal", literal='{"id": "{order_id}", "n": 1.5}', target_path="l.a"),
        source("literal", literal='{"id": "{order_id}", "n": 1.5}', target_path="l.b"),
        source("record_field", "ref", target_path="partner.ref", value_map="a = b"),
        source("record_field", "country_id.code", target_path="partner.country"),
        source("delivery_field", "queued_at", target_path="queued"),
    ],
})
partners = env["res.partner"].create(
    [{"name": f"Partner {n}", "ref": f"R{n}"} for n in range(1000)]
)
lines = {"order_id": 42, "shop": "s", "note": "a text"}

def queue(endpoint):
    return endpoint.queue_deliveries([
        {
            "payload": {"total": 5, "lines": [{"sku": "a", "qty": 1}]},
            "context_lines": lines if endpoint == rich else None,
            "record": partners[n] if endpoint == rich else None,
            "name": f"Order {n}",
        }
        for n in range(1000)
    ]).sudo()

def prepare(deliveries):
    env.flush_all()
    env.invalidate_all()
    gc.collect()
    endpoint = deliveries[0].endpoint_id._for_lane()
    claimed = [Claimed(each, "", "queued", 0, 0, 0, None) for each in deliveries.ids]
    started = time.thread_time()
    snapshot = endpoint._outbound_snapshot()
    batch = prepare_batch(deliveries.with_env(endpoint.env), snapshot, claimed)
    seconds = time.thread_time() - started  # CPU: neighbours don't count
    failed = [each.error for each in batch if hasattr(each, "error")]
    assert not failed, failed[0]
    return seconds

queued = {each.code: queue(each) for each in (plain, rich)}
result = {code: [] for code in queued}
for _round in range(4):
    for code, deliveries in queued.items():
        result[code].append(prepare(deliveries))
env.cr.rollback()
"""

BURST = (
    REQUEST
    + """
import time
target, started = endpoint(code), time.monotonic()
for number in range(count):
    target.queue_delivery(**request(number))
    env.cr.commit()
result = {"committed": time.time(), "seconds": time.monotonic() - started}
"""
)

# `rate` deliveries a second for `seconds`, ten transactions a second.
STEADY = (
    REQUEST
    + """
import time
target, sent, start = endpoint(code), [], time.monotonic()
for tick in range(seconds * 10):
    time.sleep(max(start + tick / 10 - time.monotonic(), 0))
    first = tick * rate // 10
    ids = target.queue_deliveries(
        [request(first + number) for number in range(rate // 10)]
    ).ids
    env.cr.commit()
    sent.append([time.time(), ids[0], ids[-1]])
result = {"sent": sent, "seconds": time.monotonic() - start}
"""
)
