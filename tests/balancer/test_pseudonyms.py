"""Logs name other viewers neither by id nor by address."""

import pytest

from shoal.balancer.pseudonyms import Pseudonyms, without_addresses


def names(here_max: int = 3, left_max: int = 2) -> Pseudonyms:
    return Pseudonyms(here_max, left_max)


def test_peers_are_called_in_the_order_in_which_they_were_met_and_keep_their_names() -> None:
    met = names()
    assert [met.meet(peer) for peer in ("-PM2300-a", "-PM2300-b", "-PM2300-a")] == ["peer-1", "peer-2", "peer-1"]
    assert met.apply("peer:-PM2300-b is to blame; -PM2300-a left") == "peer-2 is to blame; peer-1 left"


def test_one_that_left_keeps_its_name_and_comes_back_by_it() -> None:
    met = names()
    met.meet("AAAA")
    met.leave("AAAA")
    met.leave("AAAA")
    assert met.apply("peer:AAAA left") == "peer-1 left"
    assert met.meet("AAAA") == "peer-1"


def test_of_those_who_left_the_first_is_forgotten_and_no_name_is_given_twice() -> None:
    met = names()
    for peer in ("AAAA", "BBBB", "CCCC"):
        met.meet(peer)
        met.leave(peer)
    assert met.apply("AAAA BBBB CCCC") == "AAAA peer-2 peer-3"
    assert met.meet("AAAA") == "peer-4"


def test_one_that_is_here_keeps_its_name_however_many_come_and_go() -> None:
    met = names()
    met.meet("AAAA")
    for number in range(100):
        met.meet(f"-{number:03}")
        met.leave(f"-{number:03}")
    assert met.apply("peer:AAAA left") == "peer-1 left"


def test_names_are_bounded_where_nobody_is_said_to_have_left() -> None:
    met = names()
    for number in range(100):
        met.meet(f"-{number:03}")
    known = [number for number in range(100) if met.apply(f"-{number:03}") == f"peer-{number + 1}"]
    assert known == [95, 96, 97, 98, 99]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.7 answered", "an address answered"),
        ("(198.51.100.4:3478)", "(an address:3478)"),
        ("2001:db8::7 is gone", "an address is gone"),
        ("from ::1.", "from an address."),
        ("fe80::1%eth0", "an address%eth0"),
        ("2001:db8:1:2:3:4:5:6", "an address"),
        ("2001:470:1234:5678:1111:2222:3333:4444 left", "an address left"),
        ("[2001:470:1:2:3:4:5:6]:3478", "[an address]:3478"),
        ("1:2:3:4:5:6:192.0.2.7", "an address"),
        ("1:2:3:4:5:6:7 and 1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7 and 1:2:3:4:5:6:7:8:9"),
        ("::ffff:192.0.2.7", "an address"),
        ("at 12:30:05 it took 3.5 s, version 1.2.3", "at 12:30:05 it took 3.5 s, version 1.2.3"),
        ("protocol: size: 10 bytes", "protocol: size: 10 bytes"),
    ],
)
def test_an_address_in_a_text_is_left_out(text: str, shown: str) -> None:
    assert without_addresses(text) == shown
