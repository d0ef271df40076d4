"""In Pyodide: the actors that `bridge.mjs` and a worker's page talk to.  `endpoint()` makes another bridge to them."""

import asyncio
import hashlib
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorSystem, HandlerFailed, handler
from shoal.transports.bridge import Bridge
from shoal.transports.browser.bridge import PageEndpoint


class Add(msgspec.Struct):
    number: int


class Hash(msgspec.Struct):
    data: bytes


class Drive(msgspec.Struct):
    """Send so many messages to JavaScript's actor, and ask it as many times."""

    count: int


class Note(msgspec.Struct):
    number: int
    data: bytes = b""


class Fail(msgspec.Struct):
    pass


class Overdrawn(Exception):
    pass


class Sum(Actor):
    def __init__(self):
        self.total = 0

    @handler
    def add(self, message: Add):
        self.total += message.number
        return self.total

    @handler
    def hash(self, message: Hash):
        return hashlib.sha256(message.data).digest()

    @handler
    def fail(self, message: Fail):
        self.take_reply().fail(Overdrawn("by 3"))


class Driver(Actor):
    def __init__(self):
        self.chart = None

    @handler
    async def drive(self, message: Drive):
        chart, data = bridges[-1].chart, bytes(1000)
        answers = 0
        for number in range(message.count):
            chart.tell(Note(number))
            answers += await chart.ask(Note(number, data), timeout_s=120)
        return answers

    @handler
    async def fail(self, message: Fail):
        try:
            return await bridges[-1].chart.ask(Fail(), timeout_s=120)
        except HandlerFailed as error:
            return f"{error.__cause__}"


bridges: list[Any] = []
system = ActorSystem()
system.start()
system.spawn(Sum, name="sum")
system.spawn(Driver, name="driver")


def endpoint():
    def reach(bridge):
        bridge.chart = bridge.actor("chart", (Note, Fail), answers=int)

    bridge = Bridge(
        system, actors={"sum": (Add, Hash, Fail), "driver": (Drive, Fail)}, errors=(Overdrawn,), on_open=reach
    )
    bridges.append(bridge)
    return PageEndpoint(bridge)


def dropped():
    return msgspec.json.encode(bridges[-1].statistics().dropped).decode()


async def stop():
    await system.stop()
    return len(asyncio.all_tasks()) - 1
