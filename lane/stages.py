# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a delivery is on its way: each stage of the lane takes one and gives the next.

Claimed -> Prepared -> (request out) -> Ending
        -> Decided (a handler said so)   -> Ending
        -> Refused (it can't be built)   -> Ending
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class Claimed(NamedTuple):
    """A row locked for this lane, as the claim read it."""

    id: int
    name: str
    state: str  # before it was claimed
    attempt_count: int
    retry_number: int
    interruption_count: int
    superseded_by: str | None
    due_at: datetime | None = None
    queue_number: int | None = None
    size: int = 0  # bytes of payload and headers as queued
    build_tries: int | None = None  # builds in a row that ended with the worker


@dataclass(eq=False, slots=True)
class Prepared:
    """A request ready to leave."""

    claimed: Claimed
    request: Any  # OutboundRequest
    outcome: Any  # HandlerOutcome
    wire: Any  # WireRequest
    attempt_id: int = 0


@dataclass(eq=False, slots=True)
class Decided:
    """A handler, gate or backend ended it before a byte left."""

    claimed: Claimed
    request: Any
    outcome: Any


@dataclass(eq=False, slots=True)
class Refused:
    """It can't be built or decided; `request` where it got that far."""

    claimed: Claimed
    reason: str  # build, handler
    error: str
    request: Any = None


@dataclass(eq=False, slots=True)
class Ending:
    """How an attempt ended and what becomes of the delivery; times are naive UTC."""

    claimed: Claimed
    state: str  # of the delivery
    attempt_state: str
    retry_number: int
    at: datetime
    reason: str | None = None
    next_attempt_at: datetime | None = None
    note: str | None = None
    error: str | None = None
    rule_id: int | None = None
    started_at: datetime | None = None
    duration: float = 0.0  # seconds
    answer: Any = None  # Answer
    attempt_id: int = 0
    prepared: Prepared | None = field(default=None, repr=False)
    hold: float = 0.0  # seconds for which the receiver wants no request at all

    @property
    def is_final(self) -> bool:
        return self.state in ("done", "dead_letter", "canceled")

    @property
    def needs_person(self) -> bool:
        """Given up, or failed without another attempt to come."""
        if self.state == "error":
            return self.next_attempt_at is None
        return self.state == "dead_letter"
