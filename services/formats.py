# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Formats of values: numbers, dates, times and texts in the receiver's form.

Patterns of dates and times are those of the Unicode standard (UTS 35), as Babel
implements it: `yyyy-MM-dd HH:mm:ss`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from difflib import get_close_matches

import pytz
from babel import Locale, UnknownLocaleError
from babel.dates import parse_pattern

from .errors import ConfigurationError, _lt
from .jsonable import to_json_value
from .values import json_serialize_value

DATE_PATTERN = "yyyy-MM-dd"
DATETIME_PATTERN = "yyyy-MM-dd'T'HH:mm:ssXXX"
PLACES_MAX = 10

# Which types of fields a format can be chosen for. A text is converted if it contains
# a number or an ISO date.
_TEXTS = frozenset({"char", "text", "html", "selection", "reference"})
_NUMERIC = frozenset({"integer", "float", "monetary", "char", "text", "selection"})
_TEMPORAL = frozenset({"date", "datetime", "char", "text"})
_RELATIONS = frozenset({"many2one", "one2many", "many2many", "reference"})
FIELD_TYPES = {
    "integer": _NUMERIC | {"boolean"},
    "decimal": _NUMERIC,
    "date": _TEMPORAL,
    "datetime": _TEMPORAL,
    "timestamp": _TEMPORAL,
    "label": frozenset({"selection"}),
    "name": _RELATIONS,
    "plain_text": frozenset({"html", "text", "char"}),
    "upper": _TEXTS,
    "lower": _TEXTS,
    "truncate": _TEXTS,
}
# These need to know the field: its labels, or the record that it points to.
OF_FIELDS = frozenset({"label", "name"})

OMITTED = object()  # what a rule returns that writes nothing

_CONTEXT = Context(prec=400)  # the largest float has 309 digits before the point
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_QUOTED = re.compile(r"'[^']*'")
_LETTERS = re.compile(r"[A-Za-z]")
_DATE_LETTERS = frozenset("yQMdEwY")
_TIME_LETTERS = frozenset("ahHmsSXZ")
_SHOWN = 60


@dataclass(frozen=True)
class Format:
    """How a value is written.

    kind: a key of `FIELD_TYPES`, or `text`
    places: decimals, 0 to 10
    as_text: decimal as text, which keeps trailing zeros
    pattern: of a date or datetime; empty is ISO 8601
    timezone: name of the zone of dates and times; empty is UTC
    language: of month and day names in a pattern
    length: number of characters that are kept
    unit: of a timestamp, seconds or milliseconds
    """

    kind: str
    places: int = 0
    as_text: bool = False
    pattern: str = ""
    timezone: str = ""
    language: str = ""
    length: int = 0
    unit: str = "seconds"

    def check(self):
        """Raise ConfigurationError if an option is invalid."""
        if self.kind == "decimal" and not 0 <= self.places <= PLACES_MAX:
            raise ConfigurationError(
                _lt("%(places)s decimal places are not possible. Enter 0 to %(max)s."),
                places=self.places,
                max=PLACES_MAX,
            )
        if self.kind == "truncate" and self.length < 1:
            raise ConfigurationError(
                _lt("the length %(length)s keeps nothing. Enter 1 or more."),
                length=self.length,
            )
        if self.kind in ("date", "datetime", "timestamp"):
            _zone(self.timezone)
        if self.kind in ("date", "datetime") and self.pattern:
            _check_pattern(self.pattern, with_time=self.kind == "datetime")

    def compile(self, plain_text=None):
        """A function `value -> value` for one value that isn't empty.

        :param plain_text: function that converts HTML to text, for `plain_text`
        :raise ConfigurationError: an option is invalid; the returned function raises it
            for a value that doesn't fit
        """
        self.check()
        return _COMPILERS[self.kind](self, plain_text)


def check_field_type(kind, field_type, path):
    """Raise ConfigurationError if a format can't be chosen for this type of field."""
    allowed = FIELD_TYPES.get(kind)
    if allowed is None or field_type in allowed:
        return
    raise ConfigurationError(
        _lt(
            'format "%(format)s" doesn\'t fit "%(path)s", a field of type %(type)s. '
            "It fits: %(types)s. Choose another format or field."
        ),
        format=kind,
        path=path,
        type=field_type,
        types=", ".join(sorted(allowed)),
    )


def compile_finish(value_map=None, if_empty=None, convert=None):
    """A function `(value, empty) -> value`: value map, then empty value, then format.

    A list is converted item by item.
    :param value_map: a `ValueMap`, or None
    :param if_empty: None for `empty`, else null, blank, omit or error
    :param convert: the compiled format, or None
    """
    if_empty = _IF_EMPTY[if_empty or "default"]

    def finish(value, empty):
        if isinstance(value, list | tuple):
            found = [finish(each, empty) for each in value]
            return [each for each in found if each is not OMITTED]
        if value_map:
            value = value_map.apply(value)
        if value is None or value == "":
            return if_empty(empty)
        return value if convert is None else convert(value)

    return finish


def _refuse_empty(_empty):
    raise ConfigurationError(
        _lt("the value is empty. Enter it, or choose what is sent for an empty value.")
    )


_IF_EMPTY = {
    "default": lambda empty: empty,
    "null": lambda empty: None,
    "blank": lambda empty: "",
    "omit": lambda empty: OMITTED,
    "error": _refuse_empty,
}


