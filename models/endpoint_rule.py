# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Header rules and payload rules, which an endpoint adds to each request."""

from odoo import api, fields, models

from ..services.headers import check_header, refuse_connection_header
from ..services.value_map import parse_value_map
from .const import ENDPOINT, LIST_KIND, SOURCE_KINDS
from .endpoint_snapshot import CompiledRule, CompiledSource
from .payload_list import LIST_FIELDS, compile_payload
from .value_source import COMPILED_FIELDS, source_kind_field


class BwtWebhookOutboundEndpointRuleMixin(models.AbstractModel):
    """Common part of header rules and payload rules."""

    _name = "bwt.webhook.outbound.endpoint.rule.mixin"
    _description = "Outbound Webhook Endpoint Rule"
    _inherit = [
        "bwt.webhook.outbound.config.part",
        "bwt.webhook.outbound.source.mixin",
    ]
    _order = "sequence, id"
    _check_company_auto = True
    _READ = ("endpoint_id", "value_map", *COMPILED_FIELDS)

    endpoint_id = fields.Many2one(
        ENDPOINT, required=True, ondelete="cascade", index=True, check_company=True
    )
    company_id = fields.Many2one(
        "res.company", related="endpoint_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(
        default=10,
        help="Rules are applied in this order; if two set the same target, the "
        "later one wins.",
    )
    active = fields.Boolean(default=True, help="An inactive rule is skipped.")
    value_map = fields.Text(
        help="Replaces values, one 'from = to' per line, such as 'sale = "
        "confirmed'. A line '* = something' is the default for all other "
        "values.",
    )

    @api.depends("endpoint_id.payload_sample_ref")
    def _compute_path_model(self):  # pylint: disable=missing-return  # a compute
        super()._compute_path_model()

    @api.constrains("value_map")
    def _check_value_map(self):
        self._check_source()

    @api.onchange("value_map")
    def _onchange_value_map(self):
        return self._onchange_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        parse_value_map(self.value_map)

    def _compiled(self):
        """These rules, in their order, as values for some batches."""
        raise NotImplementedError

    def _is_lasting(self):
        """Whether the compiled rule holds no record and nothing of its environment."""
        if self.value_format or self.if_empty:
            return False
        if self.source_kind == "literal":  # without tokens, which may name fields
            return not {"{", "\\"} & set(self.literal_value or "")
        return self.source_kind in ("context_key", "request_field")

    def _source_owner(self):
        return self.endpoint_id

    def _configured_endpoints(self):
        return self.endpoint_id


class BwtWebhookOutboundEndpointHeaderRule(models.Model):
    """One header of every request of an endpoint."""

    _name = "bwt.webhook.outbound.endpoint.header.rule"
    _description = "Outbound Webhook Header Rule"
    _inherit = "bwt.webhook.outbound.endpoint.rule.mixin"
    _order = "sequence, id"
    _rec_name = "header_name"
    _READ = (*BwtWebhookOutboundEndpointRuleMixin._READ, "header_name")

    source_kind = source_kind_field(SOURCE_KINDS)
    header_name = fields.Char(
        required=True,
        help="Name of the HTTP header, such as X-Order-Number. Names are "
        "case-insensitive. Host, Content-Length, Transfer-Encoding and "
        "Connection are set by the transport and can't be set here.",
    )

    @api.constrains("header_name")
    def _check_header(self):
        self._check_source()

    @api.onchange("header_name")
    def _onchange_header(self):
        return self._onchange_source()

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        if self.header_name:
            literal = self.literal_value if self.source_kind == "literal" else ""
            refuse_connection_header(self.header_name)
            check_header(self.header_name, literal or "")

    def _compiled(self):
        return tuple(rule._compiled_one() for rule in self)

    def _compiled_one(self):
        value_map = parse_value_map(self.value_map, as_text=True)
        source = CompiledSource.of(self, as_typed=True, value_map=value_map)
        return CompiledRule(self.header_name, source)

    def _source_literal_as_typed(self):
        return True

    def _source_label(self):
        return self.env._('header rule "%s"', self.header_name or "")


class BwtWebhookOutboundEndpointPayloadRule(models.Model):
    """One value of the payload of every request of an endpoint."""

    _name = "bwt.webhook.outbound.endpoint.payload.rule"
    _description = "Outbound Webhook Payload Rule"
    _inherit = [
        "bwt.webhook.outbound.endpoint.rule.mixin",
        "bwt.webhook.outbound.payload.source.mixin",
    ]
    _order = "sequence, id"
    _rec_name = "target_path"
    _READ = (
        *BwtWebhookOutboundEndpointRuleMixin._READ,
        *LIST_FIELDS,
        "target_path",
    )

    source_kind = source_kind_field([*SOURCE_KINDS, LIST_KIND])
    target_path = fields.Char(
        help="Dotted path of the value in the payload, such as order.customer.name. "
        "Missing objects are created. Empty: the value replaces the whole "
        "payload. Rules for order.lines.*.sku build a list, with an item for each "
        "record if the source is order_line.*.product_id.default_code.",
    )

    @api.constrains(
        "target_path", "source_kind", "source_expression", "active", "endpoint_id"
    )
    def _check_lists(self):
        self._check_siblings()

    def _payload_siblings(self):
        rules = self.endpoint_id.payload_rule_ids.filtered("active")
        return rules.sorted(lambda rule: (rule.sequence, rule.id))

    def _payload_target(self):
        return self.target_path or ""

    def _is_lasting(self):
        return super()._is_lasting() and "*" not in self._payload_target()

    def _compiled(self):
        return compile_payload(
            self, self.env, lambda target, source, _rule: CompiledRule(target, source)
        )

    def _source_label(self):
        return self.env._('payload rule "%s"', self.target_path or "")
