# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Connect through an HTTP proxy, to the checked address only.

The proxy is requested to open a tunnel (CONNECT, RFC 9110 9.3.6) to the address that
was checked, never to a name, so it has nothing to resolve. TLS and the Host header
inside the tunnel use the name.
"""

import socket
from dataclasses import dataclass
from time import monotonic
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, _lt
from ..signing import base64_text

_HEAD_LIMIT = 16 * 1024


class ProxyRefused(ConnectionError):
    """The proxy was reached but refused the tunnel."""


@dataclass(frozen=True)
class Proxy:
    """Address of the proxy, and its credentials (`user:password`)."""

    host: str
    port: int
    credentials: str = ""

    @classmethod
    def parse(cls, text):
        """The proxy of `http://user:password@host:port`; None for an empty text.

        Raises ConfigurationError for anything else; the message omits the password.
        """
        if not (text or "").strip():
            return None
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            parts = port = None
        if parts is None or parts.scheme != "http" or not parts.hostname or not port:
            raise ConfigurationError(
                _lt(
                    "the proxy is not a valid http://host:port. Correct it in "
                    "Settings > Webhooks."
                )
            )
        credentials = ""
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(parts.hostname, port, credentials)

    def open_tunnel(self, address, port, deadline):
        """A socket whose other end is `address` (an IP address) at `port`.

        deadline: monotonic seconds
        Raises OSError (ProxyRefused, TimeoutError among them).
        """
        sock = socket.create_connection((self.host, self.port), _left(deadline))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(self._request(address, port))
            _expect_tunnel(sock, deadline)
            sock.settimeout(_left(deadline))
        except BaseException:
            sock.close()
            raise
        return sock

    def _request(self, address, port):
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.credentials:
            token = base64_text(self.credentials)
            lines.append(f"Proxy-Authorization: Basic {token}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def _left(deadline):
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _expect_tunnel(sock, deadline):
    head = b""
    # Byte by byte: data after the empty line belongs to the tunnel.
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        sock.settimeout(_left(deadline))
        byte = sock.recv(1)
        if not byte or len(head) > _HEAD_LIMIT:
            raise ProxyRefused("the proxy did not respond to CONNECT")
        head += byte
    status = head.split(b"\n", 1)[0].split(None, 2)
    if len(status) < 2 or not status[1].startswith(b"2"):
        said = head.split(b"\n", 1)[0].strip().decode("latin-1")[:80]
        raise ProxyRefused(f"the proxy opened no tunnel: {said}")
