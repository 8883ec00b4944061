# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Check where a request would be sent and whether that is allowed; sends nothing."""

from dataclasses import dataclass
from time import monotonic

from ..errors import Message, ServiceError
from .resolver import NotResolved, resolve
from .target_url import locate


@dataclass(frozen=True)
class TargetCheck:
    """Result of the egress check of a target.

    host: its name; addresses: what the name resolves to at this moment
    refusal: message on why nothing would be sent, or None
    is_unresolved: the name has no address now; not final, a delivery is retried
    """

    host: str
    addresses: tuple[str, ...] = ()
    refusal: Message | None = None
    is_unresolved: bool = False


def check_target(url, policy, *, timeout, lookup=None):
    """The `TargetCheck` of a URL under an `egress.Policy`.

    Resolves the name, within `timeout` seconds, without a connection. The result is
    only for display: a connection resolves and checks again.
    lookup: see `resolver.resolve`
    """
    try:
        place = locate(url)
    except ServiceError as error:
        return TargetCheck("", (), error.message)
    try:
        found = resolve(place.host, place.port, monotonic() + timeout, lookup)
    except NotResolved as error:
        return TargetCheck(place.host, (), error.message, is_unresolved=True)
    addresses = tuple(dict.fromkeys(sockaddr[0] for _family, sockaddr in found))
    try:
        policy.check(place.host, addresses)
    except ServiceError as error:
        return TargetCheck(place.host, addresses, error.message)
    return TargetCheck(place.host, addresses)
