"""What a paced adversary costs the others: bytes that a holder sends them for each second of its CPU, with and without.

    make bench-adversary                                     six rounds, 1 minute
    make bench-adversary ARGS="--rounds 2 --seconds 2"       a look

A viewer of ours that holds a stream, in a process of its own, serves two peers as fast as it can over real WebRTC.
A third, in a process of its own too, says as much as it may without ever being paused: it announces 16 segments 20
times a second and asks 8 times a second for what is not there.  It is loud in every second slice of time of one run;
the figure is the median of the ratios of neighbours.

What it costs is the same for each second, however much is sent meanwhile.  So where the holder gets only a part of a
core, since others compute, the ratio looks worse than it is: `of a core` is what it takes of one that is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path

from harness import Claim, conclude
from swarm.guest import HELD, Met, guests
from swarm.runs import swarm

LOGS = Path("out") / "bench-adversary"
SEGMENT_S, SEGMENT_BYTES = 0.5, 500_000
SETTLE_S = 0.5  # after a change, before it counts


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def slice_of(pid: int, met: Met, seconds: float) -> tuple[float, float]:
    """Bytes to the takers for each second of the holder's CPU, and for each second."""
    await asyncio.sleep(SETTLE_S)
    bytes_before, cpu_before_s, began_s = met.got_bytes, cpu_s(pid), time.monotonic()
    await asyncio.sleep(seconds)
    sent = met.got_bytes - bytes_before
    return sent / max(0.01, cpu_s(pid) - cpu_before_s), sent / (time.monotonic() - began_s)


async def run(rounds: int, seconds: float) -> list[float]:
    """The ratio of each round; which of both comes first changes from round to round."""
    ratios = []
    async with swarm(HELD, SEGMENT_S, SEGMENT_BYTES, LOGS) as here, AsyncExitStack() as stack:
        holder = await here.ours("holder", lead=1e6)
        await here.holds("holder")
        adversary = await here.adversary()
        url = f"{here.origin.url}/{here.stream.playlist}"
        met = await stack.enter_async_context(guests(url, here.tracker, "one", "other"))
        for _ in range(60):
            if met.holders == 2 and adversary.told("connected"):
                break
            await asyncio.sleep(1.0)
        else:
            raise RuntimeError(f"after a minute {met.holders} takers of 2 are connected, and {adversary.events}")
        await asyncio.sleep(2.0)  # until the window has grown
        for number in range(rounds):
            found = {}
            for is_loud in (False, True) if number % 2 else (True, False):
                adversary.child.signal(signal.SIGUSR1 if is_loud else signal.SIGUSR2)
                found[is_loud] = await slice_of(holder.child.pid, met, seconds)
            ratios.append(found[True][0] / found[False][0])
            loud_cores, quiet_cores = (sent / per_cpu_s for per_cpu_s, sent in (found[True], found[False]))
            of_a_core = loud_cores - found[True][1] / found[False][0]
            print(
                f"adversary, round {number}: {found[True][0] / 1e6:.2f} MB per CPU-second with it"
                f" ({found[True][1] / 1e6:.2f} MB/s), {found[False][0] / 1e6:.2f} without"
                f" ({found[False][1] / 1e6:.2f} MB/s); it takes {100 * of_a_core:.1f} % of a core, of which the holder"
                f" had {100 * loud_cores:.0f} and {100 * quiet_cores:.0f} %",
                flush=True,
            )
    return ratios


async def measured(rounds: int = 6, seconds: float = 4.0) -> list[Claim]:
    ratios = await run(rounds, seconds)
    return [
        Claim(
            "under a paced adversary: others' throughput per CPU-second, of that without",
            statistics.median(ratios),
            0.9,
            at_least=True,
        )
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a round")
    options = parser.parse_args()
    return conclude("adversary", asyncio.run(measured(options.rounds, options.seconds)))


if __name__ == "__main__":
    raise SystemExit(main())
