# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which payload rules build one list together, and from which relation.

`*` in a target pairs with `*` in the source, from left to right: `lines.*.sku` from
`order_line.*.product_id.code`, beside `lines.*.qty` from `order_line.*.quantity`.
"""

from dataclasses import dataclass

from .errors import ConfigurationError, ServiceError, _lt

LIST = "list"
# Sources whose expression is a path that may contain `*`.
PATH_KINDS = frozenset(
    "record_field partner_field company_field endpoint_field delivery_field "
    "context_key request_field".split()
)
_RECORD = "record_field"


@dataclass(frozen=True)
class RuleOfPayload:
    """What is needed to know of a rule: where its value goes and where it is from.

    target: dotted path in the payload; empty is the whole payload
    kind, path: of the source
    label: how errors name the rule
    rule: what the caller knows it by
    """

    target: str
    kind: str
    path: str
    label: str
    rule: object


@dataclass(frozen=True)
class Value:
    """One value. `path` is read from an item of the list at `depth`.

    depth: 0 if the whole source of the rule is read; else the number of lists around
        the item from which `path` continues
    """

    target: str
    rule: RuleOfPayload
    depth: int = 0
    path: str = ""


@dataclass(frozen=True)
class PayloadList:
    """A list that rules build, at `target`; its values have targets inside an item.

    kind, path: the relation; the path continues from the item of the list around
    source: the rule of kind `list` that selects records of the relation, or None
    fault: why it can't be built, or None
    """

    target: str
    kind: str
    path: str
    depth: int
    values: tuple = ()
    source: RuleOfPayload | None = None
    fault: ServiceError | None = None

    def rules(self):
        """All rules below it, in their order."""
        found = [self.source] if self.source else []
        for each in self.values:
            found += each.rules() if isinstance(each, PayloadList) else [each.rule]
        return found


@dataclass
class _Entry:
    """A rule on its way down: what is left of target and source."""

    rule: RuleOfPayload
    target: tuple
    source: tuple | None  # None: read as a whole, the same for each item
    depth: int = 0
    is_list: bool = False


def group_rules(rules, *, must_pair=False):
    """Rules in their order, as `Value`s and `PayloadList`s.

    A list is at the place of its first rule. A target with `*` whose rules read no
    relation stays a value: it is written into each item that the payload has.
    :param must_pair: that is an error, since no list exists to write into
    """
    entries = []
    for rule in rules:
        target = tuple(_parts(rule.target))
        source = tuple(_parts(rule.path)) if rule.kind in PATH_KINDS else None
        if rule.kind == LIST:
            entry = _Entry(
                rule, (*target, "*"), (*_parts(rule.path), "*"), is_list=True
            )
        else:
            entry = _Entry(rule, target, source)
        entries.append(entry)
    return _grouped(entries, 0, must_pair)


def check_lists(rules, *, must_pair=False):
    """Raise ConfigurationError if rules below one `*` don't fit together."""
    _raise_faults(group_rules(rules, must_pair=must_pair))


def _raise_faults(grouped):
    for each in grouped:
        if isinstance(each, PayloadList):
            if each.fault is not None:
                raise each.fault
            _raise_faults(each.values)


def _parts(path):
    path = (path or "").strip()
    return path.split(".") if path else []


def _grouped(entries, depth, must_pair):
    groups, found = {}, []  # a group is a list of entries, at the place of its first
    for entry in entries:
        if "*" not in entry.target:
            found.append(_value(entry))
            continue
        prefix = _prefix(entry)
        if prefix not in groups:
            groups[prefix] = []
            found.append(groups[prefix])
        groups[prefix].append(entry)
    result = []
    for each in found:
        is_group = isinstance(each, list)
        result += _of_group(each, depth, must_pair) if is_group else [each]
    return result


def _prefix(entry):
    return entry.target[: entry.target.index("*")]


def _value(entry):
    source = entry.source or ()
    path = ".".join(source) if entry.depth else ""
    return Value(".".join(entry.target), entry.rule, entry.depth, path)


