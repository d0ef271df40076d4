"""Pykka: ThreadingActor, a thread for each actor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pykka
from measure import Stopwatch
from workloads import Tell, main


class Callback(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, function: Callable[[Any], object]) -> None:
        super().__init__()
        self.function = function

    def on_receive(self, message: Any) -> Any:
        return self.function(message)


class Pykka:
    name = "pykka"
    sizes = {  # noqa: RUF012, read only
        "ping_pong": 4_000,
        "ring": 8_000,
        "many_to_one": 20_000,
        "fan_in": 100_000,
        "spawn": 1_000,
        "ask": 4_000,
    }

    def spawn(self, function: Callable[[Any], object]) -> Tell:
        return Callback.start(function).tell

    def drive(self, body: Callable[[Callable[[], object]], None]) -> None:
        done = threading.Event()
        body(done.set)
        done.wait()

    def ask_all(self, questions: int, watch: Stopwatch) -> None:
        ask = Callback.start(lambda message: message).ask
        watch.start()
        for _ in range(questions):
            ask(1)


main(Pykka())
