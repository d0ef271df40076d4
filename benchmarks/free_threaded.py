"""Two actors that compute, on a Python without the GIL: how much faster than one after the other.

Against two plain threads with the same work, in the same run, rounds interleaved.  Each round gives the speed-up of
either: the time of twice the work on one thread, over the time of once the work on each of two.

    tools/test-free-threaded              builds the interpreter and the core for it
    PYTHONPATH=build/legs/free-threaded build/free-threaded/bin/python3.13t benchmarks/free_threaded.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import threading
import time

from harness import Claim, conclude

from shoal.runtime import Actor, ActorSystem
from shoal.runtime.modes import has_gil

LOOPS = 2_000  # of computing in one message: about 50 us
MESSAGES = 4_000  # for each of two


def compute() -> int:
    total = 0
    for number in range(LOOPS):
        total += number
    return total


def compute_all(count: int) -> None:
    for _ in range(count):
        compute()


class Computing(Actor[int]):
    """Computes once for each message, and tells itself the next."""

    def __init__(self, ended: threading.Semaphore) -> None:
        self.ended = ended

    def receive(self, message: int) -> None:
        compute()
        if message > 1:
            self.ref.tell(message - 1)
        else:
            self.ended.release()


def threads_s(counts: list[int]) -> float:
    threads = [threading.Thread(target=compute_all, args=(count,)) for count in counts]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


async def actors_s(counts: list[int]) -> float:
    ended = threading.Semaphore(0)
    async with ActorSystem(mode="threaded") as system:
        refs = [system.spawn(Computing, ended) for _ in counts]
        began = time.perf_counter()
        for ref, count in zip(refs, counts, strict=True):
            ref.tell(count)
        for _ in counts:
            await asyncio.to_thread(ended.acquire)
        return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if has_gil():
        print("this Python has a GIL: run it with build/free-threaded/bin/python3.13t")
        return 3
    plain, actors = [], []
    for _ in range(rounds):
        plain.append(threads_s([2 * MESSAGES]) / threads_s([MESSAGES, MESSAGES]))
        one = asyncio.run(actors_s([2 * MESSAGES]))
        actors.append(one / asyncio.run(actors_s([MESSAGES, MESSAGES])))
    speed_up, of_threads = statistics.median(actors), statistics.median(plain)
    print(f"speed-up, medians of {rounds}: two actors {speed_up:.2f}, two plain threads {of_threads:.2f}")
    ratio = Claim("speed-up of two actors / of two plain threads", speed_up / of_threads, 0.95, at_least=True)
    return conclude("free_threaded", [ratio])


if __name__ == "__main__":
    sys.exit(main())
