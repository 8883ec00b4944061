# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Egress policy, authentication and signature of an endpoint's requests."""

from dataclasses import dataclass, field

from .egress.policy import Policy
from .errors import ConfigurationError, ServiceError, _lt
from .http.client import Sender
from .http.encoding import EncodedRequest
from .http.proxy import Proxy
from .masking import SHORTEST_MASKED
from .signature_template import TemplateSignature
from .signing import (
    SECRET_PREFIXES,
    bare_token,
    base64_text,
    hmac_header,
    standard_webhooks_headers,
)


@dataclass(frozen=True)
class Credential:
    """The header that authenticates the sender."""

    name: str
    value: str = field(repr=False)

    @classmethod
    def bearer(cls, token):
        """A bearer token (RFC 6750, section 2.1)."""
        return cls("Authorization", f"Bearer {bare_token(_given(token))}")

    @classmethod
    def basic(cls, user, password):
        """User and password (RFC 7617), both as UTF-8.

        Raises ConfigurationError for a user name with a colon, which would end it.
        """
        if not user or ":" in user:
            raise ConfigurationError(
                _lt("authentication needs a user name without a colon. Enter it.")
            )
        return cls(
            "Authorization",
            f"Basic {base64_text(f'{user}:{_given(password)}')}",
        )

    @classmethod
    def api_key(cls, name, key):
        """A key in a header of its own."""
        if not name:
            raise ConfigurationError(
                _lt("authentication needs the name of the key's header. Enter it.")
            )
        return cls(name, _given(key))


@dataclass(frozen=True)
class StandardSignature:
    """Standard Webhooks; the old secret signs too, until `old_until` (epoch)."""

    secret: str = field(repr=False)
    old_secret: str = field(default="", repr=False)
    old_until: float = 0.0

    def headers(self, message_id, now, body):
        """The headers that sign `body` (bytes or None) at `now` (epoch)."""
        secrets = [self.secret] if self.secret else []
        if self.old_secret and now < self.old_until:
            secrets.append(self.old_secret)
        return standard_webhooks_headers(secrets, message_id, now, body)


@dataclass(frozen=True)
class HmacSignature:
    """A plain HMAC header, as GitHub and Shopify send it; see `hmac_header`."""

    header: str
    secret: str = field(repr=False)
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""

    def headers(self, message_id, now, body):
        """The header that signs `body`; id and time are not included."""
        return hmac_header(
            self.header,
            self.secret,
            body,
            algorithm=self.algorithm,
            encoding=self.encoding,
            prefix=self.prefix,
        )


@dataclass(frozen=True)
class Trust:
    """Everything that secures the requests of one endpoint.

    egress: policy on where they may be sent
    credential: authentication header, None without authentication
    signature: how they are signed, None without a signature
    secrets: texts that are masked in everything that is stored or shown
    client_certificate: PEM of certificate and private key, or None
    proxy: HTTP proxy, or None for a direct connection
    is_token: the credential is an OAuth2 access token, which may be renewed
    fault: why nothing can be sent, or None
    not_before: epoch; from then on the fault may have resolved itself
    """

    egress: Policy
    credential: Credential | None = None
    signature: StandardSignature | HmacSignature | TemplateSignature | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    client_certificate: str | None = field(default=None, repr=False)
    proxy: Proxy | None = field(default=None, repr=False)
    is_token: bool = False
    fault: ServiceError | None = None
    not_before: float | None = None

    def open_sender(self) -> Sender:
        """A `Sender` under these rules, for one thread; the caller closes it."""
        return Sender(
            self.egress,
            client_certificate=self.client_certificate,
            proxy=self.proxy,
        )

    def apply(
        self, encoded: EncodedRequest, message_id: str, now: float
    ) -> EncodedRequest:
        """The request with its credential and the signature over its bytes.

        A credential that a rule, handler or backend has set is kept. now: epoch.
        Raises the fault; ConfigurationError for an invalid header value.
        """
        if self.fault is not None:
            raise ConfigurationError(self.fault.template, **self.fault.values)
        headers = {}
        credential = self.credential
        if credential is not None and not has_header(encoded, credential.name):
            headers[credential.name] = credential.value
        if self.signature is not None:
            headers |= self.signature.headers(message_id, now, encoded.body)
        return encoded.with_headers(headers) if headers else encoded


def has_header(encoded, name):
    """Whether the request has a header of this name, case-insensitive."""
    wanted = name.lower()
    return wanted in [each.lower() for each, _value in encoded.headers]


def masked_forms(*secrets):
    """The forms in which these secrets may occur in a request or response.

    A pair is a user and a password, which HTTP Basic sends together.
    """
    forms = []
    for secret in secrets:
        if isinstance(secret, tuple):
            forms += [base64_text(":".join(secret)), secret[1]]
        elif secret:
            for prefix in SECRET_PREFIXES:
                secret = secret.removeprefix(prefix)
            forms += [secret, bare_token(secret)]
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST_MASKED))


def _given(secret):
    if secret:
        return secret
    raise ConfigurationError(
        _lt("authentication has no secret yet. Enter it on the endpoint.")
    )
