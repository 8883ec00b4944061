# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value sources compiled once for several batches into functions of a build scope."""

import copy

from ..services.errors import ConfigurationError, _lt
from ..services.paths import read_path
from ..services.template import render_literal, render_text
from ..services.values import decode_literal_value
from .const import REQUEST_KEYS, SOURCE_MODELS
from .field_path import check_syntax, compile_field_path
from .field_value import read_field
from .path_reader import compile_limited_path


class BuildScope:
    """What the sources of one delivery are read from.

    delivery, endpoint, company: records, superuser, the endpoint's company and language
    lines: (key, kind, expression, literal, reader) of the active context lines
    files: form field -> file
    context_values: key -> value; None before the lines were read
    request_data: the request built so far, as `OutboundRequest.to_dict()` gives it
    empty: what a field without a value becomes, None or False
    escape: how values are written into the text of a raw body, see `escaping.escaper`
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
        """The record that the delivery is about; empty when it is gone or unnamed."""
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
        """Partner of the record that the delivery is about, else the company's."""
        if self._partner is None:
            self._partner = self._find_partner()
        return self._partner

    def _find_partner(self):
        if not self.delivery.res_id:
            return self.company.partner_id
        record = self.need_record()
        if record._name == "res.partner":
            return record
        field = record._fields.get("partner_id")
        if field is not None and field.comodel_name == "res.partner":
            return read_field(record, "partner_id", "partner_id")
        return self.company.partner_id

    def need_record(self):
        """The record that the delivery is about; ConfigurationError without one."""
        if self.record:
            return self.record
        if self.delivery.res_id:
            raise ConfigurationError(
                _lt(
                    "the record that the delivery is about (%(model)s, %(id)s) is "
                    "gone. Cancel the delivery, or take the value from elsewhere."
                ),
                model=self.delivery.res_model,
                id=self.delivery.res_id,
            )
        raise ConfigurationError(
            _lt(
                "the delivery is about no record, but a record field is asked for. "
                "Give record= when queueing, or take the value from elsewhere."
            )
        )


def compile_source(env, kind, expression, literal, *, as_typed=False, reader=None):
    """A function `scope -> plain value` for one source.

    :param as_typed: a literal is text whatever it looks like (header values)
    :param reader: id of the user whose rights limit what is read; None for no limit
    :raise ConfigurationError: the source can't work, where that can be known now
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
    """Refuse, while it is saved, a source that can't work whatever is delivered.

    :raise ConfigurationError: says what is wrong and what to do
    """
    if kind == "literal":
        return
    expression = (expression or "").strip()
    if not expression:
        raise ConfigurationError(
            _lt("no path is given. Write one, such as name or partner_id.name.")
        )
    if kind == "record_field":
        check_syntax(expression)
    elif kind == "request_field" and expression.split(".")[0] not in REQUEST_KEYS:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" starts at no part of the request. Start with one '
                "of: %(keys)s."
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
    """True when a text in `value` may hold a token or an escaped brace."""
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
    # Endpoint, company and delivery are the user's own; the others may be any record.
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
