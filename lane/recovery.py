# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Interrupted deliveries of lanes that died, and stuck endpoints."""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import logging

from ..services.errors import _lt
from . import jobs, sql
from .health import count_interrupted, safely
from .report import notify_of_failures
from .translation import translate

_logger = logging.getLogger(__name__)

INTERRUPTIONS_MAX = 5
INTERRUPTED = _lt(
    "The worker was interrupted. The target may have received the request."
)
INTERRUPTED_TOO_OFTEN = _lt(
    "Interrupted %(count)s times in a row: this delivery may be what stops the "
    "worker. Check its payload and the server's log, then queue it again."
)


def recover_interrupted(endpoint, slots, own_slot: int, now) -> int:
    """Make deliveries due that are in flight in slots that no lane holds.

    The lane that holds a slot owns every delivery in `processing` with that slot, so
    killed, failed, cancelled, deleted and dead jobs are one case. Slots above the
    current number of lanes are checked too. Commits; returns the number of deliveries.
    """
    cr = endpoint.env.cr
    cr.execute(sql.slots_in_use(endpoint.id))
    left = []  # per delivery: whether it was interrupted too often
    for (slot,) in cr.fetchall():
        if slot in (own_slot, None):  # none: the state was written by hand
            left += _interrupt(endpoint, slot, own_slot, now)
            continue
        with slots.borrow(slot) as nobody_holds_it:
            if nobody_holds_it:
                left += _interrupt(endpoint, slot, own_slot, now)
                cr.commit()  # before the slot is free again
    if left:
        cr.commit()
        _logger.info("recover endpoint=%s interrupted=%s", endpoint.id, len(left))
    if any(left):
        notify_of_failures(endpoint)
    return len(left)


def _interrupt(endpoint, slot, own_slot, now) -> list[bool]:
    env, cr = endpoint.env, endpoint.env.cr
    note = translate(env, INTERRUPTED)
    error = translate(env, INTERRUPTED_TOO_OFTEN, count=INTERRUPTIONS_MAX)
    jobs.close_dead_jobs(cr, endpoint.id, slot, now)
    cr.execute(sql.interrupt_attempts(endpoint.id, slot, now, note))
    attempts = cr.fetchall()
    cr.execute(
        sql.release_interrupted(
            endpoint.id, slot, now, limit=INTERRUPTIONS_MAX, note=note, error=error
        )
    )
    stopped = dict(cr.fetchall())
    interrupted = [(began, not stopped.get(each)) for each, began in attempts]
    safely(count_interrupted, cr, endpoint.id, own_slot, interrupted)
    return list(stopped.values())


def find_stuck_endpoints(cr, now) -> list[int]:
    """Ids of active endpoints with due work, but without a lane or wake-up."""
    cr.execute(sql.stuck_endpoints(now))
    return [row[0] for row in cr.fetchall()]
