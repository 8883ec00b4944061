# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A request can be read and encoded, and not changed, at any depth."""

import copy
import json
import pickle
from dataclasses import replace

import pytest

from services.frozen import (
    FrozenDict,
    FrozenList,
    ImmutableRequestError,
    freeze,
)
from services.http.encoding import encode
from services.jsonable import to_json_value
from services.request import OutboundRequest
from services.transport import build_transport_kwargs

PAYLOAD = {"order": {"lines": [{"sku": "A", "tags": ["x"]}]}, "total": 1.5, "no": None}

DICT_WRITES = {
    "item": lambda value: value.__setitem__("new", 1),
    "del": lambda value: value.__delitem__(next(iter(value))),
    "update": lambda value: value.update(new=1),
    "|=": lambda value: value.__ior__({"new": 1}),
    "setdefault": lambda value: value.setdefault("new", 1),
    "pop": lambda value: value.pop(next(iter(value))),
    "popitem": lambda value: value.popitem(),
    "clear": lambda value: value.clear(),
}
LIST_WRITES = {
    "item": lambda value: value.__setitem__(0, 1),
    "slice": lambda value: value.__setitem__(slice(None), []),
    "del": lambda value: value.__delitem__(0),
    "append": lambda value: value.append(1),
    "extend": lambda value: value.extend([1]),
    "+=": lambda value: value.__iadd__([1]),
    "*=": lambda value: value.__imul__(2),
    "insert": lambda value: value.insert(0, 1),
    "pop": lambda value: value.pop(),
    "remove": lambda value: value.remove(value[0]),
    "clear": lambda value: value.clear(),
    "sort": lambda value: value.sort(key=str),
    "reverse": lambda value: value.reverse(),
}


def request(payload=None, **values):
    return OutboundRequest(
        "https://example.com/",
        "post",
        values.pop("mode", "json"),
        {"X-Shop": "1"},
        copy.deepcopy(PAYLOAD) if payload is None else payload,
        **values,
    )


def assert_refused(write, value, label):
    before = json.dumps(value)
    with pytest.raises(ImmutableRequestError) as caught:
        write(value)
    assert isinstance(caught.value, TypeError), label
    assert "with_overrides" in str(caught.value), label
    assert before == json.dumps(value), label


def test_every_write_is_refused_at_every_depth():
    """No write gets through, each names with_overrides.

    Else a handler's change is sent on one attempt and lost, silently, where
    the engine had read the value before.
    """
    files = {"doc": {"filename": "a.txt", "content": b"x"}}
    original = request(mode="multipart", files=files)
    payload = original.payload
    dicts = {
        "headers": original.headers,
        "payload": payload,
        "payload.order": payload["order"],
        "payload.order.lines.0": payload["order"]["lines"][0],
    }
    lists = {
        "lines": payload["order"]["lines"],
        "tags": payload["order"]["lines"][0]["tags"],
    }

    for label, value in dicts.items():
        for name, write in DICT_WRITES.items():
            assert_refused(write, value, f"{label} {name}")
    for label, value in lists.items():
        for name, write in LIST_WRITES.items():
            assert_refused(write, value, f"{label} {name}")
    for value in (original.files, original.files["doc"]):
        with pytest.raises(ImmutableRequestError):
            value["content"] = b""
    assert PAYLOAD == original.payload


def test_every_writing_method_of_python_is_covered():
    """What a newer Python adds to dict or list is inherited by name, so seen here.

    All methods that exist are either refused or known to only read.
    """
    reads = {
        FrozenDict: "copy fromkeys get items keys values".split(),
        FrozenList: "copy count index".split(),
    }

    for kind, names in reads.items():
        base = kind.__mro__[2]
        public = {name for name in dir(base) if not name.startswith("_")}
        assert public - set(names) == public & set(vars(kind))


def test_a_new_request_has_the_change():
    """with_overrides makes another request and leaves the first one as it was."""
    first = request()

    second = first.with_overrides(
        {
            "payload": {**first.payload, "note": "x"},
            "headers": {**first.headers, "X-Note": "1"},
        }
    )

    assert {**PAYLOAD, "note": "x"} == second.payload
    assert {"X-Shop": "1", "X-Note": "1"} == second.headers
    assert PAYLOAD == first.payload
    with pytest.raises(ImmutableRequestError):
        second.payload["order"]["lines"].append(1)


def test_copies_are_plain_and_free():
    """copy, deepcopy, .copy() and pickle return plain values, free at each depth."""
    copies = (
        copy.copy,
        copy.deepcopy,
        lambda value: value.copy(),
        lambda value: pickle.loads(pickle.dumps(value)),
    )

    for make in copies:
        original = request()
        payload = make(original.payload)
        payload["order"]["lines"][0]["tags"].append("y")
        lines = make(original.payload["order"]["lines"])
        lines.append(1)
        assert dict is type(payload)
        assert list is type(lines)
        assert PAYLOAD == original.payload


def test_other_ways_to_build_on_it():
    """Union, sum and slice return plain values, as with any dict and list."""
    original = request()

    assert {"X-Shop": "1", "a": "2"} == original.headers | {"a": "2"}
    lines = original.payload["order"]["lines"]
    assert [1, *PAYLOAD["order"]["lines"]] == [1] + lines
    assert list is type(original.payload["order"]["lines"][:])


def test_copied_requests_are_immutable_too():
    """replace, deep_copy, from_dict and a copied request refuse writes."""
    original = request()
    made = [
        replace(original, http_method="put"),
        original.replaced(http_method="put"),
        original.deep_copy(),
        OutboundRequest.from_dict(original.to_dict()),
        copy.deepcopy(original),
    ]

    for each in made:
        with pytest.raises(ImmutableRequestError):
            each.payload["order"]["lines"][0]["sku"] = "B"
        assert PAYLOAD == each.payload


def test_same_bytes_in_every_body_mode():
    """What was read, and frozen by it, is encoded as before."""
    for mode in ("json", "form_urlencoded", "multipart"):
        plain, read = request(mode=mode), request(mode=mode)
        assert plain.headers == read.headers
        assert PAYLOAD == read.payload
        kwargs = [build_transport_kwargs(each) for each in (plain, read)]
        assert kwargs[0] == kwargs[1]
    plain = encode(build_transport_kwargs(request()))
    assert plain.body == encode(kwargs_of_read()).body


def test_what_nobody_reads_is_not_frozen():
    """Encoding leaves the payload plain: a delivery without a handler pays nothing."""
    original = request()

    encode(build_transport_kwargs(original))

    assert dict is type(original.raw("payload"))
    assert FrozenDict is type(original.payload)
    assert original.payload is original.payload


def test_unusual_values():
    """Subclasses are frozen, tuples stay tuples, frozen values pass as they are."""

    class Other(dict):
        pass

    frozen = freeze({"a": Other(b=[1]), "t": ([1], {"c": 2})})

    assert FrozenDict is type(frozen["a"])
    assert FrozenList is type(frozen["a"]["b"])
    assert FrozenList is type(frozen["t"][0])
    assert tuple is type(frozen["t"])
    assert frozen is freeze(frozen)
    assert dict is type(to_json_value(frozen))
    assert list is type(to_json_value(frozen)["a"]["b"])


def kwargs_of_read():
    original = request()
    len(original.payload)
    return build_transport_kwargs(original)
