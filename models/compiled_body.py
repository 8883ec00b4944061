# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bodies that a template or CSV makes of the payload."""

from dataclasses import dataclass, replace

from markupsafe import Markup

from odoo.tools import html2plaintext

from ..lane.translation import translate
from ..services.body_template import BodyTemplate
from ..services.csv_body import CsvFormat, columns_of
from ..services.errors import ServiceError
from ..services.headers import charset_of, content_type_of, set_header
from .const import DELIVERY
from .errors import capitalized
from .path_reader import FieldReader, is_limited
from .record_payload import sample_request

SHOWN = 64 * 1024  # characters of a sample
KINDS = {"company": "res.company", "delivery": DELIVERY}
CSV_FIELDS = (
    "csv_delimiter",
    "csv_quote",
    "csv_quote_all",
    "csv_decimal_comma",
    "csv_header",
    "csv_line_end",
    "csv_charset",
    "csv_guard_formulas",
)


@dataclass(frozen=True, eq=False)
class CompiledBody:
    """How an endpoint makes its bodies of the payload; see `EndpointSnapshot`.

    template: a `BodyTemplate` for the mode raw, or None
    csv: a `CsvFormat` for the mode csv, or None
    reader: reads records for the template
    fault: why the template can't be rendered, or None
    """

    template: BodyTemplate | None = None
    csv: CsvFormat | None = None
    reader: FieldReader | None = None
    fault: ServiceError | None = None

    @property
    def reads_record(self):
        """True if the template reads the record of the delivery."""
        return self.template is not None and "record" in self.template.names

    def apply(self, request, scope, built=None):
        """The request with its body as text.

        A text that the handler returned as payload is the body already.
        :param request: `OutboundRequest` after the handler
        :param built: the one before it
        :return: an `OutboundRequest`
        :raise ServiceError: the body can't be made of this payload
        """
        payload = request.raw("payload")
        if isinstance(payload, str | bytes) and built is not None:
            if payload != built.raw("payload"):
                return request
        mode = request.request_body_mode
        if mode == "csv" and self.csv is not None:
            return self._with_csv(request)
        if mode == "raw" and self.csv is None:
            return self._with_template(request, scope)
        return request

    def _with_csv(self, request):
        payload = request.raw("payload")
        if isinstance(payload, str | bytes):
            return request
        headers = dict(request.raw("headers"))
        given = content_type_of(headers)
        if not given:
            set_header(headers, "Content-Type", self.csv.content_type)
        return request.replaced(headers=headers, payload=self.csv.body(payload))

    def _with_template(self, request, scope):
        if self.fault is not None:
            raise type(self.fault)(self.fault.template, **self.fault.values)
        headers = dict(request.raw("headers"))
        given = content_type_of(headers)
        if not given and self.template.is_xml:
            set_header(headers, "Content-Type", "application/xml; charset=utf-8")
        body = self.template.render(
            self._loaders(request, scope), given and charset_of(given) or "utf-8"
        )
        return request.replaced(headers=headers, payload=body)

    def _loaders(self, request, scope):
        view = self.reader.view
        return {
            "record": lambda: view(scope.need_record()),
            "company": lambda: view(scope.company, is_checked=False),
            "delivery": lambda: view(scope.delivery, is_checked=False),
            "payload": lambda: request.raw("payload"),
            "context": lambda: scope.context_values or {},
        }


def template_of(endpoint, reader):
    """The body template of an endpoint.

    :raise ServiceError: it can't be rendered
    """
    env = endpoint.env
    return BodyTemplate(
        endpoint.body_template,
        is_xml=endpoint.body_template_type != "text",
        kinds=KINDS,
        schema=lambda model_name, name: reader.model_after(env, model_name, name),
        plain_text=html2plaintext,
    )


def csv_format_of(endpoint):
    """The CSV options of an endpoint, with the columns of its payload rules."""
    rules = endpoint.payload_rule_ids.filtered("active").sorted(
        lambda rule: (rule.sequence, rule.id)
    )
    decimals = rules.filtered(
        lambda rule: rule.value_format == "decimal" and rule.format_as_text
    )
    return CsvFormat(
        columns=columns_of(rule.target_path or "" for rule in rules),
        decimal_columns=frozenset(
            columns_of(rule.target_path or "" for rule in decimals)
        ),
        delimiter=endpoint.csv_delimiter,
        quote=endpoint.csv_quote,
        quote_all=endpoint.csv_quote_all,
        decimal_comma=endpoint.csv_decimal_comma,
        has_header=endpoint.csv_header,
        line_end=endpoint.csv_line_end,
        charset=endpoint.csv_charset,
        guards_formulas=endpoint.csv_guard_formulas,
    )


def sample_of(endpoint, record):
    """The body for a record as HTML, or why there is none.

    Read with the user's rights: it shows no more than they may read.
    """
    env = endpoint.env
    user_id = env.uid if is_limited(env) else None
    body = endpoint.sudo()._compiled_body()
    if user_id and body.reader is not None:
        body = replace(body, reader=FieldReader(user_id))
    try:
        request, scope = sample_request(endpoint, record)
        text = body.apply(request, scope).raw("payload")
    except ServiceError as error:
        message = capitalized(translate(env, error))
        return Markup('<div class="text-danger">%s</div>') % message
    return Markup('<pre class="mb-0">%s</pre>') % text[:SHOWN]
