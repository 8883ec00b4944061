# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Time inside the lane has two forms, distinguished by name.

A date is a naive UTC `datetime`, as Odoo stores it, and its name ends in `_at` (or is
`now`): dates are written, compared with stored ones, and passed to policies. A clock is
a float of `time.monotonic()`, and its name ends in `_clock` (or is `clock`): clocks
measure how long something took or may take. Durations are seconds.
"""

from datetime import datetime, timezone


def utcnow() -> datetime:
    """Now as Odoo stores it: naive UTC, with its microseconds."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def as_utc(epoch: float) -> datetime:
    """Seconds since 1970, as services count them, as a date."""
    return datetime.fromtimestamp(epoch, timezone.utc).replace(tzinfo=None)
