# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The difference of two records of the configuration, for imports and the chatter."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from ..services.masking import MASK

SHOWN = 200  # characters of one value


@dataclass(frozen=True)
class Step:
    """A field on the way to a change; of a list, also one of its records."""

    model: str
    field: str
    part: str = ""

    def __str__(self):
        return f"{self.field}[{self.part}]" if self.part else self.field

    def label(self, env):
        text = env[self.model]._fields[self.field]._description_string(env)
        return f'{text} "{self.part}"' if self.part else text


@dataclass(frozen=True)
class Change:
    """One difference: what is changed, new, only here, or in another order."""

    status: str
    path: tuple[Step, ...]
    old: Any = None
    new: Any = None

    def as_dict(self):
        path = ".".join(map(str, self.path))
        return {"path": path, "status": self.status, "old": self.old, "new": self.new}

    def below(self, step):
        return Change(self.status, (step, *self.path), self.old, self.new)

    def label(self, env):
        return ": ".join(step.label(env) for step in self.path)

    def texts(self, env):
        """The old and the new value, as shown to users."""
        step = self.path[-1]
        return (
            text_of(env, step.model, step.field, self.old),
            text_of(env, step.model, step.field, self.new),
        )


def text_of(env, model_name, name, value):
    """A value of the document, as shown to users."""
    known = env[model_name]._fields[name]
    if value is None or value == "":
        return ""
    if known.type == "boolean" and isinstance(value, bool):
        return env._("Yes") if value else env._("No")
    if known.type == "one2many":
        return _text_of_part(env, known.comodel_name, value)
    if known.type == "selection" and name != "target_model":
        value = dict(known._description_selection(env)).get(value, value)
    if isinstance(value, dict):
        value = " ".join(str(each) for each in value.values())
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _text_of_part(env, model_name, value):
    if isinstance(value, list):  # an order: the names of the records
        return ", ".join(map(str, value))
    fields = env[model_name]._fields
    found = []
    for name, each in value.items():
        if isinstance(each, list) and fields[name].type == "one2many":
            text = "; ".join(
                _text_of_part(env, fields[name].comodel_name, one) for one in each
            )
            text = text and f"({text})"
        else:
            text = text_of(env, model_name, name, each)
        if text and each not in (False, 0):
            found.append(f"{fields[name]._description_string(env)}: {text}")
    return ", ".join(found)


def by_key(before, after):
    """Pairs of parts with equal keys; of several, equal ones belong together."""
    groups = defaultdict(list)
    for node in before:
        groups[node.key()].append(node)
    left = []
    pairs = {}
    for node in after:
        equal = next(
            (each for each in groups[node.key()] if not compare(each, node)), None
        )
        if equal is None:
            left.append(node)
        else:
            groups[node.key()].remove(equal)
            pairs[id(node)] = equal
    for node in left:
        rest = groups[node.key()]
        pairs[id(node)] = rest.pop(0) if rest else None
    return _all_pairs(before, after, pairs)


def by_record(before, after):
    """Pairs of parts of the same record."""
    known = {node.record.id: node for node in before}
    return _all_pairs(
        before, after, {id(node): known.get(node.record.id) for node in after}
    )


def _all_pairs(before, after, pairs):
    used = {id(node) for node in pairs.values()}
    found = [(pairs[id(node)], node) for node in after]
    return found + [(node, None) for node in before if id(node) not in used]


def compare(before, after, pair=by_key):
    """What changes if `before` becomes `after`; what `after` doesn't name is kept.

    :param pair: which parts of both are the same
    """
    changes = []
    for name in after.values:
        if not _is_equal(before, after, name):
            step = Step(after.model, name)
            shown = before.shown(name), after.shown(name)
            changes.append(Change("changed", (step,), *shown))
    for name, parts in after.parts.items():
        pairs = pair(before.parts.get(name, []), parts)
        for old, new in pairs:
            step = Step(after.model, name, (old or new).label())
            if old is None:
                changes.append(Change("new", (step,), None, new.as_json()))
            elif new is None:
                changes.append(Change("only_here", (step,), old.as_json()))
            else:
                below = compare(old, new, pair)
                changes += [change.below(step) for change in below]
        changes += _order(Step(after.model, name), before.parts.get(name, []), pairs)
    return changes


def _is_equal(before, after, name):
    old, new = before.values.get(name), after.values[name]
    if new == MASK and name in (before.masked | after.masked):
        return bool(old)  # a credential that the document doesn't have
    # True is no 1: JSON tells them apart.
    return type(old) is type(new) and old == new


def _order(step, before, pairs):
    new = [old.label() for old, new in pairs if old is not None and new is not None]
    kept = {id(old) for old, new in pairs if old is not None and new is not None}
    places = [id(old) for old, new in pairs if id(old) in kept]
    if places == [id(node) for node in before if id(node) in kept]:
        return []
    old = [node.label() for node in before if id(node) in kept]
    return [Change("order", (step,), old, new)]
