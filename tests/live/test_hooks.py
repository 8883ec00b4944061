# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Response hooks of other addons, on a real worker that is killed."""

import os
import signal

import pytest
from stage import database_name, serving, stage, wait_until

from receiver import status
from tools.databases import Databases
from tools.workspace import ADDON

WAREHOUSE = "warehouse"  # what tests/addons/bwt_test_guide has hooks for


@pytest.fixture(scope="module")
def shop(cluster):
    name = database_name("guide")
    try:
        Databases(cluster).fresh(name, install=(ADDON, "bwt_test_guide"))
        with stage(cluster, "hooks", origin=name) as made:
            yield made
    finally:
        Databases(cluster).drop(name)


def test_killed_in_the_hook(shop, receiver):
    """What the response said is stored, though the worker was killed while storing it.

    The delivery is done by then: nothing would send it again, and the receiver's id
    would be lost.
    """
    receiver.script("/", status(200, headers=[("X-Remote-Id", "r-42")]))
    shop.endpoint(WAREHOUSE, receiver.url)
    with serving(shop.cluster, shop.database, workers=3, channels="root:2"):
        order = shop.caller.run("result = env['shop.order'].create({'name': 'S1'}).id")
        with shop.caller.transaction() as busy:
            busy.run(
                "env.cr.execute('SELECT 1 FROM shop_order WHERE id = %s FOR UPDATE', "
                "[order])",
                order=order,
            )
            shop.caller.run(
                "endpoint(code).queue_delivery("
                "{}, record=env['shop.order'].browse(order))",
                code=WAREHOUSE,
                order=order,
            )
            wait_until(lambda: hook_waits(shop), what="hook that waits")
            os.kill(worker_of(shop), signal.SIGKILL)
            assert "done" == shop.delivery(WAREHOUSE)["state"]
            busy.rollback()
            assert not remote_id(shop, order)

        wait_until(lambda: remote_id(shop, order) == "r-42", what="hook called again")

    assert 1 == receiver.total
    [attempt] = shop.attempts(WAREHOUSE)
    assert attempt["hook_try"] is None


def test_killed_before_the_id_is_stored(shop, receiver):
    """A worker killed between recording and write-back: written once in the end.

    The next change of the order is sent to the id, although it is not on the order yet.
    """
    receiver.script("/orders", status(201, b'{"id": "R-77"}'))
    value = {"source_expression": "id", "target_model": "shop.order"}
    shop.endpoint(
        "upsert",
        receiver.url,
        "/orders",
        create_or_update=True,
        update_path="/orders/{external_id}",
        answer_value_ids=[
            [0, 0, {"source_expression": "id", "target_kind": "external_id"}],
            [0, 0, {**value, "target_field": "remote_id"}],
        ],
    )
    queue = "endpoint('upsert').queue_delivery({}, record=env['shop.order'].browse(id))"
    with serving(shop.cluster, shop.database, workers=3, channels="root:2"):
        order = shop.caller.run("result = env['shop.order'].create({'name': 'S2'}).id")
        with shop.caller.transaction() as busy:
            busy.run(
                "env.cr.execute('SELECT 1 FROM shop_order WHERE id = %s FOR UPDATE', "
                "[order])",
                order=order,
            )
            shop.caller.run(queue, id=order)
            wait_until(lambda: hook_waits(shop), what="write-back that waits")
            os.kill(worker_of(shop, "upsert"), signal.SIGKILL)
            shop.caller.run(queue, id=order)
            busy.rollback()

        assert {"done": 2} == shop.wait_for_end("upsert")
        wait_until(lambda: remote_id(shop, order) == "R-77", what="id on the order")
        shop.wait_for_idle("upsert")

    assert [("POST", "/orders"), ("PUT", "/orders/R-77")] == [
        (each.method, each.path) for each in receiver.requests
    ]
    marks = [
        (each["hook_try"], each["hook_values"]) for each in shop.attempts("upsert")
    ]
    assert [(None, None)] * 2 == marks


def hook_waits(shop):
    return shop.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE '%shop_order%'"
    )


def worker_of(shop, code=WAREHOUSE):
    [job] = [job for job in shop.jobs(code) if job["state"] == "started"]
    return job["worker_pid"]


def remote_id(shop, order):
    [row] = shop.rows(f"SELECT remote_id FROM shop_order WHERE id = {order}")
    return row["remote_id"]
