# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The guard: hostile targets through the real sender, and nobody is reached."""

import select
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hostile_targets import NAMES, PUBLIC, TARGETS
from sockets import Server

from services.egress.address_ranges import embedded, kind_of
from services.egress.policy import Policy, check_url
from services.errors import ConfigurationError, EgressRefused
from services.http.client import Sender
from services.http.encoding import encode

ALLOWED = Policy.parse("127.0.0.0/8, ::1, intern.example, BÜCHER.example")
HAS_IPV6 = socket.has_dualstack_ipv6()


@pytest.fixture(scope="module")
def listener():
    """A port that listens on every address of this machine and accepts nobody."""
    if HAS_IPV6:
        listener = socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
        )
    else:
        listener = socket.create_server(("0.0.0.0", 0))
    with listener:
        yield listener


def lookup(host, port):
    host = host.rstrip(".")
    addresses = NAMES.get(host)
    if addresses is None:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return found(addresses, port)


def found(addresses, port):
    return [
        (
            socket.AF_INET6 if ":" in each else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (each, port, 0, 0) if ":" in each else (each, port),
        )
        for each in addresses
    ]


def send(url, policy, lookup=lookup):
    sender = Sender(policy, lookup=lookup)
    response = sender.send(
        encode({"method": "POST", "url": url, "json": {}}), timeout=5
    )
    sender.close()
    return response


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_targets_are_refused_without_a_connection(listener, target):
    """Refused as a URL or as an address, and the listening socket hears nothing."""
    url = target.replace("{port}", str(listener.getsockname()[1]))
    try:
        response = send(url, Policy())
    except EgressRefused as error:
        said = str(error)
    else:
        assert ("egress", None) == (response.reason, response.status_code)
        said = str(response.error)

    assert "refused" in said
    assert ([], [], []) == select.select([listener], [], [], 0)


def test_the_table_is_long_enough():
    """At least 80 hostile and 20 public forms, none of them twice."""
    assert len(set(TARGETS)) == len(TARGETS) >= 80
    assert len(set(PUBLIC)) == len(PUBLIC) >= 20


@pytest.mark.parametrize("url, address", PUBLIC)
def test_public_forms_are_allowed(url, address):
    """What the web is made of passes, right up to the edges of the refused ranges."""
    check_url(url, Policy())
    host = encode({"method": "POST", "url": url}).host

    Policy().check(host, [address])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "intern.example",
        "INTERN.example.",
        "bücher.example",
        pytest.param("[::1]", marks=pytest.mark.skipif(not HAS_IPV6, reason="IPv4")),
    ],
)
def test_allowed_targets_connect(host):
    """Networks and host names on the list are reached."""

    def inside(host, port):
        return found(["127.0.0.1"], port)

    literal = {"[::1]": "::1", "127.1.2.3": "127.1.2.3"}
    with Server(address=literal.get(host, "127.0.0.1")) as server:
        response = send(f"http://{host}:{server.port}/", ALLOWED, inside)

        assert (200, 1) == (response.status_code, server.connections)


def test_a_name_is_resolved_once_and_the_judged_address_is_used():
    """A name that changes between check and connection reaches nobody new."""
    lookups = []

    def rebinding(host, port):
        lookups.append(host)
        return found(["127.0.0.1" if len(lookups) == 1 else "127.0.0.2"], port)

    policy = Policy.parse("127.0.0.1")
    with Server() as server:
        with socket.create_server(("127.0.0.2", server.port)) as other:
            sender = Sender(policy, lookup=rebinding)
            encoded = encode(
                {"method": "POST", "url": f"http://a.example:{server.port}"}
            )
            first = sender.send(encoded, timeout=5)
            again = sender.send(encoded, timeout=5)
            sender.close()
            third = sender.send(encoded, timeout=5)

            assert ([], [], []) == select.select([other], [], [], 0)
        assert (200, 200, "egress") == (
            first.status_code,
            again.status_code,
            third.reason,
        )
        assert (1, 2) == (server.connections, len(lookups))


