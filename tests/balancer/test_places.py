"""Places for peers: each rendition in use has its share, from its first moment on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.places import Places

S = 1_000_000


def place(places: Places, rendition: int) -> int | None:
    """A peer comes, as the session takes one: whose peer went for it."""
    assert not places.is_full(rendition)
    debtor = places.debtor(rendition)
    if debtor is not None:
        places.exit(debtor)
    places.enter(rendition)
    return debtor


def held(places_max: int, *counts: int, idle_us: int | None = 60 * S) -> Places:
    """Renditions 0, 1, ... in use, with so many peers; the first came first."""
    places = Places(places_max, idle_us)
    for rendition, count in enumerate(counts):
        places.use(rendition, 0)
        for _ in range(count):
            assert place(places, rendition) is None
    return places


def test_one_rendition_may_have_all_places_and_no_more() -> None:
    places = held(32, 32)
    assert places.is_full(0)
    assert places.limit(0) == 32


def test_a_second_rendition_takes_its_share_of_what_the_first_one_has() -> None:
    places = held(32, 32)
    places.use(1, S)
    assert (places.limit(0), places.limit(1)) == (32, 16)
    assert [place(places, 1) for _ in range(16)] == [0] * 16
    assert places.is_full(0)
    assert places.is_full(1)
    assert (places.limit(0), places.limit(1)) == (16, 16)


def test_what_the_others_leave_of_their_share_may_be_had_until_they_want_it() -> None:
    places = held(32, 27, 5)
    assert places.is_full(0)
    assert places.limit(1) == 16
    assert place(places, 1) == 0


def test_who_has_most_beyond_its_share_gives_way() -> None:
    assert place(held(32, 16, 14, 2), 2) == 0


def test_with_fewer_places_than_renditions_nobody_is_sent_away_in_turns() -> None:
    places = held(1, 1, 0)
    assert places.is_full(1)
    assert places.is_full(0)


def test_a_rendition_is_idle_when_another_was_asked_for_so_much_later_and_not_by_time_alone() -> None:
    places = held(32, 1, 1)
    places.use(1, 60 * S)
    assert places.idle() == []
    places.use(1, 61 * S)
    assert places.idle() == [0]
    places.leave(0)
    assert places.idle() == []
    assert (places.limit(0), places.limit(1)) == (0, 32)
    places.use(0, 1_000 * S)
    assert places.idle() == [1]


def test_peers_of_a_swarm_that_was_left_are_the_first_to_give_way_and_nobody_joins_them() -> None:
    places = held(4, 2, 2)
    places.leave(0)
    assert places.is_full(0)
    assert place(places, 1) == 0


def test_without_a_limit_nothing_is_idle() -> None:
    places = held(32, 1, 1, idle_us=None)
    places.use(1, 10**12)
    assert places.idle() == []


@pytest.mark.parametrize("places_max", [1, 2, 3, 7, 32])
@given(st.data())
def test_no_more_than_all_places_are_taken_and_no_share_is_taken_away(places_max: int, data: st.DataObject) -> None:
    places, counts, used = Places(places_max, 60 * S), [0] * 5, set[int]()
    for now_us in range(data.draw(st.integers(0, 80))):
        rendition = data.draw(st.integers(0, 4))
        match data.draw(st.sampled_from(["use", "come", "come", "come", "go", "leave"])):
            case "use":
                places.use(rendition, now_us)
                used.add(rendition)
            case "leave":
                places.leave(rendition)
                used.discard(rendition)
            case "go" if counts[rendition]:
                places.exit(rendition)
                counts[rendition] -= 1
            case "come" if not places.is_full(rendition):
                share = places_max // len(used)
                debtor = place(places, rendition)
                counts[rendition] += 1
                if debtor is not None:
                    counts[debtor] -= 1
                    assert debtor not in used or counts[debtor] >= share
        assert sum(counts) <= places_max
        share = places_max // max(1, len(used))
        for one in used:
            assert counts[one] >= share or not places.is_full(one)
        for one in {*range(5)} - used:
            assert places.is_full(one)
