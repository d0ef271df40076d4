import pytest

from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.store import Refusal, Store


def media(number: int, rendition: int = 0) -> ResourceKey:
    return ResourceKey(rendition, Kind.MEDIA, number)


def filled(*held: int, bytes_max: int = 30) -> Store:
    store = Store(bytes_max)
    for number in held:
        assert store.put(media(number), b"x" * 10) == ()
    return store


def test_what_was_put_is_there_until_it_goes():
    store = filled(1)
    assert store.get(media(1)) == b"x" * 10
    assert media(1) in store
    assert store.discard(media(1))
    assert store.get(media(1)) is None
    assert not store.discard(media(1))
    assert store.byte_count == 0


def test_a_peek_is_no_use():
    store = filled(1, 2, 3)
    assert store.peek(media(1)) == b"x" * 10
    assert store.peek(media(9)) is None
    assert store.put(media(4), b"x" * 10) == (media(1),)


def test_the_farthest_behind_the_playhead_goes_first_then_the_least_recently_used():
    store = filled(7, 3, 5)
    store.moved_playhead(0, 6)
    store.get(media(3))
    assert store.put(media(8), b"x" * 10) == (media(3),)
    assert store.put(media(9), b"x" * 10) == (media(5),)
    store.get(media(7))
    assert store.put(media(10), b"x" * 10) == (media(8),)


def test_of_what_was_passed_goes_first_what_most_peers_hold():
    store = filled(1, 2, 3)
    store.moved_playhead(0, 4)
    store.held_elsewhere({media(2): 5, media(3): 1})
    assert [store.worth(media(number)) for number in (1, 2, 3, 4)] == [1, 0, 0, 2]
    assert store.put(media(4), b"x" * 10) == (media(2),)
    assert store.put(media(5), b"x" * 10) == (media(3),)
    assert store.put(media(6), b"x" * 10) == (media(1),)


def test_what_is_still_to_be_played_stays_however_many_hold_it():
    store = filled(1, 5, 6)
    store.moved_playhead(0, 5)
    store.held_elsewhere({media(5): 9, media(6): 9})
    assert store.put(media(7), b"x" * 10) == (media(1),)


def test_keys_and_init_sections_are_not_behind_any_playhead():
    store = filled(1, 2)
    init = ResourceKey(0, Kind.INIT, 0)
    store.put(init, b"x" * 10)
    store.get(media(1))
    store.moved_playhead(0, 9)
    assert store.put(media(9), b"x" * 10) == (media(1),)


def test_what_is_being_read_stays():
    store = filled(1, 2, 3)
    assert store.pin(media(1))
    assert store.put(media(4), b"x" * 10) == (media(2),)
    store.unpin(media(1))
    assert store.put(media(5), b"x" * 10) == (media(1),)


def test_more_than_the_store_is_refused_and_nothing_goes():
    store = filled(1, 2)
    assert store.put(media(3), b"x" * 31) == Refusal("too_large", 31, 30)
    assert len(store) == 2


def test_when_all_that_would_have_to_go_is_being_read_it_is_refused_and_nothing_goes():
    store = filled(1, 2, 3)
    store.pin(media(1))
    assert store.put(media(4), b"x" * 25) == Refusal("pinned", 25, 30)
    assert store.keys() == (media(1), media(2), media(3))
    assert store.refused_count == 1


def test_a_newer_version_replaces_the_older_and_keeps_its_pins():
    store = filled(1, 2, 3)
    store.pin(media(1))
    assert store.put(media(1), b"y" * 5) == ()
    assert store.byte_count == 25
    assert store.put(media(4), b"x" * 15) == (media(2),)
    assert store.get(media(1)) == b"y" * 5


def test_what_is_not_here_cannot_be_pinned_and_an_unpin_without_a_pin_is_a_mistake():
    store = filled(1)
    assert not store.pin(media(2))
    with pytest.raises(ValueError, match="is not pinned"):
        store.unpin(media(1))
    with pytest.raises(ValueError, match="is not pinned"):
        store.unpin(media(2))


def test_an_empty_resource_needs_no_room():
    store = filled(1, 2, 3)
    assert store.put(media(4), b"") == ()
