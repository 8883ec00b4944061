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
            assert not remote_id(shop)

        wait_until(lambda: remote_id(shop) == "r-42", what="hook called again")

    assert 1 == receiver.total
    [attempt] = shop.attempts(WAREHOUSE)
    assert attempt["hook_try"] is None


def hook_waits(shop):
    return shop.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE '%shop_order%'"
    )


def worker_of(shop):
    [job] = [job for job in shop.jobs(WAREHOUSE) if job["state"] == "started"]
    return job["worker_pid"]


def remote_id(shop):
    [row] = shop.rows("SELECT remote_id FROM shop_order")
    return row["remote_id"]
