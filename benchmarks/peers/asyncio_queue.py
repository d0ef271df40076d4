"""An asyncio.Queue and a task for each actor, on uvloop: what one writes without a library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from measure import Stopwatch, new_loop
from workloads import Tell, main


class Queues:
    name = "asyncio_queue"
    sizes = {  # noqa: RUF012, read only
        "ping_pong": 30_000,
        "ring": 100_000,
        "many_to_one": 200_000,
        "fan_in": 300_000,
        "spawn": 20_000,
        "ask": 30_000,
    }

    def __init__(self) -> None:
        self.loop = new_loop()
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, function: Callable[[Any], object]) -> Tell:
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def run() -> None:
            while True:
                function(await queue.get())

        self.tasks.append(self.loop.create_task(run()))
        return queue.put_nowait

    def drive(self, body: Callable[[Callable[[], object]], None]) -> None:
        async def run() -> None:
            done = asyncio.Event()
            body(done.set)
            await done.wait()

        self.loop.run_until_complete(run())

    def ask_all(self, questions: int, watch: Stopwatch) -> None:
        async def run() -> None:
            tell = self.spawn(lambda message: message[1].set_result(message[0]))
            watch.start()
            for _ in range(questions):
                future = self.loop.create_future()
                tell((1, future))
                await future

        self.loop.run_until_complete(run())


main(Queues())
