# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Interrupted deliveries of lanes that died, and stuck endpoints."""
# A lane commits its own cursor after each step: what was sent must be on disk.
# pylint: disable=invalid-commit

import logging
import time

from psycopg2 import OperationalError

from ..services.errors import _lt
from . import job_sql, sql
from .notifications import notify_of_failures
from .slot import read_committed

_logger = logging.getLogger(__name__)

INTERRUPTIONS_MAX = 5
UNTIL_LOCKED = 0.05  # seconds between a job's start and the lock on its row
INTERRUPTED = _lt(
    "The worker was interrupted. The target may have received the request."
)
DEAD = "The worker was killed; another lane of the endpoint goes on."
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
            left += _interrupt(endpoint, slot, now)
            continue
        with slots.borrow(slot) as nobody_holds_it:
            if nobody_holds_it:
                left += _interrupt(endpoint, slot, now)
                cr.commit()  # before the slot is free again
    if left:
        cr.commit()
        _logger.info("recover endpoint=%s interrupted=%s", endpoint.id, len(left))
    if any(left):
        notify_of_failures(endpoint)
    return len(left)


def _interrupt(endpoint, slot, now) -> list[bool]:
    env, cr = endpoint.env, endpoint.env.cr
    note = env._(INTERRUPTED)  # pylint: disable=W8301
    error = env._(INTERRUPTED_TOO_OFTEN, count=INTERRUPTIONS_MAX)  # pylint: disable=W8301
    cr.execute(job_sql.close_dead_jobs(endpoint.id, slot, now, DEAD))
    cr.execute(sql.interrupt_attempts(endpoint.id, slot, now, note))
    cr.execute(
        sql.release_interrupted(
            endpoint.id, slot, now, limit=INTERRUPTIONS_MAX, note=note, error=error
        )
    )
    return [row[0] for row in cr.fetchall()]


def free_dead_jobs(endpoint, now) -> bool:
    """Close the jobs of this endpoint's killed lanes, requeue those of others.

    queue_job's runner counts them as running: after as many kills as the channel's
    capacity, nothing would start before its next poll, up to 60 s later. Commits.
    :return: whether a lane of this endpoint was killed
    """
    cr = endpoint.env.cr
    cr.execute(job_sql.dead_lane_jobs())
    found = cr.fetchall()
    if not found:
        return False
    cr.commit()
    time.sleep(UNTIL_LOCKED)
    own = [job_id for job_id, endpoint_id in found if endpoint_id == str(endpoint.id)]
    killed = 0
    if own:
        cr.execute(job_sql.close_killed(own, now, DEAD))
        killed = cr.rowcount
    if len(own) < len(found):
        requeue_dead_jobs(cr)
    cr.commit()
    return killed > 0


def requeue_dead_jobs(cr):
    """Set lane jobs to pending that no worker runs; skips a job changed meanwhile."""
    try:
        with cr.savepoint(flush=False):
            cr.execute(job_sql.requeue_dead_jobs(), log_exceptions=False)
    except OperationalError:
        _logger.info("dead jobs are left to queue_job", exc_info=True)


def requeue_dead_jobs_at_start(registry):
    """Like `requeue_dead_jobs`, while a registry is loaded, on a cursor of its own.

    Loading takes long: its transaction began before lanes wrote their rows, and each
    of those would be a serialization failure.
    """
    with registry.cursor() as cr:
        read_committed(cr)
        cr.execute(
            "SET LOCAL lock_timeout = '2s'"
        )  # an upgrade may have locked the table
        requeue_dead_jobs(cr)


def find_stuck_endpoints(cr, now) -> list[int]:
    """Ids of active endpoints with due work, but without a lane or wake-up."""
    cr.execute(sql.stuck_endpoints(now))
    return [row[0] for row in cr.fetchall()]
