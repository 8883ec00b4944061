# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Lists that payload rules build from the records of a relation, or from JSON."""

from collections.abc import Mapping
from contextlib import suppress

from odoo import api, fields, models

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.formats import OMITTED
from ..services.paths import read_path, write_path
from ..services.payload_lists import (
    LIST,
    PayloadList,
    RuleOfPayload,
    check_lists,
    group_rules,
)
from ..services.value_map import parse_value_map
from .const import RECORD_KINDS
from .endpoint_snapshot import CompiledSource, reads_external
from .errors import misconfigured
from .field_path import compile_field_path, compile_items, final_field
from .path_reader import AccessGuard
from .record_selection import RecordSelection
from .value_format import Finish
from .value_source import compile_source, reads_record

LIST_FIELDS = ("list_domain", "list_order", "list_limit")
# The record at which the relation of a list starts; other sources are JSON.
_START = {
    "record_field": lambda scope: scope.need_record(),
    "partner_field": lambda scope: scope.partner,
    "company_field": lambda scope: scope.company,
    "endpoint_field": lambda scope: scope.endpoint,
    "delivery_field": lambda scope: scope.delivery,
}
_OWN, _NESTED, _FIXED = range(3)


class BwtWebhookOutboundPayloadSourceMixin(models.AbstractModel):
    """Common part of endpoint payload rules, server action lines and assignments.

    Those that a model names as siblings build lists together.
    """

    _name = "bwt.webhook.outbound.payload.source.mixin"
    _description = "Webhook Payload Source"
    _inherit = "bwt.webhook.outbound.source.mixin"

    list_model_name = fields.Char(compute="_compute_list_model_name")
    list_domain = fields.Char(
        string="Records",
        help="List of Records: which records of the relation are sent, as a filter "
        'with plain values, such as [("display_type", "=", False)]. Empty: all.',
    )
    list_order = fields.Char(
        string="Order",
        help="List of Records: stored fields of these records, such as sequence, name "
        "desc. Empty: the order of the relation.",
    )
    list_limit = fields.Integer(
        string="Limit",
        help="List of Records: how many are sent at most. 0: no limit.",
    )

    @api.depends("path_model", "source_kind", "source_expression")
    def _compute_list_model_name(self):
        for source in self:
            source.list_model_name = False
            path = (source.source_expression or "").strip()
            if source.source_kind == LIST and path and source.path_model in self.env:
                with suppress(ServiceError):  # reported when it is saved
                    model_name, _read = compile_items(self.env, source.path_model, path)
                    source.list_model_name = model_name

    def _check_one(self):  # pylint: disable=missing-return  # returns nothing
        super()._check_one()
        if self.source_kind != LIST:
            return
        selection = RecordSelection.of(self)
        selection.check()
        expression = self.source_expression.strip()
        model_name = self._source_model("record_field")
        if model_name in self.env:
            for path in selection.paths(expression):
                self._check_path("record_field", model_name, path)
            comodel, _read = compile_items(self.env, model_name, expression)
            selection.compile(self.env, comodel)

    @api.constrains(*LIST_FIELDS)
    def _check_list(self):
        self._check_source()

    @api.onchange(*LIST_FIELDS)
    def _onchange_list(self):
        return self._onchange_source()

    def _check_siblings(self):
        """Refuse rules that don't build one list together."""
        for siblings in {source._payload_siblings() for source in self}:
            try:
                check_lists(rules_of(siblings), must_pair=self._starts_empty())
            except ServiceError as error:
                raise misconfigured(siblings[0]._source_owner(), error) from error

    def _payload_siblings(self):
        """The records that write the same payload as this one, in their order."""
        raise NotImplementedError

    def _starts_empty(self):
        """True if there is no payload before these rules."""
        return False

    def _payload_target(self):
        """The path in the payload; empty is the whole."""
        raise NotImplementedError

    def _payload_value_map(self):
        """The parsed value map, None if it has none."""
        has_map = "value_map" in self._fields and self.value_map
        return parse_value_map(self.value_map) if has_map else None

    def _payload_source(self, env):
        """The `CompiledSource` of this one alone."""
        return CompiledSource.of(
            self,
            as_typed=self._source_literal_as_typed(),
            value_map=self._payload_value_map(),
        )


