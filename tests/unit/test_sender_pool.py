# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Threads that send: nothing is lost, nobody waits too long."""

import threading
import time

import pytest
from sockets import LOOPBACK, OK, Server, within

from services.http import sender_pool
from services.http.client import Sender
from services.http.encoding import encode
from services.http.response import HttpResponse
from services.http.sender_pool import FEW, SenderPool


class Gate:
    """Substitute for a sender: responds once the gate is open."""

    def __init__(self):
        self.opened = threading.Event()
        self.started = threading.Semaphore(0)
        self.closed = 0

    def send(self, encoded, *, timeout):
        self.started.release()
        if encoded == "wait":
            self.opened.wait(5)
        if encoded == "fail":
            raise LookupError("oops")
        return HttpResponse(status_code=200, duration=timeout)

    def close(self):
        self.closed += 1


@pytest.fixture
def gate():
    return Gate()


def test_every_request_gets_its_response():
    """Over real connections, four at once, each key comes back once."""
    with Server() as server:
        encoded = encode({"method": "POST", "url": server.url, "json": {}})
        pool = SenderPool(lambda: Sender(LOOPBACK), 4)
        found = []
        for start in range(0, 400, 100):
            pool.put((key, encoded, 5.0) for key in range(start, start + 100))
        while len(found) < 400:
            found += pool.collect(50, 5)
        pool.close()

        assert list(range(400)) == sorted(key for key, _ in found)
        assert {200} == {response.status_code for _, response in found}
        assert server.connections <= 4


def test_hanging_requests_use_their_own_places_only():
    """With all threads but one stuck on a silent peer, other requests continue."""
    with Server(lambda conn: time.sleep(5)) as silent, Server() as server:
        stuck, quick = (
            encode({"method": "POST", "url": each.url, "json": {}})
            for each in (silent, server)
        )
        pool = SenderPool(lambda: Sender(LOOPBACK), 8)
        pool.put([(f"stuck {n}", stuck, 1.0) for n in range(7)])
        pool.put([(n, quick, 5.0) for n in range(200)])
        found = []
        while len(found) < 200:
            found += pool.collect(200 - len(found), 5)

        assert set(range(200)) == {key for key, _ in found}
        late = pool.collect(7, 5)
        assert {"timeout"} == {response.reason for _, response in late}
        pool.close()


class Counted:
    """Substitute for a sender whose responses take `seconds`; counts its instances."""

    seconds = 0.0
    made = 0

    def __init__(self):
        type(self).made += 1

    def send(self, encoded, *, timeout):
        if self.seconds:
            time.sleep(self.seconds)
        return HttpResponse(status_code=200, duration=self.seconds)

    def close(self):
        pass


@pytest.mark.parametrize("seconds, threads", [(0.0, FEW), (0.005, 8)])
def test_threads_are_as_many_as_are_of_use(seconds, threads, monkeypatch):
    """Two while responses are fast: sixteen would pass Python's GIL around.

    All of them once the fastest response takes longer than a millisecond.
    """
    # Only the durations decide: a busy machine may pause for longer than 2 ms.
    monkeypatch.setattr(sender_pool, "SOON", 5.0)
    sender = type("Sender", (Counted,), {"seconds": seconds, "made": 0})
    pool = SenderPool(sender, 8)
    pool.put((n, "", 5.0) for n in range(200))

    found = 0
    while found < 200:
        found += len(pool.collect(8, 5))

    pool.close()
    assert threads == sender.made


def test_slow_responses_are_waited_for_in_parallel():
    """The receiver responds to sixteen requests when it has all of them."""
    together = threading.Barrier(16)

    def talk(conn):
        while server.read_request(conn):
            together.wait(10)
            conn.sendall(OK)

    with Server(talk) as server:
        encoded = encode({"method": "POST", "url": server.url, "json": {}})
        pool = SenderPool(lambda: Sender(LOOPBACK), 16)
        pool.put((n, encoded, 15.0) for n in range(32))
        found = []
        while len(found) < 32:
            found += pool.collect(32 - len(found), 5)
        pool.close()

    assert {200} == {response.status_code for _, response in found}


