# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an endpoint's rules read from a response: conditions and values.

Conditions decide what happens to the delivery: the first that matches wins, without one
the table in `retry.py` holds. Values are taken from the response to be stored.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from .conditions import evaluate_condition
from .errors import ConfigurationError, Message, ServiceError, _lt
from .formats import OMITTED
from .headers import joined
from .paths import read_path
from .retry import RETRY_AFTER_MAX, parse_retry_after
from .values import storable_text

BODY_LIMIT = 1024 * 1024  # bytes that are read of a response if a rule reads its body
BODY_KINDS = frozenset({"body_path", "body"})
STATUSES_MAX = 50
EXTERNAL_ID_MAX = 255  # characters
DATA_MAX = 10_000  # characters of one value as JSON
ITEMS_MAX = 10_000  # values in a list or an object, with those inside of them
DEPTH_MAX = 100  # lists and objects inside each other
_SHOWN = 60
_DATA_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")

_STATUS = re.compile(r"([1-9][0-9]{2})(?:\s*-\s*([1-9][0-9]{2}))?")
_STATES = {"done": "done", "cancel": "canceled"}

_MATCHED = _lt('HTTP %(status)s: response condition "%(rule)s" matched.')
_MATCHED_NOTED = _lt('HTTP %(status)s: response condition "%(rule)s" matched. %(note)s')
_RULE_FAULT = _lt('Response condition "%(rule)s" could not be checked: %(problem)s')
_VALUE_FAULT = _lt('Response value "%(value)s" was not stored: %(problem)s')
_USED_UP = _lt("All %(attempts)s attempts are used up.")
_INCOMPLETE = _lt(
    "the response body is incomplete: it is longer than 1 MiB, or the connection "
    "ended early."
)
_NOT_JSON = _lt("the response body is not valid JSON.")
_NO_PATH = _lt('the response has nothing at "%(path)s".')
_NO_HEADER = _lt('the response has no header "%(path)s".')
_EMPTY = _lt("the response is empty.")
_TOO_LARGE = _lt(
    "the list or object has over %(items)s values or %(levels)s levels. Use a longer "
    "path, or Is Set."
)


class NoValue(ConfigurationError):
    """The response has no such value, since its body is empty or not JSON."""


def parse_statuses(text):
    """Pairs (first, last) of statuses written as `200,409,500-599`; () for any.

    Raises ConfigurationError naming the part that is not a status or range.
    """
    parts = [part.strip() for part in text.split(",")] if text and text.strip() else []
    if len(parts) > STATUSES_MAX:
        raise ConfigurationError(
            _lt("%(count)s statuses are too many. Use ranges, as in 400-499."),
            count=len(parts),
        )
    return tuple(map(_range, parts))


def _range(part):
    match = _STATUS.fullmatch(part)
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last:
            return first, last
    raise ConfigurationError(
        _lt(
            '"%(part)s" is not a valid HTTP status. Write statuses or ranges from 100 '
            'to 999, as in "200-299,409".'
        ),
        part=part,
    )


class ParsedResponse:
    """One response as rules read it; its body is parsed once, when it is needed.

    response: `HttpResponse` with a status
    """

    def __init__(self, response):
        self.response = response
        self._loaded = None

    def value_at(self, kind, expression):
        """The value at a source, None without one.

        kind: status, header, body_path or body
        expression: name of the header, or dotted path in the JSON body
        Raises ConfigurationError if the body is needed and incomplete, NoValue if it is
        needed as JSON and is something else.
        """
        if kind == "status":
            return self.response.status_code
        if kind == "header":
            wanted = expression.strip().lower()
            for name, value in joined(self.response.headers).items():
                if name.lower() == wanted:
                    return value
            return None
        if self.response.truncated or self.response.broken:
            raise ConfigurationError(_INCOMPLETE)
        if kind == "body":
            return self.response.text
        return read_path(self._json(), expression)

    def _json(self):
        if not self.response.body:
            raise NoValue(_EMPTY)
        if self._loaded is None:
            try:
                self._loaded = (json.loads(self.response.text),)
            except (ValueError, RecursionError):
                self._loaded = ()
        if not self._loaded:
            raise NoValue(_NOT_JSON)
        return self._loaded[0]


