# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dotted paths into JSON values: `order.lines.0.sku`, `order.lines.*.sku`."""

from copy import deepcopy
from functools import lru_cache

from .errors import ConfigurationError, _lt

_MISSING = object()


@lru_cache(maxsize=2048)
def _parts(path):
    parts = tuple(path.strip().split("."))
    if parts == ("",):
        return ()
    if "" in parts:
        raise ConfigurationError(
            _lt(
                'path "%(path)s" has an empty part.'
                ' Write names with single dots between them, as in "order.lines.0".'
            ),
            path=path,
        )
    return parts


def _index(part):
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else None


def read_path(data, path):
    """The value at `path`, None where nothing is.

    A number is the index of a list (from 0), `*` gives a list with the value of each
    item; an empty path gives `data`. Raises ConfigurationError for a malformed path.
    """
    return _read(data, _parts(path or ""))


def _read(value, parts):
    for place, part in enumerate(parts):
        if part == "*" and isinstance(value, dict | list | tuple):
            items = value.values() if isinstance(value, dict) else value
            return [_read(item, parts[place + 1 :]) for item in items]
        value = _child(value, part)
        if value is _MISSING:
            return None
    return value


def _child(value, part):
    if isinstance(value, dict):
        return value.get(part, _MISSING)
    if isinstance(value, list | tuple):
        index = _index(part)
        if index is not None and index < len(value):
            return value[index]
    return _MISSING


def write_path(data, path, value):
    """Put a copy of `value` at `path` into `data`, in place; gives the whole back.

    Missing or null objects on the way are made (a list where the next part is `0`),
    an index one past the end appends, `*` writes to each item.
    None or False as `data` starts as `{}`; an empty path replaces all.
    Raises ConfigurationError naming the path where something else is in the way.
    """
    parts = _parts(path or "")
    if not parts:
        return _own(value)
    if data is None or data is False:
        data = {}
    _write(data, parts, 0, value)
    return data


set_payload_path = write_path


def _own(value):
    # Written at two places, a shared object would change at both with a later rule.
    return deepcopy(value) if isinstance(value, dict | list) else value


def _write(holder, parts, place, value):
    for key in _keys(holder, parts, place):
        if place == len(parts) - 1:
            _put(holder, key, _own(value))
        else:
            _write(_object_at(holder, key, parts[place + 1]), parts, place + 1, value)


def _keys(holder, parts, place):
    """The keys of `holder` that the part stands for; raises when it takes none."""
    part = parts[place]
    if isinstance(holder, dict):
        return list(holder) if part == "*" else (part,)
    if isinstance(holder, list):
        if part == "*":
            return range(len(holder))
        index = _index(part)
        if index is not None and index <= len(holder):
            return (index,)
        raise ConfigurationError(
            _lt(
                'path "%(path)s" can\'t be written: "%(where)s" is a list of '
                '%(count)s items and "%(part)s" is not a valid index. Use 0 to '
                "%(count)s or *."
            ),
            path=".".join(parts),
            where=".".join(parts[:place]) or "payload",
            count=len(holder),
            part=part,
        )
    raise ConfigurationError(
        _lt(
            'path "%(path)s" can\'t be written: "%(where)s" is %(value)s and can\'t '
            'contain "%(part)s". Choose another path or write an object there '
            "first."
        ),
        path=".".join(parts),
        where=".".join(parts[:place]) or "payload",
        value=f"{holder!r:.40}",
        part=part,
    )


def _object_at(holder, key, next_part):
    """The object or list under `key`, made when nothing is there yet."""
    there = key in holder if isinstance(holder, dict) else key < len(holder)
    if there and holder[key] is not None:
        return holder[key]
    if next_part == "*":
        return None  # there is no "each item" of nothing: the next step says so
    made = [] if next_part == "0" else {}
    _put(holder, key, made)
    return made


def _put(holder, key, value):
    if isinstance(holder, list) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value
