# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an endpoint's policy promises, kept by real lanes."""

from collections import defaultdict

import pytest
from stage import DELIVERY, HEALTH, wait_until

from receiver import delay, flaky, hold, status

pytestmark = pytest.mark.usefixtures("house_server")


def test_order_by_key_through_failures(house, receiver, code):
    """A delivery that fails holds back those behind it in its key, and no other.

    Else a stale status overtakes a newer one at the receiver, by a retry.
    """
    receiver.script("/", _fails_first_time(lambda n: n % 10 == 3))
    house.endpoint(code, receiver.url, ordering="key", max_in_flight=8)

    for key in ("a", "b", "c", "d"):
        house.queue(code, 10, ordering_key=key, headers={"x-key": key})

    house.wait_for_states(code, done=40)
    arrived = defaultdict(list)
    for request in receiver.requests:
        arrived[request.header("x-key")].append(request.json()["n"])
    once_again = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
    assert dict.fromkeys("abcd", once_again) == dict(arrived)


def test_order_of_an_endpoint(house, receiver, code):
    """With order per endpoint one goes after the other, whatever the lane could do."""
    receiver.script("/", _fails_first_time(lambda n: n == 5))
    house.endpoint(code, receiver.url, ordering="endpoint", max_in_flight=8)

    house.queue(code, 12)

    house.wait_for_states(code, done=12)
    numbers = [request.json()["n"] for request in receiver.requests]
    assert sorted([*range(12), 5]) == numbers


def _fails_first_time(chosen):
    """503 to the first try of the chosen numbers, 200 to all else."""
    failing, well = flaky(1), status(200)

    def response(exchange):
        is_chosen = chosen(exchange.request.json()["n"])
        (failing if is_chosen else well)(exchange)

    return response


def test_circuit_opens_and_a_probe_closes_it(house, receiver, code):
    """A target that fails is left in peace; one probe finds out when it is well.

    Deliveries keep their places and lose no retry while the circuit is open.
    """
    receiver.script("/", delay(0.2, status(503)))
    policy = {"circuit_threshold": 3, "max_in_flight": 1, "retry_schedule": "1s,1s,1s"}
    house.endpoint(code, receiver.url, **policy)
    house.queue(code, 20)

    failed = _wait_for_rest(house, receiver, code)
    assert failed <= 3 + IN_FLIGHT
    assert {"queued": 20 - failed, "error": failed} == house.states(code)
    assert failed == sum(each["retry_number"] for each in house.deliveries(code))

    receiver.script("/", hold(), status(200))
    _make_probe_due(house, code)
    receiver.wait_for_requests(failed + 1)
    assert "half_open" == house.health(code)["circuit_state"]
    assert failed + 1 == receiver.total
    receiver.release()

    house.wait_for_states(code, done=20)
    assert "closed" == house.health(code)["circuit_state"]
    assert 20 == len(receiver.requests[failed:])


def test_failed_probe_keeps_the_circuit_open(house, receiver, code):
    """A probe that fails costs one request and doubles the cooldown."""
    receiver.script("/", delay(0.2, status(503)))
    house.endpoint(code, receiver.url, circuit_threshold=2, max_in_flight=1)
    house.queue(code, 10)
    failed = _wait_for_rest(house, receiver, code)

    _make_probe_due(house, code)

    receiver.wait_for_requests(failed + 1)
    wait_until(
        lambda: house.health(code)["cooldown_seconds"] == 120,
        what="doubled cool-down",
        instead=lambda: house.health(code),
    )
    assert failed + 1 == _wait_for_rest(house, receiver, code)


IN_FLIGHT = 2  # one on the way and one picked up while the third was recorded


def _wait_for_rest(house, receiver, code):
    """Wait until the circuit is open and the lane ended; returns requests so far."""
    wait_until(
        lambda: house.health(code)["circuit_state"] == "open",
        what="open circuit",
        instead=lambda: house.health(code),
    )
    wait_until(lambda: not house.running(code), what="end of the lane")
    return receiver.total


