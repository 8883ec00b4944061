# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stores values of a response in the record of its delivery and in its reference."""

import math
import re
from contextlib import contextmanager
from datetime import date, datetime, timezone

from odoo.exceptions import UserError

from ..lane.batch import describe
from ..lane.savepoint import lost_race
from ..services.conditions import evaluate_condition
from ..services.errors import ConfigurationError, Message, ServiceError, _lt
from ..services.values import json_serialize_value, storable_text
from .build_scope import without_build
from .const import ECHO, ENDPOINT, EXTERNAL_REF

# Beginnings of models whose fields decide about access, or about what is sent.
REFUSED_MODELS = ("bwt.", "ir.", "res.users", "res.groups", "res.config", "queue.")
AUTOMATIC_FIELDS = frozenset(
    {"id", "create_uid", "create_date", "write_uid", "write_date", "display_name"}
    | {"parent_path", "access_token", "access_warning"}
)
TARGET_TYPES = frozenset(
    {"char", "text", "html", "integer", "float", "monetary", "boolean", "date"}
    | {"datetime", "selection", "many2one", "json"}
)
_INTEGER_MAX = 2**31 - 1
_NUMBER_MAX = 1e300  # of what a float can hold
_DIGITS = re.compile(r"[+-]?[0-9]{1,20}")
_SHOWN = 60
TEXT_MAX = 64 * 1024  # characters that are written to a field


def check_target(env, model_name, field_name):
    """The field that may be written; raises ConfigurationError for any other.

    Whether a user may write it is checked by the caller.
    """
    values = {"model": model_name, "field": field_name}
    if model_name not in env or env[model_name]._abstract:
        raise ConfigurationError(
            _lt("model %(model)s isn't installed. Choose another."), **values
        )
    model = env[model_name]
    if is_refused(model) or model._transient or not model._auto:
        raise ConfigurationError(
            _lt(
                "fields of model %(model)s are not written from responses. Choose the "
                "model of the records that deliveries are about."
            ),
            **values,
        )
    field = model._fields.get(field_name)
    if field is None:
        raise ConfigurationError(
            _lt('model %(model)s has no field "%(field)s". Choose one of its fields.'),
            **values,
        )
    _check_field(env, model, field)
    return field


def is_refused(model):
    """Whether no field of a model is ever written from a response.

    Besides `REFUSED_MODELS` these are templates of messages: Odoo evaluates their
    texts, so only its template editors may write them.
    """
    return model._name.startswith(REFUSED_MODELS) or hasattr(
        model, "_unrestricted_rendering"
    )


def _check_field(env, model, field):
    values = {"model": model._name, "field": field.name}
    if not field.store or field.name in AUTOMATIC_FIELDS:
        raise ConfigurationError(
            _lt(
                'field "%(field)s" of %(model)s is not stored, or Odoo sets it itself. '
                "Choose a stored field."
            ),
            **values,
        )
    if field.compute and not field.inverse:
        raise ConfigurationError(
            _lt(
                'field "%(field)s" of %(model)s is computed, so a written value would '
                "be lost. Choose another field."
            ),
            **values,
        )
    if field.type not in TARGET_TYPES:
        raise ConfigurationError(
            _lt(
                'field "%(field)s" of %(model)s has the type %(type)s, into which no '
                "value of a response can be written. Choose a field of type %(types)s."
            ),
            type=field.type,
            types=", ".join(sorted(TARGET_TYPES)),
            **values,
        )
    for owner, each in _reached(env, model, field):
        if each.groups:
            raise ConfigurationError(
                _lt(
                    'field "%(field)s" of %(model)s is limited to groups. Choose '
                    "another field."
                ),
                **values,
            )
        if is_refused(owner):
            raise ConfigurationError(
                _lt(
                    'field "%(field)s" of %(model)s writes to model %(owner)s, which '
                    "is not written from responses. Choose another field."
                ),
                owner=owner._name,
                **values,
            )


def _reached(env, model, field):
    """The fields that a write changes: this one, and those it is related to."""
    yield model, field
    for name in field.related.split(".") if field.related else ():
        field = model._fields[name]
        yield model, field
        if field.comodel_name:
            model = env[field.comodel_name]


# Values


