# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What changed in a record."""

import json
from datetime import date, datetime

import pytest

from services.changes import OldValues, decode_typed, encode_typed


@pytest.mark.parametrize(
    "old, new, is_list, changed",
    [
        ("a", "a", False, False),
        ("a", "b", False, True),
        (None, "a", False, True),
        (None, None, False, False),
        (1, True, False, True),
        (0, False, False, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False, False),
        ([1, 2], [2, 1], True, False),
        ([1, 2], [1], True, True),
        (None, [], True, False),
    ],
)
def test_a_change_is_another_value(old, new, is_list, changed):
    """Writing the same value again is not a change, nor is another order of ids."""
    values = OldValues({"field": old})

    assert values.changed("field", new, is_list=is_list) is changed


def test_what_was_not_written_did_not_change():
    """Otherwise each save would be sent."""
    assert not OldValues({"other": 1}).changed("field", 2)


@pytest.mark.parametrize("values", [OldValues(is_new=True), OldValues(is_known=False)])
def test_without_an_old_value_everything_changed(values):
    """A new record, and a run that no change started, are sent."""
    assert values.changed("field", None)


def test_the_first_old_value_is_kept():
    """Of several changes in a transaction, the receiver knows the state before all."""
    first = OldValues({"name": "One"}, lang="de_DE", company_id=3)
    second = OldValues({"name": "Two", "ref": None}, lang="fr_FR", company_id=4)

    merged = second.after(first)

    assert merged.values == {"name": "One", "ref": None}
    assert (merged.lang, merged.company_id) == ("de_DE", 3)
    assert not merged.changed("name", "One")
    assert second.after(None) is second


def test_a_new_record_stays_new():
    """A write that follows a creation in one transaction has no old value."""
    merged = OldValues({"name": "One"}).after(OldValues(is_new=True))

    assert merged.is_new
    assert merged.change("name", "Two") == {"from": None, "to": "Two"}


def test_ids_are_added_and_removed():
    """Of a relation to several records, the receiver gets the difference."""
    values = OldValues({"tags": [1, 2, 3]})

    assert values.change("tags", [3, 4], is_list=True) == {
        "added": [4],
        "removed": [1, 2],
    }


def test_it_is_stored_and_read():
    """It survives the transaction, for a delivery that is built again."""
    values = OldValues({"a": [1]}, is_new=True, lang="de_DE", company_id=2)

    stored = json.loads(json.dumps(values.to_dict()))

    assert OldValues.from_dict(stored) == values


@pytest.mark.parametrize(
    "value",
    [
        None,
        False,
        1.5,
        "2026-11-24",
        date(2026, 11, 24),
        datetime(2026, 11, 24, 10, 0, 1),
        [date(2026, 11, 24), None, [1]],
        {"a": [1, None]},
    ],
)
def test_values_of_a_deleted_record_keep_their_type(value):
    """A format of a date must find a date, and a text that looks like one a text."""
    found = decode_typed(json.loads(json.dumps(encode_typed(value))))

    assert found == value
    assert type(found) is type(value)
