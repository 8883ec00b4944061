# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane reports: the result of its job, and one line in the log per step."""

import logging
from dataclasses import dataclass

_logger = logging.getLogger(__name__)


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
