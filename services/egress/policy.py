# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Decides where requests may be sent. Opens no connection, resolves no name."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ..errors import ConfigurationError, EgressRefused, Message, _lt
from .address_ranges import METADATA, embedded, kind_of
from .target_url import locate


def check_url(url, policy=None):
    """Raise EgressRefused for a URL that isn't allowed, ConfigurationError for no URL.

    policy: checks a host that is an address; a name is checked when the connection
    resolves it.
    """
    host = locate(url).host
    if policy is not None and _address(host) is not None:
        policy.check(host, [host])


@dataclass(frozen=True)
class Policy:
    """Public addresses, and those that an administrator allows in addition.

    allowed_networks: networks whose addresses are allowed though they aren't public
    allowed_hosts: names (IDNA, lower case) that may resolve to any address
    The metadata services of clouds are never allowed.
    """

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text):
        """The policy of a list such as `127.0.0.0/8, 10.1.2.3, intern.example`.

        Entries are separated by commas or line breaks. Raises ConfigurationError naming
        an entry that is not a valid network, address or host name.
        """
        networks = []
        hosts = set()
        for part in (text or "").replace("\n", ",").split(","):
            part = part.strip()
            if not part:
                continue
            network = _network(part)
            if network is not None:
                networks.append(network)
            else:
                hosts.add(_host(part))
        return cls(tuple(networks), frozenset(hosts))

    def check(self, host, addresses):
        """Raise EgressRefused unless every address of `host` may be connected to."""
        name = host.lower().rstrip(".")
        if not addresses:
            raise EgressRefused(
                _lt('"%(host)s" has no address. Check its spelling and its DNS entry.'),
                host=host,
            )
        for text in addresses:
            self._check_address(host, name in self.allowed_hosts, text)

    def _check_address(self, host, is_allowed_host, text):
        address = _address(text.partition("%")[0])
        if address is None:
            raise EgressRefused(
                _lt(
                    '"%(host)s" is refused: "%(address)s" is not a valid IP address.'
                    " Check its DNS entry."
                ),
                host=host,
                address=text,
            )
        if METADATA.intersection((address, *embedded(address))):
            raise EgressRefused(
                _lt(
                    '"%(host)s" is refused: its address %(address)s leads to the'
                    " metadata service of a cloud, which is never allowed. Enter"
                    " another host."
                ),
                host=host,
                address=text,
            )
        kind = kind_of(address)
        if not kind or is_allowed_host or self._allows(address):
            return
        raise EgressRefused(
            _lt(
                '"%(host)s" is refused: its address %(address)s is not public'
                " (%(kind)s). A Settings administrator can allow it in Settings >"
                " Webhooks, or in odoo.conf: allowed_networks in the section"
                " [bwt_webhooks_outbound]."
            ),
            host=host,
            address=text,
            kind=Message(kind),
        )

    def _allows(self, address):
        return any(address in network for network in self.allowed_networks)


def _network(part):
    try:
        return ip_network(part)
    except ValueError:
        if "/" not in part and ":" not in part:
            return None
    try:
        exact = ip_network(part, strict=False)
    except ValueError:
        raise ConfigurationError(
            _lt(
                'allowed network "%(part)s" is not valid. Write a network, an '
                'address or a host name, as in "10.1.0.0/16, 10.2.3.4, '
                'intern.example".'
            ),
            part=part,
        ) from None
    raise ConfigurationError(
        _lt('allowed network "%(part)s" isn\'t exact. Write %(exact)s.'),
        part=part,
        exact=str(exact),
    )


def _host(part):
    try:
        place = locate(f"https://{part}")
    except (ConfigurationError, EgressRefused):
        place = None
    if place is None or re.search(r"[/?#:]", part):
        raise ConfigurationError(
            _lt(
                'allowed host "%(part)s" is not a valid host name. Write names '
                'without scheme, port or wildcard, as in "intern.example".'
            ),
            part=part,
        )
    return place.host.rstrip(".")


def _address(text):
    try:
        return ip_address(text)
    except ValueError:
        return None
