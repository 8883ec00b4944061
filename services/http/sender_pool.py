# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A pool of threads that send requests: two while responses are fast, else many.

Threads that each wait a tenth of a millisecond for a response spend more time on
passing Python's GIL around than on requests.
"""

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

from ..errors import Message, _lt
from ..shortage import Shortage
from .response import HttpResponse

_logger = logging.getLogger(__name__)

FEW = 2  # threads that keep up with a target that responds at once
FAST = 0.001  # seconds; if all responses take longer, more threads are of use
SOON = 0.002  # seconds without any response until more threads are started


class SenderPool:
    """Sends requests on up to `size` threads, as many at once.

    make_sender: called here, once per thread, returns a `Sender`
    outstanding: how many requests have no collected response yet, waiting ones included
    One thread (the lane) uses the pool. Each call passes everything available, because
    a wake-up per request would cost more than the request.
    """

    def __init__(self, make_sender, size):
        self._make_sender = make_sender
        self._size = max(1, size)
        self._todo = SimpleQueue()
        self._done = deque()
        self._enough = threading.Event()
        self._wanted = 1
        self._threads = []
        self.outstanding = 0  # requests neither collected nor taken back
        self.shortage = None  # why a thread could not be started

    def __enter__(self):
        return self

    def __exit__(self, kind, *_error):
        # After an error nobody collects what is in flight.
        self.close(None if kind is None else 0)

    @property
    def waiting(self):
        """How many requests no thread has started yet."""
        return self._todo.qsize()

    def put(self, batch):
        """Add requests: an iterable of (key, encoded request, timeout in seconds)."""
        batch = list(batch)
        self.outstanding += len(batch)
        for each in batch:
            self._todo.put(each)
        self._start_threads(FEW if len(self._threads) <= FEW else self._size)

    def _start_threads(self, limit):
        while len(self._threads) < min(limit, self._size, self.outstanding):
            try:
                self._start_thread()
            except Exception as error:
                self.shortage = Shortage.of(error)
                if self.shortage is None:
                    raise
                _logger.warning("only %s sender threads: %s", len(self._threads), error)
                break

    @property
    def is_stuck(self):
        """Whether requests wait, and no thread could be started for them."""
        return bool(self.shortage and not self._threads and self._todo.qsize())

    def collect(self, at_least=1, timeout=0.5):
        """All available responses: `[(key, HttpResponse), ...]`.

        Waits for `at_least` of them, but not for more than are outstanding, and at
        most `timeout` seconds.
        """
        wanted = min(at_least, self.outstanding)
        if len(self._done) < wanted:
            self._enough.clear()
            self._wanted = wanted  # before the check: a later response sets the event
            if len(self._done) < wanted:
                self._wait(timeout)
        found = [self._done.popleft() for _ in range(len(self._done))]
        self.outstanding -= len(found)
        if self.waiting and all(each.duration > FAST for _key, each in found):
            self._start_threads(self._size)
        return found

    def _wait(self, timeout):
        """Wait for enough responses; if none arrives soon, start more threads."""
        before = len(self._done)
        if self._enough.wait(min(SOON, timeout)):
            return
        if self.waiting and len(self._done) == before:
            self._start_threads(self._size)
        self._enough.wait(max(timeout - SOON, 0))

    def take_back(self):
        """Remove the requests that no thread has started; returns their keys."""
        keys = []
        with suppress(Empty):
            while True:
                keys.append(self._todo.get_nowait()[0])
        self.outstanding -= len(keys)
        return keys

    def close(self, timeout=None):
        """End the threads after the requests in flight; `collect` still works.

        timeout: seconds to wait for each of them (None: as long as they take)
        """
        self.take_back()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join(timeout)
        self._threads = []

    def _start_thread(self):
        thread = threading.Thread(
            target=self._run,
            args=(self._make_sender(),),
            name=f"webhook sender {len(self._threads) + 1}",
            daemon=True,
        )
        thread.start()
        self._threads.append(thread)

    def _run(self, sender):
        todo, done = self._todo, self._done
        while True:
            each = todo.get()
            if each is None:
                break
            key, encoded, timeout = each
            try:
                response = sender.send(encoded, timeout=timeout)
            except Exception as error:  # a bug in the sender must not stop the lane
                _logger.exception("a sender failed")
                response = HttpResponse(
                    reason="interrupted" if Shortage.of(error) else "response",
                    error=_fault(error),
                    started_at=time.time(),
                )
            done.append((key, response))
            if len(done) >= self._wanted:
                self._enough.set()
        sender.close()


def _fault(error):
    values = {"error": f"{type(error).__name__}: {error}"}
    return Message(
        _lt("the sender failed: %(error)s. See the log of this Odoo server."), values
    )
