"""One host is one holder, whichever of its addresses it uses, and two are two."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.holders import has_global_address, holder_of


@pytest.mark.parametrize(
    ("address", "holder"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("192.168.1.9", "192.168.1.9"),
        ("2001:4860:4860::8888", "2001:4860:4860::/64"),
        ("2001:4860:4860:0:1:2:3:4", "2001:4860:4860::/64"),
        ("2001:4860:4860:1::8888", "2001:4860:4860:1::/64"),
        ("2001:4860:4860:0000:0000:0000:0000:8888", "2001:4860:4860::/64"),
        ("2001:4860:4860::8.8.8.8", "2001:4860:4860::/64"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("::ffff:808:808", "8.8.8.8"),
        ("64:ff9b::8.8.8.8", "8.8.8.8"),
        ("64:ff9b::1:0808:0808", "64:ff9b::/64"),
        ("2002:808:808::1", "8.8.8.8"),
        ("2002:808:808:ffff::1", "8.8.8.8"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fd00::1", "fd00::/64"),
        ("::1", "::/64"),
        ("relay 2001:4860:4860::8888", "relay 2001:4860:4860::8888"),
        ("not an address", "not an address"),
        ("8.8.8", "8.8.8"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_a_holder_is_an_ipv4_address_or_a_64_of_ipv6(address: str, holder: str) -> None:
    assert holder_of(address) == holder


@pytest.mark.parametrize(
    ("address", "is_global"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("192.168.1.9", False),
        ("::ffff:192.168.1.9", False),
        ("fd00::1", False),
        ("::1", False),
        ("relay 8.8.8.8", False),
        ("", False),
    ],
)
def test_what_others_have_as_well_is_no_global_address(address: str, is_global: bool) -> None:
    assert has_global_address(holder_of(address)) == is_global


@given(
    network=st.integers(0x2003_0000_0000_0000, 0x3FFF_FFFF_FFFF_FFFF),
    hosts=st.tuples(*[st.integers(0, 2**64 - 1)] * 2),
    other=st.integers(1, 0xFFFF),
)
def test_all_of_a_64_is_one_holder_and_its_neighbours_are_others(
    network: int, hosts: tuple[int, int], other: int
) -> None:
    one, two = (str(ipaddress.IPv6Address(network << 64 | host)) for host in hosts)
    beside = str(ipaddress.IPv6Address((network ^ other) << 64 | hosts[0]))
    assert holder_of(one) == holder_of(two) != holder_of(beside)


@given(st.ip_addresses(v=4))
def test_an_ipv4_host_is_one_holder_however_it_is_written(address: ipaddress.IPv4Address) -> None:
    spellings = (str(address), f"::ffff:{address}", f"64:ff9b::{address}")
    assert {holder_of(spelling) for spelling in spellings} == {str(address)}
