"""CMSD: what servers say of an object and of themselves, and nothing of what they say wrongly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.cmsd import ServerData, server_data


def test_both_headers_are_read_and_of_the_servers_the_nearest():
    assert server_data(
        {
            "cmsd-static": 'ot=v,sf=h,st=l,d=5000,br=2000,n="OriginProviderA"',
            "cmsd-dynamic": '"CDNB-3ak1";etp=400;rtt=32, "CDN-edge-7";etp=96;rtt=8;mb=5000;du',
        }
    ) == ServerData(
        static={"ot": "v", "sf": "h", "st": "l", "d": 5000, "br": 2000, "n": "OriginProviderA"},
        dynamic={"etp": 96, "rtt": 8, "mb": 5000, "du": True},
        server="CDN-edge-7",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cmsd-static": "", "cmsd-dynamic": ""},
        {"cmsd-static": "ot=", "cmsd-dynamic": '"x'},
        {"cmsd-dynamic": "5;rtt=1"},
        {"cmsd-dynamic": "(a b);rtt=1"},
        {"cmsd-static": "x=1," * 5_000},
    ],
)
def test_what_is_not_there_or_cannot_be_read_is_nothing(headers):
    assert server_data(headers) is None


def test_one_header_may_be_wrong_and_the_other_is_read():
    found = server_data({"cmsd-static": "ot=v,,", "cmsd-dynamic": "edge;rtt=8"})
    assert found == ServerData(dynamic={"rtt": 8}, server="edge")


def test_what_is_kept_is_bounded():
    many = ",".join(f"k{n}=1" for n in range(100))
    found = server_data({"cmsd-static": f'{many},long="{"x" * 500}"', "cmsd-dynamic": f'"{"e" * 500}"'})
    assert found is not None
    assert len(found.static) == 32
    assert len(found.server) == 64


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_headers_are_read_or_let_be(static, dynamic):
    server_data({"cmsd-static": static, "cmsd-dynamic": dynamic})
