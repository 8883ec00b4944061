# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The right of a lane to run: an advisory lock on a separate cursor."""

from contextlib import contextmanager

from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from . import sql
from .locks import SLOTS


def read_committed(cr) -> bool:
    """Set a new cursor to READ COMMITTED permanently, before its first statement.

    ``SET TRANSACTION`` would end at each commit. Returns False for the cursor of a
    test, whose transaction has already started.
    """
    connection = getattr(cr, "_cnx", None)
    if connection is None:
        return False
    connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
    return True


class Slots:
    """The slots of one endpoint, held as long as the cursor's transaction lasts."""

    def __init__(self, cr, endpoint_id: int):
        self.cr = cr
        self.endpoint_id = endpoint_id

    def take(self, lanes: int, first: int = 0) -> int | None:
        """Lock a free slot from `first` on; returns its number, or None."""
        slots_of_lanes = range(first, min(lanes, len(SLOTS)))
        return next((slot for slot in slots_of_lanes if self.take_slot(slot)), None)

    @contextmanager
    def borrow(self, slot: int):
        """Lock a slot for a moment; yields whether that succeeded."""
        self.cr.execute("SAVEPOINT bwt_borrowed_slot")
        try:
            # A number that no lane can have was written by hand: no lane holds it.
            yield slot not in range(len(SLOTS)) or self.take_slot(slot)
        finally:
            # Rolling back releases the lock: a lane may need this slot.
            self.cr.execute("ROLLBACK TO SAVEPOINT bwt_borrowed_slot")

    def begin_burst(self) -> bool:
        """Let the endpoint's new wake-ups wait for this lane, until `end_burst`."""
        self.cr.execute("SAVEPOINT bwt_burst")
        self.cr.execute(sql.try_burst(self.endpoint_id))
        if self.cr.fetchone()[0]:
            return True
        self.end_burst()
        return False

    def end_burst(self):
        # Rolling back releases the lock, and only that: the slot was locked before.
        self.cr.execute("ROLLBACK TO SAVEPOINT bwt_burst")
        self.cr.execute("RELEASE SAVEPOINT bwt_burst")

    def check(self):
        """Raise OperationalError if the slot was lost with its connection."""
        self.cr.execute("SELECT 1")

    def take_slot(self, slot: int) -> bool:
        self.cr.execute(sql.try_slot(self.endpoint_id, slot))
        return self.cr.fetchone()[0]


@contextmanager
def slots(registry, endpoint_id: int):
    """A separate cursor for the slots: READ COMMITTED, so that it holds no snapshot.

    On exit, also by an exception, the transaction ends and the slots are free.
    """
    cr = registry.cursor()
    try:
        read_committed(cr)
        yield Slots(cr, endpoint_id)
    finally:
        cr.rollback()
        cr.close()
