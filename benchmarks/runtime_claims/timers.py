"""A timer set and cancelled by an actor, against uvloop's call_later and cancel: CPU time of the pair."""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorSystem

PAIRS = 200_000
PEERS = ()


class Clockwork(Actor[int]):
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    def receive(self, message: int) -> None:
        for _ in range(message):
            self.start_timer("key", 1, delay_us=5_000_000)
            self.cancel_timer("key")
        self.done.set()


async def program(system: ActorSystem, pairs: int) -> dict[str, float]:
    done = asyncio.Event()
    clockwork = system.spawn(Clockwork, done)
    watch = Stopwatch().start()
    clockwork.tell(pairs)
    await done.wait()
    watch.stop()
    ours = watch.per_cpu_s(pairs)
    loop = asyncio.get_running_loop()
    watch.start()
    for _ in range(pairs):
        loop.call_later(5, done.set).cancel()
    watch.stop()
    return {"per_cpu_s": ours, "share_of_loop": watch.per_cpu_s(pairs) / ours}


def claims(measured: Figures) -> list[Claim]:
    share = measured.figure("shoal", "timers", "share_of_loop")
    return [Claim("timer set and cancel, of uvloop's", share, 0.15, at_least=False, unit="x", goal=0.08)]


if __name__ == "__main__":
    run_ours("timers", PAIRS, program)
