"""The same seed is the same run: in this process, in others, with other hashes, on other Pythons and legs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.runtime import Actor
from shoal.runtime.testing import simulate

from . import scenarios_of_life, scenarios_of_messages
from .programs import PROGRAMS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def traces(which: str, *, python: str = sys.executable, hash_seed: str = "0", path: str | None = None) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    if path is not None:
        environment["PYTHONPATH"] = path
    done = subprocess.run(
        [python, str(HERE / "trace.py"), which], env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(
    "program",
    PROGRAMS,
    ids=lambda program: program.__name__,
)
def test_the_same_seed_gives_the_same_trace(program):
    for strategy in ("random", "pct"):
        first, second = (simulate(program, seed=5, strategy=strategy) for _ in range(2))
        assert first.trace == second.trace
        assert first.schedule == second.schedule
        assert first.counters == second.counters


def test_other_seeds_give_other_schedules():
    schedules = {simulate(scenarios_of_messages.fan_in, seed=seed).schedule.tobytes() for seed in range(50)}
    assert len(schedules) == 50


def test_a_recorded_schedule_can_be_run_again():
    first = simulate(scenarios_of_life.watches_race_ends, seed=9, strategy="pct")
    again = simulate(scenarios_of_life.watches_race_ends, schedule=first.schedule)
    assert again.trace == first.trace


def test_hashes_of_strings_do_not_show_in_a_trace():
    for which in ("own", "asyncio"):
        first = traces(which, hash_seed="1")
        assert first.count(b"\n") > 1000
        assert traces(which, hash_seed="2") == first


def test_a_trace_is_the_same_on_every_leg():
    assert traces("own") == traces("own", path=str(ROOT / "src"))


@pytest.mark.skipif(os.environ.get("SHOAL_LEG", "fast") != "pure", reason="other Pythons have no compiled leg here")
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_a_trace_is_the_same_on_every_python(version):
    found = subprocess.run([ROOT / "tools" / "find-python", version], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"CPython {version} is not on this machine")
    python = found.stdout.strip()
    assert traces("own", python=python, hash_seed="3") == traces("own")
    assert traces("asyncio", python=python, hash_seed="3") == traces("asyncio", python=python, hash_seed="4")


def test_messages_show_as_values_or_as_their_type_and_never_as_addresses():
    class Blob:
        pass

    class Sink(Actor):
        def receive(self, message):
            pass

    async def main(system):
        sink = system.spawn(Sink, name="sink")
        for message in (1, "\u00e9", b"b", None, 1.5, True, (1, ("two", Blob())), Blob(), {"a", "b"}, "x" * 200):
            sink.tell(message)
        await sink.ask("end")

    handled = [line.split(" ", 3)[3] for line in simulate(main).trace.splitlines() if " handle " in line]
    assert handled == [
        "1",
        r"'\xe9'",
        "b'b'",
        "None",
        "1.5",
        "True",
        "(1, ('two', Blob))",
        "Blob",
        "set",
        "'" + "x" * 79 + "...",
        "'end'",
    ]
