"""Who may be talked to: addresses, then every spelling of a private one that we know of."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import AddressRefused
from shoal.transports.interface import AddressPolicy, FetchRequest
from shoal.transports.native.guard import GuardedResolver
from shoal.transports.native.http import HttpFetcher
from shoal.transports.sansio.addresses import check_address, check_host, ip_literal, is_public
from shoal.transports.sansio.embedded import ipv4_within

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::",
]
PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "4000::1",
]

# Each is refused with the default policy: by its scheme, by its form, or by the address that it resolves to.
SPELLINGS = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "ftp://127.0.0.1/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "//127.0.0.1/",
    "127.0.0.1",
    "http:/127.0.0.1/",
    "http:///etc",
    "http://",
    "http://?x",
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "HTTP://127.0.0.1/",
    "http://127.0.0.1:80/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://00000177.0.0.1/",
    "http://127.000.000.001/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1%25lo]/",
    "http://[fc00::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://user@93.184.216.34/",
    "http://user:secret@93.184.216.34/",
    "http://93.184.216.34@127.0.0.1/",
    "http://93.184.216.34#@127.0.0.1:9/@",
    "http://127.0.0.1\\@93.184.216.34/",
    "http://127.0.0.1\t/",
    " http://127.0.0.1/",
    "http://93.184.216.34/\r\nHost: internal",
    "http://127%2e0%2e0%2e1/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "http://\u24dbocalhost/",
    "http://127\u30020\u30020\u30021/",
    "http://example.com/" + "a" * 9000,
]
# These name a public address; nothing but the fragment or the user part speaks of another.
NOT_PRIVATE = {"http://93.184.216.34#@127.0.0.1:9/@"}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", [*PRIVATE, "", "localhost", "8.8.8", "0x8080808", "8.8.8.8 "])
def test_everything_else_is_not(address):
    assert not is_public(address)
    with pytest.raises(AddressRefused):
        check_address(AddressPolicy(), address, host="x")
    check_address(AddressPolicy(allow_private=True), address, host="x")


@given(st.integers(0, 2**32 - 1))
def test_ipv4_inside_ipv6_is_judged_as_ipv4(number):
    plain = str(ipaddress.IPv4Address(number))
    for wrapped in (f"::ffff:{plain}", f"64:ff9b::{plain}"):
        assert is_public(wrapped) == is_public(plain)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**80 - 1))
def test_6to4_is_public_where_its_ipv4_is_at_most(number, rest):
    wrapped = ipaddress.IPv6Address(0x2002 << 112 | number << 80 | rest)
    assert is_public(str(ipaddress.IPv4Address(number))) or not is_public(str(wrapped))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**80 - 1))
def test_ipv4_inside_ipv6_is_found(number, rest):
    right = ipaddress.IPv4Address(number)
    for wrapped in (0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80 | rest):
        assert ipv4_within(ipaddress.IPv6Address(wrapped)) == right


@pytest.mark.parametrize("address", ["::8.8.8.8", "64:ff9b::1:808:808", "2001::1", "2003:808:808::", "::fffe:808:808"])
def test_other_ipv6_addresses_have_none_inside(address):
    assert ipv4_within(ipaddress.IPv6Address(address)) is None


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private(address):
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or str(address).startswith("64:ff9b")):
        return  # judged by the address inside
    assert not (is_public(str(address)) and (address.is_private or address.is_multicast or address.is_loopback))


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("cdn.example", 443, True),
        ("CDN.example.", 443, True),
        ("cdn.example", 80, True),
        ("other.example", 8443, True),
        ("other.example", 443, False),
        ("cdn.example.evil", 443, False),
        ("evil-cdn.example", 443, False),
    ],
)
def test_allowed_hosts_are_names_with_a_port_where_given(host, port, allowed):
    policy = AddressPolicy(allowed_hosts=frozenset({"cdn.example", "other.example:8443"}))
    if allowed:
        check_host(policy, scheme="https", host=host, port=port, has_user=False)
    else:
        with pytest.raises(AddressRefused, match="allowed"):
            check_host(policy, scheme="https", host=host, port=port, has_user=False)


@pytest.fixture
def packets(monkeypatch):
    """Addresses that something tried to connect to; names resolve by the local rules only, never by DNS."""
    tried: list[object] = []
    genuine = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host.lower() in {"localhost", "localhost."}:
            host = "127.0.0.1"
        return genuine(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    async def connect(loop, sock, address):
        tried.append(address)
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    return tried


def fetch(url, policy=None):
    async def main():
        fetcher = HttpFetcher(policy)
        try:
            await fetcher.open(FetchRequest(url=url))
        finally:
            await fetcher.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("url", [url for url in SPELLINGS if url not in NOT_PRIVATE])
def test_every_spelling_is_refused_and_no_packet_is_sent(url, packets):
    with pytest.raises(AddressRefused):
        fetch(url)
    assert packets == []


@pytest.mark.parametrize("url", ["http://93.184.216.34/", *sorted(NOT_PRIVATE)])
def test_the_guard_lets_public_addresses_through(url, packets):
    with pytest.raises(Exception, match="connection refused"):
        fetch(url)
    assert packets == [("93.184.216.34", 80)]


def test_the_connection_goes_to_the_address_that_was_checked(packets, monkeypatch):
    """A name that changes its address between two look-ups has only one: the checked answers are used."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    asked = []

    def resolve(host, port, *args, **kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Exception, match="connection refused"):
        fetch("http://rebinding.example/")
    assert packets == [("93.184.216.34", 80)]
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["a..b", ".a.com", "a" * 70 + ".com", "xn--", "\u2024a.com"])
def test_a_host_that_no_look_up_can_take_is_refused(host, packets):
    with pytest.raises(AddressRefused):
        fetch(f"http://{host}/")
    assert packets == []


async def resolved(host):
    return await GuardedResolver(AddressPolicy()).resolve(host, 80)


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".com"])
def test_the_guarded_resolver_raises_only_what_a_resolver_may(host):
    with pytest.raises(OSError, match="no name that can be looked up"):
        asyncio.run(resolved(host))


def test_private_answers_among_public_ones_are_left_out(packets, monkeypatch):
    addresses = ["10.0.0.1", "93.184.216.34", "127.0.0.1"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in addresses],
    )
    with pytest.raises(Exception, match="connection refused"):
        fetch("http://mixed.example/")
    assert packets == [("93.184.216.34", 80)]


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%2]", "fe80::1"),
    ],
)
def test_an_address_has_one_spelling(said: str, address: str) -> None:
    assert ip_literal(said) == address


@pytest.mark.parametrize(
    "said",
    [
        *(
            "redacted-ip.invalid",
            "8ca10e2b-41c4-4e0c-9c3e-9a0bd4a3b4cd.local",
            "c5.local",
            "localhost",
            "192.0.2.1.local",
        ),
        *(
            "",
            "[",
            "[]",
            "%eth0",
            "192.0.2",
            "0x7f.1",
            "3221225985",
            "192.0.2.1:80",
            "0.0.0.0",
            "::",
            "[::]",
            "::ffff:0.0.0.0",
            "None",
        ),
        None,
    ],
)
def test_what_stands_for_a_hidden_address_is_none(said: str | None) -> None:
    assert ip_literal(said) is None
