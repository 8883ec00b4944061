# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An endpoint with its rules and its handler as plain values for some batches."""

from collections.abc import Callable
from dataclasses import dataclass, field

from odoo import SUPERUSER_ID
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lane import sql
from ..lane.jobs import KEPT_CONTEXT
from ..services.answer_rules import AnswerSnapshot
from ..services.errors import ServiceError
from ..services.request_extras import RequestExtras
from ..services.template import EXTERNAL, EXTERNAL_ID
from .const import DELIVERY
from .endpoint_policy import DeliveryPolicy
from .endpoint_security import Trust
from .value_format import Finish
from .value_source import compile_source, reads_record


@dataclass(frozen=True, eq=False)
class CompiledSource:
    """A compiled source of one value.

    read: `BuildScope -> value`; `OMITTED` for a value that is left out
    label: how errors name the rule, the condition or the line
    reads_record: whether it reads the record of the delivery, or its partner
    reads_external: whether it reads the external reference of the record
    """

    kind: str
    label: str
    read: Callable
    reads_record: bool = False
    reads_external: bool = False

    def value(self, scope):
        """The value for one delivery; a `ServiceError` names its place as `where`."""
        try:
            return self.read(scope)
        except ServiceError as error:
            error.where = error.where or self.label
            raise

    @classmethod
    def of(cls, record, *, as_typed=False, value_map=None):
        """Compile a record of the source mixin.

        An invalid source is compiled to one that raises when it is read: deliveries
        that need it fail with its message, the others are sent.
        """
        finish = Finish.of(record, value_map)
        read = compile_or_refuse(
            record.env,
            record.source_kind,
            record.source_expression,
            record.literal_value,
            as_typed=as_typed,
            reader=record.limited_to_user_id.id,
            finish=finish,
        )
        if value_map and finish is None:
            read = _mapped(read, value_map)
        return cls(
            record.source_kind,
            record._source_label(),
            read,
            reads_record(record.source_kind, record.literal_value),
            reads_external(record),
        )


def reads_external(record):
    """True if a record of the source mixin reads the external reference."""
    if record.source_kind == "literal":
        return f"{{{EXTERNAL}" in (record.literal_value or "")
    if record.source_kind != "context_key":
        return False
    return (record.source_expression or "").split(".")[0] in (EXTERNAL, EXTERNAL_ID)


def compile_or_refuse(env, kind, expression, literal, **options):
    """Like `compile_source`, but an invalid source raises when it is read."""
    try:
        return compile_source(env, kind, expression, literal, **options)
    except ServiceError as error:
        return _refuses(error)


def _refuses(error):
    # Not the error itself, whose traceback holds this transaction.
    kind, template, values = type(error), error.template, error.values

    def read(scope):
        raise kind(template, **values)

    return read


def _mapped(read, value_map):
    return lambda scope: value_map.apply(read(scope))


@dataclass(frozen=True, eq=False)
class CompiledRule:
    """A header or payload rule: `target` is the header's name or the payload's path."""

    target: str
    source: CompiledSource


@dataclass(frozen=True, eq=False)
class CompiledCondition:
    """A comparison that must be true."""

    source: CompiledSource
    operator: str
    expected: str


@dataclass(frozen=True, eq=False)
class CompiledAssignment:
    """A change of the request: scope is request, header or payload."""

    scope: str
    target: str
    source: CompiledSource


@dataclass(frozen=True, eq=False)
class CompiledHandlerRule:
    """One rule of a handler; status is what `HandlerOutcome` knows."""

    id: int
    name: str
    status: str
    seconds: int
    note: str
    conditions: tuple[CompiledCondition, ...]
    assignments: tuple[CompiledAssignment, ...]

    def sources(self):
        """All sources of conditions and assignments."""
        return [each.source for each in (*self.conditions, *self.assignments)]


@dataclass(frozen=True, eq=False)
class CompiledHandler:
    """A handler; `rules` are empty for a Python one."""

    id: int
    name: str
    active: bool
    rules: tuple[CompiledHandlerRule, ...]


