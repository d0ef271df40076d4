from shoal.balancer.availability import Availability

NONE: frozenset[int] = frozenset()


def swarm() -> Availability:
    known = Availability()
    for peer, rendition, held in (("a", 0, {1, 2}), ("b", 0, {2}), ("c", 1, {2})):
        known.join(peer, rendition)
        known.announce(peer, frozenset(held), NONE)
    return known


def test_holders_are_those_of_the_rendition_in_order_of_joining():
    assert swarm().holders(0, 2) == ["a", "b"]
    assert swarm().holders(1, 2) == ["c"]
    assert swarm().holders(7, 2) == []


def test_an_announcement_replaces_the_one_before():
    known = swarm()
    known.announce("a", frozenset({5}), frozenset({6}))
    assert known.holders(0, 2) == ["b"]
    assert known.is_being_fetched(0, 6)
    assert not known.is_being_fetched(1, 6)
    assert known.held_count("a") == 1


def test_a_peer_that_leaves_holds_nothing():
    known = swarm()
    known.leave("a")
    known.leave("a")
    assert known.holders(0, 2) == ["b"]
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
    assert known.holders(0, 2) == ["a", "b"]


def test_what_a_peer_turned_out_to_lack_it_no_longer_holds():
    known = swarm()
    known.lacks("a", 2)
    assert known.holders(0, 2) == ["b"]
    assert known.holds("a", 1)
