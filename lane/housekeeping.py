# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane does once a second beside moving deliveries."""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

import time

from . import jobs, sql
from .clock import utcnow
from .recovery import requeue_dead_jobs

EVERY = 1.0  # seconds


class Keeper:
    """Takes over wake-ups, keeps the watchdog in the future, sees who else waits.

    Each in a transaction that commits at once: queue_job's runner is one thread and
    would wait for the rows.
    """

    def __init__(self, endpoint, duty, slots, job_uuid: str, budget):
        self.endpoint = endpoint
        self.duty = duty
        self.slots = slots
        self.cr = endpoint.env.cr
        self.job_uuid = job_uuid
        self.budget = budget
        self.taken_over = 0
        self.was_killed = False  # a lane whose wake-up was superseded had been killed
        self._watchdog = None
        self._next = 0.0

    def keep(self) -> bool:
        """True if wake-ups were taken over: what they are for is there to be claimed.

        :raise OperationalError: the slot is lost
        """
        if time.monotonic() < self._next:
            return False
        first = not self._next
        self._next = time.monotonic() + EVERY
        now = utcnow()
        reason = f"taken over by the lane of job {self.job_uuid}"
        self.cr.execute(sql.take_over(self.endpoint.id, now, reason))
        killed = [row[0] for row in self.cr.fetchall()]
        found = len(killed)
        self.was_killed = self.was_killed or any(killed)
        self.taken_over += found
        self._push_watchdog(now)
        self.cr.commit()
        if not first:
            self.slots.check()
            self.cr.execute(sql.others_waiting(self.endpoint.id, now))
            self.budget.others_wait = self.cr.fetchone()[0]
            requeue_dead_jobs(self.cr)  # of another server, killed while this one runs
            self.cr.commit()
        return bool(found)

    def retire(self, now):
        """Close the watchdog, in the transaction of the last look."""
        if self._watchdog:
            self.cr.execute(sql.close_watchdog(self._watchdog, now))

    def _push_watchdog(self, now):
        if self._watchdog:
            eta = now + jobs.WATCHDOG_DELAY
            self.cr.execute(sql.push_watchdog(self._watchdog, self.job_uuid, eta))
            is_moved, is_job_free = self.cr.fetchone()
            # Someone deletes or changes the job and waits for its end, and
            # queue_job's runner may wait for them.
            self.budget.is_awaited = not is_job_free
            if is_moved:
                return
        self._watchdog = jobs.watchdog(self.endpoint, self.duty, self.job_uuid)
