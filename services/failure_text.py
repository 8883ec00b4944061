# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Messages on what failed and what to do about it."""

from http import HTTPStatus

from .errors import Message, _lt
from .masking import mask_url

_SHOWN = 300

_NO_RESPONSE = {
    "dns": _lt("the host's name doesn't resolve. Check the endpoint's hostname."),
    "connect": _lt(
        "the connection failed or was closed without a response. Check that the "
        "receiver is up, and the endpoint's hostname and port."
    ),
    "tls": _lt("no trusted TLS connection. Check the receiver's certificate."),
    "timeout": _lt(
        "no complete response in time. Check the receiver, or raise the endpoint's "
        "timeout."
    ),
    "response": _lt(
        "the response is not valid HTTP. Check that the endpoint's address is a "
        "web server."
    ),
    "egress": _lt(
        "the address is not allowed. Check the endpoint's hostname, or have a Settings"
        " administrator allow its network."
    ),
}
_NO_RESPONSE_OTHERWISE = _lt(
    "the request ended without a response (%(reason)s). Check the endpoint, then retry."
)

_CREDENTIALS = _lt(
    "HTTP %(status)s: the receiver refused the credentials."
    " Check the endpoint's authentication, then retry."
)
_BY_STATUS = {
    401: _CREDENTIALS,
    403: _CREDENTIALS,
    407: _CREDENTIALS,
    404: _lt(
        "HTTP %(status)s: nothing was found at this address. Check the endpoint's "
        "hostname and path, then retry."
    ),
    405: _lt(
        "HTTP %(status)s: the receiver doesn't accept this method here. Check the "
        "endpoint's HTTP method and path, then retry."
    ),
    408: _lt(
        "HTTP %(status)s: the receiver timed out. Contact its operator if this "
        "continues."
    ),
    410: _lt(
        "HTTP %(status)s: the receiver accepts no more requests, so the endpoint "
        "sends nothing. Contact its operator, then press Close Circuit on the "
        "endpoint."
    ),
    413: _lt(
        "HTTP %(status)s: the request is too large for the receiver."
        " Send less data, then retry."
    ),
    415: _lt(
        "HTTP %(status)s: the receiver doesn't accept this content type. Check the "
        "endpoint's Request Body and Content-Type, then retry."
    ),
    429: _lt(
        "HTTP %(status)s: too many requests for the receiver. Set a rate limit on "
        "the endpoint if this continues."
    ),
}
_REDIRECT = _lt(
    "HTTP %(status)s: the receiver redirects to %(location)s, and redirects aren't "
    "followed. Enter the final address on the endpoint, then retry."
)
_NO_LOCATION = _lt(
    "HTTP %(status)s: the receiver redirects without a location. Check the "
    "endpoint's hostname and path, then retry."
)
_REFUSED = _lt(
    "HTTP %(status)s: the receiver refused the request. Read its response, correct "
    "the data or the endpoint, then retry."
)
_FAILED = _lt(
    "HTTP %(status)s: the receiver failed. Contact its operator if this continues."
)
_UNEXPECTED = _lt(
    "HTTP %(status)s is not a valid response to a request. Check that the "
    "endpoint's address is correct, then retry."
)


def no_response_text(response):
    """Why no response was received; the sender's own message if it has one."""
    if response.error:
        return response.error
    if response.reason in _NO_RESPONSE:
        return Message(_NO_RESPONSE[response.reason])
    return Message(_NO_RESPONSE_OTHERWISE, {"reason": response.reason or "response"})


def status_text(status, response):
    """What a status that isn't 2xx means."""
    values = {"status": status_phrase(status)}
    if 300 <= status < 400:
        location = response.header("Location")
        if not location:
            return Message(_NO_LOCATION, values)
        location = mask_url(location)[:_SHOWN]
        return Message(_REDIRECT, {**values, "location": location})
    if status >= 500:
        return Message(_FAILED, values)
    if status < 300:
        return Message(_UNEXPECTED, values)
    return Message(_BY_STATUS.get(status, _REFUSED), values)


def status_phrase(status):
    """The status and its name, as in "404 Not Found"."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
