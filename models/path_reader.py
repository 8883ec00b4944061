# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Field paths limited to what one user may read.

Everything that is sent is read as superuser. A path that was saved by a user without
Settings rights therefore carries that user: model access and field groups are checked
when it is compiled, record rules when it is read. Settings administrators may run any
code, so their paths are not limited.

Body templates read declared, readable fields of records and nothing else, by the same
rules, one field at a time.
"""

import re

from ..services.errors import ConfigurationError, _lt
from ..services.template_expressions import View
from .field_path import RELATIONAL, check_syntax, compile_field_path
from .field_value import read_field


def is_limited(env):
    """True if paths saved by this user read only what the user may read."""
    return not (env.su or env.user._is_system())


def reader_env(env, user_id):
    """The environment for checking the user's access, in all their companies."""
    user = env["res.users"].sudo().browse(user_id)
    context = {"allowed_company_ids": user.company_ids.ids, "active_test": False}
    return env(user=user_id, su=False, context=context)


def check_path(env, model_name, expression):
    """Refuse a path over a model or field that the user of `env` may not read.

    :param env: not superuser
    :return: the relations on the path, in order, as field names; `None` ends them at a
        reference field, whose model is known when a record is read
    :raise ConfigurationError: names model and field
    """
    model = env[model_name].browse()
    relations = []
    parts = [part for part in expression.split(".") if not _is_index(part)]
    for position, part in enumerate(parts):
        field = model._fields.get(part)
        if field is None:
            return relations  # refused by the compiler, with a better message
        if not model._has_field_access(field, "read"):
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": %(user)s may not read field "%(field)s" of '
                    "%(model)s. Choose another field, or ask a Settings administrator "
                    "to save it."
                ),
                path=expression,
                user=env.user.sudo().name,
                field=part,
                model=model._name,
            )
        is_last = position == len(parts) - 1
        if field.type not in RELATIONAL:
            if field.type == "reference" and not is_last:
                relations.append(None)
            return relations
        if is_last and field.type == "many2one":
            return relations  # its id is stored on the record itself
        model = env[field.comodel_name].browse()
        if not model.has_access("read"):
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": %(user)s may not read model %(model)s. Choose '
                    "another field, or ask a Settings administrator to save it."
                ),
                path=expression,
                user=env.user.sudo().name,
                model=model._name,
            )
        relations.append(part)
    return relations


def compile_limited_path(env, model_name, expression, user_id, *, check_start=False):
    """`compile_field_path`, limited to what a user may read.

    :param user_id: who saved the path
    :param check_start: the first record must be readable, too
    :raise ConfigurationError: the path is invalid, or this user may not read it
    """
    read = compile_field_path(env, model_name, expression)
    check_path(reader_env(env, user_id), model_name, expression)
    guard = AccessGuard(user_id)

    def read_limited(record, empty=None):
        guard.check(record, expression, check_start=check_start)
        return read(record, empty)

    return read_limited


class AccessGuard:
    """Checks that a user may read the records on paths; each record once."""

    def __init__(self, user_id):
        self.user_id = user_id
        self.readable = {}  # by model: ids
        self.relations = {}  # by model and path

    def check(self, record, expression, *, check_start=False):
        """Refuse if a record on the path may not be read."""
        env = reader_env(record.env, self.user_id)
        if check_start:
            self._check_records(env, record, expression)
        key = (record._name, expression)
        if key not in self.relations:
            self.relations[key] = check_path(env, *key)
        relations = self.relations[key]
        parts = [part for part in expression.split(".") if not _is_index(part)]
        records = record
        for position, name in enumerate(relations):
            if name is None:
                self._check_references(env, records, parts[position:], expression)
                return
            records = read_field(records, name, expression)
            self._check_records(env, records, expression)

    def check_records(self, records, expression):
        """Refuse if one of the records may not be read."""
        self._check_records(reader_env(records.env, self.user_id), records, expression)

    def _check_references(self, env, records, parts, expression):
        name, *rest = parts
        for record in records:
            target = read_field(record, name, expression)
            if target and target.exists():
                self._check_records(env, target, expression)
                self.check(target, ".".join(rest))

    def _check_records(self, env, records, expression):
        known = self.readable.setdefault(records._name, set())
        if known.issuperset(records._ids):
            return
        # Those of the whole batch, so that there is no query per delivery.
        batch = records.browse({*records._prefetch_ids, *records._ids})
        known.update(batch.with_env(env)._filtered_access("read")._ids)
        for record in records:
            if record.id not in known:
                raise self._fault(env, record, expression)

    def _fault(self, env, record, expression):
        return ConfigurationError(
            _lt(
                'path "%(path)s": %(user)s, who saved it, may not read the record '
                "(%(model)s, %(id)s). Choose another field, or ask a Settings "
                "administrator to save it."
            ),
            path=expression,
            user=env.user.sudo().name,
            model=record._name,
            id=record.id,
        )


def _is_index(part):
    return part == "*" or part.isdecimal()


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
