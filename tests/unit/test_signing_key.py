# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Standard Webhooks with an ed25519 key (v1a)."""

import base64
import shutil
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from test_signature_template import verdicts

from services.errors import ConfigurationError
from services.signing import (
    check_new_secret,
    new_private_key,
    new_secret,
    public_key_of,
    standard_webhooks_headers,
)
from services.snippets import key_snippets
from services.trust import StandardSignature, masked_forms

BODY = '{"grün": 1}'.encode()
# RFC 8032, 7.1, test 2: seed, public key, signature over one byte.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex(
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
)


def text(prefix, data):
    return prefix + base64.b64encode(data).decode()


def verify(public, headers, body):
    """The verification of the specification, by `cryptography`."""
    key = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(public.removeprefix("whpk_"))
    )
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    [signature] = [
        each[4:]
        for each in headers["webhook-signature"].split(" ")
        if each.startswith("v1a,")
    ]
    key.verify(base64.b64decode(signature), signed)


def test_the_public_key_belongs_to_the_private_one():
    """The vector of RFC 8032; keys as seed alone and as libsodium stores them."""
    for data in (SEED, SEED + PUBLIC):
        assert text("whpk_", PUBLIC) == public_key_of(text("whsk_", data))
    assert "" == public_key_of(new_secret()) == public_key_of(False)


def test_the_signature_is_verified_with_the_public_key():
    """Another body, time or id isn't."""
    private = new_private_key()
    public = public_key_of(private)
    assert 64 == len(base64.b64decode(private.removeprefix("whsk_")))

    headers = standard_webhooks_headers([private], "msg_1", 7, BODY)

    verify(public, headers, BODY)
    for changed in (
        (headers, BODY + b" "),
        (headers | {"webhook-timestamp": "8"}, BODY),
        (headers | {"webhook-id": "msg_2"}, BODY),
    ):
        with pytest.raises(InvalidSignature):
            verify(public, *changed)


def test_secret_and_key_sign_together_during_a_rotation():
    """One header has both, and each receiver finds its own."""
    standardwebhooks = pytest.importorskip("standardwebhooks")
    old, key, now = new_secret(), new_private_key(), time.time()
    signature = StandardSignature(key, old, now + 60)

    headers = signature.headers("msg_1", now, BODY)

    assert ["v1a", "v1"] == [
        each.partition(",")[0] for each in headers["webhook-signature"].split(" ")
    ]
    verify(public_key_of(key), headers, BODY)
    standardwebhooks.Webhook(old).verify(BODY, headers)
    assert " " not in signature.headers("m", now + 60, BODY)["webhook-signature"]


@pytest.mark.parametrize("language", ["python", "node"])
def test_the_code_that_is_shown_verifies(language, tmp_path):
    """In both languages, also while the secret before signs, too."""
    if language == "node" and not shutil.which("node"):
        pytest.skip("needs node")
    key, now = new_private_key(), time.time()
    shown = key_snippets()[language == "node"]
    good = standard_webhooks_headers([new_secret(), key], "msg_1", now, BODY)
    others = standard_webhooks_headers([new_private_key()], "msg_1", now, BODY)
    shared = standard_webhooks_headers([new_secret()], "msg_1", now, BODY)
    late = standard_webhooks_headers([key], "msg_1", now - 400, BODY)

    found = verdicts(
        language,
        shown,
        [
            *((BODY, good), (BODY + b" ", good), (BODY, others)),
            *((BODY, shared), (BODY, late), (BODY, {})),
        ],
        tmp_path,
        WEBHOOK_PUBLIC_KEY=public_key_of(key),
    )

    assert [True, *[False] * 5] == found


@pytest.mark.parametrize(
    "secret",
    [
        "whsk_",
        "whsk_no base64!",
        text("whsk_", SEED[:31]),
        text("whsk_", SEED + SEED),  # not the public key of this seed
        text("whpk_", PUBLIC),
    ],
)
def test_wrong_keys_are_refused_without_showing_them(secret):
    """When they are entered, and when something is to be sent."""
    for use in (
        lambda: check_new_secret(secret, standard=True),
        lambda: standard_webhooks_headers([secret], "msg_1", 1, BODY),
    ):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert len(secret) < 8 or secret not in str(caught.value)


def test_a_private_key_is_masked():
    """Wherever it might be quoted, with its prefix or without."""
    key = new_private_key()

    assert key.removeprefix("whsk_") in masked_forms(key)
