# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends encoded requests, one at a time, over kept connections.

One sender belongs to one thread. It never follows a redirect, and reads neither netrc
nor proxies from the environment. It sends a request again in one case only: a kept
connection that turns out to be dead before any byte of a response came.
"""

import logging
import ssl
import time
from contextlib import suppress
from functools import partial
from time import monotonic

from urllib3.util.wait import wait_for_read

from ..egress.resolver import NotResolved
from ..errors import ConfigurationError, EgressRefused, Message, _lt
from ..shortage import REASON as SHORTAGE
from ..shortage import Shortage, lacks_files
from .connection import Guard, HandshakeFailed
from .response import BadResponse, HttpResponse, NoResponse, read_response
from .tls import tls_context

_logger = logging.getLogger(__name__)

_KEPT = 8  # connections, each to another host
_IDLE = 30.0  # seconds; after that a middlebox may have dropped it silently
_JOIN = 64 * 1024  # up to this size a body is sent together with its headers
_RESENT = Message(
    _lt(
        "The kept connection had been closed before any byte of a response came. The "
        "request was sent again on a new connection."
    )
)


class Sender:
    """Sends requests to hosts that the policy allows.

    policy: see `egress.Policy`
    client_certificate: PEM text of certificate and private key, or None
    lookup: replaces the resolver in tests, see `resolve.resolve`
    proxy: `proxy.Proxy` to go through, or None
    Raises ConfigurationError when the certificate can't be used.
    """

    def __init__(self, policy, *, client_certificate=None, lookup=None, proxy=None):
        self._guard = Guard(
            policy, partial(tls_context, client_certificate), lookup, proxy
        )
        if client_certificate:
            tls_context(client_certificate)
        self._kept = {}

    def send(self, encoded, *, timeout):
        """Send one `EncodedRequest`; the returned `HttpResponse` reports failures too.

        timeout: seconds in all, for resolving, connecting, TLS, sending and reading,
        however slowly the peer sends
        """
        started_at = time.time()
        start = monotonic()
        deadline = start + timeout
        notes = []
        try:
            link, response = self._respond(encoded, deadline, notes)
        except Exception as error:
            reason, said = _explain(error, encoded, timeout)
            response = HttpResponse(reason=reason, error=said)
        else:
            if response.reusable:
                self._keep(encoded, link)
            else:
                link.close()
            # Its traceback would keep the buffers of the connection.
            failure, response.failure = response.failure, None
            if isinstance(failure, TimeoutError):
                response.reason, response.error = _explain(failure, encoded, timeout)
        if notes:
            response.notes = (*notes, *response.notes)
        response.started_at, response.duration = started_at, monotonic() - start
        return response

    def close(self):
        """Close the kept connections. The sender may be used again."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _respond(self, encoded, deadline, notes):
        """The connection that was used, and the response on it."""
        kept = self._take_kept(encoded)
        if kept:
            try:
                return kept, _exchange(kept, encoded, deadline)
            except TimeoutError:
                raise
            except (NoResponse, OSError):
                if kept.has_received:
                    raise
        link = self._connect(encoded, deadline)
        if kept:
            notes.append(_RESENT)
        return link, _exchange(link, encoded, deadline)

    def _take_kept(self, encoded):
        link = self._kept.pop((encoded.scheme, encoded.host, encoded.port), None)
        if link and not link.is_alive():
            link.close()
            return None
        return link

    def _connect(self, encoded, deadline):
        try:
            sock = self._guard.connect(
                encoded.scheme, encoded.host, encoded.port, deadline
            )
        except Exception as error:
            shortage = Shortage.of(error)
            if shortage is None and isinstance(error, NotResolved):
                shortage = Shortage.of(lacks_files())
            if shortage:
                raise shortage from error
            raise
        return Link(sock)

    def _keep(self, encoded, link):
        link.idle_since = monotonic()
        self._kept[encoded.scheme, encoded.host, encoded.port] = link
        if len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept))).close()


