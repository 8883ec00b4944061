# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Convert field values to values of a request.

One table for every way to read a field: rules, conditions, context lines, server
actions, payloads of records. `empty` is the value of an empty field (None, or
False if the endpoint is set so).

| field | value |
|---|---|
| boolean, integer, float, monetary | the value, also false and 0 |
| one2many, many2many | list of ids, also of one record or none |
| many2one, many2one reference | id, else `empty` |
| char, text, html, selection, date, datetime | the value, else `empty` |
| reference | `model,id`; `empty` also when the record was deleted |
| binary, image | base64 of the content, else `empty`; a structure as JSON |
| json | the value, else `empty` |
| properties | name -> value, each as a field of its type |

Dates and times stay unchanged: `to_json_value` converts them.
"""

import base64
import binascii
from collections.abc import Mapping

import psycopg2

from odoo import fields, models
from odoo.exceptions import ConcurrencyError
from odoo.tools.translate import LazyGettext

from ..services.errors import ConfigurationError, _lt

# Callers retry these: a message instead would make a temporary failure permanent.
RETRIED_ERRORS = (psycopg2.Error, ConcurrencyError, MemoryError)
_NUMBERS = frozenset({"boolean", "integer", "float", "monetary"})
# Fields of ir.attachment with the content itself; all others contain base64 of it.
_CONTENT = frozenset({"raw", "db_datas"})
_MESSAGE_MAX = 200


def read_field(record, name, path):
    """`record[name]`; a field that can't be computed raises a message.

    :param path: the path that leads to the field, for the message
    :raise ConfigurationError: names path, field, record and the reason
    """
    try:
        return record[name]
    except RETRIED_ERRORS:
        raise
    except Exception:
        return _read_alone(record, name, path)


def _read_alone(record, name, path):
    """Without the other records of the batch, one of which may cause the error."""
    try:
        return record.with_prefetch()[name]
    except RETRIED_ERRORS:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            _lt(
                'path "%(path)s": field "%(field)s" of %(model)s can\'t be read '
                "(record %(id)s). %(reason)s. Correct the record, or choose another "
                "field."
            ),
            path=path,
            field=name,
            model=record._name,
            id=record.id or "-",
            reason=reason[:_MESSAGE_MAX].rstrip(". "),
        ) from error


def value_converter(field):
    """A function `(value, empty) -> plain value`; None if the value is unchanged.

    Relations and references are read by the steps of a path.
    """
    kind = field.type
    if kind in _NUMBERS:
        return None
    if kind == "binary":
        return _content if _holds_content(field) else _binary
    return _CONVERTERS.get(kind, _plain)


def _plain(value, empty):
    return value or empty


def _holds_content(field):
    while field.related_field is not None:
        field = field.related_field
    return field.model_name == "ir.attachment" and field.name in _CONTENT


def _content(value, empty):
    return base64.b64encode(value).decode("ascii") if value else empty


def _binary(value, empty):
    """Base64 of the content, from base64 as Odoo stores it or from plain bytes."""
    if value is None or value is False:
        return empty
    if not isinstance(value, bytes | bytearray | memoryview):
        return _structure(value, empty)
    value = bytes(value)
    text = value.translate(None, b"\r\n")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return _content(value, empty)
    return text.decode("ascii") or empty


def _structure(value, empty):
    """A computed value of dicts and lists, with records as their ids."""
    if isinstance(value, models.BaseModel):
        return value.ids
    if isinstance(value, Mapping):
        return {key: _structure(each, empty) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_structure(each, empty) for each in value]
    if isinstance(value, LazyGettext):
        return str(value)
    return value


def _nested(value, empty):
    return _structure(value, empty) if value else empty


def _properties(value, empty):
    """Every property of the record's definition, set or not."""
    if not isinstance(value, Mapping):
        return empty
    field, record = value.field, value.record
    found = field.convert_to_read(value, record, use_display_name=False)
    return {
        each["name"]: _property(each.get("type"), each.get("value"), empty)
        for each in found
        if each.get("type") != "separator"
    } or empty


def _property(kind, value, empty):
    if kind == "boolean":
        return bool(value)
    if kind in _NUMBERS:
        return value or 0
    if kind in ("many2many", "tags"):
        return list(value or ())
    if not value:
        return empty
    if kind in _PROPERTY_DATES:
        try:
            return _PROPERTY_DATES[kind](value)
        except ValueError:
            return value
    return value


_CONVERTERS = {
    "json": _nested,
    "serialized": _nested,
    "properties": _properties,
    "properties_definition": _nested,
}
_PROPERTY_DATES = {
    "date": fields.Date.to_date,
    "datetime": fields.Datetime.to_datetime,
}
