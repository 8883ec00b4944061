# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value sources compiled once for several batches into functions of a build scope."""

import copy

from odoo import api, fields, models

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.paths import read_path
from ..services.template import render_literal, render_text
from ..services.values import decode_literal_value
from .const import REQUEST_KEYS, SOURCE_MODELS
from .errors import capitalized, misconfigured, translate
from .field_path import check_syntax, compile_field_path
from .field_value import read_field
from .path_reader import check_path, compile_limited_path, is_limited, reader_env


class BuildScope:
    """The values that the sources of one delivery read.

    delivery, endpoint, company: records, superuser, the endpoint's company and language
    lines: (key, kind, expression, literal, reader) of the active context lines
    files: form field -> file
    context_values: key -> value; None before the lines were read
    request_data: the request built so far, as `OutboundRequest.to_dict()` returns it
    empty: value of an empty field, None or False
    escape: how to escape values in a raw body, see `escaping.escaper`
    """

    __slots__ = (
        "delivery",
        "endpoint",
        "company",
        "lines",
        "files",
        "context_values",
        "request_data",
        "empty",
        "escape",
        "_record",
        "_partner",
    )

    def __init__(self, delivery, endpoint, company, empty=None):
        self.delivery = delivery
        self.empty = empty
        self.endpoint = endpoint
        self.company = company
        self.lines = ()
        self.files = {}
        self.context_values = None
        self.request_data = {}
        self.escape = None
        self._record = None
        self._partner = None

    @property
    def record(self):
        """The record of the delivery; empty if deleted or not given."""
        if self._record is None:
            self._record = self._find_record()
        return self._record

    @record.setter
    def record(self, record):
        self._record = record

    def _find_record(self):
        model_name, record_id = self.delivery.res_model, self.delivery.res_id
        if not model_name or not record_id or model_name not in self.delivery.env:
            return self.delivery.browse()
        return self.delivery.env[model_name].browse(record_id).exists()

    @property
    def partner(self):
        """Partner of the record of the delivery, else of the company."""
        if self._partner is None:
            self._partner = self._find_partner()
        return self._partner

    def _find_partner(self):
        if not self._has_record():
            return self.company.partner_id
        record = self.need_record()
        if record._name == "res.partner":
            return record
        field = record._fields.get("partner_id")
        if field is not None and field.comodel_name == "res.partner":
            return read_field(record, "partner_id", "partner_id")
        return self.company.partner_id

    def _has_record(self):
        """Whether the delivery names a record, which may be deleted."""
        return bool(self.delivery.res_id)

    def need_record(self):
        """The record of the delivery; raises ConfigurationError without one."""
        if self.record:
            return self.record
        if self.delivery.res_id:
            raise ConfigurationError(
                _lt(
                    "the record that the delivery is about (%(model)s, %(id)s) was "
                    "deleted. Cancel the delivery, or choose another source for "
                    "the value."
                ),
                model=self.delivery.res_model,
                id=self.delivery.res_id,
            )
        raise ConfigurationError(
            _lt(
                "the delivery has no record, but a record field is requested. Give "
                "record= when queueing, or choose another source for the value."
            )
        )


def compile_source(env, kind, expression, literal, *, as_typed=False, reader=None):
    """A function `scope -> plain value` for one source.

    :param as_typed: a literal is always text (header values)
    :param reader: id of the user whose rights limit what is read; None for no limit
    :raise ConfigurationError: the source is invalid, as far as known in advance
    """
    if kind == "literal":
        return _literal_text(literal) if as_typed else _literal(literal)
    if not expression or not isinstance(expression, str):
        return _nothing
    expression = expression.strip()
    if kind == "context_key":
        return _context_key(expression)
    if kind == "request_field":
        return lambda scope: read_path(scope.request_data, expression)
    if kind == "record_field":
        return _record_field(expression, reader)
    if kind not in SOURCE_MODELS:
        return _nothing
    read = _compile_path(env, SOURCE_MODELS[kind], expression, reader, kind)
    if kind == "delivery_field":
        return lambda scope: read(scope.delivery, scope.empty)
    if kind == "endpoint_field":
        return lambda scope: read(scope.endpoint, scope.empty)
    if kind == "company_field":
        return lambda scope: read(scope.company, scope.empty)
    return lambda scope: read(scope.partner, scope.empty)


