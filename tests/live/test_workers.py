# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Worker processes, as in production: killed, requested to stop, under a burst."""

import os
import signal

import pytest
from stage import (
    RUNNER_READY,
    connected_to,
    describe,
    serving,
    stage,
    tally,
    wait_for_runner,
    wait_until,
)

from receiver import delay, hold, status


@pytest.fixture(scope="module")
def shop(cluster, origin):
    with stage(cluster, "workers", origin=origin) as made:
        yield made


@pytest.fixture(scope="module")
def server(shop):
    # Capacity below the number of workers: an enqueued job finds a worker.
    with serving(shop.cluster, shop.database, workers=3, channels="root:2") as started:
        yield started


def test_burst_of_single_transactions(shop, server, receiver, code):
    """500 transactions, each with its own wake-up, do not become 500 lanes.

    A lane supersedes the wake-ups it sees; else the runner, at 75 jobs a second,
    is busy with empty jobs long after the last delivery.
    """
    receiver.script("/", hold(), status(200))
    receiver.script("/busy", hold())
    # Two lanes that wait for a response: the channel has no room for a wake-up, however
    # fast this machine is.
    shop.endpoint(code, receiver.url, timeout_seconds=60)
    shop.endpoint(f"{code}-busy", receiver.url, "/busy", timeout_seconds=60)
    uids = shop.queue(code) + shop.queue(f"{code}-busy")
    receiver.wait_for_requests(2)

    uids += shop.caller.run(
        "shop, made = endpoint(code), env['bwt.webhook.outbound.delivery']\n"
        "for n in range(500):\n"
        "    made += shop.queue_delivery({'n': n}).sudo()\n"
        "    env.cr.commit()\n"
        "result = made.mapped('message_uid')",
        code=code,
    )
    receiver.release()

    shop.wait_for_states(code, done=501)
    shop.wait_for_idle(code)
    ran = [job for job in shop.jobs(code) if job["date_started"]]
    print(f"501 transactions: {len(ran)} jobs ran")
    assert dict.fromkeys(uids, 1) == receiver.counts()
    assert len(ran) < 10


def test_killed_worker(shop, server, receiver, code):
    """A request interrupted by a killed worker stays on record and is sent again.

    Otherwise the operator sees a delivery never tried that the receiver has, or it
    lies in `processing` for good.
    """
    receiver.script("/", hold(), hold())
    shop.endpoint(code, receiver.url, timeout_seconds=60)
    [uid] = shop.queue(code)
    receiver.wait_for_requests(1)

    [worker] = connected_to(server, receiver.port)
    os.kill(worker, signal.SIGKILL)

    receiver.wait_for_requests(2, timeout=40)
    assert ["interrupted", "processing"] == shop.attempt_states(code)
    receiver.release()
    shop.wait_for_states(code, done=1)
    assert [uid, uid] == [request.webhook_id for request in receiver.requests]
    assert ["interrupted", "done"] == shop.attempt_states(code)


def test_requested_to_stop(shop, server, receiver, code):
    """SIGTERM: the lane ends once the responses in flight are recorded; no duplicate.

    What was claimed and not sent goes back to its place; else each deployment sends
    requests twice, or waits until the master kills the worker.
    """
    receiver.script("/", delay(0.1))
    shop.endpoint(code, receiver.url, max_in_flight=8)
    uids = shop.queue(code, 400)
    receiver.wait_for_requests(50)
    ready_before = server.log().count(RUNNER_READY)

    server.process.terminate()
    wait_until(
        lambda: "processing" not in shop.states(code),
        what="idle lane",
        instead=lambda: shop.account(code),
    )
    server.process.wait(30)
    sent, states = receiver.total, shop.states(code)
    server.start()
    wait_for_runner(server, ready_before)

    assert sent < 400
    assert {"done": sent, "queued": 400 - sent} == states
    shop.wait_for_states(code, 60, done=400)
    seen = tally(receiver, uids, shop.attempts(code), shop.states(code))
    print(f"requested to stop: {describe(seen)}")
    assert (400, 400, 0) == (seen["arrived"], seen["distinct"], seen["interrupted"])
