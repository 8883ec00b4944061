# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Heads of responses as `requests` reads them: it is the reference for receivers."""

import random
import socket
import threading
from contextlib import suppress

import pytest
import requests
from sockets import LOOPBACK

from services.http.client import Sender
from services.http.encoding import encode

STATUS_LINES = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.1  200  OK",
    "HTTP/1.1 200 OK  ",
    "HTTP/1.0 201 Created",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 299 \xfc\xdf",
    "HTTP/1.1\t200\tOK",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 503 Busy",
    "HTTP/1.9 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/2 200",
    "ICY 200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 abc OK",
    "HTTP/1.1 99 x",
    "HTTP/1.1 1000 x",
    "HTTP/1.1",
    "",
    "200 OK",
    "\x16\x03\x01",
]
LINES = [
    "Name : value",
    "No colon",
    ": empty name",
    " leading: blank",
    "\ttab: first",
    "A: b\x00c",
    "A: b\x0bc\x0c\x1c\x85d",
    "A: b\rc",
    "A: folded\r\n  over lines",
    "A:no blank",
    "A:   many   ",
    "A:",
    "\xfc: latin",
    "A: \xfc\xe4",
    "From me",
    "Content-Length: -1",
    "Content-Length: +4",
    "Content-Length: four",
    "Content-Length:",
    "Content-Length: 4, 4",
    "Content-Length: 99999999999999999999999",
    "Content-Type: multipart/form-data",
    "Content-Type: message/rfc822",
    "Content-Type: multipart/mixed; boundary*=x''%ff",
    "Content-Type: text/plain; charset*0*=a''b; charset*1=c",
    "Content-Encoding: identity",
    "Connection: close",
    "Connection: keep-alive, x",
    "Set-Cookie: a=1",
    "set-cookie: b=2",
    'X-Quote: "a, b"',
    "Retry-After: 5",
    "Location: /elsewhere",
    "Upgrade: h2c",
    "Transfer-Encoding: identity",
    "Trailer: x",
    "Name\x00: value",
    "Na me: value",
    "(x): y",
]


def heads():
    """Each line alone, each status line alone, and mixtures of them."""
    dice = random.Random(11)
    for status in STATUS_LINES:
        yield f"{status}\r\n\r\n"
        yield f"{status}\n\n"
    for line in LINES:
        yield f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n"
        yield f"HTTP/1.1 200 OK\r\nA: 1\r\n{line}\r\nX-Last: 2\r\n\r\n"
    for _ in range(300):
        lines = dice.sample(LINES, dice.randint(1, 4))
        if sum(line.startswith("Content-Length") for line in lines) > 1:
            continue  # requests reads none with two lengths; we keep its status
        end = dice.choice(["\r\n", "\r\n", "\n"])
        yield end.join([dice.choice(STATUS_LINES[:9]), *lines, "", ""])


class HeadServer:
    """A server that responds to each request with `head` and closes."""

    def __init__(self):
        self.head = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self):
        with suppress(OSError):
            while True:
                conn, _address = self._socket.accept()
                with conn:
                    conn.recv(65536)
                    conn.sendall(self.head)
                    conn.shutdown(socket.SHUT_WR)
                    while conn.recv(65536):  # what is unread would reset it
                        pass


@pytest.fixture(scope="module")
def server():
    server = HeadServer()
    yield server
    server.close()


def by_requests(url):
    """(status, headers with lower names, repeated ones joined), None for none."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.post(
                url, data=b"x", allow_redirects=False, stream=True, timeout=10
            )
        except requests.RequestException:
            return None
        pairs = response.raw.headers.items()
        response.close()
    return response.status_code, normal(pairs)


def normal(pairs):
    joined = {}
    for name, value in pairs:
        value = " ".join(value.split())
        joined.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in joined.items()}


def by_us(url):
    sender = Sender(LOOPBACK)
    encoded = encode({"method": "POST", "url": url, "data": b"x"})
    response = sender.send(encoded, timeout=10)
    sender.close()
    if response.status_code is None:
        return None
    return response.status_code, normal(response.headers)


def test_heads_as_requests_reads_them(server):
    """Status and headers of some four hundred heads, well formed and not.

    A head that `requests` reads is a response here too: a success that is taken for a
    failure is sent again.
    """
    different = []
    for head in heads():
        server.head = head.encode("latin-1")
        theirs, ours = by_requests(server.url), by_us(server.url)
        if theirs != ours:
            different.append((head, theirs, ours))

    assert [] == different
