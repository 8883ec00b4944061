# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The first release with deliveries in every state, updated to this version."""

import io
import subprocess
import tarfile

import pytest
from stage import database_name, serving, stage, wait_for_runner, wait_until

from receiver import hold, status
from tools.databases import Databases
from tools.odoo_server import OdooServer
from tools.workspace import ADDON, REPOSITORY

RELEASE = "2288d9d"  # 19.0.1.0.0

# In the release: two endpoints, one with an order and rules, and deliveries.
FILL = """
partner = env["res.partner"].create({{"name": "Müster & Söhne"}})
handler = env["bwt.webhook.handler"].create({{
    "name": "Rules", "code": "rules", "execution_mode": "model_driven",
    "outbound_rule_ids": [(0, 0, {{"name": "Send"}})],
}})
common = {{"state": "active", "target_hostname": "{url}"}}
shop, ordered = env["bwt.webhook.outbound.endpoint"].create([
    dict(common, name="Shop", code="shop", target_path="/shop",
        retry_schedule="1h", circuit_threshold=0,
        payload_rule_ids=[(0, 0, {{
            "target_path": "partner.name", "source_kind": "record_field",
            "source_expression": "name"}})]),
    dict(common, name="Ordered", code="ordered", target_path="/ordered",
        handler_id=handler.id, ordering="key", retry_schedule="1s,1s,1s",
        max_in_flight=2),
])
shop.queue_deliveries([
    {{"payload": {{"n": n}}, "record": partner, "context_lines": {{"n": n}}}}
    for n in range({sent})
])
env.cr.commit()
"""
# Those that a user or a receiver has brought to an end, and those that wait.
LATER = """
shop = env["bwt.webhook.outbound.endpoint"].search([("code", "=", "shop")])
waiting = shop.queue_deliveries([{{"payload": {{"n": n}}}} for n in range(90, 94)])
later, canceled, dead, held = waiting.sudo()
later.next_attempt_at = "2100-01-01 00:00:00"
canceled.action_cancel_delivery()
(dead | held).write({{"state": "error", "next_attempt_at": False}})
dead.action_dead_letter()
env["bwt.webhook.outbound.delivery"].create(
    {{"endpoint_id": shop.id, "payload_json": '{{"n": 99}}'}}
)
ordered = env["bwt.webhook.outbound.endpoint"].search([("code", "=", "ordered")])
ordered.queue_deliveries([
    {{"payload": {{"n": n}}, "ordering_key": "a"}} for n in range(3)
])
env.cr.commit()
"""
STATES = {
    **{"done": 3, "error": 2, "dead_letter": 2, "canceled": 1, "draft": 1},
    **{"queued": 4, "processing": 1},
}
CHANGED = {"write_date", "write_uid"}  # by the update itself


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The folder for `addons_path` that holds the addon of the first release."""
    done = subprocess.run(
        ["git", "archive", RELEASE], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert not done.returncode, (
        f"The upgrade is tested from commit {RELEASE}, which this clone lacks: "
        f"{done.stderr.decode().strip()}\nFetch the whole history with "
        '"git fetch --unshallow", then run the tests again.'
    )
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder / ADDON, filter="data")
    return folder


def rows_of(shop, table):
    """id -> row, as texts: the same for a column whose type was widened."""
    rows = shop.rows(f"SELECT * FROM {table}")
    return {row["id"]: {key: str(value) for key, value in row.items()} for row in rows}


def tables_of(shop):
    found = shop.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' "
        "AND relname LIKE 'bwt\\_webhook%' ORDER BY relname"
    )
    return [row["relname"] for row in found]


def schema_of(shop):
    """Columns, indexes and constraints of our tables."""
    columns = shop.rows(
        "SELECT table_name, column_name, udt_name, is_nullable "
        "FROM information_schema.columns WHERE table_name LIKE 'bwt\\_webhook%'"
    )
    indexes = shop.rows(
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "AND (tablename LIKE 'bwt\\_webhook%' OR indexname LIKE 'bwt\\_webhook%')"
    )
    constraints = shop.rows(
        "SELECT c.conname, c.conrelid::regclass::text AS of, "
        "pg_get_constraintdef(c.oid) AS does FROM pg_constraint c "
        "JOIN pg_class r ON r.oid = c.conrelid WHERE r.relname LIKE 'bwt\\_webhook%'"
    )
    return {
        kind: {tuple(row.values()) for row in rows}
        for kind, rows in (
            ("columns", columns),
            ("indexes", indexes),
            ("constraints", constraints),
        )
    }


def test_from_the_first_release(cluster, origin, receiver, release):
    """Nothing is lost or altered, and what was in flight or waited is sent.

    The server was killed while it sent; the update finds deliveries in every state.
    """
    databases = Databases(cluster)
    old = f"--addons-path={release}"
    name = database_name("release")
    databases.fresh(name, install=())
    databases.install(name, ADDON, arguments=[old])
    responses = [status(200), status(200), status(200), status(400), status(503)]
    receiver.script("/shop", *responses, hold())

    try:
        _fill(databases, name, old, receiver, cluster, release)
        with stage(cluster, "upgraded", origin=name) as shop:
            before = {table: rows_of(shop, table) for table in tables_of(shop)}
            assert STATES == shop.states()

            log = databases.update(shop.database, ADDON)

            _compare(shop, before)
            _no_complaints(log)
            with stage(cluster, "new", origin=origin) as fresh:
                upgraded, installed = schema_of(shop), schema_of(fresh)
            for kind in installed:
                assert installed[kind]
                assert installed[kind] == upgraded[kind], kind
            _send_the_rest(shop, receiver, cluster)
    finally:
        databases.drop(name)


def _fill(databases, name, old, receiver, cluster, release):
    """Deliveries in every state; the server is killed with one in flight."""

    def shell(script, **values):
        arguments = ["--no-http", "--log-level=warn", old]
        databases.run(name, "shell", *arguments, script=script.format(**values))

    shell(FILL, url=receiver.url, sent=6)
    server = OdooServer(
        cluster, name, options={"addons_path": str(release)}, channels="root:2"
    )
    try:
        server.start()
        wait_for_runner(server)
        receiver.wait_for_requests(6, 60)
        wait_until(
            lambda: cluster.rows(
                name,
                "SELECT 1 AS x FROM bwt_webhook_outbound_delivery "
                "WHERE state = 'done' HAVING count(*) = 3",
            ),
            60,
        )
    finally:
        server.kill()
        server.discard()
    receiver.release()
    shell(LATER)


def _compare(shop, before):
    """Every row and value is there; what is new has a value where one is needed."""
    for table, rows in before.items():
        after = rows_of(shop, table)
        assert rows.keys() <= after.keys(), table
        for row_id, row in rows.items():
            kept = {key: after[row_id].get(key) for key in row if key not in CHANGED}
            assert {key: row[key] for key in kept} == kept, (table, row_id)


def _no_complaints(log):
    lines = [line for line in log.splitlines() if " ERROR " in line]
    lines += [
        line for line in log.splitlines() if " WARNING " in line and ADDON in line
    ]
    assert not lines


def _send_the_rest(shop, receiver, cluster):
    """What was in flight, queued or in error is sent; what had ended is left alone."""
    receiver.script("/shop", status(200))
    receiver.script("/ordered", status(200))
    ended = {
        row["message_uid"]
        for row in shop.deliveries("shop")
        if row["state"] in ("done", "canceled", "dead_letter")
    }
    shop.execute(
        "UPDATE bwt_webhook_outbound_delivery SET next_attempt_at = now() "
        "AT TIME ZONE 'UTC' WHERE state = 'error' AND next_attempt_at IS NOT NULL"
    )
    seen = receiver.total
    with serving(cluster, shop.database):
        shop.wait_for_states("ordered", 60, done=3)
        wait_until(lambda: shop.states("shop").get("done") == 5, 60)
    states = shop.states("shop")
    assert {"done": 5, "queued": 1, "error": 1} == {
        key: states[key] for key in ("done", "queued", "error")
    }
    sent = {each.webhook_id for each in receiver.requests[seen:]}
    assert not sent & ended
    order = [each.json()["n"] for each in receiver.requests_to("/ordered")]
    assert [0, 1, 2] == order
