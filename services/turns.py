"""Few threads at work while answers come at once, all of them when answers take long.

Threads that each wait a tenth of a millisecond for an answer spend more time on
handing Python's lock around than on requests: sixteen are half as fast as two. So a
thread needs a turn to start a request, there are few turns, and a thread that has to
wait lets its turn go, so that a slow answer holds up nobody.
"""

from queue import SimpleQueue

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
