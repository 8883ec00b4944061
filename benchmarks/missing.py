# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Checks of many records, and runs over existing records beside live deliveries."""

import threading
import time

from stage import wait_until as wait_for

from benchmarks import workload
from benchmarks.report import Row, percentile
from tools.console import say

FIRST = 100_000  # records of the smaller check
WAYS = ("never", "deleted", "failed", "outdated", "canceled")
MISSING = 20  # records in each of them

# Contacts that are all delivered, and after that some of them not.
PREPARE = """
Action, Partner = env["ir.actions.server"], env["res.partner"]
action = Action.search([("name", "=", "Missing")], limit=1)
if not action:
    action = Action.create({
        "name": "Missing",
        "model_id": env["ir.model"]._get("res.partner").id,
        "state": "bwt_webhook_outbound",
        "bwt_webhook_endpoint_id": endpoint(code).id,
        "bwt_webhook_field_ids": [
            (0, 0, {"usage": "field", "source_expression": name})
            for name in ("name", "ref", "city")
        ],
    })
    env["bwt.webhook.outbound.reconciliation"].create({
        "name": "Missing", "action_id": action.id, "since_days": 0,
        "domain": "[('comment', '=', 'missing')]",
    })
env.cr.execute("SET LOCAL synchronous_commit = off")
# Without foreign keys' triggers, where we may: a third of the time.
env.cr.execute('''DO $$ BEGIN PERFORM set_config(
    'session_replication_role', 'replica', FALSE);
EXCEPTION WHEN insufficient_privilege THEN NULL; END $$''')
env.cr.execute('''
    INSERT INTO res_partner (
        name, complete_name, ref, city, comment, active, type, company_id,
        create_date, write_date, create_uid, write_uid
    ) SELECT 'Contact ' || n, 'Contact ' || n, n, 'Brussels', 'missing', TRUE,
        'contact', NULL, at, at, 1, 1
    FROM generate_series(%(first)s, %(last)s) AS n,
        (SELECT now() AT TIME ZONE 'UTC' - interval '2 days' AS at) AS moment
    RETURNING id''', {"first": first, "last": last})
env.cr.execute('''
    INSERT INTO bwt_webhook_outbound_delivery (
        name, message_uid, state, queued_at, processed_at, payload_json,
        request_headers_json, queue_number, endpoint_id, company_id, retry_number,
        attempt_count, replay_count, interruption_count, queue_to_done_seconds,
        end_to_end_seconds, response_status_code, origin, server_action_id,
        res_model, res_id, create_date, create_uid, write_date, write_uid
    ) SELECT 'Missing / ' || p.id, 'msg_' || md5(p.id::text), 'done', at, at,
        json_build_object('_model', 'res.partner', '_id', p.id, '_action', %(label)s,
            'name', p.name, 'ref', p.ref, 'city', p.city),
        '{}', nextval('bwt_webhook_outbound_queue_number'), %(endpoint)s, %(company)s,
        0, 1, 0, 0, 0.1, 0.1, 200, 'live', %(action)s, 'res.partner', p.id,
        at, 1, at, 1
    FROM res_partner p, (
        SELECT now() AT TIME ZONE 'UTC' - interval '1 day' AS at
    ) AS moment
    WHERE p.comment = 'missing' AND p.ref::int BETWEEN %(first)s AND %(last)s''', {
        "first": first, "last": last, "action": action.id,
        "label": f"{action.name}(#{action.id})", "endpoint": endpoint(code).id,
        "company": endpoint(code).company_id.id,
    })
# A response wrote values back to a tenth: these payloads are compared.
env.cr.execute('''
    UPDATE res_partner SET write_date = now() AT TIME ZONE 'UTC'
    WHERE comment = 'missing' AND ref::int BETWEEN %(first)s AND %(last)s
    AND ref::int %% 10 = 0''', {"first": first, "last": last})
env.cr.execute("SET session_replication_role = DEFAULT")
env.cr.commit()
old = env.cr._cnx.autocommit
env.cr._cnx.autocommit = True
env.cr.execute("VACUUM ANALYZE res_partner")
env.cr.execute("VACUUM ANALYZE bwt_webhook_outbound_delivery")
env.cr._cnx.autocommit = old
"""

# In five ways; spread over all of them.
MAKE_MISSING = """
Delivery = env["bwt.webhook.outbound.delivery"]
found = env["res.partner"].search([("comment", "=", "missing")], order="id")
step = len(found) // (len(ways) * count)
chosen = {
    way: found[number * step :: len(ways) * step][:count]
    for number, way in enumerate(ways)
}
def deliveries(way):
    return Delivery.search([
        ("res_model", "=", "res.partner"), ("res_id", "in", chosen[way].ids),
    ])
# A contact without a delivery, and one whose delivery another action queued.
deliveries("never")[: count // 2].unlink()
deliveries("never").write({"server_action_id": False})
deliveries("deleted").unlink()
deliveries("failed")[: count // 2].write({"state": "dead_letter"})
deliveries("failed")[count // 2 :].write({"state": "error"})
chosen["outdated"].write({"city": "Ghent"})
deliveries("canceled").write({"state": "canceled"})
env.flush_all()
result = {way: records.ids for way, records in chosen.items()}
"""