def fit(env, field, value):
    """A value of JSON types as one that the field takes.

    :raise ConfigurationError: it doesn't fit; the message says what does
    """
    if value is None:
        return False
    return _FITS[field.type](env, field, value)


def _misfit(field, value, needed, **values):
    shown = ascii(value)
    return ConfigurationError(
        _lt(
            'the value %(value)s doesn\'t fit field "%(field)s", which needs '
            "%(needed)s. Choose a format, a value map or another field."
        ),
        value=shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}...",
        field=field.name,
        needed=Message(needed, values),
    )


def _text(env, field, value):
    if isinstance(value, list | dict) and field.type == "char":
        raise _misfit(field, value, _lt("a single value"))
    return _short(field, value, storable_text(json_serialize_value(value)))


def _json(env, field, value):
    _short(field, value, json_serialize_value(value))
    return value


def _short(field, value, text):
    """The text; refused if the field takes less, or if it would fill the database."""
    size = min(getattr(field, "size", None) or TEXT_MAX, TEXT_MAX)
    if len(text) > size:
        raise _misfit(field, value, _lt("at most %(size)s characters"), size=size)
    return text


def _number(env, field, value):
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _misfit(field, value, _lt("a number")) from None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _misfit(field, value, _lt("a number"))
    # An integer of more than 308 digits isn't a float, which `isfinite` would need.
    if isinstance(value, float) and not math.isfinite(value):
        raise _misfit(field, value, _lt("a number"))
    if abs(value) > _NUMBER_MAX:
        raise _misfit(field, value, _lt("a smaller number"))
    return value


def _integer(env, field, value):
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value.strip())
    number = _number(env, field, value)
    if number != int(number) or abs(number) > _INTEGER_MAX:
        raise _misfit(field, value, _lt("an integer of up to 9 digits"))
    return int(number)


def _boolean(env, field, value):
    for known in (True, False):
        if value is known or evaluate_condition(known, "equals", str(value)):
            return known
    if value in (0, 1):
        return bool(value)
    raise _misfit(field, value, _lt("true or false"))


def _moment(env, field, value):
    is_date = field.type == "date"
    needed = _lt("an ISO 8601 date") if is_date else _lt("an ISO 8601 time")
    if not isinstance(value, str):
        raise _misfit(field, value, needed)
    try:
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        if moment.tzinfo:
            if field.type == "datetime":
                moment = moment.astimezone(timezone.utc)
            moment = moment.replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise _misfit(field, value, needed) from None
    if is_date:
        return date(moment.year, moment.month, moment.day)
    return moment.replace(microsecond=0)


def _selection(env, field, value):
    known = field.get_values(env)
    text = json_serialize_value(value)
    if text not in known:
        raise _misfit(field, value, _lt("one of: %(known)s"), known=", ".join(known))
    return text


def _many2one(env, field, value):
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 < value <= _INTEGER_MAX
        and env[field.comodel_name].browse(value).exists()
    ):
        return value
    raise _misfit(
        field,
        value,
        _lt("the ID of a record of %(model)s"),
        model=field.comodel_name,
    )


_FITS = {
    **dict.fromkeys(("char", "text", "html"), _text),
    **dict.fromkeys(("float", "monetary"), _number),
    **dict.fromkeys(("date", "datetime"), _moment),
    "integer": _integer,
    "boolean": _boolean,
    "selection": _selection,
    "many2one": _many2one,
    "json": _json,
}


# Storing


def store_values(delivery, taken):
    """Store the values of one response; see `_store_response_values`."""
    faults = list(taken.faults)
    env = without_build(delivery.env)
    endpoint = env[ENDPOINT].browse(delivery.endpoint_id.id)
    model_name, record_id = taken.about
    record = None
    if model_name in env and record_id:
        record = env[model_name].browse(record_id).exists()
    data = {}
    external_id = None
    to_write = []
    for target, value in taken.values:
        if not model_name or not record_id:
            error = _lt("the delivery is about no record. Give record= when queueing.")
            faults.append(_fault(env, target, ConfigurationError(error)))
        elif target["kind"] == "external_id":
            external_id = external_id or (target, value)
        elif target["kind"] == "external_data":
            data[target["key"]] = (target, value)
        elif target["model"] == model_name:
            to_write.append((target, value))
    if external_id or data:
        faults += _store_reference(endpoint, taken.about, delivery, external_id, data)
    if to_write:
        faults += _Writer(endpoint, record, to_write).run()
    return faults


