# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Retry schedule, statuses worth a retry, Retry-After."""

from datetime import datetime, timezone

import pytest

from services.errors import ConfigurationError
from services.retry import RetrySchedule, StatusSet, parse_retry_after

DEFAULT = "5s,5m,30m,2h,5h,10h,10h"
NOW = datetime(2024, 5, 1, 12, 0, 0)


@pytest.mark.parametrize(
    "text, delays",
    [
        (DEFAULT, (5, 300, 1800, 7200, 18000, 36000, 36000)),
        (" 1.5 s , 1D ", (1.5, 86400)),
        ("0s", (0,)),
        ("", ()),
        (" ", ()),
        (None, ()),
        (False, ()),
    ],
)
def test_schedules(text, delays):
    """A schedule is a delay per retry with its unit; an empty text means no retry."""
    assert delays == RetrySchedule.parse(text).delays


@pytest.mark.parametrize(
    "text, part",
    [("5s,5x", "5x"), ("5", "5"), ("5s,,5m", ""), ("-5s", "-5s"), ("999d", "999d")],
)
def test_bad_parts_are_named(text, part):
    """A part that is not a valid duration is quoted, with what to write instead."""
    with pytest.raises(ConfigurationError, match=f'schedule part "{part}"'):
        RetrySchedule.parse(text)


def test_too_many_delays():
    """The number of delays in a schedule is limited."""
    with pytest.raises(ConfigurationError, match="at most 100"):
        RetrySchedule.parse(",".join(["1s"] * 101))


def test_next_delay():
    """Delays are stretched by chance only, and none is left after the last."""
    schedule = RetrySchedule((10, 20))

    assert 10 == schedule.next_delay(0, jitter_factor=0)
    assert 24 == schedule.next_delay(1, jitter_factor=1)
    assert schedule.next_delay(2, jitter_factor=0) is None


def test_retry_after_counts_when_longer():
    """The receiver may request more time, up to a day, never for less."""
    schedule = RetrySchedule((10,))

    assert 10 == schedule.next_delay(0, jitter_factor=0, retry_after=5)
    assert 60 == schedule.next_delay(0, jitter_factor=0, retry_after=60)
    assert 86400 == schedule.next_delay(0, jitter_factor=0, retry_after=10**9)


@pytest.mark.parametrize(
    "text, message",
    [
        (DEFAULT, "8 attempts over 28 h"),
        ("", "1 attempt, no retry"),
        ("5s", "2 attempts over 5 s"),
        ("5m,5m", "3 attempts over 10 m"),
        ("2d,2d", "3 attempts over 4 d"),
    ],
)
def test_describe(text, message):
    """The summary of a schedule."""
    assert message == str(RetrySchedule.parse(text).describe())


def test_status_set():
    """Single statuses and ranges hold both their ends."""
    statuses = StatusSet.parse("408, 425,500 - 599")

    assert all(status in statuses for status in (408, 425, 500, 599))
    assert not any(status in statuses for status in (200, 404, 429, 600, None))
    assert 500 not in StatusSet.parse("")


@pytest.mark.parametrize("part", ["abc", "99", "200", "200-299", "599-500", "5xx", ""])
def test_bad_statuses_are_named(part):
    """What is not a valid failure status is refused instead of never matching."""
    with pytest.raises(ConfigurationError, match=f'status "{part}"'):
        StatusSet.parse(f"408,{part}")


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("120", 120),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("9" * 5000, 86400),
        ("Wed, 01 May 2024 12:01:00 GMT", 60),
        ("Wednesday, 01-May-24 12:01:00 GMT", 60),
        ("Wed May  1 12:01:00 2024", 60),
        ("Wed, 01 May 2024 11:00:00 GMT", 0),
        ("Thu, 01 May 2031 12:00:00 GMT", 86400),
        ("Fri, 31 Feb 2024 99:99:99 GMT", 0),
        ("-5", 0),
        ("soon", 0),
        ("٣", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_retry_after_header(value, seconds):
    """RFC 9110, 10.2.3: seconds or a date in its three forms; else ignored."""
    assert seconds == parse_retry_after(value, now=NOW)
    assert seconds == parse_retry_after(value, now=NOW.replace(tzinfo=timezone.utc))


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("1714564860", 60),
        ("1714564860.5", 60.5),
        ("1714564860000", 60),
        ("1714564700", 0),
        ("2024-05-01T12:01:00Z", 60),
        ("2024-05-01T14:01:00+02:00", 60),
        ("1893456000", 86400),
        ("999999999", 86400),
    ],
)
def test_retry_after_as_a_moment(value, seconds):
    """A Unix time or an ISO date is when, not how long: it meant a day's wait."""
    assert seconds == parse_retry_after(value, now=NOW)
