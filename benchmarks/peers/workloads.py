"""The workloads, once, for runtimes whose actor is a Python callable.

A runtime gives `spawn(function) -> tell`, and `drive(body)`, which calls `body(finish)` and waits for `finish()`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from measure import Stopwatch, emit, idle_bytes

ACTORS = 100
Tell = Callable[[Any], object]


class Runtime(Protocol):
    name: str
    sizes: dict[str, int]

    def spawn(self, function: Callable[[Any], object]) -> Tell: ...
    def drive(self, body: Callable[[Callable[[], object]], None]) -> None: ...
    def ask_all(self, questions: int, watch: Stopwatch) -> None: ...


def ping_pong(runtime: Runtime, n: int, watch: Stopwatch) -> None:
    def body(finish: Callable[[], object]) -> None:
        left = n

        def ping(message: int) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                finish()
            else:
                to_pong(message)

        to_ping = runtime.spawn(ping)
        to_pong = runtime.spawn(to_ping)
        watch.start()
        to_pong(1)

    runtime.drive(body)


def ring(runtime: Runtime, n: int, watch: Stopwatch) -> None:
    def body(finish: Callable[[], object]) -> None:
        tells: list[Tell] = []

        def node(following: int) -> Callable[[int], None]:
            def receive(message: int) -> None:
                if message == 0:
                    finish()
                else:
                    tells[following](message - 1)

            return receive

        tells += [runtime.spawn(node((i + 1) % ACTORS)) for i in range(ACTORS)]
        watch.start()
        tells[0](n)

    runtime.drive(body)


def sink(n: int, finish: Callable[[], object]) -> Callable[[int], None]:
    left = n

    def receive(_: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finish()

    return receive


def many_to_one(runtime: Runtime, n: int, watch: Stopwatch) -> None:
    each = n // ACTORS

    def body(finish: Callable[[], object]) -> None:
        to_sink = runtime.spawn(sink(each * ACTORS, finish))
        tells: list[Tell] = []

        def sender(i: int) -> Callable[[int], None]:
            def receive(message: int) -> None:
                to_sink(1)
                if message > 1:
                    tells[i](message - 1)

            return receive

        tells += [runtime.spawn(sender(i)) for i in range(ACTORS)]
        watch.start()
        for tell in tells:
            tell(each)

    runtime.drive(body)


def fan_in(runtime: Runtime, n: int, watch: Stopwatch) -> None:
    def body(finish: Callable[[], object]) -> None:
        to_sink = runtime.spawn(sink(n, finish))

        def produce(messages: int) -> None:
            for _ in range(messages):
                to_sink(1)

        producer = runtime.spawn(produce)
        watch.start()
        producer(n)

    runtime.drive(body)


def main(runtime: Runtime) -> None:
    work = sys.argv[1]
    n = int(sys.argv[2]) if len(sys.argv) > 2 else runtime.sizes[work]
    watch = Stopwatch()
    if work == "spawn":
        before = idle_bytes()

        def body(finish: Callable[[], object]) -> None:
            watch.start()
            keep.extend(runtime.spawn(print) for _ in range(n))
            watch.stop()
            finish()

        keep: list[Tell] = []
        runtime.drive(body)
        emit(runtime.name, work, per_cpu_s=watch.per_cpu_s(n), bytes=(idle_bytes() - before) / n)
    elif work == "ask":
        runtime.ask_all(n, watch)
    else:
        {"ping_pong": ping_pong, "ring": ring, "many_to_one": many_to_one, "fan_in": fan_in}[work](runtime, n, watch)
    watch.stop()
    emit(runtime.name, work, per_cpu_s=watch.per_cpu_s(n))
