# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the response values of an endpoint stored: a comparison of before and after."""

import json
from typing import Any, NamedTuple

from odoo.exceptions import AccessError

from ..models.const import EXTERNAL_REF

SHOWN = 300  # characters of a value


class Place(NamedTuple):
    """Where a response value is stored, and what is in there."""

    value: Any
    text: str  # as the reader may see it


def read_places(delivery, reader):
    """Label -> `Place` of each response value of the delivery's endpoint.

    :param delivery: as superuser
    :param reader: environment of the user who sees it
    """
    endpoint = delivery.endpoint_id
    values = endpoint.answer_value_ids.filtered("active")
    places = {}
    record = None
    if delivery.res_model in delivery.env and delivery.res_id:
        record = delivery.env[delivery.res_model].browse(delivery.res_id).exists()
    if not record:
        return places
    for value in values.filtered(lambda each: each.target_kind == "field"):
        field = record._fields.get(value.target_field)
        if field and value.target_model == record._name:
            label = field._description_string(reader)
            text = _text(record.with_env(reader), field)
            places[label] = Place(record[field.name], text)
    reference = endpoint.env[EXTERNAL_REF]._find(
        endpoint.reference_scope, record._name, res_id=record.id
    )
    data = json.loads(reference.data or "{}")
    for value in values - values.filtered(lambda each: each.target_kind == "field"):
        is_id = value.target_kind == "external_id"
        stored = reference.external_id if is_id else data.get(value.data_key)
        text = stored if isinstance(stored, str) else json.dumps(stored)
        places[value.with_env(reader)._label()] = Place(stored, text[:SHOWN])
    return places


def _text(record, field):
    try:
        value = field.convert_to_export(record[field.name], record)
    except AccessError:
        return record.env._("(stored; you may not read this field)")
    return str(value)[:SHOWN]


def stored_message(delivery, before, after):
    """The values that differ, one a line, or that nothing was stored and why."""
    env = delivery.env
    lines = [
        env._("%(label)s: %(value)s", label=label, value=place.text)
        for label, place in after.items()
        if label not in before or before[label].value != place.value
    ]
    if lines:
        return "\n".join(lines)
    if delivery.has_late_note:
        return env._("Nothing was stored. The reason is shown above.")
    return env._(
        "Nothing was stored. No response value applies to this response, or the record "
        "has its value already."
    )
