# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payloads from field paths of a record, nested as the paths are, and what rules add.

A preview shows which rule each value of a sample payload comes from. Of a record that
is about to be deleted, the values that the endpoint's rules read are stored with the
delivery: a server action reads its values when it runs, before the deletion; the rules
are applied when the request is sent, after it.
"""

from contextlib import suppress
from types import SimpleNamespace

from markupsafe import Markup

from odoo import SUPERUSER_ID
from odoo.tools import human_size

from ..lane.translation import translate
from ..services.changes import encode_typed
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.paths import write_path
from ..services.payload_lists import leaves, rule_of
from ..services.request import OutboundRequest
from ..services.template import ORIGIN
from ..services.values import serialize_payload
from .build_scope import BuildScope
from .const import DELIVERY
from .endpoint_snapshot import build_context, empty_value
from .endpoint_summary import token_keys
from .field_path import RELATIONAL, check_syntax, compile_field_path
from .field_value import read_field
from .path_reader import is_limited
from .payload_list import rules_of
from .rule_engine import apply_payload_rules
from .value_format import Finish
from .value_source import SOURCE_FIELDS, compile_path, kept_key, source_paths


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


ROWS_MAX = 200
TEXT_MAX = 60

_TABLE = Markup(
    '<table class="table table-sm"><thead><tr><th>%s</th><th>%s</th><th>%s</th></tr>'
    "</thead><tbody>%s</tbody></table>%s"
)
_ROW = Markup(
    '<tr><td class="text-break">%s</td><td class="text-break">%s</td>'
    '<td class="text-break text-muted">%s</td></tr>'
)


def table_of_values(payload, records):
    """An HTML table: path, value and rule of each value in a payload.

    :param records: the payload rules that wrote it, in their order; a value that was
        there before has no rule
    """
    env, rules = records.env, rules_of(records)
    found = list(leaves(payload))
    rows = Markup("").join(
        _ROW
        % (
            ".".join(path),
            _short(serialize_payload(value)),
            _source(rule_of(path, rules)),
        )
        for path, value in found[:ROWS_MAX]
    )
    more = ""
    if len(found) > ROWS_MAX:
        more = env._("%s more values.", len(found) - ROWS_MAX)
    return _TABLE % (env._("Path"), env._("Value"), env._("From Rule"), rows, more)


def _source(rule):
    if rule is None:
        return ""
    source = rule.path or rule.rule.literal_value or ""
    return f"{rule.target} ← {_short(source)}"


def _short(text):
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."


def sample_line(file):
    """Where a `QueuedFile` is sent and its name; below, its type and size."""
    size = human_size(file.file.size) or "0"
    return f"{file.field}: {file.name}\n  {file.content_type}, {size}"


def with_sample_files(payload, files):
    """The payload with the sizes of base64 contents instead of these."""
    for file in files:
        if file.in_payload:
            text = f"[base64 of {file.file.size} bytes]"
            payload = write_path(payload, file.field, text)
    return payload


def table_of_endpoint(endpoint, record):
    """What the endpoint's payload rules write into an empty payload, for a record."""
    try:
        request, _scope = sample_request(endpoint, record)
    except ServiceError as error:
        message = translate(endpoint.env, error)
        return Markup('<div class="text-danger">%s</div>') % message
    rules = endpoint.payload_rule_ids.filtered("active").sorted("sequence")
    return table_of_values(request.raw("payload"), rules)


def sample_request(endpoint, record):
    """The request of an empty payload for a record, and the scope of its values.

    Read with the user's rights: it shows no more than they may read. Context keys have
    no value here; a token of one stays as it is written. No header rule is applied.
    :raise ServiceError: a payload rule can't be applied
    """
    user = endpoint.env.user if is_limited(endpoint.env) else None
    context = build_context(endpoint)
    env = endpoint.env(user=SUPERUSER_ID, su=True, context=context)
    rules = endpoint.payload_rule_ids.filtered("active").sorted("sequence")
    rules = _read_as(user, rules.with_env(env))
    endpoint = endpoint.with_env(env)
    delivery = env[DELIVERY].new({"res_model": record._name, "res_id": record.id})
    scope = BuildScope(delivery, endpoint, endpoint.company_id, empty_value(endpoint))
    scope.record = record.with_env(env)
    scope.makes_body = endpoint._makes_body()
    scope.context_values = {key: f"{{{key}}}" for key in token_keys(endpoint)}
    scope.context_values[ORIGIN] = "live"
    data = scope.request_data = {
        "target_url": endpoint.target_url or "",
        "http_method": endpoint.http_method,
        "request_body_mode": endpoint.request_body_mode,
        "headers": {},
        "payload": {},
        "files": {},
    }
    compiled = SimpleNamespace(payload_rules=rules._compiled(), header_rules=())
    apply_payload_rules(compiled, scope, data)
    return OutboundRequest(**data), scope


def _read_as(user, rules):
    """Copies of rules that read with a user's rights; unsaved rules are copied too."""
    names = [name for name in rules._READ if name != "endpoint_id"]
    copies = rules.browse()
    for rule in rules:
        vals = {name: rule[name] for name in names}
        copies += rules.new(vals | ({"limited_to_user_id": user.id} if user else {}))
    return copies


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
