# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models

from ..services.errors import ConfigurationError, _lt
from ..services.paths import write_path
from ..services.payload_lists import LIST
from ..services.value_map import parse_value_map
from .action_changes import check_old_field
from .action_file import check_payload_paths
from .configuration_audit import owners, owners_of_new, recorded
from .const import LIST_KIND, OLD_FIELD, OLD_FIELD_KIND
from .endpoint_snapshot import CompiledSource
from .record_payload import compile_record_payload, refuse_limited_fields
from .value_format import Finish
from .value_source import SOURCE_FIELDS, check_source, compile_source

LINE_KINDS = [
    ("record_field", "Record Field"),
    ("literal", "Literal"),
    ("partner_field", "Partner Field"),
    ("company_field", "Company Field"),
    LIST_KIND,
    OLD_FIELD_KIND,
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
        "rules. Old Value of a Field: the value of a stored field before the change "
        "that an automation rule reacts to; the current value if the field didn't "
        "change or no change is known, empty for a new record.",
    )
    value_map = fields.Text(
        help="Replaces values, one 'from = to' per line, such as 'sale = "
        "confirmed'. A line '* = something' is the default for all other "
        "values.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        with recorded(self.env, owners_of_new(self, vals_list)):
            return super().create(vals_list)

    def write(self, vals):
        with recorded(self.env, owners(self)):
            return super().write(vals)

    def unlink(self):
        with recorded(self.env, owners(self)):
            return super().unlink()

    @api.depends("action_id.model_id")
    @api.depends_context("webhook_model_name")
    def _compute_model_name(self):
        given = self.env.context.get("webhook_model_name")
        for line in self:
            line.model_name = line.action_id.sudo().model_id.model or given

    @api.depends("model_name")
    @api.depends_context("webhook_model_name")
    def _compute_path_model(self):  # pylint: disable=missing-return  # a compute
        super()._compute_path_model()

    @api.constrains("usage", "target", "value_map", "action_id")
    def _check_line(self):
        self._check_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        """Raise ServiceError if this is invalid for the action's model."""
        if self.source_kind == OLD_FIELD:
            self._check_old_value()
        else:
            super()._check_one()
        parse_value_map(self.value_map)
        if self.usage == "context" and not (self.target or "").strip():
            raise ConfigurationError(
                _lt("the key is missing. Name it, as in order_id.")
            )
        if self.usage == "payload":
            parts = (self.target or "").split(".")
            write_path({}, ".".join("0" if part == "*" else part for part in parts), 0)
        elif self.usage == "field" and self.source_kind == OLD_FIELD:
            raise ConfigurationError(
                _lt(
                    "an old value needs a payload rule or a context line. Choose "
                    "another source."
                )
            )
        elif self.source_kind == LIST:
            raise ConfigurationError(
                _lt(
                    "a list of records can only be the source of a payload rule. "
                    "Choose another source."
                )
            )

    def _check_old_value(self):
        """Raise ServiceError if the old value of the field can't be read or sent."""
        name = self._old_field_name()
        check_source(self.env, "record_field", name, None)
        if self.model_name in self.env:
            check_old_field(self.env, self.model_name, name)
            self._finish_of_old_value(self.env)

    def _old_field_name(self):
        return (self.source_expression or "").strip()

    def _finish_of_old_value(self, env):
        """A function `(value, empty) -> value`: value map, empty value and format."""
        finish = Finish.of(self, parse_value_map(self.value_map))
        if finish is None:
            return None
        finish.check()
        name = self._old_field_name()
        if finish.format is not None and finish.format.kind == "name":
            raise ConfigurationError(
                _lt(
                    'path "%(path)s": only the ID of an old record is known, not its '
                    "name. Choose another format."
                ),
                path=name,
            )
        return finish.compile(env, env[self.model_name]._fields[name], name)

    @api.constrains("usage", "target", "action_id", "source_kind", "source_expression")
    def _check_lists(self):
        self.filtered(lambda line: line.usage == "payload")._check_siblings()
        for action in self.action_id:
            check_payload_paths(action)

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
        if kind in ("record_field", OLD_FIELD):
            return self.model_name
        return super()._source_model(kind)

    def _compiled_value(self, env):
        """A function `scope -> value`, with the value map applied.

        :raise ConfigurationError: the line is invalid
        """
        self._check_one()
        value_map = parse_value_map(self.value_map)
        if self.source_kind == OLD_FIELD:
            return self._compiled_old_value(env, value_map)
        finish = Finish.of(self, value_map)
        read = compile_source(
            env, *(self[name] for name in SOURCE_FIELDS), finish=finish
        )
        if not value_map or finish is not None:
            return read
        return lambda scope: value_map.apply(read(scope))

    def _compiled_old_value(self, env, value_map):
        name, done = self._old_field_name(), self._finish_of_old_value(env)

        def read(scope):
            scope.need_record()
            value = scope.changes.old_value(name)
            if done is not None:
                return done(value, scope.empty)
            value = scope.empty if value is None else value
            return value_map.apply(value) if value_map else value

        return read

    def _is_filled_in(self):
        """False for a line that was just added."""
        has_target = self.usage != "context" or self.target
        return bool(has_target and (self.source_expression or self.literal_value))

    def _source_label(self):
        labels = {
            "field": self.env._('field to send "%s"', self.source_expression or ""),
            "payload": self.env._('payload rule "%s"', self.target or ""),
            "context": self.env._('context line "%s"', self.target or ""),
        }
        return labels[self.usage]

    def _source_owner(self):
        return self.action_id
