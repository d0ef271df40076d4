"""How much of a thread an actor gets.  Where systems are manual, each message costs 1 us: shares are exact."""

import asyncio
import math
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.runtime import Actor, ActorSystem
from shoal.runtime.testing import ManualSystem, simulate
from shoal.runtime.turns import Ticket, Turns

from ..effort import EFFORT
from .support import EVERY_MODE, run_in

SLICE = 50  # messages of 1 us in a slice of 50 us
LEAD_NS = 250_000  # what a turn of one that is alone is charged at most
weights = st.integers(1, 10_000).map(lambda hundredths: hundredths / 100)


class Flooder(Actor):
    """Always has a message."""

    def __init__(self):
        self.handled = 0
        self.ref.tell("first")

    def receive(self, message):
        self.handled += 1
        self.ref.tell(message)


class Noting(Actor):
    def __init__(self, log):
        self.log = log

    def receive(self, message):
        if message == "fail":
            raise RuntimeError(message)
        self.log.append(message)


def turn(system):
    system.driver._is_awake = False
    system.driver._turn()


def handled_by(system, given_weights, messages):
    """How many each flooder has handled once all together have handled so many."""
    refs = [system.spawn(Flooder, weight=weight) for weight in given_weights]
    actors = [ref.cell.actor for ref in refs]
    while sum(actor.handled for actor in actors) < messages:
        turn(system)
    handled = [actor.handled for actor in actors]
    system.shut_down()
    return handled


def test_one_of_weight_4_gets_four_times_the_time_of_one_of_weight_1():
    heavy, light = handled_by(ManualSystem(), [4, None], 20_000)
    assert abs(heavy - 4 * light) <= 5 * SLICE


@settings(max_examples=25 * EFFORT, deadline=None)
@given(st.lists(weights, min_size=2, max_size=6))
def test_flooders_share_a_thread_in_proportion_to_their_weights(given_weights):
    handled = handled_by(ManualSystem(), given_weights, 3000)
    total, all_weights = sum(handled), math.fsum(given_weights)
    for count, weight in zip(handled, given_weights, strict=True):
        # A slice may be ahead of its time, that of each other too; and each is charged in whole nanoseconds.
        assert abs(count - total * weight / all_weights) <= (SLICE + 1) * len(handled) + 0.002 * total


def test_an_idle_actor_goes_ahead_of_all_that_have_been_running_whatever_the_weights():
    system, log = ManualSystem(), []
    for _ in range(5):
        system.spawn(Flooder, weight=100)
    probe = system.spawn(Noting, log, weight=0.01)
    for _ in range(20):
        turn(system)
    probe.tell("now")
    turn(system)
    assert log == ["now"]
    system.shut_down()


def test_a_heavy_actor_saves_up_no_time_by_sleeping():
    system, log = ManualSystem(), []
    sleeper = system.spawn(Noting, log, weight=2)
    flooder = system.spawn(Flooder).cell.actor
    for _ in range(100):
        turn(system)
    before = flooder.handled
    for number in range(900):
        sleeper.tell(number)
    while len(log) < 900:
        turn(system)
    assert flooder.handled - before >= 900 / 2 - 3 * SLICE
    system.shut_down()


@pytest.mark.parametrize("weight", [0, -1, 0.009, 100.01, math.nan, math.inf, "4", True])
def test_a_weight_that_is_none_is_an_error_and_nothing_was_spawned(weight):
    system = ManualSystem()
    with pytest.raises(ValueError, match=r"weight is .*; give a number, 0\.01 to 100"):
        system.spawn(Flooder, name="flooder", weight=weight)
    assert system.counters.actors == 0
    assert system.find("flooder") is None
    system.shut_down()


def test_a_restart_keeps_the_weight_and_the_snapshot_shows_it():
    system, log = ManualSystem(), []
    system.spawn(Noting, log)
    heavy = system.spawn(Noting, log, weight=2.5)
    heavy.tell("fail")
    heavy.tell("again")
    system.run_until_idle()
    assert log == ["again"]
    snapshot = system.snapshot()
    assert [(actor.weight, actor.restarts) for actor in snapshot.actors] == [(1.0, 0), (2.5, 1)]
    assert snapshot.to_dict()["actors"][1]["weight"] == 2.5
    system.shut_down()


