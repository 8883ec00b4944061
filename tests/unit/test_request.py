# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The request that travels."""

from dataclasses import FrozenInstanceError
from datetime import date

import pytest

from services.errors import ConfigurationError, PayloadError
from services.request import OutboundRequest


def make(**changes):
    values = {
        "target_url": "https://shop.example/orders",
        "http_method": "post",
        "request_body_mode": "json",
        "headers": {"X-A": "1"},
        "payload": {"order": {"lines": [1]}},
    }
    return OutboundRequest(**{**values, **changes})


def test_a_request_is_frozen():
    """Attributes can't be changed in place, so nobody changes another's request."""
    with pytest.raises(FrozenInstanceError):
        make().target_url = "https://other.example"


def test_from_dict_normalises():
    """Method and mode become lower case, absent and false payloads an empty object."""
    request = OutboundRequest.from_dict(
        {"target_url": "https://a.example", "http_method": "PUT", "payload": False}
    )

    assert "put" == request.http_method
    assert "json" == request.request_body_mode
    assert ({}, {}, {}) == (request.payload, request.headers, request.files)


def test_from_dict_takes_the_given_default_mode():
    """A dict without a body mode gets the caller's; one with blanks is stripped."""
    assert (
        "raw"
        == OutboundRequest.from_dict({}, default_body_mode="raw").request_body_mode
    )
    assert (
        "multipart"
        == OutboundRequest.from_dict(
            {"request_body_mode": " Multipart "}
        ).request_body_mode
    )


def test_dict_round_trip():
    """A request comes back from its own dict equal."""
    request = make(files={"doc": {"content": b"x", "filename": "a.txt"}})

    assert request == OutboundRequest.from_dict(request.to_dict())


@pytest.mark.parametrize("copied", [OutboundRequest.deep_copy, OutboundRequest.to_dict])
def test_copies_share_nothing(copied):
    """What a handler does to its copy doesn't reach the request it was made from."""
    request = make(files={"doc": {"content": b"x"}})
    copy = copied(request)
    copy = copy if isinstance(copy, dict) else vars(copy)

    copy["payload"]["order"]["lines"].append(2)
    copy["headers"]["X-B"] = "2"
    copy["files"]["doc"]["content"] = b"y"

    assert make(files={"doc": {"content": b"x"}}) == request


def test_overrides_replace_what_is_given():
    """Each request key of a handler's result replaces its part, the rest stays."""
    request = make()

    changed = request.with_overrides(
        {
            "target_url": "https://b.example",
            "http_method": "PATCH",
            "transport_mode": "form_urlencoded",
            "headers": {"X-Count": 5, "X-On": True, "X-None": None},
            "payload": {"day": date(2024, 5, 1)},
            "files": {"f": ("a.txt", b"x")},
            "unheard_of": 1,
        }
    )

    assert (
        OutboundRequest(
            "https://b.example",
            "patch",
            "form_urlencoded",
            {"X-Count": "5", "X-On": "True", "X-None": ""},
            {"day": "2024-05-01"},
            {"f": ("a.txt", b"x")},
        )
        == changed
    )
    assert make() == request


def test_empty_overrides_change_nothing():
    """Empty text and None leave URL, method, mode and headers alone."""
    request = make()

    assert request == request.with_overrides(
        {
            "target_url": "",
            "http_method": None,
            "request_body_mode": "",
            "headers": None,
        }
    )


def test_overriding_headers_with_an_empty_mapping_removes_all():
    """An empty mapping is a value: the handler wants no headers."""
    assert {} == make().with_overrides({"headers": {}}).headers


def test_overriding_payload_must_be_json():
    """A payload that JSON can't hold is refused where it comes in, with its path."""
    with pytest.raises(PayloadError, match=r"payload\.tags is of type set"):
        make().with_overrides({"payload": {"tags": {1}}})


def test_raw_bytes_stay_bytes():
    """The raw mode sends bytes as they are, so nothing turns them into base64."""
    request = make(request_body_mode="raw").with_overrides({"payload": b"<a/>"})

    assert b"<a/>" == request.deep_copy().payload


def test_headers_that_are_no_mapping_are_refused():
    """A list of headers is a fault of the handler and says so."""
    with pytest.raises(ConfigurationError, match="not list"):
        make().with_overrides({"headers": ["X-A: 1"]})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"request_body_mode": "xml"}, 'body mode "xml"'),
        ({"http_method": "post\r\nX-Evil: 1"}, "is not a valid HTTP method"),
        ({"http_method": ""}, "is not a valid HTTP method"),
        ({"files": [1]}, "files must be a mapping"),
    ],
)
def test_a_senseless_request_is_refused(changes, message):
    """Unknown modes, methods that aren't tokens and files in a list can't be sent."""
    with pytest.raises(ConfigurationError, match=message):
        make(**changes).assert_valid()


def test_a_good_request_is_valid():
    """The usual request passes, and fewer modes can be requested."""
    make().assert_valid()
    with pytest.raises(ConfigurationError, match="Use one of: raw"):
        make().assert_valid(valid_body_modes=("raw",))


def test_file_label():
    """The label lists form fields in order, False if none."""
    assert "a, b" == make(files={"b": 1, "a": 2}).multipart_file_keys_label
    assert make().multipart_file_keys_label is False
