# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value sources compiled once for several batches into functions of a build scope."""

import copy

from odoo import api, fields, models

from ..services.changes import decode_typed
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.paths import read_path
from ..services.payload_lists import LIST
from ..services.template import (
    MissingValue,
    field_tokens,
    render_literal,
    render_text,
)
from ..services.values import decode_literal_value
from .const import RECORD_KINDS, REQUEST_KEYS, SOURCE_MODELS
from .errors import form_warning, misconfigured
from .field_path import check_syntax, compile_field_path, final_field
from .path_reader import check_path, compile_limited_path, is_limited, reader_env
from .value_format import FORMAT_FIELDS, IF_EMPTY, Finish

# The first word of a token that names a field, as in {record.partner_id.name}.
TOKEN_KINDS = {
    "record": "record_field",
    "company": "company_field",
    "partner": "partner_field",
}


def source_paths(kind, expression, literal):
    """The field paths that a source reads, as pairs (kind, path)."""
    if kind == LIST:
        kind = "record_field"
    if kind == "record_field" or kind in SOURCE_MODELS:
        return [(kind, (expression or "").strip())]
    if kind != "literal" or not isinstance(literal, str):
        return []
    if "{" not in literal and "\\" not in literal:  # JSON may write { as \\u007b
        return []
    tokens = field_tokens(decode_literal_value(literal))
    words = (token.partition(".") for token in tokens)
    return [(TOKEN_KINDS[word], path) for word, _dot, path in words]


def reads_record(kind, literal):
    """True if a source reads the record of a delivery, or its partner."""
    if kind == "literal":
        return any(
            each in RECORD_KINDS for each, _ in source_paths(kind, None, literal)
        )
    return kind in RECORD_KINDS


def compile_source(
    env, kind, expression, literal, *, as_typed=False, reader=None, finish=None
):
    """A function `scope -> plain value` for one source.

    :param as_typed: a literal is always text (header values)
    :param reader: id of the user whose rights limit what is read; None for no limit
    :param finish: a `Finish`, or None for the value as it is
    :raise ConfigurationError: the source is invalid, as far as known in advance
    """
    if kind == "record_field" or kind in SOURCE_MODELS:
        if not expression or not isinstance(expression, str):
            return _nothing
        return _compile_field(env, kind, expression.strip(), reader, finish)
    read = _compile_value(env, kind, expression, literal, as_typed, reader)
    if finish is None:
        return read
    return _finished(read, finish, env, (expression or literal or "").strip())


def _finished(read, finish, env, shown):
    done = finish.compile(env, None, shown)
    if not finish.if_empty:
        return lambda scope: done(read(scope), scope.empty)

    def read_finished(scope):
        try:
            value = read(scope)
        except MissingValue:
            if finish.if_empty == "error":
                raise
            value = None
        return done(value, scope.empty)

    return read_finished


def _compile_value(env, kind, expression, literal, as_typed, reader):
    if kind == "literal":
        return _literal(env, literal, as_typed, reader)
    if not expression or not isinstance(expression, str):
        return _nothing
    expression = expression.strip()
    if kind == "context_key":
        return _context_key(expression)
    if kind == "request_field":
        return lambda scope: read_path(scope.request_data, expression)
    return _nothing


def check_source(env, kind, expression, literal):
    """Refuse, when it is saved, a source that is invalid for every delivery.

    :raise ConfigurationError: the message says what is wrong and what to do
    """
    if kind == "literal":
        for each, path in source_paths(kind, expression, literal):
            check_source(env, each, path, None)
        return
    expression = (expression or "").strip()
    if not expression:
        raise ConfigurationError(
            _lt("the path is empty. Enter one, such as name or partner_id.name.")
        )
    if kind in ("record_field", LIST):
        check_syntax(expression)
    elif kind == "request_field" and expression.split(".")[0] not in REQUEST_KEYS:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" doesn\'t start with a part of the request. Start '
                "with one of: %(keys)s."
            ),
            path=expression,
            keys=", ".join(REQUEST_KEYS),
        )
    else:
        compile_source(env, kind, expression, literal)


def _nothing(scope):
    return scope.empty


def _literal(env, text, as_typed, reader):
    value = (text or "") if as_typed else decode_literal_value(text)
    if not value or not isinstance(value, str | dict | list):
        return lambda scope: value
    if not _has_braces(value):
        if isinstance(value, str):
            return lambda scope: value
        return lambda scope: copy.deepcopy(value)
    names = field_tokens(value)
    if names:
        return _literal_of_fields(env, value, names, as_typed, reader)
    if as_typed:
        return lambda scope: render_text(value, scope.context_values)
    return lambda scope: render_literal(value, scope.context_values, scope.escape)


def read_literal(env, text, reader, scope):
    """The value of a literal that is read once: compiling it would take longer."""
    value = decode_literal_value(text)
    if isinstance(value, str | dict | list) and _has_braces(value):
        return _literal(env, text, False, reader)(scope)
    return value


