# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Jobs that users, or queue_job itself, end under a lane."""

import contextlib
import threading

import pytest
from stage import wait_until

from receiver import hold, status
from tools.console import Trouble

pytestmark = pytest.mark.usefixtures("house_server")


def test_job_cancelled_while_it_runs(house, receiver, code):
    """Cancelled by hand: what is in flight is recorded, the rest continues.

    The lane doesn't check its job's row; nothing may lie in `processing` after.
    """
    receiver.script("/", hold(), status(200))
    house.endpoint(code, receiver.url, max_in_flight=1)
    uids = house.queue(code, 3)
    receiver.wait_for_requests(1)

    [job] = house.running(code)
    house.caller.run(
        "env['queue.job'].search([('uuid', '=', uuid)]).button_cancelled()", uuid=job
    )
    receiver.release()

    house.wait_for_states(code, done=3)
    assert dict.fromkeys(uids, 1) == receiver.counts()
    _assert_moves_again(house, receiver, code)


def test_job_deleted_while_it_runs(house, receiver, code):
    """Deleted by hand in the middle: delivered all the same, and the next one too."""
    receiver.script("/", hold(), status(200))
    house.endpoint(code, receiver.url, max_in_flight=1)
    uids = house.queue(code, 3)
    receiver.wait_for_requests(1)

    [job] = house.running(code)
    deletion = threading.Thread(target=_delete, args=[house, job])
    deletion.start()
    wait_until(lambda: _waits_or_is_gone(house, job))
    receiver.release()
    deletion.join(30)

    assert not deletion.is_alive()
    house.wait_for_states(code, done=3)
    assert dict.fromkeys(uids, 1) == receiver.counts()
    _assert_moves_again(house, receiver, code)


def test_lane_and_watchdog_deleted_together(house, receiver, code):
    """Both jobs deleted in one transaction: the endpoint moves again within seconds.

    The deletion waits for the lane's end, and the lane waited for the deletion: both
    waited until the worker was killed, and queue_job's runner with them.
    """
    receiver.script("/", hold(), status(200))
    house.endpoint(code, receiver.url, max_in_flight=1)
    house.queue(code, 3)
    receiver.wait_for_requests(1)

    jobs = [job["uuid"] for job in house.jobs(code) if job["state"] != "done"]
    deletion = threading.Thread(target=_delete, args=[house, *jobs])
    deletion.start()
    wait_until(lambda: _waits_for_lock(house))
    more = house.queue(code, 2, first=3)
    receiver.release()

    house.wait_for_states(code, timeout=10, done=5)
    deletion.join(30)
    assert 2 == len(jobs)
    assert not deletion.is_alive()
    assert set(more) <= receiver.counts().keys()
    _assert_moves_again(house, receiver, code)


def _delete(house, *jobs):
    """Waits for the lock that queue_job holds; PostgreSQL may refuse it as deadlock."""
    with contextlib.suppress(Trouble):
        uuids = ", ".join(f"'{job}'" for job in jobs)
        house.execute(f"DELETE FROM queue_job WHERE uuid IN ({uuids})")


def _waits_or_is_gone(house, job):
    return _waits_for_lock(house) or not house.rows(
        f"SELECT 1 FROM queue_job WHERE uuid = '{job}'"
    )


def test_row_locked_by_someone_else(house, receiver, code):
    """A lock on a delivery in flight delays its record and costs no second request.

    The record is repeated or waits; the request never is.
    """
    receiver.script("/", hold(), status(200))
    house.endpoint(code, receiver.url, max_in_flight=2)
    house.queue(code)
    receiver.wait_for_requests(1)
    [locked] = house.deliveries(code)

    with house.caller.transaction() as someone:
        lock = "SELECT 1 FROM bwt_webhook_outbound_delivery WHERE id = %s FOR UPDATE"
        someone.run("env.cr.execute(lock, [id])", lock=lock, id=locked["id"])
        receiver.release()
        wait_until(lambda: _waits_for_lock(house))
        someone.rollback()

    house.wait_for_states(code, done=1)
    assert ["done"] == house.attempt_states(code)
    assert 1 == receiver.total
    _assert_moves_again(house, receiver, code)


def _waits_for_lock(house):
    return house.rows(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )


def test_wake_up_lost(house, receiver, code):
    """A wake-up that someone deleted: the scheduled sweep finds the endpoint.

    Else deliveries of an endpoint that nobody queues to again would lie for ever.
    """
    house.endpoint(code, receiver.url)
    with house.caller.transaction() as transaction:
        transaction.run("endpoint(code).queue_delivery({'n': 1})", code=code)
        transaction.run(
            'env.cr.execute("DELETE FROM queue_job WHERE identity_key LIKE '
            "'bwt_webhook_outbound:lane:' || %s || ':%%'\", [endpoint(code).id])"
        )
        transaction.commit()
    assert not house.jobs(code)

    house.caller.run("env['bwt.webhook.outbound.endpoint']._cron_wake_endpoints()")

    house.wait_for_states(code, done=1)
    assert 1 == receiver.total


def _assert_moves_again(house, receiver, code):
    arrived = receiver.total
    house.queue(code)
    receiver.wait_for_requests(arrived + 1)
    house.wait_for_idle(code)
    assert "processing" not in house.states(code)
