# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which rules build one list, and what is refused."""

import pytest

from services.errors import ConfigurationError
from services.payload_lists import (
    PayloadList,
    RuleOfPayload,
    check_lists,
    group_rules,
    leaves,
    rule_of,
)


def rules(*given, kind="record_field"):
    """Rules from (target, path) or (target, path, kind)."""
    made = []
    for target, path, *other in given:
        made.append(
            RuleOfPayload(target, other[0] if other else kind, path, target, len(made))
        )
    return made


def shape(grouped):
    """Nested tuples: (target, depth, path) of a value, (target, path, [...])."""
    return [
        (each.target, each.path, shape(each.values))
        if isinstance(each, PayloadList)
        else (each.target, each.depth, each.path)
        for each in grouped
    ]


def test_rules_below_one_star_build_one_list():
    """The list is at the place of its first rule; constants go into each item."""
    grouped = group_rules(
        rules(
            ("order.number", "name"),
            ("order.lines.*.sku", "order_line.*.product_id.code"),
            ("order.date", "date"),
            ("order.lines.*.kind", "x", "literal"),
            ("order.lines.*.order", "name"),
            ("order.lines.*.tax", "order_line.*.tax_ids.*.name"),
        )
    )

    assert shape(grouped) == [
        ("order.number", 0, ""),
        (
            "order.lines",
            "order_line",
            [
                ("sku", 1, "product_id.code"),
                ("kind", 0, ""),
                ("order", 0, ""),
                ("tax", 1, "tax_ids.*.name"),
            ],
        ),
        ("order.date", 0, ""),
    ]


def test_lists_in_lists_pair_from_left_to_right():
    """The second `*` continues from the item of the first."""
    grouped = group_rules(
        rules(
            ("*.name", "child_ids.*.name"),
            ("*.banks.*.number", "child_ids.*.bank_ids.*.acc_number"),
            ("*.banks.*.owner", "child_ids.*.name"),
            ("*.banks.*.root", "name"),
            ("*.tags.*", "child_ids.*.category_id.*.name"),
        )
    )

    banks = [("number", 2, "acc_number"), ("owner", 1, "name"), ("root", 0, "")]
    assert shape(grouped) == [
        (
            "",
            "child_ids",
            [
                ("name", 1, "name"),
                ("banks", "bank_ids", banks),
                ("tags", "category_id", [("", 2, "name")]),
            ],
        )
    ]


def test_a_list_rule_selects_for_the_rules_below_it():
    """At any place; without others it sends the records themselves."""
    below = group_rules(
        rules(("a.*.x", "child_ids.*.name"), ("a", "child_ids", "list"))
    )
    alone = group_rules(rules(("a", "child_ids", "list")))

    assert shape(below) == [("a", "child_ids", [("x", 1, "name")])]
    assert below[0].source.target == "a"
    assert shape(alone) == [("a", "child_ids", [("", 1, "")])]
    assert [each.rule for each in below[0].rules()] == [1, 0]


def test_a_star_without_a_partner_writes_into_what_is_there():
    """The payload given when queueing may have the list; an action has none."""
    given = rules(("a.*.x", "5", "literal"), ("a.*.y", "name"), ("b", "c.*.d"))

    assert shape(group_rules(given)) == [
        ("a.*.x", 0, ""),
        ("a.*.y", 0, ""),
        ("b", 0, ""),
    ]
    with pytest.raises(ConfigurationError, match='"a.[*]" is a list without a source'):
        check_lists(given, must_pair=True)
    check_lists(given)


@pytest.mark.parametrize(
    "given, message",
    [
        (
            [("a.*.x", "child_ids.*.name"), ("a.*.y", "bank_ids.*.name")],
            r'a\.\*\.x reads "child_ids.\*.name", a\.\*\.y reads "bank_ids.\*.name"',
        ),
        (
            [("a.*.x", "lines.*.name"), ("a.*.y", "lines.*.name", "context_key")],
            "can't be read from two places",
        ),
        (
            [("a", "child_ids", "list"), ("a.*.y", "bank_ids.*.name")],
            r'a reads "child_ids.\*"',
        ),
        (
            [("a", "child_ids", "list"), ("a", "child_ids", "list")],
            "has two rules of kind List of Records",
        ),
        (
            [
                ("a.*.b.*.x", "child_ids.*.bank_ids.*.name"),
                ("a.*.b.*.y", "child_ids.*.category_id.*.name"),
            ],
            "can't be read from two places",
        ),
        (
            [("a.*.x", "child_ids.*.name"), ("a.*.b", "child_ids", "list")],
            "has too few",
        ),
    ],
)
def test_rules_that_do_not_fit_together(given, message):
    """Both rules are named, so that the reader knows which to change."""
    with pytest.raises(ConfigurationError, match=message):
        check_lists(rules(*given))


def test_which_rule_wrote_a_value():
    """The last that matches, as rules are applied; a selection only if alone."""
    given = rules(
        ("a", "x"), ("a.*.b", "y.*.z"), ("a.0.b", "w"), ("a", "y", "list"), ("c", "c")
    )
    payload = {"a": [{"b": 1, "d": 2}, {"b": 3}], "c": [], "e": 4}

    found = {
        ".".join(path): (rule_of(path, given) or given[0]).rule
        for path, _value in leaves(payload)
    }

    assert found == {"a.0.b": 2, "a.0.d": 0, "a.1.b": 1, "c": 4, "e": 0}
    assert rule_of(("e",), given) is None
