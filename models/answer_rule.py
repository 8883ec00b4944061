# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Response conditions and response values: what an endpoint reads from responses."""

from odoo import api, fields, models

from ..services.answer_rules import (
    AnswerRule,
    AnswerValue,
    as_external_data,
    as_external_id,
    parse_statuses,
)
from ..services.conditions import evaluate_condition
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.headers import is_token
from ..services.paths import read_path
from ..services.value_map import parse_value_map
from .answer_store import check_target, is_refused
from .const import ANSWER_RULE, ANSWER_VALUE, ENDPOINT, OPERATORS
from .errors import misconfigured
from .value_format import FORMAT_FIELDS, Finish

OUTCOMES = [
    ("done", "Done"),
    ("retry", "Retry"),
    ("dead_letter", "Dead Letter"),
    ("cancel", "Cancel"),
]
READ_KINDS = [
    ("header", "Header"),
    ("body_path", "Body Path (JSON)"),
    ("body", "Body Text"),
]
NEEDS_EXPRESSION = ("header", "body_path")


class BwtWebhookOutboundEndpointAnswerMixin(models.AbstractModel):
    """Common part of response conditions and response values."""

    _name = "bwt.webhook.outbound.endpoint.answer.mixin"
    _description = "Outbound Webhook Response"
    _inherit = "bwt.webhook.outbound.config.part"
    _order = "sequence, id"
    _check_company_auto = True

    endpoint_id = fields.Many2one(
        ENDPOINT, required=True, ondelete="cascade", index=True, check_company=True
    )
    company_id = fields.Many2one(
        "res.company", related="endpoint_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True, help="An inactive line is skipped.")
    source_expression = fields.Char(
        string="Path or Header",
        help="Name of the header, or dotted path in the JSON of the body, such as "
        "errors.0.message or order.id.",
    )

    def _check_one(self):
        """Raise ServiceError if this record is invalid for every response."""
        expression = (self.source_expression or "").strip()
        if self.source_kind in NEEDS_EXPRESSION and not expression:
            raise ConfigurationError(
                _lt("the path is empty. Enter one, such as order.id, or a header.")
            )
        if self.source_kind == "header" and not is_token(expression):
            raise ConfigurationError(
                _lt(
                    '"%(name)s" is not a valid header name. Use letters, digits and -, '
                    "as in X-Order-Id."
                ),
                name=expression,
            )
        if self.source_kind == "body_path":
            read_path({}, expression)

    def _check_all(self):
        for each in self:
            try:
                each._check_one()
            except ServiceError as error:
                error.where = each._label()
                raise misconfigured(each.endpoint_id, error) from error

    @api.depends("source_expression")
    def _compute_display_name(self):  # pylint: disable=missing-return  # a compute
        for each in self:
            each.display_name = each._label()

    def _label(self):
        """How messages name it."""
        raise NotImplementedError

    def _configured_endpoints(self):
        return self.endpoint_id


class BwtWebhookOutboundEndpointAnswerRule(models.Model):
    """A condition on the response, and what happens to the delivery."""

    _name = ANSWER_RULE
    _description = "Outbound Webhook Response Condition"
    _inherit = "bwt.webhook.outbound.endpoint.answer.mixin"
    _order = "sequence, id"

    name = fields.Char(help="Shown on deliveries. Empty: the condition itself.")
    sequence = fields.Integer(
        default=10, help="The first condition that is met decides."
    )
    statuses = fields.Char(
        string="HTTP Status",
        help="Statuses and ranges, such as 200-299,409. Empty: any status.",
    )
    source_kind = fields.Selection(
        READ_KINDS,
        string="Value From",
        help="What is compared besides the status: a header, a value in the JSON of "
        "the body, or the body as text. Empty: the status only. A body that is not "
        "JSON has no value at any path.",
    )
    operator = fields.Selection(
        OPERATORS,
        required=True,
        default="equals",
        help="How the value is compared. Numbers compare as numbers; true and false "
        "match these words. A missing value is not set.",
    )
    expected_value = fields.Char(
        string="Value",
        help="What the value is compared with; not used by Is Set and Not Set.",
    )
    outcome = fields.Selection(
        OUTCOMES,
        required=True,
        default="done",
        help="What happens to the delivery. A retry uses up a delay of the endpoint's "
        "retry schedule.",
    )
    retry_seconds = fields.Integer(
        help="Delay of the retry; 0: the next delay of the retry schedule. A longer "
        "Retry-After of the receiver replaces it."
    )
    note = fields.Text(help="Reason that is shown on the delivery.")

    @api.constrains(
        *("statuses", "source_kind", "source_expression", "operator"),
        *("expected_value", "outcome", "retry_seconds"),
    )
    def _check_rule(self):
        self._check_all()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        if not parse_statuses(self.statuses) and not self.source_kind:
            raise ConfigurationError(
                _lt(
                    "it has no condition. Enter a status, or choose what else is "
                    "compared."
                )
            )
        if self.retry_seconds < 0:
            raise ConfigurationError(
                _lt("%(seconds)s seconds is not a valid delay. Enter 0 or more."),
                seconds=self.retry_seconds,
            )
        if self.source_kind:
            # A comparison that is invalid with this value is invalid with any.
            evaluate_condition("", self.operator, self.expected_value)

    @api.depends(
        *("name", "statuses", "source_kind", "source_expression", "operator"),
        "expected_value",
    )
    def _compute_display_name(self):  # pylint: disable=missing-return  # a compute
        super()._compute_display_name()

    def _label(self):
        if self.name:
            return self.name
        parts = [self.statuses]
        if self.source_kind:
            kinds = dict(self._fields["source_kind"]._description_selection(self.env))
            operators = dict(self._fields["operator"]._description_selection(self.env))
            parts += [self.source_expression or kinds[self.source_kind]]
            parts += [operators.get(self.operator, "").lower(), self.expected_value]
        return " ".join(filter(None, parts))

    def _compiled(self):
        return tuple(rule._compiled_one() for rule in self)

    def _compiled_one(self):
        statuses = fault = None
        try:
            statuses = parse_statuses(self.statuses)
        except ServiceError as error:  # the other rules apply
            fault = error
        return AnswerRule(
            name=self._label(),
            statuses=statuses or (),
            outcome=self.outcome,
            kind=self.source_kind or "",
            expression=(self.source_expression or "").strip(),
            operator=self.operator,
            expected=self.expected_value or "",
            seconds=self.retry_seconds or None,
            note=self.note or "",
            fault=fault,
        )


class BwtWebhookOutboundEndpointAnswerValue(models.Model):
    """A value of the response, and where it is stored."""

    _name = ANSWER_VALUE
    _description = "Outbound Webhook Response Value"
    _inherit = [
        "bwt.webhook.outbound.endpoint.answer.mixin",
        "bwt.webhook.outbound.value.format.mixin",
    ]
    _order = "sequence, id"

    when = fields.Selection(
        [("done", "Done"), ("any", "Any Response")],
        required=True,
        default="done",
        help="Done: from responses after which the delivery is done. Any Response: "
        "from every response.",
    )
    source_kind = fields.Selection(
        [("status", "HTTP Status"), *READ_KINDS],
        string="Value From",
        required=True,
        default="body_path",
        help="Which part of the response. Body Path reads its JSON.",
    )
    value_map = fields.Text(
        help="Replaces values, one 'from = to' per line, such as 'shipped = done'. A "
        "line '* = something' is the default for all other values.",
    )
    if_empty = fields.Selection(
        [
            ("error", "Add a Note"),
            ("omit", "Leave Unchanged"),
            ("null", "Empty the Field"),
        ],
        string="If Missing",
        required=True,
        default="error",
        help="What happens if the response has no such value: a note on the "
        "delivery, nothing, or the field is emptied.",
    )
    target_kind = fields.Selection(
        [
            ("field", "Field of the Record"),
            ("external_id", "External ID"),
            ("external_data", "External Data"),
        ],
        string="Store In",
        required=True,
        default="field",
        help="A field of the record that the delivery is about, or its external "
        "reference: the ID that the receiver has given to it, or further data under a "
        "key. Requests read them as {external_id} and {external.key}.",
    )
    target_model = fields.Selection(
        selection="_selection_target_model",
        string="Record Model",
        help="Model of the records whose field is written. Deliveries about other "
        "models skip this value.",
    )
    target_field = fields.Char(
        string="Field", help="A stored field of the record that may be written."
    )
    data_key = fields.Char(
        string="Key", help="Key of external data: url is read as {external.url}."
    )
    only_if_empty = fields.Boolean(
        help="Write the field only if it has no value. A number has none if it is 0."
    )
    create_note = fields.Boolean(
        string="Note in Chatter", help="Log a note on the record when it is written."
    )

    @api.model
    def _selection_target_model(self):
        """Models that the user may write, without those that are never written."""
        found = self.env["ir.model"].sudo().search([("transient", "=", False)])
        return sorted(
            ((each.model, each.name) for each in found if self._may_target(each.model)),
            key=lambda pair: pair[1].lower(),
        )

    def _may_target(self, model_name):
        if model_name not in self.env:
            return False
        model = self.env[model_name]
        if is_refused(model):
            return False
        return not model._abstract and model._auto and model.has_access("write")

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_may_write_model(vals)
        values = super().create(vals_list)
        values._check_may_write()
        return values

    def write(self, vals):
        self._check_may_write_model(vals)
        super().write(vals)
        self._check_may_write()
        return True

    def _check_may_write_model(self, vals):
        """Refuse it with a message: the selection would only call it unknown."""
        model_name = vals.get("target_model")
        if model_name in self.env and not self.env.su:
            self.env[model_name].check_access("write")

    def _check_may_write(self):
        """A user saves only what they may write themselves: it is written as superuser.

        Not a constraint: those run as superuser.
        """
        for value in self if not self.env.su else ():
            if value.target_kind == "field":
                model = self.env[value.target_model]
                model.check_access("write")
                model._check_field_access(model._fields[value.target_field], "write")

    @api.constrains(
        *("source_kind", "source_expression", "target_kind", "target_model"),
        *("target_field", "data_key", "create_note", "value_map", *FORMAT_FIELDS),
    )
    def _check_value(self):
        self._check_all()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        target = (self.target_field or "").strip()
        if self.target_kind == "field":
            if not self.target_model or not target:
                raise ConfigurationError(
                    _lt("it has no target. Choose a model and one of its fields.")
                )
            check_target(self.env, self.target_model, target)
            has_chatter = hasattr(self.env[self.target_model], "_message_log")
            if self.create_note and not has_chatter:
                raise ConfigurationError(
                    _lt("records of %(model)s have no chatter. Turn the note off."),
                    model=self.target_model,
                )
        elif self.target_kind == "external_data":
            as_external_data((self.data_key or "").strip(), None)
        parse_value_map(self.value_map)
        finish = Finish.of(self)
        finish.compile(self.env, None, self.source_expression or "")

    def _label(self):
        if self.target_kind == "field":
            return self.target_field or ""
        labels = dict(self._fields["target_kind"]._description_selection(self.env))
        label = labels.get(self.target_kind, "")
        return f"{label} {self.data_key or ''}".strip()

    @api.depends("target_kind", "target_field", "data_key")
    def _compute_display_name(self):  # pylint: disable=missing-return  # a compute
        super()._compute_display_name()

    def _compiled(self, scope):
        """These values, in their order.

        :param scope: of the endpoint's external references
        """
        return tuple(value._compiled_one(scope) for value in self)

    def _compiled_one(self, scope):
        try:
            finish = Finish.of(self, parse_value_map(self.value_map))
            finish = finish.compile(self.env, None, self.source_expression or "")
        except ServiceError as error:  # the other values are stored
            finish = _refusing(error)
        target = {"kind": self.target_kind, "label": self._label()}
        key = (self.data_key or "").strip()
        if self.target_kind == "field":
            target |= {
                "model": self.target_model,
                "field": (self.target_field or "").strip(),
                "only_if_empty": self.only_if_empty,
                "note": self.create_note,
            }
        elif self.target_kind == "external_id":
            target["scope"] = scope
            finish = _then(finish, as_external_id)
        else:
            target |= {"scope": scope, "key": key}
            finish = _then(finish, lambda value: as_external_data(key, value))
        return AnswerValue(
            label=self._label(),
            when=self.when,
            kind=self.source_kind,
            expression=(self.source_expression or "").strip(),
            finish=finish,
            target=target,
        )


def _refusing(error):
    def finish(value, empty):
        raise error

    return finish


def _then(finish, check):
    return lambda value, empty: check(finish(value, empty))