def test_a_slow_response_uses_one_place(gate):
    """The others continue, and are collected while it is in flight."""
    pool = SenderPool(lambda: gate, 2)
    pool.put([("slow", "wait", 5.0)] + [(n, "go", 5.0) for n in range(20)])

    found = []
    while len(found) < 20:
        found += pool.collect(20 - len(found), 5)

    assert set(range(20)) == {key for key, _ in found}
    assert (0, 1) == (pool.waiting, pool.outstanding)
    gate.opened.set()
    assert ["slow"] == [key for key, _ in pool.collect(1, 5)]
    pool.close()


def test_a_response_is_outstanding_until_it_is_collected(gate):
    """No thread works on it any more, but the lane must not end without it."""
    pool = SenderPool(lambda: gate, 1)
    pool.put([(1, "go", 5.0)])
    pool.close()

    assert (0, 1) == (pool.waiting, pool.outstanding)
    assert 1 == len(pool.collect(1, 5))
    assert 0 == pool.outstanding


def test_collect_does_not_wait_for_what_cannot_come(gate):
    """With less under way than requested, it returns when that is there."""
    pool = SenderPool(lambda: gate, 2)

    assert [] == within(15, lambda: pool.collect(10, 600))
    pool.put([(1, "go", 5.0)])
    assert 1 == len(within(15, lambda: pool.collect(10, 600)))

    pool.close()


def test_collect_returns_after_its_timeout(gate):
    """The lane has other things to do while a target hangs."""
    pool = SenderPool(lambda: gate, 1)
    pool.put([(1, "wait", 5.0)])

    assert [] == pool.collect(1, 0.1)

    assert 1 == pool.outstanding
    gate.opened.set()
    pool.close()


def test_what_no_thread_has_picked_is_taken_back(gate):
    """A lane that stops takes it back; it won't be sent."""
    pool = SenderPool(lambda: gate, 2)
    pool.put((key, "wait", 5.0) for key in range(10))
    for _ in range(2):
        assert gate.started.acquire(timeout=5)

    assert (8, 10) == (pool.waiting, pool.outstanding)
    assert list(range(2, 10)) == pool.take_back()
    assert (0, 2) == (pool.waiting, pool.outstanding)
    gate.opened.set()
    assert {0, 1} == {key for key, _ in pool.collect(2, 5)}
    assert 0 == pool.outstanding
    pool.close()


def test_an_error_of_a_sender_is_a_response(gate):
    """The thread lives on, or the lane would wait for ever."""
    pool = SenderPool(lambda: gate, 1)
    pool.put([(1, "fail", 5.0), (2, "go", 5.0)])

    found = []
    while len(found) < 2:
        found += pool.collect(2, 5)
    pool.close()

    (_, failed), (_, fine) = found
    assert ("response", 200) == (failed.reason, fine.status_code)
    assert "oops" in str(failed.error)


def test_closing_ends_the_threads_and_closes_the_senders(gate):
    """Responses of what was in flight can still be collected."""
    pool = SenderPool(lambda: gate, 3)
    pool.put((key, "go", 5.0) for key in range(3))
    pool.close(5)

    assert {0, 1, 2} >= {key for key, _ in pool.collect(3, 0)}
    assert gate.closed
    assert not [t for t in threading.enumerate() if "webhook sender" in t.name]


def test_no_more_threads_than_requests(gate):
    """A single delivery doesn't start sixteen threads."""
    made = []
    pool = SenderPool(lambda: made.append(1) or gate, 16)
    pool.put([(1, "go", 5.0)])
    pool.collect(1, 5)

    assert 1 == len(made)
    pool.close()


def test_without_threads_nothing_is_sent(gate):
    """A pool that can't start a thread reports it; what was put can be taken back.

    The error ended the lane, with its deliveries in flight.
    """

    def no_thread():
        raise RuntimeError("can't start new thread")

    pool = SenderPool(no_thread, 4)
    pool.put([(1, "go", 5.0), (2, "go", 5.0)])

    assert pool.is_stuck
    assert "threads" in str(pool.shortage)
    assert [1, 2] == pool.take_back()
    assert not pool.is_stuck
    pool.close()


def test_fewer_threads_than_wanted(gate):
    """One thread is enough to continue with."""
    made = []

    def one_thread():
        if made:
            raise MemoryError
        made.append(1)
        return gate

    pool = SenderPool(one_thread, 4)
    pool.put([(n, "go", 5.0) for n in range(5)])
    found = []
    while len(found) < 5:
        found += pool.collect(5, 5)

    assert not pool.is_stuck
    assert list(range(5)) == sorted(key for key, _response in found)
    pool.close()
