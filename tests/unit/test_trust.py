# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Credentials and signatures, added to a request before it is sent."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time

import pytest
from sockets import LOOPBACK, Server
from standardwebhooks import Webhook, WebhookVerificationError

from services.egress.policy import Policy
from services.errors import ConfigurationError
from services.http.client import Sender
from services.http.encoding import encode
from services.signing import new_secret
from services.snippets import hmac_snippets, standard_snippets
from services.trust import (
    Credential,
    HmacSignature,
    StandardSignature,
    Trust,
    masked_forms,
)

MESSAGE = "msg_1"
NOW = 1_700_000_000.0


def encoded(headers=None, **kwargs):
    kwargs = kwargs or {"json": {"grün": 1}}
    headers = {"webhook-id": MESSAGE, **(headers or {})}
    return encode(
        {
            "method": "POST",
            "url": "https://a.example/x",
            "headers": headers,
            **kwargs,
        }
    )


def applied(given=None, now=NOW, **trust):
    return Trust(Policy(), **trust).apply(given or encoded(), MESSAGE, now)


def arrived(now, signature):
    """A signed request as a server on loopback got it."""
    with Server() as server:
        request = encode({"method": "POST", "url": server.url, "json": {"grün": 1}})
        sender = Sender(LOOPBACK)
        signed = applied(request, now=now, signature=signature)
        assert 200 == sender.send(signed, timeout=5).status_code
        sender.close()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = tuple(tuple(line.split(": ", 1)) for line in lines)
    return request._replace(headers=headers, body=body)


def values(request, name):
    return [value for key, value in request.headers if key.lower() == name.lower()]


def test_nothing_set_changes_nothing():
    """An endpoint without trust settings sends what was built, the very object."""
    request = encoded()

    assert applied(request) is request


def test_bearer_basic_and_api_key():
    """Each as its specification wants it; Basic is UTF-8 (RFC 7617, 2.1)."""
    basic = "Basic " + base64.b64encode("ü:p:ß".encode()).decode()

    for credential, header in (
        (Credential.bearer("t0k"), ("Authorization", "Bearer t0k")),
        (Credential.basic("ü", "p:ß"), ("Authorization", basic)),
        (Credential.api_key("X-Key", "k"), ("X-Key", "k")),
    ):
        assert header in applied(credential=credential).headers
        assert credential.value not in repr(credential)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_header_that_is_set_already_wins(name):
    """Handler and backend may know better; two of them would be refused by servers."""
    request = applied(encoded({name: "theirs"}), credential=Credential.bearer("ours"))

    assert ["theirs"] == values(request, "Authorization")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Credential.bearer(""),
        lambda: Credential.basic("", "p"),
        lambda: Credential.basic("a:b", "p"),
        lambda: Credential.basic("a", False),
        lambda: Credential.api_key("", "k"),
        lambda: Credential.api_key("X", None),
    ],
)
def test_an_incomplete_credential_is_refused(make):
    """Sending without one would only be refused by the receiver, later."""
    with pytest.raises(ConfigurationError, match="Enter it"):
        make()


@pytest.mark.parametrize("secret", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "ключ"])
def test_a_secret_can_not_smuggle_a_header_in(secret):
    """A line break in a key would start a header of its own; it isn't quoted either."""
    with pytest.raises(ConfigurationError) as caught:
        applied(credential=Credential.api_key("X-Key", secret))

    assert secret not in str(caught.value)


def test_the_signature_covers_the_exact_bytes_and_keeps_the_id():
    """The public package verifies what is in the request."""
    secret = new_secret()
    request = applied(now=time.time(), signature=StandardSignature(secret))

    assert {"grün": 1} == Webhook(secret).verify(request.body, dict(request.headers))
    assert [MESSAGE] == values(request, "webhook-id")


def test_a_signature_set_by_a_rule_is_replaced():
    """The signature is last: nobody can leave a wrong one in its place."""
    request = applied(
        encoded({"Webhook-Signature": "v1,forged"}),
        signature=StandardSignature(new_secret()),
    )

    [signature] = values(request, "webhook-signature")
    assert "forged" not in signature


def test_old_secret_signs_along_until_its_end():
    """Before the end two signatures, from then on one: by the time of the attempt."""
    old, new = new_secret(), new_secret()
    signature = StandardSignature(new, old, old_until=NOW)

    [before] = values(applied(now=NOW - 1, signature=signature), "webhook-signature")
    [after] = values(applied(now=NOW, signature=signature), "webhook-signature")

    assert (2, 1) == (len(before.split()), len(after.split()))


@pytest.mark.parametrize("body", [{"data": b"x"}, {"data": {"a": "b"}}, {"files": {}}])
def test_hmac_over_any_body(body):
    """Raw, form and empty bodies: the digest is over what is sent."""
    request = applied(
        encoded(**body), signature=HmacSignature("X-Sig", "key", "sha512", "hex", "v=")
    )

    digest = hmac.new(b"key", request.body or b"", hashlib.sha512).hexdigest()
    assert [f"v={digest}"] == values(request, "X-Sig")


