"""Instructions per operation, under callgrind: the figure that a busy machine cannot move.

    python benchmarks/instructions.py               all operations on the leg that is imported
    python benchmarks/instructions.py hop ask       some of them
    python benchmarks/instructions.py --record      append to results/instructions.jsonl

Each program runs twice, with N and 2 N operations, and the difference is divided
by N: start-up, imports and the end cancel out.  The turn's budget is as good as
endless, because a program runs fifty times slower here than its clock believes.

A change that adds 5 % says why; `--record` shows each figure beside the last one
recorded for the same leg and Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import machine
from runtime_claims import ping_pong

from shoal.runtime import Actor, ActorRef, ActorSystem
from shoal.runtime.core import scheduler as _scheduler

__all__ = ["OPERATIONS", "change", "count", "instructions_of", "leg", "slope"]

RESULTS = Path(__file__).resolve().parent / "results" / "instructions.jsonl"
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


OPERATIONS: dict[str, tuple[Any, int]] = {
    "hop": (hop, 20_000),
    "flood": (flood, 20_000),
    "ask": (ask, 5_000),
    "ask from a task": (ask_from_a_task, 5_000),
    "spawn": (spawn, 5_000),
    "timer set and cancel": (timer, 5_000),
}


async def run(name: str, operations: int) -> None:
    async with ActorSystem(turn_budget_us=10**9, slice_us=10**6, loop_delay_interval_us=None) as system:
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


def change(before: float, after: float) -> str:
    """In words: how the figure moved, and whether that asks for a reason."""
    share = after / before - 1
    return f"{share:+.1%}" + ("  more than 5 %: say why" if share > MORE_IS_EXPLAINED else "")


def count(name: str, *, divide_by: int = 1) -> float | None:
    """Instructions per operation; None without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    operations = OPERATIONS[name][1] // divide_by
    totals = []
    for rounds in (operations, 2 * operations):
        with tempfile.NamedTemporaryFile() as out:
            ended = subprocess.run(
                [
                    valgrind,
                    "--tool=callgrind",
                    f"--callgrind-out-file={out.name}",
                    sys.executable,
                    *("-W", "ignore", __file__, "--inside", name, str(rounds)),
                ],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": "0"},
            )
        totals.append(instructions_of(ended.stderr))
    return slope(totals[0], totals[1], operations)


def last_recorded(name: str, python: str) -> float | None:
    if not RESULTS.exists():
        return None
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    same = [row for row in rows if (row["operation"], row["leg"], row["python"]) == (name, leg(), python)]
    return float(same[-1]["instructions"]) if same else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(OPERATIONS))
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--inside", nargs=2, metavar=("NAME", "N"), help="run one program; for callgrind")
    options = parser.parse_args()
    if options.inside:
        asyncio.run(run(options.inside[0], int(options.inside[1])))
        return 0
    where = machine()
    print(f"instructions per operation, {leg()} leg, Python {where['python']}\n")
    for name in options.names or OPERATIONS:
        figure = count(name)
        if figure is None:
            print("not measured: valgrind is not installed (apt-get install valgrind)", file=sys.stderr)
            return 3
        before = last_recorded(name, str(where["python"]))
        print(f"{name:22} {figure:8.0f}   {'' if before is None else change(before, figure)}", flush=True)
        if options.record:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as lines:
                row = {"operation": name, "leg": leg(), "instructions": round(figure, 1), **where}
                lines.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
