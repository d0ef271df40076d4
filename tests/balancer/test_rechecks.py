"""What is held without a hash, once there is one: hashed once, one at a time, and judged by the hash of that moment."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.rechecks import AT_ONCE_MAX, Check, Rechecks, Verdict

from ..effort import EFFORT

ONE, OTHER, THIRD = (ResourceKey(0, Kind.MEDIA, number) for number in range(3))


def holding(*keys: ResourceKey) -> Rechecks:
    rechecks = Rechecks()
    for key in keys:
        rechecks.held(key, is_hashed=False)
    return rechecks


def known(*keys: ResourceKey) -> dict[ResourceKey, bytes]:
    return dict.fromkeys(keys, b"right")


def test_nothing_is_hashed_before_its_hash_came() -> None:
    rechecks = holding(ONE, OTHER)
    rechecks.look(known(THIRD).get)
    assert rechecks.next() == []


def test_what_has_a_hash_now_is_hashed_one_after_the_other() -> None:
    rechecks = holding(ONE, OTHER, THIRD)
    rechecks.look(known(ONE, THIRD).get)
    (first,) = rechecks.next()
    assert first.key == ONE
    assert rechecks.next() == []
    assert rechecks.hashed(first, b"right", b"right") is Verdict.RIGHT
    (second,) = rechecks.next()
    assert second.key == THIRD
    assert rechecks.hashed(second, b"wrong", b"right") is Verdict.WRONG
    assert len(rechecks) == 1


def test_a_hash_that_came_while_it_was_under_way_counts_at_once() -> None:
    rechecks = Rechecks()
    rechecks.held(ONE, is_hashed=True)
    assert [check.key for check in rechecks.next()] == [ONE]


def test_the_hash_of_the_moment_when_the_digest_comes_decides() -> None:
    rechecks = holding(ONE)
    rechecks.look(known(ONE).get)
    (check,) = rechecks.next()
    assert rechecks.hashed(check, b"right", b"another") is Verdict.WRONG


def test_what_lost_its_hash_meanwhile_waits_for_one_again() -> None:
    rechecks = holding(ONE)
    rechecks.look(known(ONE).get)
    (check,) = rechecks.next()
    assert rechecks.hashed(check, b"right", None) is None
    assert rechecks.next() == []
    rechecks.look(known(ONE).get)
    assert len(rechecks.next()) == 1


def test_a_digest_of_what_went_meanwhile_says_nothing_of_what_came_in_its_place() -> None:
    rechecks = holding(ONE)
    rechecks.look(known(ONE).get)
    (late,) = rechecks.next()
    rechecks.gone(ONE)
    rechecks.held(ONE, is_hashed=True)
    (check,) = rechecks.next()
    assert rechecks.hashed(late, b"wrong", b"right") is None
    assert rechecks.hashed(check, b"right", b"right") is Verdict.RIGHT


def test_what_is_not_found_any_more_is_forgotten() -> None:
    rechecks = holding(ONE)
    rechecks.look(known(ONE).get)
    (check,) = rechecks.next()
    assert rechecks.hashed(check, None, b"right") is None
    assert len(rechecks) == 0


class AnyOrder(RuleBasedStateMachine):
    """Against a model that knows of each key which bytes are held; the hash of each is known, or not, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.rechecks = Rechecks()
        self.store: dict[ResourceKey, bytes] = {}  # without a hash
        self.hashes: dict[ResourceKey, bytes] = {}
        self.asked: list[tuple[Check, bytes]] = []  # with what was held when it was asked

    def take(self) -> None:
        self.asked += [(check, self.store[check.key]) for check in self.rechecks.next()]

    @rule(number=st.integers(0, 4), data=st.sampled_from([b"a", b"b"]))
    def completes(self, number: int, data: bytes) -> None:
        key = ResourceKey(0, Kind.MEDIA, number)
        self.store[key] = data
        self.rechecks.held(key, is_hashed=key in self.hashes)
        self.take()

    @rule(number=st.integers(0, 4))
    def goes(self, number: int) -> None:
        key = ResourceKey(0, Kind.MEDIA, number)
        self.store.pop(key, None)
        self.rechecks.gone(key)

    @rule(hashes=st.dictionaries(st.integers(0, 4), st.sampled_from([b"a", b"b"])))
    def hashes_come(self, hashes: dict[int, bytes]) -> None:
        self.hashes = {ResourceKey(0, Kind.MEDIA, number): data for number, data in hashes.items()}
        self.rechecks.look(self.hashes.get)
        self.take()

    @precondition(lambda self: self.asked)
    @rule(is_found=st.booleans())
    def answers(self, is_found: bool) -> None:
        check, data = self.asked.pop(0)
        right = self.hashes.get(check.key)
        verdict = self.rechecks.hashed(check, data if is_found else None, right)
        if verdict is not None:
            assert (verdict is Verdict.RIGHT) == (self.store.pop(check.key) == right)
        elif not is_found:
            self.store.pop(check.key, None) if check.key not in self.keys() else None
        self.take()

    def keys(self) -> set[ResourceKey]:
        rechecks = self.rechecks
        return {*rechecks._held, *rechecks._due, *rechecks._under_way}

    @invariant()
    def each_is_there_once_and_few_at_a_time(self) -> None:
        assert len(self.rechecks) == len(self.keys()) == len(self.store)
        assert len(self.rechecks._under_way) <= AT_ONCE_MAX

    @invariant()
    def nothing_waits_that_could_be_hashed(self) -> None:
        assert not self.rechecks._due or self.asked  # an answer is on its way, and what is next follows it


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30 * EFFORT, deadline=None)
