# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The functions that expressions of body templates can call.

The formats are those of payload rules. An empty value stays empty.
"""

import inspect
import math
from collections.abc import Mapping
from functools import lru_cache

from .errors import ConfigurationError, _lt
from .formats import Format

TEXT_MAX = 1 << 20  # characters of a text that is computed
_OPTION_MAX = 200  # characters of a pattern, a time zone, a language
_FORMATS = 256


def is_number(value):
    """True for what can be calculated with; false and true are not numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(_FORMATS)
def _format(kind, plain_text=None, **options):
    return Format(kind, **options).compile(plain_text)


def _written(value, kind, **options):
    if value is None:
        return None
    for text, limit in (
        (value, TEXT_MAX),
        *((o, _OPTION_MAX) for o in options.values()),
    ):
        if isinstance(text, str) and len(text) > limit:
            raise ConfigurationError(
                _lt(
                    "a text of %(count)s characters is too long for %(filter)s, which "
                    "takes %(limit)s. Shorten it first, as with truncate."
                ),
                count=len(text),
                filter=kind,
                limit=limit,
            )
    return _format(kind, **options)(value)


def _decimal(value, places=2):
    return _written(value, "decimal", places=places, as_text=True)


def _date(value, pattern="", timezone="", language=""):
    return _written(
        value, "date", pattern=pattern, timezone=timezone, language=language
    )


def _datetime(value, pattern="", timezone="", language=""):
    return _written(
        value, "datetime", pattern=pattern, timezone=timezone, language=language
    )


def _timestamp(value, unit="seconds"):
    if unit not in ("seconds", "milliseconds"):
        raise ConfigurationError(
            _lt('unit "%(unit)s" is not known. Use seconds or milliseconds.'), unit=unit
        )
    return _written(value, "timestamp", unit=unit)


def _truncate(value, length):
    return _written(value, "truncate", length=length)


def _count(values):
    return 0 if values is None else len(values)


def _total(values, name):
    """The sum of a field of each record, or of a key of each object; empty is 0."""
    found = []
    for each in values or ():
        value = each.get(name) if isinstance(each, Mapping) else each.field(name)
        if value is not None and not is_number(value):
            raise ConfigurationError(
                _lt(
                    '"%(name)s" is not a number, so it has no total. '
                    "Choose a field that is a number."
                ),
                name=name,
            )
        found.append(value or 0)
    return sum(found) if all(isinstance(n, int) for n in found) else math.fsum(found)


_FILTERS = {
    "count": _count,
    "date": _date,
    "datetime": _datetime,
    "decimal": _decimal,
    "integer": lambda value: _written(value, "integer"),
    "lower": lambda value: _written(value, "lower"),
    "text": lambda value: _written(value, "text"),
    "timestamp": _timestamp,
    "total": _total,
    "truncate": _truncate,
    "upper": lambda value: _written(value, "upper"),
}


@lru_cache(8)
def filters_with(plain_text):
    """All filters by name.

    :param plain_text: function that converts HTML to text
    """

    def convert(value):
        return _written(value, "plain_text", plain_text=plain_text)

    return {**_FILTERS, "plain_text": convert}


def check_call(name, function, count, options):
    """Raise ConfigurationError unless a filter takes these arguments."""
    signature = inspect.signature(function)
    try:
        signature.bind(*range(count), **options)
    except TypeError:
        raise ConfigurationError(
            _lt("%(filter)s takes other arguments. Write %(usage)s."),
            filter=name,
            usage=f"{name}{signature}",
        ) from None
