# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which rule each value of a sample payload comes from, as a table."""

from types import SimpleNamespace

from markupsafe import Markup

from odoo import SUPERUSER_ID
from odoo.tools import human_size

from ..lane.translation import translate
from ..services.errors import ServiceError
from ..services.paths import write_path
from ..services.payload_lists import leaves, rule_of
from ..services.request import OutboundRequest
from ..services.values import serialize_payload
from .build_scope import BuildScope
from .const import DELIVERY
from .endpoint_snapshot import build_context, empty_value
from .endpoint_summary import token_keys
from .path_reader import is_limited
from .payload_list import rules_of
from .rule_engine import apply_payload_rules

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
