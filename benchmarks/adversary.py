"""What a paced adversary costs the others: bytes that a holder sends them for each second of its CPU, with and without.

    make bench-adversary                                     six rounds, 80 seconds
    make bench-adversary ARGS="--rounds 2 --seconds 2"       a look

A viewer of ours that holds a stream, in a process of its own, serves two peers as fast as it can over real WebRTC.
A third, in a process of its own too, says as much as it may without ever being paused: it announces 16 segments 20
times a second and asks 8 times a second in vain: for what is not there, for what is behind the end of a segment, and
for what it cancels at once.  A round is four slices of time, it is loud in the two
in the middle or in the two outside, so that whatever changes steadily meanwhile is in both alike; the figure is the
median of the rounds' ratios.

At the end of each slice the adversary says how many commands its channel has taken, how many of its requests were
answered and whether it is open, and all three are claimed: one that is gone, mute or not heard costs nothing, and
proves nothing.

What it costs is the same for each second, however much is sent meanwhile.  So where the holder gets only a part of a
core, since others compute, the ratio looks worse than it is: `of a core` is what it takes of one that is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import Claim, conclude
from swarm.guest import COMMANDS_PER_SECOND, HELD, SEGMENT_BYTES, Met, guests
from swarm.runs import swarm
from tests.p2pml.counterparts import Program

LOGS = Path("out") / "bench-adversary"
SEGMENT_S = 0.5
SETTLE_S = 0.5  # after a change, before it counts


def cpu_s(pid: int) -> float:
    """Of all its threads; to the nanosecond where Linux counts that, as 10 ms would be a percent of a slice."""
    of_threads = [path.read_text("ascii").split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(fields[0]) for fields in of_threads) / 1e9


@dataclass
class Spent:
    """Of some slices: what the takers got, what it took of the holder's CPU, and how long."""

    bytes: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0

    async def add(self, pid: int, met: Met, seconds: float) -> None:
        await asyncio.sleep(SETTLE_S)
        bytes_before, cpu_before_s, began_s = met.got_bytes, cpu_s(pid), time.monotonic()
        await asyncio.sleep(seconds)
        self.bytes += met.got_bytes - bytes_before
        self.cpu_s += cpu_s(pid) - cpu_before_s
        self.seconds += time.monotonic() - began_s

    @property
    def per_cpu_s(self) -> float:
        return self.bytes / self.cpu_s

    @property
    def cores(self) -> float:
        return self.cpu_s / self.seconds


@dataclass
class Slice:
    """What the adversary did in one."""

    is_loud: bool
    said: int  # commands that its channel took
    planned: float
    open: int  # channels of it at the end
    takers: int  # that were connected at the end
    asked: int  # requests in vain since the beginning, and how many of them were answered
    answered: int


async def turned(adversary: Program, number: int) -> dict[str, int]:
    """What it said at its signal of that number; of one that is gone, or hangs, that nothing is open."""
    for _ in range(50):
        told = adversary.all_told("turned")
        if len(told) >= number:
            return told[number - 1]
        if adversary.child.exit_code is not None:
            break
        await asyncio.sleep(0.1)
    return {"said": 0, "asked": 0, "answered": 0, "open": 0}


async def run(rounds: int, seconds: float) -> tuple[list[float], list[Slice]]:
    """The ratio of each round; which of both comes first changes from round to round.  And every slice."""
    ratios, slices = [], []
    async with swarm(HELD, SEGMENT_S, SEGMENT_BYTES, LOGS) as here, AsyncExitStack() as stack:
        # Takers go round and round for as long as it is measured, and no viewer would be sent so much.
        holder = await here.ours("holder", lead=1e6, config={"upload_times_max": 10_000})
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
        turns = 0

        async def turn(*, is_loud: bool) -> dict[str, int]:
            nonlocal turns
            turns += 1
            adversary.child.signal(signal.SIGUSR1 if is_loud else signal.SIGUSR2)
            return await turned(adversary, turns)

        for number in range(rounds):
            loud, quiet = Spent(), Spent()
            for is_outside in (True, False, False, True):
                is_loud = is_outside == (number % 2 == 1)
                before, began_s = await turn(is_loud=is_loud), time.monotonic()
                await (loud if is_loud else quiet).add(holder.child.pid, met, seconds)
                planned = COMMANDS_PER_SECOND * (time.monotonic() - began_s) * is_loud
                after = await turn(is_loud=False)
                said = after["said"] - before["said"]
                heard = after["asked"], after["answered"]
                slices.append(Slice(is_loud, said, planned, after["open"], met.open, *heard))
            ratios.append(loud.per_cpu_s / quiet.per_cpu_s)
            of_a_core = loud.cores - loud.bytes / loud.seconds / quiet.per_cpu_s
            print(
                f"adversary, round {number}: {loud.per_cpu_s / 1e6:.2f} MB per CPU-second with it"
                f" ({loud.bytes / loud.seconds / 1e6:.2f} MB/s), {quiet.per_cpu_s / 1e6:.2f} without"
                f" ({quiet.bytes / quiet.seconds / 1e6:.2f} MB/s); it takes {100 * of_a_core:.1f} % of a core, of which"
                f" the holder had {100 * loud.cores:.0f} and {100 * quiet.cores:.0f} %",
                flush=True,
            )
    return ratios, slices


def claims_of(ratios: list[float], slices: list[Slice]) -> list[Claim]:
    said = min(one.said / one.planned for one in slices if one.is_loud)
    is_open, takers = min(one.open for one in slices), min(one.takers for one in slices)
    answered = slices[-1].answered / max(1, slices[-1].asked)
    in_quiet = max(one.said for one in slices if not one.is_loud)
    print(
        f"adversary: in a loud slice at least {said:.2f} of the commands that it was to say, in a quiet one at most"
        f" {in_quiet}; {answered:.2f} of its requests were answered; at the end of each slice at least"
        f" {is_open} of its channels was open",
        flush=True,
    )
    return [
        Claim(
            "under a paced adversary: others' throughput per CPU-second, of that without",
            statistics.median(ratios),
            0.9,
            at_least=True,
        ),
        Claim("the same: its channels open at the end of a slice, the fewest", is_open, 1, at_least=True),
        Claim("the same: commands taken of it in a loud slice, of those planned, the least", said, 0.9, at_least=True),
        Claim("the same: of its requests that were not cancelled, answered", answered, 0.9, at_least=True),
        Claim("the same: commands taken of it in a quiet slice, the most", in_quiet, 3, at_least=False),
        Claim("the same: takers connected at the end of a slice, the fewest", takers, 2, at_least=True),
    ]


async def measured(rounds: int = 6, seconds: float = 2.5) -> list[Claim]:
    return claims_of(*await run(rounds, seconds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each quarter of a round")
    options = parser.parse_args()
    return conclude("adversary", asyncio.run(measured(options.rounds, options.seconds)))


if __name__ == "__main__":
    raise SystemExit(main())
