# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models

from ..services.errors import ConfigurationError, _lt
from ..services.paths import write_path
from ..services.value_map import parse_value_map
from .record_payload import compile_record_payload, refuse_limited_fields
from .value_source import SOURCE_FIELDS, compile_source

LINE_KINDS = [
    ("record_field", "Record Field"),
    ("literal", "Literal"),
    ("partner_field", "Partner Field"),
    ("company_field", "Company Field"),
]


class BwtWebhookOutboundActionLine(models.Model):
    """One value that a server action sends: a field, a payload rule, a context line."""

    _name = "bwt.webhook.outbound.action.line"
    _description = "Outbound Webhook Server Action Line"
    _inherit = "bwt.webhook.outbound.source.mixin"
    _order = "sequence, id"
    _rec_name = "source_expression"

    action_id = fields.Many2one(
        comodel_name="ir.actions.server", required=True, ondelete="cascade", index=True
    )
    model_name = fields.Char(compute="_compute_model_name")
    usage = fields.Selection(
        selection=[
            ("field", "Field to Send"),
            ("payload", "Payload Rule"),
            ("context", "Context Line"),
        ],
        required=True,
        default="field",
    )
    sequence = fields.Integer(default=10)
    target = fields.Char(
        help="Payload rule: dotted path of the value in the payload, such as "
        "order.lines.0.sku. Context line: the key that {tokens} refer to."
    )
    source_kind = fields.Selection(
        selection=LINE_KINDS,
        string="Value From",
        required=True,
        default="record_field",
        help="Record Field: a dotted path from the record. Partner Field: from the "
        "record's partner. Company Field: from the endpoint's company. Literal: the "
        "text given here.",
    )
    value_map = fields.Text(
        help="Replaces values, one 'from = to' per line, such as 'sale = "
        "confirmed'. A line '* = something' is the default for all other "
        "values.",
    )

    @api.depends("action_id.model_id")
    @api.depends_context("webhook_model_name")
    def _compute_model_name(self):
        given = self.env.context.get("webhook_model_name")
        for line in self:
            line.model_name = line.action_id.sudo().model_id.model or given

    @api.constrains("usage", "target", "value_map", "action_id")
    def _check_line(self):
        self._check_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        """Raise ServiceError if this is invalid for the action's model."""
        super()._check_one()
        parse_value_map(self.value_map)
        if self.usage == "context" and not (self.target or "").strip():
            raise ConfigurationError(
                _lt("the key is missing. Name it, as in order_id.")
            )
        if self.usage == "payload":
            write_path({}, self.target or "", None)
        model_name = self.model_name
        if self.source_kind == "partner_field":
            model_name = "res.partner"
        elif self.source_kind == "company_field":
            model_name = "res.company"
        if self.source_kind != "literal" and model_name in self.env:
            path = self.source_expression.strip()
            refuse_limited_fields(self.env, model_name, path)
            if self.usage == "field":
                compile_record_payload(self.env, model_name, [path])

    def _compiled_value(self, env):
        """A function `scope -> value`, with the value map applied.

        :raise ConfigurationError: the line is invalid
        """
        self._check_one()
        read = compile_source(env, *(self[name] for name in SOURCE_FIELDS))
        value_map = parse_value_map(self.value_map)
        if not value_map:
            return read
        return lambda scope: value_map.apply(read(scope))

    def _source_label(self):
        labels = {
            "field": self.env._('field to send "%s"', self.source_expression or ""),
            "payload": self.env._('payload rule "%s"', self.target or ""),
            "context": self.env._('context line "%s"', self.target or ""),
        }
        return labels[self.usage]

    def _source_owner(self):
        return self.action_id
