"""A timer set and cancelled by an actor, against uvloop's call_later and cancel: CPU time of the pair.

Ours and uvloop's take turns in one process, and each ratio is of two stretches that follow each other.

    in one callback   200,000 pairs and then the loop: uvloop frees what was cancelled as its loop goes round, so that
                      until then each pair takes new memory
    as loops do       after each 1,000 pairs the loop goes round twice, and what it does then is counted on both sides
"""

from __future__ import annotations

import asyncio
import statistics
import time

from harness import Claim
from measure import Figures, run_ours

from shoal.runtime import Actor, ActorRef, ActorSystem

PAIRS = 200_000  # 0.03 s of ours
FEW = 1_000
STRETCHES = 5  # of each, after one that is not counted
PEERS = ()


class Clockwork(Actor[int]):
    def receive(self, message: int) -> int:
        for _ in range(message):
            self.start_timer("key", 1, delay_us=5_000_000)
            self.cancel_timer("key")
        return message


async def ours(clockwork: ActorRef[int], pairs: int) -> None:
    await clockwork.ask(pairs)


async def uvloops(loop: asyncio.AbstractEventLoop, pairs: int) -> None:
    call_later = loop.call_later
    for _ in range(pairs):
        call_later(5, print).cancel()


async def rounds_of_the_loop() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def program(system: ActorSystem, pairs: int) -> dict[str, float]:
    clockwork = system.spawn(Clockwork)
    loop = asyncio.get_running_loop()
    sides = (lambda few: ours(clockwork, few), lambda few: uvloops(loop, few))
    at_once: list[tuple[int, int]] = []
    as_loops_do: list[tuple[int, int]] = []
    for _ in range(STRETCHES + 1):
        spent_ns = []
        for side in sides:
            began_ns = time.process_time_ns()
            await side(pairs)
            spent_ns.append(time.process_time_ns() - began_ns)
            await rounds_of_the_loop()
        at_once.append((spent_ns[0], spent_ns[1]))
        spent_ns = []
        for side in sides:
            began_ns = time.process_time_ns()
            for _ in range(max(1, pairs // FEW)):
                await side(min(FEW, pairs))
                await rounds_of_the_loop()
            spent_ns.append(time.process_time_ns() - began_ns)
        as_loops_do.append((spent_ns[0], spent_ns[1]))
    return {
        "per_cpu_s": pairs * 1e9 / max(1, statistics.median(mine for mine, _ in at_once[1:])),
        "share_of_loop": statistics.median(mine / max(1, theirs) for mine, theirs in at_once[1:]),
        "share_of_turning_loop": statistics.median(mine / max(1, theirs) for mine, theirs in as_loops_do[1:]),
    }


def claims(measured: Figures) -> list[Claim]:
    share = measured.figure("shoal", "timers", "share_of_loop")
    turning = measured.figure("shoal", "timers", "share_of_turning_loop")
    return [
        Claim("timer set and cancel, of uvloop's, in one callback", share, 0.15, at_least=False, unit="x", goal=0.08),
        Claim("timer set and cancel, of uvloop's, as loops do", turning, 0.5, at_least=False, unit="x"),
    ]


if __name__ == "__main__":
    run_ours("timers", PAIRS, program)
