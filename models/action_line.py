# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from contextlib import suppress

from odoo import api, fields, models

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.paths import write_path
from ..services.payload_lists import LIST
from ..services.value_map import parse_value_map
from .const import LIST_KIND
from .endpoint_snapshot import CompiledSource
from .field_path import compile_items
from .record_payload import compile_record_payload, refuse_limited_fields
from .value_format import Finish
from .value_source import SOURCE_FIELDS, compile_source

LINE_KINDS = [
    ("record_field", "Record Field"),
    ("literal", "Literal"),
    ("partner_field", "Partner Field"),
    ("company_field", "Company Field"),
    LIST_KIND,
]


class BwtWebhookOutboundActionLine(models.Model):
    """One value that a server action sends: a field, a payload rule, a context line."""

    _name = "bwt.webhook.outbound.action.line"
    _description = "Outbound Webhook Server Action Line"
    _inherit = "bwt.webhook.outbound.payload.source.mixin"
    _order = "sequence, id"
    _rec_name = "source_expression"

    action_id = fields.Many2one(
        comodel_name="ir.actions.server", required=True, ondelete="cascade", index=True
    )
    model_name = fields.Char(compute="_compute_model_name")
    list_model_name = fields.Char(compute="_compute_list_model_name")
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
        "order.lines.*.sku. Context line: the key that {tokens} refer to."
    )
    source_kind = fields.Selection(
        selection=LINE_KINDS,
        string="Value From",
        required=True,
        default="record_field",
        help="Record Field: a dotted path from the record. Partner Field: from the "
        "record's partner. Company Field: from the endpoint's company. Literal: the "
        "text given here. List of Records: the records of a relation, for payload "
        "rules.",
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

    @api.depends("model_name", "source_kind", "source_expression")
    def _compute_list_model_name(self):
        for line in self:
            line.list_model_name = False
            path = (line.source_expression or "").strip()
            if line.source_kind == LIST and path and line.model_name in self.env:
                with suppress(ServiceError):  # reported when it is saved
                    model_name, _read = compile_items(self.env, line.model_name, path)
                    line.list_model_name = model_name

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
            parts = (self.target or "").split(".")
            write_path({}, ".".join("0" if part == "*" else part for part in parts), 0)
        elif self.source_kind == LIST:
            raise ConfigurationError(
                _lt("a list of records can only be the source of a payload rule.")
            )

    @api.constrains("usage", "target", "action_id", "source_kind", "source_expression")
    def _check_lists(self):
        self.filtered(lambda line: line.usage == "payload")._check_siblings()

    def _payload_siblings(self):
        rules = self.action_id.bwt_webhook_rule_ids
        return rules.sorted(lambda line: (line.sequence, line.id))

    def _starts_empty(self):
        return True

    def _payload_target(self):
        return (self.target or "").strip()

    def _payload_source(self, env):
        return CompiledSource(
            self.source_kind, self._source_label(), self._compiled_value(env)
        )

    # Returns nothing.
    # pylint: disable-next=missing-return
    def _check_path(self, kind, model_name, path):
        if kind != "record_field":
            super()._check_path(kind, model_name, path)
        refuse_limited_fields(self.env, model_name, path)
        if self.usage == "field":
            compile_record_payload(self.env, model_name, [path])

    def _source_model(self, kind):
        return (
            self.model_name if kind == "record_field" else super()._source_model(kind)
        )

    def _compiled_value(self, env):
        """A function `scope -> value`, with the value map applied.

        :raise ConfigurationError: the line is invalid
        """
        self._check_one()
        value_map = parse_value_map(self.value_map)
        finish = Finish.of(self, value_map)
        read = compile_source(
            env, *(self[name] for name in SOURCE_FIELDS), finish=finish
        )
        if not value_map or finish is not None:
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
