# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where a value comes from: kind, expression, literal. Five models share this."""

from odoo import api, fields, models

from ..services.errors import ServiceError
from .const import SOURCE_MODELS
from .path_reader import check_path, is_limited, reader_env
from .refusal import capitalized, misconfigured
from .source import check_source

SOURCE_FIELDS = ("source_kind", "source_expression", "literal_value")
# Who changes one of these answers for what is read, and for whom.
ANSWERED_FOR = frozenset(
    "source_kind source_expression literal_value key_name "
    "endpoint_id delivery_id rule_id test_id".split()
)


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

    limited_to_user_id = fields.Many2one(
        comodel_name="res.users",
        string="Reads As",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The user who saved the path without Settings rights: it reads only what "
        "this user may read. Empty when a Settings administrator or code saved it.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([{**vals, **self._reader_values()} for vals in vals_list])

    def write(self, vals):
        if ANSWERED_FOR & vals.keys():
            vals = {"limited_to_user_id": False, **vals, **self._reader_values()}
        elif "limited_to_user_id" in vals and not self.env.su:
            vals = {name: vals[name] for name in vals if name != "limited_to_user_id"}
        return super().write(vals)

    @api.model
    def _reader_values(self):
        """The user whose rights limit what this user saves; empty without a limit."""
        return {"limited_to_user_id": self.env.uid} if is_limited(self.env) else {}

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
        reader = self.limited_to_user_id.id or self._reader_values().get(
            "limited_to_user_id"
        )
        if reader and self.source_kind in SOURCE_MODELS:
            check_path(
                reader_env(self.env, reader),
                SOURCE_MODELS[self.source_kind],
                self.source_expression.strip(),
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
