"""The circuit breaker: stops sending to a target that fails again and again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

COOLDOWN_MIN = 60.0
COOLDOWN_MAX = 3600.0


@dataclass(frozen=True)
class Circuit:
    """Whether an endpoint's target is worth sending to. Times are naive UTC.

    state: closed (all goes), open (nothing until the probe), half_open (a probe is
        out), manual (nothing until a person closes it)
    streak: failures in a row
    threshold: failures in a row that open it; 0 never does
    opened_at: since when it hasn't been closed
    cooldown: seconds from opening or a failed probe to the next probe
    next_probe_at: when that is; made from `opened_at` where it isn't given
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
        if self.state == "closed" or not self.threshold:
            return "all"
        if self.next_probe_at is None:
            return "probe"
        wait = (self.next_probe_at - now).total_seconds()
        # No wait is longer than the cooldown, unless the clock was put back.
        return "none" if 0 < wait <= 2 * self.cooldown else "probe"

    def begin_probe(self, now):
        """The circuit while a probe is out."""
        return replace(self, state="half_open", next_probe_at=self._probe_after(now))

    def after_success(self, now):
        """Closed and as new, unless it waits for a person."""
        if self.state == "manual":
            return self
        return Circuit(threshold=self.threshold)

    def after_failure(self, now):
        """One more failure: opens at the threshold; a probe's doubles the cooldown.

        Failures of what was still out when it opened count but change nothing else.
        """
        failed = replace(self, streak=self.streak + 1)
        if self.state == "closed" and 0 < self.threshold <= failed.streak:
            return failed._open(now, COOLDOWN_MIN, opened_at=now)
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
