# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which records of a relation are sent: filter, order, limit."""

import ast

from odoo.fields import Domain

from ..services.errors import ConfigurationError, Message, _lt
from .field_path import RELATIONAL, check_syntax, compile_field_path, final_field
from .field_value import RETRIED_ERRORS

# Compared in Python, on records that are read already: the others would search.
_OPERATORS = frozenset(
    "= != < > <= >= in like ilike =like =ilike".split()
    + ["not in", "not like", "not ilike", "not =like", "not =ilike"]
)
_SORTABLE = frozenset(
    "char text selection date datetime integer float monetary boolean".split()
)


class RecordSelection:
    """Which records of a relation are sent: filter, order, limit.

    domain: a list with plain values
    order: pairs (field, is descending)
    """

    def __init__(self, domain, order, limit):
        self.domain_text = domain
        self.order_text = order
        self.limit = limit

    @classmethod
    def of(cls, record):
        """That of a record of kind `list`."""
        return cls(
            (record.list_domain or "").strip(),
            (record.list_order or "").strip(),
            record.list_limit or 0,
        )

    def check(self):
        """Raise ConfigurationError for what is invalid for every model."""
        if self.limit < 0:
            raise ConfigurationError(
                _lt("the limit %(limit)s is not valid. Enter 0 or more."),
                limit=self.limit,
            )
        self._order()
        for path in self._domain_paths():
            check_syntax(path)

    def paths(self, relation):
        """All paths that are read, from the record at which the relation starts."""
        return [relation, *(f"{relation}.*.{name}" for name in self.names())]

    def names(self):
        """The paths that are read, from one of the records that are selected."""
        return [*self._domain_paths(), *(name for name, _ in self._order())]

    def compile(self, env, model_name):
        """A function `records -> records`; None if all are sent.

        :raise ConfigurationError: filter or order can't be used on this model
        """
        if not (self.domain_text or self.order_text or self.limit):
            return None
        if model_name is None:
            raise ConfigurationError(
                _lt(
                    "filter, order and limit need a relation, but the path leads to "
                    "a list inside a value. Remove them."
                )
            )
        domain = self._compiled_domain(env, model_name)
        order = self._compiled_order(env, model_name)
        limit = self.limit

        def select(records):
            found = records
            try:
                if domain is not None:
                    found = found.filtered_domain(domain)
                if order is not None:
                    found = found.sorted(order)
            except RETRIED_ERRORS:
                raise
            except Exception as error:  # of the comparison, or of a computed field
                raise self._fault("%(reason)s", reason=_reason(error)) from error
            if limit:
                found = found[:limit]
            # One prefetch group: a field read from one record is read for all.
            return found.with_prefetch(records._prefetch_ids)

        return select

    def _conditions(self):
        if not self.domain_text:
            return []
        try:
            domain = Domain(ast.literal_eval(self.domain_text))
            return list(domain.iter_conditions())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as err:
            raise self._fault(
                _lt("it is not a list of conditions with plain values")
            ) from err

    def _fault(self, reason, /, **values):
        """An error about the filter; the reason is a template or a message."""
        return ConfigurationError(
            _lt(
                "the filter %(filter)s can't be used: %(reason)s. Write it as in "
                '[("display_type", "=", False)].'
            ),
            filter=self.domain_text,
            reason=Message(reason, values),
        )

    def _domain_paths(self):
        paths = []
        for condition in self._conditions():
            if condition.operator not in _OPERATORS:
                raise self._fault(
                    _lt("operator %(operator)s needs a search"),
                    operator=condition.operator,
                )
            paths.append(condition.field_expr)
        return paths

    def _compiled_domain(self, env, model_name):
        if not self.domain_text:
            return None
        for condition in self._conditions():
            path, value = condition.field_expr, condition.value
            compile_field_path(env, model_name, path)
            field = final_field(env, model_name, path)
            if field is None or not field._description_searchable:
                raise self._fault(_lt("%(path)s can't be searched"), path=path)
            values = value if isinstance(value, list | tuple | set) else [value]
            by_name = any(isinstance(each, str) for each in values)
            if field.type in RELATIONAL and by_name:
                raise self._fault(
                    _lt("%(path)s is a relation, compare %(path)s.name"), path=path
                )
        try:
            domain = Domain(ast.literal_eval(self.domain_text))
            domain = domain.optimize(env[model_name])
            env[model_name].new({}).filtered_domain(domain)
        except Exception as error:  # whatever the operators say about the values
            raise self._fault("%(reason)s", reason=_reason(error)) from error
        return domain

    def _order(self):
        found = []
        for part in filter(None, self.order_text.split(",")):
            name, *direction = part.split()
            if direction and direction[0].lower() not in ("asc", "desc"):
                raise self._order_fault(part.strip())
            if not name.isidentifier() or len(direction) > 1:
                raise self._order_fault(part.strip())
            found.append((name, direction == ["desc"] or direction == ["DESC"]))
        return found

    def _order_fault(self, part):
        return ConfigurationError(
            _lt(
                'the order "%(order)s" can\'t be used: "%(part)s" is not a plain '
                "stored field of these records, with asc or desc. Write it as in "
                "sequence, name desc."
            ),
            order=self.order_text,
            part=part,
        )

    def _compiled_order(self, env, model_name):
        order = self._order()
        if not order:
            return None
        for name, _is_descending in order:
            field = env[model_name]._fields.get(name)
            if field is None or not field.store or field.type not in _SORTABLE:
                raise self._order_fault(name)
            compile_field_path(env, model_name, name)
        return ", ".join(f"{name} {'desc' if down else 'asc'}" for name, down in order)


def _reason(error):
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
