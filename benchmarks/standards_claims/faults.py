"""The fault matrix (tests/faults): every fault of an origin in everything that it serves, in each kind of stream.

All cells over the in-memory network in virtual time, then the named ones on sockets, in a
process of its own, whose memory is that of the matrix alone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import Claim

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 8  # on sockets
FIRST = 50  # cells, after which the process is as large as one that does nothing wrong
CELLS_MIN = {"in virtual time": 500, "where a peer alone is well": 150, "on sockets": 60}
FIGURES = ("cells", "right_percent", "wrong_bytes", "named_percent", "stall_s", "grown_mib")
STALL_S_MAX = 0.5
# One session after another with a store of 1 MiB; or twenty at once, with their origins and what is on its way.
MEMORY_MIB_MAX = {"in virtual time": 32.0, "where a peer alone is well": 32.0, "on sockets": 32.0}


def claims(rounds: int) -> list[Claim]:  # noqa: ARG001 - what holds in virtual time holds in each round
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    command = [sys.executable, "-W", "ignore", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return claims_of(told_of(done))


def told_of(done: subprocess.CompletedProcess[str]) -> Mapping[str, dict[str, Any] | None]:
    """What it told, by where the cells ran; None, and why, where something that it needs is not installed."""
    if done.returncode == 0:
        both: dict[str, dict[str, Any] | None] = json.loads(done.stdout)
        return both
    last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    print(f"the fault matrix could not be run: {last}")
    if last.startswith(("ModuleNotFoundError", "ImportError")):
        return dict.fromkeys(CELLS_MIN)
    print(done.stderr[-3000:])
    return {where: {**dict.fromkeys(FIGURES), "cells": 0, "seconds": 0.0, "broken": []} for where in CELLS_MIN}


def claims_of(both: Mapping[str, dict[str, Any] | None]) -> list[Claim]:
    """What the other process told: by where it ran, what came of all cells; None where it did not run."""
    found: list[Claim] = []
    for where, outcome in both.items():
        told: dict[str, Any] = {**dict.fromkeys(FIGURES), "broken": None} if outcome is None else outcome
        if outcome is not None:
            print(f"fault matrix {where}: {told['cells']} cells in {told['seconds']:.1f} s")
            for broken in outcome["broken"]:
                print(f"  {broken}")
        what = f"faults {where}"
        found += [
            Claim(f"{what}: cells", told["cells"], CELLS_MIN[where], at_least=True),
            Claim(f"{what}: segments that came, hash-equal", told["right_percent"], 100, at_least=True, unit="%"),
            Claim(f"{what}: wrong bytes given to a player", told["wrong_bytes"], 0, at_least=False),
            Claim(f"{what}: named in the report", told["named_percent"], 100, at_least=True, unit="%"),
        ]
        found.append(
            Claim(f"{what}: cells of which anything else is broken", _count(told["broken"]), 0, at_least=False)
        )
        if where != "where a peer alone is well":  # there two CDNs are left first
            found.append(Claim(f"{what}: longest stall", told["stall_s"], STALL_S_MAX, at_least=False, unit="s"))
        found.append(Claim(f"{what}: memory", told["grown_mib"], MEMORY_MIB_MAX[where], at_least=False, unit="MiB"))
    return found


def _count(broken: list[str] | None) -> int | None:
    return None if broken is None else len(broken)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run both, and print what came of them as JSON."""
    import asyncio

    sys.path.insert(0, str(ROOT))
    from tests.faults import catalogue, matrix, outcome, real

    def summed(outcomes: list[outcome.Outcome], began_s: float, before_mib: float, **limits: int) -> dict[str, Any]:
        wanted = sum(each.wanted for each in outcomes)
        return {
            "cells": len(outcomes),
            "seconds": time.monotonic() - began_s,
            "right_percent": 100 * sum(each.right for each in outcomes) / wanted,
            "wrong_bytes": sum(each.wrong_bytes for each in outcomes),
            "named_percent": 100 * sum(each.is_named for each in outcomes) / len(outcomes),
            "stall_s": max(each.stall_us for each in outcomes) / 1e6,
            "grown_mib": peak_mib() - before_mib,
            "broken": [f"{each.cell}: {words}" for each in outcomes for words in each.broken(**limits)],
        }

    began_s = time.monotonic()
    outcomes = [matrix.run(cell) for cell in catalogue.CELLS[:FIRST]]
    before_mib = peak_mib()
    outcomes += [matrix.run(cell) for cell in catalogue.CELLS[FIRST:]]
    told = {"in virtual time": summed(outcomes, began_s, before_mib)}
    began_s, before_mib = time.monotonic(), peak_mib()
    outcomes = [matrix.run(cell) for cell in catalogue.PEER_CELLS]
    told["where a peer alone is well"] = summed(outcomes, began_s, before_mib)
    began_s, before_mib = time.monotonic(), peak_mib()
    outcomes = asyncio.run(real.run_all(real.REAL_CELLS, at_once=AT_ONCE))
    told["on sockets"] = summed(outcomes, began_s, before_mib, unread_bytes=16 << 20)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