def _exchange(link, encoded, deadline):
    """Send and read; closes the connection if that fails."""
    try:
        link.send(encoded, deadline)
        return read_response(link, encoded.method, encoded.response_limit)
    except BaseException:
        link.close()
        raise


class Link:
    """One connection, with a deadline for every call that may block."""

    def __init__(self, sock):
        self._sock = sock
        self._deadline = 0.0
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.has_received = False  # since the last request
        self.idle_since = 0.0

    def is_alive(self):
        """Whether a kept connection can take another request.

        Data to read means that the peer closed it, or sent something unrequested.
        """
        if monotonic() - self.idle_since > _IDLE:
            return False
        return not wait_for_read(self._sock, timeout=0)

    def send(self, encoded, deadline):
        """Send the whole request. Raises OSError, TimeoutError."""
        self._deadline = deadline
        self.has_received = False
        body = encoded.compressed or encoded.body
        data = encoded.head()
        if body and len(body) <= _JOIN:
            data += body
            body = None
        # The peer may have responded before it closed: try to read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send_all(data)
            if body:
                self._send_all(body)

    def receive_into(self, buffer):
        """How many bytes were received into `buffer`; 0 when the peer closed."""
        self._limit()
        count = self._sock.recv_into(buffer)
        if count:
            self.has_received = True
        return count

    def hurry(self, seconds):
        """Shorten the deadline to at most so many seconds from now."""
        self._deadline = min(self._deadline, monotonic() + seconds)

    def close(self):
        """Close the connection; never raises."""
        with suppress(OSError):
            self._sock.close()

    def _send_all(self, data):
        self._limit()
        if not self._is_tls:
            self._sock.sendall(data)  # the timeout applies to the whole call
            return
        view = memoryview(data)
        while view:  # sendall of a TLS socket would restart the timeout each time
            view = view[self._sock.send(view[:65536]) :]
            self._limit()

    def _limit(self):
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


def _explain(error, encoded, timeout):
    """Failure reason and message of an error."""
    place = {"host": encoded.host, "port": encoded.port}
    if isinstance(error, Shortage):  # before anything was sent
        return SHORTAGE, error.message
    shortage = Shortage.of(error)
    if shortage:
        return "interrupted", shortage.message
    if isinstance(error, EgressRefused | NotResolved):
        reason = "egress" if isinstance(error, EgressRefused) else "dns"
        return reason, error.message
    if isinstance(error, TimeoutError):
        said = _lt(
            "no complete response from %(host)s:%(port)s within %(seconds)s seconds. "
            "Check that server, or raise the endpoint's timeout."
        )
        return "timeout", Message(said, {**place, "seconds": f"{timeout:g}"})
    if isinstance(error, BadResponse):
        said = _lt(
            "%(host)s:%(port)s sent no valid response: %(why)s. Check that a web "
            "server listens there."
        )
        return "response", Message(said, {**place, "why": error.message})
    if isinstance(error, NoResponse):
        said = _lt(
            "%(host)s:%(port)s closed the connection without a response. Check that "
            "server."
        )
        return "connect", Message(said, place)
    values = {**place, "error": _summary(error.__cause__ or error)}
    if isinstance(error, HandshakeFailed | ssl.SSLError):
        said = _lt(
            "TLS with %(host)s:%(port)s failed: %(error)s. Check name, chain and date "
            "of that server's certificate."
        )
        return "tls", Message(said, values)
    if isinstance(error, OSError):
        said = _lt(
            "the connection to %(host)s:%(port)s failed: %(error)s. Check that the "
            "server is up, its host and port, and firewalls."
        )
        return "connect", Message(said, values)
    if isinstance(error, ConfigurationError):
        return "tls", error.message
    # A bug in the sender.
    _logger.error("sending to %s failed", encoded.host, exc_info=error)
    said = _lt(
        "sending to %(host)s:%(port)s failed: %(error)s. See the log of this Odoo "
        "server."
    )
    return "response", Message(said, values)


def _summary(error):
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rstrip(".")