def check_source(env, kind, expression, literal):
    """Refuse, when it is saved, a source that is invalid for every delivery.

    :raise ConfigurationError: the message says what is wrong and what to do
    """
    if kind == "literal":
        return
    expression = (expression or "").strip()
    if not expression:
        raise ConfigurationError(
            _lt("the path is empty. Enter one, such as name or partner_id.name.")
        )
    if kind == "record_field":
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


def _literal(text):
    value = decode_literal_value(text)
    if not value or not isinstance(value, str | dict | list):
        return lambda scope: value
    if _has_braces(value):
        return lambda scope: render_literal(value, scope.context_values, scope.escape)
    if isinstance(value, str):
        return lambda scope: value
    return lambda scope: copy.deepcopy(value)


def _literal_text(text):
    text = text or ""
    if _has_braces(text):
        return lambda scope: render_text(text, scope.context_values)
    return lambda scope: text


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


def _compile_path(env, model_name, expression, reader, kind):
    if not reader:
        return compile_field_path(env, model_name, expression)
    # Endpoint, company and delivery belong to the user; the others may be any record.
    check_start = kind in ("record_field", "partner_field")
    return compile_limited_path(
        env, model_name, expression, reader, check_start=check_start
    )


def _record_field(expression, reader):
    readers = {}  # by model: deliveries of one endpoint may be about several

    def read(scope):
        record = scope.need_record()
        read_record = readers.get(record._name)
        if read_record is None:
            read_record = readers[record._name] = _compile_path(
                record.env, record._name, expression, reader, "record_field"
            )
        return read_record(record, scope.empty)

    return read


SOURCE_FIELDS = ("source_kind", "source_expression", "literal_value")
# The user who changes one of these is the reader whose rights apply.
ANSWERED_FOR = frozenset(
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

    source_expression = fields.Char(
        help="Dotted path, such as partner_id.name, order_line.0.name or "
        "order_line.*.product_id.default_code. A path that ends on a relation "
        "returns its ID or the list of its IDs. Not used for literals.",
    )
    literal_value = fields.Text(
        help="The value of a literal. It is read as JSON if it parses (149.99 is a "
        'number, true a boolean, "42" a text) and as text otherwise. Texts may '
        "contain {key} for a context value; a text that consists only of {key} "
        "keeps that value's type. Header values are sent as typed.",
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

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([{**vals, **self._reader_values()} for vals in vals_list])

    def write(self, vals):
        if ANSWERED_FOR & vals.keys():
            vals = {"limited_to_user_id": False, **vals, **self._reader_values()}
        elif "limited_to_user_id" in vals and not self.env.su:
            vals = {name: vals[name] for name in vals if name != "limited_to_user_id"}
        return super().write(vals)

    @api.model
    def _reader_values(self):
        """The user whose rights limit what this user saves; empty without a limit."""
        return {"limited_to_user_id": self.env.uid} if is_limited(self.env) else {}

    @api.constrains("source_kind", "source_expression", "literal_value")
    def _check_source(self):
        """Refuse what is known to be invalid before it runs."""
        for source in self:
            try:
                source._check_one()
            except ServiceError as error:
                error.where = source._source_label()
                raise misconfigured(source._source_owner(), error) from error

    @api.onchange("source_kind", "source_expression", "literal_value")
    def _onchange_source(self):
        """Warn while editing about what saving would refuse."""
        if self.source_kind != "literal" and not self.source_expression:
            return None
        try:
            self._check_one()
        except ServiceError as error:
            error.where = self._source_label()
            return {
                "warning": {
                    "title": self.env._("This can't work"),
                    "message": capitalized(translate(self.env, error)),
                    "type": "notification",
                }
            }
        return None

    def _check_one(self):
        """Raise ServiceError if this record is invalid for every delivery."""
        check_source(
            self.env, self.source_kind, self.source_expression, self.literal_value
        )
        reader = self.limited_to_user_id.id or self._reader_values().get(
            "limited_to_user_id"
        )
        if reader and self.source_kind in SOURCE_MODELS:
            check_path(
                reader_env(self.env, reader),
                SOURCE_MODELS[self.source_kind],
                self.source_expression.strip(),
            )

    def _source_literal_as_typed(self):
        """True if a literal is text, not JSON: header values."""
        return False

    def _source_label(self):
        """The name of this record in errors."""
        return self.display_name or self._description

    def _source_owner(self):
        """The record that this one belongs to: an endpoint, a handler."""
        return self
