"""Thespian on its simpleSystemBase: everything in one process, on the caller's stack."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

from measure import emit, idle_bytes
from thespian.actors import Actor, ActorSystem

ACTORS = 100
SIZES = {"ping_pong": 5_000, "ring": 10_000, "many_to_one": 10_000, "fan_in": 20_000, "spawn": 5_000, "ask": 5_000}
LONG = timedelta(seconds=60)


class Player(Actor):
    """Plays any part: what it does with a number is what it was told to be."""

    boss: Any = None
    other: Any = None
    part = "echo"
    left = -1

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802, Thespian's name
        if isinstance(message, tuple):
            self.part, self.left, self.other = message
            self.boss = sender
            self.send(sender, "ready")
        elif not isinstance(message, int):
            return
        elif self.part == "echo":
            self.send(sender, message)
        elif self.part == "ping" and self.left > 0:
            self.left -= 1
            self.send(self.other, message)
        elif self.part == "ring" and message > 0:
            self.send(self.other, message - 1)
        elif self.part == "produce":
            for _ in range(message):
                self.send(self.other, 1)
        elif self.part == "sender":
            self.send(self.other, 1)
            if message > 1:
                self.send(self.myAddress, message - 1)


def main() -> None:
    work = sys.argv[1]
    n = int(sys.argv[2]) if len(sys.argv) > 2 else SIZES[work]
    system = ActorSystem("simpleSystemBase")

    def make(part: str, left: int = -1, other: Any = None) -> Any:
        actor = system.createActor(Player)
        system.ask(actor, (part, left, other), LONG)
        return actor

    before = idle_bytes()
    if work == "spawn":
        began_ns = time.process_time_ns()
        keep = [system.createActor(Player) for _ in range(n)]
        spent_ns = time.process_time_ns() - began_ns
        emit("thespian", work, per_cpu_s=len(keep) * 1e9 / spent_ns, bytes=(idle_bytes() - before) / n)
    elif work == "ask":
        first, message = make("echo"), 1
    elif work == "ping_pong":
        pong = make("echo")
        first, message = make("ping", n, pong), 1
    elif work == "ring":
        refs = [make("ring") for _ in range(ACTORS)]
        for i, ref in enumerate(refs):
            system.ask(ref, ("ring", -1, refs[(i + 1) % ACTORS]), LONG)
        first, message = refs[0], n
    else:
        first, message = make("produce", -1, make("sink")), n
        if work == "many_to_one":
            senders = [make("sender", -1, make("sink"))]
            sink = make("sink")
            senders = [make("sender", -1, sink) for _ in range(ACTORS)]
    # Its simple base runs everything there is before `tell` returns.
    began_ns = time.process_time_ns()
    if work == "ask":
        for _ in range(n):
            system.ask(first, message, LONG)
    elif work == "many_to_one":
        for sender in senders:
            system.tell(sender, n // ACTORS)
    else:
        system.tell(first, message)
    emit("thespian", work, per_cpu_s=n * 1e9 / (time.process_time_ns() - began_ns))


main()
