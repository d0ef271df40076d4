"""Threads under a GIL: what a probe and a timer wait for while a hundred threads compute.

A hundred flooders that always have a message, 50 us of computing each, every one on a thread of its own; ten idle
probes on threads of their own get a message each 20 ms, and one thread has a timer of 20 ms.

    shoal           mode="threaded": the runtime decides who runs
    no_turns        the same, and CPython decides
    plain_threads   threads with a SimpleQueue each, without a runtime: what the bounds are of
"""

from __future__ import annotations

import asyncio
import queue
import statistics
import threading
import time
from collections.abc import Callable

from harness import Claim
from measure import Figures, main_of_variants, new_loop

from shoal.runtime import Actor, ActorSystem, MailboxFull

PEERS = ()
OWN = ("no_turns", "plain_threads")
SECONDS = 3.0
FLOODERS = 100
PROBES = 10
PROBE_INTERVAL_S = 0.02
WORK_S = 50e-6
WARM_UP_S = 0.3


def calibrate() -> int:
    """Rounds of an empty loop in `WORK_S`."""
    best = 0.0
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(2000):
            pass
        best = max(best, 2000 / (time.perf_counter() - began))
    return int(best * WORK_S)


class Watch:
    """What was posted and when, and what came of it; an actor or thread never heard of waited until the end."""

    def __init__(self) -> None:
        self.handled = [0] * FLOODERS
        self.posted_s: list[list[float]] = [[] for _ in range(PROBES)]
        self.waits_s: list[list[float]] = [[] for _ in range(PROBES)]
        self.timer_due_s: float | None = None
        self.lags_s: list[float] = []

    def clear(self) -> None:
        self.handled[:] = [0] * FLOODERS
        self.lags_s.clear()

    def heard(self, probe: int) -> None:
        """That probe handles the next of what it was posted."""
        waits_s = self.waits_s[probe]
        waits_s.append(time.perf_counter() - self.posted_s[probe][len(waits_s)])

    def fired(self) -> None:
        if self.timer_due_s is not None:
            self.lags_s.append(time.perf_counter() - self.timer_due_s)

    def set_timer(self) -> None:
        self.timer_due_s = time.perf_counter() + PROBE_INTERVAL_S

    def summary(self) -> dict[str, float]:
        now_s, total = time.perf_counter(), sum(self.handled)
        waits_s: list[float] = []
        for posted, heard in zip(self.posted_s, [list(waits) for waits in self.waits_s], strict=True):
            waits_s += [*heard, *(now_s - sent for sent in posted[len(heard) :])]
        lags_s = list(self.lags_s)
        if self.timer_due_s is not None and now_s > self.timer_due_s:
            lags_s.append(now_s - self.timer_due_s)
        squares = sum(n * n for n in self.handled)
        return {
            "jain": total**2 / (FLOODERS * squares) if squares else 0.0,
            "probe_p50_us": statistics.median(waits_s) * 1e6,
            "probe_p99_us": sorted(waits_s)[int(len(waits_s) * 0.99)] * 1e6,
            "timer_lag_p50_us": statistics.median(lags_s) * 1e6 if lags_s else float("inf"),
            "handled": total,
        }


class Flooder(Actor[int]):
    def __init__(self, watch: Watch, place: int, work: int) -> None:
        self.watch_, self.place, self.work = watch, place, work

    def receive(self, message: int) -> None:
        for _ in range(self.work):
            pass
        self.watch_.handled[self.place] += 1
        self.ref.tell(message)


class Probe(Actor[int]):
    def __init__(self, watch: Watch) -> None:
        self.watch_ = watch

    def receive(self, message: int) -> None:
        self.watch_.heard(message)


class Timed(Actor[str]):
    def __init__(self, watch: Watch) -> None:
        self.watch_ = watch

    def on_start(self) -> None:
        self.watch_.set_timer()
        self.start_timer("tick", "tick", delay_us=int(PROBE_INTERVAL_S * 1e6))

    def receive(self, message: str) -> None:
        self.watch_.fired()
        self.on_start()


def post(watch: Watch, tells: list[Callable[[int], object]], over: threading.Event) -> None:
    """Post to every probe each 20 ms, from a thread of its own."""
    while not over.wait(PROBE_INTERVAL_S):
        for i, tell in enumerate(tells):
            watch.posted_s[i].append(time.perf_counter())
            try:
                tell(i)
            except MailboxFull:
                watch.posted_s[i].pop()  # it waits for a thousand others already


def fairness_of_actors(seconds: float, *, take_turns: bool) -> dict[str, float]:
    work, watch, over = calibrate(), Watch(), threading.Event()

    async def main() -> dict[str, float]:
        async with ActorSystem(mode="threaded", take_turns=take_turns) as system:
            probes = [system.spawn(Probe, watch) for _ in range(PROBES)]
            system.spawn(Timed, watch)
            flooders = [system.spawn(Flooder, watch, i, work) for i in range(FLOODERS)]
            for flooder in flooders:
                flooder.tell(1)
            poster = threading.Thread(target=post, args=(watch, [probe.tell for probe in probes], over))
            await asyncio.sleep(WARM_UP_S)
            watch.clear()
            poster.start()
            await asyncio.sleep(seconds)
            found = watch.summary()
            over.set()
            return found

    return new_loop().run_until_complete(main())


def fairness_of_threads(seconds: float) -> dict[str, float]:
    work, watch, over = calibrate(), Watch(), threading.Event()
    begin = threading.Event()  # a thread's start waits for the GIL: among threads that compute, 0.4 s each

    def flood(place: int) -> None:
        box: queue.SimpleQueue[int] = queue.SimpleQueue()
        box.put(1)
        begin.wait()
        while not over.is_set():
            message = box.get()
            for _ in range(work):
                pass
            watch.handled[place] += 1
            box.put(message)

    def probe(box: queue.SimpleQueue[int]) -> None:
        while True:
            watch.heard(box.get())

    def timed() -> None:
        while not over.is_set():
            watch.set_timer()
            time.sleep(PROBE_INTERVAL_S)
            watch.fired()

    boxes: list[queue.SimpleQueue[int]] = [queue.SimpleQueue() for _ in range(PROBES)]
    threads = [threading.Thread(target=probe, args=(box,), daemon=True) for box in boxes]
    threads.append(threading.Thread(target=timed, daemon=True))
    threads += [threading.Thread(target=flood, args=(i,), daemon=True) for i in range(FLOODERS)]
    for thread in threads:
        thread.start()
    threading.Thread(target=post, args=(watch, [box.put for box in boxes], over), daemon=True).start()
    begin.set()
    time.sleep(seconds)
    found = watch.summary()
    over.set()
    return found


def claims(measured: Figures) -> list[Claim]:
    def of_plain(name: str) -> float | None:
        return measured.ratio("turns", "plain_threads", name, name)

    jain = measured.figure("shoal", "turns", "jain")
    probe, lag = of_plain("probe_p99_us"), of_plain("timer_lag_p50_us")
    return [
        Claim("threads: Jain index", jain, 0.99, at_least=True),
        Claim("threads: probe p99, of plain threads'", probe, 0.02, at_least=False, unit="x", goal=0.008),
        Claim("threads: timer lag p50, of plain threads'", lag, 0.02, at_least=False, unit="x", goal=0.008),
    ]


if __name__ == "__main__":
    main_of_variants(
        "turns",
        SECONDS,
        {
            "shoal": lambda seconds: fairness_of_actors(seconds, take_turns=True),
            "no_turns": lambda seconds: fairness_of_actors(seconds, take_turns=False),
            "plain_threads": fairness_of_threads,
        },
    )
