"""xoscar: stateful actors of one process, called through the local reference, which is its fast path."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import xoscar
from measure import Stopwatch, emit, idle_bytes, new_loop

ACTORS = 100
SIZES = {
    "ping_pong": 10_000,
    "ring": 30_000,
    "many_to_one": 20_000,
    "fan_in": 50_000,
    "spawn": 3_000,
    "ask": 30_000,
}


class Ping(xoscar.Actor):
    def __init__(self, left: int, done: asyncio.Event) -> None:
        self.left = left
        self.done = done

    async def link(self, other: Any) -> None:
        self.other = other

    async def receive(self, message: int) -> None:
        self.left -= 1
        if self.left <= 0:
            self.done.set()
        else:
            await self.other.receive.tell(message)


class Node(xoscar.Actor):
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    async def link(self, other: Any) -> None:
        self.other = other

    async def receive(self, message: int) -> None:
        if message == 0:
            self.done.set()
        else:
            await self.other.receive.tell(message - 1)


class Sink(xoscar.Actor):
    def __init__(self, left: int, done: asyncio.Event) -> None:
        self.left = left
        self.done = done

    def receive(self, message: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Sender(xoscar.Actor):
    def __init__(self, sink: Any) -> None:
        self.sink = sink

    def link(self, me: Any) -> None:
        self.me = me

    async def receive(self, message: int) -> None:
        await self.sink.receive.tell(1)
        if message > 1:
            await self.me.receive.tell(message - 1)


class Producer(xoscar.Actor):
    def __init__(self, sink: Any) -> None:
        self.sink = sink

    async def receive(self, message: int) -> None:
        tell = self.sink.receive.tell
        for _ in range(message):
            await tell(1)


class Echo(xoscar.Actor):
    def receive(self, message: int) -> int:
        return message


async def run(work: str, n: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    pool = await xoscar.create_actor_pool(f"127.0.0.1:{port}", n_process=0)
    done = asyncio.Event()
    watch = Stopwatch()

    async def make(kind: type, *args: Any) -> Any:
        return await xoscar.actor_ref(await xoscar.create_actor(kind, *args, address=pool.external_address))

    if work == "ping_pong":
        ping, pong = await make(Ping, n, done), await make(Ping, 10 * n, done)
        await ping.link(pong)
        await pong.link(ping)
        watch.start()
        await ping.receive.tell(1)
        await done.wait()
    elif work == "ring":
        refs = [await make(Node, done) for _ in range(ACTORS)]
        for i, ref in enumerate(refs):
            await ref.link(refs[(i + 1) % ACTORS])
        watch.start()
        await refs[0].receive.tell(n)
        await done.wait()
    elif work == "many_to_one":
        each = n // ACTORS
        sink = await make(Sink, each * ACTORS, done)
        senders = [await make(Sender, sink) for _ in range(ACTORS)]
        for sender in senders:
            await sender.link(sender)
        watch.start()
        for sender in senders:
            await sender.receive.tell(each)
        await done.wait()
    elif work == "fan_in":
        producer = await make(Producer, await make(Sink, n, done))
        watch.start()
        await producer.receive.tell(n)
        await done.wait()
    elif work == "spawn":
        before = idle_bytes()
        watch.start()
        keep = [await make(Echo) for _ in range(n)]
        watch.stop()
        emit("xoscar", work, per_cpu_s=watch.per_cpu_s(len(keep)), bytes=(idle_bytes() - before) / n)
    else:
        echo = await make(Echo)
        await echo.receive(1)
        watch.start()
        for _ in range(n):
            await echo.receive(1)
    watch.stop()
    emit("xoscar", work, per_cpu_s=watch.per_cpu_s(n))


new_loop().run_until_complete(run(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else SIZES[sys.argv[1]]))
