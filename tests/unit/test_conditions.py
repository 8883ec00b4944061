# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Conditions."""

from decimal import Decimal

import pytest

from services.conditions import OPERATORS, evaluate_condition
from services.errors import ConfigurationError, UnsupportedOperator


@pytest.mark.parametrize(
    "actual, operator, expected, holds",
    [
        ("sale", "equals", "sale", True),
        ("sale", "equals", "Sale", False),
        (10, "equals", "10", True),
        (10.0, "equals", "10", True),
        (149.99, "equals", "149.99", True),
        (Decimal("1.50"), "equals", "1.5", True),
        ("007", "equals", "7", False),
        ("10", "equals", 10, True),
        (None, "equals", "", True),
        (False, "equals", False, True),
        (False, "equals", "", True),
        (None, "equals", "False", False),
        (False, "equals", "false", True),
        (True, "equals", "True", True),
        (True, "equals", "true", True),
        (True, "equals", "false", False),
        (0, "equals", "", False),
        ("a", "not_equals", "b", True),
        (3, "not_equals", "3", False),
        ([], "equals", "[]", True),
        (None, "is_set", None, False),
        (False, "is_set", None, False),
        ("", "is_set", None, False),
        (0, "is_set", None, False),
        (0.0, "is_set", None, False),
        ([], "is_set", None, False),
        ("0", "is_set", None, True),
        (5, "is_set", None, True),
        ("", "not_set", None, True),
        (5, "not_set", None, False),
        ("webhook", "contains", "hook", True),
        (None, "contains", "x", False),
        (1234, "contains", "23", True),
        ([1, 12], "contains", "2", False),
        ([1, 12], "contains", "12", True),
        ({"a": 1}, "contains", "a", True),
        ("b", "in", "a, b ,c", True),
        ("b", "in", '["a", "b"]', True),
        (2, "in", "[1, 2]", True),
        (2, "in", "1,2", True),
        (2, "in", "2", True),
        ("d", "in", "a,b", False),
        ("", "in", "a,b", False),
        ([3, 4], "in", "4,5", True),
        ("d", "not_in", "a,b", True),
        ("a", "not_in", ["a"], False),
        ("10", "greater", 9, True),
        ("10", "greater", "9", True),
        (9, "greater", "10", False),
        (5, "greater", "5", False),
        (-1, "less", "0", True),
        ("1e3", "greater", "999.5", True),
        ("2024-05-02", "greater", "2024-05-01", True),
        ("abc", "greater", "9", False),
        (None, "less", "5", False),
        ("", "less", "b", False),
        (float("nan"), "greater", "1", False),
        ("SO123", "starts_with", "SO", True),
        (False, "starts_with", "F", False),
        ("SO123", "matches", r"^SO\d+$", True),
        ("XSO123", "matches", r"^SO", False),
        ("an SO123", "matches", r"SO\d", True),
        (None, "matches", "^$", True),
    ],
)
def test_conditions(actual, operator, expected, holds):
    """Texts compare as texts, numbers as numbers, None and False are empty text."""
    assert evaluate_condition(actual, operator, expected) is holds


def test_unknown_operator():
    """An operator that doesn't exist is named and the known ones are offered."""
    with pytest.raises(UnsupportedOperator, match="starts_with") as caught:
        evaluate_condition("a", "like", "b")

    assert "like" == caught.value.operator


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a" * 501])
def test_bad_patterns_are_refused(pattern):
    """A pattern that is none, or a huge one, is a fault of the rule."""
    with pytest.raises(ConfigurationError, match="regular expression"):
        evaluate_condition("a", "matches", pattern)


def test_long_texts_are_not_matched():
    """A pattern can't hold a worker over megabytes of text."""
    with pytest.raises(ConfigurationError, match="too long"):
        evaluate_condition("a" * 10_001, "matches", "a")


def test_operators_are_those_of_the_design():
    """All documented operators exist, the family's five first."""
    assert OPERATORS == (
        "equals",
        "not_equals",
        "is_set",
        "not_set",
        "contains",
        "in",
        "not_in",
        "greater",
        "less",
        "starts_with",
        "matches",
    )
