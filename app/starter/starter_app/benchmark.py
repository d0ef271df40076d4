"""MurmurHash3 x86_32 of 1 MiB, a thousand times: native, WebAssembly, plain JavaScript, and Python on both sides.

Each round's seed is the hash of the round before, so no round can be left out, and all who did as many rounds must
end with the same hash.  Native and WebAssembly are one C file (web/murmur3.c); the data lies in WebAssembly's memory
before the clock starts.  All take turns, a tenth of their rounds each time, so that a busy moment of the machine
meets them all.  Python takes a few rounds, since it is hundreds of times slower.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from . import native
from .headless import open_page, what_is_missing
from .murmur3 import murmur3

__all__ = ["DATA", "Contender", "in_page", "measured", "natively"]

DATA = bytes(range(256)) * 4096  # 1 MiB
PYTHON_ROUNDS = 3
TURNS = 10


@dataclass
class Contender:
    name: str
    rounds: int
    run: Callable[[int, int], Awaitable[tuple[float, int]]]  # rounds, seed -> seconds, hash
    done: int = 0
    seconds: float = 0.0
    best: float = float("inf")  # of all turns, for one round
    hash: int = 0

    async def take(self, rounds: int) -> None:
        seconds, self.hash = await self.run(rounds, self.hash)
        self.done += rounds
        self.seconds += seconds
        self.best = min(self.best, seconds / rounds)


def natively(name: str, function: Callable[[bytes, int], int], rounds: int) -> Contender:
    async def run(rounds: int, seed: int) -> tuple[float, int]:
        began = time.perf_counter()
        for _ in range(rounds):
            seed = function(DATA, seed)
        return time.perf_counter() - began, seed

    return Contender(name, rounds, run)


def in_page(page: Any, name: str, key: str, rounds: int) -> Contender:
    """`key` is one of `app.hashers` (web/main.js)."""

    async def run(rounds: int, seed: int) -> tuple[float, int]:
        found = await page.evaluate("(given) => app.measured(...given)", [key, rounds, seed])
        return found["ms"] / 1000, found["hash"]

    return Contender(name, rounds, run)


async def measured(contenders: Sequence[Contender]) -> None:
    """RuntimeError if two of them disagree about a hash."""
    for turn in range(1, TURNS + 1):
        for one in contenders:
            due = one.rounds * turn // TURNS - one.done
            if due:
                await one.take(due)
    for count in {one.rounds for one in contenders}:
        hashes = {one.name: f"{one.hash:08x}" for one in contenders if one.rounds == count}
        if len(set(hashes.values())) > 1:
            raise RuntimeError(f"after {count} rounds they have different hashes: {hashes}")


async def all_here(rounds: int, python_rounds: int) -> list[Contender]:
    """Measured: all that this machine has; the first is what the others are held against."""
    async with AsyncExitStack() as stack:
        found = []
        compiled = native.load()
        if compiled is not None:
            found.append(natively("native (C)", compiled, rounds))
        if what_is_missing() is None:
            page = await stack.enter_async_context(open_page())
            found.append(in_page(page, "WebAssembly (C)", "wasm", rounds))
            found.append(in_page(page, "JavaScript", "script", rounds))
            found.append(in_page(page, "actor in the page (Python)", "actor", python_rounds))
        found.insert(0 if compiled is None else 1, natively("native (Python)", murmur3, python_rounds))
        await measured(found)
        return found


def table(found: Sequence[Contender]) -> str:
    base = found[0]
    lines = [f"MurmurHash3 x86_32 of 1 MiB{'rounds':>8}{'ms/round':>11}{'best':>11}{'x ' + base.name:>19}  hash"]
    for one in found:
        mean = one.seconds / one.rounds
        times = f"{mean * 1000:>11.3f}{one.best * 1000:>11.3f}{mean / (base.seconds / base.rounds):>19.2f}"
        lines.append(f"{one.name:27}{one.rounds:>8}{times}  {one.hash:08x}")
    if native.load() is None:
        lines.append("native C was not measured: it is not compiled; install a C compiler and run: make native")
    missing = what_is_missing()
    if missing is not None:
        lines.append(f"the page was not measured: {missing}")
    return "\n".join(lines)


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1,000,000")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m starter_app.benchmark", description="MurmurHash3 side by side.")
    parser.add_argument("--rounds", type=_rounds, default=1000, help="of compiled code and JavaScript (1000)")
    parser.add_argument("--python-rounds", type=_rounds, default=PYTHON_ROUNDS, help="of Python (%(default)s)")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args()
    results = asyncio.run(all_here(options.rounds, options.python_rounds))
    if options.json:
        rows = [{key: value for key, value in vars(one).items() if key != "run"} for one in results]
        print(json.dumps(rows))
    else:
        print(table(results))
