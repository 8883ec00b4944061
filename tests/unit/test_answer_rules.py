# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
from datetime import datetime

import pytest

from services.answer_rules import (
    AnswerRule,
    AnswerSnapshot,
    AnswerValue,
    ParsedResponse,
    as_external_data,
    as_external_id,
    judge,
    parse_statuses,
    take_values,
)
from services.errors import ConfigurationError
from services.formats import OMITTED, compile_finish
from services.http.response import HttpResponse
from services.retry import RetrySchedule, StatusSet, decide_retry

NOW = datetime(2026, 11, 24, 10)
SCHEDULE = RetrySchedule.parse("5s,5m")


def response(status, body=b"", headers=(), **values):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return HttpResponse(status, tuple(headers), body, **values)


def rule(
    outcome, statuses="", kind="", path="", operator="equals", expected="", **more
):
    return AnswerRule(
        name=more.pop("name", outcome),
        statuses=parse_statuses(statuses),
        outcome=outcome,
        kind=kind,
        expression=path,
        operator=operator,
        expected=expected,
        **more,
    )


def decide(received, *rules, retry_number=0, schedule=SCHEDULE):
    """The decision, and the messages beside it."""
    policy = {
        "schedule": schedule,
        "retry_number": retry_number,
        "jitter_factor": 0.0,
        "now": NOW,
    }
    table = decide_retry(received, retry_on=StatusSet.parse("429,500-599"), **policy)
    decision, notes = judge(rules, ParsedResponse(received), table, **policy)
    return decision, [str(note) for note in notes]


def test_without_a_match_the_table_holds():
    """Rules that don't match change nothing: a typo must not stop deliveries."""
    table, _notes = decide(response(503))

    assert decide(response(503), rule("done", "409")) == (table, [])


@pytest.mark.parametrize(
    ("received", "matching"),
    [
        (response(409), rule("done", "404, 409")),
        (response(422), rule("done", "400-499")),
        (
            response(200, {"ok": False}),
            rule("done", "", "body_path", "ok", "equals", "false"),
        ),
        (
            response(200, {"errors": [{"message": "x"}]}),
            rule("done", "200-299", "body_path", "errors", "is_set"),
        ),
        (
            response(200, {"a": {"b": 7}}),
            rule("done", "", "body_path", "a.b", "greater", "6"),
        ),
        (
            response(200, b"OK: queued"),
            rule("done", "", "body", "", "starts_with", "OK"),
        ),
        (
            response(200, b"", [("X-State", "done")]),
            rule("done", "", "header", "x-state", "equals", "done"),
        ),
        (response(200, {}), rule("done", "", "body_path", "errors", "not_set")),
        (
            response(200, b"<html>"),
            rule("done", "", "body_path", "ok", "not_equals", "true"),
        ),
    ],
)
def test_conditions(received, matching):
    """Status, header, path and text; a body that isn't JSON has no value at a path."""
    assert matching.matches(ParsedResponse(received))


@pytest.mark.parametrize(
    ("received", "other"),
    [
        (response(410), rule("done", "409")),
        (
            response(500, {"ok": False}),
            rule("done", "200", "body_path", "ok", "equals", "false"),
        ),
        (
            response(200, {"errors": []}),
            rule("done", "", "body_path", "errors", "is_set"),
        ),
        (response(200, b""), rule("done", "", "header", "X-State", "is_set")),
    ],
)
def test_conditions_that_are_not_met(received, other):
    """The status and the other comparison must both hold."""
    assert not other.matches(ParsedResponse(received))


def test_first_match_wins():
    """Later rules are not evaluated."""
    decision, notes = decide(
        response(409), rule("cancel", "409", name="known"), rule("dead_letter", "409")
    )

    assert ("canceled", "canceled") == (decision.state, decision.attempt_state)
    assert ['HTTP 409: response condition "known" matched.'] == notes


