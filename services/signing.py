# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signatures over the exact bytes that are sent."""

import base64
import binascii
import hmac
import re
import secrets as random_secrets
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .errors import ConfigurationError, _lt

SECRET_PREFIX = "whsec_"
# Standard Webhooks, "Signature scheme": ed25519 keys as base64 with these prefixes.
PRIVATE_KEY_PREFIX = "whsk_"
PUBLIC_KEY_PREFIX = "whpk_"
SECRET_PREFIXES = (SECRET_PREFIX, PRIVATE_KEY_PREFIX)
_BEARER = re.compile(r"\s*(?:authorization\s*:\s*)?bearer\s+", re.IGNORECASE)
ALGORITHMS = ("sha256", "sha512", "sha1")  # SHA-1: receivers that know no other
ENCODINGS = ("hex", "base64")
KEY_BYTES_MIN = 24  # Standard Webhooks, "Signature scheme": 24 to 64 bytes
SECRET_CHARACTERS_MIN = 16


def standard_webhooks_headers(secrets, message_id, timestamp, body):
    """The three headers of Standard Webhooks (standardwebhooks.com, version 1).

    secrets: texts `whsec_<base64>` (HMAC, v1) or `whsk_<base64>` (ed25519, v1a); each
    one signs, so that secrets can overlap
    timestamp: of this attempt, seconds since the epoch
    body: the bytes that are sent; text is encoded as UTF-8, None is empty
    Raises ConfigurationError without a secret or for one that isn't base64.
    """
    if not secrets:
        raise ConfigurationError(
            _lt("the signing secret is missing. Generate one on the endpoint.")
        )
    timestamp = str(int(timestamp))
    signed = f"{message_id}.{timestamp}.".encode() + _bytes(body)
    signatures = [_standard_signature(secret, signed) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _standard_signature(secret, signed):
    if secret.startswith(PRIVATE_KEY_PREFIX):
        return "v1a," + base64_text(_private_key(secret).sign(signed))
    return "v1," + base64_text(hmac.digest(_key(secret), signed, "sha256"))


def hmac_header(name, secret, body, *, algorithm="sha256", encoding="hex", prefix=""):
    """One header with the HMAC of the body, as GitHub and Shopify send it.

    name: of the header; secret: text, used as its UTF-8 bytes
    algorithm, encoding: one of `ALGORITHMS`, `ENCODINGS`; prefix: such as "sha256="
    Raises ConfigurationError for an empty secret and unknown choices.
    """
    return {name: prefix + hmac_text(secret, _bytes(body), algorithm, encoding)}


def hmac_text(secret, signed, algorithm, encoding):
    """The HMAC of these bytes as text; errors are those of `hmac_header`."""
    if not secret:
        raise ConfigurationError(
            _lt(
                "the signing secret is missing. Enter the receiver's secret on the "
                "endpoint."
            )
        )
    if algorithm not in ALGORITHMS or encoding not in ENCODINGS:
        raise ConfigurationError(
            _lt(
                'signature "%(algorithm)s" as "%(encoding)s" doesn\'t exist.'
                " Use sha256, sha512 or sha1 as hex or base64."
            ),
            algorithm=algorithm,
            encoding=encoding,
        )
    digest = hmac.digest(secret.encode(), signed, algorithm)
    return digest.hex() if encoding == "hex" else base64_text(digest)


def bare_token(text):
    """A bearer token without the `Bearer ` or `Authorization: Bearer ` before it.

    Documentation shows it with the prefix, and it is pasted like that.
    """
    return _BEARER.sub("", text, count=1).strip() if _BEARER.match(text) else text


def new_secret():
    """A new random secret for Standard Webhooks (256 bits)."""
    return SECRET_PREFIX + base64_text(random_secrets.token_bytes(32))


def new_private_key():
    """A new ed25519 key for Standard Webhooks: 32 bytes of seed, 32 public ones."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    return PRIVATE_KEY_PREFIX + base64_text(key.private_bytes_raw() + public)


def public_key_of(secret):
    """The public key `whpk_<base64>` of a private one; "" for any other secret."""
    if not (secret or "").startswith(PRIVATE_KEY_PREFIX):
        return ""
    public = _private_key(secret).public_key().public_bytes_raw()
    return PUBLIC_KEY_PREFIX + base64_text(public)


def check_new_secret(secret, *, standard):
    """Raise ConfigurationError for a secret that is too short to be one.

    standard: it is for Standard Webhooks, hence base64; else any text. Secrets that
    are already stored aren't checked: their receivers use them.
    """
    if standard and secret.startswith(PRIVATE_KEY_PREFIX):
        _private_key(secret)
    elif standard:
        if secret.startswith(PUBLIC_KEY_PREFIX):
            raise ConfigurationError(
                _lt(
                    "the signing secret is a public key, which can't sign. Enter the "
                    'private key, which begins with "whsk_", or press Generate Secret.'
                )
            )
        count = len(_key(secret))
        if count < KEY_BYTES_MIN:
            raise ConfigurationError(
                _lt(
                    "the signing secret is too short: it decodes to %(count)s bytes, "
                    "and Standard Webhooks needs at least %(min)s. Enter the whole "
                    "secret that the receiver gave you, or press Generate Secret."
                ),
                count=count,
                min=KEY_BYTES_MIN,
            )
    elif len(secret) < SECRET_CHARACTERS_MIN:
        raise ConfigurationError(
            _lt(
                "the signing secret is too short: it has %(count)s characters, and at "
                "least %(min)s are needed. Enter the whole secret that the receiver "
                "gave you, or press Generate Secret."
            ),
            count=len(secret),
            min=SECRET_CHARACTERS_MIN,
        )


@lru_cache(64)
def _private_key(secret):
    try:
        key = base64.b64decode(secret.removeprefix(PRIVATE_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    # As seed alone, or with the public key behind it, as libsodium stores it.
    if len(key) in (32, 64):
        private = Ed25519PrivateKey.from_private_bytes(key[:32])
        if key[32:] in (b"", private.public_key().public_bytes_raw()):
            return private
    raise ConfigurationError(
        _lt(
            'a signing key is not of the form "whsk_" and base64 of an ed25519 key.'
            " Generate a new one on the endpoint or enter the whole key."
        )
    )


@lru_cache(64)  # of the endpoints in use; their snapshots hold the secrets, too
def _key(secret):
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if key:
        return key
    raise ConfigurationError(
        _lt(
            'a signing secret is not of the form "whsec_" and base64.'
            " Generate a new one on the endpoint or enter the one you were given."
        )
    )


def _bytes(body):
    return body.encode() if isinstance(body, str) else body or b""


def base64_text(data: bytes | str) -> str:
    return base64.b64encode(_bytes(data)).decode("ascii")
