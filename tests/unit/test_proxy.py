# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The way out through a proxy: `services/http/proxy.py`."""

import contextlib
import socket
import threading

import pytest
from certificates import Authority
from sockets import LOOPBACK, Server

from services.egress.policy import Policy
from services.errors import ConfigurationError
from services.http.client import Sender
from services.http.encoding import encode
from services.http.proxy import Proxy

OPENING = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Tunnels:
    """A proxy that opens every tunnel with `opening`, or refuses with `refusal`."""

    def __init__(self, refusal=None, opening=OPENING):
        self.refusal = refusal
        self.opening = opening
        self.heads = []
        self.server = Server(self.talk)

    def talk(self, conn):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += conn.recv(1)
        self.heads.append(head.decode())
        if self.refusal:
            conn.sendall(self.refusal)
            return
        host, _, port = head.split(b" ", 2)[1].decode().rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as target:
            conn.sendall(self.opening)
            back = threading.Thread(target=pump, args=(target, conn), daemon=True)
            back.start()
            pump(conn, target)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def post(url, proxy, policy=LOOPBACK, lookup=None):
    sender = Sender(policy, proxy=proxy, lookup=lookup)
    try:
        encoded = encode({"method": "POST", "url": url, "json": {}})
        return sender.send(encoded, timeout=5)
    finally:
        sender.close()


def through(tunnels, credentials=""):
    return Proxy("127.0.0.1", tunnels.server.port, credentials)


def test_requests_go_through_the_tunnel():
    """The proxy gets the checked address, and no name to resolve."""
    tunnels = Tunnels()

    with Server() as target, tunnels.server:
        response = post(
            f"http://shop.example:{target.port}/x",
            through(tunnels, "me:secret"),
            Policy.parse("shop.example"),
            lookup=lambda *_args, **_kwargs: [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", target.port))
            ],
        )

    assert 200 == response.status_code
    assert f"CONNECT 127.0.0.1:{target.port} HTTP/1.1" in tunnels.heads[0]
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in tunnels.heads[0]
    assert b"Host: shop.example" in target.requests[0]


def test_a_proxy_is_no_way_round_the_guard():
    """An address that may not be connected to isn't requested from the proxy either."""
    tunnels = Tunnels()

    with Server() as target, tunnels.server:
        response = post(target.url, through(tunnels), Policy())

    assert "egress" == response.reason
    assert [] == tunnels.heads
    assert 0 == target.connections


def test_tls_inside_the_tunnel_is_verified(tmp_path):
    """A proxy that put its own server there would not be believed."""
    authority = Authority(tmp_path)
    tunnels = Tunnels()

    with (
        Server(context=authority.server_context("127.0.0.1")) as target,
        tunnels.server,
    ):
        response = post(target.url, through(tunnels))

    assert "tls" == response.reason
    assert [] == target.requests


def test_a_refused_tunnel_is_no_connection():
    """It is tried again like a target that isn't reached, and says what was said."""
    tunnels = Tunnels(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with tunnels.server:
        response = post("http://127.0.0.1:9/x", through(tunnels))

    assert "connect" == response.reason


@pytest.mark.parametrize(
    "text", ["proxy:3128", "https://proxy:3128", "http://proxy", "http://proxy:x"]
)
def test_what_is_no_proxy_is_refused(text):
    """A mistyped proxy stops deliveries with a message; it isn't left out silently."""
    with pytest.raises(ConfigurationError, match="http://host:port"):
        Proxy.parse(text)


def test_no_proxy_is_none():
    """Nothing is taken from the environment."""
    assert Proxy.parse("") is None
    assert Proxy.parse(False) is None


@pytest.mark.parametrize(
    "opening",
    [
        b"HTTP/1.1  200  OK\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 OK\nName : x\n\n",
    ],
)
def test_odd_heads_of_a_proxy(opening):
    """A proxy that says 200 has opened the tunnel, however it writes it."""
    tunnels = Tunnels(opening=opening)

    with Server() as target, tunnels.server:
        response = post(target.url, through(tunnels))

    assert (200, "") == (response.status_code, response.reason)