# Begins a check; the peak of memory is counted from here.
BEGIN_CHECK = """
import re
from pathlib import Path

def memory():
    text = Path("/proc/self/status").read_text()
    found = [re.search(name + r":\\s+(\\d+)", text)[1] for name in ("VmHWM", "VmRSS")]
    return [int(each) / 1024 for each in found]

reconciliation = env["bwt.webhook.outbound.reconciliation"].search(
    [("name", "=", "Missing")])
if all_written:
    env.cr.execute("UPDATE bwt_webhook_outbound_delivery SET create_date = create_date "
        "- interval '2 days' WHERE id BETWEEN %s AND %s", (first, last))
    result = bool(env.cr.rowcount)
else:
    env.cr.commit()
    env.invalidate_all()
    Path("/proc/self/clear_refs").write_text("5")
    result = memory()[1]
    reconciliation.action_check()
"""

# Its steps for some time, each in a transaction of its own as a job does it.
STEPS = """
import time
reconciliation = env["bwt.webhook.outbound.reconciliation"].search(
    [("name", "=", "Missing")])
env.cr.commit()
before, took, until = env.cr.sql_log_count, [], time.monotonic() + 30
while reconciliation.state == "checking" and time.monotonic() < until:
    started = time.monotonic()
    reconciliation.run_check()
    env.cr.commit()
    took.append(time.monotonic() - started)
result = {
    "took": took, "queries": env.cr.sql_log_count - before, "peak": memory()[0],
    "is_checking": reconciliation.state == "checking",
    "message": reconciliation.message,
}
"""

LISTED = """
reconciliation = env["bwt.webhook.outbound.reconciliation"].search(
    [("name", "=", "Missing")])
result = {
    name: env["bwt.webhook.outbound.reconciliation.result"].search(
        getattr(reconciliation, f"action_view_{name}")()["domain"]).mapped("res_id")
    for name in ("never_queued", "failed", "outdated", "canceled")
}
"""

# The plans of all statements of a step that name deliveries.
PLANS = """
import json
from odoo.addons.bwt_webhooks_outbound.lane import sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import reconciliation_check as check
from odoo.addons.bwt_webhooks_outbound.models.reconciliation_result import new_missing

reconciliation = env["bwt.webhook.outbound.reconciliation"].search(
    [("name", "=", "Missing")])
Delivery, number = env["bwt.webhook.outbound.delivery"], reconciliation.check_number
ids = env["res.partner"].search(
    [("comment", "=", "missing")], order="id desc", limit=check.CHUNK).ids
known = Delivery.search([], limit=50).ids
statements = {
    "last deliveries": check.last_deliveries(
        reconciliation.action_id.id, "res.partner", ids),
    "payloads": check.stored_payloads(known),
    "what is new": new_missing(reconciliation.id, number),
    "due": sql.count_due(reconciliation.endpoint_id.id, utcnow(), 20, False),
    "due, by key": sql.count_due(reconciliation.endpoint_id.id, utcnow(), 20, True),
}
def nodes(plan):
    yield plan["Node Type"] + " " + plan.get("Relation Name", "") + (
        " by " + plan["Index Name"] if "Index Name" in plan else "")
    for part in plan.get("Plans", ()):
        yield from nodes(part)
result = {}
for name, statement in statements.items():
    env.cr.execute(check.SQL("EXPLAIN (ANALYZE, FORMAT JSON) %s", statement))
    [[[found]]] = env.cr.fetchall()
    result[name] = [found["Execution Time"], list(nodes(found["Plan"]))]
"""


def missing(ground, size):
    """100,000 records, and as many as the size says: exactly the missing ones."""
    ground.caller.run(PREPARE, code="orders", first=1, last=FIRST)
    chosen = ground.caller.run(MAKE_MISSING, ways=WAYS, count=MISSING)
    yield _check(ground, FIRST, "a tenth written since", chosen)
    for first in range(FIRST + 1, size.records, FIRST):
        ground.caller.run(PREPARE, code="orders", first=first, last=first + FIRST - 1)
    if size.records > FIRST:
        yield _check(ground, size.records, "a tenth written since", chosen)
    yield _scans(ground, size.records)
    [(first, last)] = ground.query(
        "SELECT min(id), max(id) FROM bwt_webhook_outbound_delivery"
    )
    for part in range(first, last + 1, FIRST):
        values = {"first": part, "last": part + FIRST - 1}
        ground.caller.run(BEGIN_CHECK, all_written=True, **values)
    yield _check(ground, size.records, "all written since", chosen)