def test_done_closes_the_circuit_and_has_no_error():
    """409 for a record that already exists is a success of the target."""
    decision, _notes = decide(response(409), rule("done", "409"))

    assert ("done", "", None, "success") == (
        decision.state,
        decision.failure_reason,
        decision.error,
        decision.circuit,
    )


def test_retry_on_the_schedule_or_after_seconds():
    """A retry takes the delay of the schedule unless seconds are given."""
    received = response(200, {"ok": False, "error": "ratelimited"})
    limited = ("", "body_path", "error", "equals", "ratelimited")

    on_schedule, _ = decide(received, rule("retry", *limited))
    after, _ = decide(received, rule("retry", *limited, seconds=60))

    assert ("error", 5.0, "answer") == (
        on_schedule.state,
        on_schedule.delay,
        on_schedule.failure_reason,
    )
    assert 60 == after.delay
    assert 'condition "retry" matched' in str(after.error)


def test_retry_after_of_the_receiver_is_obeyed():
    """A longer Retry-After replaces the delay, as for statuses of the table."""
    received = response(200, b"", [("Retry-After", "120")])

    decision, _notes = decide(received, rule("retry", "200", seconds=60))

    assert 120 == decision.delay


def test_retries_end():
    """Without a delay left it is a dead letter: nothing is retried for ever."""
    decision, _notes = decide(response(200), rule("retry", "200"), retry_number=2)

    assert ("dead_letter", None) == (decision.state, decision.delay)
    assert "attempts are used up" in str(decision.note)


def test_gone_that_a_rule_expects_stops_no_endpoint():
    """410 on a DELETE concerns one record: the endpoint keeps sending."""
    assert "open" == decide(response(410))[0].circuit
    assert "success" == decide(response(410), rule("done", "410"))[0].circuit
    assert "ignore" == decide(response(410), rule("dead_letter", "410"))[0].circuit


def test_a_server_error_stays_a_failure_for_the_circuit():
    """A rule that dead-letters 500 must not hide that the target fails."""
    assert "failure" == decide(response(500), rule("dead_letter", "500"))[0].circuit


@pytest.mark.parametrize("mark", ["truncated", "broken"])
def test_an_incomplete_body(mark):
    """It can't be compared: the rule is skipped and named, the status decides."""
    received = response(200, b'{"ok": fal', **{mark: True})

    decision, [note] = decide(
        received, rule("dead_letter", "", "body_path", "ok", "equals", "false")
    )

    assert "done" == decision.state
    assert "incomplete" in note


def test_a_pattern_on_a_long_text_is_named():
    """A regular expression is not run over a text of any length."""
    received = response(200, b"x" * 20_000)

    decision, [note] = decide(received, rule("done", "", "body", "", "matches", "y"))

    assert "done" == decision.state
    assert "too long" in note


@pytest.mark.parametrize("text", ["abc", "99", "1000", "409-400", "200;201", "2xx"])
def test_invalid_statuses(text):
    """The part that is wrong is quoted."""
    with pytest.raises(ConfigurationError) as caught:
        parse_statuses(text)

    assert text in str(caught.value)


# Values


def value(kind="body_path", path="id", if_empty="error", when="done", target="field"):
    return AnswerValue(
        label="remote id",
        when=when,
        kind=kind,
        expression=path,
        finish=compile_finish(None, if_empty),
        target={"kind": target},
    )


def taken(received, *values, state="done", **options):
    found = take_values(values, ParsedResponse(received), state, **options)
    return [each for _target, each in found.values], [str(f) for f in found.faults]


def test_each_source_of_a_value():
    """Status, header without regard to case, path of any depth, whole body."""
    received = response(
        201, {"order": {"ids": ["R-77"]}}, [("Location", "/orders/R-77")]
    )

    values, faults = taken(
        received,
        value("status", ""),
        value("header", "location"),
        value("body_path", "order.ids.0"),
        value("body", ""),
    )

    assert [201, "/orders/R-77", "R-77", received.body.decode()] == values
    assert [] == faults


