# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The settle window: a record is sent once it hasn't changed for some time.

Built on due dates and superseding alone: each change queues a delivery that is due
later, and cancels the one that waits. Lanes know nothing of it.
"""

import math
from datetime import timedelta
from typing import NamedTuple

from ..lane import sql
from .errors import refused

SECONDS_MAX = 86_400


class SettleWindow(NamedTuple):
    """How long a record must be quiet before it is sent, both in seconds.

    longest: after the first change it is sent, however often it changes
    """

    seconds: float
    longest: float

    def due_at(self, first_at, now):
        """When a delivery is due that is queued `now`, `first_at` the first change."""
        quiet_at = now + timedelta(seconds=self.seconds)
        return max(now, min(quiet_at, first_at + timedelta(seconds=self.longest)))


def window_message(env, seconds, longest):
    """What is wrong with the fields of a settle window; None if nothing is."""
    if 0 <= seconds <= longest <= SECONDS_MAX or not seconds:
        return None
    return env._(
        "the settle window is %(seconds)s seconds and the longest one %(longest)s. "
        "Enter seconds from 0 to %(most)s, the longest one not below the other.",
        seconds=seconds,
        longest=longest,
        most=SECONDS_MAX,
    )


def read_settle(endpoint, given, supersede):
    """The settle window of one request; None without one.

    :param given: argument `settle` of `queue_delivery`: None for the endpoint's, False
        or 0 for none, seconds, or a pair of seconds and the longest wait
    :param supersede: whether the delivery replaces earlier ones
    :raise ValidationError: the argument is invalid, or nothing is superseded
    """
    if given is None:
        if not supersede or not endpoint.settle_seconds:
            return None
        return SettleWindow(endpoint.settle_seconds, endpoint.settle_max_seconds)
    if isinstance(given, list | tuple) and len(given) == 2:
        found = SettleWindow(*given)
    else:
        longest = max(endpoint.settle_max_seconds, _number(given) or 0)
        found = SettleWindow(given, longest)
    seconds, longest = map(_number, found)
    if seconds is None or longest is None or not seconds <= longest <= SECONDS_MAX:
        raise refused(
            endpoint,
            endpoint.env._(
                "settle=%(settle)s is not a valid window. Give seconds, or a pair of "
                "seconds and the longest wait, from 0 to %(most)s, such as (3, 30).",
                settle=repr(given)[:80],
                most=SECONDS_MAX,
            ),
        )
    if not seconds:
        return None
    if not supersede:
        raise refused(
            endpoint,
            endpoint.env._(
                "settle needs supersede: later deliveries replace the one that waits. "
                "Give supersede=True, or leave settle out."
            ),
        )
    return SettleWindow(seconds, longest)


def _number(given):
    """A finite number of 0 or more; None for anything else."""
    if given is False:
        return 0
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return given if math.isfinite(given) and given >= 0 else None


def apply_settle(endpoint, requested, now):
    """Set the due dates of requests with a settle window.

    A delivery that waits for the same key passes on the time of the first change, so
    that a record that keeps changing is sent, too.

    :param endpoint: with sudo
    :param requested: list of `QueueRequest`
    """
    waiting = [each for each in requested if each.settle]
    if not waiting:
        return
    keys = list({each.vals["ordering_key"] for each in waiting})
    endpoint.env.flush_all()
    endpoint.env.cr.execute(sql.first_changes(endpoint.id, keys))
    first_changes = dict(endpoint.env.cr.fetchall())
    for each in waiting:
        first_at = first_changes.setdefault(each.vals["ordering_key"], now)
        due_at = each.settle.due_at(first_at, now)
        each.vals["settle_started_at"] = first_at
        each.vals["next_attempt_at"] = max(each.vals["next_attempt_at"], due_at)
