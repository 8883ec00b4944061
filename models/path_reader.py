# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Field paths limited to what one user may read.

Everything that is sent is read as superuser. A path that was saved by a user without
Settings rights therefore carries that user: model access and field groups are checked
when it is compiled, record rules when it is read. Settings administrators may run any
code, so their paths are not limited.
"""

from ..services.errors import ConfigurationError, _lt
from .field_path import RELATIONAL, compile_field_path
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
