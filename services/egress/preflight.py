# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where a request would go and whether it may, without sending anything."""

from dataclasses import dataclass
from time import monotonic

from ..errors import ServiceError, _lt
from .resolver import NotResolved, resolve
from .target_url import locate


@dataclass(frozen=True)
class TargetVerdict:
    """What the guard says of a target.

    host: its name; addresses: what the name resolves to at this moment
    refusal: template and values that say why nothing would go out, None when it would
    is_unresolved: the name has no address now; that isn't final, a delivery is retried
    """

    host: str
    addresses: tuple[str, ...] = ()
    refusal: tuple | None = None
    is_unresolved: bool = False


def judge_target(url, policy, *, timeout, lookup=None):
    """The `TargetVerdict` on a URL under an `egress.Policy`.

    Resolves the name, within `timeout` seconds, and connects to nothing. The verdict
    binds nobody: the connection resolves and judges anew.
    lookup: see `resolve.resolve`
    """
    try:
        place = locate(url)
    except ServiceError as error:
        return TargetVerdict("", (), (error.template, error.values))
    try:
        found = resolve(place.host, place.port, monotonic() + timeout, lookup)
    except NotResolved as error:
        refusal = (error.template, error.values)
        return TargetVerdict(place.host, (), refusal, is_unresolved=True)
    except TimeoutError:
        refusal = (
            _lt('the name "%(host)s" didn\'t resolve within %(seconds)s seconds.'),
            {"host": place.host, "seconds": timeout},
        )
        return TargetVerdict(place.host, (), refusal, is_unresolved=True)
    addresses = tuple(dict.fromkeys(sockaddr[0] for _family, sockaddr in found))
    try:
        policy.check(place.host, addresses)
    except ServiceError as error:
        return TargetVerdict(place.host, addresses, (error.template, error.values))
    return TargetVerdict(place.host, addresses)
