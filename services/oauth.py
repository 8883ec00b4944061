# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""OAuth2 client credentials (RFC 6749, section 4.4): request an access token.

Odoo includes no OAuth2 client library, and this grant is a single form post. The
request uses a `Sender`, so the egress guard applies to the token server as well.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from .errors import Message, ServiceError, _lt
from .failure_text import no_response_text
from .http.encoding import encode
from .signing import bare_token, base64_text

LIFETIME = 300.0  # seconds, if the server returns none
_MARGIN = 30.0  # seconds before expiry at which it is renewed, at most a tenth of it
_LONGEST = 10 * 365 * 86400.0
_BROKEN = Message(_lt("its response was interrupted."))
_REFUSED = _lt(
    "%(url)s returned no OAuth2 token: HTTP %(status)s%(why)s. Check token URL, client "
    "ID, client secret and scope on the endpoint."
)
_UNAVAILABLE = _lt(
    "%(url)s returned no OAuth2 token: HTTP %(status)s%(why)s. It is requested again "
    "automatically."
)
# Names that servers use for a bearer token, without spaces, dashes and underscores.
_BEARER = frozenset({"", "bearer", "bearertoken"})


class TokenRefused(ServiceError):
    """No access token was received.

    reason: as on an attempt (dns, connect, tls, timeout, egress, response, redirect,
    http_4xx, http_5xx)
    may_recover: whether a later retry may succeed; else it needs attention
    """

    def __init__(self, template, /, *, reason, may_recover, **values):
        super().__init__(template, **values)
        self.reason = reason
        self.may_recover = may_recover


@dataclass(frozen=True)
class ClientCredentials:
    """Settings for requests to a token server.

    scope, audience: sent when not empty
    resource: URIs of what the token is for, separated by spaces (RFC 8707)
    in_body: send id and secret in the form, for servers without HTTP Basic
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    audience: str = ""
    resource: str = ""
    in_body: bool = False


@dataclass(frozen=True)
class Token:
    """An access token.

    renew_at: seconds since the epoch; it is not used after that
    """

    value: str = field(repr=False)
    renew_at: float


def fetch_token(sender, credentials, *, timeout, now):
    """A new `Token` from the token server.

    sender: a `Sender`; timeout: seconds in all; now: seconds since the epoch.
    Raises TokenRefused; ConfigurationError or EgressRefused for a bad URL.
    """
    response = sender.send(encode(_request(credentials)), timeout=timeout)
    host = {"url": credentials.token_url.partition("?")[0]}
    said = _json_object(response)
    # A complete JSON object is accepted, however the connection ended after it.
    if response.status_code is None or (response.broken and not said):
        raise TokenRefused(
            _lt("no OAuth2 token from %(url)s: %(why)s"),
            reason=response.reason or "response",
            may_recover=response.reason != "egress",
            why=_BROKEN if response.broken else no_response_text(response),
            **host,
        )
    if not 200 <= response.status_code < 300:
        raise _refusal(response.status_code, said, host)
    value = said.get("access_token")
    value = bare_token(value) if isinstance(value, str) else value
    if not _is_bearer(said.get("token_type")) or not _fits(value):
        raise TokenRefused(
            _lt(
                "%(url)s responded without a bearer token (RFC 6749, section 5.1). "
                "Check the token URL on the endpoint."
            ),
            reason="response",
            may_recover=False,
            **host,
        )
    lifetime = _lifetime(said.get("expires_in"))
    margin = min(_MARGIN, lifetime / 10)
    return Token(value, now + lifetime - margin)


def _request(credentials):
    form = {"grant_type": "client_credentials"}
    headers = {"Accept": "application/json"}
    if credentials.scope:
        form["scope"] = credentials.scope
    if credentials.audience:
        form["audience"] = credentials.audience
    if credentials.resource:
        resources = credentials.resource.split()
        form["resource"] = resources if len(resources) > 1 else resources[0]
    if credentials.in_body:
        form["client_id"] = credentials.client_id
        form["client_secret"] = credentials.client_secret
    else:
        # RFC 6749, 2.3.1: form-encoded first, so that a colon can't separate them.
        pair = (
            quote_plus(credentials.client_id),
            quote_plus(credentials.client_secret),
        )
        headers["Authorization"] = f"Basic {base64_text(':'.join(pair))}"
    return {
        "method": "POST",
        "url": credentials.token_url,
        "headers": headers,
        "data": form,
    }


def _refusal(status, said, host):
    # Only the fields of RFC 6749, 5.2 are quoted: a page could echo the secret.
    words = [said.get("error"), said.get("error_description")]
    why = ": ".join(each[:200] for each in words if isinstance(each, str) and each)
    family = {3: "redirect", 4: "http_4xx", 5: "http_5xx"}
    may_recover = status >= 500 or status in (408, 425, 429)
    return TokenRefused(
        _UNAVAILABLE if may_recover else _REFUSED,
        reason=family.get(status // 100, "response"),
        may_recover=may_recover,
        status=status,
        why=f" ({why})" if why else "",
        **host,
    )


def _json_object(response):
    try:
        said = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_bearer(token_type):
    """Whether a token of this type is sent as Bearer; many servers omit the type."""
    if token_type is None:
        return True
    return isinstance(token_type, str) and (
        re.sub(r"[\s_-]", "", token_type).lower() in _BEARER
    )


def _fits(value):
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and (value != "" and " " not in value)
    )


def _lifetime(seconds):
    try:
        seconds = float(seconds)
    except (TypeError, ValueError):
        return LIFETIME
    return min(seconds, _LONGEST) if seconds > 0 else LIFETIME
