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
from ..errors import ConfigurationError, EgressRefused, _lt
from ..shortage import REASON as SHORTAGE
from ..shortage import Shortage, lacks_files, shortage_of
from .connection import Guard, HandshakeFailed
from .response import Answer, BadResponse, NoResponse, read_reply
from .tls import tls_context

_logger = logging.getLogger(__name__)

_KEPT = 8  # connections to as many places
_IDLE = 30.0  # seconds; longer and a middle box may have forgotten it silently
_JOIN = 64 * 1024  # up to this size a body is sent in one piece with its head
_RESENT = _lt(
    "The kept connection had been closed before any byte of a response came. The "
    "request was sent again on a new connection."
)


class Sender:
    """Sends requests to where the policy lets them go.

    policy: see `egress.Policy`
    client_certificate: PEM text of certificate and private key, or None
    lookup: resolver of one's own for tests, see `resolve.resolve`
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

    def send(self, wire, *, timeout, turn=None):
        """The `Answer` to one `WireRequest`; whatever goes wrong is in there too.

        timeout: seconds for everything together: resolving, connecting, TLS,
        sending, and reading, however slowly the peer drips.
        turn: the thread's `turns.Turn`, let go as soon as something takes long
        """
        started_at = time.time()
        start = monotonic()
        deadline = start + timeout
        notes = []
        try:
            link, reply = self._respond(wire, deadline, turn, notes)
        except Exception as error:
            reason, said = _explain(error, wire, timeout)
            return Answer(
                reason=reason,
                error=said,
                started_at=started_at,
                duration=monotonic() - start,
                notes=tuple(notes),
            )
        if reply.reusable:
            self._keep(wire, link)
        else:
            link.close()
        reason, said = "", None
        if isinstance(reply.failure, TimeoutError):
            reason, said = _explain(reply.failure, wire, timeout)
        if reply.note:
            notes.append(reply.note)
        return Answer(
            reply.status,
            reply.headers,
            reply.body,
            reply.truncated,
            reply.broken,
            reason,
            said,
            started_at,
            monotonic() - start,
            tuple(notes),
        )

    def close(self):
        """Close the kept connections. The sender may be used again."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _respond(self, wire, deadline, turn, notes):
        """The connection that was used, and the reply that came on it."""
        kept = self._take_kept(wire)
        if kept:
            try:
                return kept, _exchange(kept, wire, deadline, turn)
            except TimeoutError:
                raise
            except (NoResponse, OSError):
                if kept.has_received:
                    raise
        link = self._connect(wire, deadline, turn)
        if kept:
            notes.append((_RESENT, {}))
        return link, _exchange(link, wire, deadline, turn)

    def _take_kept(self, wire):
        link = self._kept.pop((wire.scheme, wire.host, wire.port), None)
        if link and not link.is_alive():
            link.close()
            return None
        return link

    def _connect(self, wire, deadline, turn):
        if turn:
            turn.let_go()
        try:
            sock = self._guard.connect(wire.scheme, wire.host, wire.port, deadline)
        except Exception as error:
            shortage = Shortage.of(error)
            if shortage is None and isinstance(error, NotResolved):
                shortage = Shortage.of(lacks_files())
            if shortage:
                raise shortage from error
            raise
        return Link(sock)

    def _keep(self, wire, link):
        link.idle_since = monotonic()
        self._kept[wire.scheme, wire.host, wire.port] = link
        if len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept))).close()


def _exchange(link, wire, deadline, turn):
    """Send and read; a connection on which that fails is closed."""
    try:
        link.send(wire, deadline, turn)
        return read_reply(link, wire.method)
    except BaseException:
        link.close()
        raise


class Link:
    """One connection with a deadline on every call that may block."""

    def __init__(self, sock):
        self._sock = sock
        self._deadline = 0.0
        self._turn = None
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.has_received = False  # since the last request
        self.idle_since = 0.0

    def is_alive(self):
        """Whether a kept connection can take another request.

        Anything to read means that the peer closed, or talks out of turn.
        """
        if monotonic() - self.idle_since > _IDLE:
            return False
        return not wait_for_read(self._sock, timeout=0)

    def send(self, wire, deadline, turn=None):
        """Send the whole request. Raises OSError, TimeoutError."""
        self._deadline = deadline
        self._turn = turn
        self.has_received = False
        body = wire.body
        data = wire.head()
        if body and len(body) <= _JOIN:
            data += body
            body = None
        # The peer may have answered before it closed: reading will tell.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send_all(data)
            if body:
                self._send_all(body)

    def receive_into(self, buffer):
        """How many bytes were received into `buffer`; 0 when the peer closed."""
        count = None
        if self._turn:
            turn, self._turn = self._turn, None
            count = turn.wait(partial(self._receive_soon, buffer))
        if count is None:
            self._limit()
            count = self._sock.recv_into(buffer)
        if count:
            self.has_received = True
        return count

    def hurry(self, seconds):
        """Leave at most so many seconds for what follows."""
        self._deadline = min(self._deadline, monotonic() + seconds)

    def close(self):
        """Close the connection; never raises."""
        with suppress(OSError):
            self._sock.close()

    def _receive_soon(self, buffer, seconds):
        self._sock.settimeout(seconds)
        try:
            return self._sock.recv_into(buffer)
        except TimeoutError:
            return None

    def _send_all(self, data):
        self._limit()
        if not self._is_tls:
            self._sock.sendall(data)  # the timeout bounds the whole of it
            return
        view = memoryview(data)
        while view:  # sendall of a TLS socket would start the clock anew each time
            view = view[self._sock.send(view[:65536]) :]
            self._limit()

    def _limit(self):
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


def _explain(error, wire, timeout):
    """Reason and (template, values) of what went wrong."""
    place = {"host": wire.host, "port": wire.port}
    if isinstance(error, Shortage):  # before anything was sent
        return SHORTAGE, (error.template, error.values)
    shortage = shortage_of(error)
    if shortage:
        return "interrupted", shortage
    if isinstance(error, EgressRefused | NotResolved):
        reason = "egress" if isinstance(error, EgressRefused) else "dns"
        return reason, (error.template, error.values)
    if isinstance(error, TimeoutError):
        said = _lt(
            "no complete response from %(host)s:%(port)s within %(seconds)s seconds."
        )
        return "timeout", (said, {**place, "seconds": f"{timeout:g}"})
    if isinstance(error, BadResponse):
        said = _lt("%(host)s:%(port)s sent no valid response: %(why)s.")
        why = error.template % error.values if error.values else error.template
        return "response", (said, {**place, "why": why})
    if isinstance(error, NoResponse):
        said = _lt("%(host)s:%(port)s closed the connection without a response.")
        return "connect", (said, place)
    values = {**place, "error": _words(error.__cause__ or error)}
    if isinstance(error, HandshakeFailed | ssl.SSLError):
        return "tls", (_lt("TLS with %(host)s:%(port)s failed: %(error)s."), values)
    if isinstance(error, OSError):
        said = _lt("the connection to %(host)s:%(port)s failed: %(error)s.")
        return "connect", (said, values)
    if isinstance(error, ConfigurationError):
        return "tls", (error.template, error.values)
    _logger.error("sending to %s failed", wire.host, exc_info=error)  # a fault of ours
    said = _lt("sending to %(host)s:%(port)s failed: %(error)s.")
    return "response", (said, values)


def _words(error):
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.rstrip(".")
