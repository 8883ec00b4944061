# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Convert Python values to values that JSON can represent."""

import base64
import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal

from .errors import PayloadError, _lt
from .frozen import FrozenDict, FrozenList

DEPTH_MAX = 200
_PATH_SHOWN = 80


def to_json_value(value, path=""):
    """`value` converted to JSON types, in new dicts and lists.

    Dates become ISO 8601 (naive datetimes are UTC, written with `Z`), bytes base64
    text, Decimal a number, tuples lists, keys that are numbers text.
    `path` is the location of the value in the caller's data.
    Raises PayloadError naming the path of what JSON can't represent: other types, NaN,
    infinity, a value that contains itself.
    """
    try:
        return _convert(value, 0)
    except _Misfit as misfit:
        keys = [path, *reversed(misfit.keys)] if path else misfit.keys[::-1]
        where = ".".join(map(str, keys))
        if len(where) > _PATH_SHOWN:
            where = where[:_PATH_SHOWN] + "..."
        raise PayloadError(
            misfit.template, path=where or "payload", **misfit.values
        ) from None


class _Misfit(PayloadError):
    """Collects the path of a bad value as it propagates; good values cost nothing."""

    def __init__(self, template, /, **values):
        super().__init__(template, **values)
        self.keys = []


def _convert(value, depth):
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool:
        return value
    if kind is dict or kind is FrozenDict:
        return _convert_mapping(value, depth)
    if kind is list or kind is tuple or kind is FrozenList:
        return _convert_list(value, depth)
    if kind is float:
        return _finite(value)
    return _convert_rare(value, depth)


def _convert_mapping(value, depth):
    _check_depth(depth)
    result = {}
    for key, item in value.items():
        kind = type(item)
        if kind is str or kind is int or item is None or kind is bool:
            result[key if type(key) is str else _key(key)] = item
            continue
        try:
            converted = _convert(item, depth + 1)
        except _Misfit as misfit:
            misfit.keys.append(key)
            raise
        result[key if type(key) is str else _key(key)] = converted
    if len(result) < len(value):
        raise _Misfit(
            _lt(
                "two keys of %(path)s are the same as text."
                " Use each key once, as text or as number."
            )
        )
    return result


def _convert_list(value, depth):
    _check_depth(depth)
    result = []
    for item in value:
        try:
            result.append(_convert(item, depth + 1))
        except _Misfit as misfit:
            misfit.keys.append(len(result))
            raise
    return result


def _convert_rare(value, depth):
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value))
    if isinstance(value, datetime):
        return _datetime_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, Decimal):
        return _decimal_number(value)
    if isinstance(value, Mapping):
        return _convert_mapping(value, depth)
    if isinstance(value, list | tuple):
        return _convert_list(value, depth)
    raise _Misfit(
        _lt(
            "%(path)s is of type %(type)s, which JSON can't represent. Give text, "
            "numbers, booleans, dates, lists or mappings."
        ),
        type=type(value).__name__,
    )


def _check_depth(depth):
    if depth >= DEPTH_MAX:
        raise _Misfit(
            _lt(
                "%(path)s contains itself or is nested deeper than %(limit)s levels."
                " Give plain values instead."
            ),
            limit=DEPTH_MAX,
        )


def _finite(number):
    if math.isfinite(number):
        return number
    raise _Misfit(
        _lt(
            "%(path)s is %(number)s, which is not a valid number in JSON. Give a "
            "finite number."
        ),
        number=str(number),
    )


def _key(key):
    """Text of a mapping's key, as `json.dumps` converts it."""
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float) and math.isfinite(key):
        return float.__repr__(key)
    if isinstance(key, date):
        return _datetime_text(key) if isinstance(key, datetime) else key.isoformat()
    raise _Misfit(
        _lt(
            "a key of %(path)s is of type %(type)s, which JSON can't represent. "
            "Use text or numbers as keys."
        ),
        type=type(key).__name__,
    )


def _datetime_text(value):
    if value.tzinfo is None:
        return value.isoformat() + "Z"
    try:
        return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:  # the first and last day of the calendar
        return value.isoformat()


def _decimal_number(value):
    if not value.is_finite():
        return _finite(float("nan"))  # a signaling NaN can't be converted
    if value.as_tuple().exponent >= 0 and value.adjusted() < 300:
        return int(value)
    return _finite(float(value))
