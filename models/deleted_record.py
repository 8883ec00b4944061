# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Values of a record that is about to be deleted, kept for the rules of an endpoint.

A server action reads its values when it runs, before the deletion; the endpoint's
rules are applied when the request is sent, after it. What they read from the record is
therefore stored with the delivery.
"""

from contextlib import suppress

from odoo import SUPERUSER_ID

from ..services.changes import encode_typed
from ..services.errors import ServiceError
from .endpoint_snapshot import build_context
from .field_path import compile_field_path
from .record_payload import RecordScope
from .value_format import Finish
from .value_source import SOURCE_FIELDS, compile_path, kept_key, source_paths


def values_to_keep(endpoint, records):
    """What the rules of the endpoint read from these records, and their partners.

    Values inside lists of records and in templates are not included, nor what can't be
    read: a rule that needs it says so when the request is built.
    :return: a dict per record, for `BuildScope.kept_values`
    """
    env = endpoint.env(user=SUPERUSER_ID, su=True, context=build_context(endpoint))
    endpoint = endpoint.with_env(env)
    reads = dict(_readers(endpoint, records._name))
    return [_values_of(each, endpoint, reads) for each in records.with_env(env)]


def _values_of(record, endpoint, reads):
    values = {}
    for key, read in reads.items():
        with suppress(ServiceError):
            values[key] = encode_typed(read(record))
    return {"partner": RecordScope(record, endpoint).partner.id, "values": values}


def _readers(endpoint, model_name):
    """Pairs of the key of a value, and a function that reads it from a record."""
    rules = endpoint.handler_id.outbound_rule_ids.filtered("active")
    groups = (
        endpoint.header_rule_ids.filtered("active"),
        endpoint.payload_rule_ids.filtered("active"),
        rules.condition_ids,
        rules.assignment_ids,
    )
    for source in (source for sources in groups for source in sources):
        reader = source.limited_to_user_id.id
        finish = None if source.source_kind == "literal" else Finish.of(source)
        for kind, path in source_paths(*(source[name] for name in SOURCE_FIELDS)):
            # A contact is its own partner; other partners aren't deleted.
            is_partner = kind == "partner_field" and model_name == "res.partner"
            if not path or kind != "record_field" and not is_partner:
                continue
            with suppress(ServiceError):
                compile_field_path(endpoint.env, model_name, path)
                if finish is not None:
                    path, _rest = finish.at(endpoint.env, model_name, path)
                read = compile_path(
                    endpoint.env, model_name, path, reader, "record_field"
                )
                yield kept_key(path, reader), read
