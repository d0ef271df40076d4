"""One run of one workload in one process: its clock, its figures, its one line of JSON.

Rates are per second of the process's CPU time, all threads together: what others do on the
machine hardly touches them.  A line is {"runtime", "work", and figures by name}.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

__all__ = ["Figures", "Stopwatch", "emit", "idle_bytes", "main_of_variants", "new_loop", "percentile", "run_ours"]


class Figures:
    """What the rounds of one benchmark gave, by runtime and workload."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[dict[str, float]]] = {}

    def figure(self, runtime: str, work: str, name: str = "per_cpu_s") -> float | None:
        """The median over the rounds; None if there is none."""
        values = [row[name] for row in self.rows.get((runtime, work), []) if name in row]
        return statistics.median(values) if values else None

    def ratio(self, work: str, peer: str, ours: str = "per_cpu_s", theirs: str = "per_cpu_s") -> float | None:
        """Ours by theirs: the median of the ratios within each round."""
        rounds = zip(self.rows.get(("shoal", work), []), self.rows.get((peer, work), []), strict=False)
        values = [mine[ours] / other[theirs] for mine, other in rounds if ours in mine and theirs in other]
        return statistics.median(values) if values else None

    def by_work(self) -> dict[str, dict[str, list[dict[str, float]]]]:
        """All of it as JSON has it: workload, runtime, rounds."""
        found: dict[str, dict[str, list[dict[str, float]]]] = {}
        for (runtime, work), rows in self.rows.items():
            found.setdefault(work, {})[runtime] = rows
        return found


class Stopwatch:
    """CPU time from `start` to `stop`, in nanoseconds.

    The first `start` of a program that runs side by side with others waits until all of them are ready.
    """

    def __init__(self) -> None:
        self._began_ns = 0
        self.spent_ns = 0

    def start(self) -> Stopwatch:
        if os.environ.pop("SHOAL_BENCH_GATE", None):
            print("ready", flush=True)
            sys.stdin.readline()
        self._began_ns = time.process_time_ns()
        return self

    def stop(self) -> None:
        self.spent_ns = time.process_time_ns() - self._began_ns

    def per_cpu_s(self, operations: int) -> float:
        return operations * 1e9 / max(1, self.spent_ns)


def percentile(values: list[int], share: float) -> float:
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else float("inf")


def idle_bytes() -> int:
    """Resident bytes of this process, garbage collected."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def emit(runtime: str, work: str, **figures: float) -> None:
    """Print the line and leave at once: a million pending objects need not be torn down."""
    print(json.dumps({"runtime": runtime, "work": work, **figures}), flush=True)
    os._exit(0)


def run_ours(work: str, operations: int, program: Callable[[Any, int], Awaitable[dict[str, float]]]) -> None:
    """Run a coroutine with an ActorSystem as its users have it: every default, on uvloop."""
    from shoal.runtime import ActorSystem

    async def main() -> None:
        async with ActorSystem() as system:
            emit("shoal", work, **await program(system, int(sys.argv[1]) if len(sys.argv) > 1 else operations))

    new_loop().run_until_complete(main())


def main_of_variants(work: str, size: float, variants: dict[str, Callable[[Any], dict[str, float]]]) -> None:
    """Run the variant that the command line names, `shoal` if none: FILE [VARIANT [SIZE]]."""
    name = sys.argv[1] if len(sys.argv) > 1 else "shoal"
    given = type(size)(sys.argv[2]) if len(sys.argv) > 2 else size
    emit(name, work, **variants[name](given))
