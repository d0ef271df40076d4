"""Two actors and one message: round trips per CPU-second."""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorRef, ActorSystem

ROUND_TRIPS = 400_000
PEERS = ("erlang", "caf", "xoscar", "pykka", "thespian", "asyncio_queue", "threads")


class Ping(Actor[int]):
    def __init__(self, left: int, done: asyncio.Event) -> None:
        self.left = left
        self.done = done

    def receive(self, message: int) -> None:
        self.left -= 1
        if self.left <= 0:
            self.done.set()
        else:
            self.other.tell(message)


class Pong(Actor[int]):
    def __init__(self, other: ActorRef[int]) -> None:
        self.other = other

    def receive(self, message: int) -> None:
        self.other.tell(message)


async def program(system: ActorSystem, round_trips: int) -> dict[str, float]:
    done = asyncio.Event()
    ping = system.spawn(Ping, round_trips, done)
    pong = system.spawn(Pong, ping)
    ping.cell.actor.other = pong
    watch = Stopwatch().start()
    ping.tell(1)
    await done.wait()
    watch.stop()
    return {"per_cpu_s": watch.per_cpu_s(round_trips)}


def claims(measured: Figures) -> list[Claim]:
    return [
        Claim(
            "ping-pong, against Erlang", measured.ratio("ping_pong", "erlang"), 1.6, at_least=True, unit="x", goal=2.0
        ),
        Claim("ping-pong, against xoscar", measured.ratio("ping_pong", "xoscar"), 60, at_least=True, unit="x"),
        Claim("ping-pong, against Pykka", measured.ratio("ping_pong", "pykka"), 100, at_least=True, unit="x"),
    ]


if __name__ == "__main__":
    run_ours("ping_pong", ROUND_TRIPS, program)
