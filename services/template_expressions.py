# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Expressions of body templates: a small part of Python, evaluated by this module.

An expression is parsed by `ast` and compiled to functions of our own; Python never
evaluates it. A dot reads a key of JSON or a field of a `View`, never an attribute of a
Python object, so there is nothing to escape to. Numbers and texts are limited in size:
a template comes from an administrator, but a lane must not stop for it.
"""

import ast
import difflib
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from .errors import ConfigurationError, ServiceError, _lt
from .jsonable import to_json_value
from .template_filters import TEXT_MAX, check_call, is_number

SOURCE_MAX = 1000  # characters of an expression
NODES_MAX = 100  # names, constants and operators in it
NUMBER_BITS = 128
_SHOWN = 60
_ITERATIONS = 1 << 30  # more than any template may take


class View:
    """What a template may read of an object that isn't JSON.

    It is also a sequence of views: of records, one each.
    """

    __slots__ = ()

    def field(self, name):
        """The value of a field: plain, or a view. Raises ConfigurationError."""
        raise NotImplementedError

    def item(self, index):
        """The view at an index; an empty one if there is none."""
        raise NotImplementedError

    def text(self):
        """What is written of the view itself; None for an empty one."""
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError

    def __iter__(self):
        raise NotImplementedError


class Rendered(str):
    """A part of a body that needs no escaping: what `t-set` rendered."""

    __slots__ = ()


class Expression:
    """A checked expression.

    read: `values -> value`; values is a mapping of names
    names: the names that it reads
    kind: the model of the records that it returns, None if that isn't known
    """

    __slots__ = ("read", "names", "kind")

    def __init__(self, read, names, kind):
        self.read = read
        self.names = names
        self.kind = kind


def compile_expression(source, kinds, filters, schema=None, *, displays=False):
    """An `Expression` of a text.

    :param kinds: the known names, each with the model of its records or None
    :param filters: the functions that it may call, by name
    :param schema: `(model, field) -> model of its records or None`; raises for a field
        that can't be read
    :param displays: lists, tuples and dicts may be written
    :raise ConfigurationError: it isn't allowed; the message quotes it
    """
    text = source.strip()
    if not text or len(text) > SOURCE_MAX:
        raise ConfigurationError(
            _lt(
                "an expression is empty or longer than %(max)s characters. Write a "
                "field such as record.name, or use t-set for its parts."
            ),
            max=SOURCE_MAX,
        )
    try:
        tree = ast.parse(text, mode="eval").body
        nodes = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigurationError(
            _lt('"%(found)s" is not a valid expression. Correct it.'), found=_cut(text)
        ) from None
    if nodes > NODES_MAX:
        raise ConfigurationError(
            _lt('"%(found)s" has too many parts. Use t-set for some of them.'),
            found=_cut(text),
        )
    compiler = _Compiler(kinds, filters, schema)
    read, kind = compiler.compile(tree, displays=displays)
    return Expression(read, frozenset(compiler.names), kind)


class _Compiler:
    """Compiles nodes to pairs: a function of the values, and the kind."""

    def __init__(self, kinds, filters, schema):
        self.kinds = kinds
        self.filters = filters
        self.schema = schema
        self.names = set()

    def compile(self, node, *, displays=False):
        method = _NODES.get(type(node))
        if method is None and displays:
            method = _DISPLAYS.get(type(node))
        if method is None:
            raise self.refused(node)
        return method(self, node)

    def name(self, node):
        name = node.id
        if name not in self.kinds:
            raise _unknown(name, self.kinds)
        self.names.add(name)
        return (lambda values: values[name]), self.kinds[name]

    def constant(self, node):
        value = node.value
        if not (value is None or isinstance(value, str | int | float)):
            raise self.refused(node)
        _bounded(value)
        return (lambda values: value), None

    def attribute(self, node):
        name = node.attr
        _check_name(name)
        base, kind = self.compile(node.value)
        found = self.schema(kind, name) if kind and self.schema else None
        return (lambda values: _field(base(values), name)), found

    def subscript(self, node):
        base, kind = self.compile(node.value)
        index, _kind = self.compile(node.slice)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            _check_name(node.slice.value)
            if kind and self.schema:
                kind = self.schema(kind, node.slice.value)
        return (lambda values: _item(base(values), index(values))), kind

    def call(self, node):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        function = self.filters.get(name)
        if function is None:
            raise self.no_call(node)
        if any(isinstance(arg, ast.Starred) for arg in node.args) or any(
            keyword.arg is None for keyword in node.keywords
        ):
            raise self.refused(node)
        arguments = [self.compile(arg)[0] for arg in node.args]
        options = {each.arg: self.compile(each.value)[0] for each in node.keywords}
        check_call(name, function, len(arguments), options)

        def read(values):
            values.check()
            given = [each(values) for each in arguments]
            named = {key: each(values) for key, each in options.items()}
            try:
                return function(*given, **named)
            except ServiceError:
                raise
            except (TypeError, ValueError, ArithmeticError, AttributeError):
                raise ConfigurationError(
                    _lt(
                        "%(filter)s can't be applied to %(value)s. Choose another "
                        "field or filter."
                    ),
                    filter=name,
                    value=_shown(given[0]),
                ) from None

        return read, None

    def boolean(self, node):
        parts = [self.compile(each)[0] for each in node.values]
        is_and = isinstance(node.op, ast.And)

        def read(values):
            value = None
            for part in parts:
                value = part(values)
                if bool(value) is not is_and:
                    break
            return value

        return read, None

    def unary(self, node):
        operand, _kind = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return (lambda values: not operand(values)), None
        if isinstance(node.op, ast.USub):
            return (lambda values: -_number(operand(values), "-")), None
        raise self.refused(node)

    def binary(self, node):
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            raise self.refused(node)
        left, _kind = self.compile(node.left)
        right, _kind = self.compile(node.right)
        return (lambda values: _bounded(operation(left(values), right(values)))), None

    def compare(self, node):
        left, _kind = self.compile(node.left)
        steps = []
        for operator, right in zip(node.ops, node.comparators, strict=True):
            holds = _COMPARISONS.get(type(operator))
            is_identity = isinstance(operator, ast.Is | ast.IsNot)
            if is_identity and not _is_singleton(right):
                raise self.refused(node)
            displays = isinstance(operator, ast.In | ast.NotIn)
            steps.append((holds, self.compile(right, displays=displays)[0]))

        def read(values):
            value = left(values)
            for holds, right in steps:
                other = right(values)
                if not holds(value, other):
                    return False
                value = other
            return True

        return read, None

    def sequence(self, node):
        parts = [self.compile(each)[0] for each in node.elts]
        return (lambda values: [part(values) for part in parts]), None

    def mapping(self, node):
        if None in node.keys:
            raise self.refused(node)
        parts = [
            (self.compile(key)[0], self.compile(value)[0])
            for key, value in zip(node.keys, node.values, strict=True)
        ]

        def read(values):
            return {_key(key(values)): value(values) for key, value in parts}

        return read, None

    def refused(self, node):
        return ConfigurationError(
            _lt(
                '"%(found)s" is not allowed in a template. Use fields, values, '
                "comparisons, and, or, not, + - * /, and these filters: %(filters)s."
            ),
            found=_cut(ast.unparse(node)),
            filters=", ".join(sorted(self.filters)),
        )

    def no_call(self, node):
        return ConfigurationError(
            _lt(
                '"%(found)s" can\'t be called: a template reads fields and calls no '
                "methods. It has these filters: %(filters)s."
            ),
            found=_cut(ast.unparse(node.func)),
            filters=", ".join(sorted(self.filters)),
        )


_NODES = {
    ast.Name: _Compiler.name,
    ast.Constant: _Compiler.constant,
    ast.Attribute: _Compiler.attribute,
    ast.Subscript: _Compiler.subscript,
    ast.Call: _Compiler.call,
    ast.BoolOp: _Compiler.boolean,
    ast.UnaryOp: _Compiler.unary,
    ast.BinOp: _Compiler.binary,
    ast.Compare: _Compiler.compare,
}
# Only where their value can't be stored in a variable: lists that contain each other
# would take for ever to compare.
_DISPLAYS = {
    ast.List: _Compiler.sequence,
    ast.Tuple: _Compiler.sequence,
    ast.Dict: _Compiler.mapping,
}


def _is_singleton(node):
    return isinstance(node, ast.Constant) and (
        node.value is None or isinstance(node.value, bool)
    )


def _cut(text):
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _shown(value):
    return _cut(ascii(value)) if not isinstance(value, View) else "a record"


def _unknown(name, kinds):
    matches = difflib.get_close_matches(name, kinds, n=3)
    return ConfigurationError(
        _lt('"%(name)s" is not known here. Use one of: %(names)s.'),
        name=name,
        names=", ".join(matches or sorted(kinds)),
    )


def _check_name(name):
    if name.startswith("_"):
        raise ConfigurationError(
            _lt('"%(name)s" is a private name. Choose a field.'), name=name
        )


def _field(value, name):
    if isinstance(value, View):
        return value.field(name)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return value.get(name)
    raise ConfigurationError(
        _lt('%(value)s has no "%(name)s". A dot can follow records and objects only.'),
        value=_shown(value),
        name=name,
    )


def _item(value, index):
    if value is None:
        return None
    if isinstance(index, str):
        _check_name(index)
        return _field(value, index)
    if isinstance(index, int) and not isinstance(index, bool):
        if isinstance(value, View):
            return value.item(index)
        if isinstance(value, list | tuple | str) and not isinstance(value, Rendered):
            return value[index] if -len(value) <= index < len(value) else None
    raise ConfigurationError(
        _lt("%(value)s has no item %(index)s. Use a number for a list, a key else."),
        value=_shown(value),
        index=_shown(index),
    )


def _key(value):
    if isinstance(value, str):
        return value
    raise ConfigurationError(
        _lt("%(value)s is not a valid key. Use a text."), value=_shown(value)
    )


def _number(value, operator):
    if is_number(value):
        return value
    raise ConfigurationError(
        _lt(
            "%(value)s is not a number, so %(operator)s can't be applied. Choose "
            "another field, or t-if for an empty one."
        ),
        value=_shown(value),
        operator=operator,
    )


def _bounded(value):
    """The value; raises if a number or a text is too large to continue with."""
    if isinstance(value, str):
        fits = len(value) <= TEXT_MAX
    elif isinstance(value, float):
        fits = math.isfinite(value)
    else:
        fits = not isinstance(value, int) or value.bit_length() <= NUMBER_BITS
    if fits:
        return value
    raise ConfigurationError(_lt("a value is too large. Use a smaller one."))


def _add(left, right):
    texts = isinstance(left, str) and isinstance(right, str)
    if texts and not isinstance(left, Rendered) and not isinstance(right, Rendered):
        return left + right
    return _number(left, "+") + _number(right, "+")


def _divide(left, right):
    left, right = _number(left, "/"), _number(right, "/")
    try:
        return left / right
    except (ZeroDivisionError, OverflowError):
        raise ConfigurationError(
            _lt("%(left)s can't be divided by %(right)s. Check it by t-if."),
            left=left,
            right=right,
        ) from None


_OPERATIONS = {
    ast.Add: _add,
    ast.Sub: lambda left, right: _number(left, "-") - _number(right, "-"),
    ast.Mult: lambda left, right: _number(left, "*") * _number(right, "*"),
    ast.Div: _divide,
}


def _ordered(compare):
    def holds(left, right):
        alike = (
            (is_number(left) and is_number(right))
            or (isinstance(left, str) and isinstance(right, str))
            or (isinstance(left, date) and type(left) is type(right))
        )
        if not alike:
            raise ConfigurationError(
                _lt(
                    "%(left)s and %(right)s have no order. Compare two numbers, texts "
                    "or dates."
                ),
                left=_shown(left),
                right=_shown(right),
            )
        return compare(left, right)

    return holds


def _contains(left, right):
    if right is None:
        return False
    if isinstance(right, str):
        if isinstance(left, str):
            return left in right
    elif isinstance(right, View | list | tuple):
        return any(left == each for each in right)
    elif isinstance(right, Mapping) and isinstance(left, str):
        return left in right
    raise ConfigurationError(
        _lt("%(right)s can't contain %(left)s. Use in with a text or a list."),
        left=_shown(left),
        right=_shown(right),
    )


_COMPARISONS = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Is: lambda left, right: left is right,
    ast.IsNot: lambda left, right: left is not right,
    ast.Lt: _ordered(lambda left, right: left < right),
    ast.LtE: _ordered(lambda left, right: left <= right),
    ast.Gt: _ordered(lambda left, right: left > right),
    ast.GtE: _ordered(lambda left, right: left >= right),
    ast.In: _contains,
    ast.NotIn: lambda left, right: not _contains(left, right),
}


def text_of(value):
    """A value as it is written: numbers and booleans as in JSON, dates as ISO 8601.

    :return: None for an empty value
    :raise ConfigurationError: it is a list or an object
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        return format(Decimal(text), "f") if "e" in text else text
    if isinstance(value, View):
        return value.text()
    if isinstance(value, date | datetime):
        return to_json_value(value)
    raise ConfigurationError(
        _lt(
            "%(value)s is a list or an object, which can't be written. Read one of "
            "its values, or loop over it with t-foreach."
        ),
        value=_shown(value),
    )


def items_of(value):
    """What `t-foreach` loops over: a sized iterable, of pairs for a mapping."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, View | list | tuple):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return range(min(value, _ITERATIONS))
    raise ConfigurationError(
        _lt(
            "%(value)s is not a list, so t-foreach can't loop over it. Use a list, "
            "such as a relation to several records."
        ),
        value=_shown(value),
    )
