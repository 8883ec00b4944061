# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The token bucket."""

from datetime import datetime, timedelta

import pytest

from services.rate_limit import TokenBucket

NOW = datetime(2024, 5, 1, 12, 0, 0)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def test_a_new_bucket_is_full():
    """The first burst may use a whole period's tokens, no more."""
    bucket, granted, wait = TokenBucket(10, 60.0).take(15, NOW)

    assert (10, 0, NOW) == (granted, bucket.tokens, bucket.at)
    assert 6 == wait


def test_permits_return_with_time():
    """Tokens return evenly, up to the limit."""
    empty = TokenBucket(10, 60.0, 0, NOW)

    assert 2 == empty.take(5, later(12))[1]
    assert 10 == empty.take(50, later(3600))[1]


def test_the_wait_is_until_the_next_whole_token():
    """A lane knows how long to stay away; with a token left there is no wait."""
    _, granted, wait = TokenBucket(10, 60.0, 0.5, NOW).take(1, NOW)
    assert (0, 3) == (granted, wait)

    _, granted, wait = TokenBucket(10, 60.0, 2, NOW).take(1, NOW)
    assert (1, 0) == (granted, wait)


def test_waiting_as_long_as_returned_is_enough():
    """After exactly the wait a token is there, whatever floats make of it."""
    for limit in range(1, 200):
        empty = TokenBucket(limit, 60.0, 0, NOW)
        wait = empty.take(1, NOW)[2]
        moment = NOW + timedelta(seconds=wait) + timedelta(microseconds=1)
        assert 1 == empty.take(1, moment)[1]


def test_refunded_permits_can_be_used():
    """What wasn't sent costs nothing; the bucket doesn't grow over its limit."""
    bucket, _, _ = TokenBucket(10, 60.0).take(10, NOW)

    assert 3 == bucket.refund(3).take(5, NOW)[1]
    assert 10 == bucket.refund(99).tokens


@pytest.mark.parametrize("limit", [0, False, None])
def test_no_limit(limit):
    """Without a limit all is granted at once."""
    bucket = TokenBucket(limit, 60.0)

    assert (bucket, 1000, 0.0) == bucket.take(1000, NOW)
    assert bucket == bucket.refund(5)


def test_a_clock_set_back_does_not_block():
    """After a jump back no token is lost and new ones come from that time on."""
    bucket, granted, _ = TokenBucket(10, 60.0, 2, NOW).take(2, later(-86400))

    assert 2 == granted
    assert 1 == bucket.take(1, later(-86400 + 6))[1]


def test_a_lowered_limit_applies_at_once():
    """Tokens from a higher limit don't outlive it."""
    assert 2 == TokenBucket(2, 60.0, 10, NOW).take(5, NOW)[1]
