# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dotted paths over declared fields of records, compiled once and read often.

A path never calls a method and never reads a name that starts with an underscore: it
follows fields that the model declares. A field limited to groups that the webhooks
administrator lacks is refused, since everything is read as superuser. Fields of this
addon's own records that operators may not see (secrets) are refused too: what is sent
is stored on the attempt, which operators can read.
"""

import difflib
import re

from ..services.errors import ConfigurationError, _lt
from ..services.paths import read_path
from .const import GROUP_ADMIN, GROUP_OPERATOR
from .field_value import read_field, value_converter

RELATIONAL = ("many2one", "one2many", "many2many")
NESTED = ("json", "serialized", "properties", "properties_definition")
# What may follow a dot: a field, or a key of JSON and properties, which may start with
# a digit and contain a dash.
_PART = re.compile(r"[^\W_][^\x00-\x1f(){}\[\]\"']*")
_INDEX_DIGITS = 9


def compile_field_path(env, model_name, expression):
    """A function `(record, empty=None) -> plain value` for one record of `model_name`.

    The table in `field_value` defines the values: an id for a relation to one record,
    always a list of ids for a relation to several; `empty` for a field without a value
    and for an empty relation on the path.
    :raise ConfigurationError: the path can't be read; names model, field, close matches
    """
    steps = _compile(env, model_name, expression.split("."), expression)
    if len(steps) == 1 and type(steps[0]) is _Scalar:
        return steps[0]
    *relations, last = steps
    if type(last) is _Scalar and all(map(_is_to_one, relations)):
        return _Chain(tuple(step.name for step in relations), last)
    return _Walk(steps, expression)


def check_syntax(expression):
    """Refuse what is invalid for any model: private names and empty parts."""
    for index, part in enumerate(expression.split(".")):
        valid = _PART.fullmatch(part) if index else part.isidentifier()
        valid = valid and not part.startswith("_")
        if not (valid or part.isdecimal() or part == "*"):
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": "%(part)s" is not a valid field name. Write '
                    "public field names, numbers or * between dots, as in "
                    "order_line.0.name."
                ),
                path=expression,
                part=part,
            )


def _compile(env, model_name, parts, expression):
    """The steps of a path: an int (index), "*", a relation or a last value."""
    check_syntax(expression)
    model = env.get(model_name)
    if model is None:
        raise ConfigurationError(
            _lt('path "%(path)s": model %(model)s isn\'t installed. Choose another.'),
            path=expression,
            model=model_name,
        )
    steps = []
    for index, part in enumerate(parts):
        if part == "*" or part.isdecimal():
            if not steps:
                raise ConfigurationError(
                    _lt(
                        'path "%(path)s" starts with "%(part)s". Start with a field '
                        "of %(model)s."
                    ),
                    path=expression,
                    part=part,
                    model=model_name,
                )
            steps.append("*" if part == "*" else _index(part, expression))
            continue
        field = _field(env, model, part, expression)
        if field.type in RELATIONAL:
            steps.append(_Relation(part, field.type != "many2one", expression))
            model = env[field.comodel_name]
            continue
        rest = parts[index + 1 :]
        if field.type == "reference":
            steps.append(_Reference(part, ".".join(rest), expression))
        elif rest and not is_nested(field):
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": field "%(field)s" of %(model)s holds a plain '
                    "value, so nothing can follow it. End the path there."
                ),
                path=expression,
                field=part,
                model=model._name,
            )
        else:
            steps.append(_Scalar(field, ".".join(rest), expression))
        break
    return tuple(steps)


def final_field(env, model_name, expression):
    """The field on which a valid path ends, before an index.

    None if it ends inside a value (JSON, properties) or behind a reference field.
    """
    model, field = env[model_name], None
    parts = expression.split(".")
    for position, part in enumerate(parts):
        if part == "*" or part.isdecimal():
            continue
        field = model._fields[part]
        if field.type not in RELATIONAL:
            return field if position == len(parts) - 1 else None
        model = env[field.comodel_name]
    return field


def compile_items(env, model_name, expression):
    """The items of the list at a path without `*`.

    :return: the model of the items, and a function `record -> records`; the model is
        None for a list inside a value (JSON, properties), and the function returns
        that value
    :raise ConfigurationError: the path can't be read, or doesn't end on a list
    """
    steps = _compile(env, model_name, expression.split("."), expression)
    last = steps[-1]
    field = final_field(env, model_name, expression)
    if type(last) is _Scalar and (field is None or is_nested(field)):
        return None, _Walk(steps, expression)
    if type(last) in (_Scalar, _Reference):
        raise ConfigurationError(
            _lt(
                "path \"%(path)s\" doesn't end on a list, so * can't follow it. End it "
                "on a relation, such as order_line."
            ),
            path=expression,
        )
    return field.comodel_name, _Records(steps, expression)


def is_nested(field):
    """True if a path may continue into the field's value, by keys and indexes.

    A computed binary field may contain a structure, as `tax_totals` does.
    """
    return field.type in NESTED or field.type == "binary" and not field.store


def _index(part, expression):
    if len(part) > _INDEX_DIGITS:
        raise ConfigurationError(
            _lt('path "%(path)s": the index %(part)s is too large. Count from 0.'),
            path=expression,
            part=part,
        )
    return int(part)


def _field(env, model, name, expression):
    field = model._fields.get(name)
    if field is None:
        matches = difflib.get_close_matches(name, _readable_names(env, model), n=3)
        if matches:
            template = _lt(
                'path "%(path)s": model %(model)s has no field "%(field)s". '
                "Did you mean %(matches)s?"
            )
        else:
            template = _lt(
                'path "%(path)s": model %(model)s has no field "%(field)s". '
                "Choose one of its fields."
            )
        raise ConfigurationError(
            template,
            path=expression,
            model=model._name,
            field=name,
            matches=", ".join(matches),
        )
    if not _readable(env, model, field):
        raise ConfigurationError(
            _lt(
                'path "%(path)s": field "%(field)s" of %(model)s is limited to groups '
                "that the readers of webhooks lack. Choose another field."
            ),
            path=expression,
            field=name,
            model=model._name,
        )
    return field


def _readable_names(env, model):
    return [
        name
        for name, field in model._fields.items()
        if not name.startswith("_") and _readable(env, model, field)
    ]


def _readable(env, model, field):
    """True if the group that can read sent data may read the field, too."""
    if not field.groups:
        return True
    ours = model._name.startswith("bwt.webhook.")
    held = _implied_groups(env, GROUP_OPERATOR if ours else GROUP_ADMIN)
    wanted = [name.strip() for name in field.groups.split(",")]
    refused = {name[1:] for name in wanted if name.startswith("!")}
    wanted = {name for name in wanted if not name.startswith("!")}
    return (not wanted or bool(wanted & held)) and not refused & held


def _implied_groups(env, name):
    """XML ids of the groups that a member of the group `name` has."""
    groups = env["res.groups"].sudo()
    group = env.ref(name, raise_if_not_found=False) or groups
    user = env.ref("base.group_user", raise_if_not_found=False) or groups
    held = (group | user).sudo().all_implied_ids | group | user
    return set(held.get_external_id().values())


class _Scalar:
    """Last step: one field's value as a plain value."""

    __slots__ = ("name", "convert", "rest", "path")

    def __init__(self, field, rest, path):
        self.name = field.name
        self.convert = value_converter(field)
        self.rest = rest
        self.path = path

    def __call__(self, record, empty=None):
        value = read_field(record, self.name, self.path)
        if self.convert is not None:
            value = self.convert(value, empty)
        if self.rest:
            value = read_path(value, self.rest)
            return empty if value is None else value
        return value


