"""A thread and a queue.SimpleQueue for each actor."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from measure import Stopwatch
from workloads import Tell, main


class Threads:
    name = "threads"
    sizes = {  # noqa: RUF012, read only
        "ping_pong": 5_000,
        "ring": 10_000,
        "many_to_one": 20_000,
        "fan_in": 200_000,
        "spawn": 1_000,
        "ask": 5_000,
    }

    def spawn(self, function: Callable[[Any], object]) -> Tell:
        messages: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def run() -> None:
            while True:
                function(messages.get())

        threading.Thread(target=run, daemon=True).start()
        return messages.put

    def drive(self, body: Callable[[Callable[[], object]], None]) -> None:
        done = threading.Event()
        body(done.set)
        done.wait()

    def ask_all(self, questions: int, watch: Stopwatch) -> None:
        tell = self.spawn(lambda back: back.put(1))
        back: queue.SimpleQueue[int] = queue.SimpleQueue()
        watch.start()
        for _ in range(questions):
            tell(back)
            back.get()


main(Threads())
