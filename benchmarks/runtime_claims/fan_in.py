"""One actor sends a million messages to another, which then drains: messages per CPU-second."""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorRef, ActorSystem, MailboxSettings

MESSAGES = 1_000_000
PEERS = ("erlang", "caf", "asyncio_queue", "xoscar", "pykka", "thespian", "threads")


class Sink(Actor[int]):
    def __init__(self, left: int, done: asyncio.Event) -> None:
        self.left = left
        self.done = done

    def receive(self, message: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Producer(Actor[int]):
    def __init__(self, sink: ActorRef[int]) -> None:
        self.sink = sink

    def receive(self, message: int) -> None:
        sink = self.sink
        for _ in range(message):
            sink.tell(1)


async def program(system: ActorSystem, messages: int) -> dict[str, float]:
    done = asyncio.Event()
    sink = system.spawn(Sink, messages, done, mailbox=MailboxSettings(messages_max=messages))
    producer = system.spawn(Producer, sink)
    watch = Stopwatch().start()
    producer.tell(messages)
    await done.wait()
    watch.stop()
    return {"per_cpu_s": watch.per_cpu_s(messages)}


def claims(measured: Figures) -> list[Claim]:
    return [
        Claim("fan-in, against Erlang", measured.ratio("fan_in", "erlang"), 0.35, at_least=True, unit="x", goal=0.55),
        Claim("fan-in, against asyncio.Queue", measured.ratio("fan_in", "asyncio_queue"), 2.5, at_least=True, unit="x"),
    ]


if __name__ == "__main__":
    run_ours("fan_in", MESSAGES, program)
