# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signatures."""

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
import time

import pytest

from services.errors import ConfigurationError
from services.signing import (
    check_new_secret,
    hmac_header,
    new_secret,
    standard_webhooks_headers,
)

BODY = '{"grün": 1}'.encode()


def test_the_example_of_the_specification():
    """The known vector of Standard Webhooks comes out."""
    headers = standard_webhooks_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == headers


def test_the_public_package_verifies():
    """Receivers with the public package accept it, with the old and new secret."""
    standardwebhooks = pytest.importorskip("standardwebhooks")
    old, new = new_secret(), new_secret()

    headers = standard_webhooks_headers([new, old], "msg_1", time.time(), BODY)

    for secret in (old, new):
        standardwebhooks.Webhook(secret).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_secret()).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new).verify(BODY + b" ", headers)


def test_secrets_are_random_and_long():
    """A new secret has 256 bits and never comes twice."""
    secrets = {new_secret() for _ in range(50)}

    assert 50 == len(secrets)
    for secret in secrets:
        assert 32 == len(base64.b64decode(secret.removeprefix("whsec_")))


@pytest.mark.parametrize("body", [None, "", b""])
def test_an_empty_body_is_signed(body):
    """A request without a body is signed over no bytes."""
    secret = new_secret()

    headers = standard_webhooks_headers([secret], "msg_1", 1, body)

    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, b"msg_1.1.", "sha256")).decode()
    assert f"v1,{expected}" == headers["webhook-signature"]


@pytest.mark.parametrize("secrets", [[], ["whsec_"], ["whsec_no base64!"], ["abc"]])
def test_unusable_secrets_are_refused_without_showing_them(secrets):
    """The message says what to do and doesn't hold the secret."""
    with pytest.raises(ConfigurationError, match="secret") as caught:
        standard_webhooks_headers(secrets, "msg_1", 1, BODY)

    assert not any(
        len(secret) > 6 and secret in str(caught.value) for secret in secrets
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_hmac_header(algorithm):
    """Hex and base64 with a prefix, as GitHub and Shopify send it."""
    digest = hmac.new(b"k\xc3\xa9y", BODY, getattr(hashlib, algorithm))

    assert {"X-Hub-Signature-256": "sha256=" + digest.hexdigest()} == hmac_header(
        "X-Hub-Signature-256", "kéy", BODY, algorithm=algorithm, prefix="sha256="
    )
    assert {"X-Sig": base64.b64encode(digest.digest()).decode()} == hmac_header(
        "X-Sig", "kéy", BODY, algorithm=algorithm, encoding="base64"
    )


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_agrees():
    """The hex form is what `openssl dgst` computes."""
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "key"],
        input=BODY,
        capture_output=True,
        check=False,
    )

    value = hmac_header("X", "key", BODY)["X"]

    assert done.stdout.decode().strip().endswith(value)


@pytest.mark.parametrize(
    "options", [{"algorithm": "md5"}, {"encoding": "raw"}, {"secret": ""}]
)
def test_unknown_hmac_choices_are_refused(options):
    """An algorithm, encoding or secret that isn't there stops the delivery."""
    secret = options.pop("secret", "key")
    with pytest.raises(ConfigurationError):
        hmac_header("X", secret, BODY, **options)


@pytest.mark.parametrize(
    ("secret", "standard", "message"),
    [
        (
            "whsec_" + base64.b64encode(b"k" * 23).decode(),
            True,
            "23 bytes.*at least 24",
        ),
        (base64.b64encode(b"k" * 16).decode(), True, "16 bytes"),
        ("whsec_", True, "whsec_"),
        ("k" * 15, False, "15 characters.*at least 16"),
    ],
)
def test_a_short_secret_is_refused(secret, standard, message):
    """A secret that anybody could guess, or a truncated paste, is not stored."""
    with pytest.raises(ConfigurationError) as caught:
        check_new_secret(secret, standard=standard)

    error = caught.value
    assert re.search(message, error.template % error.values)
    assert secret.removeprefix("whsec_") not in (error.template % error.values) or (
        secret == "whsec_"
    )


@pytest.mark.parametrize(
    ("secret", "standard"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("k" * 16, False),
        ("ключ-ключ-ключ-к", False),
    ],
)
def test_a_secret_that_is_long_enough_is_taken(secret, standard):
    """The example of the specification has 24 bytes, the least that is allowed."""
    assert check_new_secret(secret, standard=standard) is None


def test_generated_secrets_are_long_enough():
    """What the button makes passes the check for secrets of users."""
    check_new_secret(new_secret(), standard=True)
