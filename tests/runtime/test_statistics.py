"""Snapshots, and the histogram of the loop's delay."""

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.runtime import Actor, ActorSystem, LoopDelay
from shoal.runtime.testing import ManualSystem, run_virtual


class Parent(Actor):
    def receive(self, message):
        self.spawn(Parent, name=message)


def test_a_snapshot_has_a_line_for_each_actor_parents_first():
    system = ManualSystem()
    ref = system.spawn(Parent, name="a")
    system.spawn(Parent, name="b")
    ref.tell("child")
    system.run_until_idle()
    ref.tell("waiting")
    snapshot = system.snapshot()
    assert [(a.path, a.state, a.queued) for a in snapshot.actors] == [
        ("/a", "running", 1),
        ("/a/child", "running", 0),
        ("/b", "running", 0),
    ]
    assert snapshot.counters.sent == 2
    assert snapshot.counters.queued == 1
    system.shut_down()


def test_a_snapshot_is_frozen():
    system = ManualSystem()
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.counters.sent = 5
    system.shut_down()


def test_without_samples_all_percentiles_are_0():
    snapshot = LoopDelay().snapshot()
    assert (snapshot.samples, snapshot.p50_us, snapshot.p99_us, snapshot.max_us) == (0, 0, 0, 0)


def test_the_maximum_is_exact_and_a_reset_forgets_it():
    delay = LoopDelay()
    delay.record(123_456)
    delay.record(7)
    assert delay.snapshot().max_us == 123_456
    delay.reset()
    assert delay.snapshot().samples == 0


@given(
    st.lists(st.integers(min_value=0, max_value=60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99])
)
def test_a_percentile_is_at_most_an_eighth_too_high_and_never_too_low(delays_us, share):
    delay = LoopDelay()
    for delay_us in delays_us:
        delay.record(delay_us)
    exact = next(d for i, d in enumerate(sorted(delays_us), 1) if i >= share * len(delays_us))
    assert exact <= delay.percentile_us(share) <= exact * 1.125 + 1


def test_the_loops_delay_is_sampled_while_the_system_runs():
    async def main():
        async with ActorSystem(loop_delay_interval_us=20_000) as system:
            await asyncio.sleep(1)
            samples = system.loop_delay.snapshot().samples
        await asyncio.sleep(1)
        assert system.loop_delay.snapshot().samples == samples
        return samples

    assert run_virtual(main()) in (49, 50)