class _Relation:
    """A step to the records of a relation; `many`: its value is a list."""

    __slots__ = ("name", "many", "path")

    def __init__(self, name, many, path):
        self.name = name
        self.many = many
        self.path = path


class _Reference:
    """A reference field: its model is known only at run time."""

    __slots__ = ("name", "rest", "path")

    def __init__(self, name, rest, path):
        self.name = name
        self.rest = rest
        self.path = path

    def __call__(self, record, empty=None):
        target = read_field(record, self.name, self.path)
        if not target or not target.exists():
            return empty
        if not self.rest:
            return f"{target._name},{target.id}"
        return compile_field_path(target.env, target._name, self.rest)(target, empty)


class _Records:
    """Reads the records at the end of a path of relations and indexes."""

    __slots__ = ("steps", "expression")

    def __init__(self, steps, expression):
        self.steps = steps
        self.expression = expression

    def __call__(self, records):
        for step in self.steps:
            if type(step) is int:
                records = _at(records, step)
            elif len(records) > 1:
                raise several_records(self.expression, len(records), step.name)
            else:
                records = read_field(records, step.name, self.expression)
        return records


def _at(records, index):
    """One of the records, or none; a slice alone would lose the prefetch group."""
    return records[index : index + 1].with_prefetch(records._prefetch_ids)


def several_records(path, count, field):
    """The error of a path that reads a field of several records."""
    return ConfigurationError(
        _lt(
            'path "%(path)s": there are %(count)s records before '
            '"%(field)s". Write .0. for the first, .*. for all.'
        ),
        path=path,
        count=count,
        field=field,
    )


def _is_to_one(step):
    return type(step) is _Relation and not step.many


class _Chain:
    """Reads a value behind relations to one record each: the common path, in a loop."""

    __slots__ = ("names", "last")

    def __init__(self, names, last):
        self.names = names
        self.last = last

    def __call__(self, record, empty=None):
        for name in self.names:
            record = read_field(record, name, self.last.path)
            if not record:
                return empty
        return self.last(record, empty)


class _Walk:
    """Reads a path of several steps from one record."""

    __slots__ = ("steps", "expression")

    def __init__(self, steps, expression):
        self.steps = steps
        self.expression = expression

    def __call__(self, record, empty=None):
        return self._read(record, 0, False, empty)

    def _read(self, records, position, many, empty):
        """The value of the steps from `position`; `many`: the records are a list."""
        if position == len(self.steps):
            return records.ids if many else records.id or empty
        step = self.steps[position]
        position += 1
        if step == "*":
            return [self._read(each, position, False, empty) for each in records]
        if type(step) is int:
            return self._read(_at(records, step), position, False, empty)
        if len(records) > 1:
            raise several_records(self.expression, len(records), step.name)
        if type(step) is _Relation:
            found = read_field(records, step.name, self.expression)
            return self._read(found, position, step.many, empty)
        return step(records, empty) if records else empty
