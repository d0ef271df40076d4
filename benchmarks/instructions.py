"""Instructions per operation, under callgrind: the figure that a busy machine cannot move.

    python benchmarks/instructions.py               all operations on the leg that is imported
    python benchmarks/instructions.py hop ask       some of them
    python benchmarks/instructions.py --record      append to results/instructions.jsonl
    python benchmarks/instructions.py --check       exit code 1 if one costs 5 % more than was recorded for it
    python benchmarks/instructions.py --check --legs fast checked pure

Each program runs twice, with N and 2 N operations, and the difference is divided
by N: start-up, imports and the end cancel out.  The turn's budget and the watchdog's
limit are as good as endless, because a program runs fifty times slower here than its
clock believes, and slower still where others compute: one report of the watchdog, with
its stack, is 4 million instructions.

A change that adds 5 % says why, and records what it came to.  Figures are compared
within one leg, version of Python and compiler of it, since each has
its share in them: what was never recorded so is named, with exit code 3, and so is a
machine without valgrind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import deciding
from harness import machine
from runtime_claims import ping_pong

from shoal.runtime import Actor, ActorRef, ActorSystem
from shoal.runtime.core import scheduler as _scheduler

__all__ = ["OPERATIONS", "change", "check", "costs_more", "count", "instructions_of", "last_recorded", "leg", "slope"]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "instructions.jsonl"
LEGS = {"fast": ".", "checked": "build/legs/checked", "pure": "src"}  # what is imported in each; fast is installed
MORE_IS_EXPLAINED = 0.05  # from here on a change says why


class Echo(Actor[int]):
    def receive(self, message: int) -> int:
        return message


class Asker(Actor[int]):
    def __init__(self, echo: ActorRef[int], done: asyncio.Event) -> None:
        self.echo = echo
        self.done = done

    async def receive(self, message: int) -> None:
        for _ in range(message):
            await self.echo.ask(1)
        self.done.set()


class Idle(Actor[int]):
    __slots__ = ()


class Clockwork(Actor[int]):
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    def receive(self, message: int) -> None:
        for _ in range(message):
            self.start_timer("key", 1, delay_us=5_000_000)
            self.cancel_timer("key")
        self.done.set()


async def hop(system: ActorSystem, operations: int) -> None:
    """A hop is one message told, queued, scheduled and handled by one Python handler: half of a ping-pong."""
    await ping_pong.program(system, operations // 2)


async def flood(system: ActorSystem, operations: int) -> None:
    """Messages told from outside in batches, with a handler that does nothing."""
    ref = system.spawn(Echo)
    for _ in range(operations // 500):
        for _ in range(500):
            ref.tell(1)
        await asyncio.sleep(0)


async def ask(system: ActorSystem, operations: int) -> None:
    done = asyncio.Event()
    system.spawn(Asker, system.spawn(Echo), done).tell(operations)
    await done.wait()


async def ask_from_a_task(system: ActorSystem, operations: int) -> None:
    echo = system.spawn(Echo)
    for _ in range(operations):
        await echo.ask(1)


async def spawn(system: ActorSystem, operations: int) -> None:
    spawned = [system.spawn(Idle) for _ in range(operations)]
    os._exit(0 if len(spawned) == operations else 1)  # their end is another operation


async def timer(system: ActorSystem, operations: int) -> None:
    done = asyncio.Event()
    system.spawn(Clockwork, done).tell(operations)
    await done.wait()


async def decision(_: ActorSystem, operations: int) -> None:
    """All events of a segment, for a viewer among 5 CDNs and 30 peers."""
    deciding.decide(30, operations)


OPERATIONS: dict[str, tuple[Any, int]] = {
    "hop": (hop, 20_000),
    "flood": (flood, 20_000),
    "ask": (ask, 5_000),
    "ask from a task": (ask_from_a_task, 5_000),
    "spawn": (spawn, 5_000),
    "timer set and cancel": (timer, 5_000),
    "decision": (decision, 100),
}


async def run(name: str, operations: int) -> None:
    endless = {"turn_budget_us": 10**9, "slice_us": 10**6, "watchdog_limit_us": 10**9, "loop_delay_interval_us": None}
    async with ActorSystem(**endless) as system:
        await OPERATIONS[name][0](system, operations)


def leg() -> str:
    """Which of the three this Python would run."""
    if str(_scheduler.__file__).endswith(".py"):
        return "pure"
    return os.environ.get("SHOAL_LEG", "fast")


def instructions_of(report: str) -> int:
    """The total that callgrind printed."""
    found = re.search(r"Collected : (\d+)", report)
    if found is None:
        raise ValueError(f"no total in callgrind's output: {report[-500:]!r}")
    return int(found[1])


def slope(few: int, many: int, operations: int) -> float:
    """Instructions of one operation, when twice as many were run the second time."""
    return (many - few) / operations


def costs_more(before: float, after: float) -> bool:
    """Whether the difference asks for a reason."""
    return after / before - 1 > MORE_IS_EXPLAINED


def change(before: float, after: float) -> str:
    """In words: how the figure moved, and whether that asks for a reason."""
    return f"{after / before - 1:+.1%}" + ("  more than 5 %: say why" if costs_more(before, after) else "")


def count(name: str, *, divide_by: int = 1) -> float | None:
    """Instructions per operation; None without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    operations = OPERATIONS[name][1] // divide_by
    with ThreadPoolExecutor(2) as pool:  # side by side: what others do on the machine is no matter here
        few, many = pool.map(lambda rounds: total(valgrind, name, rounds), (operations, 2 * operations))
    return slope(few, many, operations)


