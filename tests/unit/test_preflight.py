# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the guard says of a target before anything is sent."""

import socket

from services.egress.policy import Policy
from services.egress.preflight import check_target


def lookup(*addresses):
    """A resolver that knows these IPv4 addresses and nothing else."""
    found = [(socket.AF_INET, None, None, "", (each, 443)) for each in addresses]
    return lambda host, port: found


def text(check):
    """The message of the refusal."""
    return str(check.refusal)


def test_a_public_target_may_be_sent_to():
    """The result names the addresses, each once, and refuses nothing."""
    check = check_target(
        "https://shop.example.com/orders?x=1",
        Policy(),
        timeout=5,
        lookup=lookup("93.184.216.34", "93.184.216.34"),
    )

    assert (
        "shop.example.com",
        ("93.184.216.34",),
    ) == (check.host, check.addresses)
    assert check.refusal is None


def test_a_private_address_is_refused_and_named():
    """What the connection would refuse is refused here with the same message."""
    check = check_target(
        "https://shop.example.com/", Policy(), timeout=5, lookup=lookup("10.0.0.7")
    )

    assert ("10.0.0.7",) == check.addresses
    assert "10.0.0.7 is not public" in text(check)
    assert not check.is_unresolved


def test_what_is_no_target_is_refused():
    """A URL that is never sent to needs no resolver to be refused."""
    check = check_target("ftp://shop.example.com/", Policy(), timeout=5)

    assert "must begin with https://" in text(check)


def test_a_name_without_address_says_so():
    """The message has the resolver's answer, and that it may change soon."""
    check = check_target(
        "https://shop.example.com/", Policy(), timeout=5, lookup=lookup()
    )

    assert check.is_unresolved
    assert '"shop.example.com" can\'t be resolved' in text(check)
