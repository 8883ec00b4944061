# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Values that a record had: before a change as JSON, before its deletion with types."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime

from .jsonable import to_json_value


@dataclass(frozen=True)
class OldValues:
    """The values that a record had before it was changed.

    values: field -> JSON value; a field that wasn't written is missing
    is_known: False where nothing changed the record: a button, a schedule, a deletion
    is_new: the record was created, so no field had a value
    lang: language in which texts were read
    company_id: company in which values per company were read
    """

    values: dict = field(default_factory=dict)
    is_known: bool = True
    is_new: bool = False
    lang: str = ""
    company_id: int = 0

    def after(self, first):
        """These values, and before them those of an earlier change.

        :param first: `OldValues` of the earlier change in the same transaction, or None
        """
        if first is None or not first.is_known:
            return self
        return OldValues(
            values={**self.values, **first.values},
            is_new=first.is_new or self.is_new,
            lang=first.lang,
            company_id=first.company_id,
        )

    def changed(self, name, value, *, is_list=False):
        """Whether the field has another value now.

        :param value: the JSON value now
        :param is_list: ids, whose order says nothing
        """
        if self.is_new or not self.is_known:
            return True
        if name not in self.values:
            return False
        old = self.values[name]
        if is_list:
            return set(old or ()) != set(value or ())
        # JSON tells true from 1, Python doesn't.
        return json.dumps(old, sort_keys=True) != json.dumps(value, sort_keys=True)

    def change(self, name, value, *, is_list=False):
        """The entry of `changes` for a field: from and to, or added and removed ids."""
        old = None if self.is_new else self.values.get(name)
        if not is_list:
            return {"from": old, "to": value}
        old, new = list(old or ()), list(value or ())
        return {
            "added": [each for each in new if each not in old],
            "removed": [each for each in old if each not in new],
        }

    def to_dict(self):
        """As it is stored; `from_dict` is the inverse."""
        return {
            "values": self.values,
            "known": self.is_known,
            "new": self.is_new,
            "lang": self.lang,
            "company": self.company_id,
        }

    @classmethod
    def from_dict(cls, stored):
        return cls(
            values=stored.get("values") or {},
            is_known=bool(stored.get("known")),
            is_new=bool(stored.get("new")),
            lang=stored.get("lang") or "",
            company_id=stored.get("company") or 0,
        )


def encode_typed(value):
    """A value as JSON that `decode_typed` converts back, with dates and times."""
    if isinstance(value, list):
        return ["list", [encode_typed(each) for each in value]]
    if isinstance(value, datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    return ["value", to_json_value(value)]


def decode_typed(encoded):
    """The value that `encode_typed` was given."""
    kind, value = encoded
    if kind == "list":
        return [decode_typed(each) for each in value]
    if kind == "datetime":
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if kind == "date" else value
