# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""OAuth2 tokens from real token servers, kind and unkind."""

import base64
import json

import pytest
from sockets import LOOPBACK, Server, responding

from services.egress.policy import Policy
from services.http.client import Sender
from services.oauth import LIFETIME, ClientCredentials, TokenRefused, fetch_token

SECRET = "s3:cr&t ü"


def response(said, status=200):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def fetch(server, policy=LOOPBACK, **more):
    sender = Sender(policy)
    try:
        credentials = ClientCredentials(server.url + "/token", "id:1", SECRET, **more)
        return fetch_token(sender, credentials, timeout=1, now=1000.0)
    finally:
        sender.close()


def test_a_token_and_its_time():
    """It is renewed a little before it expires."""
    said = {"access_token": "t0ken", "token_type": "bearer", "expires_in": 3600}
    with responding(response(said)) as server:
        token = fetch(server)

    assert ("t0ken", 4570.0) == (token.value, token.renew_at)
    assert "t0ken" not in repr(token)


@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon", float("nan")])
def test_a_token_without_a_time(expires_in):
    """`expires_in` is only recommended (RFC 6749, 5.1)."""
    said = {"access_token": "t", "token_type": "Bearer", "expires_in": expires_in}
    with responding(response(said)) as server:
        assert 1000.0 + LIFETIME - 30 == fetch(server).renew_at


def test_a_short_life_is_used_for_the_most_part():
    """A margin longer than the life would fetch a token per request."""
    said = {"access_token": "t", "token_type": "Bearer", "expires_in": "10"}
    with responding(response(said)) as server:
        assert 1009.0 == fetch(server).renew_at


def test_credentials_as_basic_or_in_the_form():
    """HTTP Basic, form-encoded first (RFC 6749, 2.3.1), or in the body."""
    said = {"access_token": "t", "token_type": "Bearer"}
    with responding(response(said), close=False) as server:
        fetch(server, scope="a b", audience="https://api")
        fetch(server, in_body=True)
        basic, form = server.requests

    expected = base64.b64encode(b"id%3A1:s3%3Acr%26t+%C3%BC")
    assert b"Authorization: Basic " + expected + b"\r\n" in basic
    assert basic.endswith(
        b"grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi"
    )
    assert b"Authorization" not in form
    assert form.endswith(b"client_id=id%3A1&client_secret=s3%3Acr%26t+%C3%BC")


@pytest.mark.parametrize(
    "token_type",
    ["Bearer", "bearer", "BearerToken", "Bearer Token", " bearer ", "bearer_token"]
    + ["", None],
)
def test_all_names_of_a_bearer_token(token_type):
    """Servers write it in their own way or not at all; the token is used."""
    said = {"access_token": "t0ken", "token_type": token_type}
    with responding(response(said)) as server:
        assert "t0ken" == fetch(server).value


def test_an_access_token_with_its_scheme():
    """`Bearer ` before the token is not part of it."""
    said = {"access_token": "Bearer t0ken"}
    with responding(response(said)) as server:
        assert "t0ken" == fetch(server).value


@pytest.mark.parametrize(
    "resource, sent",
    [
        ("https://api", b"&resource=https%3A%2F%2Fapi"),
        ("https://a  b", b"&resource=https%3A%2F%2Fa&resource=b"),
    ],
)
def test_the_resource_is_sent(resource, sent):
    """RFC 8707: which API the token is for; several are parameters of their own."""
    with responding(response({"access_token": "t"})) as server:
        fetch(server, resource=resource)

        assert server.requests[0].endswith(b"grant_type=client_credentials" + sent)


def test_a_token_in_a_malformed_response():
    """A whole JSON object counts, whatever the server does to its framing."""
    said = json.dumps({"access_token": "t0ken"}).encode()
    head = b"HTTP/1.1 200 OK\r\nName : value\r\nContent-Length: 9\r\n\r\n"
    with responding(head + said) as server:
        assert "t0ken" == fetch(server).value


@pytest.mark.parametrize(
    "raw, reason, may_recover",
    [
        (response({"error": "invalid_client"}, 401), "http_4xx", False),
        (response(b"<html>", 503), "http_5xx", True),
        (response({}, 429), "http_4xx", True),
        (response({}, 302), "redirect", False),
        (response(b"<html>"), "response", False),
        (response([1]), "response", False),
        (response({"access_token": "t", "token_type": "mac"}), "response", False),
        (response({"access_token": "a\r\nb"}), "response", False),
        (response({"access_token": ""}), "response", False),
        (response({"access_token": 7}), "response", False),
        (b"garbage\r\n", "response", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "response", True),
    ],
)
def test_no_token(raw, reason, may_recover):
    """Each refusal says whether waiting helps, and never quotes the secret."""
    with responding(raw) as server, pytest.raises(TokenRefused) as caught:
        fetch(server)

    error = caught.value
    assert (reason, may_recover) == (error.reason, error.may_recover)
    assert server.url in str(error)
    assert SECRET not in str(error)


def test_the_message_of_the_server_is_shown():
    """`error` and `error_description` help the one who configured it."""
    said = {"error": "invalid_scope", "error_description": "no such scope"}
    with responding(response(said, 400)) as server:
        with pytest.raises(TokenRefused, match="invalid_scope: no such scope"):
            fetch(server)


def test_the_egress_policy_applies_to_the_token_server():
    """Otherwise a token URL would be the way round it."""
    with Server() as server:
        with pytest.raises(TokenRefused) as caught:
            fetch(server, Policy())

        assert ("egress", False) == (caught.value.reason, caught.value.may_recover)
        assert 0 == server.connections


def test_credentials_do_not_show_their_secret():
    """A log line with the value in it must not disclose it."""
    assert SECRET not in repr(ClientCredentials("https://a.example", "id", SECRET))
