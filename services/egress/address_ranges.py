# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Address ranges that webhooks are never sent to by default.

A separate table: `ipaddress.is_global` accepts NAT64, 6to4, multicast and more, and
changed between patch versions of Python. Sources: IANA special-purpose address
registries (RFC 6890), and the RFC beside each row.
"""

from ipaddress import IPv4Address, IPv6Address, ip_network

from ..errors import _lt

METADATA = frozenset(
    {
        IPv4Address("169.254.169.254"),  # AWS, Azure, Google and most others
        IPv4Address("169.254.170.2"),  # AWS ECS
        IPv4Address("169.254.170.23"),  # AWS EKS
        IPv4Address("168.63.129.16"),  # Azure, though a public address
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("192.0.0.192"),  # Oracle
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS EKS
        IPv6Address("fd20:ce::254"),  # Google
    }
)


def _table(rows):
    return tuple((ip_network(network), kind) for network, kind in rows)


IPV4 = _table(
    [
        ("0.0.0.0/8", _lt("this network")),  # RFC 791
        ("10.0.0.0/8", _lt("private")),  # RFC 1918
        ("100.64.0.0/10", _lt("shared by a provider (CGNAT)")),  # RFC 6598
        ("127.0.0.0/8", _lt("loopback")),  # RFC 1122
        ("169.254.0.0/16", _lt("link-local")),  # RFC 3927
        ("172.16.0.0/12", _lt("private")),  # RFC 1918
        ("192.0.0.0/24", _lt("reserved for protocols")),  # RFC 6890
        ("192.0.2.0/24", _lt("documentation")),  # RFC 5737
        ("192.88.99.0/24", _lt("6to4 relay")),  # RFC 7526
        ("192.168.0.0/16", _lt("private")),  # RFC 1918
        ("198.18.0.0/15", _lt("benchmark")),  # RFC 2544
        ("198.51.100.0/24", _lt("documentation")),  # RFC 5737
        ("203.0.113.0/24", _lt("documentation")),  # RFC 5737
        ("224.0.0.0/4", _lt("multicast")),  # RFC 5771
        ("240.0.0.0/4", _lt("reserved")),  # RFC 1112, broadcast included
    ]
)

# The first row that matches names the kind; addresses outside of 2000::/3 are always
# refused, as no global address is allocated there (RFC 4291, 2.4).
IPV6 = _table(
    [
        ("::/128", _lt("unspecified")),  # RFC 4291
        ("::1/128", _lt("loopback")),  # RFC 4291
        ("::ffff:0:0/96", _lt("IPv4-mapped")),  # RFC 4291
        ("::ffff:0:0:0/96", _lt("IPv4-translated")),  # RFC 2765
        ("64:ff9b::/96", _lt("NAT64")),  # RFC 6052
        ("64:ff9b:1::/48", _lt("local NAT64")),  # RFC 8215
        ("::/8", _lt("reserved, IPv4-compatible")),  # RFC 4291
        ("100::/64", _lt("discard-only")),  # RFC 6666
        ("2001::/32", _lt("Teredo")),  # RFC 4380
        ("2001::/23", _lt("reserved for protocols")),  # RFC 2928, benchmark, ORCHID
        ("2001:db8::/32", _lt("documentation")),  # RFC 3849
        ("2002::/16", _lt("6to4")),  # RFC 3056
        ("3ffe::/16", _lt("former 6bone")),  # RFC 3701
        ("3fff::/20", _lt("documentation")),  # RFC 9637
        ("5f00::/16", _lt("segment routing")),  # RFC 9602
        ("fc00::/7", _lt("private (ULA)")),  # RFC 4193
        ("fe80::/10", _lt("link-local")),  # RFC 4291
        ("fec0::/10", _lt("site-local")),  # RFC 3879
        ("ff00::/8", _lt("multicast")),  # RFC 4291
    ]
)

GLOBAL_IPV6 = ip_network("2000::/3")
TEREDO = ip_network("2001::/32")
SIX_TO_FOUR = ip_network("2002::/16")


def kind_of(address):
    """Why an address is refused, as a template; "" for a public one."""
    if address.version == 4:
        return next((kind for network, kind in IPV4 if address in network), "")
    for network, kind in IPV6:
        if address in network:
            return kind
    if address not in GLOBAL_IPV6:
        return _lt("not assigned")
    return _lt("ISATAP") if _is_isatap(address) else ""


def embedded(address):
    """The IPv4 addresses embedded in an IPv6 address (mapped, 6to4, NAT64 ...)."""
    if address.version == 4:
        return ()
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if address in TEREDO:
        return IPv4Address(number >> 64 & 0xFFFFFFFF), IPv4Address(
            int(last) ^ 2**32 - 1
        )
    if address in SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFFFFFF), last
    return (last,)  # with any prefix: NAT64 may use one of the network (RFC 6052)


def _is_isatap(address):
    """Interface identifier ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d (RFC 5214, 6.1)."""
    return int(address) >> 32 & 0xFCFFFFFF == 0x5EFE
