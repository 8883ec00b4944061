# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Connections to checked addresses only.

The name is resolved once, every address is checked, and the socket is connected to
one of these addresses: if the name resolves to another one a moment later, this has no
effect. TLS, its server name and the Host header use the name.
"""

import socket
from time import monotonic

from urllib3.connection import HTTPConnection, HTTPSConnection

from ..egress.resolver import resolve


class HandshakeFailed(Exception):
    """The peer was reached, but TLS failed; the cause says why."""


class _Guarded:
    """Mixed into urllib3's connections, 1.26 and 2 alike: both dial in `_new_conn`."""

    guard = None
    deadline = 0.0
    dialed = None

    def _new_conn(self):
        host = self._dns_host.strip("[]")
        self.dialed = self.guard.dial(host, self.port, self.deadline)
        return self.dialed


class GuardedHTTPConnection(_Guarded, HTTPConnection):
    """http, to a checked address."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """https, to a checked address."""


class Guard:
    """Opens connections under a `Policy`.

    policy: checks the addresses (see `egress.Policy`)
    tls: SSL context of https connections
    lookup: see `resolve.resolve`
    proxy: `proxy.Proxy` that tunnels to the checked address, or None
    """

    def __init__(self, policy, tls, lookup=None, proxy=None):
        self._policy = policy
        self._tls = tls
        self._lookup = lookup
        self._proxy = proxy

    def connect(self, scheme, host, port, deadline):
        """A connected socket, after the TLS handshake.

        Raises EgressRefused, NotResolved, TimeoutError, OSError, HandshakeFailed.
        """
        if scheme == "https":
            connection = GuardedHTTPSConnection(host, port, ssl_context=self._tls())
            connection.cert_reqs = "CERT_REQUIRED"  # an attribute in 1.26
            connection.assert_hostname = None  # the host of the URL
        else:
            connection = GuardedHTTPConnection(host, port)
        connection.guard = self
        connection.deadline = deadline
        try:
            connection.connect()
        except Exception as error:
            connection.close()
            if connection.dialed is None:
                raise
            connection.dialed.close()
            if isinstance(error, TimeoutError):
                raise
            raise HandshakeFailed from error
        return connection.sock

    def dial(self, host, port, deadline):
        """A TCP connection to the first checked address that accepts it."""
        found = resolve(host, port, deadline, self._lookup)
        self._policy.check(host, [sockaddr[0] for _, sockaddr in found])
        while True:
            (family, sockaddr), *found = found
            try:
                if self._proxy:
                    return self._proxy.open_tunnel(sockaddr[0], port, deadline)
                return _dial(family, sockaddr, deadline, len(found) + 1)
            except OSError:
                if not found or monotonic() >= deadline:
                    raise


def _dial(family, sockaddr, deadline, tries):
    """Connect within a share of the time: the next addresses need some too."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(left / tries)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(sockaddr)
        # The TLS handshake and the rest may use all the remaining time.
        sock.settimeout(max(0.001, deadline - monotonic()))
    except BaseException:
        sock.close()
        raise
    return sock