def total(valgrind: str, name: str, operations: int) -> int:
    """Instructions of a whole program that runs an operation so many times."""
    with tempfile.NamedTemporaryFile() as out:
        ended = subprocess.run(
            [
                valgrind,
                "--tool=callgrind",
                f"--callgrind-out-file={out.name}",
                sys.executable,
                *("-W", "ignore", __file__, "--inside", name, str(operations)),
            ],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    return instructions_of(ended.stderr)


def last_recorded(name: str, where: dict[str, object]) -> float | None:
    """What the operation cost when it was last recorded, for this leg and on this Python."""
    if not RESULTS.exists():
        return None
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    this = (name, leg(), where["python"], compiler())
    same = [row for row in rows if (row["operation"], row["leg"], row["python"], row.get("compiler")) == this]
    return float(same[-1]["instructions"]) if same else None


def compiler() -> str:
    """What built this Python: its share of the instructions is the larger one."""
    return platform.python_compiler()


def check(figures: dict[str, float], before: dict[str, float | None]) -> int:
    """Name what costs more than was recorded: 1.  3 if something was never recorded, 0 if all is as it was."""
    dearer = [name for name, figure in figures.items() if (was := before[name]) and costs_more(was, figure)]
    unknown = [name for name in figures if before[name] is None]
    for name in dearer:
        print(f"{name} costs {figures[name]:.0f} instructions, recorded are {before[name]:.0f}", file=sys.stderr)
    if unknown:
        print(f"never recorded for this leg and Python: {', '.join(unknown)} (--record)", file=sys.stderr)
    return 1 if dearer else 3 if unknown else 0


def measure(names: list[str], *, record: bool) -> tuple[dict[str, float], dict[str, float | None]]:
    """What each operation costs, and what it did; LookupError without valgrind."""
    where = machine()
    print(f"instructions per operation, {leg()} leg, Python {where['python']}\n")
    figures: dict[str, float] = {}
    before: dict[str, float | None] = {}
    for name in names:
        figure = count(name)
        if figure is None:
            raise LookupError("valgrind is not installed (apt-get install valgrind)")
        figures[name], before[name] = figure, last_recorded(name, where)
        print(f"{name:22} {figure:8.0f}   {'' if (was := before[name]) is None else change(was, figure)}", flush=True)
        if record:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as lines:
                row = {"operation": name, "leg": leg(), "instructions": round(figure, 1), "compiler": compiler()}
                lines.write(json.dumps({**row, **where}) + "\n")
    return figures, before


def in_each_leg(legs: list[str], arguments: list[str]) -> int:
    """The same, once for each leg: in a process of its own.  The first exit code that is not 0."""
    worst = 0
    for name in legs:
        path = ROOT / LEGS[name]
        if not (path / "shoal").exists() and name != "fast":
            print(f"no {name} leg in {LEGS[name]}: skipped (make {name})", file=sys.stderr)
            worst = worst or 3
            continue
        environment = {**os.environ, "SHOAL_LEG": name}
        environment.pop("PYTHONPATH", None)
        if name != "fast":
            environment["PYTHONPATH"] = str(path)
        ended = subprocess.run([sys.executable, "-W", "ignore", __file__, *arguments], check=False, env=environment)
        worst = worst or ended.returncode
        print(flush=True)
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(OPERATIONS))
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail where one costs 5 %% more than recorded")
    parser.add_argument("--legs", nargs="+", choices=tuple(LEGS), help="each of these; else the one that is imported")
    parser.add_argument("--inside", nargs=2, metavar=("NAME", "N"), help="run one program; for callgrind")
    options = parser.parse_args()
    if options.inside:
        asyncio.run(run(options.inside[0], int(options.inside[1])))
        return 0
    if options.legs:
        flags = [flag for flag in ("record", "check") if getattr(options, flag)]
        return in_each_leg(options.legs, [*options.names, *(f"--{flag}" for flag in flags)])
    try:
        figures, before = measure(options.names or list(OPERATIONS), record=options.record)
    except LookupError as error:
        print(f"not measured: {error.args[0]}", file=sys.stderr)
        return 3
    return check(figures, before) if options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