@dataclass(frozen=True, eq=False)
class EndpointSnapshot:
    """Everything that a batch needs of its endpoint, as of one moment.

    hostname: base URL; empty if a backend returns it per delivery
    policy: durations in seconds, see `DeliveryPolicy`
    trust: egress policy, authentication, secrets to mask, see `Trust`
    handler: compiled, or None if the endpoint has none
    backend: (model, id) of the linked connector backend, None without one
    backend_fault: why nothing may be sent for that backend, or empty
    is_backend_archived: the reason is that it is archived; its gate is called anyway
    has_response_hook: whether `_handle_outbound_response` has an effect
    context: context in which values are read (company, language, UTC)
    empty: value of an empty field, None or False
    body: how the body is made of the payload, see `compiled_body`; None if the
        payload is the body
    answer: what is read from responses, None if nothing is
    update: method and path of a record that has an external reference, else None
    reference_scope: of the external references that requests read, else empty
    config_version: of the endpoint, stored with each attempt
    rebuilds: each attempt is built again, instead of repeating the body sent before
    skips_unchanged: nothing is sent that the receiver got as its last request
    tracks_requests: attempts store what later requests are compared with
    extras: headers and compression that the endpoint adds, None if it adds none
    line_sources: what defines a context line's value -> compiled source
    """

    endpoint_id: int
    name: str
    code: str
    company_id: int
    http_method: str
    body_mode: str
    hostname: str
    policy: DeliveryPolicy
    trust: Trust
    header_rules: tuple[CompiledRule, ...]
    payload_rules: tuple[CompiledRule, ...]
    handler: CompiledHandler | None
    backend: tuple[str, int] | None
    backend_fault: str
    has_response_hook: bool
    needs_records: bool
    context: dict
    is_backend_archived: bool = False
    empty: bool | None = None
    body: object = None
    answer: AnswerSnapshot | None = None
    update: tuple[str, str] | None = None
    reference_scope: str = ""
    config_version: int = 0
    rebuilds: bool = False
    skips_unchanged: bool = False
    tracks_requests: bool = False
    extras: RequestExtras | None = None
    line_sources: dict = field(default_factory=dict)

    @property
    def has_backend(self):
        """True when a connector backend is linked."""
        return self.backend is not None

    @property
    def timeout(self):
        """Total deadline of one request in seconds."""
        return self.policy.timeout

    @property
    def schedule(self):
        """When a failed delivery is retried."""
        return self.policy.schedule

    @property
    def retry_on(self):
        """Statuses that are retried."""
        return self.policy.retry_on

    @property
    def max_in_flight(self):
        """Maximum number of requests in flight in one lane."""
        return self.policy.max_in_flight

    @property
    def ordering(self):
        """none, key or endpoint."""
        return self.policy.ordering

    @property
    def grouping(self):
        """What deliveries are ordered by: none, key, endpoint, or record.

        A record is never created and updated at the same time, whatever key its
        deliveries were given.
        """
        return "record" if self.update and self.ordering == "key" else self.ordering


def _sources(header_rules, payload_rules, handler):
    sources = [rule.source for rule in (*header_rules, *payload_rules)]
    for rule in handler.rules if handler else ():
        sources += rule.sources()
    return sources


def snapshot_of(endpoint, lang=None, trust=None, *, is_committed=False):
    """An endpoint as an `EndpointSnapshot`: rules, handler and policy compiled.

    An invalid rule doesn't fail the snapshot: it raises when a delivery needs it, with
    a message that names it.

    :param lang: of its company; None: read it
    :param trust: of what is not sent; None: its own, with an access token if it needs
        one
    :param is_committed: this transaction has changed no rule, so what others know of
        this version of the endpoint is true
    """
    endpoint.ensure_one()
    context = build_context(endpoint, lang)
    endpoint = endpoint.with_user(SUPERUSER_ID)
    # The caller's context must have no effect.
    endpoint = endpoint.with_context(context)  # pylint: disable=context-overridden  # on purpose
    # One statement: fields of other groups, such as secrets, would be read by more.
    endpoint.fetch(_columns(endpoint))
    # Read first: a change that is committed meanwhile must not be taken for this one.
    config_version = endpoint.config_version
    version = config_version if is_committed else None
    handler = endpoint.handler_id and endpoint.handler_id._compiled()
    header_rules = _compiled_rules(endpoint, "header_rule_ids", version)
    payload_rules = _compiled_rules(endpoint, "payload_rule_ids", version)
    body = endpoint._compiled_body()
    backend, backend_fault, is_archived = _backend(endpoint)
    has_hook = backend is not None or endpoint.env[DELIVERY]._has_response_hook()
    sources = _sources(header_rules, payload_rules, handler)
    answer, update = endpoint._answer_snapshot(), endpoint._update_request()
    reads_references = (
        bool(update)
        or f"{{{EXTERNAL}" in (endpoint.target_path or "")
        or any(source.reads_external for source in sources)
        or any(
            value.target["kind"] != "field"
            for value in (answer.values if answer else ())
        )
    )
    return EndpointSnapshot(
        endpoint_id=endpoint.id,
        name=endpoint.name,
        code=endpoint.code,
        company_id=endpoint.company_id.id,
        http_method=endpoint.http_method,
        body_mode=endpoint.request_body_mode,
        hostname="" if backend_fault else endpoint._base_url_for_snapshot(),
        policy=endpoint._policy(),
        trust=endpoint._trust() if trust is None else trust,
        header_rules=header_rules,
        payload_rules=payload_rules,
        handler=handler or None,
        backend=backend,
        backend_fault=backend_fault,
        is_backend_archived=is_archived,
        has_response_hook=has_hook,
        needs_records=(body is not None and body.reads_record)
        or any(source.reads_record for source in sources),
        context=context,
        empty=empty_value(endpoint),
        body=body,
        answer=answer,
        update=update,
        reference_scope=endpoint.reference_scope or "" if reads_references else "",
        config_version=config_version,
        rebuilds=endpoint.rebuild_each_attempt,
        skips_unchanged=endpoint.skip_if_unchanged,
        tracks_requests=_tracks_requests(endpoint),
        extras=endpoint._request_extras(),
    )


