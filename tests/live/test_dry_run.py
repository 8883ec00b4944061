# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dry runs in real workers: the database is as it was, and nothing arrives."""

import os
import time

import pytest
from stage import database_name, serving, stage, wait_until

from receiver import Receiver
from tools.databases import Databases
from tools.workspace import ADDON

MANY = int(os.environ.get("BWT_DRY_RUN", 1000))
EVERY = 10  # one of so many is changed
SECONDS = 5.0  # for MANY deliveries of one server action or rule
# Written by jobs and by the dry run itself.
LEFT_OUT = ("queue_job", "queue_job_lock", "bwt_webhook_outbound_dry_run")
HANDLER = """
handlers = env["bwt.webhook.handler"]
endpoint(code).handler_id = handlers.search([("code", "=", "hazards")])
"""
START = """
dry_run = env["bwt.webhook.outbound.dry.run"].browse(
    endpoint(code).action_compare()["res_id"]
)
dry_run.limit_count = limit
dry_run.action_start_dry_run()
result = dry_run.id
"""


@pytest.fixture(scope="module")
def shop(cluster):
    name = database_name("dry")
    try:
        Databases(cluster).fresh(name, install=(ADDON, "bwt_test_connector"))
        with stage(cluster, "dry-run", origin=name) as made:
            made.caller.run(
                "env['bwt.webhook.handler'].create({'name': 'Hazards', "
                "'code': 'hazards', 'direction': 'outbound', "
                "'execution_mode': 'python', 'python_model_name': 'shop.hazard', "
                "'python_method_name': 'decide'})"
            )
            yield made
    finally:
        Databases(cluster).drop(name)


@pytest.fixture(scope="module")
def server(shop):
    options = {"max_cron_threads": 0}  # schedules write rows, too
    with serving(
        shop.cluster, shop.database, workers=3, channels="root:2", options=options
    ) as started:
        yield started


def done(shop, code, payloads):
    """Deliveries that the receiver has accepted; nothing of them runs any more."""
    shop.caller.run(
        "endpoint(code).queue_deliveries([{'payload': each} for each in payloads])",
        code=code,
        payloads=payloads,
    )
    shop.wait_for_states(code, 120, done=len(payloads))
    shop.wait_for_idle(code)


def dry_run_of(shop, dry_run_id):
    [found] = shop.rows(
        f"SELECT * FROM bwt_webhook_outbound_dry_run WHERE id = {dry_run_id}"
    )
    return found


def compare(shop, code, limit=1000):
    """A dry run of the last deliveries, when it has ended."""
    dry_run_id = shop.caller.run(START, code=code, limit=limit)
    wait_until(
        lambda: dry_run_of(shop, dry_run_id)["state"] not in ("waiting", "running"), 120
    )
    return dry_run_of(shop, dry_run_id)


def results_of(shop, dry_run):
    return shop.rows(
        f"""SELECT r.*, d.payload_json FROM bwt_webhook_outbound_dry_run_result r
        JOIN bwt_webhook_outbound_delivery d ON d.id = r.delivery_id
        WHERE dry_run_id = {dry_run["id"]} ORDER BY r.delivery_id"""
    )


def fingerprint(shop):
    """Table -> hash of its rows, whatever their order; sequences aside."""
    tables = shop.rows(
        """SELECT relname AS name FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace ORDER BY relname"""
    )
    found = {}
    for name in (each["name"] for each in tables):
        if not name.startswith(LEFT_OUT):
            [row] = shop.rows(
                "SELECT count(*), md5(string_agg(md5(t::text), '' "
                f'ORDER BY md5(t::text))) FROM public."{name}" t'
            )
            found[name] = tuple(row.values())
    return found


