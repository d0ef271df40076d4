"""Questions and answers: from an async handler, and from an ordinary task.  Each has its time-out of 5 s."""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorRef, ActorSystem

QUESTIONS = 200_000
PEERS = ("erlang", "caf", "xoscar", "pykka", "thespian", "asyncio_queue", "threads")


class Echo(Actor[int]):
    def receive(self, message: int) -> int:
        return message


class Asker(Actor[int]):
    def __init__(self, echo: ActorRef[int], done: asyncio.Event) -> None:
        self.echo = echo
        self.done = done

    async def receive(self, message: int) -> None:
        echo = self.echo
        for _ in range(message):
            await echo.ask(1)
        self.done.set()


async def program(system: ActorSystem, questions: int) -> dict[str, float]:
    done = asyncio.Event()
    echo = system.spawn(Echo)
    watch = Stopwatch().start()
    system.spawn(Asker, echo, done).tell(questions)
    await done.wait()
    watch.stop()
    from_handler = watch.per_cpu_s(questions)
    watch.start()
    for _ in range(questions):
        await echo.ask(1)
    watch.stop()
    return {"per_cpu_s": from_handler, "task_per_cpu_s": watch.per_cpu_s(questions)}


def claims(measured: Figures) -> list[Claim]:
    handler = measured.ratio("ask", "erlang")
    task = measured.ratio("ask", "xoscar", "task_per_cpu_s")
    return [
        Claim("ask from an async handler, against Erlang", handler, 1.0, at_least=True, unit="x", goal=1.7),
        Claim("ask from a task, against xoscar", task, 3, at_least=True, unit="x", goal=6),
    ]


if __name__ == "__main__":
    run_ours("ask", QUESTIONS, program)