def rules_of(records):
    """Records of the mixin as `RuleOfPayload`s."""
    return [
        RuleOfPayload(
            record._payload_target(),
            record.source_kind,
            (record.source_expression or "").strip(),
            record._source_label(),
            record,
        )
        for record in records
    ]


def compile_payload(records, env, made):
    """Rules of a payload in their order, each as one value or one list.

    :param records: of the payload source mixin, that write one payload
    :param made: `(target, CompiledSource, record) -> what the caller runs`; the record
        is None for a list
    :return: a tuple of what was made
    """
    if not any(each.source_kind == LIST for each in records) and not any(
        "*" in each._payload_target() for each in records
    ):
        return tuple(
            made(each._payload_target(), each._payload_source(env), each)
            for each in records
        )
    must_pair = bool(records) and records[0]._starts_empty()
    compiled = []
    for each in group_rules(rules_of(records), must_pair=must_pair):
        if isinstance(each, PayloadList):
            compiled.append(made(each.target, _list_source(each), None))
        else:
            record = each.rule.rule
            compiled.append(made(each.target, record._payload_source(env), record))
    return tuple(compiled)


def _list_source(payload_list):
    """The source of a list, compiled per model of its start when first read."""
    compiled = {}
    kind, fault = payload_list.kind, payload_list.fault

    def read(scope):
        if fault is not None:
            raise type(fault)(fault.template, **fault.values)
        start = _START[kind](scope) if kind in _START else None
        model_name = None if start is None else start._name
        build = compiled.get(model_name)
        if build is None:
            env = scope.endpoint.env if start is None else start.env
            build = compiled[model_name] = _compile_start(env, payload_list, model_name)
        return build(scope, start)

    rules = payload_list.rules()
    needs_record = any(
        reads_record(each.kind, each.rule.literal_value) for each in rules
    )
    label = rules[0].label if rules else payload_list.target
    needs_external = any(reads_external(each.rule) for each in rules)
    return CompiledSource(kind or LIST, label, read, needs_record, needs_external)


def _compile_start(env, payload_list, model_name):
    """A function `(scope, start) -> list` for a list that isn't inside another."""
    build = _compile_list(env, payload_list, (model_name,))
    if model_name is None:
        path = payload_list.path
        read = compile_source(env, payload_list.kind, path, None)
        return lambda scope, _start: build(scope, (), _json_items(read(scope), path))
    _model, items = _compile_items(env, payload_list, model_name)
    checks = _access_checks(env, payload_list, model_name)

    def build_from(scope, start):
        for check in checks:
            check(start)
        return build(scope, (), items(start))

    return build_from


def _access_checks(env, payload_list, model_name):
    """Functions that refuse a start record behind which a rule's user may not read.

    They check the whole path of each rule, so the items need no check of their own.
    """
    guards, checks = {}, {}
    for rule in payload_list.rules():
        user_id = rule.rule.limited_to_user_id.id
        is_path = rule.kind == LIST or rule.kind in _START and "*" in rule.path
        if not user_id or not is_path:
            continue
        guard = guards.setdefault(user_id, AccessGuard(user_id))
        for path in _paths_read(env, rule, model_name):
            checks[user_id, path] = _access_check(
                guard, path, check_start=payload_list.kind in RECORD_KINDS
            )
    return tuple(checks.values())


def _access_check(guard, path, *, check_start):
    return lambda start: guard.check(start, path, check_start=check_start)


def _paths_read(env, rule, model_name):
    paths = [rule.path]
    if rule.kind == LIST:
        paths = RecordSelection.of(rule.rule).paths(rule.path)
    finish = Finish.of(rule.rule)
    if finish is not None:
        paths.append(finish.at(env, model_name, rule.path)[0])
    return paths


def _compile_items(env, payload_list, model_name):
    """The model of a list's items (None for JSON), and `record -> items`."""
    path = payload_list.path
    if model_name is None:
        return None, lambda item: _json_items(read_path(item, path), path)
    item_model, read = compile_items(env, model_name, path)
    if item_model is None:
        return None, lambda record: _json_items(read(record), path)
    if payload_list.source is None:
        return item_model, read
    try:
        select = RecordSelection.of(payload_list.source.rule).compile(env, item_model)
    except ServiceError as error:
        error.where = payload_list.source.label
        raise
    if select is None:
        return item_model, read
    label = payload_list.source.label

    def read_selected(record):
        records = read(record)
        try:
            return select(records)
        except ServiceError as error:
            error.where = label
            raise

    return item_model, read_selected


