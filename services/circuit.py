# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The circuit breaker: stops sending to a target that fails again and again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

COOLDOWN_MIN = 60.0
COOLDOWN_MAX = 3600.0
BACKOFF_MAX = 3600.0  # longest time that a receiver's Retry-After stops an endpoint


@dataclass(frozen=True)
class Circuit:
    """Whether an endpoint's target is worth sending to. Times are naive UTC.

    state: closed (everything is sent), open (nothing until the probe), half_open (a
        probe is in flight), manual (nothing until a user closes it)
    streak: failures in a row
    threshold: failures in a row that open it; 0 never does
    opened_at: when it last changed from closed
    cooldown: seconds from opening or a failed probe to the next probe
    next_probe_at: when that is; derived from `opened_at` if not given. While closed:
        nothing is sent before, as the receiver requested
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
        """What may be sent: "all", "probe" (one delivery), "none".

        A probe without a result is followed by another one after the cooldown, so
        that a killed worker doesn't leave the circuit open forever.
        """
        if self.state == "manual":
            return "none"
        if self.state == "closed":
            return "none" if self._is_before(now, BACKOFF_MAX) else "all"
        if not self.threshold:
            return "all"
        longest = max(2 * self.cooldown, BACKOFF_MAX)
        return "none" if self._is_before(now, longest) else "probe"

    def _is_before(self, now, longest):
        """Whether `next_probe_at` is in the future; False if the clock was set back."""
        if self.next_probe_at is None:
            return False
        return 0 < (self.next_probe_at - now).total_seconds() <= longest

    def back_off(self, seconds, now):
        """Send nothing for so long (at most `BACKOFF_MAX`): the receiver requested it.

        A wait that already lasts longer is kept.
        """
        until = now + timedelta(seconds=min(seconds, BACKOFF_MAX))
        if self.state == "manual" or seconds <= 0:
            return self
        if self.next_probe_at and until <= self.next_probe_at:
            return self
        return replace(self, next_probe_at=until)

    def after_success(self, now):
        """Closed and reset, unless it needs manual intervention.

        A wait that the receiver requested stays: this request was sent before.
        """
        if self.state == "manual":
            return self
        held = self.state == "closed" and self._is_before(now, BACKOFF_MAX)
        return Circuit(
            threshold=self.threshold,
            next_probe_at=self.next_probe_at if held else None,
        )

    def after_failure(self, now):
        """Count a failure: opens at the threshold; a failed probe doubles the cooldown.

        Failures of requests in flight when it opened are counted, without effect.
        """
        failed = replace(self, streak=self.streak + 1)
        if self.state == "closed" and 0 < self.threshold <= failed.streak:
            opened = failed._open(now, COOLDOWN_MIN, opened_at=now)
            if self._is_before(now, BACKOFF_MAX):
                left = (self.next_probe_at - now).total_seconds()
                return opened.back_off(left, now)
            return opened
        if self.state == "half_open":
            doubled = min(self.cooldown * 2, COOLDOWN_MAX)
            return failed._open(now, doubled, opened_at=self.opened_at or now)
        return failed

    def after_ignored(self, now):
        """After a result that says nothing about the target: the next may probe."""
        if self.state == "half_open":
            return replace(self, state="open", next_probe_at=now)
        return self

    def force_open(self, now):
        """Open until a user closes it (the receiver responded 410 Gone)."""
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
