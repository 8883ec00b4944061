# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: bodies of its requests, and what it reads from responses."""

from odoo import api, fields, models

from ..services.answer_rules import AnswerSnapshot
from ..services.egress.target_url import check_path
from ..services.errors import ServiceError
from ..services.template import clean_path
from .action_file import MODEL as ACTION_FILE
from .compiled_body import (
    CSV_FIELDS,
    CompiledBody,
    csv_format_of,
    sample_of,
    template_of,
)
from .const import ANSWER_RULE, ANSWER_VALUE, EXTERNAL_REF, GROUP_OPERATOR, HTTP_METHODS
from .errors import form_warning, misconfigured
from .path_reader import FieldReader, is_limited
from .payload_list import LIST_FIELDS
from .value_format import FORMAT_FIELDS
from .value_source import SOURCE_FIELDS

SCOPE_MAX = 200  # characters
_RULE_FIELDS = ("target_path", "sequence", "active", "value_map")


class BwtWebhookOutboundEndpointExchange(models.AbstractModel):
    """Bodies of requests, conditions on responses, values taken, create or update."""

    _name = "bwt.webhook.outbound.endpoint.exchange"
    _description = "Outbound Webhook Endpoint: Requests and Responses"

    # Requests

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
            template_of(endpoint, reader)
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
            return CompiledBody(csv=csv_format_of(self))
        if not self._makes_body():
            return None
        reader = FieldReader(self.body_limited_to_user_id.id or None)
        try:
            return CompiledBody(template_of(self, reader), reader=reader)
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
    @api.depends_context("lang")
    def _compute_body_sample(self):
        for endpoint in self:
            record = endpoint.payload_sample_ref
            is_shown = (
                endpoint._makes_body()
                and record
                and record.exists()
                and record.has_access("read")
            )
            endpoint.body_sample = is_shown and sample_of(endpoint, record)

    def _makes_body(self):
        """True if the body isn't the payload as it is."""
        mode = self.request_body_mode
        return mode == "csv" or mode == "raw" and bool(self.body_template)

    # Responses

    answer_rule_ids = fields.One2many(
        comodel_name=ANSWER_RULE,
        inverse_name="endpoint_id",
        string="Response Conditions",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
        help="What a response means for its delivery: the first condition that it "
        "meets decides. Without one, 2xx is done, and the delivery policy decides "
        "about all other responses.",
    )
    answer_value_ids = fields.One2many(
        comodel_name=ANSWER_VALUE,
        inverse_name="endpoint_id",
        string="Response Values",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
        help="Values of the response that are stored in the record that the delivery "
        "is about, or in its external reference.",
    )
    # Read with the endpoint: one without them costs a lane no query.
    has_answer_rules = fields.Boolean(
        compute="_compute_has_answer_rules", store=True, groups=GROUP_OPERATOR
    )
    has_answer_values = fields.Boolean(
        compute="_compute_has_answer_rules", store=True, groups=GROUP_OPERATOR
    )
    stores_external_id = fields.Boolean(
        compute="_compute_stores_external_id", groups=GROUP_OPERATOR
    )
    reference_scope = fields.Char(
        copy=False,
        groups=GROUP_OPERATOR,
        help="External references are stored per scope: endpoints of one receiver "
        "share them if they have the same scope. Default: the code of the endpoint.",
    )
    create_or_update = fields.Boolean(
        string="Create or Update",
        groups=GROUP_OPERATOR,
        help="A record without an external reference is sent with HTTP Method and "
        "Target Path, which create it at the receiver; one with a reference is sent "
        "with Update Method and Update Path. Deliveries about one record are sent one "
        "after the other. Only one endpoint of a reference scope can create.",
    )
    update_method = fields.Selection(HTTP_METHODS, default="put", groups=GROUP_OPERATOR)
    update_path = fields.Char(
        groups=GROUP_OPERATOR,
        help="Path for a record that the receiver knows, such as "
        "/orders/{external_id}.",
    )

    @api.depends(
        *("answer_rule_ids.active", "answer_rule_ids.endpoint_id"),
        *("answer_value_ids.active", "answer_value_ids.endpoint_id"),
    )
    def _compute_has_answer_rules(self):
        for endpoint in self:
            endpoint.has_answer_rules = any(endpoint.answer_rule_ids.mapped("active"))
            endpoint.has_answer_values = any(endpoint.answer_value_ids.mapped("active"))

    @api.depends("answer_value_ids.active", "answer_value_ids.target_kind")
    def _compute_stores_external_id(self):
        for endpoint in self:
            endpoint.stores_external_id = any(
                value.active and value.target_kind == "external_id"
                for value in endpoint.answer_value_ids
            )

    @api.onchange("create_or_update")
    def _onchange_create_or_update(self):
        """Propose the update, and the order that saving sets."""
        if not self.create_or_update:
            return
        self.ordering = "key"
        if not self.update_path:
            path = (self.target_path or "/").partition("?")[0].rstrip("/")
            self.update_path = f"{path}/{{external_id}}"

    @api.model
    def _clean_answer(self, vals):
        """Values to write: a clean update path, the order that creating needs."""
        vals = dict(vals)
        if vals.get("update_path"):
            path = vals["update_path"].strip()
            path = path if path.startswith("/") else f"/{path}"
            try:
                vals["update_path"] = clean_path(path)
            except ServiceError as error:
                named = {key: vals[key] for key in ("name", "code") if key in vals}
                raise misconfigured(self[:1] or self.new(named), error) from error
        if vals.get("create_or_update"):
            # Otherwise a record may be created twice: by a second change of it, while
            # the response to the first is awaited.
            vals.setdefault("ordering", "key")
        if "reference_scope" in vals:
            vals["reference_scope"] = (vals["reference_scope"] or "").strip()
        return vals

    @api.constrains("create_or_update", "update_method", "update_path", "ordering")
    def _check_create_or_update(self):
        for endpoint in self.filtered("create_or_update"):
            if not endpoint.update_method or not endpoint.update_path:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "Create or Update needs the method and path of an update. "
                        "Enter them, as in PUT /orders/{external_id}."
                    ),
                )
            if endpoint.ordering == "none":
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "Create or Update needs an ordering: otherwise a record may be "
                        "created twice. Set Ordering to One after the Other per Key."
                    ),
                )
            try:
                check_path(endpoint.update_path)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    @api.constrains("answer_value_ids")
    def _check_one_external_id(self):
        """Refuse two IDs of one response, unless each may be missing.

        Otherwise every response with one of them would leave a note on the other.
        Not a constraint of the values: those run after each line of a form, and would
        refuse what its next lines correct.
        """
        for endpoint in self:
            values = endpoint.answer_value_ids.filtered(
                lambda value: value.active and value.target_kind == "external_id"
            )
            if len(values) > 1 and set(values.mapped("if_empty")) != {"omit"}:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "more than one response value is stored as External ID "
                        "(%(paths)s), but a record has one ID. Delete the others, or "
                        "set If Missing of each to Leave Unchanged if a response "
                        "contains one of them only.",
                        paths=", ".join(
                            value.source_expression or value.display_name
                            for value in values
                        ),
                    ),
                )

    @api.constrains("reference_scope", "company_id")
    def _check_reference_scope(self):
        for endpoint in self.sudo():
            scope = endpoint.reference_scope or ""
            if not 0 < len(scope) <= SCOPE_MAX:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "the reference scope is empty or too long. Enter the name of "
                        "the receiver, such as shop, in up to %s characters.",
                        SCOPE_MAX,
                    ),
                )
            domain = [
                ("reference_scope", "=", scope),
                ("company_id", "!=", endpoint.company_id.id),
            ]
            taken = self.sudo().search_count(domain, limit=1)
            if taken or self.env[EXTERNAL_REF].sudo().search_count(domain, limit=1):
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'the reference scope "%s" belongs to another company. Choose '
                        "another one.",
                        scope,
                    ),
                )

    # For the lane

    def _answer_snapshot(self):
        """What is read from responses as an `AnswerSnapshot`; None if nothing is."""
        rules = values = ()
        if self.has_answer_rules:
            found = self.env[ANSWER_RULE].search([("endpoint_id", "=", self.id)])
            rules = found._compiled()
        if self.has_answer_values:
            found = self.env[ANSWER_VALUE].search([("endpoint_id", "=", self.id)])
            values = found._compiled(self.reference_scope)
        return AnswerSnapshot(rules, values) if rules or values else None

    def _update_request(self):
        """Method and path of an update; None if records are not created or updated."""
        if not self.create_or_update:
            return None
        return self.update_method, self.update_path or "/"

    # For code

    def _get_external_ref(self, record):
        """The external reference of a record in the scope of this endpoint.

        :param record: one saved record
        :return: `bwt.webhook.outbound.external.ref` with sudo; empty without one
        """
        self.ensure_one()
        record.ensure_one()
        references = self.env[EXTERNAL_REF]
        scope = self.sudo().reference_scope
        return references._find(scope, record._name, res_id=record.id)

    def _set_external_ref(self, record, external_id=None, data=None):
        """Store the id of a record at the receiver, and data with it.

        :param record: one saved record
        :param external_id: text or integer; may be left out if the record has one
        :param data: mapping of keys to JSON values, merged with what is stored
        :return: the external reference with sudo
        :raise ValidationError: the record has another id, or another record has this
            one, or there is none yet
        """
        self.ensure_one()
        record.ensure_one()
        return self.env[EXTERNAL_REF]._store(
            self,
            *(record._name, record.id),
            external_id=external_id,
            data=dict(data or {}),
        )
