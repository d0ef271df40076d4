from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.availability import Availability

NONE: frozenset[int] = frozenset()


def swarm() -> Availability:
    known = Availability()
    for peer, rendition, held in (("a", 0, {1, 2}), ("b", 0, {2}), ("c", 1, {2})):
        known.join(peer, rendition)
        known.announce(peer, frozenset(held), NONE)
    return known


def test_holders_are_those_of_the_rendition_in_order_of_joining():
    assert list(swarm().holders(0, 2)) == ["a", "b"]
    assert list(swarm().holders(1, 2)) == ["c"]
    assert list(swarm().holders(7, 2)) == []


def test_an_announcement_replaces_the_one_before():
    known = swarm()
    known.announce("a", frozenset({5}), frozenset({6}))
    assert list(known.holders(0, 2)) == ["b"]
    assert known.is_being_fetched(0, 6)
    assert not known.is_being_fetched(1, 6)
    assert known.held_count("a") == 1


def test_a_peer_that_leaves_holds_nothing():
    known = swarm()
    known.leave("a")
    known.leave("a")
    assert list(known.holders(0, 2)) == ["b"]
    assert known.peer_count(0) == 1
    assert not known.holds("a", 1)


def test_a_peer_that_has_announced_nothing_yet_is_not_counted():
    known = swarm()
    known.join("d", 0)
    assert known.peer_count(0) == 2
    known.announce("d", NONE, NONE)
    assert known.peer_count(0) == 3


def test_strangers_announcements_count_for_nothing():
    known = swarm()
    known.announce("x", frozenset({2}), NONE)
    known.lacks("x", 2)
    assert list(known.holders(0, 2)) == ["a", "b"]


def test_what_a_peer_turned_out_to_lack_it_no_longer_holds():
    known = swarm()
    known.lacks("a", 2)
    assert list(known.holders(0, 2)) == ["b"]
    assert known.holds("a", 1)


PEERS = st.sampled_from("abcde")
NUMBERS = st.frozensets(st.integers(0, 6), max_size=5)
STEPS = st.one_of(
    st.tuples(st.just("join"), PEERS, st.integers(0, 1)),
    st.tuples(st.just("leave"), PEERS),
    st.tuples(st.just("announce"), PEERS, NUMBERS, NUMBERS),
    st.tuples(st.just("lacks"), PEERS, st.integers(0, 6)),
    st.tuples(st.just("look"), PEERS),
)


@given(st.lists(STEPS, max_size=60))
def test_the_index_by_number_says_what_the_peers_last_words_say(steps: list[tuple[Any, ...]]) -> None:
    known = Availability()
    words: dict[str, tuple[int, frozenset[int], frozenset[int]]] = {}  # rendition, held, fetching; in order of joining
    told: set[str] = set()
    for what, peer, *rest in [*steps, ("look", "a")]:
        if what != "look":  # the index is brought up to date by who looks into it
            getattr(known, what)(peer, *rest)
        if what in ("join", "leave"):
            words.pop(peer, None)
            told.discard(peer)
        if what == "join":
            words[peer] = (rest[0], NONE, NONE)
        if what == "announce" and peer in words:
            words[peer] = (words[peer][0], *rest)
            told.add(peer)
        if what == "lacks" and peer in words:
            rendition, held, fetching = words[peer]
            words[peer] = (rendition, held - {rest[0]}, fetching - {rest[0]})
        for rendition in (0, 1) if what == "look" else ():
            here = {name: word for name, word in words.items() if word[0] == rendition}
            assert known.known_peers(rendition) == [name for name in here if name in told]
            assert known.peer_count(rendition) == sum(name in told for name in here)
            for number in range(7):
                holders = [name for name, word in here.items() if number in word[1]]
                assert list(known.holders(rendition, number)) == holders
                assert known.holder_count(rendition, number) == len(holders)
                assert known.is_being_fetched(rendition, number) == any(number in word[2] for word in here.values())


def test_peers_that_come_and_go_leave_nothing_behind_and_keep_the_order():
    known = Availability()
    known.join("first", 0)
    known.announce("first", frozenset({1}), NONE)
    for number in range(500):
        known.join(f"p{number}", 0)
        known.announce(f"p{number}", frozenset({1, 2}), frozenset({3}))
        if number < 497:
            known.leave(f"p{number}")
    assert known.holders(0, 1) == ("first", "p497", "p498", "p499")
    assert known.holder_count(0, 2) == 3
    assert known.is_being_fetched(0, 3)
    for name in ("p497", "p498", "p499"):
        known.leave(name)
    assert known.holders(0, 1) == ("first",)
    assert not known.holder_count(0, 2)
    assert not known.is_being_fetched(0, 3)


def test_a_word_whose_news_are_known_is_the_same_word():
    one, other = swarm(), swarm()
    one.announce("a", frozenset({2, 3}), frozenset({4}))
    said = other.peer("a")
    assert said is not None
    assert said.news(frozenset({2, 3}), frozenset({4})) == {1, 3, 4}
    said.says_news(frozenset({2, 3}), frozenset({4}), (1, 3, 4))
    for number in range(6):
        assert one.holders(0, number) == other.holders(0, number)
        assert one.is_being_fetched(0, number) == other.is_being_fetched(0, number)
    assert other.peer("stranger") is None


def test_there_may_be_more_peers_than_a_machine_word_has_bits():
    known = Availability()
    for number in range(200):
        known.join(f"p{number}", 0)
        known.announce(f"p{number}", frozenset({number % 2}), frozenset({2}))
    assert known.holders(0, 1) == tuple(f"p{number}" for number in range(1, 200, 2))
    assert known.holder_count(0, 0) == 100
    for number in range(150):
        known.leave(f"p{number}")
    assert known.holders(0, 0) == tuple(f"p{number}" for number in range(150, 200, 2))
    assert known.is_being_fetched(0, 2)


def test_words_that_nobody_looks_for_do_not_pile_up():
    known = swarm()
    for round_ in range(1000):
        known.announce("a", frozenset(range(round_ % 2, 1000, 2)), NONE)
    assert len(known.peer("a").unread) < 32
    assert list(known.holders(0, 999)) == ["a"]
