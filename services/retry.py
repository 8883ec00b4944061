# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which failures are retried, and when."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache

from .circuit import BACKOFF_MAX
from .errors import ConfigurationError, Message, _lt
from .failure_text import no_response_text, status_text

RETRY_AFTER_MAX = 24 * 3600
DELAY_MAX = 366 * 86400
DELAYS_MAX = 100
_UNIX_TIME = 1e9  # more than 31 years in seconds, or the year 2001 as a time

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd])")
_STATUSES = re.compile(r"([0-9]{3})(?:\s*-\s*([0-9]{3}))?")


@dataclass(frozen=True)
class RetrySchedule:
    """When a failed delivery is retried: one delay (seconds) per retry.

    jitter: a delay is lengthened by at most this fraction, and never shortened
    """

    delays: tuple[float, ...] = ()
    jitter: float = 0.2

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text):
        """The schedule written as `5s,5m,30m,2h,1d`; empty text means no retry.

        Raises ConfigurationError naming the part that is not a valid duration.
        """
        parts = text.split(",") if text and text.strip() else ()
        if len(parts) > DELAYS_MAX:
            raise ConfigurationError(
                _lt("retry schedule has %(count)s delays. Use at most %(most)s."),
                count=len(parts),
                most=DELAYS_MAX,
            )
        return cls(tuple(_seconds(part.strip()) for part in parts))

    def next_delay(self, retry, *, jitter_factor, retry_after=0):
        """Seconds until retry `retry` (from 0), None if there is none left.

        jitter_factor: 0 to 1, how much of the jitter is used
        retry_after: what the receiver requested; used if longer, up to 24 h
        """
        if retry >= len(self.delays):
            return None
        planned = self.delays[retry] * (1 + self.jitter * jitter_factor)
        return max(planned, min(retry_after, RETRY_AFTER_MAX))

    @property
    def attempts(self):
        """The maximum number of attempts."""
        return len(self.delays) + 1

    @property
    def span(self):
        """The sum of all delays in its largest suitable unit, as in "28 h"."""
        seconds = sum(self.delays)
        unit = next((u for u in "dhm" if seconds >= 2 * _UNITS[u]), "s")
        return f"{seconds / _UNITS[unit]:.0f} {unit}"

    def describe(self):
        """A message, as in "8 attempts over 28 h"."""
        if not self.delays:
            return Message(_lt("1 attempt, no retry"))
        values = {"attempts": self.attempts, "span": self.span}
        return Message(_lt("%(attempts)s attempts over %(span)s"), values)


def _seconds(part):
    match = _DURATION.fullmatch(part.lower())
    if not match:
        raise ConfigurationError(
            _lt(
                'retry schedule part "%(part)s" is not a valid duration. Write a '
                'number with s, m, h or d, as in "5s,5m,30m".'
            ),
            part=part,
        )
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > DELAY_MAX:
        raise ConfigurationError(
            _lt('retry schedule part "%(part)s" is longer than a year. Shorten it.'),
            part=part,
        )
    return seconds


@dataclass(frozen=True)
class StatusSet:
    """HTTP statuses that are retried."""

    codes: frozenset[int] = frozenset()

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text):
        """The statuses written as `408,425,429,500-599`; empty text means none.

        Raises ConfigurationError naming an invalid failure status or range.
        """
        codes = set()
        for part in text.split(",") if text and text.strip() else ():
            codes.update(_codes(part.strip()))
        return cls(frozenset(codes))

    def __contains__(self, status):
        return status in self.codes


def _codes(part):
    match = _STATUSES.fullmatch(part)
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if 300 <= first <= last:
            return range(first, last + 1)
    raise ConfigurationError(
        _lt(
            'status "%(part)s" can\'t be retried.'
            ' Write statuses or ranges from 300 to 999, as in "408,429,500-599".'
        ),
        part=part,
    )


