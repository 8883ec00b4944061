# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The sender against peers and networks of every kind, on real sockets."""

import gzip
import socket
import threading
import time

import pytest
from sockets import LOOPBACK, OK, Server, responding, within

from services.egress.policy import Policy
from services.http.client import Sender
from services.http.encoding import encode


@pytest.fixture
def sender():
    sender = Sender(LOOPBACK)
    yield sender
    sender.close()


def encoded(server, path="/hook", **more):
    url = server if isinstance(server, str) else server.url + path
    return encode({"method": "POST", "url": url, "json": {"a": 1}, **more})


def timed(sender, server, timeout, **more):
    """The response; fails if the deadline isn't kept (the peers take minutes)."""
    request = encoded(server, **more)
    return within(timeout + 5, lambda: sender.send(request, timeout=timeout))


def drip(data, seconds=0.05):
    """A talk that sends one byte after the other."""

    def talk(conn):
        conn.recv(65536)
        for byte in data:
            conn.sendall(bytes([byte]))
            time.sleep(seconds)

    return Server(talk)


def test_a_response_is_read_completely(sender):
    """Status, headers in order, body and times are what came."""
    raw = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\nbody"
    before = time.time()
    with responding(raw) as server:
        response = sender.send(encoded(server), timeout=5)

    assert (201, b"body", "", None) == (
        response.status_code,
        response.body,
        response.reason,
        response.error,
    )
    assert (("X-A", "1"), ("x-a", "2"), ("Content-Length", "4")) == response.headers
    assert before <= response.started_at <= time.time()
    assert 0 < response.duration


def test_one_connection_serves_many_requests(sender):
    """A connection is kept, and another place gets one of its own."""
    with Server() as one, Server() as other:
        for _ in range(20):
            assert 200 == sender.send(encoded(one), timeout=5).status_code
            assert 200 == sender.send(encoded(other), timeout=5).status_code

        assert (1, 1) == (one.connections, other.connections)


def test_a_connection_closed_by_the_peer_is_not_used_again(sender):
    """Otherwise the next delivery would fail though nothing is wrong."""
    with responding(OK) as server:
        for _ in range(3):
            assert 200 == sender.send(encoded(server), timeout=5).status_code
            time.sleep(0.05)

        assert (3, 3) == (server.connections, len(server.requests))


def test_a_connection_with_stray_bytes_is_not_used_again(sender):
    """What a peer says unasked must not become the response to the next request."""
    stray = b"HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n"
    with responding(OK + stray, close=False) as server:
        for _ in range(3):
            assert 200 == sender.send(encoded(server), timeout=5).status_code

        assert 3 == server.connections


def dying(last_bytes=b"", reset=False):
    """Responds to one request per connection; the next ends it after `last_bytes`."""

    def talk(conn):
        server.read_request(conn)
        conn.sendall(OK)
        server.read_request(conn)
        conn.sendall(last_bytes)
        if reset:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    server = Server(talk)
    return server


@pytest.mark.parametrize("reset", [False, True])
def test_a_kept_connection_that_dies_is_replaced_once(sender, reset):
    """The request is sent again on a new connection, as a note says.

    Servers close idle connections at any moment; that is not a failure of theirs, and
    used up a retry and counted for the circuit.
    """
    with dying(reset=reset) as server:
        sender.send(encoded(server), timeout=5)
        response = sender.send(encoded(server), timeout=5)

        assert (200, "", 1) == (
            response.status_code,
            response.reason,
            len(response.notes),
        )
        assert "sent again on a new connection" in str(response.notes[0])
        assert (2, 3) == (server.connections, len(server.requests))
        assert server.requests[1] == server.requests[2]


def test_a_new_connection_that_dies_is_a_failure(sender):
    """Nothing is sent a third time, and the first connection isn't replaced at all."""

    def talk(conn):
        server.read_request(conn)

    with Server(talk) as server:
        response = sender.send(encoded(server), timeout=5)

        assert ("connect", None, ()) == (
            response.reason,
            response.status_code,
            response.notes,
        )
        assert 1 == len(server.requests)


