# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Properties that hold for any input: no exception but the documented ones."""

import json
import re
from datetime import datetime
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from services.conditions import OPERATORS, evaluate_condition
from services.errors import ConfigurationError, PayloadError, ServiceError
from services.outcome import STATUSES, HandlerOutcome
from services.paths import read_path, write_path
from services.request import OutboundRequest
from services.retry import RETRY_AFTER_MAX, parse_retry_after
from services.template import render_literal, render_path, render_text, tokens
from services.values import (
    decode_literal_value,
    dumps_payload,
    json_serialize_value,
    serialize_payload,
    to_json_value,
)

names = st.from_regex(r"[a-z_][a-z0-9_]{0,4}", fullmatch=True)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
jsons = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=8,
)
anything = st.recursive(
    leaves | st.binary(max_size=4) | st.floats() | st.dates() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(leaves | st.text(), inner, max_size=3)
        | st.frozensets(st.integers(), max_size=2)
    ),
    max_leaves=8,
)
parts = st.lists(names | st.integers(0, 3).map(str), min_size=1, max_size=4)
REQUEST = OutboundRequest("https://a.example/", "post", "json", {}, {})


@given(jsons, parts.map(".".join), jsons)
def test_what_was_written_is_read_back(data, path, value):
    """Write then read returns the value, or the write says why it can't."""
    try:
        written = write_path(data, path, value)
    except ConfigurationError as error:
        assert path in str(error)
    else:
        assert value == read_path(written, path)


@given(jsons, st.text(alphabet="ab.*01 ", max_size=10))
def test_any_path_is_read_or_refused(data, path):
    """No path but a malformed one raises, and only the documented error."""
    try:
        read_path(data, path)
    except ConfigurationError as error:
        assert "empty part" in str(error)


@given(parts.map(".".join), jsons)
def test_an_empty_payload_takes_any_path(path, value):
    """From nothing every path can be made, unless it skips a list's beginning."""
    try:
        written = write_path(None, path, value)
    except ConfigurationError:
        assert "0" in path
    else:
        assert value == read_path(written, path)


@given(st.text())
def test_doubled_braces_render_to_the_text(text):
    """Any text can be sent literally by doubling its braces."""
    escaped = text.replace("{", "{{").replace("}", "}}")

    assert () == tokens(escaped)
    assert text == render_text(escaped, {})
    assert text == render_path(escaped, {})


@given(st.text(), st.dictionaries(names, leaves))
def test_any_template_renders_or_is_refused(text, values):
    """A template renders or raises the documented error, in every place."""
    for render in (render_text, render_path, render_literal):
        try:
            render(text, values)
        except ConfigurationError:
            assert tokens(text)


@given(st.text(min_size=1) | st.integers() | st.floats(allow_nan=False))
def test_a_path_value_stays_in_its_segment(value):
    """No value changes the number of segments, starts a query or leaves ASCII."""
    try:
        rendered = render_path("/a/{v}/b?c={v}&d=1", {"v": value})
    except ServiceError:
        return
    match = re.fullmatch(r"/a/([A-Za-z0-9._~%-]+)/b\?c=\1&d=1", rendered)
    assert match
    if isinstance(value, str):
        assert value == unquote(match[1])


@given(names, leaves.filter(lambda value: value not in (None, False, "")))
def test_a_lone_token_keeps_the_value(name, value):
    """A literal that is one token is the value itself."""
    assert render_literal("{%s}" % name, {name: value}) is value


@given(
    anything
    | st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(STATUSES) | anything,
            "seconds": anything,
            "note": anything,
            "matched_rule_id": anything,
            "headers": anything,
            "payload": anything,
            "files": anything,
            "http_method": anything,
            "request_body_mode": anything,
            "target_url": anything,
        },
    )
)
def test_any_result_is_an_outcome_or_refused(raw):
    """Whatever a handler returns is a known decision or the documented error."""
    try:
        outcome = HandlerOutcome.from_raw(raw, REQUEST)
    except (ConfigurationError, PayloadError):
        return
    assert outcome.status in STATUSES
    assert isinstance(outcome.note, str)
    assert all(
        isinstance(text, str)
        for item in outcome.request.headers.items()
        for text in item
    )
    json.dumps(outcome.request.payload, allow_nan=False)


@given(anything)
def test_any_value_becomes_json_or_is_refused(value):
    """The result is JSON for certain, converting it again changes nothing."""
    try:
        converted = to_json_value(value)
    except PayloadError as error:
        assert error.values["path"]
        return
    assert converted == json.loads(json.dumps(converted, allow_nan=False))
    assert converted == to_json_value(converted)


@given(jsons)
def test_json_texts_read_back(value):
    """Every text form of a JSON value is that value when read."""
    assert value == json.loads(dumps_payload(value))
    assert value == json.loads(serialize_payload(value))
    if not isinstance(value, str):
        assert value == decode_literal_value(json_serialize_value(value))


@given(st.text())
def test_any_literal_is_decoded(text):
    """Decoding never fails and returns JSON that can be sent."""
    dumps_payload(decode_literal_value(text))


@given(leaves | st.lists(leaves), st.sampled_from(OPERATORS), st.text() | leaves)
def test_any_condition_has_a_result(actual, operator, expected):
    """A condition is true or false, or its pattern is refused."""
    try:
        assert evaluate_condition(actual, operator, expected) in (True, False)
    except ConfigurationError:
        assert "matches" == operator


@given(st.text() | st.none())
def test_any_retry_after_is_a_wait(value):
    """Whatever a receiver writes, the wait is between none and a day."""
    wait = parse_retry_after(value, now=datetime(2024, 5, 1))

    assert 0 <= wait <= RETRY_AFTER_MAX
