# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Credentials are not shown."""

import pytest

from services.masking import mask_headers, mask_text, mask_url, url_secrets


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "apikey",
        "X_API_KEY",
        "X-Auth-Token",
        "Client-Secret",
        "X-Password",
        "webhook-signature",
        "X-Hub-Signature-256",
        "X-Amz-Credential",
    ],
)
def test_sensitive_headers_are_masked(name):
    """The name stays so that one sees what was sent, the value doesn't."""
    assert {name: "***"} == mask_headers({name: "s3cret"})


@pytest.mark.parametrize(
    "name", ["Content-Type", "webhook-id", "Idempotency-Key", "X-Author", "Accept"]
)
def test_plain_headers_stay(name):
    """What isn't a credential stays readable."""
    assert {name: "v"} == mask_headers({name: "v"})


def test_pairs_keep_their_order_and_repeats():
    """Pairs come back as pairs, each masked on its own."""
    pairs = (("Set-Cookie", "a"), ("X", "1"), ("Set-Cookie", "b"))

    assert (
        ("Set-Cookie", "***"),
        ("X", "1"),
        ("Set-Cookie", "***"),
    ) == mask_headers(pairs)


@pytest.mark.parametrize(
    "url, masked",
    [
        (
            "https://a.example/p?token=abc&id=5&Signature=x%2By#f",
            "https://a.example/p?token=***&id=5&Signature=***#f",
        ),
        ("https://a.example/?api%5Fkey=abc", "https://a.example/?api%5Fkey=***"),
        ("https://a.example/?sig=1&design=2", "https://a.example/?sig=***&design=2"),
        ("https://u:p@a.example/x@y", "https://***@a.example/x@y"),
        ("https://a.example/p?q=1&&empty=&token", None),
        ("https://a.example/p", None),
        ("/relative?x=1", None),
        ("", None),
    ],
)
def test_urls(url, masked):
    """Only sensitive query values and userinfo change, all else stays as it is."""
    assert (url if masked is None else masked) == mask_url(url)


def test_explicit_secrets_are_replaced_anywhere():
    """A secret is masked also where it is encoded for a URL or JSON."""
    secret = 'p&ss"wö d'
    text = f'plain {secret} url p%26ss%22w%C3%B6%20d json p&ss\\"w\\u00f6 d'

    assert "plain *** url *** json ***" == mask_text(text, [secret])


def test_longer_secrets_go_first():
    """A secret that is part of another leaves no rest of it."""
    assert "***" == mask_text("abcdef", ["abc", "abcdef", "", None])


@pytest.mark.parametrize(
    "url, secrets",
    [
        ("https://a.example/?token=s3cret&id=7", ("s3cret",)),
        ("https://a.example/?api_key=a%2Fb%20c", ("a/b c", "a%2Fb%20c")),
        ("https://a.example/?a=b#token=s3cret", ()),
        ("https://a.example/token=s3cret", ()),
        ("https://a.example/?token=abc", ()),
        ("https://a.example/?token=true", ()),
        ("https://a.example/?token", ()),
    ],
)
def test_secrets_of_a_url(url, secrets):
    """Receivers repeat them in Location and in their responses."""
    assert secrets == url_secrets(url)