def _make_probe_due(house, code):
    """Let the cool-down be over, and the wake-up that was left for its end."""
    [wake_up] = wait_until(
        lambda: [
            job
            for job in house.jobs(code)
            if job["state"] == "pending" and ":lane:" in job["identity_key"]
        ],
        what="wake-up at the end of the cool-down",
    )
    endpoint_id = house.health(code)["endpoint_id"]
    house.execute(
        f"UPDATE {HEALTH} SET next_probe_at = now() AT TIME ZONE 'UTC' "
        f"WHERE endpoint_id = {endpoint_id}; "
        f"UPDATE {DELIVERY} SET next_attempt_at = least(next_attempt_at, now() "
        f"AT TIME ZONE 'UTC') WHERE endpoint_id = {endpoint_id} "
        "AND next_attempt_at IS NOT NULL; "
        "UPDATE queue_job SET eta = now() AT TIME ZONE 'UTC' "
        f"WHERE uuid = '{wake_up['uuid']}'"
    )


def test_paused_endpoint_sends_nothing_and_resumes(house, receiver, code):
    """Paused by a user: takes deliveries, sends none, continues when resumed."""
    house.endpoint(code, receiver.url)
    house.press(code, "action_pause")

    house.queue(code, 5)
    house.wait_for_idle(code)
    assert (0, {"queued": 5}) == (receiver.total, house.states(code))

    house.press(code, "action_resume")
    house.wait_for_states(code, done=5)


def test_paused_in_the_middle(house, receiver, code):
    """A pause reaches a lane at work: it stops, returns, and loses nothing."""
    receiver.script("/", delay(0.05))
    house.endpoint(code, receiver.url, max_in_flight=2)
    house.queue(code, 200)
    receiver.wait_for_requests(20)

    house.press(code, "action_pause")
    house.wait_for_idle(code)
    sent = receiver.total
    assert {"done": sent, "queued": 200 - sent} == house.states(code)
    assert sent < 150

    receiver.script("/", status(200))
    house.press(code, "action_resume")
    house.wait_for_states(code, done=200)
    assert {1} == set(receiver.counts().values())


def test_rate_limit_within_a_lane(house, receiver, code):
    """Never more than the limit, plus the bucket's fill at the start, has arrived."""
    house.endpoint(code, receiver.url, rate_limit=10, rate_period="second")

    house.queue(code, 30)

    house.wait_for_states(code, done=30)
    _assert_rate(receiver, limit=10, per_second=10)


def test_rate_limit_across_lanes(house, receiver, code):
    """A lane that would wait over a second ends; its wake-up comes with the token."""
    house.endpoint(code, receiver.url, rate_limit=30, rate_period="minute")

    house.queue(code, 32)

    house.wait_for_states(code, done=32)
    _assert_rate(receiver, limit=30, per_second=0.5)
    ran = [job for job in house.jobs(code) if job["date_started"]]
    assert 2 <= len(ran) <= 4


def _assert_rate(receiver, limit, per_second):
    times = [request.time for request in receiver.requests]
    for position, moment in enumerate(times):
        allowed = limit + (moment - times[0] + 0.2) * per_second
        assert position + 1 <= allowed + 1


def test_superseded_is_sent_once(house, receiver, code):
    """A stock level queued twenty times is sent once, with the last value."""
    house.endpoint(code, receiver.url)
    house.press(code, "action_pause")
    house.queue(code, 20, ordering_key="product,7", supersede=True)

    house.press(code, "action_resume")

    house.wait_for_states(code, canceled=19, done=1)
    assert [{"n": 19}] == [request.json() for request in receiver.requests]
    last = house.deliveries(code)[-1]
    assert {f"Superseded by {last['name']}."} == {
        delivery["processing_note"]
        for delivery in house.deliveries(code)
        if delivery["state"] == "canceled"
    }
