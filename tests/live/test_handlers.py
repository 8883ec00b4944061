# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Handlers of other addons that break the lane's transaction, on a real server."""

import pytest
from stage import database_name, serving, stage

from tools.databases import Databases
from tools.workspace import ADDON


@pytest.fixture(scope="module")
def shop(cluster):
    name = database_name("handlers")
    try:
        Databases(cluster).fresh(name, install=(ADDON, "bwt_test_connector"))
        with stage(cluster, "handlers-run", origin=name) as made:
            yield made
    finally:
        Databases(cluster).drop(name)


def test_swallowed_database_error(shop, receiver, code):
    """Eight deliveries, one with a handler that swallows a database error: seven sent.

    That one waits in error with the real message. All eight waited, since each lane
    ended at the aborted transaction.
    """
    shop.endpoint(code, receiver.url)
    shop.caller.run(
        "endpoint(code).handler_id = env['bwt.webhook.handler'].create({"
        "'name': 'swallows', 'code': code, 'execution_mode': 'python',"
        "'python_model_name': 'shop.backend',"
        "'python_method_name': 'swallow_for_three'})",
        code=code,
    )
    with serving(shop.cluster, shop.database, workers=3, channels="root:2"):
        uids = shop.queue(code, 8)

        shop.wait_for_states(code, done=7, error=1)

        shop.wait_for_idle(code)
    assert dict.fromkeys(uids[:3] + uids[4:], 1) == receiver.counts()
    [bad] = [row for row in shop.deliveries(code) if row["state"] == "error"]
    assert uids[3] == bad["message_uid"]
    assert "division by zero" in bad["processing_error"]
    assert bad["next_attempt_at"] is None
