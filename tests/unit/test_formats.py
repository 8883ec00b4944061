# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Formats: what a value becomes, and what is refused."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from services.errors import ConfigurationError
from services.formats import OMITTED, Format, check_field_type, compile_finish
from services.value_map import parse_value_map

NOON = datetime(2026, 11, 24, 12, 30, 5, 250000)


def written(value, kind, **options):
    return Format(kind, **options).compile(lambda html: html.upper())(value)


@pytest.mark.parametrize(
    "value, options, expected",
    [
        (10.5, {"places": 2, "as_text": True}, "10.50"),
        (10.5, {"places": 2}, 10.5),
        (2.675, {"places": 2}, 2.68),  # half up on the digits that are shown
        (1.005, {"places": 2, "as_text": True}, "1.01"),
        (-0.004, {"places": 2, "as_text": True}, "0.00"),
        (-2.5, {"places": 0}, -3),
        (7, {"places": 3, "as_text": True}, "7.000"),
        ("12.345", {"places": 1}, 12.3),
        (Decimal("0.5"), {"places": 0}, 1),
        (1e22, {"places": 0, "as_text": True}, "1" + "0" * 22),
        (1e300, {"places": 10, "as_text": True}, "1" + "0" * 300 + "." + "0" * 10),
    ],
)
def test_decimals(value, options, expected):
    """Rounded half up on the shown digits, so 2.675 isn't 2.67 as in binary."""
    result = written(value, "decimal", **options)

    assert (type(expected), expected) == (type(result), result)


@pytest.mark.parametrize(
    "value, kind, options, expected",
    [
        (2.5, "integer", {}, 3),
        ("7", "integer", {}, 7),
        (True, "integer", {}, 1),
        (2.0, "text", {}, "2.0"),
        (True, "text", {}, "true"),
        ({"a": 1}, "text", {}, '{"a": 1}'),
        (date(2026, 11, 24), "text", {}, "2026-11-24"),
        (NOON, "text", {}, "2026-11-24T12:30:05.250000Z"),
        ("Müster", "upper", {}, "MÜSTER"),
        ("MÜSTER", "lower", {}, "müster"),
        ("Müster & Söhne", "truncate", {"length": 6}, "Müster"),
        ("<p>a</p>", "plain_text", {}, "<P>A</P>"),
    ],
)
def test_numbers_and_texts(value, kind, options, expected):
    """Each format returns the type that its name says."""
    result = written(value, kind, **options)

    assert (type(expected), expected) == (type(result), result)


@pytest.mark.parametrize(
    "value, kind, options, expected",
    [
        (NOON, "date", {}, "2026-11-24"),
        (date(2026, 11, 24), "date", {"pattern": "dd.MM.yyyy"}, "24.11.2026"),
        ("2026-11-24", "date", {"pattern": "yyyyMMdd"}, "20261124"),
        (
            datetime(2026, 11, 24, 23, 30),
            "date",
            {"timezone": "Europe/Berlin"},
            "2026-11-25",
        ),
        (NOON, "datetime", {}, "2026-11-24T12:30:05Z"),
        (
            NOON,
            "datetime",
            {"timezone": "Europe/Berlin"},
            "2026-11-24T13:30:05+01:00",
        ),
        (
            NOON,
            "datetime",
            {"pattern": "yyyy-MM-dd HH:mm:ss.SSS"},
            "2026-11-24 12:30:05.250",
        ),
        (
            "2026-07-01T10:00:00Z",
            "datetime",
            {"pattern": "HH:mm", "timezone": "Europe/Berlin"},
            "12:00",
        ),
        (
            datetime(2026, 11, 24, 14, tzinfo=timezone(timedelta(hours=2))),
            "datetime",
            {},
            "2026-11-24T12:00:00Z",
        ),
        (
            date(2026, 7, 1),
            "datetime",
            {"timezone": "Europe/Berlin"},
            "2026-07-01T00:00:00+02:00",
        ),
        (NOON, "date", {"pattern": "EEE d. MMMM", "language": "de_DE"}, "Di. 24. N"),
        (NOON, "date", {"pattern": "YYYY-'W'ww"}, "2026-W48"),
        (NOON, "timestamp", {}, 1795523405),
        (NOON, "timestamp", {"unit": "milliseconds"}, 1795523405250),
        (date(1970, 1, 2), "timestamp", {}, 86400),
        (datetime(1969, 12, 31, 23, 59, 59, 1), "timestamp", {}, -1),
    ],
)
def test_dates_and_times(value, kind, options, expected):
    """A naive time is UTC, as Odoo stores it; a pattern is that of UTS 35."""
    result = written(value, kind, **options)

    if isinstance(expected, str):
        result = result[: len(expected)]
    assert expected == result