def test_an_error_stops_the_request_with_its_message():
    """What can't be guarded isn't sent."""
    with pytest.raises(ConfigurationError, match="no key for x"):
        applied(fault=ConfigurationError("no key for %(name)s", name="x"))


@pytest.mark.parametrize(
    "pasted",
    [
        "abcd",
        "Bearer abcd",
        "bearer  abcd ",
        "Authorization: Bearer abcd",
        " Bearer abcd",
    ],
)
def test_a_pasted_scheme_is_not_doubled(pasted):
    """Documentation shows tokens with it: `Bearer Bearer abcd` was refused with 401."""
    assert "Bearer abcd" == Credential.bearer(pasted).value
    assert "abcd" in masked_forms(pasted)


def test_masked_forms():
    """Without its known prefix, as Basic sends it, and nothing that is in any word."""
    assert ("abcd",) == masked_forms("whsec_abcd")
    assert ("dXNlcjpwYXNz", "pass") == masked_forms(("user", "pass"))
    assert () == masked_forms("", None, False, "abc")


def test_trust_shows_no_secret():
    """A value that ends up in a log line reveals nothing."""
    trust = Trust(
        Policy(),
        credential=Credential.bearer("s3cret"),
        signature=HmacSignature("X", "s3cret"),
        secrets=("s3cret",),
        client_certificate="s3cret",
    )

    assert "s3cret" not in repr(trust)


# The snippets that the form shows


def python_snippet(source, secret, monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    scope = {}
    exec(source, scope)
    return scope["verify"]


def node_verifies(source, secret, request, tmp_path, body=None):
    (tmp_path / "verify.js").write_text(source)
    body = request.body if body is None else body
    body = base64.b64encode(body).decode()
    (tmp_path / "run.js").write_text(
        "const { verify } = require('./verify.js');"
        f"const body = Buffer.from({json.dumps(body)}, 'base64');"
        f"verify(body, {json.dumps({k.lower(): v for k, v in request.headers})});"
    )
    done = subprocess.run(
        [shutil.which("node"), tmp_path / "run.js"],
        env=os.environ | {"WEBHOOK_SECRET": secret},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def signed_by_hmac(encoding):
    options = {"algorithm": "sha256", "encoding": encoding, "prefix": 'sha"256='}
    request = applied(signature=HmacSignature("X-Shop-Sig", "kéy", **options))
    return request, hmac_snippets("X-Shop-Sig", **options)


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac_snippet_in_python(encoding, monkeypatch):
    """It takes ours and refuses a changed body."""
    request, (python, _node) = signed_by_hmac(encoding)
    verify = python_snippet(python, "kéy", monkeypatch)
    headers = {name.lower(): value for name, value in request.headers}

    verify(request.body, headers)

    with pytest.raises(ValueError, match="wrong signature"):
        verify(request.body + b" ", headers)


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac_snippet_in_node(encoding, tmp_path):
    """It takes ours and refuses a changed body."""
    request, (_python, node) = signed_by_hmac(encoding)

    assert node_verifies(node, "kéy", request, tmp_path)
    assert not node_verifies(node, "kéy", request, tmp_path, request.body + b" ")


def test_standard_snippet_in_python(monkeypatch):
    """It takes ours and refuses a changed body."""
    secret = new_secret()
    request = applied(now=time.time(), signature=StandardSignature(secret))
    python, _node = standard_snippets()
    verify = python_snippet(python, secret, monkeypatch)

    assert {"grün": 1} == verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        verify(request.body + b" ", dict(request.headers))


def _has_npm_package():
    node = shutil.which("node")
    return (
        node
        and not subprocess.run(
            [node, "-e", "require('standardwebhooks')"],
            capture_output=True,
            check=False,
        ).returncode
    )


@pytest.mark.skipif(
    not _has_npm_package(), reason="needs node and standardwebhooks on NODE_PATH"
)
def test_standard_snippet_in_node(tmp_path):
    """The npm package takes what arrived: before, during and after a rotation.

    With the old secret before, with either while both sign, with the new one after.
    """
    old, new = new_secret(), new_secret()
    now = time.time()
    _python, node = standard_snippets()
    rotation = (
        (StandardSignature(old), {old}),
        (StandardSignature(new, old, now + 60), {old, new}),
        (StandardSignature(new, old, now - 60), {new}),
    )

    for signature, accepted in rotation:
        request = arrived(now, signature)
        for secret in (old, new):
            known = secret in accepted
            assert known == node_verifies(node, secret, request, tmp_path)
            assert not node_verifies(node, secret, request, tmp_path, b"{}")