def test_nothing_is_changed_or_sent(shop, server, receiver, code):
    """Handlers write, commit, send mail, open sockets: every table is as it was."""
    shop.endpoint(code, receiver.url)
    partner_id = shop.caller.run(
        "result = env['res.partner'].create({'name': 'Ada'}).id"
    )
    port = int(receiver.url.rpartition(":")[2])
    hazards = {
        "write": (partner_id, "unchanged"),
        "commit": (partner_id, "error"),
        "commit_by_sql": (partner_id, "error"),
        "cursor": (partner_id, "error"),
        "mail": (port, "error"),
        "smtp": (port, "error"),
        "connect": (port, "error"),
        "process": (None, "error"),
        "thread": (None, "error"),
        "raise": ("SystemExit", "error"),
        "nothing": (None, "unchanged"),
    }
    done(shop, code, [{"do": [name, each[0]]} for name, each in hazards.items()])
    shop.caller.run(HANDLER, code=code)
    arrived, before = len(receiver.requests), fingerprint(shop)
    connections = receiver.accepted

    dry_run = compare(shop, code)

    assert fingerprint(shop) == before
    assert len(receiver.requests) == arrived
    assert receiver.accepted == connections
    assert dry_run["state"] == "done", dry_run["message"]
    results = results_of(shop, dry_run)
    assert [each["verdict"] for each in results] == [
        verdict for _argument, verdict in hazards.values()
    ], [(each["verdict"], each["message"]) for each in results]


def test_a_handler_that_ends_the_process(shop, server, receiver, code):
    """It costs a worker. The dry run reads as failed, and the next one works."""
    shop.endpoint(code, receiver.url)
    done(shop, code, [{"do": ["end_the_process", 1]}, {"n": 1}])
    shop.caller.run(HANDLER, code=code)
    before = fingerprint(shop)

    began = time.monotonic()
    dry_run = compare(shop, code)

    print(f"ended process: read as failed after {time.monotonic() - began:.1f} s")
    assert dry_run["state"] == "failed"
    assert "worker ended after 0 of 2" in dry_run["message"]
    assert fingerprint(shop) == before
    assert compare(shop, code, limit=1)["state"] == "done"


def test_many(shop, server, code):
    """Of a thousand deliveries exactly those are told that a rule changes."""
    with Receiver() as receiver:
        shop.endpoint(code, receiver.url)
        shop.caller.run(
            """env["bwt.webhook.outbound.endpoint.payload.rule"].create({
                "endpoint_id": endpoint(code).id, "target_path": "kind",
                "source_kind": "literal", "literal_value": "order"})""",
            code=code,
        )
        lines = [{"sku": f"P{n}", "quantity": n, "price": n * 1.5} for n in range(8)]
        payloads = [
            {"n": n, "lines": lines, "kind": "order"}
            | ({"old": 1} if n % EVERY == 0 else {})
            for n in range(MANY)
        ]
        done(shop, code, payloads)
        shop.caller.run(
            """handler = env["bwt.webhook.handler"].create({"name": code, "code": code})
rule = env["bwt.webhook.outbound.handler.rule"].create({
    "name": "Old", "handler_id": handler.id, "result_status": "mutate"})
env["bwt.webhook.outbound.handler.rule.condition"].create({
    "rule_id": rule.id, "source_kind": "request_field",
    "source_expression": "payload.old", "operator": "is_set"})
env["bwt.webhook.outbound.handler.rule.assignment"].create({
    "rule_id": rule.id, "target_scope": "payload", "target_expression": "kind",
    "source_kind": "literal", "literal_value": "invoice"})
endpoint(code).handler_id = handler""",
            code=code,
        )
        arrived = len(receiver.requests)

        began = time.monotonic()
        dry_run = compare(shop, code, limit=MANY)
        waited = time.monotonic() - began

        assert len(receiver.requests) == arrived
    [job] = shop.rows(
        "SELECT result FROM queue_job WHERE identity_key = "
        f"'bwt_webhook_dry_run:{dry_run['id']}'"
    )
    print(f"{MANY} deliveries: {job['result']}; {waited:.1f} s from the button on")
    assert dry_run["state"] == "done", dry_run["message"]
    results = results_of(shop, dry_run)
    assert len(results) == MANY
    changed = {each["delivery_id"] for each in results if each["verdict"] == "changed"}
    expected = {
        each["delivery_id"] for each in results if '"old"' in each["payload_json"]
    }
    assert changed == expected and len(changed) == MANY // EVERY
    assert {each["verdict"] for each in results} == {"changed", "unchanged"}
    assert {
        each["differences_json"] for each in results if each["verdict"] == "changed"
    } == {'[["body", "kind", "\\"order\\"", "\\"invoice\\""]]'}
    assert float(job["result"].split()[-2]) < SECONDS * MANY / 1000
