# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The circuit breaker: stops sending to a target that fails again and again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

COOLDOWN_MIN = 60.0
COOLDOWN_MAX = 3600.0
HOLD_MAX = 3600.0  # longest time that a receiver's Retry-After stops an endpoint


@dataclass(frozen=True)
class Circuit:
    """Whether an endpoint's target is worth sending to. Times are naive UTC.

    state: closed (all goes), open (nothing until the probe), half_open (a probe is
        out), manual (nothing until a person closes it)
    streak: failures in a row
    threshold: failures in a row that open it; 0 never does
    opened_at: since when it hasn't been closed
    cooldown: seconds from opening or a failed probe to the next probe
    next_probe_at: when that is; made from `opened_at` where it isn't given. While
        closed: nothing is sent before, because the receiver asked for it
    """

    state: str = "closed"
    streak: int = 0
    threshold: int = 10
    opened_at: datetime | None = None
    cooldown: float = COOLDOWN_MIN
    next_probe_at: datetime | None = None

    def __post_init__(self):
        if self.next_probe_at is None and self.opened_at and self._waits:
            object.__setattr__(self, "next_probe_at", self._probe_after(self.opened_at))

    @property
    def _waits(self):
        return self.state in ("open", "half_open")

    def _probe_after(self, now):
        return now + timedelta(seconds=self.cooldown)

    def may_send(self, now):
        """What may go out: "all", "probe" (one delivery, see `begin_probe`), "none".

        A probe that nobody reported back on is followed by another one after the
        cooldown, so that a killed worker doesn't leave the circuit open for ever.
        """
        if self.state == "manual":
            return "none"
        if self.state == "closed":
            return "none" if self._is_before(now, HOLD_MAX) else "all"
        if not self.threshold:
            return "all"
        longest = max(2 * self.cooldown, HOLD_MAX)
        return "none" if self._is_before(now, longest) else "probe"

    def _is_before(self, now, longest):
        """Whether `next_probe_at` is to come; not if the clock was put back."""
        if self.next_probe_at is None:
            return False
        return 0 < (self.next_probe_at - now).total_seconds() <= longest

    def hold_back(self, seconds, now):
        """Nothing is sent for so long (at most `HOLD_MAX`): the receiver asked for it.

        A wait that lasts longer already stays.
        """
        until = now + timedelta(seconds=min(seconds, HOLD_MAX))
        if self.state == "manual" or seconds <= 0:
            return self
        if self.next_probe_at and until <= self.next_probe_at:
            return self
        return replace(self, next_probe_at=until)

    def begin_probe(self, now):
        """The circuit while a probe is out."""
        return replace(self, state="half_open", next_probe_at=self._probe_after(now))

    def after_success(self, now):
        """Closed and as new, unless it waits for a person.

        What the receiver asked for stays: this request was sent before it did.
        """
        if self.state == "manual":
            return self
        held = self.state == "closed" and self._is_before(now, HOLD_MAX)
        return Circuit(
            threshold=self.threshold,
            next_probe_at=self.next_probe_at if held else None,
        )

    def after_failure(self, now):
        """One more failure: opens at the threshold; a probe's doubles the cooldown.

        Failures of what was still out when it opened count but change nothing else.
        """
        failed = replace(self, streak=self.streak + 1)
        if self.state == "closed" and 0 < self.threshold <= failed.streak:
            opened = failed._open(now, COOLDOWN_MIN, opened_at=now)
            if self._is_before(now, HOLD_MAX):
                left = (self.next_probe_at - now).total_seconds()
                return opened.hold_back(left, now)
            return opened
        if self.state == "half_open":
            doubled = min(self.cooldown * 2, COOLDOWN_MAX)
            return failed._open(now, doubled, opened_at=self.opened_at or now)
        return failed

    def after_ignored(self, now):
        """An end that says nothing about the target: the next delivery may probe."""
        if self.state == "half_open":
            return replace(self, state="open", next_probe_at=now)
        return self

    def force_open(self, now):
        """Open until a person closes it (the receiver answered 410 Gone)."""
        return replace(
            self,
            state="manual",
            streak=self.streak + 1,
            opened_at=self.opened_at or now,
            next_probe_at=None,
        )

    def _open(self, now, cooldown, opened_at):
        return replace(
            self,
            state="open",
            opened_at=opened_at,
            cooldown=cooldown,
            next_probe_at=now + timedelta(seconds=cooldown),
        )
