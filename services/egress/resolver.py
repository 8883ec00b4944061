# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Resolve names to addresses, within a deadline."""

import ipaddress
import socket
import threading
from time import monotonic

from ..errors import ServiceError, _lt


class NotResolved(ServiceError):
    """The name has no address."""


def resolve(host, port, deadline, lookup=None):
    """`[(family, sockaddr), ...]` of a host name or address literal.

    lookup: `lookup(host, port)` in place of the system's resolver; its result has
    the form of `socket.getaddrinfo`. deadline: on the monotonic clock; the system's
    resolver can't be stopped, so it runs in a thread that is abandoned after that.
    Raises NotResolved, also after the deadline; RuntimeError when the system has no
    thread left.
    """
    literal = _literal(host, port)
    if literal:
        return [literal]
    found = _in_time(lookup or _system_lookup, host, port, deadline)
    if isinstance(found, Exception) or not found:
        raise NotResolved(
            _lt(
                'the name "%(host)s" can\'t be resolved: %(error)s. Check its '
                "spelling, and the DNS settings of this Odoo server."
            ),
            host=host,
            error=getattr(found, "strerror", None) or str(found or "no address"),
        ) from (found if isinstance(found, Exception) else None)
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]


def _literal(host, port):
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:
        return socket.AF_INET, (host, port)
    return socket.AF_INET6, (host, port, 0, 0)


def _system_lookup(host, port):
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _in_time(lookup, host, port, deadline):
    result = []
    done = threading.Event()

    def run():
        try:
            result.append(lookup(host, port))
        except Exception as error:  # OSError, UnicodeError, anything a resolver raises
            result.append(error)
        done.set()

    threading.Thread(target=run, name=f"resolve {host}", daemon=True).start()
    if not done.wait(max(0.0, deadline - monotonic())):
        raise NotResolved(
            _lt(
                'the name "%(host)s" was not resolved in time: the name server did '
                "not respond. Check the DNS settings of this Odoo server."
            ),
            host=host,
        )
    return result[0]