def test_only_responses_that_are_done():
    """A value of a refused request is stored only if every response counts."""
    refused = response(422, {"id": "R-77"})

    values = taken(refused, value(), value(when="any"), state="dead_letter")

    assert (["R-77"], []) == values


@pytest.mark.parametrize(
    ("received", "words"),
    [
        (response(200, {"a": 1}), 'nothing at "id"'),
        (response(200, {"id": None}), 'nothing at "id"'),
        (response(200, b"<html>"), "not valid JSON"),
        (response(204, b""), "is empty"),
        (response(200, b'{"id": "R', truncated=True), "incomplete"),
    ],
)
def test_a_missing_value_is_reported(received, words):
    """The delivery stays done; the message says which value and why."""
    values, [fault] = taken(received, value())

    assert [] == values
    assert 'Response value "remote id" was not stored' in fault
    assert words in fault


def test_what_a_missing_value_becomes():
    """Left as it is, or emptied, without a message."""
    received = response(204)

    assert ([], []) == taken(received, value(if_empty="omit"))
    assert ([None], []) == taken(received, value(if_empty="null"))


def _inside(depth):
    return b'{"data": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    "body",
    [
        *(_inside(depth) for depth in (101, 500, 900)),
        b'{"data": [' + b"1," * 500_000 + b"1]}",
    ],
)
def test_a_large_list_ends_no_lane(body):
    """A response nested deeply, or with many values, is named by rules that read it.

    A recursion error ended the lane after its requests were sent, so that they were
    sent again; a list of 500,000 values took seconds for each condition.
    """
    received = response(200, body)
    for operator in ("equals", "contains", "in", "matches", "greater"):
        _decision, notes = decide(
            received, rule("done", "", "body_path", "data", operator, "7")
        )
        assert "values or" in notes[0]
    decision, notes = decide(
        received, rule("cancel", "", "body_path", "data", "is_set")
    )
    assert ("canceled", 1) == (decision.state, len(notes))
    for target in ("field", "external_id", "external_data"):
        values, faults = taken(received, value(path="data", target=target))
        assert ([], 1) == (values, len(faults))


def test_a_list_as_receivers_have_it_is_compared():
    """What fits into the limits has its conditions and values."""
    for body in (b'{"data": [' + b"1," * 9_000 + b"7]}", _inside(99)):
        assert taken(response(200, body), value(path="data"))[0]
    assert (
        "done"
        == decide(
            response(200, body), rule("done", "", "body_path", "data", "not_in", "7")
        )[0].state
    )


def test_an_update_needs_no_external_id():
    """A record that has one gets no message for each update that returns none."""
    received = response(204)

    assert ([], []) == taken(received, value(target="external_id"), is_known=True)
    assert 1 == len(taken(received, value(target="external_id"))[1])


def test_external_ids():
    """Texts and integers are ids; what no receiver means by one is refused."""
    assert ["R-77", "77"] == [as_external_id("R-77"), as_external_id(77)]
    assert as_external_id(OMITTED) is OMITTED
    for bad in (None, True, "", " ", {"id": 1}, ["R"], "x" * 256, 1.5):
        with pytest.raises(ConfigurationError):
            as_external_id(bad)


def test_external_data():
    """Keys fit into {external.key}; a value has a limit."""
    assert {"a": 1} == as_external_data("order-url", {"a": 1})
    for key, bad in (("a.b", 1), ("", 1), ("a b", 1), ("a", "x" * 10_001)):
        with pytest.raises(ConfigurationError):
            as_external_data(key, bad)


def test_how_much_of_a_body_is_read():
    """A megabyte only where a rule reads the body."""
    assert AnswerSnapshot((rule("done", "409"),), ()).body_limit is None
    assert AnswerSnapshot((), (value("header", "X"),)).body_limit is None
    assert 1024 * 1024 == AnswerSnapshot((), (value(),)).body_limit
    assert 1024 * 1024 == AnswerSnapshot((rule("done", "", "body"),), ()).body_limit
