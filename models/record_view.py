# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What body templates read of records: declared, readable fields and nothing else.

The rules are those of field paths (`field_path`, `path_reader`), one field at a time.
"""

import re

from ..services.errors import ConfigurationError, _lt
from ..services.template_expressions import View
from .field_path import RELATIONAL, check_syntax, compile_field_path
from .field_value import read_field
from .path_reader import AccessGuard, check_path, reader_env

# Whatever their groups: a body is stored on the attempt, which operators can read.
_PASSWORD = re.compile(r"(?:^|_)(?:pass|password|passwd|passphrase)$")


class FieldReader:
    """Reads fields of records for templates; compiled once per model and field.

    user_id: whose rights limit what is read; None for no limit
    """

    def __init__(self, user_id=None):
        self.user_id = user_id
        self._guard = AccessGuard(user_id) if user_id else None
        self._compiled = {}

    def view(self, records, *, is_checked=True):
        """Records as a view.

        :param is_checked: False for a record that every user of the endpoint may use
        """
        return RecordView(records, self, is_checked)

    def value(self, record, name, is_checked):
        """A field of one record, or of none: a plain value, or a view."""
        key = (record._name, name)
        read = self._compiled.get(key)
        if read is None:
            read = self._compiled[key] = self._compile(record, name)
        if self._guard is not None and record:
            self._guard.check(record, name, check_start=is_checked)
        return read(record)

    def model_after(self, env, model_name, name):
        """The model of the records in a field; None for a plain value.

        :raise ConfigurationError: the field can't be read
        """
        field = _readable_field(env, model_name, name)
        if self.user_id:
            check_path(reader_env(env, self.user_id), model_name, name)
        return field.comodel_name if field.type in RELATIONAL else None

    def _compile(self, record, name):
        field = _readable_field(record.env, record._name, name)
        if field.type in RELATIONAL:
            return lambda each: self.view(read_field(each, name, name))
        if field.type == "reference":
            return lambda each: self._target(each, name)
        read = compile_field_path(record.env, record._name, name)
        return lambda each: read(each) if each else None

    def _target(self, record, name):
        target = read_field(record, name, name) if record else None
        return self.view(target) if target and target.exists() else None


def _readable_field(env, model_name, name):
    check_syntax(name)
    if not name.isidentifier():  # a path, or an index
        raise ConfigurationError(
            _lt(
                '"%(name)s" is not the name of a field. Correct it, as in '
                "record.partner_id.name."
            ),
            name=name,
        )
    if _PASSWORD.search(name):
        raise ConfigurationError(
            _lt(
                'field "%(field)s" of %(model)s holds a password, which a body can\'t '
                "contain. Choose another field."
            ),
            field=name,
            model=model_name,
        )
    compile_field_path(env, model_name, name)
    return env[model_name]._fields[name]


class RecordView(View):
    """Records of one model, of which a template reads fields."""

    __slots__ = ("_records", "_reader", "_is_checked")

    def __init__(self, records, reader, is_checked=True):
        self._records = records
        self._reader = reader
        self._is_checked = is_checked

    def field(self, name):
        if len(self._records) > 1:
            raise ConfigurationError(
                _lt(
                    'there are %(count)s records before "%(field)s". Loop over them '
                    "with t-foreach, or write [0] for the first."
                ),
                count=len(self._records),
                field=name,
            )
        return self._reader.value(self._records, name, self._is_checked)

    def item(self, index):
        records = self._records
        found = records[index : index + 1 or None]
        return self._view(found)

    def text(self):
        if len(self._records) > 1:
            raise ConfigurationError(
                _lt(
                    "%(count)s records can't be written. Loop over them with t-foreach."
                ),
                count=len(self._records),
            )
        return str(self._records.id) if self._records else None

    def _view(self, records):
        # A slice alone would lose the prefetch group.
        records = records.with_prefetch(self._records._prefetch_ids)
        return RecordView(records, self._reader, self._is_checked)

    def __len__(self):
        return len(self._records)

    def __iter__(self):
        return map(self._view, self._records)

    def __eq__(self, other):
        if isinstance(other, RecordView):
            return self._records == other._records
        return NotImplemented

    def __hash__(self):
        return hash(self._records)
