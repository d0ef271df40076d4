"""What it costs to be watched: throughput with `metrics=True` and scraped by Prometheus, against the same without.

Off and on take turns in one process, 0.01 or 0.05 s each, every other pair begun by the other side: the shorter, the
less a core's speed changes within a pair (ping-pong's 0.01 s gave 1.9 to 2.3 % where 0.05 s gave 2.3 to 2.9), but what
begins a hundred actors' counts must not be a part of it.  In one pair of ten another thread writes everything out, with
a histogram of the waits of each of twenty named actors beside those that work.  The figure is the median loss of the
other pairs, in CPU time of the process, and on top of it what that thread took, as if it were asked each 5 s: three
times as often as Prometheus is mostly told to.

    ping_pong     two actors, a slice for each message: the dearest there is, since what is counted is slices
    many_to_one   a hundred senders and a sink that finds many messages in a slice
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from harness import Claim
from measure import Figures, emit, new_loop

from runtime_claims import many_to_one, ping_pong
from shoal.runtime import Actor, ActorSystem

PEERS = ()
PAIRS = 80
OPERATIONS = {"ping_pong": 40_000, "many_to_one": 250_000}  # of a stretch
TIMES_PAIRS = {"ping_pong": 5, "many_to_one": 1}  # so that both take as long
SCRAPE_EVERY = 10  # of these
SCRAPE_INTERVAL_S = 5
NAMED = 20
PROGRAMS: dict[str, Callable[[ActorSystem, int], Awaitable[Any]]] = {
    "ping_pong": ping_pong.program,
    "many_to_one": many_to_one.program,
}


class Named(Actor[int]):
    def receive(self, message: int) -> int:
        return message


async def spent_on(work: str, operations: int, *, watched: bool, scraped: bool = False) -> tuple[int, int]:
    """CPU time of one run without start and end of its system, and of the scrape in it: both in nanoseconds."""
    async with ActorSystem(metrics=watched) as system:
        for i in range(NAMED):
            await system.spawn(Named, name=f"named-{i}").ask(1)
        began_ns = time.process_time_ns()
        scraping = asyncio.create_task(asyncio.to_thread(scrape, system)) if scraped else None
        await PROGRAMS[work](system, operations)
        spent_ns = time.process_time_ns() - began_ns
        return spent_ns, 0 if scraping is None else await scraping


def scrape(system: ActorSystem) -> int:
    """Write the exposition out, as the server of prometheus-client does: CPU time of the thread, in nanoseconds."""
    import prometheus_client

    from shoal.runtime.extras.prometheus import register

    registry = prometheus_client.CollectorRegistry()
    register(system, registry)
    began_ns = time.thread_time_ns()
    text = prometheus_client.generate_latest(registry)
    spent_ns = time.thread_time_ns() - began_ns
    if text.count(b"shoal_actor_wait_seconds_bucket") < NAMED:
        raise RuntimeError("the exposition lacks the histograms of named actors; what was measured is not the claim")
    return spent_ns


async def lost(work: str, operations: int, pairs: int) -> float:
    """The share of throughput that is lost, in per cent."""
    losses: list[float] = []
    scrapes_ns: list[int] = []
    for pair in range(pairs):
        spent_ns = {}
        scraped = pair % SCRAPE_EVERY == SCRAPE_EVERY // 2
        for watched in (False, True) if pair % 2 == 0 else (True, False):
            spent_ns[watched], took_ns = await spent_on(work, operations, watched=watched, scraped=scraped and watched)
            if took_ns:
                scrapes_ns.append(took_ns)
        if not scraped:  # the other pairs hold no more than this one and a scrape
            losses.append(1 - spent_ns[False] / spent_ns[True])
    scraping = statistics.median(scrapes_ns) / 1e9 / SCRAPE_INTERVAL_S if scrapes_ns else 0.0
    return 100 * (statistics.median(losses) + scraping)


async def figures(pairs: int, divide_by: int = 1) -> dict[str, float]:
    return {
        f"{work}_lost": await lost(work, OPERATIONS[work] // divide_by, pairs * TIMES_PAIRS[work]) for work in PROGRAMS
    }


def claims(measured: Figures) -> list[Claim]:
    return [
        Claim(
            f"metrics on: throughput lost, {words}",
            measured.figure("shoal", "metrics", f"{work}_lost"),
            3,
            at_least=False,
            unit="%",
        )
        for work, words in (("ping_pong", "ping-pong"), ("many_to_one", "many-to-one"))
    ]


if __name__ == "__main__":
    try:
        import prometheus_client  # noqa: F401, only whether it is there
    except ImportError:
        raise SystemExit("what metrics cost is not measured: pip install prometheus-client") from None
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    emit("shoal", "metrics", **new_loop().run_until_complete(figures(rounds)))
