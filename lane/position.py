# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How far into the queue a lane has come: where its next look begins.

What leaves the queue leaves its index entry behind until vacuum may take it, and
queue_job's own transaction forbids that for as long as the lane lives. A look from the
beginning would step over all that this lane has sent: thousands of entries, several
times a second.
"""

import time
from datetime import datetime, timedelta

FULL_LOOK = 1.0  # seconds between looks from the beginning
SLACK = timedelta(seconds=1)  # transactions that commit out of order
BEHIND = timedelta(seconds=2)  # with a backlog this old the exact place will do


class Position:
    """Where looks begin; one in a second begins at the beginning.

    That one finds what a look from here can't see: transactions that were long in
    committing, retries, rows that were locked.
    """

    def __init__(self):
        self._last = None  # (next_attempt_at, queue_number)
        self._full_at = None

    def begin(self, now: datetime):
        """(next_attempt_at, queue_number) from which to look, None: the beginning."""
        clock = time.monotonic()
        if (
            self._last is None
            or self._full_at is None
            or clock - self._full_at >= FULL_LOOK
        ):
            self._full_at = clock
            return None
        due_at, number = self._last
        return (due_at, number) if now - due_at > BEHIND else (due_at - SLACK, 0)

    def reached(self, claimed):
        """Rows were claimed, in the queue's order."""
        places = [(row.due_at, row.queue_number) for row in claimed if row.queue_number]
        if places:
            self._last = max(places)

    def restart(self):
        """The next look begins at the beginning."""
        self._full_at = None
