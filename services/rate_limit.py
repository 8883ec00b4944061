# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A token bucket: at most `limit` requests per period, in bursts up to that number."""

from dataclasses import dataclass, replace
from datetime import datetime

_ROUNDING = 1e-9


@dataclass(frozen=True)
class TokenBucket:
    """A token permits one request. Times are naive UTC.

    limit: tokens per period, and the capacity; 0 means no limit
    period: seconds
    tokens: available at the time `at`; with `at` None the bucket is new and full
    """

    limit: int
    period: float
    tokens: float = 0.0
    at: datetime | None = None

    def take(self, n, now):
        """Take up to `n` tokens: (new bucket, tokens granted, seconds to the next).

        The seconds are 0 if a whole token is left, and without a limit.
        """
        if not self.limit:
            return self, n, 0.0
        there = self._there(now)
        granted = max(0, min(n, int(there + _ROUNDING)))
        left = max(0.0, there - granted)
        missing = 1 - left
        wait = missing * self.period / self.limit if missing > _ROUNDING else 0.0
        return replace(self, tokens=left, at=now), granted, wait

    def refund(self, n):
        """The bucket with `n` tokens returned that were granted and not used."""
        if not self.limit:
            return self
        return replace(self, tokens=min(float(self.limit), self.tokens + n))

    def _there(self, now):
        if self.at is None:
            return float(self.limit)
        # A clock that was set back adds nothing and counts from its current time.
        passed = max(0.0, (now - self.at).total_seconds())
        return min(float(self.limit), self.tokens + passed * self.limit / self.period)
