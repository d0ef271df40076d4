"""Exploring: what it tries, what it finds, and what it says of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import shoal
from shoal.runtime import Actor
from shoal.runtime.simulation.choosers import PctChooser, RandomChooser, make_chooser
from shoal.runtime.simulation.exploring import steps_of
from shoal.runtime.testing import InvariantBroken, explore, run_until_idle, simulate

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shoal.__file__).resolve().parent.parent)}


class Account(Actor):
    """Reads and writes its balance in two messages: another may come between them."""

    def __init__(self):
        self.balance = 0

    def receive(self, message):
        what, value = message
        if what == "set":
            self.balance = value
        return self.balance


class Clerk(Actor):
    async def receive(self, account):
        balance = await account.ask(("get", 0))
        await account.ask(("set", balance + 1))


async def lost_update(system):
    account = system.spawn(Account, name="account")
    for i in range(2):
        system.spawn(Clerk, name=f"clerk{i}").tell(account)
    await run_until_idle(system)
    assert await account.ask(("get", 0)) == 2


class Relay(Actor):
    def receive(self, message):
        left, other = message
        if left:
            other.tell((left - 1, self.ref))


async def hundred_messages(system):
    """A program of a hundred messages, which has many schedules."""
    for _ in range(5):
        system.spawn(Relay).tell((19, system.spawn(Relay)))
    await run_until_idle(system)
    assert system.counters.handled == 100


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_a_lost_update_is_found_and_its_seed_named(strategy):
    with pytest.raises(AssertionError) as found:
        explore(lost_update, schedules=200, strategy=strategy)
    (note,) = found.value.__notes__
    assert f"({strategy})" in note
    seed = int(note.split("--seed ")[1].split()[0])
    assert f"found by seed {seed} " in note
    with pytest.raises(AssertionError):
        simulate(lost_update, seed=seed, strategy=strategy, steps_expected=steps_of(lost_update, strategy))


def test_the_replay_command_runs_the_seed_again():
    with pytest.raises(AssertionError) as found:
        explore(lost_update, schedules=200, strategy="pct")
    command = found.value.__notes__[0].split("replay: ")[1].split()
    assert command[:3] == ["python", "-m", "shoal.runtime.simulation"]
    arguments = [word.replace(lost_update.__module__, "test_exploring") for word in command[1:]]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1
    assert "assert await account.ask" in done.stderr


EXPLORES = """
from shoal.runtime import Actor
from shoal.runtime.testing import Faults, explore

class Echo(Actor):
    def receive(self, message):
        return message

def main():
    async def program(system):
        await system.spawn(Echo, name="echo").ask(1)
    explore(program, schedules=50, faults=Faults().crash("/echo", probability=0.1))

main()
"""


def test_what_the_module_cannot_say_is_replayed_by_the_command_that_found_it(tmp_path):
    (tmp_path / "explores.py").write_text(EXPLORES)
    first = subprocess.run(
        [sys.executable, "explores.py"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    (note,) = re.findall(r"found by seed (\d+) .*?, after (\d+) runs that held; replay: (.*)", first.stderr)
    assert int(note[1]) > 0
    again = subprocess.run(
        note[2], shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert f"found by seed {note[0]} (random), after 0 runs that held" in again.stderr


def test_the_replay_command_shows_the_trace():
    arguments = ["-m", "shoal.runtime.simulation", "test_exploring:hundred_messages", "--seed", "4"]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout == simulate(hundred_messages, seed=4).trace


def test_as_many_distinct_schedules_are_taken_as_asked_for():
    found = explore(hundred_messages, schedules=50)
    assert (found.distinct, found.messages) == (50, 100 * found.runs)
    assert found.runs_per_s > 0


def test_a_program_with_few_schedules_is_not_tried_for_ever():
    async def main(system):
        await system.spawn(Account).ask(("get", 0))

    found = explore(main, schedules=10)
    assert (found.distinct, found.runs) == (1, 40)


def test_a_run_can_be_looked_at():
    def check(run):
        assert run.duration_us < 100, "too slow"

    with pytest.raises(AssertionError, match="too slow"):
        explore(hundred_messages, schedules=5, check_run=check, replay="again {seed}")


def test_all_orders_of_three_actors_are_reached():
    """A random walk and random priorities both reach each order of three equal actors."""

    class Noting(Actor):
        def receive(self, log):
            log.append(self.ref.name)

    def orders(strategy):
        found = set()
        for seed in range(200):
            log = []

            async def main(system, log=log):
                for ref in [system.spawn(Noting, name=name) for name in "abc"]:
                    ref.tell(log)
                await run_until_idle(system)

            simulate(main, seed=seed, strategy=strategy)
            found.add("".join(log))
        return found

    assert len(orders("random")) == len(orders("pct")) == 6


def test_pct_finds_what_a_random_walk_finds_too_rarely():
    """A message that must overtake a long chain: one priority does it, a walk must choose right each time."""

    class Chain(Actor):
        def receive(self, left):
            if left:
                self.ref.tell(left - 1)
            else:
                ended.append("chain")

    class Single(Actor):
        def receive(self, message):
            ended.append("single")

    ended = []

    async def main(system):
        ended.clear()
        for _ in range(3):
            system.spawn(Chain).tell(10)
        system.spawn(Single).tell(1)
        await run_until_idle(system)
        assert ended[-1] == "chain", "the single message came last"

    with pytest.raises(AssertionError, match="came last"):
        explore(main, schedules=60, strategy="pct")
    assert explore(main, schedules=60, strategy="random").distinct == 60


def test_choosers_are_made_by_name():
    assert isinstance(make_chooser("random", 1), RandomChooser)
    assert isinstance(make_chooser("pct", 1), PctChooser)
    with pytest.raises(ValueError, match='use "random" or "pct"'):
        make_chooser("other", 1)


def test_what_the_runtime_breaks_is_named(monkeypatch):
    """The counters are made to lie: a message too many was handled."""

    async def main(system):
        await system.spawn(Account).ask(("get", 0))
        system._life.scheduler.handled += 1

    with pytest.raises(InvariantBroken, match="-1 messages are in handling"):
        simulate(main)
