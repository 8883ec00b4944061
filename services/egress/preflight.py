# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Check where a request would be sent and whether that is allowed; sends nothing."""

from dataclasses import dataclass
from time import monotonic

from ..errors import ServiceError, _lt
from .resolver import NotResolved, resolve
from .target_url import locate


@dataclass(frozen=True)
class TargetCheck:
    """Result of the egress check of a target.

    host: its name; addresses: what the name resolves to at this moment
    refusal: template and values on why nothing would be sent, or None
    is_unresolved: the name has no address now; not final, a delivery is retried
    """

    host: str
    addresses: tuple[str, ...] = ()
    refusal: tuple | None = None
    is_unresolved: bool = False


def check_target(url, policy, *, timeout, lookup=None):
    """The `TargetCheck` of a URL under an `egress.Policy`.

    Resolves the name, within `timeout` seconds, without a connection. The result is
    only for display: a connection resolves and checks again.
    lookup: see `resolve.resolve`
    """
    try:
        place = locate(url)
    except ServiceError as error:
        return TargetCheck("", (), (error.template, error.values))
    try:
        found = resolve(place.host, place.port, monotonic() + timeout, lookup)
    except NotResolved as error:
        refusal = (error.template, error.values)
        return TargetCheck(place.host, (), refusal, is_unresolved=True)
    except TimeoutError:
        refusal = (
            _lt('the name "%(host)s" didn\'t resolve within %(seconds)s seconds.'),
            {"host": place.host, "seconds": timeout},
        )
        return TargetCheck(place.host, (), refusal, is_unresolved=True)
    addresses = tuple(dict.fromkeys(sockaddr[0] for _family, sockaddr in found))
    try:
        policy.check(place.host, addresses)
    except ServiceError as error:
        return TargetCheck(place.host, addresses, (error.template, error.values))
    return TargetCheck(place.host, addresses)
