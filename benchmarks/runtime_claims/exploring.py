"""How many schedules of a program are explored in a second of CPU time: five chains of twenty messages each.

Simulation is Python and has no peer here: what is held against it is the goal of being of use, which is a thousand
schedules of each of some scenarios on every change.
"""

from __future__ import annotations

import sys
import time

from harness import Claim
from measure import Figures, emit

from shoal.runtime import Actor, ActorRef, ActorSystem
from shoal.runtime.testing import explore, run_until_idle

SCHEDULES = 500
MESSAGES = 100
CHAINS = 5
PEERS = ()

Hop = tuple[int, ActorRef["Hop"]]


class Relay(Actor[Hop]):
    def receive(self, message: Hop) -> None:
        left, other = message
        if left > 0:
            other.tell((left - 1, self.ref))


async def program(system: ActorSystem) -> None:
    for _ in range(CHAINS):
        system.spawn(Relay).tell((MESSAGES // CHAINS - 1, system.spawn(Relay)))
    await run_until_idle(system)
    assert system.counters.handled == MESSAGES, "it is another program than the claim speaks of"


def rate(schedules: int) -> float:
    explore(program, schedules=min(20, schedules))  # imports, and what is kept of a first run
    began_ns = time.process_time_ns()
    explore(program, schedules=schedules)
    return schedules * 1e9 / max(1, time.process_time_ns() - began_ns)


def claims(measured: Figures) -> list[Claim]:
    per_s = measured.figure("shoal", "exploring")
    return [Claim(f"schedules of {MESSAGES} messages explored", per_s, 250, at_least=True, unit="/s", goal=500)]


if __name__ == "__main__":
    emit("shoal", "exploring", per_cpu_s=rate(int(sys.argv[1]) if len(sys.argv) > 1 else SCHEDULES))
