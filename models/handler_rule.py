# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A handler's rules: conditions, assignments, decision."""

from collections import defaultdict

from odoo import api, fields, models

from ..services.conditions import evaluate_condition
from ..services.errors import ConfigurationError, _lt
from ..services.headers import check_header, refuse_connection_header
from .const import (
    HANDLER,
    HANDLER_RULE,
    LIST_KIND,
    OPERATORS,
    REQUEST_KEYS,
    RESULT_STATUSES,
    SOURCE_KINDS,
    TARGET_SCOPES,
)
from .endpoint_snapshot import (
    CompiledAssignment,
    CompiledCondition,
    CompiledHandlerRule,
    CompiledSource,
)
from .errors import misconfigured
from .payload_list import LIST_FIELDS, compile_payload
from .value_source import COMPILED_FIELDS, source_kind_field

CONDITION = "bwt.webhook.outbound.handler.rule.condition"
ASSIGNMENT = "bwt.webhook.outbound.handler.rule.assignment"


class BwtWebhookOutboundHandlerRule(models.Model):
    """One rule: the first whose conditions are all met applies, the others don't."""

    _name = "bwt.webhook.outbound.handler.rule"
    _description = "Outbound Webhook Handler Rule"
    _inherit = "bwt.webhook.outbound.config.part"
    _order = "sequence, id"
    _check_company_auto = True
    _READ = ("handler_id", "name", "result_status", "retry_seconds", "note")

    name = fields.Char(required=True, default=lambda self: self.env._("New Rule"))
    handler_id = fields.Many2one(
        HANDLER, required=True, ondelete="cascade", index=True, check_company=True
    )
    company_id = fields.Many2one(
        "res.company", related="handler_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(
        default=10,
        help="Rules are evaluated in this order; the first that matches applies.",
    )
    active = fields.Boolean(default=True, help="An inactive rule is skipped.")
    result_status = fields.Selection(
        RESULT_STATUSES,
        required=True,
        default="send",
        help="What happens to a delivery that matches this rule: sent unchanged or "
        "changed, ended as done, dead-lettered or canceled without sending, or "
        "retried after the given seconds.",
    )
    retry_seconds = fields.Integer(
        help="Seconds until the handler is called again, for the result Retry "
        "Later. Each call counts as a retry of the endpoint's schedule.",
    )
    note = fields.Text(
        help="Reason that is recorded on the delivery and its attempt.",
    )
    condition_ids = fields.One2many(
        CONDITION,
        "rule_id",
        string="Conditions",
        copy=True,
        help="All conditions must be met. A rule without conditions always matches.",
    )
    assignment_ids = fields.One2many(
        ASSIGNMENT,
        "rule_id",
        string="Assignments",
        copy=True,
        help="What is changed in the request when the rule matches.",
    )

    @api.constrains("result_status", "retry_seconds")
    def _check_retry_seconds(self):
        """Refuse a retry in the past."""
        for rule in self:
            if rule.result_status == "retry" and rule.retry_seconds < 0:
                raise misconfigured(
                    rule.handler_id,
                    self.env._(
                        'rule "%(rule)s": %(seconds)s seconds is not a valid retry '
                        "delay. Enter 0 or more.",
                        rule=rule.name,
                        seconds=rule.retry_seconds,
                    ),
                )

    def _configured_endpoints(self):
        return self.handler_id.outbound_endpoint_ids

    @api.model
    def _compiled_of(self, handler):
        """Active rules of a handler, in their order, as values; three queries."""
        rules = self.search_fetch([("handler_id", "=", handler.id)], self._READ)
        conditions = self.env[CONDITION]._compiled_by_rule(rules)
        assignments = self.env[ASSIGNMENT]._compiled_by_rule(rules)
        return tuple(
            CompiledHandlerRule(
                id=rule.id,
                name=rule.name,
                # Assignments are applied for any decision: a change implies sending.
                status="send" if rule.result_status == "mutate" else rule.result_status,
                seconds=rule.retry_seconds,
                note=rule.note or "",
                conditions=conditions[rule.id],
                assignments=assignments[rule.id],
            )
            for rule in rules
        )