def _json_items(value, path):
    if value is None or value is False:
        return ()
    if isinstance(value, Mapping):
        return tuple(value.values())
    if isinstance(value, list | tuple):
        return value
    raise ConfigurationError(
        _lt(
            'path "%(path)s" is %(value)s, not a list, so * can\'t follow it. Choose '
            "another path."
        ),
        path=path,
        value=f"{value!r:.40}",
    )


def _compile_list(env, payload_list, models_around):
    """A function `(scope, items around, items) -> list`.

    :param models_around: model of the start, then of the items of each list around;
        None for JSON
    """
    item_model, _items = _compile_items(env, payload_list, models_around[-1])
    models_known = (*models_around, item_model)
    # Items may be values instead of objects, and there is nothing to write a key into.
    is_plain = any(not each.target for each in payload_list.values)
    plan = [
        _compile_part(env, each, payload_list.depth + 1, models_known, is_plain)
        for each in payload_list.values
    ]

    def build(scope, around, items):
        if not items:
            return []
        parts = _with_fixed(plan, scope, around)
        empty = scope.empty
        result = []
        part = None
        try:
            for item in items:
                value = OMITTED if is_plain else {}
                for part in parts:
                    key, target, how, read, _label = part
                    if how == _OWN:
                        found = read(item, empty)
                    elif how == _NESTED:
                        found = read(scope, (*around, item))
                    else:
                        found = read
                    if found is OMITTED:
                        continue
                    if key is not None:
                        value[key] = found
                    else:
                        value = {} if value is OMITTED else value
                        value = write_path(value, target, found)
                if value is not OMITTED:
                    result.append(value)
        except ServiceError as error:
            error.where = error.where or part[-1]
            raise
        return result

    return build


def _with_fixed(plan, scope, around):
    """The parts of a list's items; what is the same for all is read once."""
    parts = []
    for key, target, how, read, label in plan:
        if how == _FIXED:
            try:
                read = read(scope, around)
            except ServiceError as error:
                error.where = error.where or label
                raise
        parts.append((key, target, how, read, label))
    return parts


def _compile_part(env, part, depth, models_known, is_plain):
    """(key, target, how, read, label) of one value or list inside the items.

    key: of a value that is directly in the item; None for a path
    """
    target = part.target
    is_key = not is_plain and "." not in target and target != "*"
    key = target if is_key else None
    if isinstance(part, PayloadList):
        build = _compile_list(env, part, models_known)
        _model, items = _compile_items(env, part, models_known[-1])

        def read_list(scope, around):
            return build(scope, around, items(around[-1]))

        return key, target, _NESTED, read_list, part.rules()[0].label
    label = part.rule.label
    if part.depth == 0:
        source = part.rule.rule._payload_source(env)
        return key, target, _FIXED, lambda scope, _around: source.read(scope), label
    try:
        read = _compile_leaf(env, models_known[part.depth], part)
    except ServiceError as error:
        error.where = label
        raise
    if part.depth == depth:
        return key, target, _OWN, read, label
    place = part.depth - 1

    def read_outer(scope, around):
        return read(around[place], scope.empty)

    return key, target, _FIXED, read_outer, label


def _compile_leaf(env, model_name, value):
    """A function `(item, empty) -> value` that reads the rest of a rule's path."""
    record, path = value.rule.rule, value.path
    value_map = record._payload_value_map()
    finish = Finish.of(record, value_map)
    if model_name is None:
        field = None
        read = _json_reader(path)
    else:
        if path:
            compile_field_path(env, model_name, path)  # valid, so its end is known
        if finish is not None:
            path, finish = finish.at(env, model_name, path)
        field = final_field(env, model_name, path or "id")
        read = compile_field_path(env, model_name, path or "id")
    if finish is not None:
        done = finish.compile(env, field, value.rule.path)
        return lambda item, empty: done(read(item), empty)
    if value_map:
        return lambda item, empty: value_map.apply(read(item, empty))
    return read


def _json_reader(path):
    return lambda item, empty=None: read_path(item, path)
