# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From a committed queue to the receiver, on a real server with a real job runner."""

import pytest
from stage import ATTEMPT, DELIVERY, wait_until

from receiver import hold, status

pytestmark = pytest.mark.usefixtures("house_server")


def test_delivered(house, receiver, code):
    """What was queued and committed arrives once and is done; its trace says how.

    Keeps away an addon that works in tests and not under queue_job's runner.
    """
    house.endpoint(code, receiver.url, "/orders")

    [uid] = house.queue(code)

    [request] = receiver.wait_for_requests(1)
    house.wait_for_states(code, done=1)
    assert (uid, {"n": 0}) == (request.header("webhook-id"), request.json())
    [attempt] = house.attempts(code)
    assert ("done", 200, 1) == (
        attempt["state"],
        attempt["response_status_code"],
        attempt["attempt_number"],
    )


def test_retried_after_503(house, receiver, code):
    """A 503 is tried again after the first delay, under the same message id.

    Keeps away a retry that waits for the sweep, or that the receiver can't recognize.
    """
    receiver.script("/", status(503), status(200))
    house.endpoint(code, receiver.url, retry_schedule="1s,1m")

    [uid] = house.queue(code)

    house.wait_for_states(code, done=1)
    first, second = receiver.requests
    assert [uid, uid] == [first.webhook_id, second.webhook_id]
    assert 0.9 < second.time - first.time < 10
    assert ["error", "done"] == house.attempt_states(code)


def test_rolled_back_is_never_sent(house, receiver, code):
    """A transaction that is rolled back leaves neither delivery nor request.

    Prevents sending before the caller's commit: an order that never existed.
    """
    house.endpoint(code, receiver.url)

    with house.caller.transaction() as transaction:
        transaction.run("endpoint(code).queue_delivery({'n': 1})", code=code)
        transaction.rollback()
    house.queue(code, first=2)

    house.wait_for_end(code)
    house.wait_for_idle(code)
    assert [{"n": 2}] == [request.json() for request in receiver.requests]
    assert 1 == len(house.deliveries(code))


def test_late_commit_is_sent(house, receiver, code):
    """Queued early, committed after the lane it saw has ended: delivered in seconds.

    With a wake-up shared between transactions this delivery would wait for the sweep,
    up to a minute.
    """
    house.endpoint(code, receiver.url)
    with house.caller.transaction() as late:
        [pending] = house.queue(code)
        late.run("endpoint(code).queue_delivery({'n': 'late'})", code=code)
        receiver.wait_for_requests(1)
        house.wait_for_idle(code)

        known = {job["uuid"] for job in house.jobs(code)}
        late.commit()

    _other, request = receiver.wait_for_requests(2)
    assert pending != request.webhook_id
    house.wait_for_states(code, done=2)
    house.wait_for_idle(code)
    new = [job for job in house.jobs(code) if job["uuid"] not in known]
    [sender] = [job for job in new if (job["result"] or "").startswith("1 recorded")]
    assert new[0] == sender, "the wake-up of the late transaction"


def test_nothing_is_locked_while_a_request_is_in_flight(house, receiver, code):
    """While the receiver keeps a request: trace committed, no lock, no snapshot.

    A row lock would block the operator and the caller for as long as a stranger's
    server likes; a snapshot would keep vacuum from cleaning the whole database.
    """
    receiver.script("/", hold())
    house.endpoint(code, receiver.url, timeout_seconds=30)
    house.queue(code)
    receiver.wait_for_requests(1)

    assert ["processing"] == house.attempt_states(code)
    delivery = house.delivery(code)
    house.execute(
        f"SELECT id FROM {DELIVERY} WHERE id = {delivery['id']} FOR UPDATE NOWAIT"
    )
    slot, polls = _watch_connections(house, delivery["endpoint_id"])
    receiver.release()
    house.wait_for_states(code, done=1)

    # What every check shows is held; a single check may see a statement of 1 ms.
    held = set.intersection(*(poll["locks"] for poll in polls))
    snapshots = set.intersection(*(poll["snapshots"] for poll in polls))
    assert not held
    assert slot not in snapshots
    # What remains is the job's own connection, which queue_job keeps open.
    assert snapshots <= set.intersection(*(poll["jobs"] for poll in polls))


def _watch_connections(house, endpoint_id):
    """The slot's backend, and what was seen of all backends in twenty checks."""
    slots = house.rows(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 "
        f"AND granted AND objid = {endpoint_id} AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    [slot] = [row["pid"] for row in slots]
    polls = []

    def poll():
        [seen] = house.rows(
            "SELECT "
            "(SELECT coalesce(json_agg(pid), '[]') FROM pg_stat_activity "
            " WHERE datname = current_database() AND backend_xmin IS NOT NULL "
            " AND pid != pg_backend_pid()) AS snapshots, "
            "(SELECT coalesce(json_agg(pid), '[]') FROM pg_locks "
            f" WHERE relation IN ('{DELIVERY}'::regclass, '{ATTEMPT}'::regclass)"
            ") AS locks, "
            "(SELECT coalesce(json_agg(pid), '[]') FROM pg_locks "
            " WHERE relation = 'queue_job_lock'::regclass) AS jobs"
        )
        polls.append({name: set(pids) for name, pids in seen.items()})
        return len(polls) == 20

    wait_until(poll)
    return slot, polls