def _literal_of_fields(env, value, names, as_typed, reader):
    """A literal with tokens of fields; an empty field is None, never False."""
    readers = {}
    for name in names:
        word, _dot, path = name.partition(".")
        readers[name] = _compile_field(env, TOKEN_KINDS[word], path, reader, _AS_NONE)

    def read(scope):
        values = dict(scope.context_values)
        for name, read_one in readers.items():
            values[name] = read_one(scope)
        if as_typed:
            return render_text(value, values)
        return render_literal(value, values, scope.escape)

    return read


def _has_braces(value):
    """True if a text in `value` may contain a token or an escaped brace."""
    if isinstance(value, str):
        return "{" in value or "}" in value
    if isinstance(value, dict):
        return any(map(_has_braces, value.values())) or any(map(_has_braces, value))
    if isinstance(value, list):
        return any(map(_has_braces, value))
    return False


def _context_key(expression):
    def read(scope):
        values = scope.context_values
        if expression in values:
            return values[expression]
        return read_path(values, expression) if "." in expression else None

    return read


def _compile_field(env, kind, expression, reader, finish):
    """A function `scope -> value` that follows fields of a record."""
    if kind == "record_field":
        return _record_field(expression, reader, finish)
    read = compile_path(env, SOURCE_MODELS[kind], expression, reader, kind, finish)
    if kind == "delivery_field":
        return lambda scope: read(scope.delivery, scope.empty)
    if kind == "endpoint_field":
        return lambda scope: read(scope.endpoint, scope.empty)
    if kind == "company_field":
        return lambda scope: read(scope.company, scope.empty)

    def read_partner(scope):
        partner = scope.partner
        if not partner and (kept := scope.kept_values()):
            if scope.delivery.res_model == partner._name:
                return _kept_value(scope, kept, expression, reader, finish)
        return read(partner, scope.empty)

    return read_partner


def compile_path(env, model_name, expression, reader, kind, finish=None):
    """A function `(record, empty) -> value`, limited to what the reader may read.

    :param kind: of the source that starts at this record
    :param finish: a `Finish`, or None
    """
    if finish is not None:
        return _finished_path(env, model_name, expression, reader, kind, finish)
    if not reader:
        return compile_field_path(env, model_name, expression)
    # Endpoint, company and delivery belong to the user; the others may be any record.
    return compile_limited_path(
        env, model_name, expression, reader, check_start=kind in RECORD_KINDS
    )


def _finished_path(env, model_name, expression, reader, kind, finish):
    compile_field_path(env, model_name, expression)  # valid, so its end is known
    path, finish = finish.at(env, model_name, expression)
    read = compile_path(env, model_name, path, reader, kind)
    done = finish.compile(env, final_field(env, model_name, path), expression)
    # A boolean that is false differs from an empty field only if that is None.
    return lambda record, empty: done(read(record), empty)


_AS_NONE = Finish(None, "null")


def _record_field(expression, reader, finish):
    readers = {}  # by model: deliveries of one endpoint may be about several

    def read(scope):
        record = scope.record
        if not record:
            if kept := scope.kept_values():
                return _kept_value(scope, kept, expression, reader, finish)
            record = scope.need_record()
        read_record = readers.get(record._name)
        if read_record is None:
            read_record = readers[record._name] = compile_path(
                record.env, record._name, expression, reader, "record_field", finish
            )
        return read_record(record, scope.empty)

    return read


def kept_key(path, reader):
    """The key of a value that was kept of a deleted record.

    :param reader: id of the user whose rights limited what was read, or nothing
    """
    return f"{reader or 0}:{path}"


def _kept_value(scope, kept, expression, reader, finish):
    """The value that a deleted record had."""
    path, env, model_name = expression, scope.delivery.env, scope.delivery.res_model
    if finish is not None:
        path, finish = finish.at(env, model_name, expression)
    found = kept["values"].get(kept_key(path, reader))
    if found is None:
        scope.need_record()  # raises: it was deleted
    value = decode_typed(found)
    if finish is None:
        return scope.empty if value is None else value
    done = finish.compile(env, final_field(env, model_name, path), expression)
    return done(value, scope.empty)


SOURCE_FIELDS = ("source_kind", "source_expression", "literal_value")
# All that a source is compiled from.
COMPILED_FIELDS = ("limited_to_user_id", *SOURCE_FIELDS, *FORMAT_FIELDS)
# The user who changes one of these is the reader whose rights apply.
LIMITING_FIELDS = frozenset(
    "source_kind source_expression literal_value key_name "
    "endpoint_id delivery_id rule_id test_id".split()
)


def source_kind_field(kinds, default="literal"):
    """The field `source_kind`; which kinds there are depends on the model."""
    return fields.Selection(
        kinds,
        default=default,
        required=True,
        help="Where the value comes from. Literal: the text given here. Fields: a "
        "dotted path from the delivery, the endpoint, its company, the partner, or "
        "the record that the delivery is about. Context Key: a value given when the "
        "delivery was queued. Request Field: a part of the request built so far.",
    )