def test_a_request_with_a_partial_response_is_not_sent_again(sender):
    """One byte of a response says that the receiver has worked on the request."""
    with dying(b"H") as server:
        sender.send(encoded(server), timeout=5)
        response = sender.send(encoded(server), timeout=5)

        assert ("response", None) == (response.reason, response.status_code)
        assert 2 == len(server.requests)


def test_a_kept_connection_that_falls_silent_is_not_replaced(sender):
    """The deadline is one for both tries: a timeout is a timeout."""

    def talk(conn):
        server.read_request(conn)
        conn.sendall(OK)
        server.read_request(conn)
        time.sleep(3)

    with Server(talk) as server:
        sender.send(encoded(server), timeout=5)
        response = timed(sender, server, 0.3)

        assert ("timeout", ()) == (response.reason, response.notes)
        assert 2 == len(server.requests)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nName : value\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    ],
)
def test_a_success_on_an_open_connection_is_one_at_once(sender, head):
    """A body whose end is unknown is read for a second, not until the timeout."""

    def talk(conn):
        server.read_request(conn)
        conn.sendall(head + b"body")
        conn.recv(1)  # until the sender closes the connection

    with Server(talk) as server:
        request = encoded(server)
        response = within(15, lambda: sender.send(request, timeout=60))

    assert (200, b"body", "", 1) == (
        response.status_code,
        response.body,
        response.reason,
        len(response.notes),
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(sender, status):
    """3xx is a response like others; nobody goes to its Location."""
    with Server() as inside:
        head = f"HTTP/1.1 {status} x\r\nLocation: {inside.url}\r\n"
        raw = f"{head}Content-Length: 0\r\n\r\n".encode()
        with responding(raw) as server:
            assert status == sender.send(encoded(server), timeout=5).status_code

        assert 0 == inside.connections


def test_proxies_and_netrc_of_the_environment_are_ignored(
    sender, monkeypatch, tmp_path
):
    """What is in the environment of a server changes no delivery."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Server() as proxy, Server() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        response = sender.send(encoded(server), timeout=5)

        assert (200, 0) == (response.status_code, proxy.connections)
        assert b"authorization" not in server.requests[0].lower()


def test_refused_and_reset_connections(sender):
    """Nobody listening, and a peer that resets, are connection failures."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = sender.send(encoded(f"http://127.0.0.1:{port}/"), timeout=5)

    def reset(conn):
        server.read_request(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Server(reset) as server:
        broken = sender.send(encoded(server), timeout=5)

    assert ("connect", "connect") == (refused.reason, broken.reason)
    assert str(port) in str(refused.error)


@pytest.mark.parametrize(
    "raw", [b"garbage\r\n\r\n", b"\x00" * 100, OK[:11], b"HTTP/1.1 200 OK\r\n" * 5000]
)
def test_responses_that_are_not_http(sender, raw):
    """Garbage, floods and half a head have the reason `response`."""
    with responding(raw) as server:
        response = sender.send(encoded(server), timeout=5)

    assert ("response", None) == (response.reason, response.status_code)
    assert str(response.error)


def test_a_silent_peer_ends_at_the_deadline(sender):
    """Accepts and never responds."""
    with Server(lambda conn: time.sleep(5)) as server:
        assert "timeout" == timed(sender, server, 0.3).reason


def test_a_full_backlog_ends_at_the_deadline(sender):
    """The connection isn't even accepted."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        crowd = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(address)
            crowd.append(each)
        response = timed(sender, f"http://127.0.0.1:{address[1]}/", 0.3)
        for each in crowd:
            each.close()

    assert "timeout" == response.reason


def test_dripped_headers_end_at_the_deadline(sender):
    """One byte at a time never restarts the clock."""
    with drip(OK * 10) as server:
        response = timed(sender, server, 0.4)

    assert ("timeout", None) == (response.reason, response.status_code)


def test_a_dripped_body_ends_at_the_deadline(sender):
    """The status is known by then and stays; the body is marked as broken."""

    def talk(conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            conn.sendall(b"x")
            time.sleep(0.02)

    with Server(talk) as server:
        response = timed(sender, server, 0.4)

    assert ("timeout", 200, True) == (
        response.reason,
        response.status_code,
        response.broken,
    )
    assert response.body.startswith(b"xxx")


@pytest.mark.parametrize("size", [1_000, 50_000_000])
def test_a_peer_that_does_not_read_ends_at_the_deadline(sender, size):
    """A body that the network doesn't take holds nobody up."""
    with Server(lambda conn: time.sleep(5)) as server:
        response = timed(sender, server, 0.5, json="x" * size)

    assert "timeout" == response.reason


def test_a_peer_that_reads_slowly_ends_at_the_deadline(sender):
    """Each piece that is taken must not restart the clock."""

    def talk(conn):
        while conn.recv(4096):
            time.sleep(0.01)

    with Server(talk) as server:
        response = timed(sender, server, 0.5, json="x" * 50_000_000)

    assert "timeout" == response.reason


def test_an_early_response_counts(sender):
    """A peer may refuse a big body and close before it has read it (RFC 9110)."""

    def talk(conn):
        conn.recv(100)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        conn.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and conn.recv(65536):
            pass

    with Server(talk) as server:
        response = sender.send(encoded(server, json="x" * 5_000_000), timeout=5)

    assert 413 == response.status_code


def test_interim_responses_are_skipped(sender):
    """100 and 103 are not the response."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with responding(early + OK) as server:
        assert (200, b"ok") == (
            (response := sender.send(encoded(server), timeout=5)).status_code,
            response.body,
        )


def test_a_truncated_body_is_reported(sender):
    """The status counts, and a user can see that the body is incomplete."""
    with responding(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") as server:
        response = sender.send(encoded(server), timeout=5)

    assert (200, b"half", True, "") == (
        response.status_code,
        response.body,
        response.broken,
        response.reason,
    )


def test_an_endless_body_is_cut_and_the_connection_dropped(sender):
    """A gigabyte is neither read nor waited for."""
    sent = []

    def talk(conn):
        server.read_request(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                sent.append(conn.send(b"x" * 65536))
        except OSError:
            dropped.set()

    dropped = threading.Event()
    with Server(talk) as server:
        response = sender.send(encoded(server), timeout=5)
        assert dropped.wait(2)

    assert (200, 65536, True, "") == (
        response.status_code,
        len(response.body),
        response.truncated,
        response.reason,
    )
    assert sum(sent) < 50_000_000


def test_a_packed_body_is_unpacked(sender):
    """We say that we take gzip, so we read it."""
    body = gzip.compress(b"text")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}"
    with responding(head.encode() + b"\r\n\r\n" + body) as server:
        assert b"text" == sender.send(encoded(server), timeout=5).body


def test_a_name_that_does_not_resolve(monkeypatch):
    """An error of the resolver, and an empty result, have the reason `dns`."""

    def unknown(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    for lookup in (unknown, lambda host, port: []):
        response = Sender(LOOPBACK, lookup=lookup).send(
            encoded("http://a.example/"), timeout=5
        )

        assert "dns" == response.reason
        assert "a.example" in str(response.error)


def test_a_resolver_that_hangs_ends_at_the_deadline():
    """The system's resolver can't be stopped; nobody waits for it."""
    hanging = Sender(LOOPBACK, lookup=lambda host, port: time.sleep(3))

    assert "dns" == timed(hanging, "http://a.example/", 0.3).reason


def test_the_next_address_is_tried():
    """A dead first address leaves time for the second."""
    with Server() as server:
        with socket.create_server(("127.0.0.2", 0)) as closed:
            dead = closed.getsockname()
        both = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (dead, ("127.0.0.1", server.port))
        ]
        sender = Sender(LOOPBACK, lookup=lambda host, port: both)

        response = sender.send(encoded("http://a.example/"), timeout=5)

        assert 200 == response.status_code
        assert b"Host: a.example\r\n" in server.requests[0]


def test_a_refused_address_is_reported():
    """The reason is `egress`, nothing connects, and the message names who can help."""
    with Server() as server:
        response = Sender(Policy()).send(encoded(server), timeout=5)

        assert ("egress", 0) == (response.reason, server.connections)
        assert "allowed_networks" in str(response.error)


def test_an_error_of_our_own_is_a_response_too():
    """`send` never raises: a lane must not stop at one request."""

    def broken(host, port):
        return [("not", "an", "address")]

    response = Sender(LOOPBACK, lookup=broken).send(
        encoded("http://a.example/"), timeout=5
    )

    assert "response" == response.reason