def _check(ground, count, what, chosen):
    with ground.caller.transaction() as caller:
        before = caller.run(BEGIN_CHECK, all_written=False)
        began, took, queries, is_checking = time.monotonic(), [], 0, True
        while is_checking:
            seen = caller.run(STEPS)
            took += seen["took"]
            queries += seen["queries"]
            is_checking = seen["is_checking"]
        seconds = time.monotonic() - began
        listed = caller.run(LISTED)
    expected = {
        "never_queued": chosen["never"] + chosen["deleted"],
        **{name: chosen[name] for name in ("failed", "outdated", "canceled")},
    }
    wrong = sum(len(set(expected[name]) ^ set(listed[name])) for name in expected)
    if wrong or seen["message"]:
        say(f"! {wrong} records are listed wrongly; message: {seen['message']}")
    return Row(
        f"check of {count:,} records, {what}: listed wrongly",
        f"{seconds:.1f} s, {queries:,} queries, {len(took)} steps of at most "
        f"{max(took):.1f} s, {seen['peak'] - before:.0f} MiB more",
        wrong,
        0,
        0,
        lower=True,
        is_ratio=False,
        unit="records",
        samples={"steps": took, "peak_mib": seen["peak"]},
    )


def _scans(ground, count):
    plans = ground.caller.run(PLANS)
    for name, (took, nodes) in plans.items():
        say(f"    {name}: {took:.1f} ms; {'; '.join(dict.fromkeys(nodes))}")
    scans = sum(
        node.startswith("Seq Scan bwt_webhook_outbound_delivery")
        for _took, nodes in plans.values()
        for node in nodes
    )
    return Row(
        f"{count:,} deliveries: statements that scan them",
        f"{len(plans)} statements",
        scans,
        0,
        0,
        lower=True,
        is_ratio=False,
    )


RUN = """
action = env["ir.actions.server"].create({
    "name": "Backfill",
    "model_id": env["ir.model"]._get("res.partner").id,
    "state": "bwt_webhook_outbound",
    "bwt_webhook_endpoint_id": endpoint(code).id,
    "bwt_webhook_field_ids": [
        (0, 0, {"usage": "field", "source_expression": "name"})
    ],
})
tag = env["res.partner.category"].create({"name": "Backfill"})
env["res.partner"].create(
    [{"name": f"Backfill {n}", "category_id": [(6, 0, tag.ids)]} for n in range(count)]
)
run = endpoint(code).backfill(action, [("category_id", "in", tag.ids)], pace=pace)
result = run.id
"""


def backfill(ground, size):
    """The delay of live deliveries without and beside a run, and the run's pace."""
    for pace in size.paces:
        yield from _beside(ground, size, pace)


def _beside(ground, size, pace):
    alone, beside, rates = [], [], []
    for _round in range(size.pairs):
        ground.clear()
        alone += _live(ground, size.live_seconds)
        ground.clear()
        run = ground.caller.run(
            RUN, code="orders", count=pace * (size.live_seconds + 10) // 60, pace=pace
        )
        wait_for(lambda: _fed(ground, run)[0])  # noqa: B023
        began, before = time.time(), _fed(ground, run)
        beside += _live(ground, size.live_seconds)
        after = _fed(ground, run)
        rates.append((after[0] - before[0]) / (after[1] - before[1]) * 60)
        say(f"    {rates[-1]:,.0f} a minute in {time.time() - began:.0f} s")
        ground.caller.run(
            "env['bwt.webhook.outbound.run'].browse(run)._end('canceled')", run=run
        )
    for share in (0.5, 0.95):
        ours, theirs = percentile(beside, share), percentile(alone, share)
        goal = (1.2, 1.2) if share == 0.95 else (None, None)
        yield Row(
            f"live deliveries beside a run of {pace:,} a minute, p{share * 100:.0f}",
            f"{ours * 1000:.1f} ms : {theirs * 1000:.1f} ms",
            ours / theirs,
            *goal,
            lower=True,
            samples={"beside": beside, "alone": alone},
        )
    rate = sum(rates) / len(rates)
    yield Row(
        f"a run of {pace:,} a minute: off its pace",
        f"{rate:,.0f} a minute",
        abs(rate / pace - 1) * 100,
        10,
        2,
        lower=True,
        is_ratio=False,
        unit="%",
        samples={"rates": rates},
    )


def _fed(ground, run):
    """Records processed, and when the last batch was (seconds)."""
    [row] = ground.query(
        "SELECT processed_count, fed_at FROM bwt_webhook_outbound_run WHERE id = %s",
        [run],
    )
    return row


def _live(ground, seconds):
    """Delays of single deliveries, about seven a second, whatever each takes."""
    sent, threads, deadline = [], [], time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        thread = threading.Thread(target=_send_one, args=(ground, number, sent))
        thread.start()
        threads.append(thread)
        time.sleep(0.15)
    for thread in threads:
        thread.join()
    delays = [ground.target.arrival_of(uid) - committed for committed, uid in sent]
    return delays[5:]


def _send_one(ground, number, sent):
    seen = ground.caller.run(workload.ONE, code="orders", number=number)
    sent.append((seen["committed"], seen["uid"]))