def _of_group(entries, depth, must_pair):
    """One list, or values if no rule reads a relation."""
    prefix = _prefix(entries[0])
    target = ".".join(prefix)
    first = next((entry for entry in entries if _pairs(entry, depth)), None)
    lost = next((e for e in entries if e.is_list and not _pairs(e, depth)), None)
    if lost is not None:
        fault = _unpaired(lost)
    elif first is None and must_pair:
        fault = _without_source(target)
    elif first is None:
        return [_value(entry) for entry in entries]
    else:
        return [_list(entries, first, target, depth, must_pair)]
    return [PayloadList(target, "", "", depth, fault=fault)]


def _list(entries, first, target, depth, must_pair):
    kind, path = _relation(first, depth)
    inner, source, fault = [], None, None
    for entry in entries:
        rest = entry.target[entry.target.index("*") + 1 :]
        if not _pairs(entry, depth):
            inner.append(_Entry(entry.rule, rest, entry.source, entry.depth))
            continue
        if _relation(entry, depth) != (kind, path):
            fault = fault or _conflict(target, first, entry, depth)
            continue
        if entry.is_list and not rest:
            if source is not None:
                fault = fault or _two_lists(target, source, entry.rule)
            source = entry.rule
            continue
        after = entry.source[entry.source.index("*") + 1 :]
        inner.append(_Entry(entry.rule, rest, after, depth + 1, entry.is_list))
    values = tuple(_grouped(inner, depth + 1, must_pair))
    if source is not None and not values:  # the records themselves
        values = (Value("", source, depth + 1, ""),)
    return PayloadList(target, kind, path, depth, values, source, fault)


def _pairs(entry, depth):
    return entry.depth == depth and entry.source is not None and "*" in entry.source


def _relation(entry, depth):
    """(kind, path before the `*`); below a list, every path continues from its item."""
    path = ".".join(entry.source[: entry.source.index("*")])
    kind = _RECORD if entry.is_list or depth else entry.rule.kind
    return kind, path


def _without_source(target):
    return ConfigurationError(
        _lt(
            '"%(target)s" is a list without a source: no rule below it reads one. '
            "Write * into the path of one of them, as in order_line.*.name, or add a "
            'rule of kind List of Records for "%(list)s".'
        ),
        target=f"{target}.*" if target else "*",
        list=target,
    )


def _unpaired(entry):
    return ConfigurationError(
        _lt(
            'the path "%(path)s" of the list "%(target)s" has too few *. Write one for '
            "each * of the target, as in child_ids.*.bank_ids."
        ),
        path=entry.rule.path,
        target=entry.rule.target,
    )


def _conflict(target, first, entry, depth):
    return ConfigurationError(
        _lt(
            'the list "%(target)s" can\'t be read from two places: %(first)s reads '
            '"%(first_path)s", %(other)s reads "%(other_path)s". Read the same '
            "relation in both, or write to another list."
        ),
        target=target,
        first=first.rule.label,
        first_path=_shown(first.rule),
        other=entry.rule.label,
        other_path=_shown(entry.rule),
    )


def _shown(rule):
    return rule.path + (".*" if rule.kind == LIST else "")


def _two_lists(target, first, other):
    return ConfigurationError(
        _lt(
            'the list "%(target)s" has two rules of kind List of Records: %(first)s '
            "and %(other)s. Keep one."
        ),
        target=target,
        first=first.label,
        other=other.label,
    )


def rule_of(path, rules):
    """The rule that wrote the value at a path of the payload; None if none did.

    :param path: keys and indexes from the outside in, as texts
    :param rules: `RuleOfPayload`s in their order; the last that matches wrote it,
        one of kind `list` if no other did
    """
    selected = None
    for rule in reversed(rules):
        parts = _parts(rule.target)
        if len(parts) > len(path):
            continue
        if all(part in ("*", key) for part, key in zip(parts, path, strict=False)):
            if rule.kind != LIST:
                return rule
            selected = selected or rule
    return selected


def leaves(value, path=()):
    """The values inside a payload, as pairs (path, value); empty lists are values."""
    if not value or not isinstance(value, dict | list):
        yield path, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from leaves(item, (*path, str(key)))
