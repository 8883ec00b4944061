# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Few threads at work while answers come at once, all of them when answers take long.

Threads that each wait a tenth of a millisecond for an answer spend more time on
handing Python's lock around than on requests: sixteen are half as fast as two. So a
thread needs a turn to start a request, there are few turns, and a thread that has to
wait lets its turn go, so that a slow answer holds up nobody.
"""

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

from ..errors import _lt
from ..shortage import Shortage, shortage_of
from .response import Answer

TURNS = 2
PATIENCE = 0.001  # seconds that an answer may take while the turn is kept
_RETRY = 16  # after a slow answer: how many requests until patience is tried again


class Turns:
    """The turns that the threads of one pipe share."""

    def __init__(self, count=TURNS):
        self._free = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def of_thread(self):
        """A `Turn` for one thread."""
        return Turn(self._free)


class Turn:
    """One thread's turn: held or not."""

    def __init__(self, free):
        self._free = free
        self._is_held = False
        self._slow = 0

    def take(self):
        """Wait until this thread has a turn; at once when it still has one."""
        if not self._is_held:
            self._free.get()
            self._is_held = True

    def let_go(self):
        """Let another thread work; nothing happens without a turn."""
        if self._is_held:
            self._is_held = False
            self._free.put(None)

    def wait(self, receive_soon):
        """Wait for an answer with the turn, then let it go.

        receive_soon: `receive_soon(seconds)` gives what came, None if nothing did.
        Where the last answers were slow the turn goes at once.
        """
        if self._slow:
            self._slow -= 1
        else:
            data = receive_soon(PATIENCE)
            if data is not None:
                return data
            self._slow = _RETRY
        self.let_go()
        return None


_logger = logging.getLogger(__name__)


class Pipe:
    """Sends requests on up to `size` threads, as many at once.

    make_sender: called here, once per thread, gives a `Sender`
    One thread (the lane) uses the pipe; each call hands over all there is, because
    a wake-up per request would cost more than the request.
    """

    def __init__(self, make_sender, size):
        self._make_sender = make_sender
        self._size = max(1, size)
        self._todo = SimpleQueue()
        self._done = deque()
        self._enough = threading.Event()
        self._wanted = 1
        self._turns = Turns()
        self._threads = []
        self._outstanding = 0  # put and neither collected nor taken back
        self.shortage = None  # why a thread could not be started

    @property
    def waiting(self):
        """How many requests no thread has picked yet."""
        return self._todo.qsize()

    @property
    def in_flight(self):
        """How many requests are being sent."""
        done = len(self._done)  # first: what ends meanwhile still counts
        return max(0, self._outstanding - done - self._todo.qsize())

    def put(self, batch):
        """Hand over requests: an iterable of (key, wire, timeout in seconds)."""
        batch = list(batch)
        self._outstanding += len(batch)
        for each in batch:
            self._todo.put(each)
        while len(self._threads) < min(self._size, self._outstanding):
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
        """Whether requests wait and no thread could be started for them."""
        return bool(self.shortage and not self._threads and self._todo.qsize())

    def collect(self, at_least=1, timeout=0.5):
        """All answers that are there: `[(key, Answer), ...]`.

        Waits for `at_least` of them, but not for more than are on their way, and at
        most `timeout` seconds.
        """
        wanted = min(at_least, self._outstanding)
        if len(self._done) < wanted:
            self._enough.clear()
            self._wanted = wanted  # before the look: an answer after it sets the event
            if len(self._done) < wanted:
                self._enough.wait(timeout)
        found = [self._done.popleft() for _ in range(len(self._done))]
        self._outstanding -= len(found)
        return found

    def take_back(self):
        """Keys of the requests that no thread has picked; they won't be sent."""
        keys = []
        with suppress(Empty):
            while True:
                keys.append(self._todo.get_nowait()[0])
        self._outstanding -= len(keys)
        return keys

    def close(self, timeout=None):
        """End the threads after the requests in flight; answers stay collectable.

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
        turn = self._turns.of_thread()
        while True:
            turn.take()
            each = todo.get()
            if each is None:
                break
            key, wire, timeout = each
            try:
                answer = sender.send(wire, timeout=timeout, turn=turn)
            except Exception as error:  # a fault of ours must not stop the lane
                _logger.exception("a sender failed")
                answer = Answer(
                    reason="interrupted" if shortage_of(error) else "response",
                    error=_fault(error),
                    started_at=time.time(),
                )
            done.append((key, answer))
            if len(done) >= self._wanted:
                self._enough.set()
        turn.let_go()
        sender.close()


def _fault(error):
    template = _lt("the sender failed: %(error)s")
    return template, {"error": f"{type(error).__name__}: {error}"}