def _misfit(kind, value, needed):
    shown = ascii(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return ConfigurationError(
        _lt(
            'format "%(format)s" doesn\'t fit the value %(value)s: it needs '
            "%(needed)s. Correct the value, or choose another format."
        ),
        format=kind,
        value=shown,
        needed=needed,
    )


# Texts


def _text(_format, _plain_text):
    def convert(value):
        if isinstance(value, str):
            return value
        return json_serialize_value(to_json_value(value))

    return convert


def _of_text(kind, function):
    def convert(value):
        if not isinstance(value, str):
            raise _misfit(kind, value, "a text")
        return function(value)

    return convert


def _truncated(length):
    return lambda value: value[:length]


# Numbers


def _number(value, kind):
    """`value` as a finite Decimal; a float has the digits that Python shows for it."""
    if isinstance(value, bool):
        pass
    elif isinstance(value, int | Decimal):
        value = Decimal(value)
    elif isinstance(value, float):
        value = Decimal(repr(value))
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise _misfit(kind, value, "a number")


def _integer(_format, _plain_text):
    def convert(value):
        if isinstance(value, bool):
            return int(value)
        return int(_rounded(value, Decimal(1), "integer"))

    return convert


def _decimal(options, _plain_text):
    step = Decimal(1).scaleb(-options.places)
    if options.as_text:
        return lambda value: format(_rounded(value, step, "decimal"), "f")
    number = float if options.places else int
    return lambda value: number(_rounded(value, step, "decimal"))


def _rounded(value, step, kind):
    try:
        rounded = _number(value, kind).quantize(step, ROUND_HALF_UP, _CONTEXT)
    except InvalidOperation:
        raise _misfit(kind, value, "a smaller number") from None
    return rounded if rounded else abs(rounded)  # no minus before a zero


# Dates and times


def _date(options, _plain_text):
    zone = _zone(options.timezone)
    write = _writer(options.pattern, options.language)

    def convert(value):
        moment = _moment(value, "date")
        if isinstance(moment, datetime):
            moment = _local(moment, zone, "date").date()
        return write(moment) if write else moment.isoformat()

    return convert


def _datetime(options, _plain_text):
    zone = _zone(options.timezone)
    write = _writer(options.pattern or DATETIME_PATTERN, options.language)
    return lambda value: write(_local(_moment(value, "datetime"), zone, "datetime"))


def _timestamp(options, _plain_text):
    zone = _zone(options.timezone)
    unit = timedelta(milliseconds=1 if options.unit == "milliseconds" else 1000)

    def convert(value):
        return (_local(_moment(value, "timestamp"), zone, "timestamp") - _EPOCH) // unit

    return convert


def _moment(value, kind):
    """A date, or a datetime that knows its time zone."""
    if isinstance(value, str) and _DATE.match(value):
        with suppress(ValueError):  # refused below, as a text
            if len(value) == 10:
                value = date.fromisoformat(value)
            else:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return value
    raise _misfit(kind, value, "a date, a time or an ISO 8601 text")


def _local(moment, zone, kind):
    """A moment in a zone; a date is its midnight there."""
    try:
        if isinstance(moment, datetime):
            return moment.astimezone(zone)
        return zone.localize(datetime.combine(moment, time()))
    except OverflowError:  # the first and last day of the calendar
        raise _misfit(kind, moment, "a date inside the calendar") from None


def _writer(pattern, language):
    if not pattern or pattern == DATE_PATTERN:
        return None
    parsed = parse_pattern(pattern)
    try:
        locale = Locale.parse(language or "en")
    except (ValueError, UnknownLocaleError):
        locale = Locale.parse("en")
    return lambda moment: parsed.apply(moment, locale)


def _zone(name):
    if not name:
        return pytz.utc
    try:
        return pytz.timezone(name)
    except (pytz.UnknownTimeZoneError, ValueError):
        matches = get_close_matches(name, pytz.common_timezones, n=3)
        raise ConfigurationError(
            _lt('time zone "%(zone)s" is not known. Use a name such as %(names)s.'),
            zone=name,
            names=", ".join(matches or ["Europe/Berlin", "UTC"]),
        ) from None


def _check_pattern(pattern, *, with_time):
    letters = set(_LETTERS.findall(_QUOTED.sub("", pattern)))
    allowed = _DATE_LETTERS | (_TIME_LETTERS if with_time else frozenset())
    wrong = sorted(letters - allowed)
    if "Y" in letters and "w" not in letters:
        wrong.append("Y")  # the year of the week: wrong around New Year
    sample = datetime(2026, 11, 24, 10, tzinfo=timezone.utc)
    try:
        if not letters or wrong or pattern.count("'") % 2:
            raise ValueError(pattern)
        parse_pattern(pattern).apply(sample, Locale.parse("en"))
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            _lt(
                'pattern "%(pattern)s" is not valid. Write it with these letters: '
                "%(letters)s, as in %(sample)s, and other letters between single "
                "quotes."
            ),
            pattern=pattern,
            letters=" ".join(sorted(allowed)),
            sample=DATETIME_PATTERN if with_time else "dd.MM.yyyy",
        ) from error


_COMPILERS = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "plain_text": lambda _format, plain_text: _of_text("plain_text", plain_text),
    "upper": lambda _format, _plain: _of_text("upper", str.upper),
    "lower": lambda _format, _plain: _of_text("lower", str.lower),
    "truncate": lambda options, _plain: _of_text(
        "truncate", _truncated(options.length)
    ),
}
