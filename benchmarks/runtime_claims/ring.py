"""A hundred actors in a ring and one token: hops per CPU-second."""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorSystem

ACTORS = 100
HOPS = 800_000
PEERS = ("erlang", "caf", "xoscar", "pykka", "thespian", "asyncio_queue", "threads")


class Node(Actor[int]):
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    def receive(self, message: int) -> None:
        if message == 0:
            self.done.set()
        else:
            self.next.tell(message - 1)


async def program(system: ActorSystem, hops: int) -> dict[str, float]:
    done = asyncio.Event()
    refs = [system.spawn(Node, done) for _ in range(ACTORS)]
    for i, ref in enumerate(refs):
        ref.cell.actor.next = refs[(i + 1) % ACTORS]
    watch = Stopwatch().start()
    refs[0].tell(hops)
    await done.wait()
    watch.stop()
    return {"per_cpu_s": watch.per_cpu_s(hops)}


def claims(measured: Figures) -> list[Claim]:
    return [Claim("ring, against Erlang", measured.ratio("ring", "erlang"), 1.5, at_least=True, unit="x", goal=2.0)]


if __name__ == "__main__":
    run_ours("ring", HOPS, program)