class BwtWebhookOutboundSourceMixin(models.AbstractModel):
    """Expression and literal of a value, checked when saved.

    A model that inherits this declares `source_kind = source_kind_field(...)`.
    """

    _name = "bwt.webhook.outbound.source.mixin"
    _description = "Webhook Value Source"
    _inherit = "bwt.webhook.outbound.value.format.mixin"

    source_expression = fields.Char(
        help="Dotted path, such as partner_id.name, order_line.0.name or "
        "order_line.*.product_id.default_code. A path that ends on a relation "
        "returns its ID or the list of its IDs. Not used for literals.",
    )
    literal_value = fields.Text(
        help="The value of a literal. It is read as JSON if it parses (149.99 is a "
        'number, true a boolean, "42" a text) and as text otherwise. Texts may '
        "contain {key} for a context value, and {record.partner_id.name}, "
        "{partner.email} or {company.name} for a field; a text that consists only of "
        "one of these keeps that value's type. Header values are sent as typed.",
    )

    if_empty = fields.Selection(
        IF_EMPTY,
        help="What is sent for a field without a value, null or an empty text; false "
        "and 0 are values. Empty: what the endpoint sends for empty fields.",
    )
    path_model = fields.Char(
        compute="_compute_path_model",
        help="Model at which the path starts, if it is known: its fields are offered "
        "for the path.",
    )
    limited_to_user_id = fields.Many2one(
        comodel_name="res.users",
        string="Reads As",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The user who saved the path without Settings rights: it reads only what "
        "this user may read. Empty when a Settings administrator or code saved it.",
    )

    @api.depends("source_kind")
    def _compute_path_model(self):
        for owner, sources in self.grouped(lambda each: each._path_owner()).items():
            model_of_records = owner._model_of_records()
            for source in sources:
                kind = source.source_kind
                source.path_model = source._source_model(
                    "record_field" if kind == LIST else kind
                ) or (kind in RECORD_KINDS and model_of_records)

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([{**vals, **self._reader_values()} for vals in vals_list])

    def write(self, vals):
        if LIMITING_FIELDS & vals.keys():
            vals = {"limited_to_user_id": False, **vals, **self._reader_values()}
        elif "limited_to_user_id" in vals and not self.env.su:
            vals = {name: vals[name] for name in vals if name != "limited_to_user_id"}
        return super().write(vals)

    @api.model
    def _reader_values(self):
        """The user whose rights limit what this user saves; empty without a limit."""
        return {"limited_to_user_id": self.env.uid} if is_limited(self.env) else {}

    @api.constrains("source_kind", "source_expression", "literal_value", *FORMAT_FIELDS)
    def _check_source(self):
        """Refuse what is known to be invalid before it runs."""
        for source in self:
            try:
                source._check_one()
            except ServiceError as error:
                error.where = source._source_label()
                raise misconfigured(source._source_owner(), error) from error

    @api.onchange("source_kind", "source_expression", "literal_value", *FORMAT_FIELDS)
    def _onchange_source(self):
        """Warn while editing about what saving would refuse."""
        if self.source_kind != "literal" and not self.source_expression:
            return None
        try:
            self._check_one()
        except ServiceError as error:
            error.where = self._source_label()
            return form_warning(self.env, error)
        return None

    def _check_one(self):
        """Raise ServiceError if this record is invalid for every delivery."""
        source = (self.source_kind, self.source_expression, self.literal_value)
        check_source(self.env, *source)
        paths = source_paths(*source)
        for kind, path in paths:
            model_name = self._source_model(kind)
            if model_name in self.env:
                self._check_path(kind, model_name, path)
        finish = Finish.of(self)
        if finish is None:
            return
        finish.check()
        if self.source_kind == "literal" or not paths:
            finish.compile(self.env, None, self.source_expression or "")
            return
        [(kind, path)] = paths
        model_name = self._source_model(kind)
        if model_name in self.env:
            compile_path(self.env, model_name, path, None, kind, finish)

    def _check_path(self, kind, model_name, path):
        """Raise ServiceError if the path is invalid, or may not be read from here."""
        reader = self.limited_to_user_id.id or self._reader_values().get(
            "limited_to_user_id"
        )
        if reader:
            check_path(reader_env(self.env, reader), model_name, path)

    def _source_model(self, kind):
        """The model at which paths of this kind start; None if it isn't known yet."""
        return SOURCE_MODELS.get(kind)

    def _source_literal_as_typed(self):
        """True if a literal is text, not JSON: header values."""
        return False

    def _source_label(self):
        """The name of this record in errors."""
        return self.display_name or self._description

    def _source_owner(self):
        """The record that this one belongs to: an endpoint, a handler."""
        return self

    def _path_owner(self):
        """The record that knows which model the paths start at."""
        return self._source_owner()
