# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane does once a second besides sending deliveries."""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import time

from . import jobs
from .clock import utcnow

EVERY = 1.0  # seconds


class Housekeeping:
    """Supersedes wake-ups, postpones the watchdog, checks whether other jobs wait.

    Each in a transaction that commits immediately: queue_job's runner is one thread and
    would wait for the rows.
    """

    def __init__(self, endpoint, duty, slots, job_uuid: str, budget):
        self.endpoint = endpoint
        self.duty = duty
        self.slots = slots
        self.cr = endpoint.env.cr
        self.job_uuid = job_uuid
        self.budget = budget
        self.superseded = 0
        self.was_killed = False  # a superseded wake-up was that of a killed lane
        self._watchdog = None
        self._next_clock = 0.0
        self._has_requested_lane = False

    def is_due(self, clock: float) -> bool:
        return clock >= self._next_clock

    def keep(self) -> bool:
        """True if wake-ups were superseded: their deliveries can be claimed now.

        :raise OperationalError: the slot is lost
        """
        first = not self._next_clock
        self._next_clock = time.monotonic() + EVERY
        now = utcnow()
        killed = jobs.supersede_wake_ups(self.cr, self.endpoint.id, self.job_uuid, now)
        found = len(killed)
        self.was_killed = self.was_killed or any(killed)
        self.superseded += found
        self._push_watchdog(now)
        self.cr.commit()
        if not first:
            self.slots.check()
            self.budget.others_wait = jobs.others_wait(self.cr, self.endpoint.id, now)
            jobs.requeue_dead_jobs(self.cr)  # of another server, killed meanwhile
            self.cr.commit()
        return bool(found)

    def request_another_lane(self):
        """There is work for one more lane; each lane requests the next slot once."""
        if not self._has_requested_lane:
            self._has_requested_lane = True
            jobs.request_another_lane(self.endpoint, self.job_uuid)
            self.cr.commit()

    def retire(self, now):
        """Close the watchdog, in the transaction of the last check."""
        if self._watchdog:
            jobs.close_watchdog(self.cr, self._watchdog, now)

    def _push_watchdog(self, now):
        if self._watchdog:
            is_moved, is_job_free = jobs.postpone_watchdog(
                self.cr, self._watchdog, self.job_uuid, now
            )
            # A user deletes or changes the job and waits until it ends, and
            # queue_job's runner may wait for them.
            self.budget.is_awaited = not is_job_free
            if is_moved:
                return
        self._watchdog = jobs.start_watchdog(self.endpoint, self.duty, self.job_uuid)
