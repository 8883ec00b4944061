# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane does next, decided from plain values.

Nothing here reads a clock, waits, or knows Odoo or the database: the lane describes its
situation, `next_step` decides, and the lane acts.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

POLL = 0.1  # seconds between checks for new work while requests are in flight
AWAIT_POLL = 0.02  # seconds between them while nothing is and more is expected
CAREFUL = 100  # deliveries to build one at a time after a lane was killed
GRACE = 0.1  # seconds that each of these waits for the response to the previous one
PERMIT_WAIT = 1.0  # seconds; for a later rate-limit permit a new lane is started


class Step(Enum):
    """What a lane does next."""

    RELEASE = "return requests that no thread has started to the queue"
    FOLLOW_UP = "notify users and call hooks about what was recorded"
    RECORD = "write the results of the collected responses"
    KEEP_HOUSE = "what a lane does once a second besides sending"
    CLAIM = "claim and build deliveries, and pass their requests to the threads"
    CHECK = "check whether something is due"
    COLLECT = "wait for responses"
    SLEEP = "wait for the next rate-limit permit"
    AWAIT = "wait for deliveries that are expected"
    STOP = "end the lane"


class Backlog(NamedTuple):
    """What a lane knows of the deliveries that it hasn't claimed.

    checked_clock: when a claim or a check last found nothing more; None: there may be
        more to claim
    is_due: whether a check since that claim found due deliveries; None: not checked
    """

    checked_clock: float | None = None
    is_due: bool | None = None


@dataclass(frozen=True)
class Caution:
    """How a lane treats deliveries that may end its worker.

    builds: number of deliveries to build one at a time, each with a mark
    is_alone: the delivery in flight may end the worker: nothing is sent beside it
    sent_clock: when requests were last passed to the threads
    """

    builds: int = 0
    is_alone: bool = False
    sent_clock: float = 0.0

    def after_kill(self) -> "Caution":
        """A previous lane was killed: building one of these may have been the cause."""
        return replace(self, builds=CAREFUL)

    def after_suspect(self) -> "Caution":
        """A claim found a marked delivery: build it when nothing is in flight."""
        return replace(self, builds=self.builds or CAREFUL, is_alone=True)

    def after_claim(self, *, is_last: bool, is_alone: bool, clock: float) -> "Caution":
        """One more delivery is built; the last one that was due ends the caution."""
        left = 0 if is_last else max(self.builds - 1, 0)
        return Caution(left, is_alone, clock)


class Situation(NamedTuple):
    """All that decides about the next step."""

    clock: float
    may_claim: bool  # time and resources allow to build and send more
    must_release: bool  # the target must get none of the waiting requests
    has_follow_up: bool  # recorded results of which nobody was notified yet
    is_keeping_due: bool  # a second has passed since the last housekeeping
    unrecorded: int  # responses collected and not recorded
    must_record: bool  # they are enough for a transaction, or wait long enough
    waiting: int  # requests that no thread has started
    outstanding: int  # requests whose response was not collected, waiting ones too
    low_water: int  # claim more when fewer than this wait
    room: int  # bytes of bodies that may still be claimed
    backlog: Backlog
    caution: Caution
    permit_wait: float | None  # seconds to the next permit; None: none is missing
    expects_more: bool = False  # many transactions queue, and wait for this lane


def next_step(now: Situation) -> Step:
    """The first rule that applies decides."""
    if now.must_release or (now.waiting and not now.may_claim):
        return Step.RELEASE
    if now.has_follow_up:
        return Step.FOLLOW_UP
    if now.unrecorded and (now.must_record or not now.outstanding):
        return Step.RECORD
    if now.is_keeping_due:
        return Step.KEEP_HOUSE
    if now.may_claim and _has_space(now):
        step = _next_claim(now)
        if step:
            return step
    if now.outstanding:
        return Step.COLLECT
    return Step.AWAIT if now.expects_more and now.may_claim else Step.STOP


def _has_space(now: Situation) -> bool:
    """Whether another request may be built and sent beside those in flight."""
    caution = now.caution
    if not now.outstanding:
        return True
    if caution.is_alone:
        return False
    if caution.builds and now.clock - caution.sent_clock < GRACE:
        return False  # a kill would interrupt it: wait for a fast target
    return now.waiting < now.low_water and now.room > 0


def _next_claim(now: Situation) -> Step | None:
    """The step to more work; None if there is none at present."""
    backlog, is_idle = now.backlog, not now.outstanding
    if backlog.checked_clock is None:
        return _claim(now)
    if backlog.is_due:
        if is_idle and now.permit_wait is not None and now.permit_wait > 0:
            return Step.SLEEP if now.permit_wait <= PERMIT_WAIT else None
        return _claim(now)
    poll = AWAIT_POLL if is_idle and now.expects_more else POLL
    if now.clock - backlog.checked_clock >= poll:
        return Step.CHECK
    if is_idle and backlog.is_due is None and now.permit_wait is not None:
        return Step.CHECK
    return None


def _claim(now: Situation) -> Step:
    """Careful, responses are recorded first: a kill must not undo them."""
    return Step.RECORD if now.caution.builds and now.unrecorded else Step.CLAIM
