# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Immutable dicts and lists that are read and encoded like plain ones."""

_SCALARS = frozenset({str, int, float, bool, type(None), bytes})
_MESSAGE = (
    "headers, payload and files of a request can't be changed in place (%s). Return "
    'the changed keys from the handler, as in {"payload": {**request.payload, "note": '
    '"x"}}, or make a new request with request.with_overrides({...}). '
    "copy.deepcopy(request.payload) returns a copy that can be changed."
)


class ImmutableRequestError(TypeError):
    """A handler, gate or hook modified a request; the message names the right way."""


def freeze(value):
    """`value` with its dicts and lists replaced by immutable ones, at every depth.

    The result equals `value`, and `json` still encodes it in C. A frozen value is
    returned unchanged.
    """
    kind = type(value)
    if kind in _SCALARS or kind is FrozenDict or kind is FrozenList:
        return value
    if isinstance(value, dict):
        frozen = FrozenDict(value)
        for key, item in value.items():
            if type(item) not in _SCALARS:
                dict.__setitem__(frozen, key, freeze(item))
        return frozen
    if isinstance(value, list):
        return FrozenList(map(freeze, value))
    if kind is tuple:
        return tuple(map(freeze, value))
    return value


def thaw(value):
    """A mutable copy of `value` in plain dicts and lists."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    if type(value) is tuple:
        return tuple(map(thaw, value))
    return value


def _refused(name):
    def refuse(self, *args, **kwargs):
        raise ImmutableRequestError(_MESSAGE % name)

    refuse.__name__ = name
    return refuse


class _Copied:
    """Copies are plain and mutable at every depth."""

    __slots__ = ()

    def copy(self):  # pylint: disable=method-required-super  # it would stay frozen
        return thaw(self)

    __copy__ = copy

    def __deepcopy__(self, memo):
        return thaw(self)

    def __reduce_ex__(self, protocol):
        plain = thaw(self)
        return type(plain), (plain,)


class FrozenDict(_Copied, dict):
    """A dict whose writing methods raise `ImmutableRequestError`."""

    __slots__ = ()

    __setitem__ = _refused("__setitem__")
    __delitem__ = _refused("__delitem__")
    __ior__ = _refused("__ior__")
    clear = _refused("clear")
    pop = _refused("pop")
    popitem = _refused("popitem")
    setdefault = _refused("setdefault")
    update = _refused("update")


class FrozenList(_Copied, list):
    """A list whose writing methods raise `ImmutableRequestError`."""

    __slots__ = ()

    __setitem__ = _refused("__setitem__")
    __delitem__ = _refused("__delitem__")
    __iadd__ = _refused("__iadd__")
    __imul__ = _refused("__imul__")
    append = _refused("append")
    clear = _refused("clear")
    extend = _refused("extend")
    insert = _refused("insert")
    pop = _refused("pop")
    remove = _refused("remove")
    reverse = _refused("reverse")
    sort = _refused("sort")


class FrozenOnRead:
    """Attribute of a request whose value is frozen when it is first read.

    The engine bypasses this (`vars(request)`): a delivery that no handler, backend or
    hook reads costs nothing extra.
    """

    def __init__(self, name):
        self.name = name

    def __get__(self, request, owner=None):
        if request is None:
            return self
        values = vars(request)
        value = values[self.name]
        if type(value) is dict or type(value) is list:
            value = values[self.name] = freeze(value)
        return value

    def __set__(self, request, value):
        vars(request)[self.name] = value
