# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane reports: its job's result, a line in the log per step, notifications.

A failed notification never stops sending.
"""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import logging
import time
from dataclasses import dataclass

from .clock import utcnow
from .savepoint import FOREIGN_ERRORS, Savepoint

_logger = logging.getLogger(__name__)

RETRY_AFTER = 2.0  # seconds until a failed notification is tried again


@dataclass
class Report:
    """What a lane did, as its job's result shows it."""

    claimed: int = 0
    recorded: int = 0
    released: int = 0
    interrupted: int = 0
    superseded: int = 0
    why: str = ""

    def __str__(self):
        if self.why:
            return self.why
        return (
            f"{self.recorded} recorded, {self.claimed} claimed, "
            f"{self.released} released unsent, "
            f"{self.interrupted} interrupted before, "
            f"{self.superseded} wake-ups superseded"
        )

    def count_claim(self, code, batch):
        """Count and log a batch of the endpoint with this code."""
        self.claimed += batch.claimed
        self.recorded += batch.concluded
        if batch.claimed:
            _logger.info(
                "claim endpoint=%s claimed=%s sent=%s concluded=%s",
                code,
                batch.claimed,
                len(batch.prepared),
                batch.concluded,
            )

    def count_recorded(self, code, recorded):
        """Count and log attempts that were recorded."""
        self.recorded += len(recorded.results)
        for result in recorded.attempted:
            _log_attempt(code, result)
        if recorded.circuit_moved:
            before, after = recorded.before, recorded.after
            _logger.info("circuit endpoint=%s from=%s to=%s", code, before, after)


def _log_attempt(code, result):
    level = logging.DEBUG if result.state == "done" else logging.INFO
    _logger.log(
        level,
        "attempt endpoint=%s delivery=%s attempt=%s status=%s ms=%s decision=%s "
        "next=%s",
        code,
        result.claimed.id,
        result.claimed.attempt_count + 1,
        result.response.status_code or result.reason,
        round(result.duration * 1000),
        result.state,
        result.next_attempt_at or "-",
    )


class FailureNotices:
    """A lane's notifications about failures: one a day, since it is one activity."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self._notified_on = None  # the day of the last notification
        self._retry_clock = None  # when a failed one is tried again

    def notify(self):
        """Notify today's first failure; after an error, the first one 2 s later."""
        today, clock = utcnow().date(), time.monotonic()
        if self._notified_on == today:
            return
        if self._retry_clock is not None and clock < self._retry_clock:
            return
        if notify_of_failures(self.endpoint):
            self._notified_on, self._retry_clock = today, None
        else:
            self._retry_clock = clock + RETRY_AFTER

    def retry(self):
        """Try a failed notification once more: this may be the last lane."""
        if self._retry_clock is not None:
            self._retry_clock = None
            self.notify()


def notify_of_failures(endpoint) -> bool:
    """Notify of dead letters, in a transaction of its own.

    Returns False if the user wasn't notified: nobody is responsible, another lane is
    about to notify, or it failed.
    """
    return bool(_guarded(endpoint, endpoint._notify_of_failures))


def notify_of_circuit(endpoint, before: str, after: str):
    """Post the change of the circuit, in a transaction of its own."""
    _guarded(endpoint, endpoint._notify_of_circuit, before, after)


def _guarded(endpoint, notify, *args):
    cr, endpoint_id = endpoint.env.cr, endpoint.id
    try:
        with Savepoint(cr):
            result = notify(*args)
        cr.commit()
        return result
    except FOREIGN_ERRORS:  # a failed notification must not keep others from sending
        if cr.closed:
            raise
        cr.rollback()
        _logger.warning("not notified endpoint=%s", endpoint_id, exc_info=True)
        return None
