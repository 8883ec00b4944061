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
    """The value at `path`, None if there is none.

    A number is the index of a list (from 0), `*` returns a list with the value of each
    item; an empty path returns `data`. Raises ConfigurationError for a malformed path.
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


def write_path(data, path, value, *, owned=False):
    """Put a copy of `value` at `path` into `data`, in place; returns the whole.

    owned: nobody else has `value`, so it needn't be copied

    Missing or null objects on the path are created (a list if the next part is `0`),
    an index one past the end appends, `*` writes to each item. None or False as `data`
    starts as `{}`; an empty path replaces everything.
    Raises ConfigurationError naming the path where another value is in the way.
    """
    parts = _parts(path or "")
    several = "*" in parts
    if not (owned or several):
        value = _own(value)
    if not parts:
        return value
    if data is None or data is False:
        data = {}
    place, container = 0, data
    # Most paths lead through objects that are there; `_write` knows all others.
    while not several and place < len(parts) - 1 and type(container) is dict:
        inner = container.get(parts[place])
        if type(inner) is not dict:
            break
        place, container = place + 1, inner
    _write(container, parts, place, value, several)
    return data


set_payload_path = write_path


def _own(value):
    # An object shared by two places would be changed at both by a later rule.
    return deepcopy(value) if isinstance(value, dict | list) else value


def _write(container, parts, place, value, several):
    for key in _keys(container, parts, place):
        if place == len(parts) - 1:
            _put(container, key, _own(value) if several else value)
        else:
            inner = _object_at(container, key, parts[place + 1])
            _write(inner, parts, place + 1, value, several)


def _keys(container, parts, place):
    """The keys of `container` that the part refers to; raises if it can't have any."""
    part = parts[place]
    if isinstance(container, dict):
        return list(container) if part == "*" else (part,)
    if isinstance(container, list):
        if part == "*":
            return range(len(container))
        index = _index(part)
        if index is not None and index <= len(container):
            return (index,)
        raise ConfigurationError(
            _lt(
                'path "%(path)s" can\'t be written: "%(where)s" is a list of '
                '%(count)s items and "%(part)s" is not a valid index. Use 0 to '
                "%(count)s or *."
            ),
            path=".".join(parts),
            where=".".join(parts[:place]) or "payload",
            count=len(container),
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
        value=f"{container!r:.40}",
        part=part,
    )


def _object_at(container, key, next_part):
    """The object or list under `key`, created if missing."""
    there = key in container if isinstance(container, dict) else key < len(container)
    if there and container[key] is not None:
        return container[key]
    if next_part == "*":
        return None  # there is no "each item" of nothing: the next step says so
    made = [] if next_part == "0" else {}
    _put(container, key, made)
    return made


def _put(container, key, value):
    if isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value
