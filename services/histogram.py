# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A histogram of durations, from which quantiles are estimated.

Counts of several histograms can be added, which quantiles can't. The buckets are wider
the longer the durations are, so that an estimate is off by a third at most.
"""

from bisect import bisect_left

# Upper bounds in ms, inclusive; the last bucket has all that took longer.
BOUNDS = (
    *(5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 750),
    *(1000, 1500, 2000, 3000, 5000, 7500, 10000, 15000, 30000, 60000),
)
LONGEST = 300_000  # ms: no timeout of an endpoint is longer


def bucket(duration_ms) -> int:
    """Number of the bucket that counts a duration in ms."""
    return bisect_left(BOUNDS, duration_ms)


def quantile(counts, share):
    """The duration in ms within which `share` (0 to 1) ended; None without any.

    counts: one per bucket, `len(BOUNDS) + 1`
    Inside a bucket durations are taken as evenly spread.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0
    for number, count in enumerate(counts):
        if count and below + count >= wanted:
            low = BOUNDS[number - 1] if number else 0
            high = BOUNDS[number] if number < len(BOUNDS) else LONGEST
            return round(low + (high - low) * (wanted - below) / count)
        below += count
    return LONGEST
