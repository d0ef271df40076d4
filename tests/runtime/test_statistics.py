"""Snapshots, and the histogram of the loop's delay."""

import asyncio
import dataclasses
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.runtime import Actor, ActorMetrics, ActorSystem, LoopDelay
from shoal.runtime.core.stats import Stats
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


class Failing(Actor):
    def receive(self, message):
        if message == "fail":
            raise ValueError
        return self.stash(message) if message == "aside" else message


def only_actor(system):
    (actor,) = system.snapshot().actors
    return actor


def test_a_snapshot_says_what_an_actor_is_and_went_through(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    system = ManualSystem()
    ref = system.spawn(Failing)
    for message in ("fail", "fail", "aside"):
        ref.tell(message)
    system.run_until_idle()
    actor = only_actor(system)
    assert (actor.actor_class, actor.restarts, actor.stashed) == ("Failing", 2, 1)
    system.shut_down()


def test_without_metrics_no_actor_has_any():
    system = ManualSystem()
    ref = system.spawn(Failing)
    ref.tell(1)
    system.run_until_idle()
    assert only_actor(system).metrics is None
    assert ref.cell.stats is None
    system.shut_down()


def test_with_metrics_messages_slices_run_time_and_the_peak_are_counted():
    system = ManualSystem(metrics=True, batch_messages_max=4)
    ref = system.spawn(Failing)
    for n in range(10):
        ref.tell(n)
    system.run_until_idle()
    metrics = only_actor(system).metrics
    assert (metrics.handled, metrics.slices, metrics.queued_peak) == (10, 3, 10)
    assert metrics.run_time_us == 10  # a microsecond each
    assert sum(metrics.waits_log2) == 2  # of the first slice nobody knew when it became ready
    system.shut_down()


def test_waits_are_counted_by_powers_of_two():
    stats = Stats()
    for wait_us in (0, 1, 2, 3, 4, 1023, 1024, 1 << 40):
        stats.ready_ns = 1
        stats.waited(1 + wait_us * 1000)
    counts = {bucket: count for bucket, count in enumerate(stats.waits) if count}
    assert counts == {0: 1, 1: 1, 2: 2, 3: 1, 10: 1, 11: 1, 31: 1}


def test_of_many_slices_one_in_64_counts_its_wait():
    system = ManualSystem(metrics=True)
    ref = system.spawn(Failing)
    for n in range(256 + 1600):
        ref.tell(n)
        system.run_until_idle()
    metrics = only_actor(system).metrics
    assert metrics.slices == 1856
    assert sum(metrics.waits_log2) == 255 + 25  # of the first slice nobody knew when it became ready
    system.shut_down()


def test_a_percentile_of_waits_is_rounded_up_to_a_power_of_two():
    metrics = ActorMetrics(handled=0, slices=0, run_time_us=0, queued_peak=0, waits_log2=(1, 0, 2, 0, 1))
    assert [metrics.wait_us(share) for share in (0.25, 0.5, 0.75, 1.0)] == [0, 4, 4, 16]
    assert ActorMetrics(0, 0, 0, 0, (0, 0)).wait_us(0.99) == 0


def test_a_snapshot_is_a_tree():
    system = ManualSystem()
    top = system.spawn(Parent, name="a")
    system.spawn(Parent, name="b")
    for name in ("x", "y"):
        top.tell(name)
    system.run_until_idle()
    a, b = system.snapshot().tree()
    assert (a.actor.path, [node.actor.path for node in a.children]) == ("/a", ["/a/x", "/a/y"])
    assert (b.actor.path, b.children) == ("/b", ())
    system.shut_down()


def test_a_snapshot_is_json():
    system = ManualSystem(metrics=True)
    system.spawn(Parent, name="a").tell("child")
    system.run_until_idle()
    read = json.loads(system.snapshot().to_json())
    assert read["counters"]["handled"] == 1
    assert [actor["path"] for actor in read["actors"]] == ["/a", "/a/child"]
    assert read["actors"][0]["metrics"]["handled"] == 1
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