class BwtWebhookOutboundHandlerRulePart(models.AbstractModel):
    """Common part of conditions and assignments."""

    _name = "bwt.webhook.outbound.handler.rule.part"
    _description = "Outbound Webhook Handler Rule Part"
    _inherit = [
        "bwt.webhook.outbound.config.part",
        "bwt.webhook.outbound.source.mixin",
    ]
    _order = "sequence, id"
    _check_company_auto = True
    _READ = ("rule_id", *COMPILED_FIELDS)

    rule_id = fields.Many2one(
        HANDLER_RULE, required=True, ondelete="cascade", index=True, check_company=True
    )
    company_id = fields.Many2one(
        "res.company", related="rule_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(default=10, help="Evaluated in this order.")

    @api.model
    def _compiled_by_rule(self, rules):
        """Those of several rules, in their order, by the rule's id; one query."""
        parts = self.search_fetch([("rule_id", "in", rules.ids)], self._READ)
        by_rule = parts.grouped("rule_id").items()
        return defaultdict(tuple, {rule.id: own._compiled() for rule, own in by_rule})

    def _compiled(self):
        """These ones of a rule, in their order, as values for some batches."""
        raise NotImplementedError

    def _source_owner(self):
        return self.rule_id.handler_id

    def _configured_endpoints(self):
        return self.rule_id._configured_endpoints()


class BwtWebhookOutboundHandlerRuleCondition(models.Model):
    """One comparison that must be true."""

    _name = "bwt.webhook.outbound.handler.rule.condition"
    _description = "Outbound Webhook Handler Rule Condition"
    _inherit = "bwt.webhook.outbound.handler.rule.part"
    _order = "sequence, id"
    _READ = (*BwtWebhookOutboundHandlerRulePart._READ, "operator", "expected_value")

    source_kind = source_kind_field(SOURCE_KINDS, "delivery_field")
    operator = fields.Selection(
        OPERATORS,
        required=True,
        default="equals",
        help="How the value is compared. Numbers compare as numbers. In and Not In "
        "take a JSON list or a comma-separated text.",
    )
    expected_value = fields.Char(
        help="What the value is compared with; not used by Is Set and Not Set.",
    )

    @api.constrains("operator", "expected_value")
    def _check_comparison(self):
        self._check_source()

    @api.onchange("operator", "expected_value")
    def _onchange_comparison(self):
        return self._onchange_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        # A comparison that is invalid with this value is invalid with any.
        evaluate_condition("", self.operator, self.expected_value)

    def _compiled(self):
        return tuple(
            CompiledCondition(
                CompiledSource.of(each), each.operator, each.expected_value or ""
            )
            for each in self
        )

    def _source_label(self):
        return self.env._(
            'rule "%(rule)s", condition on "%(value)s"',
            rule=self.rule_id.name or "",
            value=self.source_expression or self.literal_value or "",
        )


class BwtWebhookOutboundHandlerRuleAssignment(models.Model):
    """One change of the request."""

    _name = "bwt.webhook.outbound.handler.rule.assignment"
    _description = "Outbound Webhook Handler Rule Assignment"
    _inherit = [
        "bwt.webhook.outbound.handler.rule.part",
        "bwt.webhook.outbound.payload.source.mixin",
    ]
    _order = "sequence, id"
    _READ = (
        *BwtWebhookOutboundHandlerRulePart._READ,
        *LIST_FIELDS,
        "target_scope",
        "target_expression",
    )

    source_kind = source_kind_field([*SOURCE_KINDS, LIST_KIND])
    target_scope = fields.Selection(
        TARGET_SCOPES,
        string="Set In",
        required=True,
        default="payload",
        help="What is changed: a part of the request (target_url, http_method, "
        "request_body_mode, headers, payload, files), one header, or one value of "
        "the payload.",
    )
    target_expression = fields.Char(
        string="Name or Path",
        required=True,
        help="Name of the request part or header, or dotted path in the payload.",
    )

    @api.constrains("target_scope", "target_expression")
    def _check_target(self):
        self._check_source()

    @api.onchange("target_scope", "target_expression")
    def _onchange_target(self):
        return self._onchange_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        target = (self.target_expression or "").strip()
        if self.source_kind == LIST_KIND[0] and self.target_scope != "payload":
            raise ConfigurationError(
                _lt(
                    "a list of records can only be written into the payload. Choose "
                    "Payload under Set In, or another source."
                )
            )
        if not target:
            return
        if self.target_scope == "header":
            literal = self.literal_value if self.source_kind == "literal" else ""
            refuse_connection_header(target)
            check_header(target, literal or "")
        elif self.target_scope == "request" and target not in REQUEST_KEYS:
            raise ConfigurationError(
                _lt('the request has no part "%(part)s". Use one of: %(parts)s.'),
                part=target,
                parts=", ".join(REQUEST_KEYS),
            )

    @api.constrains(
        "target_scope", "target_expression", "source_kind", "source_expression"
    )
    def _check_lists(self):
        self.filtered(lambda each: each.target_scope == "payload")._check_siblings()

    def _payload_siblings(self):
        payload = self.rule_id.assignment_ids.filtered(
            lambda each: each.target_scope == "payload"
        )
        return payload.sorted(lambda each: (each.sequence, each.id))

    def _payload_target(self):
        # Those of the same rule that don't write the payload build no list.
        is_payload = self.target_scope == "payload"
        return self.target_expression.strip() if is_payload else ""

    def _compiled(self):
        return compile_payload(self, self.env, _compiled_assignment)

    def _source_literal_as_typed(self):
        return self.target_scope == "header"

    def _source_label(self):
        return self.env._(
            'rule "%(rule)s", assignment to "%(target)s"',
            rule=self.rule_id.name or "",
            target=self.target_expression or "",
        )


def _compiled_assignment(target, source, record):
    if record is None:  # a list that several assignments build
        return CompiledAssignment("payload", target, source)
    return CompiledAssignment(
        record.target_scope, record.target_expression.strip(), source
    )
