# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the value of a rule is finished: value map, empty value, format."""

from dataclasses import dataclass, replace

from odoo import api, fields, models
from odoo.tools import html2plaintext

from ..services.errors import ConfigurationError, _lt
from ..services.formats import OF_FIELDS, Format, check_field_type, compile_finish
from ..services.value_map import ValueMap
from .field_path import final_field

FORMATS = [
    ("text", "Text"),
    ("integer", "Integer"),
    ("decimal", "Decimal"),
    ("date", "Date"),
    ("datetime", "Date and Time"),
    ("timestamp", "Timestamp"),
    ("label", "Label of a Selection"),
    ("name", "Name of a Record"),
    ("plain_text", "Plain Text of HTML"),
    ("upper", "Upper Case"),
    ("lower", "Lower Case"),
    ("truncate", "Truncate"),
]
IF_EMPTY = [
    ("null", "null"),
    ("blank", "Empty Text"),
    ("omit", "Leave Out"),
    ("error", "Stop With an Error"),
]
UNITS = [("seconds", "Seconds"), ("milliseconds", "Milliseconds")]
FORMAT_FIELDS = (
    "value_format",
    "if_empty",
    "format_places",
    "format_as_text",
    "format_pattern",
    "format_timezone",
    "format_language",
    "format_length",
    "format_unit",
)


@dataclass(frozen=True)
class Finish:
    """What happens to a value after it was read.

    format: a `Format`, or None
    if_empty: null, blank, omit or error; empty: as the endpoint says
    language: of labels; empty: that of the environment
    """

    format: Format | None
    if_empty: str | None
    value_map: ValueMap | None = None
    language: str = ""

    @classmethod
    def of(cls, record, value_map=None):
        """That of a record of the source mixin; None if its values stay as they are."""
        if not record.value_format and not record.if_empty:
            return None
        written = record.value_format and Format(
            record.value_format,
            places=record.format_places,
            as_text=record.format_as_text,
            pattern=(record.format_pattern or "").strip(),
            timezone=(record.format_timezone or "").strip(),
            length=record.format_length,
            unit=record.format_unit or "seconds",
        )
        language = record.format_language or ""
        return cls(written or None, record.if_empty or None, value_map, language)

    def check(self):
        """Raise ConfigurationError if an option is invalid."""
        if self.format:
            self.format.check()

    def at(self, env, model_name, expression):
        """The path to read, and what to do then: a record's name is its display name.

        :param expression: a valid path; empty for the record itself
        """
        if self.format is None or self.format.kind != "name":
            return expression, self
        path = "display_name"
        if expression:
            field = final_field(env, model_name, expression)
            if field is None:
                raise _needs_field("name", expression)
            check_field_type("name", field.type, expression)
            is_list = field.type in ("one2many", "many2many")
            if is_list and not _is_index(expression.rpartition(".")[2]):
                expression += ".*"
            path = f"{expression}.display_name"
        return path, replace(self, format=None)

    def compile(self, env, field, expression):
        """A function `(value, empty) -> value`.

        :param field: that the path ends on; None if that is not known
        :raise ConfigurationError: an option is invalid or doesn't fit the field
        """
        return compile_finish(
            self.value_map, self.if_empty, self._convert(env, field, expression)
        )

    def _convert(self, env, field, expression):
        if self.format is None:
            return None
        kind = self.format.kind
        if field is None and kind in OF_FIELDS:
            raise _needs_field(kind, expression)
        if field is not None:
            check_field_type(kind, field.type, expression)
        if kind == "label":
            return _labeled(field, self._in_language(env))
        language = self.language or env.lang or ""
        return replace(self.format, language=language).compile(html2plaintext)

    def _in_language(self, env):
        """The environment in the format's language, if that is active."""
        if not self.language or not env["res.lang"]._get_data(code=self.language):
            return env
        return env(context=dict(env.context, lang=self.language))


def _labeled(field, env):
    labels = dict(field._description_selection(env))

    def convert(value):
        if value in labels:
            return labels[value]
        raise ConfigurationError(
            _lt(
                'the value "%(value)s" of field "%(field)s" has no label. Correct the '
                "record, or choose another format."
            ),
            value=value,
            field=field.name,
        )

    return convert


def _needs_field(kind, expression):
    return ConfigurationError(
        _lt(
            'format "%(format)s" needs a path that ends on a field, which "%(path)s" '
            "doesn't. Choose another format or another source."
        ),
        format=kind,
        path=expression,
    )


def _is_index(part):
    return part == "*" or part.isdecimal()


class BwtWebhookOutboundValueFormatMixin(models.AbstractModel):
    """The format of a value; a model that inherits this declares `if_empty`."""

    _name = "bwt.webhook.outbound.value.format.mixin"
    _description = "Webhook Value Format"

    value_format = fields.Selection(
        FORMATS,
        string="Format",
        help="How the value is written; of a list, each of its values. The value is "
        "read, replaced by the value map, checked for being empty, and then formatted. "
        "Empty: sent as it is.",
    )
    format_places = fields.Integer(
        string="Decimal Places",
        help="0 to 10. Values are rounded half up: 2.675 becomes 2.68.",
    )
    format_as_text = fields.Boolean(
        string="As Text",
        help='Sent as a text, which keeps trailing zeros: "10.50" instead of 10.5.',
    )
    format_pattern = fields.Char(
        string="Pattern",
        help="Letters of the Unicode standard: yyyy year, MM month, dd day, HH hour, "
        "mm minute, ss second, SSS milliseconds, XXX offset, EEE day of the week, "
        "MMM name of the month. Text between single quotes is sent as it is. Empty: "
        "ISO 8601.",
    )
    format_timezone = fields.Char(
        string="Time Zone",
        help="Name of the time zone in which dates and times are written, such as "
        "Europe/Berlin. Empty: UTC.",
    )
    format_language = fields.Selection(
        lambda self: self.env["res.lang"].get_installed(),
        string="Language",
        help="Language of the label, or of the names of months and days. Empty: the "
        "language of the endpoint's company.",
    )
    format_length = fields.Integer(
        string="Length", help="Number of characters that are kept."
    )
    format_unit = fields.Selection(
        UNITS, string="Unit", help="Unit of the timestamp. Empty: seconds."
    )

    @api.onchange("value_format")
    def _onchange_format(self):
        """Options that a format starts with, before `_onchange_source` checks them."""
        if self.value_format == "decimal" and not self.format_places:
            self.format_places = 2
        elif self.value_format == "truncate" and not self.format_length:
            self.format_length = 255
