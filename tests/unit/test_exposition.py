# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Metrics as text, read by the parser of prometheus-client."""

import pytest

from services.exposition import family, histogram, labels

parser = pytest.importorskip("prometheus_client.parser")


def parsed(text):
    return list(parser.text_string_to_metric_families(text))


def test_label_values_are_escaped():
    """A value with quotes, backslashes or line breaks is read back as it is."""
    hostile = 'a"b\\c\nd} 1\nfake_metric 7 ä {'
    text = family("m", "gauge", "Two\nlines \\ of help", [(labels(x=hostile, y=""), 3)])

    [metric] = parsed(text)

    assert "Two\nlines \\ of help" == metric.documentation
    [sample] = metric.samples
    assert ({"x": hostile, "y": ""}, 3) == (sample.labels, sample.value)


def test_a_histogram():
    """Buckets are summed up; count and sum belong to it."""
    text = histogram(
        "d_seconds", "Durations.", [0.01, 1.0], [(labels(e="a"), [2, 0, 1], 5.5)]
    )

    [metric] = parsed(text)

    assert "histogram" == metric.type
    assert [
        ("d_seconds_bucket", {"e": "a", "le": "0.01"}, 2),
        ("d_seconds_bucket", {"e": "a", "le": "1.0"}, 2),
        ("d_seconds_bucket", {"e": "a", "le": "+Inf"}, 3),
        ("d_seconds_sum", {"e": "a"}, 5.5),
        ("d_seconds_count", {"e": "a"}, 3),
    ] == [(each.name, each.labels, each.value) for each in metric.samples]


def test_nothing_to_show():
    """A metric without samples, and one without labels."""
    assert [] == parsed(family("m", "counter", "Nothing.", []))[0].samples
    assert 1 == parsed(family("m", "gauge", "One.", [("", 1)]))[0].samples[0].value