@pytest.mark.parametrize(
    "value, kind, options",
    [
        ("abc", "decimal", {}),
        ("nan", "decimal", {}),
        ("1_000", "integer", {}),
        (float("inf"), "decimal", {}),
        (True, "decimal", {}),
        ("1e999", "integer", {}),
        ([1], "decimal", {}),
        (5, "date", {}),
        ("tomorrow", "datetime", {}),
        ("2026-13-01", "date", {}),
        ("2026-11-24 99:00", "timestamp", {}),
        (date.max, "timestamp", {"timezone": "America/New_York"}),
        (5, "upper", {}),
        (False, "truncate", {"length": 2}),
    ],
)
def test_a_value_that_does_not_fit(value, kind, options):
    """It is refused by name, so that the operator finds the record."""
    if value == date.max:
        value = datetime.max.replace(tzinfo=timezone(timedelta(hours=-23)))
    with pytest.raises(ConfigurationError, match=f'format "{kind}" doesn\'t fit'):
        written(value, kind, **options)


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("decimal", {"places": 11}, "11 decimal places are not possible"),
        ("decimal", {"places": -1}, "-1 decimal places"),
        ("truncate", {}, "the length 0 keeps nothing"),
        ("date", {"pattern": "YYYY-MM-DD"}, 'pattern "YYYY-MM-DD" is not valid'),
        ("date", {"pattern": "HH:mm"}, 'pattern "HH:mm" is not valid'),
        ("date", {"pattern": "%Y-%m"}, "is not valid"),
        ("date", {"pattern": "YYYY"}, "is not valid"),
        ("date", {"pattern": "'x'"}, "is not valid"),
        ("datetime", {"pattern": "yyyy 'T"}, "is not valid"),
        ("datetime", {"pattern": "MMMMMMM"}, "is not valid"),
        ("datetime", {"pattern": "yyyy-MM-ddTHH:mm"}, "between single quotes"),
        ("date", {"timezone": "Europe/Berln"}, "such as Europe/Berlin"),
        ("timestamp", {"timezone": "Mars"}, 'time zone "Mars" is not known'),
        ("datetime", {"timezone": "../etc"}, "is not known"),
    ],
)
def test_invalid_options(kind, options, message):
    """An invalid option is refused before any value is known."""
    with pytest.raises(ConfigurationError, match=message):
        Format(kind, **options).check()


@pytest.mark.parametrize(
    "kind, fits, misfits",
    [
        ("label", "selection", "char"),
        ("date", "datetime", "integer"),
        ("decimal", "monetary", "many2one"),
        ("name", "many2many", "char"),
        ("upper", "char", "float"),
        ("text", "many2one", None),
    ],
)
def test_types_of_fields(kind, fits, misfits):
    """A format that can't fit any value of a field is refused."""
    check_field_type(kind, fits, "a.b")
    if misfits:
        with pytest.raises(ConfigurationError, match=f"a field of type {misfits}"):
            check_field_type(kind, misfits, "a.b")


@pytest.mark.parametrize(
    "if_empty, expected",
    [(None, "D"), ("null", None), ("blank", ""), ("omit", OMITTED)],
)
@pytest.mark.parametrize("value", [None, ""])
def test_empty_values(if_empty, expected, value):
    """Empty is null and the empty text, before the format sees it."""
    finish = compile_finish(None, if_empty, Format("upper").compile())

    assert expected == finish(value, "D")


def test_false_and_zero_are_values():
    """A boolean and a zero are never empty: the receiver would take it for unset."""
    finish = compile_finish(None, "error")

    assert [False, 0, 0.0] == [finish(each, None) for each in (False, 0, 0.0)]
    with pytest.raises(ConfigurationError, match="the value is empty"):
        finish(None, None)


def test_order_and_lists():
    """Value map, then empty value, then format; for each item of a list."""
    value_map = parse_value_map("a = b\nz =\n")

    finish = compile_finish(value_map, "omit", Format("upper").compile())

    assert ["B", "C", ["B"]] == finish(["a", "z", "c", None, ["a"]], None)
