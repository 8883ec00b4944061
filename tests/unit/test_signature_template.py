# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signatures as known services make them, verified by their own libraries."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from services.errors import ConfigurationError
from services.signature_template import (
    HEADER_TOKENS,
    PRESETS,
    TemplateSignature,
    check_template,
    check_templates,
    holds_several,
)
from services.signing import hmac_header
from services.snippets import hmac_snippets, key_snippets, template_snippets

SECRET = "a secret of the receiver"
OLD = "the secret before this one"
BODY = '{"id": "evt_1", "object": "event", "text": "grün {body} {signature}"}'.encode()


def signature(name, secret=SECRET, **options):
    """The signature of a preset."""
    preset = PRESETS[name]
    return TemplateSignature(
        preset.header,
        secret,
        preset.value,
        preset.signed,
        preset.timestamp_header,
        preset.algorithm,
        preset.encoding,
        **options,
    )


def test_stripe_accepts_it():
    """Stripe's library returns the event, and refuses another body or an old one."""
    stripe = pytest.importorskip("stripe")
    verify = stripe.WebhookSignature.verify_header
    sent = signature("stripe").headers("msg_1", time.time(), BODY)["Stripe-Signature"]

    assert verify(BODY.decode(), sent, SECRET, tolerance=300)
    for body, secret in ((BODY + b" ", SECRET), (BODY, OLD)):
        with pytest.raises(stripe.SignatureVerificationError):
            verify(body.decode(), sent, secret, tolerance=300)
    late = signature("stripe").headers("msg_1", time.time() - 400, BODY)
    with pytest.raises(stripe.SignatureVerificationError):
        verify(BODY.decode(), late["Stripe-Signature"], SECRET, tolerance=300)


def test_stripe_accepts_both_secrets_during_a_rotation():
    """The item with the signature is there twice until the old secret ends."""
    stripe = pytest.importorskip("stripe")
    now = time.time()
    both = signature("stripe", old_secret=OLD, old_until=now + 60)
    sent = both.headers("msg_1", now, BODY)["Stripe-Signature"]
    ended = both.headers("msg_1", now + 60, BODY)["Stripe-Signature"]

    for secret in (SECRET, OLD):
        assert stripe.WebhookSignature.verify_header(BODY.decode(), sent, secret)
    assert 2 == sent.count("v1=")
    assert 1 == ended.count("v1=")


def test_slack_accepts_it():
    """Slack's SDK takes header and time, and refuses another body or an old one."""
    slack = pytest.importorskip("slack_sdk.signature")
    verifier = slack.SignatureVerifier(SECRET)
    now = time.time()
    # One secret at a time: a second signature would be no list for Slack.
    made = signature("slack", old_secret=OLD, old_until=now + 60)

    sent = made.headers("msg_1", now, BODY)

    assert verifier.is_valid_request(BODY, sent)
    assert not verifier.is_valid_request(BODY + b" ", sent)
    assert not verifier.is_valid_request(BODY, made.headers("msg_1", now - 400, BODY))
    assert not slack.SignatureVerifier(OLD).is_valid_request(BODY, sent)


def test_github_and_shopify_accept_it():
    """The recipes of their guides: a hex digest with a prefix, and base64."""
    made = {
        name: hmac_header(
            PRESETS[name].header,
            SECRET,
            BODY,
            encoding=PRESETS[name].encoding,
            prefix=PRESETS[name].prefix,
        )
        for name in ("github", "shopify")
    }

    digest = hmac.new(SECRET.encode(), msg=BODY, digestmod=hashlib.sha256)
    assert {"X-Hub-Signature-256": "sha256=" + digest.hexdigest()} == made["github"]
    expected = base64.b64encode(digest.digest()).decode()
    assert {"X-Shopify-Hmac-Sha256": expected} == made["shopify"]


def test_sha1_for_old_receivers():
    """GitHub's header before SHA-256."""
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()

    made = hmac_header(
        "X-Hub-Signature", SECRET, BODY, algorithm="sha1", prefix="sha1="
    )

    assert {"X-Hub-Signature": f"sha1={digest}"} == made


def test_nothing_is_signed_with_an_empty_secret():
    """Otherwise a forger could sign, too."""
    for name in ("slack", "stripe"):
        with pytest.raises(ConfigurationError, match="secret is missing"):
            signature(name, secret="").headers("msg_1", 1, BODY)


