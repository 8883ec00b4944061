# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dotted paths over declared fields of records, compiled once and read often.

A path never calls a method and never reads what starts with an underscore: it walks
fields that the model declares. A field limited to groups that the webhooks
administrator lacks is refused, since everything is read as superuser. Fields of this
addon's own records that operators may not see (secrets) are refused too: what is sent
stands on the attempt, which operators read.
"""

import base64
import difflib

from odoo import models

from ..services.errors import ConfigurationError, _lt
from ..services.paths import read_path
from .const import GROUP_ADMIN, GROUP_OPERATOR

RELATIONAL = ("many2one", "one2many", "many2many")
NESTED = ("json", "properties")


def compile_field_path(env, model_name, expression):
    """A function that reads `expression` from one record of `model_name`.

    The function gives plain values: an id for a relation to one record, a list of ids
    for one to several or none, False for what is empty on the way.
    :raise ConfigurationError: the path can't be read; names model, field, close matches
    """
    steps = _compile(env, model_name, expression.split("."), expression)
    if len(steps) == 1 and type(steps[0]) is _Scalar:
        return steps[0]
    return _Walk(steps, expression)


def check_syntax(expression):
    """Refuse what no model can make valid: private names and empty parts."""
    for part in expression.split("."):
        if part.startswith("_") or not (part.isidentifier() or part == "*"):
            if not part.isdecimal():
                raise ConfigurationError(
                    _lt(
                        'path "%(path)s": "%(part)s" is no field name. Write public '
                        "field names, numbers or * between dots, as in "
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
            steps.append("*" if part == "*" else int(part))
            continue
        field = _field(env, model, part, expression)
        if field.type in RELATIONAL:
            steps.append(_Relation(part))
            model = env[field.comodel_name]
            continue
        rest = parts[index + 1 :]
        if field.type == "reference":
            steps.append(_Reference(part, ".".join(rest)))
        elif rest and field.type not in NESTED:
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
            steps.append(_Scalar(part, field.type, ".".join(rest)))
        break
    return tuple(steps)


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
    """True when the group that reads what is sent may read the field, too."""
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

    __slots__ = ("name", "convert", "rest")

    def __init__(self, name, kind, rest):
        self.name = name
        self.rest = rest
        self.convert = {"binary": _bytes, "properties": _properties}.get(kind)

    def __call__(self, record):
        value = record[self.name]
        if value and self.convert:
            value = self.convert(value)
        if value and self.rest:
            return read_path(value, self.rest)
        return value


class _Relation:
    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name


class _Reference:
    """A reference field: which model it leads to is known at run time only."""

    __slots__ = ("name", "rest")

    def __init__(self, name, rest):
        self.name = name
        self.rest = rest

    def __call__(self, record):
        target = record[self.name]
        if not target:
            return False
        if not self.rest:
            return f"{target._name},{target.id}"
        return compile_field_path(target.env, target._name, self.rest)(target)


class _Walk:
    """Reads a path of several steps from one record."""

    __slots__ = ("steps", "expression")

    def __init__(self, steps, expression):
        self.steps = steps
        self.expression = expression

    def __call__(self, record):
        return self._read(record, 0)

    def _read(self, records, position):
        if position == len(self.steps):
            return records.id if len(records) == 1 else records.ids
        step = self.steps[position]
        if step == "*":
            return [self._read(each, position + 1) for each in records]
        if type(step) is int:
            records = records[step : step + 1]
            return self._read(records, position + 1) if records else False
        if not records:
            return False
        if len(records) > 1:
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": there are %(count)s records before '
                    '"%(field)s". Say which: .0. for the first, .*. for all.'
                ),
                path=self.expression,
                count=len(records),
                field=step.name,
            )
        if type(step) is _Relation:
            return self._read(records[step.name], position + 1)
        return step(records)


def _bytes(value):
    """Odoo reads a binary field as base64; the plain bytes are encoded on the way."""
    return base64.b64decode(value)


def _properties(value):
    return {
        name: (each.id if len(each) == 1 else each.ids)
        if isinstance(each, models.BaseModel)
        else each
        for name, each in dict(value).items()
    }
