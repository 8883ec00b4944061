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

ASKED = """
def asked(n, size=0):
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
    ASKED
    + """
import time
requests = [asked(n, size) for n in range(count)]
started = time.monotonic()
for code in codes:
    endpoint(code).queue_deliveries(requests[: count // len(codes)])
env.flush_all()
took = time.monotonic() - started
env.cr.commit()
result = {"committed": time.time(), "seconds": took}
"""
)

ONE = (
    ASKED
    + """
import time
given = asked(number)
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
    ASKED
    + """
import time
target, calls, queries, commits = endpoint(code), [], [], []
for number in range(count):
    given = asked(number)
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

BURST = (
    ASKED
    + """
import time
target, started = endpoint(code), time.monotonic()
for number in range(count):
    target.queue_delivery(**asked(number))
    env.cr.commit()
result = {"committed": time.time(), "seconds": time.monotonic() - started}
"""
)

# `rate` deliveries a second for `seconds`, ten transactions a second.
STEADY = (
    ASKED
    + """
import time
target, sent, start = endpoint(code), [], time.monotonic()
for tick in range(seconds * 10):
    time.sleep(max(start + tick / 10 - time.monotonic(), 0))
    first = tick * rate // 10
    ids = target.queue_deliveries(
        [asked(first + number) for number in range(rate // 10)]
    ).ids
    env.cr.commit()
    sent.append([time.time(), ids[0], ids[-1]])
result = {"sent": sent, "seconds": time.monotonic() - start}
"""
)
