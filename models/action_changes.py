# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What changed in the records of a server action, and whether that is sent.

Odoo's automation rules pass the values before a write in the context key `old_values`:
`{record id: {field: value}}` for the stored fields that were written, None for new
records. base_automation needn't be installed.
"""

import json
from dataclasses import dataclass, replace

from odoo.tools import SQL

from ..lane import sql
from ..services.changes import OldValues
from ..services.errors import ConfigurationError, _lt
from ..services.jsonable import to_json_value
from ..services.paths import write_path
from .const import OLD_FIELD
from .field_value import value_converter
from .record_payload import refuse_limited_fields

DEFAULT_PATH = "changes"
# Triggers of automation rules that don't depend on a change by the ORM.
NOT_BY_CHANGE = ("on_time", "on_webhook", "on_message")
_LISTS = ("one2many", "many2many")
# Of fields that nobody would call a value of the record.
_NOT_SENT = frozenset(
    ("create_uid", "create_date", "write_uid", "write_date", "date_automation_last")
)


def automation_of(action):
    """The automation rule that runs the action, or the one around it; else None."""
    # Fields of base_automation, which may not be installed.
    if "base_automation_id" not in action._fields:
        return None
    while action:
        rule = action["base_automation_id"].sudo()
        if rule:
            return rule
        action = action.parent_id
    return None


def runs_on_deletion(action):
    """Whether an automation rule runs the action just before records are deleted."""
    rule = automation_of(action)
    return rule is not None and rule.trigger == "on_unlink"


def selects_changes(action):
    """Whether the action sends nothing for a record without a change."""
    return bool(action.bwt_webhook_watched_field_ids or action.bwt_webhook_add_changes)


def watched_names(action):
    """Names of the watched fields, in the order of the form."""
    return [field.name for field in action.bwt_webhook_watched_field_ids.sudo()]


def check_changes(action):
    """Refuse settings on changes that fail for every record.

    :raise ConfigurationError: a field can't be watched, the path is invalid
    """
    model = action.env[action.model_id.model]
    for name in watched_names(action):
        check_old_field(action.env, model._name, name)
    if action.bwt_webhook_add_changes:
        path = changes_path(action)
        if "*" in path.split("."):
            raise ConfigurationError(
                _lt(
                    'the path of the changes "%(path)s" contains *, but the changes '
                    "are one value. Write a path such as order.changes."
                ),
                path=path,
            )
        write_path({}, path, {})


def check_old_field(env, model_name, name):
    """Refuse a field whose old value is not known, or can't be sent.

    :raise ConfigurationError: names model and field
    """
    if "." in name:
        raise ConfigurationError(
            _lt(
                'path "%(path)s": an old value can only be read from a field of the '
                "record itself. Write one field name, such as state."
            ),
            path=name,
        )
    refuse_limited_fields(env, model_name, name)
    if not env[model_name]._fields[name].store:
        raise ConfigurationError(
            _lt(
                'path "%(path)s": field "%(field)s" of %(model)s isn\'t stored, so its '
                "old value is not known. Choose a stored field."
            ),
            path=name,
            field=name,
            model=model_name,
        )


def changes_path(action):
    """The path of the changes in the payload."""
    return (action.bwt_webhook_changes_path or "").strip() or DEFAULT_PATH


@dataclass(frozen=True)
class RecordChanges:
    """What changed in one record, for one action.

    record: its current values, as superuser
    old: its `OldValues`
    """

    record: object
    old: OldValues

    @classmethod
    def unknown(cls, record):
        """Of a record of which no old value is known."""
        return cls(record, OldValues(is_known=False))

    @property
    def current(self):
        """The record in the language and company in which old values were read."""
        lang, company = self.old.lang or False, self.old.company_id
        return self.record.with_context(lang=lang).with_company(company or False)

    def value(self, name):
        """The JSON value of a field now."""
        record = self.current
        return _json_value(record._fields[name], record[name])

    def is_list(self, name):
        return self.record._fields[name].type in _LISTS

    def changed_names(self, names):
        """Those of the fields that have another value now."""
        return [
            name
            for name in names
            if self.old.changed(name, self.value(name), is_list=self.is_list(name))
        ]

    def is_sent(self, watched):
        """Whether one of the watched fields changed; of all fields if none is named."""
        if not self.old.is_known or self.old.is_new:
            return True
        return bool(self.changed_names(watched or self.old.values))

    def entries(self, watched):
        """The value of `changes`: field -> change; None if no old value is known."""
        if not self.old.is_known or self.old.is_new and not watched:
            return None
        found = {}
        for name in self.changed_names(watched or self.old.values):
            value = self.value(name)
            if not self.old.is_new or value not in (None, []):
                found[name] = self.old.change(name, value, is_list=self.is_list(name))
        return found

    def old_value(self, name):
        """The value of a field before the change, as `field_value` converts it.

        The current one if the field didn't change, None for a new record.
        """
        field = self.record._fields[name]
        if self.old.is_new:
            return [] if field.type in _LISTS else None
        value = self.old.values[name] if name in self.old.values else self.value(name)
        if isinstance(value, str) and field.type in ("date", "datetime"):
            return field.to_date(value) if field.type == "date" else _time(field, value)
        return value


def _time(field, value):
    return field.to_datetime(value.replace("T", " ").removesuffix("Z")[:19])


def _json_value(field, value):
    """A value of the ORM as JSON, by the table in `field_value`."""
    if field.type in _LISTS:
        return list(value.ids)
    if field.type == "many2one":
        return value.id or None
    if field.type == "reference":
        return f"{value._name},{value.id}" if value else None
    convert = value_converter(field)
    return to_json_value(convert(value, None) if convert else value, field.name)


def sample_changes(action, record):
    """`RecordChanges` of a record whose watched fields changed, for a preview."""
    names = watched_names(action)
    if not names and record._rec_name:
        names = [record._rec_name]
    found = RecordChanges(record.sudo(), OldValues())
    values = {name: found.value(name) for name in names}
    return SampleChanges(record.sudo(), OldValues(values))


class SampleChanges(RecordChanges):
    """Shows each field as changed, from the value that it has to the same."""

    def changed_names(self, names):
        return list(names)


# Those of one run


def pending_values(action, records):
    """Values of watched computed fields that are computed again when Odoo flushes.

    Odoo doesn't run the rule for them: it is already running for the write that they
    follow from. The database has the old value until the flush, so this comes first.
    :return: id -> field -> JSON value; one query, only if such a field is watched
    """
    names = _names_to_read(action) or ()
    if not records or "old_values" not in action.env.context:
        return {}
    stored = [name for name in names if _is_computed_column(records._fields.get(name))]
    if not stored:
        return {}
    columns = [SQL.identifier(name) for name in stored]
    query = SQL(
        "SELECT id, %s FROM %s WHERE id = ANY(%s)",
        SQL(", ").join(columns),
        SQL.identifier(records._table),
        records._origin.ids,
    )
    records.env.cr.execute(query)
    found = {}
    for record_id, *row in records.env.cr.fetchall():
        record = records.browse(record_id)
        found[record_id] = {
            name: _column_value(record, name, value)
            for name, value in zip(stored, row, strict=True)
        }
    return found


def _is_computed_column(field):
    return (
        field is not None
        and field.store
        and field.compute
        and field.column_type
        and not field.translate
        and not field.company_dependent
    )


def _column_value(record, name, value):
    field = record._fields[name]
    cached = field.convert_to_cache(value, record, validate=False)
    return _json_value(field, field.convert_to_record(cached, record))


def find_changes(action, records, known, pending=None):
    """What changed in the records of a run.

    :param records: as Odoo passed them to the action
    :param known: id -> `OldValues` of earlier runs in this transaction
    :param pending: result of `pending_values`
    :return: id -> `RecordChanges`
    """
    names = _names_to_read(action)
    found = {}
    for record in records:
        old = _old_values(action, record, names)
        if old.is_known and not old.is_new:
            earlier = (pending or {}).get(record.id) or {}
            old = replace(old, values={**earlier, **old.values})
        found[record.id] = RecordChanges(record.sudo(), old.after(known.get(record.id)))
    return found


def _names_to_read(action):
    """Fields whose old values are needed; None: of all that can be sent."""
    watched = watched_names(action)
    if action.bwt_webhook_add_changes and not watched:
        return None
    lines = action._bwt_webhook_lines()
    old_fields = lines.filtered(lambda line: line.source_kind == OLD_FIELD)
    return {*watched, *(line._old_field_name() for line in old_fields)}


def _old_values(action, record, names):
    context = action.env.context
    if "old_values" not in context or not _is_change(action, record):
        return OldValues(is_known=False)
    where = {"lang": record.env.lang or "", "company_id": record.env.company.id}
    if context["old_values"] is None:
        return OldValues(is_new=True, **where)
    values = {}
    for name, value in (context["old_values"].get(record.id) or {}).items():
        field = record._fields.get(name)
        if field is not None and (
            name in names if names is not None else _may_be_sent(field)
        ):
            values[name] = _json_value(field, value)
    return OldValues(values, **where)


def _may_be_sent(field):
    return field.store and not field.groups and field.name not in _NOT_SENT


def _is_change(action, record):
    """Whether the old values in the context are those of this record.

    A rule's code may run another action, on other records, in the same context.
    """
    rule = automation_of(action)
    if rule is not None and (
        rule.trigger == "on_unlink" or (rule.trigger or "").startswith(NOT_BY_CHANGE)
    ):
        return False
    done = action.env.context.get("__action_done") or {}
    return any(
        record._name == each._name and record.id in each._ids for each in done.values()
    )


# Stored with deliveries


def read_old_values(env, ids):
    """Delivery id -> `OldValues`, of those deliveries that have some."""
    if not ids:
        return {}
    env.cr.execute(sql.record_values(ids))
    found = {row[0]: json.loads(row[1]).get("old") for row in env.cr.fetchall()}
    return {each: OldValues.from_dict(old) for each, old in found.items() if old}


def store_record_values(deliveries, values):
    """Store with each delivery what can't be read from its record later.

    :param values: dict per delivery with `old` or `deleted`, or None for nothing
    """
    rows = [
        (delivery.id, json.dumps(each))
        for delivery, each in zip(deliveries, values, strict=True)
        if each
    ]
    if rows:
        deliveries.env.cr.execute_values(sql.STORE_RECORD_VALUES, rows)
        deliveries.invalidate_recordset(["record_values_json"], flush=False)