def test_the_system_resolver_is_called_once(monkeypatch):
    """urllib3 below must not resolve the name a second time, unjudged."""
    lookups = []
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *a, **k: lookups.append(a) or real(*a, **k)
    )
    with Server() as server:
        response = send(f"http://localhost:{server.port}/", ALLOWED, lookup=None)

    assert (200, 1) == (response.status_code, len(lookups))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:0808:0808:0:0:5601:5601",
        "fe80::5efe:168.63.129.16",
    ],
)
def test_metadata_services_are_never_allowed(address):
    """Not by network, not by host name, not in disguise."""
    everything = Policy.parse("0.0.0.0/0, ::/0, meta.example")

    for host in ("meta.example", address):
        with pytest.raises(EgressRefused, match="metadata"):
            everything.check(host, [address])


def test_one_bad_address_refuses_the_name():
    """The next connection could go to the bad one."""
    for addresses in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], []):
        with pytest.raises(EgressRefused):
            Policy().check("a.example", addresses)


def test_an_allowed_network_says_nothing_of_disguises():
    """127.0.0.0/8 on the list doesn't open ::ffff:127.0.0.1 or 64:ff9b::7f00:1."""
    for address in ("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"):
        with pytest.raises(EgressRefused):
            Policy.parse("127.0.0.0/8").check("a.example", [address])


def test_the_message_says_what_and_who():
    """What was refused, why, and who can allow it where."""
    with pytest.raises(EgressRefused) as caught:
        Policy().check("shop.example", ["10.1.2.3"])

    for part in (
        "shop.example",
        "10.1.2.3",
        "private",
        "Settings administrator",
        "Settings > Webhooks",
        "allowed_networks",
        "odoo.conf",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", None, " , \n, "])
def test_an_empty_list_allows_public_addresses_only(text):
    """Nothing configured is the safe state."""
    assert Policy() == Policy.parse(text)


def test_a_list_of_networks_addresses_and_hosts():
    """Commas and line breaks part them; names are compared in IDNA, lower case."""
    policy = Policy.parse("10.1.0.0/16, 10.2.3.4\nfd00::/8, Bücher.Example., host_1")

    assert ["10.1.0.0/16", "10.2.3.4/32", "fd00::/8"] == [
        str(each) for each in policy.allowed_networks
    ]
    assert {"xn--bcher-kva.example", "host_1"} == policy.allowed_hosts
    policy.check("10.1.2.3", ["10.1.2.3"])
    policy.check("xn--bcher-kva.example.", ["192.168.0.1"])
    with pytest.raises(EgressRefused):
        policy.check("other.example", ["192.168.0.1"])


@pytest.mark.parametrize(
    "junk",
    [
        "10.1.2.3/24",
        "10.0.0.0/33",
        "*.example",
        "a b",
        "host:80",
        "http://host",
        "user@host",
        "host/path",
        "host?x",
        "host#x",
        "[::1]",
        "1.2.3",
        "0x7f.1",
        "-",
        "a..b",
        "10.0.0.0/8;11.0.0.0/8",
        "fe80::1%eth0/64",
    ],
)
def test_junk_in_the_list_is_named(junk):
    """A typo must not silently allow something else; the message quotes the entry."""
    with pytest.raises(ConfigurationError) as caught:
        Policy.parse(f"127.0.0.1, {junk}")

    assert junk in str(caught.value)


@pytest.mark.parametrize("first", range(256))
def test_ipv4_is_judged_by_our_own_table(first):
    """Each /8: refused as a whole, in part or not at all, as the registries say."""
    wholly = {0, 10, 127, *range(224, 256)}
    partly = {100, 169, 172, 192, 198, 203}
    kinds = [bool(kind_of(IPv4Address((first << 24) + n * 65536))) for n in range(256)]

    if first in wholly:
        assert all(kinds)
    elif first in partly:
        assert any(kinds) and not all(kinds) or first in (192, 198, 203)
    else:
        assert not any(kinds)


@pytest.mark.parametrize("first", range(256))
def test_ipv6_is_public_within_2000_3_only(first):
    """Nothing else has been given out as global."""
    address = IPv6Address((first << 120) + (0x77 << 112) + 0x1234567890)

    assert (0x20 <= first < 0x40) == (not kind_of(address))


def test_embedded_addresses_are_found():
    """The IPv4 address in 6to4 and Teredo is elsewhere than at the end."""
    assert IPv4Address("10.0.0.1") in embedded(ip_address("2002:a00:1::5"))
    teredo = embedded(ip_address("2001:0:4136:e378:8000:63bf:3fff:fdd2"))
    assert {"65.54.227.120", "192.0.2.45"} == set(map(str, teredo))
    assert () == embedded(ip_address("1.2.3.4"))
