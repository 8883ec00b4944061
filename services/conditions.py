# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Conditions of handler rules: does a value meet an expectation?"""

import json
import re
from decimal import Decimal
from functools import lru_cache

from .errors import ConfigurationError, UnsupportedOperator, _lt
from .values import json_serialize_value, to_json_value

PATTERN_MAX = 500
MATCHED_MAX = 10_000

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


def evaluate_condition(actual, operator, expected):
    """Whether `actual` meets `expected` under `operator` (one of `OPERATORS`).

    Values compare as texts, None and False as empty text; a number compares as a number
    with another one, or with a text that is a number; true and false match these words
    in any case. For `is_set` and `not_set` the values False, None, 0, empty text and
    empty lists are not set. A list contains its items; it is `in` a set if any of its
    items is. Raises UnsupportedOperator, and ConfigurationError for an invalid pattern.
    """
    compare = _COMPARISONS.get(operator)
    if compare is None:
        raise UnsupportedOperator(
            _lt('condition operator "%(operator)s" doesn\'t exist. Use: %(known)s.'),
            operator=operator,
            known=", ".join(OPERATORS),
        )
    return compare(actual, expected)


def _equals(actual, expected):
    if isinstance(actual, bool) and _lower_text(expected) == str(actual).lower():
        return True
    if _is_number(actual) or _is_number(expected):
        left, right = _number(actual), _number(expected)
        if left is not None and right is not None:
            return left == right
    return _text(actual) == _text(expected)


def _lower_text(expected):
    return expected.strip().lower() if isinstance(expected, str) else None


def _contains(actual, expected):
    if isinstance(actual, list | tuple):
        return any(_equals(item, expected) for item in actual)
    if isinstance(actual, dict):
        return _text(expected) in actual
    return _text(expected) in _text(actual)


def _in(actual, expected):
    if isinstance(actual, list | tuple):
        return any(_in(item, expected) for item in actual)
    choices = _choices(expected) if isinstance(expected, str) else expected
    if not isinstance(choices, list | tuple):
        choices = (choices,)
    return any(_equals(actual, choice) for choice in choices)


@lru_cache(maxsize=512)
def _choices(text):
    """The items of a JSON list, else the parts between commas."""
    try:
        choices = json.loads(text)
    except (ValueError, RecursionError):
        choices = None
    if isinstance(choices, list):
        return tuple(choices)
    return tuple(part.strip() for part in text.split(","))


def _order(actual, expected):
    """Negative, 0 or positive as `actual` compares to `expected`; None if unordered."""
    left, right = _number(actual), _number(expected)
    if left is None and right is None:
        left, right = _text(actual), _text(expected)
        if not left or not right:
            return None
    elif left is None or right is None:
        return None
    return (left > right) - (left < right)


def _matches(actual, expected):
    text = _text(actual)
    pattern = _pattern(_text(expected))
    if len(text) > MATCHED_MAX:
        raise ConfigurationError(
            _lt(
                "a text of %(length)s characters is too long for a regular expression"
                " (at most %(most)s). Use contains or starts_with."
            ),
            length=len(text),
            most=MATCHED_MAX,
        )
    return pattern.search(text) is not None


@lru_cache(maxsize=512)
def _pattern(text):
    if len(text) > PATTERN_MAX:
        raise ConfigurationError(
            _lt(
                "the regular expression has %(length)s characters."
                " Use one of at most %(most)s."
            ),
            length=len(text),
            most=PATTERN_MAX,
        )
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            _lt(
                '"%(pattern)s" is not a valid regular expression: %(error)s. '
                "Correct the pattern."
            ),
            pattern=text,
            error=str(error),
        ) from None


def _is_number(value):
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value):
    """`value` as a Decimal if it is a number or reads as one, else None."""
    if _is_number(value):
        number = Decimal(float.__repr__(value) if isinstance(value, float) else value)
        return number if number.is_finite() else None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    return None


def _text(value):
    if isinstance(value, str):
        return value
    if value is None or value is False:
        return ""
    if isinstance(value, dict | list | tuple):
        return json_serialize_value(to_json_value(value))
    return str(value)


_COMPARISONS = {
    "equals": _equals,
    "not_equals": lambda actual, expected: not _equals(actual, expected),
    "is_set": lambda actual, expected: bool(actual),
    "not_set": lambda actual, expected: not actual,
    "contains": _contains,
    "in": _in,
    "not_in": lambda actual, expected: not _in(actual, expected),
    "greater": lambda actual, expected: (_order(actual, expected) or 0) > 0,
    "less": lambda actual, expected: (_order(actual, expected) or 0) < 0,
    "starts_with": lambda actual, expected: _text(actual).startswith(_text(expected)),
    "matches": _matches,
}

OPERATORS = tuple(_COMPARISONS)
