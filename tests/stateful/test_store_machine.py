"""The store against a dict: it holds what was put and not evicted, within its bytes, and never loses a pinned one."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.store import Refusal, Store

from ..effort import EFFORT

BYTES_MAX = 50
KEYS = st.builds(ResourceKey, st.integers(0, 1), st.sampled_from([Kind.MEDIA, Kind.INIT]), st.integers(0, 5))


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store(BYTES_MAX)
        self.model: dict[ResourceKey, bytes] = {}
        self.pins: dict[ResourceKey, int] = {}

    @rule(key=KEYS, size=st.integers(0, BYTES_MAX + 5), fill=st.integers(0, 255))
    def put(self, key: ResourceKey, size: int, fill: int) -> None:
        data = bytes([fill]) * size
        pinned = sum(len(self.model[k]) for k, count in self.pins.items() if count and k != key)
        answer = self.store.put(key, data)
        if isinstance(answer, Refusal):
            assert answer.reason == ("too_large" if size > BYTES_MAX else "pinned")
            assert size > BYTES_MAX - pinned
            return
        assert size <= BYTES_MAX - pinned
        assert key not in answer
        for gone in answer:
            assert not self.pins.get(gone)
            del self.model[gone]
        self.model[key] = data

    @rule(key=KEYS)
    def get(self, key: ResourceKey) -> None:
        assert self.store.get(key) == self.model.get(key)

    @rule(key=KEYS)
    def pin(self, key: ResourceKey) -> None:
        assert self.store.pin(key) == (key in self.model)
        if key in self.model:
            self.pins[key] = self.pins.get(key, 0) + 1

    @precondition(lambda self: any(self.pins.values()))
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([k for k, count in self.pins.items() if count]))
        self.store.unpin(key)
        self.pins[key] -= 1

    @rule(rendition=st.integers(0, 1), number=st.integers(0, 5))
    def play(self, rendition: int, number: int) -> None:
        self.store.moved_playhead(rendition, number)

    @invariant()
    def it_holds_what_the_model_holds_within_its_bytes(self) -> None:
        assert set(self.store.keys()) == set(self.model)
        assert self.store.byte_count == sum(map(len, self.model.values())) <= BYTES_MAX


StoreMachine.TestCase.settings = settings(max_examples=50 * EFFORT, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
