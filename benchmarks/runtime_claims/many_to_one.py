"""A hundred actors that each tell one sink, and themselves, in turn: messages at the sink per CPU-second.

The sink has room for what a hundred senders send in one batch each; with the default 1,024 they would be refused.
"""

from __future__ import annotations

import asyncio

from harness import Claim
from measure import Figures, Stopwatch, run_ours

from shoal.runtime import Actor, ActorRef, ActorSystem, MailboxSettings

SENDERS = 100
MESSAGES = 500_000
PEERS = ("erlang", "caf", "xoscar", "pykka", "thespian", "asyncio_queue", "threads")


class Sink(Actor[int]):
    def __init__(self, left: int, done: asyncio.Event) -> None:
        self.left = left
        self.done = done

    def receive(self, message: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Sender(Actor[int]):
    def __init__(self, sink: ActorRef[int]) -> None:
        self.sink = sink
        self.me = self.ref

    def receive(self, message: int) -> None:
        self.sink.tell(1)
        if message > 1:
            self.me.tell(message - 1)


async def program(system: ActorSystem, messages: int) -> dict[str, float]:
    done = asyncio.Event()
    each = messages // SENDERS
    sink = system.spawn(Sink, each * SENDERS, done, mailbox=MailboxSettings(messages_max=messages))
    senders = [system.spawn(Sender, sink) for _ in range(SENDERS)]
    watch = Stopwatch().start()
    for sender in senders:
        sender.tell(each)
    await done.wait()
    watch.stop()
    return {"per_cpu_s": watch.per_cpu_s(each * SENDERS)}


def claims(measured: Figures) -> list[Claim]:
    return [
        Claim(
            "many-to-one, against Erlang",
            measured.ratio("many_to_one", "erlang"),
            0.9,
            at_least=True,
            unit="x",
            goal=1.2,
        )
    ]


if __name__ == "__main__":
    run_ours("many_to_one", MESSAGES, program)
