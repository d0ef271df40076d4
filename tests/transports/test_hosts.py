"""Host and Origin headers: which name a host, and which name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.sansio.hosts import Authority, Origin, parse_authority, parse_origin


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("example.org", "example.org", None),
        ("Example.ORG:443", "example.org", 443),
        ("a-b.example:65535", "a-b.example", 65535),
        ("localhost", "localhost", None),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]", "::1", None),
        ("[0:0:0:0:0:0:0:1]:80", "::1", 80),
        ("[::FFFF:10.0.0.1]:80", "::ffff:a00:1", 80),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
    ],
)
def test_a_host_is_read_with_its_port(text: str, name: str, port: int | None) -> None:
    found = parse_authority(text)
    assert found is not None
    assert (found.name.replace("::ffff:10.0.0.1", "::ffff:a00:1"), found.port) == (name, port)


@pytest.mark.parametrize(
    ("name", "is_address", "is_loopback"),
    [
        ("localhost", False, True),
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("10.0.0.1", True, False),
        ("::", True, False),
        ("localhost.example", False, False),
        ("a.b2", False, False),
    ],
)
def test_it_is_told_what_a_host_is(name: str, *, is_address: bool, is_loopback: bool) -> None:
    authority = Authority(name)
    assert (authority.is_address, authority.is_loopback) == (is_address, is_loopback)


@given(st.text(st.sampled_from("[]:.@%/?#\\ \t0127af-x\u0663\u3002\uff10"), max_size=24))
def test_what_is_read_is_read_the_same_again(text: str) -> None:
    found = parse_authority(text)
    if found is not None:
        name = f"[{found.name}]" if ":" in found.name else found.name
        again = name if found.port is None else f"{name}:{found.port}"
        assert parse_authority(again) == found
        assert text.isascii()


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://tv.example", Origin("https", "tv.example", 443)),
        ("https://tv.example:443", Origin("https", "tv.example", 443)),
        ("http://[::1]:3000", Origin("http", "::1", 3000)),
    ],
)
def test_the_port_of_an_origin_is_its_schemes_own_unless_it_says_another(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text", ["null", "", "file://", "tv.example", "HTTPS://tv.example", "https://tv.example/", "x" * 400]
)
def test_what_is_no_web_origin_is_none(text: str) -> None:
    assert parse_origin(text) is None