def parse_retry_after(value, *, now):
    """Seconds that a Retry-After header requests (RFC 9110, 10.2.3), at most 24 h.

    now: the time (naive is UTC) that a date in the header is compared with
    A Unix time (seconds or milliseconds) and an ISO 8601 date are accepted as dates.
    Returns 0 without a header, for a past date and for an invalid value.
    """
    text = (value or "").strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            wait = _wait(float(text), now)
        else:
            wait = (_moment(text) - _aware(now)).total_seconds()
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0.0
    return min(max(wait, 0.0), RETRY_AFTER_MAX)


def _wait(number, now):
    """Seconds, or seconds until a Unix time: no receiver requests thirty years."""
    if number < _UNIX_TIME:
        return number
    if number >= _UNIX_TIME * 100:
        number /= 1000  # milliseconds
    return number - _aware(now).timestamp()


def _moment(text):
    try:
        return _aware(parsedate_to_datetime(text))
    except (TypeError, ValueError, IndexError):
        return _aware(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _aware(moment):
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_RETRIED_REASONS = {"dns", "connect", "tls", "timeout", "response"}
_CIRCUIT_STATUSES = {408, 429}
_BACKOFF_STATUSES = {429, 503}  # they concern the receiver, not a single request
_BROKEN_BODY = _lt("The response body was interrupted. Only its status counts.")
_USED_UP = _lt("All %(attempts)s attempts are used up.")


@dataclass(frozen=True)
class RetryDecision:
    """What happens to a delivery after an attempt.

    state, attempt_state: done, error (retried) or dead_letter
    delay: seconds until the next attempt, None without one
    failure_reason: for grouping, empty when done
    error: message on what failed and what to do, None when done
    note: message of additional information, or None
    circuit: success, failure, open (until a user closes it) or ignore
    backoff: seconds for which the receiver accepts no request
    """

    state: str
    attempt_state: str
    delay: float | None = None
    failure_reason: str = ""
    error: Message | None = None
    note: Message | None = None
    circuit: str = "ignore"
    backoff: float = 0.0


def decide_retry(response, *, schedule, retry_on, retry_number, jitter_factor, now):
    """The RetryDecision for `response` (an HttpResponse).

    schedule: RetrySchedule; retry_on: StatusSet
    retry_number: retries made so far; jitter_factor: 0 to 1, share of the jitter
    now: the time (naive is UTC), for a Retry-After that is a date
    """
    status = _status(response)
    if status is None:
        reason, error = response.reason or "response", no_response_text(response)
        retried, circuit = reason in _RETRIED_REASONS, _reason_circuit(reason)
    elif 200 <= status < 300:
        note = Message(_BROKEN_BODY) if response.broken else None
        return RetryDecision("done", "done", note=note, circuit="success")
    else:
        reason, error = _status_reason(status), status_text(status, response)
        retried = status in retry_on and status != 410
        circuit = _status_circuit(status)
    delay = None
    wait = parse_retry_after(response.header("Retry-After"), now=now)
    if retried:
        delay = schedule.next_delay(
            retry_number, jitter_factor=jitter_factor, retry_after=wait
        )
    state = "dead_letter" if delay is None else "error"
    note = None
    if retried and delay is None and schedule.delays:
        note = Message(_USED_UP, {"attempts": schedule.attempts})
    backoff = min(wait, BACKOFF_MAX) if status in _BACKOFF_STATUSES else 0.0
    return RetryDecision(state, state, delay, reason, error, note, circuit, backoff)


def _status(response):
    """The status, if it was received and at most the body is incomplete."""
    if response.broken or response.reason in ("", "redirect"):
        return response.status_code
    return None


def _reason_circuit(reason):
    return "failure" if reason in _RETRIED_REASONS else "ignore"


def _status_reason(status):
    if status >= 500:
        return "http_5xx"
    if status >= 400:
        return "http_4xx"
    return "redirect" if status >= 300 else "response"


def _status_circuit(status):
    if status == 410:
        return "open"
    return "failure" if status >= 500 or status in _CIRCUIT_STATUSES else "ignore"
