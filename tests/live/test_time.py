# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How long a lane continues: within the worker's limits, and fair to others."""

import pytest
from stage import describe, serving, stage, tally

from receiver import delay


@pytest.fixture(scope="module")
def shop(cluster, origin):
    with stage(cluster, "time", origin=origin) as made:
        yield made


@pytest.fixture(scope="module")
def server(shop):
    # One lane at a time. A lane keeps 15 s of the limit in reserve.
    limits = {"limit_time_real": 22}
    with serving(
        shop.cluster, shop.database, workers=2, channels="root:1", options=limits
    ) as started:
        yield started


def test_lane_ends_before_the_worker_is_killed(shop, server, receiver, code):
    """Work for longer than `limit_time_real` is done by one lane after the other.

    Else the master kills the worker in the middle: duplicates, each time.
    """
    receiver.script("/", delay(0.1))
    shop.endpoint(code, receiver.url, timeout_seconds=1, max_in_flight=2)

    uids = shop.queue(code, 180)

    shop.wait_for_states(code, 60, done=180)
    shop.wait_for_idle(code)  # the last lane stores its result after that
    seen = tally(receiver, uids, shop.attempts(code), shop.states(code))
    lanes = [job for job in shop.jobs(code) if "recorded" in (job["result"] or "")]
    print(f"{len(lanes)} lanes for 9 s of work: {describe(seen)}")
    assert len(lanes) >= 2
    assert (180, 0) == (seen["arrived"], seen["interrupted"])
    assert " timeout after " not in server.log()


def test_other_endpoint_is_not_delayed(shop, server, receiver, code):
    """With one place in the channel a busy endpoint makes room in some 5 seconds."""
    receiver.script("/busy", delay(0.1))
    policy = {"timeout_seconds": 1, "max_in_flight": 1}
    shop.endpoint(f"{code}-busy", receiver.url, "/busy", **policy)
    shop.endpoint(code, receiver.url, "/other", **policy)
    shop.queue(f"{code}-busy", 90)
    receiver.wait_for_requests(1)

    shop.queue(code)

    [other] = receiver.wait_for_requests(1, 30, path="/other")
    shop.wait_for_end(f"{code}-busy", 60)
    busy = receiver.requests_to("/busy")
    before = sum(request.time < other.time for request in busy)
    print(f"other endpoint: after {before} of 90 requests")
    assert 90 == len(busy)
    assert before < 90