def _fault(env, target, error):
    """What the delivery shows about a value that was not stored."""
    return env._(
        'Response value "%(value)s" was not stored: %(problem)s',
        value=target["label"],
        problem=describe(env, error),
    )


def _store_reference(endpoint, about, delivery, external_id, data):
    env, (target, value) = endpoint.env, external_id or next(iter(data.values()))
    try:
        endpoint.env[EXTERNAL_REF]._store(
            endpoint,
            *about,
            external_id=external_id and value,
            data={key: each for key, (_target, each) in data.items()},
            delivery=delivery,
            scope=target["scope"],
        )
    except UserError as error:
        return [_fault(env, target, error)]
    return []


@contextmanager
def _echo(endpoint):
    """Everything written meanwhile is a change that the receiver made.

    The context of the write alone doesn't tell: fields that are computed from the
    written ones are flushed, and run automation rules, without it.
    """
    data = endpoint.env.cr.postcommit.data
    data[ECHO] = endpoint.id
    try:
        yield
    finally:
        data.pop(ECHO, None)


class _Writer:
    """Writes values to one record: together, and one by one if that fails.

    values: pairs of target and value
    """

    def __init__(self, endpoint, record, values):
        self.endpoint = endpoint
        self.env = endpoint.env
        self.record = record
        self.values = values
        self.faults = []

    def run(self):
        """Returns texts on what was not written."""
        if not self.record:
            error = _lt("the record was deleted.")
            return [
                _fault(self.env, target, ConfigurationError(error))
                for target, _value in self.values
            ]
        self.record = self.record.with_context(**{ECHO: self.endpoint.id})
        # Users may change the record meanwhile: a value of the cache may be old.
        self.record.invalidate_recordset(flush=True)
        changes = [each for each in map(self._change_of, self.values) if each]
        refused = self._try(changes) if changes else []
        if len(refused) > 1:
            refused = [fault for each in changes for fault in self._try([each])]
        return self.faults + refused

    def _change_of(self, each):
        """(target, field, value) to write; None if it is to stay as it is."""
        target, value = each
        try:
            self._check_company(self.record)
            field = check_target(self.env, target["model"], target["field"])
            value = fit(self.env, field, value)
            if field.type == "many2one" and value:
                self._check_company(self.env[field.comodel_name].browse(value))
        except ServiceError as error:
            self.faults.append(_fault(self.env, target, error))
            return None
        before = self.record[field.name]
        if target["only_if_empty"] and before:
            return None
        cached = field.convert_to_cache(value, self.record, validate=False)
        if field.convert_to_record(cached, self.record) == before:
            return None
        return target, field, value

    def _check_company(self, record):
        """Refuse records of another company than that of the endpoint.

        :param record: that of the delivery, or one whose ID the receiver sent
        """
        field = record._fields.get("company_id")
        if field is None or field.comodel_name != "res.company":
            return
        company, own = record.company_id, self.endpoint.company_id
        if company and company.root_id != own.root_id:
            raise ConfigurationError(
                _lt(
                    "the record belongs to company %(company)s, the endpoint to "
                    "%(own)s. Use an endpoint of that company."
                ),
                company=company.display_name,
                own=own.display_name,
            )

    def _try(self, changes):
        """Write under a savepoint; returns a text for each change if refused."""
        try:
            with self.env.cr.savepoint(), _echo(self.endpoint):
                self.record.write({field.name: value for _t, field, value in changes})
                self._log([each for each in changes if each[0]["note"]])
                self.env.flush_all()
        except Exception as error:
            if self.env.cr.closed or lost_race(error):
                raise
            self.env.invalidate_all(flush=False)
            return [_fault(self.env, target, error) for target, _f, _v in changes]
        return []

    def _log(self, changes):
        if not changes:
            return
        lines = [
            self.env._(
                "%(field)s: %(value)s",
                field=field._description_string(self.env),
                value=self.record[field.name]
                if field.type != "many2one"
                else self.record[field.name].display_name,
            )
            for _target, field, _value in changes
        ]
        said = self.env._("Stored from the response of %s.", self.endpoint.name)
        self.record._message_log(body="\n".join([said, *lines]))
