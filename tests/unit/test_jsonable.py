# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Python values as JSON values."""

import json
from collections import OrderedDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from services.errors import PayloadError
from services.jsonable import DEPTH_MAX, to_json_value

EAST = timezone(timedelta(hours=2))


class Shout(str):
    def __str__(self):
        return self.upper()


@pytest.mark.parametrize(
    "value, expected",
    [
        (datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00Z"),
        (
            datetime(2024, 5, 1, 12, tzinfo=EAST),
            "2024-05-01T10:00:00Z",
        ),
        (date(2024, 5, 1), "2024-05-01"),
        (b"\x00\xff", "AP8="),
        (Decimal("10.50"), 10.5),
        (Decimal("1E+2"), 100),
        ((1, (2,)), [1, [2]]),
        (OrderedDict(a=1), {"a": 1}),
        ({date(2024, 5, 1): 1}, {"2024-05-01": 1}),
        (datetime.min.replace(tzinfo=EAST), "0001-01-01T00:00:00+02:00"),
        (Shout("quiet"), "quiet"),
        ([1, 1.5, "x", True, None], [1, 1.5, "x", True, None]),
    ],
)
def test_values_become_json(value, expected):
    """Dates, bytes, decimals, tuples and mappings become what JSON has for them."""
    converted = to_json_value(value)

    assert expected == converted
    assert type(converted) is type(expected)
    json.dumps(converted, allow_nan=False)


def test_number_keys_become_text():
    """Keys are written as `json.dumps` would write them."""
    keys = {1: 0, 1.5: 0, None: 0, False: 0}

    assert json.loads(json.dumps(keys)) == to_json_value(keys)


@pytest.mark.parametrize(
    "value, path",
    [
        ({"a": [{"b": {1, 2}}]}, "a.0.b"),
        ({"a": object()}, "a"),
        ([0, float("nan")], "1"),
        ({"rate": float("-inf")}, "rate"),
        ({"rate": Decimal("NaN")}, "rate"),
        ({"rate": Decimal("sNaN")}, "rate"),
        ({"a": {1: "x", "1": "y"}}, "a"),
        ({"span": timedelta(1)}, "span"),
        ({"a": {(1, 2): 3}}, "a"),
        (iter(()), "payload"),
    ],
)
def test_misfits_are_named(value, path):
    """What JSON can't hold is refused with the path to it."""
    with pytest.raises(PayloadError) as caught:
        to_json_value(value)

    assert path == caught.value.values["path"]


def test_path_starts_where_the_caller_says():
    """The caller's own path comes first, so that the message fits the whole."""
    with pytest.raises(PayloadError, match=r"payload\.a is of type set"):
        to_json_value({"a": set()}, "payload")


def test_a_value_that_contains_itself_is_refused():
    """A cycle ends in a message, not in a full stack."""
    loop = {}
    loop["again"] = [loop]

    with pytest.raises(PayloadError, match="contains itself"):
        to_json_value(loop)


def test_deep_values_pass_up_to_the_limit():
    """Nesting is fine as long as a reader can follow it."""
    value = 1
    for _ in range(DEPTH_MAX):
        value = [value]

    assert value == to_json_value(value)
    with pytest.raises(PayloadError):
        to_json_value([value])


def test_nothing_is_shared():
    """The result has dicts and lists of its own."""
    inner = [1]
    converted = to_json_value({"a": inner})

    converted["a"].append(2)

    assert [1] == inner


def test_one_object_may_occur_twice():
    """The same list at two places is not a cycle."""
    inner = [1]

    assert {"a": [1], "b": [1]} == to_json_value({"a": inner, "b": inner})
