# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value mappings of rules: one `from = to` a line, `* = default`."""

from dataclasses import dataclass, field
from functools import lru_cache

from .errors import ConfigurationError, _lt
from .values import decode_literal_value, json_serialize_value, to_json_value

_NONE = object()


@dataclass(frozen=True)
class ValueMap:
    """Maps a value to what is sent for it.

    entries: text of a value -> what is sent for it
    default: for any other value; a value without entry and default is unchanged
    """

    entries: dict = field(default_factory=dict)
    default: object = _NONE

    def __bool__(self):
        return bool(self.entries) or self.default is not _NONE

    def apply(self, value):
        """What is sent for `value`; for a list, what is sent for each item."""
        if isinstance(value, list | tuple):
            return [self.apply(item) for item in value]
        for text in _texts(value):
            if text in self.entries:
                return self.entries[text]
        return value if self.default is _NONE else self.default


def _texts(value):
    """The spellings of `value` that are accepted on the left."""
    if type(value) is str:
        return (value,)
    if value is None:
        return ("",)
    if value is False:
        return ("false", "False", "")
    if value is True:
        return ("true", "True")
    if isinstance(value, float) and value.is_integer():
        return (str(value), str(int(value)))
    return (json_serialize_value(to_json_value(value)),)


@lru_cache(maxsize=512)
def parse_value_map(text, *, as_text=False):
    """The ValueMap that `text` describes; empty text makes an empty one.

    The right side is read as JSON where it parses (`1`, `true`), else as text;
    with `as_text` (headers) it is kept as typed. An empty left side is the empty value.
    If the left side contains `=`, put spaces around the separator.
    Raises ConfigurationError naming a line without `=` or a duplicate one.
    """
    entries, default = {}, _NONE
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        left, right = _split(line, number)
        if left in entries or (left == "*" and default is not _NONE):
            raise ConfigurationError(
                _lt('value map line %(number)s maps "%(value)s" again. Keep one.'),
                number=number,
                value=left,
            )
        right = right if as_text else decode_literal_value(right)
        if left == "*":
            default = right
        else:
            entries[left] = right
    return ValueMap(entries, default)


def _split(line, number):
    left, separator, right = f" {line} ".partition(" = ")
    if not separator:
        left, separator, right = line.partition("=")
    if not separator:
        raise ConfigurationError(
            _lt(
                'value map line %(number)s "%(line)s" has no "=".'
                ' Write "from = to", or "* = default" for all other values.'
            ),
            number=number,
            line=line.strip(),
        )
    return left.strip(), right.strip()
