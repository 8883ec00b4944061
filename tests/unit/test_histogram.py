# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Quantiles of durations, estimated from counts."""

import random

import pytest

from services.histogram import BOUNDS, LONGEST, bucket, quantile


def counts_of(durations):
    """A histogram of these durations."""
    counts = [0] * (len(BOUNDS) + 1)
    for duration in durations:
        counts[bucket(duration)] += 1
    return counts


def test_a_bucket_has_its_upper_bound():
    """A duration that equals a bound is counted below it, nothing is left out."""
    assert [0, 0, 1] == [bucket(each) for each in (0, 5, 6)]
    assert len(BOUNDS) == bucket(BOUNDS[-1] + 1) == bucket(LONGEST * 2)


def test_nothing_counted_has_no_quantile():
    """A period without a request shows no duration instead of 0 ms."""
    assert quantile([0] * (len(BOUNDS) + 1), 0.5) is None


@pytest.mark.parametrize("share", (0.5, 0.95))
@pytest.mark.parametrize("typical", (3, 40, 700, 12_000))
def test_an_estimate_is_close(typical, share):
    """p50 and p95 are within a third of what sorting all durations shows."""
    draw = random.Random(typical)
    durations = sorted(
        min(draw.lognormvariate(0, 0.6) * typical, LONGEST) for _ in range(5000)
    )
    exact = durations[int(share * len(durations)) - 1]

    assert quantile(counts_of(durations), share) == pytest.approx(exact, rel=0.34)


def test_sums_of_histograms_are_histograms():
    """Two hours added have the quantiles of all their requests."""
    first, second = counts_of([10] * 60), counts_of([2000] * 40)
    both = [sum(pair) for pair in zip(first, second, strict=True)]

    assert 10 >= quantile(both, 0.5)
    assert 1500 < quantile(both, 0.95) <= 2000
