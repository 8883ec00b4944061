# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payloads from field paths of a record, nested as the paths are."""

from ..services.errors import ConfigurationError, _lt
from .build_scope import BuildScope
from .endpoint_snapshot import empty_value
from .field_path import RELATIONAL, check_syntax, compile_field_path
from .field_value import read_field


class RecordScope(BuildScope):
    """The scope of the sources of a payload before it is queued.

    record: as superuser in the endpoint's company; empty without one
    changes: `RecordChanges` of the record
    """

    __slots__ = ("changes",)

    def __init__(self, record, endpoint):
        empty = empty_value(endpoint)
        super().__init__(None, endpoint, endpoint.company_id, empty)
        self.record = record
        self.context_values = {}

    def need_record(self):
        """The record; raises ConfigurationError without one."""
        if self.record:
            return self.record
        raise ConfigurationError(
            _lt(
                "there is no record to read a field from. Run the action on "
                "records, or set a filter that matches some."
            )
        )

    def _has_record(self):
        return bool(self.record)

    def kept_values(self):
        return {}


def refuse_limited_fields(env, model_name, path):
    """Refuse an invalid path, or one over a field limited to groups.

    A change of a record sends its payload: the user who makes it must not be able to
    send a field that they may not read.
    :raise ConfigurationError: names model and field
    """
    compile_field_path(env, model_name, path)
    model = env[model_name]
    for part in path.split("."):
        if part == "*" or part.isdecimal():
            continue
        field = model._fields[part]
        if field.groups:
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": field "%(field)s" of %(model)s is limited to '
                    "groups, so it can't be sent from here. Choose another field."
                ),
                path=path,
                field=part,
                model=model._name,
            )
        if field.type not in RELATIONAL:
            return
        model = env[field.comodel_name]


def compile_record_payload(env, model_name, paths):
    """A function `(record, empty=None) -> dict` with the values at `paths`, nested.

    `partner_id.name` becomes `{"partner_id": {"name": ...}}`; a path over several
    records becomes a list of objects, as in `order_line.product_id.default_code`. A
    path that ends at a relation becomes its id or ids; together with paths to its
    fields, an `id` among them. `empty` is the value of an empty field.
    :raise ConfigurationError: a path is invalid, or contains an index
    """
    tree = {}
    for path in paths:
        node = tree
        for part in _names(env[model_name], path):
            node = node.setdefault(part, {})
        node[None] = True  # the path ends here
    return _compile_object(env, env[model_name], tree)


def _names(model, path):
    """The keys of a path's value in the payload, from the outside in."""
    names = []
    for part in path.split("."):
        if part == "*" or model is not None and part.isdecimal():
            if part == "*" and model is not None:
                continue  # several records are always a list
            raise ConfigurationError(
                _lt(
                    'path "%(path)s" has the index %(part)s. Leave it out to send '
                    "all, or send the payload as rules."
                ),
                path=path,
                part=part,
            )
        names.append(part)
        if model is not None:  # below other fields, names are keys of the value
            field = model._fields.get(part)
            relation = field is not None and field.type in RELATIONAL
            model = model.env[field.comodel_name] if relation else None
    return names


def _compile_object(env, model, tree):
    """A function `(record, empty) -> dict` for the fields of one model."""
    readers = {}
    for name, node in tree.items():
        if name is None:
            continue
        check_syntax(name)
        field = model._fields.get(name)
        inner = {key: each for key, each in node.items() if key is not None}
        if not inner or field is None or field.type not in RELATIONAL:
            readers[name] = _compile_value(env, model, name, inner)
            continue
        if None in node:
            inner.setdefault("id", {None: True})
        read = _compile_object(env, env[field.comodel_name], inner)
        readers[name] = _relation(name, field.type, read)
    return _object(readers)


def _compile_value(env, model, path, inner):
    """A value without further relations; below JSON and references, an object."""
    if not inner:
        return compile_field_path(env, model._name, path)
    return _object(
        {
            key: _compile_value(
                env,
                model,
                f"{path}.{key}",
                {each: node[each] for each in node if each is not None},
            )
            for key, node in inner.items()
        }
    )


def _object(readers):
    return lambda record, empty=None: {
        name: read(record, empty) for name, read in readers.items()
    }


def _relation(name, kind, read):
    if kind == "many2one":

        def one(record, empty):
            found = read_field(record, name, name)
            return read(found, empty) if found else empty

        return one
    return lambda record, empty: [
        read(each, empty) for each in read_field(record, name, name)
    ]