def test_a_body_with_tokens_is_signed_as_it_is():
    """What a body contains is never filled."""
    body = b"{timestamp}{message_id}{body}"

    sent = signature("stripe").headers("msg_1", 5, body)["Stripe-Signature"]

    digest = hmac.digest(SECRET.encode(), b"5." + body, "sha256").hex()
    assert f"t=5,v1={digest}" == sent


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("v1={sig}", r"\{sig\}.*\{timestamp\}, \{message_id\}, \{signature\}"),
        ("v1={body}", r"\{body\}"),
        ("v1=", r"\{signature\} once"),
        ("", r"\{signature\} once"),
        ("{signature}{signature}", "once"),
        ("v1={signature", "not valid"),
        ("{{signature}}", "not valid"),
        ("v1={signature}}", "not valid"),
        ("v1={}{signature}", r"\{\}"),
    ],
)
def test_invalid_templates_are_named(value, named):
    """The message quotes the template, and what may be written."""
    with pytest.raises(ConfigurationError, match=named):
        check_template(value, HEADER_TOKENS, "signature")


def test_a_time_that_is_signed_is_sent():
    """Nobody could verify a signature over a time that isn't known."""
    with pytest.raises(ConfigurationError, match="time is signed but not sent"):
        check_templates("{signature}", "{timestamp}.{body}", "")
    check_templates("{signature}", "{timestamp}.{body}", "X-Time")
    check_templates("t={timestamp},v1={signature}", "{timestamp}.{body}", "")
    check_templates("{signature}", "{body}", "")


def test_which_headers_hold_two_signatures():
    """Lists with commas do."""
    assert holds_several(PRESETS["stripe"].value)
    assert not holds_several(PRESETS["slack"].value)
    assert not holds_several(None)


SNIPPET_CASES = {
    "stripe": signature("stripe"),
    "slack": signature("slack"),
    "time in the signature's item": TemplateSignature(
        "X-Sig", SECRET, "{timestamp};{signature}", "{timestamp};{body}"
    ),
    "message id, no time": TemplateSignature(
        "X-Sig",
        SECRET,
        "v={signature}",
        "{message_id}\n{body}.",
        "",
        "sha512",
        "base64",
    ),
    "two secrets": signature("stripe", old_secret=OLD, old_until=time.time() + 9999),
}


def verdicts(language, text, cases, folder, **environment):
    """Whether the shown code accepts each of these (body, headers)."""
    asked = [
        {"body": base64.b64encode(body).decode(), "headers": headers}
        for body, headers in cases
    ]
    if language == "python":
        (folder / "shown.py").write_text(text)
        program = [sys.executable, "-c", PYTHON_CALLER]
    else:
        (folder / "shown.js").write_text(text)
        program = [shutil.which("node"), "-e", NODE_CALLER]
    done = subprocess.run(
        program,
        input=json.dumps(asked).encode(),
        capture_output=True,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )
    assert 0 == done.returncode, done.stderr.decode()
    return json.loads(done.stdout)


PYTHON_CALLER = """
import base64, json, sys
sys.path.insert(0, "")
from shown import verify
results = []
for each in json.load(sys.stdin):
    try:
        verify(base64.b64decode(each["body"]), each["headers"])
        results.append(True)
    except Exception:
        results.append(False)
print(json.dumps(results))
"""
NODE_CALLER = """
const { verify } = require("./shown.js");
const results = JSON.parse(require("fs").readFileSync(0, "utf8")).map((each) => {
    try {
        verify(Buffer.from(each.body, "base64"), each.headers);
        return true;
    } catch {
        return false;
    }
});
console.log(JSON.stringify(results));
"""


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("name", SNIPPET_CASES)
def test_the_code_that_is_shown_verifies(name, language, tmp_path):
    """What the form shows to receivers accepts what is sent, and nothing else."""
    if language == "node" and not shutil.which("node"):
        pytest.skip("needs node")
    made = SNIPPET_CASES[name]
    shown = template_snippets(
        made.header,
        made.value,
        made.signed,
        made.timestamp_header,
        algorithm=made.algorithm,
        encoding=made.encoding,
    )[language == "node"]

    def sent(now):
        headers = {"webhook-id": "msg_1", **made.headers("msg_1", now, BODY)}
        return {key.lower(): value for key, value in headers.items()}

    good, late = sent(time.time()), sent(time.time() - 400)
    is_timed = "{timestamp}" in made.signed

    found = verdicts(
        language,
        shown,
        [(BODY, good), (BODY + b" ", good), (BODY, late), (BODY, {})],
        tmp_path,
        WEBHOOK_SECRET=SECRET,
    )

    assert [True, False, not is_timed, False] == found


def test_the_other_shown_codes_still_compute(tmp_path):
    """Those of the plain header take SHA-1; those of a key are there."""
    text = hmac_snippets("X-Sig", algorithm="sha1", encoding="hex", prefix="sha1=")[0]
    sent = hmac_header("x-sig", SECRET, BODY, algorithm="sha1", prefix="sha1=")

    found = verdicts(
        "python", text, [(BODY, sent), (b"", sent)], tmp_path, WEBHOOK_SECRET=SECRET
    )

    assert [True, False] == found
    assert all("WEBHOOK_PUBLIC_KEY" in each for each in key_snippets())
