# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where a value comes from: kind, expression, literal. Five models share this."""

from odoo import api, fields, models

from ..services.errors import ServiceError
from .refusal import capitalized, misconfigured
from .source import check_source

SOURCE_FIELDS = ("source_kind", "source_expression", "literal_value")


def source_kind_field(kinds, default="literal"):
    """The field `source_kind`; which kinds there are depends on the model."""
    return fields.Selection(
        kinds,
        default=default,
        required=True,
        help="Where the value comes from. Literal: the text given here. Fields: a "
        "dotted path from the delivery, the endpoint, its company, the partner, or "
        "the record that the delivery is about. Context Key: a value given when the "
        "delivery was queued. Request Field: a part of the request built so far.",
    )


class WebhookSourceMixin(models.AbstractModel):
    """Expression and literal of a value, checked when saved.

    A model that inherits this declares `source_kind = source_kind_field(...)`.
    """

    _name = "bwt.webhook.outbound.source.mixin"
    _description = "Webhook Value Source"

    source_expression = fields.Char(
        help="Dotted path, such as partner_id.name, order_line.0.name or "
        "order_line.*.product_id.default_code. A path that ends on a relation gives "
        "its id or the list of its ids. Not used for literals.",
    )
    literal_value = fields.Text(
        help="The value of a literal. It is read as JSON where it parses (149.99 is a "
        'number, true a boolean, "42" a text) and taken as text otherwise. Texts may '
        "hold {key} for a context value; a text that is nothing but {key} keeps that "
        "value's type. Header values are sent as typed.",
    )

    @api.constrains("source_kind", "source_expression", "literal_value")
    def _check_source(self):
        """Refuse what can't work, where that is known before it runs."""
        for source in self:
            try:
                source._check_one()
            except ServiceError as error:
                fault = source._source_fault(error)
                raise misconfigured(source._source_owner(), fault) from error

    @api.onchange("source_kind", "source_expression", "literal_value")
    def _onchange_source(self):
        """Say while it is typed what saving would refuse."""
        if self.source_kind != "literal" and not self.source_expression:
            return None
        try:
            self._check_one()
        except ServiceError as error:
            return {
                "warning": {
                    "title": self.env._("This can't work"),
                    "message": capitalized(self._source_fault(error)),
                    "type": "notification",
                }
            }
        return None

    def _check_one(self):
        """Raise ServiceError when this record can't work whatever is delivered."""
        check_source(
            self.env, self.source_kind, self.source_expression, self.literal_value
        )

    def _source_fault(self, error):
        """`payload rule "order.id": what is wrong`, translated."""
        return self.env._(
            "%(where)s: %(problem)s",
            where=self._source_label(),
            problem=self.env._(error.template, **error.values),
        )

    def _source_literal_as_typed(self):
        """True where a literal is text, not JSON: header values."""
        return False

    def _source_label(self):
        """How errors name this record."""
        return self.display_name or self._description

    def _source_owner(self):
        """The record that people know this one by: an endpoint, a handler."""
        return self
