# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lack of resources in this process is distinguished from faults of the target."""

import contextlib
import errno
import resource

import pytest
from sockets import LOOPBACK, OK, Server

from services.http.client import Sender
from services.http.encoding import encode
from services.shortage import REASON, Shortage


@contextlib.contextmanager
def no_open_files():
    """No file or socket can be opened while the block runs."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def post(sender, url):
    return sender.send(request(url), timeout=5)


def request(url):
    return encode({"method": "POST", "url": url, "json": {"a": 1}})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_open_files(host):
    """Neither "no connection" nor "name not resolved": the target has no part in it."""
    with Server() as server:
        sender = Sender(LOOPBACK)
        encoded = request(f"http://{host}:{server.port}/")
        with no_open_files():
            response = sender.send(encoded, timeout=5)
        after = sender.send(encoded, timeout=5)
        sender.close()

    assert (REASON, None) == (response.reason, response.status_code)
    assert "open files" in str(response.error)
    assert 200 == after.status_code


def test_a_kept_connection_needs_no_file():
    """With a connection at hand requests are sent all the same."""
    with Server() as server:
        sender = Sender(LOOPBACK)
        post(sender, server.url)
        with no_open_files():
            response = post(sender, server.url)
        sender.close()

    assert 200 == response.status_code


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread")]
)
def test_while_resolving(error):
    """No memory or thread for the resolver is not the name's fault."""

    def lookup(host, port):
        raise error

    response = post(Sender(LOOPBACK, lookup=lookup), "http://a.example/")

    assert REASON == response.reason


def test_a_name_that_does_not_resolve_is_no_shortage():
    """With files left a resolver that fails reports the name."""

    def lookup(host, port):
        raise OSError("no such name")

    response = post(Sender(LOOPBACK, lookup=lookup), "http://a.example/")

    assert "dns" == response.reason


def test_once_sending_began_the_target_may_have_it(monkeypatch):
    """Then it isn't returned as never sent: the attempt stays on record."""
    with Server(lambda conn: conn.sendall(OK)) as server:
        sender = Sender(LOOPBACK)

        def out_of_memory(*_args):
            raise MemoryError

        monkeypatch.setattr("services.http.client.read_response", out_of_memory)
        response = post(sender, server.url)

    assert "interrupted" == response.reason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENFILE, "File table overflow"), "open files"),
        (OSError(errno.ENOBUFS, "No buffer space"), "memory"),
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), None),
        (RuntimeError("something else"), None),
        (TimeoutError(), None),
        (None, None),
    ],
)
def test_what_counts(error, expected):
    """By number and by kind; the cause of an error counts as well."""
    wrapped = ValueError("outside")
    wrapped.__cause__ = error

    for each in (error, wrapped):
        found = Shortage.of(each)
        assert (found is None) == (expected is None)
        if found:
            assert expected in str(found)
