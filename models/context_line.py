# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Key/value pairs given when a delivery is queued."""

import json
from collections.abc import Mapping

from odoo import api, fields, models
from odoo.tools import SQL

from ..services.errors import ConfigurationError, _lt
from ..services.template import field_tokens, tokens
from ..services.values import (
    decode_literal_value,
    dumps_payload,
    storable_text,
    to_json_value,
)
from .const import CONTEXT_SOURCE_KINDS, DELIVERY
from .fields import CopiedRelation
from .value_source import source_kind_field

_COLUMNS = ("key_name", "source_kind", "source_expression", "literal_value")
_GIVEN = frozenset({*_COLUMNS, "sequence", "active"})


class BwtWebhookOutboundDeliveryContextLine(models.Model):
    """One context value of a delivery: what tokens and context keys refer to."""

    _name = "bwt.webhook.outbound.delivery.context_line"
    _description = "Outbound Webhook Context Line"
    _inherit = "bwt.webhook.outbound.source.mixin"
    _order = "sequence, id"
    _rec_name = "key_name"
    _check_company_auto = True

    delivery_id = fields.Many2one(
        DELIVERY, required=True, ondelete="cascade", index=True
    )
    company_id = CopiedRelation(
        "res.company",
        related="delivery_id.company_id",
        store=True,
        index=True,
        precompute=True,
    )
    sequence = fields.Integer(
        default=10,
        help="Lines are evaluated in this order; later lines can use earlier ones.",
    )
    active = fields.Boolean(default=True, help="An inactive line is skipped.")
    key_name = fields.Char(
        string="Key",
        required=True,
        help="Name by which rules and {tokens} refer to the value.",
    )
    source_kind = source_kind_field(CONTEXT_SOURCE_KINDS)

    def _source_label(self):
        return self.env._('context line "%s"', self.key_name or "")

    def _source_owner(self):
        return self.delivery_id

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.delivery_id._note_edit()
        return lines

    def write(self, vals):
        deliveries = self.delivery_id
        super().write(vals)
        (deliveries | self.delivery_id)._note_edit()
        return True

    def unlink(self):
        self.delivery_id._note_edit()
        return super().unlink()

    @api.model
    def _vals_from(self, context_lines):
        """Create values from the argument of `queue_delivery`.

        :param context_lines: a mapping of key to value, or a list of dicts with
            `key_name`, `source_kind`, `source_expression`, `literal_value`; None
        :return: list of dicts for `create`, in the given order
        :raise ServiceError: a value is not valid JSON, a dict has an unknown key
        """
        if not context_lines:
            return []
        if isinstance(context_lines, Mapping):
            return [
                {
                    "sequence": number,
                    "key_name": _key(key),
                    "source_kind": "literal",
                    "literal_value": literal_text(value, _key(key)),
                }
                for number, (key, value) in enumerate(context_lines.items(), 1)
            ]
        if not isinstance(context_lines, list | tuple):
            raise ConfigurationError(
                _lt(
                    "context lines must be a mapping or a list of dicts, not "
                    '%(type)s. Give {"order_id": 7}.'
                ),
                type=type(context_lines).__name__,
            )
        return [
            _line_vals(line, number) for number, line in enumerate(context_lines, 1)
        ]

    @api.model
    def _rows_of(self, delivery_ids):
        """Active lines of many deliveries in one query, in their order.

        :return: tuples (delivery id, key, kind, expression, literal, reader, id); the
            id is None for a line whose value is sent as it is
        """
        lines = self.sudo()
        query = lines._search([("delivery_id", "in", delivery_ids)], order=self._order)
        columns = [
            lines._field_to_sql(lines._table, name, query)
            for name in ("delivery_id", *_COLUMNS, "limited_to_user_id")
        ]
        is_plain = SQL(
            "%s IS NULL AND %s IS NULL",
            lines._field_to_sql(lines._table, "value_format", query),
            lines._field_to_sql(lines._table, "if_empty", query),
        )
        line_id = lines._field_to_sql(lines._table, "id", query)
        columns.append(SQL("CASE WHEN %s THEN NULL ELSE %s END", is_plain, line_id))
        return self.env.execute_query(query.select(*columns))


def literal_text(value, key):
    """The literal that evaluates to `value` itself, including braces in its texts.

    A text is stored unchanged, unless it would be read as another value: "42" is stored
    with its quotes.
    """
    value = to_json_value(value, key)
    if isinstance(value, str) and value:
        text = _escaped(value)
        if decode_literal_value(text) is text and storable_text(text) == text:
            return text
    return dumps_payload(_escaped(value)) if value is not None else "null"


def _escaped(value):
    """Texts with braces doubled that would be read as tokens."""
    if isinstance(value, str):
        if (
            "{{" in value
            or "}}" in value
            or "{" in value
            and (tokens(value) or field_tokens(value))
        ):
            return value.replace("{", "{{").replace("}", "}}")
        return value
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value


def _key(key):
    key = key.strip() if isinstance(key, str) else key
    if not key or not isinstance(key, str):
        raise ConfigurationError(
            _lt("context key %(key)s is not a text. Name each value, as in order_id."),
            key=repr(key),
        )
    return key


def _line_vals(line, number):
    if not isinstance(line, Mapping) or not _GIVEN.issuperset(line):
        raise ConfigurationError(
            _lt(
                "context line %(number)s is %(line)s. Give a dict with the keys "
                "key_name, source_kind, source_expression, literal_value."
            ),
            number=number,
            line=repr(line)[:120],
        )
    vals = {"sequence": number, **line, "key_name": _key(line.get("key_name"))}
    literal = vals.get("literal_value")
    if literal is not None and literal is not False and not isinstance(literal, str):
        vals["literal_value"] = json.dumps(to_json_value(literal, vals["key_name"]))
    return vals
