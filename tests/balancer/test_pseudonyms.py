"""Logs name other viewers neither by id nor by address."""

import pytest

from shoal.balancer.pseudonyms import Pseudonyms, without_addresses


def test_peers_are_called_in_the_order_in_which_they_were_met_and_keep_their_names() -> None:
    names = Pseudonyms(10)
    assert [names.meet(peer) for peer in ("-PM2300-a", "-PM2300-b", "-PM2300-a")] == ["peer-1", "peer-2", "peer-1"]
    assert names.apply("peer:-PM2300-b is to blame; -PM2300-a left") == "peer-2 is to blame; peer-1 left"


def test_the_oldest_names_are_forgotten_and_none_is_given_twice() -> None:
    names = Pseudonyms(2)
    assert [names.meet(peer) for peer in "abca"] == ["peer-1", "peer-2", "peer-3", "peer-4"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.7 answered", "an address answered"),
        ("(198.51.100.4:3478)", "(an address:3478)"),
        ("2001:db8::7 is gone", "an address is gone"),
        ("from ::1.", "from an address."),
        ("fe80::1%eth0", "an address%eth0"),
        ("2001:db8:1:2:3:4:5:6", "an address"),
        ("::ffff:192.0.2.7", "an address"),
        ("at 12:30:05 it took 3.5 s, version 1.2.3", "at 12:30:05 it took 3.5 s, version 1.2.3"),
        ("protocol: size: 10 bytes", "protocol: size: 10 bytes"),
    ],
)
def test_an_address_in_a_text_is_left_out(text: str, shown: str) -> None:
    assert without_addresses(text) == shown