@pytest.fixture(params=EVERY_MODE)
def mode(request):
    return request.param


class Family(Actor):
    def receive(self, message):
        return self.spawn(Noting, [], weight=0.5), self.spawn(Noting, [])


def test_a_weight_is_taken_in_every_mode_and_is_the_actors_own(make_system, mode):
    async def main():
        async with make_system() as system:
            family = system.spawn(Family, weight=4)
            await family.ask("found one")
            assert [actor.weight for actor in system.snapshot().actors] == [4.0, 0.5, 1.0]
            with pytest.raises(ValueError, match="weight is 0"):
                system.spawn(Noting, [], weight=0)

    run_in(mode, main())


def held_for_more_than_a_turn(turns, ticket):
    turns.take(ticket)
    end_ns = time.perf_counter_ns() + LEAD_NS
    while time.perf_counter_ns() <= end_ns:
        pass
    turns.hand_on(ticket)


def test_turns_of_threads_are_charged_by_weight():
    light, heavy = Ticket(), Ticket(400)
    for ticket in (light, heavy):
        held_for_more_than_a_turn(Turns(), ticket)  # alone: a turn is charged at most
    assert (light.had_ns, heavy.had_ns) == (LEAD_NS, LEAD_NS // 4)


def test_a_thread_that_by_its_weight_is_next_again_keeps_the_token():
    turns, heavy, light, order = Turns(patience_s=60), Ticket(400), Ticket(), []

    def work():
        turns.take(light)
        order.append("light")
        turns.hand_on(light)

    turns.take(heavy)
    light.had_ns = 3_000_000
    waiting = threading.Thread(target=work)
    waiting.start()
    while turns.waiting() == 0:
        time.sleep(0.001)
    turns.rejoin(heavy)
    turns.take(heavy)
    assert order == []
    heavy.had_ns = 4_000_000
    turns.rejoin(heavy)
    assert order == ["light"]
    waiting.join()
    turns.hand_on(heavy)
    assert turns.taken_away == 0


def test_a_thread_has_the_weight_of_the_actor_it_was_made_for():
    async def main():
        async with ActorSystem(mode="threaded", take_turns=True) as system:
            drivers = [system.spawn(Family, weight=weight).scheduler.host._driver for weight in (4, None)]
            assert [driver._lingering.ticket.weight for driver in (*drivers, system._driver)] == [400, 0, 0]

    asyncio.run(main())


async def flood_by_weight(system):
    refs = [system.spawn(Flooder, name=name, weight=weight) for name, weight in (("heavy", 4), ("light", None))]
    actors = [ref.cell.actor for ref in refs]
    await asyncio.sleep(0.004)
    return [actor.handled for actor in actors]


@pytest.mark.parametrize("seed", range(3))
def test_in_a_simulation_a_heavy_actor_is_drawn_more_often(seed):
    run = simulate(flood_by_weight, seed=seed)
    heavy, light = run.value
    assert heavy + light >= 3990
    assert 0.77 < heavy / (heavy + light) < 0.83  # five standard deviations
    again = simulate(flood_by_weight, seed=seed)
    assert (again.trace, again.schedule) == (run.trace, run.schedule)
    assert simulate(flood_by_weight, schedule=run.schedule).trace == run.trace


async def fan_in(system, **options):
    log = []
    sink = system.spawn(Noting, log, **options)
    for number in range(5):
        sink.tell(number)
        system.spawn(Flooder, name=f"flooder{number}")
    await asyncio.sleep(0.0002)
    return log


def test_a_weight_of_1_changes_no_schedule():
    plain = simulate(fan_in, seed=3)
    assert simulate(lambda system: fan_in(system, weight=1), seed=3).trace == plain.trace
    assert simulate(lambda system: fan_in(system, weight=1), seed=3).schedule == plain.schedule
    assert simulate(lambda system: fan_in(system, weight=9), seed=3).schedule != plain.schedule
