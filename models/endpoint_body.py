# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: bodies that a template or CSV makes of the payload."""

from dataclasses import dataclass, replace

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import html2plaintext

from ..lane.translation import translate
from ..services.body_template import BodyTemplate
from ..services.csv_body import CsvFormat, columns_of
from ..services.errors import ServiceError
from ..services.headers import charset_of, content_type_of, set_header
from .action_file import MODEL as ACTION_FILE
from .const import DELIVERY, GROUP_OPERATOR
from .errors import capitalized, form_warning, misconfigured
from .path_reader import FieldReader, is_limited
from .payload_list import LIST_FIELDS
from .record_payload import sample_request
from .value_format import FORMAT_FIELDS
from .value_source import SOURCE_FIELDS

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
_RULE_FIELDS = ("target_path", "sequence", "active", "value_map")


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


def _template(endpoint, reader):
    env = endpoint.env
    return BodyTemplate(
        endpoint.body_template,
        is_xml=endpoint.body_template_type != "text",
        kinds=KINDS,
        schema=lambda model_name, name: reader.model_after(env, model_name, name),
        plain_text=html2plaintext,
    )


def _csv_format(endpoint):
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


class BwtWebhookOutboundEndpointBody(models.AbstractModel):
    """Body template, CSV options, and a sample of what they make."""

    _name = "bwt.webhook.outbound.endpoint.body"
    _description = "Outbound Webhook Endpoint: Body"

    body_template = fields.Text(
        groups=GROUP_OPERATOR,
        help="Makes the body from the payload and the record: XML with QWeb's t-out, "
        "t-if, t-elif, t-else, t-foreach, t-att and t-set. It reads record, company, "
        "delivery, payload and context. Empty: the payload is a text, which is sent "
        "as it is.",
    )
    body_template_type = fields.Selection(
        selection=[("xml", "XML"), ("text", "Plain Text")],
        string="Template Format",
        default="xml",
        required=True,
        groups=GROUP_OPERATOR,
        help="XML: values are escaped, and the Content-Type is application/xml unless "
        "a header rule sets it. Plain Text: only <t> elements are possible, and "
        "values are written as they are.",
    )
    body_limited_to_user_id = fields.Many2one(
        comodel_name="res.users",
        string="Template Reads As",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
        groups=GROUP_OPERATOR,
        help="The user who saved the template without Settings rights: it reads only "
        "what this user may read. Empty when a Settings administrator or code saved "
        "it.",
    )
    csv_delimiter = fields.Selection(
        selection=[
            ("comma", "Comma"),
            ("semicolon", "Semicolon"),
            ("tab", "Tab"),
            ("pipe", "Vertical Bar"),
        ],
        string="Delimiter",
        default="comma",
        required=True,
        groups=GROUP_OPERATOR,
    )
    csv_quote = fields.Selection(
        selection=[("double", 'Double Quotes (")'), ("single", "Single Quotes (')")],
        string="Quotes",
        default="double",
        required=True,
        groups=GROUP_OPERATOR,
    )
    csv_quote_all = fields.Boolean(
        string="Quote All Values",
        groups=GROUP_OPERATOR,
        help="Otherwise only values with a delimiter, a quote or a line break.",
    )
    csv_decimal_comma = fields.Boolean(
        string="Decimal Comma",
        groups=GROUP_OPERATOR,
        help="Numbers, and values with the format Decimal, have a comma: 10,50.",
    )
    csv_header = fields.Boolean(
        string="Header Row",
        default=True,
        groups=GROUP_OPERATOR,
        help="The first row has the names of the columns.",
    )
    csv_line_end = fields.Selection(
        selection=[("crlf", "CRLF (Windows, RFC 4180)"), ("lf", "LF (Unix)")],
        string="Line End",
        default="crlf",
        required=True,
        groups=GROUP_OPERATOR,
    )
    csv_charset = fields.Selection(
        selection=[
            ("utf-8", "UTF-8"),
            ("utf-8-sig", "UTF-8 With Byte Order Mark"),
            ("iso-8859-1", "ISO 8859-1 (Latin 1)"),
            ("iso-8859-15", "ISO 8859-15 (Latin 9)"),
            ("windows-1252", "Windows-1252"),
            ("utf-16", "UTF-16"),
        ],
        string="Charset",
        default="utf-8",
        required=True,
        groups=GROUP_OPERATOR,
        help="Used and named in the Content-Type, unless a header rule sets that.",
    )
    csv_guard_formulas = fields.Boolean(
        string="Guard Formulas",
        groups=GROUP_OPERATOR,
        help="Puts an apostrophe before texts that begin with = + - @, a tab or a line "
        "break, which a spreadsheet would calculate. Choose it if users open the file; "
        "a program would read the apostrophe as part of the text.",
    )
    body_sample = fields.Html(
        compute="_compute_body_sample",
        sanitize=False,
        groups=GROUP_OPERATOR,
        help="The body for the sample record and an empty payload, to which the "
        "payload rules are applied. Context values are not known here.",
    )

    @api.model
    def _with_body_reader(self, vals):
        """Values with the user whose rights limit the template that they contain."""
        if "body_template" in vals:
            reader = self.env.uid if is_limited(self.env) else False
            return {**vals, "body_limited_to_user_id": reader}
        if "body_limited_to_user_id" in vals and not self.env.su:
            return {k: v for k, v in vals.items() if k != "body_limited_to_user_id"}
        return vals

    @api.constrains("body_template", "body_template_type", "request_body_mode")
    def _check_body_template(self):
        """Refuse a template that is known to be invalid before it is rendered."""
        for endpoint in self:
            fault = endpoint._body_fault()
            if fault is not None:
                fault.where = self.env._("body template")
                raise misconfigured(endpoint, fault) from fault

    def _body_fault(self):
        endpoint = self.sudo()
        if endpoint.request_body_mode != "raw" or not endpoint.body_template:
            return None
        reader = FieldReader(endpoint.body_limited_to_user_id.id or None)
        try:
            _template(endpoint, reader)
        except ServiceError as error:
            return error
        return None

    @api.constrains(
        "request_body_mode", "body_template", "handler_id", "connector_backend_ref"
    )
    def _check_file_lines(self):
        """Refuse a request body that can't carry the files of a server action."""
        for endpoint in self:
            fault = endpoint._file_line_fault()
            if fault is not None:
                raise misconfigured(endpoint, fault) from fault

    @api.onchange("request_body_mode", "handler_id", "connector_backend_ref")
    def _onchange_file_lines(self):
        """Warn while editing about what saving would refuse."""
        fault = self._file_line_fault()
        return None if fault is None else form_warning(self.env, fault)

    def _file_line_fault(self):
        endpoint = self.sudo()
        ids = endpoint._origin.ids
        lines = self.env[ACTION_FILE].sudo()
        if ids:
            lines = lines.search([("action_id.bwt_webhook_endpoint_id", "in", ids)])
        for line in lines:
            try:
                line._check_body_mode(endpoint)
            except ServiceError as error:
                error.where = self.env._(
                    'server action "%(action)s", file "%(file)s"',
                    action=line.action_id.name,
                    file=line._target() or "",
                )
                return error
        return None

    @api.onchange("body_template", "body_template_type")
    def _onchange_body_template(self):
        """Warn while editing about what saving would refuse."""
        fault = self._body_fault()
        if fault is None:
            return None
        return form_warning(self.env, fault)

    def _compiled_body(self):
        """The `CompiledBody`; None if the payload is the body."""
        if self.request_body_mode == "csv":
            return CompiledBody(csv=_csv_format(self))
        if not self._makes_body():
            return None
        reader = FieldReader(self.body_limited_to_user_id.id or None)
        try:
            return CompiledBody(_template(self, reader), reader=reader)
        except ServiceError as error:
            return CompiledBody(reader=reader, fault=error)

    @api.depends(
        "payload_sample_ref",
        "empty_value",
        "request_body_mode",
        "body_template",
        "body_template_type",
        *CSV_FIELDS,
        *(
            f"payload_rule_ids.{name}"
            for name in (*_RULE_FIELDS, *SOURCE_FIELDS, *FORMAT_FIELDS, *LIST_FIELDS)
        ),
    )
    def _compute_body_sample(self):
        for endpoint in self:
            record = endpoint.payload_sample_ref
            is_shown = (
                endpoint._makes_body()
                and record
                and record.exists()
                and record.has_access("read")
            )
            endpoint.body_sample = is_shown and _sample(endpoint, record)

    def _makes_body(self):
        """True if the body isn't the payload as it is."""
        mode = self.request_body_mode
        return mode == "csv" or mode == "raw" and bool(self.body_template)


def _sample(endpoint, record):
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