def _columns(endpoint):
    fields = endpoint._fields.items()
    return [name for name, each in fields if each.store and each.column_type]


def build_context(endpoint, lang=None):
    """Context in which values are read, regardless of the caller."""
    context = {
        "allowed_company_ids": endpoint.sudo().company_id.ids,
        "lang": lang or company_lang(endpoint),
        "tz": "UTC",
    }
    for key in KEPT_CONTEXT:
        if key in endpoint.env.context:
            context[key] = endpoint.env.context[key]
    return context


def company_lang(endpoint):
    """Language of the company's partner, or an active one if that is archived.

    Without the other fields of company and partner: a lane waits for this before its
    first request.
    """
    env = endpoint.env
    rows = env.execute_query(
        SQL(
            """SELECT p.lang FROM res_company c
            JOIN res_partner p ON p.id = c.partner_id WHERE c.id = %s""",
            endpoint.sudo().company_id.id or None,
            to_flush=(
                env["res.company"]._fields["partner_id"],
                env["res.partner"]._fields["lang"],
            ),
        )
    )
    return active_lang(env, rows and rows[0][0])


def active_lang(env, code):
    """`code` if that language is active, else English, else any active one.

    Odoo raises for every translated text in an inactive language.
    """
    languages = env["res.lang"]
    for each in (code, "en_US"):
        if each and languages._get_data(code=each):
            return each
    active = [each for each, _name in languages.get_installed()]
    return active[0] if active else "en_US"


def empty_value(endpoint):
    """Value of an empty field in a request: None or False."""
    return False if endpoint.empty_value == "false" else None


def _tracks_requests(endpoint):
    """Whether requests are compared: by the endpoint, or by some of its deliveries."""
    if endpoint.skip_if_unchanged:
        return True
    [[is_compared]] = endpoint.env.execute_query(sql.compares_requests(endpoint.id))
    return is_compared


def _compiled_rules(endpoint, field_name, version=None):
    """Active rules of one kind; those of a committed version may be known already."""
    if version is not None:
        known = endpoint._lasting_rules(field_name, version)
        if known is not None:
            return known
    return active_rules(endpoint, field_name)._compiled()


def active_rules(endpoint, field_name):
    """The endpoint's active rules of one kind, in their order, read in one query."""
    rules = endpoint.env[endpoint._fields[field_name].comodel_name]
    return rules.search_fetch([("endpoint_id", "=", endpoint.id)], rules._READ)


def _backend(endpoint):
    """(model, id) of the backend, why it may not send, whether it is archived."""
    reference, is_archived = ("", 0), False
    try:
        backend = endpoint._connector_backend()
        if backend is None:
            return None, "", False
        reference = (backend._name, backend.id)
        is_archived = bool(backend.exists()) and not backend._is_in_use()
        endpoint._check_connector_backend()
    except UserError as error:
        return reference, str(error), is_archived
    return reference, "", False