def _check_size(value):
    """Refuse a list or an object that takes too long to compare or to convert.

    The receiver decides what is in its response: a recursion error, or a minute for
    each of a hundred responses, would end the lane after its requests were sent.
    """
    count, inner = 0, [value]
    for _level in range(DEPTH_MAX + 1):
        inner = [each for each in inner if isinstance(each, list | dict)]
        if not inner:
            return
        count += sum(map(len, inner))
        if count > ITEMS_MAX:
            break
        inner = [
            item
            for each in inner
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    raise ConfigurationError(_TOO_LARGE, items=ITEMS_MAX, levels=DEPTH_MAX)


@dataclass(frozen=True)
class AnswerRule:
    """A condition on the response, and what happens to the delivery if it is met.

    name: shown on the delivery
    statuses: see `parse_statuses`
    kind, expression: see `ParsedResponse.value_at`; without a kind only the status is
        compared
    operator, expected: see `evaluate_condition`
    outcome: done, retry, dead_letter or cancel
    seconds: delay of a retry, None for that of the schedule
    note: the reason, for users
    fault: why it can't be checked, None if it can
    """

    name: str
    statuses: tuple[tuple[int, int], ...]
    outcome: str
    kind: str = ""
    expression: str = ""
    operator: str = "equals"
    expected: str = ""
    seconds: float | None = None
    note: str = ""
    fault: ServiceError | None = None

    def matches(self, parsed):
        """Whether the response meets the condition.

        A body that is not valid JSON has no value at any path. Raises
        ConfigurationError if that can't be known.
        """
        if self.fault:
            raise self.fault
        status = parsed.response.status_code
        if self.statuses and not any(
            first <= status <= last for first, last in self.statuses
        ):
            return False
        if not self.kind:
            return True
        try:
            actual = parsed.value_at(self.kind, self.expression)
        except NoValue:
            actual = None
        if self.operator not in ("is_set", "not_set"):
            _check_size(actual)
        return evaluate_condition(actual, self.operator, self.expected)


def judge(rules, parsed, decision, *, schedule, retry_number, jitter_factor, now):
    """The RetryDecision of the first rule that matches, else `decision`.

    decision: that of the table, see `retry.decide_retry`; further arguments as there
    :return: the decision and messages: which rule matched, which can't be checked
    """
    notes = []
    for rule in rules:
        try:
            is_met = rule.matches(parsed)
        except ServiceError as error:
            values = {"rule": rule.name, "problem": error.message}
            notes.append(Message(_RULE_FAULT, values))
            continue
        if not is_met:
            continue
        said = _said(rule, parsed.response.status_code)
        if rule.outcome in ("done", "cancel"):
            return _ended(rule, decision), [*notes, said]
        delay = None
        if rule.outcome == "retry":
            header = parsed.response.header("Retry-After")
            delay = _delay(
                rule,
                schedule.next_delay(retry_number, jitter_factor=jitter_factor),
                parse_retry_after(header, now=now),
            )
        return _failed(rule, decision, said, delay, schedule), notes
    return decision, notes


def _said(rule, status):
    values = {"rule": rule.name, "status": status, "note": rule.note}
    return Message(_MATCHED_NOTED if rule.note else _MATCHED, values)


def _delay(rule, planned, wait):
    """Seconds until the retry, None if the schedule has no retry left."""
    if planned is None:
        return None
    planned = planned if rule.seconds is None else rule.seconds
    return max(planned, min(wait, RETRY_AFTER_MAX))


def _ended(rule, before):
    """Done or canceled: a target that responds as expected works."""
    state = _STATES[rule.outcome]
    return replace(
        before,
        state=state,
        attempt_state=state,
        delay=None,
        failure_reason="",
        error=None,
        note=_on_body(before),
        circuit="success",
    )


def _failed(rule, before, said, delay, schedule):
    """Retried, or dead-lettered."""
    state = "dead_letter" if delay is None else "error"
    note = _on_body(before)
    if rule.outcome == "retry" and delay is None and schedule.delays:
        note = Message(_USED_UP, {"attempts": schedule.attempts})
    return replace(
        before,
        state=state,
        attempt_state=state,
        delay=delay,
        failure_reason=before.failure_reason or "answer",
        error=said,
        note=note,
        # A 410 that a rule expects concerns this request only.
        circuit="failure" if before.circuit == "failure" else "ignore",
    )


def _on_body(before):
    """The note of the table on an incomplete body; others concern its decision."""
    return before.note if before.state == "done" else None


@dataclass(frozen=True)
class AnswerValue:
    """One value that is taken from a response, and where it is stored.

    label: shown on the delivery
    when: done, or any for every response
    kind, expression: see `ParsedResponse.value_at`
    finish: `(value, empty) -> value`, see `formats.compile_finish`; raises for a value
        that is missing if that is to be noted
    target: what the caller stores it by: a mapping that JSON can represent
    """

    label: str
    when: str
    kind: str
    expression: str
    finish: Callable
    target: dict

    def take(self, parsed, *, is_known=False):
        """The value; `OMITTED` if it is missing and the target stays as it is.

        is_known: the record has an external id, so that the response needs none
        Raises ConfigurationError for one that is missing or has no such format.
        """
        missing = None
        try:
            value = parsed.value_at(self.kind, self.expression)
        except NoValue as error:
            value, missing = None, error
        _check_size(value)
        if value is None and is_known and self.target["kind"] == "external_id":
            return OMITTED
        try:
            return self.finish(value, None)
        except ConfigurationError as error:
            if value is None and self.kind in _MISSING:
                values = {"path": self.expression}
                raise missing or NoValue(_MISSING[self.kind], **values) from error
            raise


_MISSING = {"header": _NO_HEADER, "body_path": _NO_PATH}


def as_external_id(value):
    """The id of a record at the receiver, as text; raises ConfigurationError."""
    if value is OMITTED:
        return value
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    text = storable_text(str(value)).strip() if is_id else ""
    if not 0 < len(text) <= EXTERNAL_ID_MAX:
        raise ConfigurationError(
            _lt(
                "%(value)s is not a valid external ID. It is a text or an integer of "
                "up to %(most)s characters."
            ),
            value=ascii(value)[:_SHOWN],
            most=EXTERNAL_ID_MAX,
        )
    return text


def as_external_data(key, value):
    """A value stored with a reference; raises ConfigurationError for key or value."""
    if not _DATA_KEY.fullmatch(key):
        raise ConfigurationError(
            _lt(
                'key "%(key)s" is not valid. Use letters, digits, _ and -, as in '
                "{external.order_url}."
            ),
            key=key,
        )
    if value is not OMITTED and len(json.dumps(value)) > DATA_MAX:
        raise ConfigurationError(
            _lt(
                "the value is too long for external data: over %(most)s characters. "
                "Choose a shorter one."
            ),
            most=DATA_MAX,
        )
    return value


@dataclass(frozen=True)
class TakenValues:
    """What was taken from one response.

    values: pairs of target and value, of JSON types
    faults: messages on values that could not be taken
    """

    values: tuple = ()
    faults: tuple = ()

    def __bool__(self):
        return bool(self.values or self.faults)


def take_values(values, parsed, state, *, is_known=False):
    """The `TakenValues` of a response after which the delivery is in `state`.

    is_known: whether the record has an external id already
    """
    taken, faults = [], []
    for each in values:
        if each.when == "done" and state != "done":
            continue
        try:
            value = each.take(parsed, is_known=is_known)
        except ServiceError as error:
            said = {"value": each.label, "problem": error.message}
            faults.append(Message(_VALUE_FAULT, said))
            continue
        if value is not OMITTED:
            taken.append((each.target, value))
    return TakenValues(tuple(taken), tuple(faults))


@dataclass(frozen=True)
class AnswerSnapshot:
    """The rules of one endpoint on responses; empty without any."""

    rules: tuple[AnswerRule, ...] = ()
    values: tuple[AnswerValue, ...] = ()

    @property
    def body_limit(self):
        """Bytes to read of a response body; None for the usual limit."""
        kinds = {each.kind for each in (*self.rules, *self.values)}
        return BODY_LIMIT if kinds & BODY_KINDS else None
