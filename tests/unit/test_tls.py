# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""TLS: who is trusted, under which name, and with which certificate of ours."""

import socket
import time

import pytest
from certificates import Authority
from sockets import LOOPBACK, OK, Server, within

from services.errors import ConfigurationError
from services.http.client import Sender
from services.http.encoding import encode


@pytest.fixture
def authority(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    return authority


def lookup(host, port):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def post(url, *, timeout=5, **more):
    sender = Sender(LOOPBACK, lookup=lookup, **more)
    response = sender.send(
        encode({"method": "POST", "url": url, "json": {}}), timeout=timeout
    )
    sender.close()
    return response


def test_a_trusted_certificate_with_the_right_name(authority):
    """The connection goes to the checked address; TLS name and Host stay the name."""
    seen = []
    context = authority.server_context("shop.example")
    context.sni_callback = lambda sock, name, context: seen.append(name)
    with Server(context=context) as server:
        response = post(f"https://shop.example:{server.port}/hook")

        assert (200, ["shop.example"]) == (response.status_code, seen), response
        assert f"Host: shop.example:{server.port}".encode() in server.requests[0]


def test_a_trusted_certificate_for_an_address(authority):
    """An address in the URL is compared with the certificate as an address."""
    with Server(context=authority.server_context("127.0.0.1")) as server:
        assert 200 == post(server.url).status_code


def test_a_tls_connection_is_kept(authority):
    """A handshake per request would cost more than the request."""
    with Server(context=authority.server_context("127.0.0.1")) as server:
        sender = Sender(LOOPBACK)
        encoded = encode({"method": "POST", "url": server.url, "json": "x" * 200_000})
        for _ in range(5):
            assert 200 == sender.send(encoded, timeout=5).status_code
        sender.close()

        assert 1 == server.connections


@pytest.mark.parametrize("fault", ["name", "expired", "untrusted", "default store"])
def test_bad_certificates(authority, tmp_path, monkeypatch, fault):
    """Another name, a date that has passed, or an unknown issuer: nothing is sent."""
    names, days, issuer = ("127.0.0.1",), 1, authority
    if fault == "name":
        names = ("other.example",)
    elif fault == "expired":
        days = -1
    elif fault == "untrusted":
        issuer = Authority(tmp_path, "somebody else")
    else:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with Server(context=issuer.server_context(*names, days=days)) as server:
        response = post(server.url)

        assert ("tls", None, []) == (
            response.reason,
            response.status_code,
            server.requests,
        )
    assert "TLS" in str(response.error)


def test_a_peer_without_tls(authority):
    """Plain HTTP, or garbage, on a TLS port has the reason `tls`."""
    for rubbish in (OK, b"garbage" * 10):
        with Server(lambda conn, said=rubbish: conn.sendall(said)) as server:
            assert "tls" == post(f"https://127.0.0.1:{server.port}").reason


def test_a_peer_that_ends_the_handshake(authority):
    """Closing instead of a handshake has the reason `tls`."""
    with Server(lambda conn: conn.recv(10)) as server:
        assert "tls" == post(f"https://127.0.0.1:{server.port}").reason


@pytest.mark.parametrize("byte", [b"", b"\x16"])
def test_a_handshake_that_hangs_ends_at_the_deadline(authority, byte):
    """A silent peer, or one that drips, holds nobody up."""

    def talk(conn):
        while True:  # until the sender closes the connection
            conn.sendall(byte)
            time.sleep(0.03)

    with Server(talk) as server:
        url = f"https://127.0.0.1:{server.port}"
        response = within(15, lambda: post(url, timeout=0.4))

    assert response.reason in ("timeout", "tls")


def test_a_silent_handshake_is_a_timeout(authority):
    """The reason distinguishes a hanging peer from a bad one."""
    with Server(lambda conn: time.sleep(2)) as server:
        response = post(f"https://127.0.0.1:{server.port}", timeout=0.3)

    assert "timeout" == response.reason


def test_slow_responses_over_tls_end_at_the_deadline(authority):
    """The clock is one for the whole request, under TLS too."""

    def talk(conn):
        conn.recv(65536)
        for byte in OK[:20] + b"x" * 10_000:
            conn.sendall(bytes([byte]))
            time.sleep(0.03)

    with Server(talk, context=authority.server_context("127.0.0.1")) as server:
        response = within(15, lambda: post(server.url, timeout=0.5))

    assert "timeout" == response.reason


def test_a_client_certificate_is_shown(authority):
    """mTLS: the server gets the endpoint's certificate."""
    seen = []

    def talk(conn):
        seen.append(conn.getpeercert())
        server.respond_to_all(conn)

    context = authority.server_context("127.0.0.1", request_client_certificate=True)
    with Server(talk, context=context) as server:
        response = post(server.url, client_certificate=authority.issue("our client"))

    assert 200 == response.status_code
    assert ((("commonName", "our client"),),) == seen[0]["subject"]


def test_without_the_client_certificate_it_fails(authority):
    """A server that requests one and gets none ends the connection: reason `tls`."""
    context = authority.server_context("127.0.0.1", request_client_certificate=True)
    with Server(context=context) as server:
        response = post(server.url)

        assert ([], None) == (server.requests, response.status_code)
    assert response.reason in ("tls", "connect")


@pytest.mark.parametrize("pem", ["rubbish", "-----BEGIN CERTIFICATE-----\nAA\n"])
def test_a_client_certificate_that_cannot_be_used(pem):
    """It is reported when the sender is made, without quoting the key."""
    with pytest.raises(ConfigurationError) as caught:
        Sender(LOOPBACK, client_certificate=pem)

    assert pem not in str(caught.value)
