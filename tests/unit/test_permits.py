# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may start a request, and when a waiting thread makes room."""

import threading

from services.http.sender_pool import GRACE_PERIOD, Permits


def take_in_thread(permit):
    """An event that is set once `permit` has been taken, on a thread of its own."""
    taken = threading.Event()
    threading.Thread(target=lambda: (permit.take(), taken.set()), daemon=True).start()
    return taken


def test_a_permit_is_kept_between_fast_responses():
    """Handing it around costs more than a request."""
    permits = Permits(1)
    first, second = permits.of_thread(), permits.of_thread()
    first.take()
    taken = take_in_thread(second)

    for _ in range(100):
        assert b"x" == first.wait(lambda seconds: b"x")
        first.take()

    assert not taken.is_set()
    first.release()
    assert taken.wait(5)


def test_a_slow_response_releases_the_permit():
    """The thread continues waiting without its permit."""
    permits = Permits(1)
    first, second = permits.of_thread(), permits.of_thread()
    first.take()
    taken = take_in_thread(second)

    assert first.wait(lambda seconds: None) is None

    assert taken.wait(5)


def test_after_a_slow_response_there_is_no_grace_period_for_a_while():
    """Else a slow target would get no more than one request per millisecond."""
    permit = Permits().of_thread()
    waits = []

    def slow(seconds):
        waits.append(seconds)

    for _ in range(100):
        permit.take()
        permit.wait(slow)

    assert {GRACE_PERIOD} == set(waits)
    assert len(waits) < 50


def test_releasing_twice_returns_one_permit():
    """Otherwise permits would multiply and mean nothing."""
    permits = Permits(1)
    first, second, third = (permits.of_thread() for _ in range(3))
    first.take()
    first.release()
    first.release()
    second.take()
    taken = take_in_thread(third)

    assert not taken.wait(0.05)
    second.release()
    assert taken.wait(5)
