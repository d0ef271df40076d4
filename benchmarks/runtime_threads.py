"""Threads under a GIL: what a probe waits for while a hundred others compute, and a round trip between two threads.

Fairness: 100 flooders that always have a message, 50 us of computing each, every one on a thread
of its own; ten idle probes get a message each 20 ms.  Against plain threads with a SimpleQueue each, in the
same run, interleaved.

Round trip: `await ref.ask()` between two schedulers, against two plain threads with an eventfd and epoll each.

    make bench-runtime_threads [ARGS="--rounds 5 --seconds 3"]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import queue
import select
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from harness import Claim, conclude

from shoal.runtime import Actor, ActorSystem, MailboxFull

FLOODERS = 100
PROBES = 10
PROBE_INTERVAL_S = 0.02
WORK_S = 50e-6


def calibrate() -> int:
    """Rounds of an empty loop in `WORK_S`."""
    best = 0.0
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(2000):
            pass
        best = max(best, 2000 / (time.perf_counter() - began))
    return int(best * WORK_S)


def summary(handled: list[int], waits_s: list[float], lags_s: list[float]) -> dict[str, float]:
    waits = sorted(waits_s) or [float("nan")]
    total = sum(handled)
    jain = total**2 / (len(handled) * sum(n * n for n in handled)) if total else 0.0
    return {
        "handled": total,
        "jain": jain,
        "probe_p50_ms": statistics.median(waits) * 1e3,
        "probe_p99_ms": waits[min(int(len(waits) * 0.99), len(waits) - 1)] * 1e3,
        "timer_lag_p50_ms": statistics.median(lags_s or [float("nan")]) * 1e3,
    }


class Flooder(Actor[int]):
    def __init__(self, handled: list[int], place: int, work: int) -> None:
        self.handled, self.place, self.work = handled, place, work

    def receive(self, message: int) -> None:
        for _ in range(self.work):
            pass
        self.handled[self.place] += 1
        self.ref.tell(message)


class Probe(Actor[float]):
    def __init__(self, waits_s: list[float]) -> None:
        self.waits_s = waits_s

    def receive(self, message: float) -> None:
        self.waits_s.append(time.perf_counter() - message)


class Timed(Actor[str]):
    """Its timer's lag."""

    def __init__(self, lags_s: list[float]) -> None:
        self.lags_s = lags_s
        self.due_us = 0

    def on_start(self) -> None:
        self.due_us = self.now_us + 20_000
        self.start_timer("tick", "tick", delay_us=20_000)

    def receive(self, message: str) -> None:
        self.lags_s.append((self.now_us - self.due_us) / 1e6)
        self.on_start()


def fairness_of_actors(seconds: float, *, take_turns: bool) -> dict[str, float]:
    work, handled = calibrate(), [0] * FLOODERS
    waits_s: list[float] = []
    lags_s: list[float] = []

    async def main() -> None:
        options: dict[str, Any] = {"take_turns": take_turns, "watchdog_limit_us": None, "stop_timeout_s": 60.0}
        async with ActorSystem(mode="threaded", **options) as system:
            probes = [system.spawn(Probe, waits_s) for _ in range(PROBES)]
            system.spawn(Timed, lags_s)
            flooders = [system.spawn(Flooder, handled, i, work) for i in range(FLOODERS)]
            for flooder in flooders:
                flooder.tell(1)
            over = threading.Event()

            def tick() -> None:
                while not over.wait(PROBE_INTERVAL_S):
                    for probe in probes:
                        try:
                            probe.tell(time.perf_counter())
                        except MailboxFull:
                            waits_s.append(seconds)

            ticking = threading.Thread(target=tick)
            await asyncio.sleep(0.3)
            handled[:] = [0] * FLOODERS
            waits_s.clear()
            lags_s.clear()
            ticking.start()
            await asyncio.sleep(seconds)
            counts, seen, lags = list(handled), list(waits_s), list(lags_s)
            over.set()
            result.update(summary(counts, seen, lags))

    result: dict[str, float] = {}
    asyncio.run(main())
    return result


