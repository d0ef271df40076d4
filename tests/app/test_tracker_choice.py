"""Which peers get the offers of an announce: near ones and useful ones first, and nobody never."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.tracker_choice import chosen, network_of

HERE, THERE = network_of("192.0.2.7"), network_of("198.51.100.7")


class Peer(msgspec.Struct, frozen=True):
    number: int
    network: str = THERE
    is_complete: bool = False


OWN = Peer(-1, HERE)


def draw(others: list[Peer], count: int, own: Peer = OWN, seed: int = 1) -> list[Peer]:
    return chosen(own, others, count, random.Random(seed))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("0.0.0.1", "::1", False),
    ],
)
def test_a_network_is_a_part_of_an_address(one: str, other: str, is_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is is_same


def test_what_is_no_address_has_no_network_and_is_near_nobody() -> None:
    assert not network_of("unix:")
    nowhere = [Peer(number, "") for number in range(20)]
    assert len(draw(nowhere, 5, Peer(-1, ""))) == 5


def test_half_of_the_offers_go_to_its_own_network() -> None:
    others = [Peer(number) for number in range(100)] + [Peer(number, HERE) for number in range(100, 110)]
    drawn = draw(others, 5)
    assert Counter(peer.network for peer in drawn) == {HERE: 3, THERE: 2}


def test_the_rest_reaches_everybody() -> None:
    others = [Peer(number) for number in range(20)] + [Peer(number, HERE) for number in range(20, 40)]
    reached = {peer.number for seed in range(100) for peer in draw(others, 5, seed=seed)}
    assert reached == set(range(40))


def test_who_has_not_everything_is_told_to_one_that_has() -> None:
    others = [Peer(number) for number in range(100)] + [Peer(100, is_complete=True)]
    assert sum(peer.is_complete for peer in draw(others, 5)) == 1


def test_who_has_everything_is_told_to_those_that_have_not_while_there_are_enough() -> None:
    own = Peer(-1, HERE, is_complete=True)
    seeds = [Peer(number, HERE, is_complete=True) for number in range(20)]
    others = [Peer(number) for number in range(20, 25)]
    assert set(draw(seeds + others, 5, own)) == set(others)
    assert set(others[:2]) < set(draw(seeds + others[:2], 5, own))


@given(
    st.lists(st.tuples(st.sampled_from([HERE, THERE, ""]), st.booleans()), max_size=30),
    st.integers(0, 12),
    st.sampled_from([HERE, ""]),
    st.booleans(),
)
def test_as_many_as_there_are_offers_are_chosen_and_none_of_them_twice(
    found: list[tuple[str, bool]], count: int, network: str, is_complete: bool
) -> None:
    others = [Peer(number, *said) for number, said in enumerate(found)]
    drawn = draw(others, count, Peer(-1, network, is_complete))
    assert len(drawn) == min(count, len(others))
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(others)
