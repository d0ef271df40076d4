"""A round trip between two threads, on one core: `await ref.ask()` between two schedulers.

    shoal            threads with uvloop's loops
    shoal_asyncio    threads with asyncio's own loops
    eventfd          two plain threads, each asleep in epoll on an eventfd of its own: what the machine takes

On one core, since waking another core takes several times as long, and as long as that core likes.
"""

from __future__ import annotations

import asyncio
import os
import select
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from harness import Claim
from measure import Figures, main_of_variants, new_loop

from shoal.runtime import Actor, ActorSystem

PEERS = ()
OWN = ("shoal_asyncio", "eventfd")
ROUND_TRIPS = 5_000
WARM_UP = 200


class Echo(Actor[int]):
    def receive(self, message: int) -> int:
        return message


class Asking(Actor[Any]):
    async def receive(self, message: Any) -> list[float]:
        ref, count = message
        took_s = []
        for _ in range(count):
            began = time.perf_counter()
            await ref.ask(1)
            took_s.append(time.perf_counter() - began)
        return took_s


def round_trip_of_actors(count: int, new: Callable[[], asyncio.AbstractEventLoop]) -> dict[str, float]:
    async def main() -> list[float]:
        async with ActorSystem(mode="threaded", loop_factory=new) as system:
            asking, echo = system.spawn(Asking), system.spawn(Echo)
            await asking.ask((echo, WARM_UP))
            took_s: list[float] = await asking.ask((echo, count), timeout_s=60)
            return took_s

    return {"p50_us": statistics.median(new().run_until_complete(main())) * 1e6}


def round_trip_of_threads(count: int) -> dict[str, float]:
    ends = [os.eventfd(0) for _ in range(2)]

    def sleeper(end: int) -> select.epoll:
        poll = select.epoll()
        poll.register(end, select.EPOLLIN)
        return poll

    def echo() -> None:
        poll = sleeper(ends[1])
        for _ in range(count + WARM_UP):
            poll.poll()
            os.eventfd_read(ends[1])
            os.eventfd_write(ends[0], 1)

    thread = threading.Thread(target=echo)
    thread.start()
    poll, took_s = sleeper(ends[0]), []
    for _ in range(count + WARM_UP):
        began = time.perf_counter()
        os.eventfd_write(ends[1], 1)
        poll.poll()
        os.eventfd_read(ends[0])
        took_s.append(time.perf_counter() - began)
    thread.join()
    return {"p50_us": statistics.median(took_s[WARM_UP:]) * 1e6}


def claims(measured: Figures) -> list[Claim]:
    trip = measured.ratio("cross_thread", "eventfd", "p50_us", "p50_us")
    return [
        Claim("cross-thread round trip p50, of eventfd's", trip, 1.5, at_least=False, unit="x", goal=1.1),
    ]


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main_of_variants(
        "cross_thread",
        ROUND_TRIPS,
        {
            "shoal": lambda count: round_trip_of_actors(count, new_loop),
            "shoal_asyncio": lambda count: round_trip_of_actors(count, asyncio.new_event_loop),
            "eventfd": round_trip_of_threads,
        },
    )
