# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The check of the job runner, pressed in real servers: what it finds is so."""

import xmlrpc.client

import pytest
from stage import serving, stage

from constants import ENDPOINT


def call(server, model, method, *arguments):
    """Call a method over XML-RPC, as the administrator."""
    proxy = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object", allow_none=True)
    return proxy.execute_kw(server.database, 2, "admin", model, method, arguments, {})


def pressed(server):
    """Kind and text of the notification that the button shows."""
    notification = call(server, ENDPOINT, "action_check_runner", [])["params"]
    return notification["type"], notification["message"]


@pytest.fixture
def shop(cluster, origin, request):
    with stage(cluster, request.node.name[-20:], origin=origin) as made:
        yield made


def test_a_runner_that_works(house_server):
    """The check's own request reaches this database: none of the causes is named.

    It is pressed over XML-RPC, which `server_wide_modules` without `rpc` switches off.
    """
    kind, message = pressed(house_server)

    assert ("success", True) == (kind, "The job runner works" in message), message
    assert house_server.url in message


def test_a_filter_that_keeps_the_runner_out(shop, receiver, code):
    """`dbfilter = ^%d$` lets users in by their host name, and no job can start.

    The log says "ready", and each call of the runner fails there: the form names it.
    """
    shop.endpoint(code, receiver.url)
    with serving(shop.cluster, shop.database, options={"dbfilter": "^%d$"}) as server:
        kind, message = pressed(server)
        # In one transaction: the runner fails where a job's date changes later.
        shop.caller.run(
            "endpoint(code).queue_delivery({'n': 1}); env.flush_all()\n"
            "for table, column in (('queue_job', 'date_created'),"
            " ('bwt_webhook_outbound_delivery', 'next_attempt_at')):\n"
            '    env.cr.execute(f"UPDATE {table} SET {column} = {column}'
            " - interval '2 minutes'\")",
            code=code,
        )
        port = server.url.rpartition(":")[2]
        trouble = shop.caller.run(
            "import os; os.environ.update(ODOO_QUEUE_JOB_HOST='127.0.0.1',"
            f" ODOO_QUEUE_JOB_PORT='{port}')\n"
            f"env['{ENDPOINT}']._cron_wake_endpoints()\n"
            "result = endpoint(code).queue_trouble",
            code=code,
        )

    assert "danger" == kind
    for text in (message, trouble):
        assert "dbfilter keeps the request from database" in text
        assert "host = 127.0.0.1" in text
    assert "dbfilter = ^%d$" in message
    assert {"queued": 1} == shop.states(code)


def test_the_only_worker_is_busy(shop):
    """With one worker the runner's request waits for the page that checks it."""
    with serving(shop.cluster, shop.database, workers=1) as server:
        kind, message = pressed(server)

    assert "danger" == kind
    assert "no HTTP worker was free, with workers = 1" in message


def test_a_port_of_another_server(shop, receiver):
    """`[queue_job] port` that leads elsewhere is named with what responds there."""
    port = receiver.url.rpartition(":")[2]
    environment = {"ODOO_QUEUE_JOB_HOST": "127.0.0.1", "ODOO_QUEUE_JOB_PORT": port}
    with serving(shop.cluster, shop.database, environment=environment) as server:
        _kind, message = pressed(server)

    assert f"calls {receiver.url}, and what responds there (HTTP 200)" in message
    [request] = receiver.requests
    assert "127.0.0.1" in request.header("host")