def fairness_of_threads(seconds: float) -> dict[str, float]:
    work, handled = calibrate(), [0] * FLOODERS
    waits_s: list[float] = []
    lags_s: list[float] = []
    is_over = False
    begin = threading.Event()

    def flood(place: int) -> None:
        box: queue.SimpleQueue[int] = queue.SimpleQueue()
        box.put(1)
        begin.wait()
        while not is_over:
            message = box.get()
            for _ in range(work):
                pass
            handled[place] += 1
            box.put(message)

    def probe(box: queue.SimpleQueue[float]) -> None:
        while (sent := box.get()) >= 0:
            waits_s.append(time.perf_counter() - sent)

    def timed() -> None:
        while not is_over:
            due = time.perf_counter() + PROBE_INTERVAL_S
            time.sleep(PROBE_INTERVAL_S)
            lags_s.append(time.perf_counter() - due)

    boxes: list[queue.SimpleQueue[float]] = [queue.SimpleQueue() for _ in range(PROBES)]
    threads = [threading.Thread(target=probe, args=(box,), daemon=True) for box in boxes]
    threads += [threading.Thread(target=flood, args=(i,), daemon=True) for i in range(FLOODERS)]
    threads.append(threading.Thread(target=timed, daemon=True))
    for thread in threads:
        thread.start()
    begin.set()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for box in boxes:
            box.put(time.perf_counter())
        time.sleep(PROBE_INTERVAL_S)
    result = summary(list(handled), list(waits_s), list(lags_s))
    is_over = True
    for box in boxes:
        box.put(-1.0)
    return result


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


def round_trip_of_actors(count: int, *, uvloop: bool) -> dict[str, float]:
    factory = None
    if uvloop:
        import uvloop as loops

        factory = loops.new_event_loop

    async def main() -> list[float]:
        async with ActorSystem(mode="threaded", loop_factory=factory, watchdog_limit_us=None) as system:
            asking, echo = system.spawn(Asking), system.spawn(Echo)
            await asking.ask((echo, 200))
            took_s: list[float] = await asking.ask((echo, count), timeout_s=60)
            return took_s

    return {"p50_us": statistics.median(asyncio.run(main())) * 1e6}


def round_trip_of_threads(count: int) -> dict[str, float]:
    """Two threads, each asleep in epoll on an eventfd of its own."""
    ends = [os.eventfd(0) for _ in range(2)]

    def sleeper(end: int) -> select.epoll:
        poll = select.epoll()
        poll.register(end, select.EPOLLIN)
        return poll

    def echo() -> None:
        poll = sleeper(ends[1])
        for _ in range(count + 200):
            poll.poll()
            os.eventfd_read(ends[1])
            os.eventfd_write(ends[0], 1)

    thread = threading.Thread(target=echo)
    thread.start()
    poll, took_s = sleeper(ends[0]), []
    for _ in range(count + 200):
        began = time.perf_counter()
        os.eventfd_write(ends[1], 1)
        poll.poll()
        os.eventfd_read(ends[0])
        took_s.append(time.perf_counter() - began)
    thread.join()
    return {"p50_us": statistics.median(took_s[200:]) * 1e6}


VARIANTS = {
    "turns": lambda o: fairness_of_actors(o.seconds, take_turns=True),
    "no_turns": lambda o: fairness_of_actors(o.seconds, take_turns=False),
    "threads": lambda o: fairness_of_threads(o.seconds),
    "trip": lambda o: round_trip_of_actors(o.trips, uvloop=False),
    "trip_uvloop": lambda o: round_trip_of_actors(o.trips, uvloop=True),
    "trip_eventfd": lambda o: round_trip_of_threads(o.trips),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--trips", type=int, default=2000)
    parser.add_argument("--one", choices=sorted(VARIANTS), help="measure one variant, and print it as JSON")
    options = parser.parse_args()
    if options.one:
        if options.one.startswith("trip"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # waking across cores is another matter
        print(json.dumps(VARIANTS[options.one](options)))
        return 0
    found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for _ in range(options.rounds):
        for name in VARIANTS:
            command = [sys.executable, str(Path(__file__)), "--one", name]
            command += ["--seconds", str(options.seconds), "--trips", str(options.trips)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(name, {key: round(value, 3) for key, value in found[name][-1].items()}, flush=True)

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in found[name])

    trip = median("trip_eventfd", "p50_us")
    return conclude(
        "runtime_threads",
        [
            Claim("Jain index of 100 computing threads", median("turns", "jain"), 0.99, at_least=True),
            Claim(
                "probe p99 / plain threads'",
                median("turns", "probe_p99_ms") / median("threads", "probe_p99_ms"),
                0.02,
                at_least=False,
            ),
            Claim(
                "timer lag p50 / plain threads'",
                median("turns", "timer_lag_p50_ms") / median("threads", "timer_lag_p50_ms"),
                0.02,
                at_least=False,
            ),
            Claim(
                "probe p99 / without taking turns",
                median("turns", "probe_p99_ms") / median("no_turns", "probe_p99_ms"),
                0.5,
                at_least=False,
            ),
            Claim(
                "ask between threads / eventfd and epoll, one core",
                median("trip", "p50_us") / trip,
                1.5,
                at_least=False,
            ),
            Claim("the same on uvloop", median("trip_uvloop", "p50_us") / trip, 1.5, at_least=False),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
