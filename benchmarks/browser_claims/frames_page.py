"""In the page: `start(kind, count)` has so many work without a rest, a millisecond at a time; `stop()` ends them.

actors   ours, on sliced calls, as a system in a browser has them
stock    tasks that yield with `sleep(0)`, on Pyodide's loop as it is
"""

import asyncio
import time

from shoal.runtime import Actor, ActorSystem

WORK_NS = 1_000_000
running = []


def work():
    end_ns = time.perf_counter_ns() + WORK_NS
    while time.perf_counter_ns() < end_ns:
        pass


class Busy(Actor):
    def receive(self, message):
        work()
        self.ref.tell(message)


async def restless():
    while True:
        work()
        await asyncio.sleep(0)


async def actors(count):
    async with ActorSystem(loop_delay_interval_us=None) as system:
        for _ in range(count):
            system.spawn(Busy).tell(1)
        await asyncio.Event().wait()


async def stock(count):
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(restless())


def start(kind, count):
    running.append(asyncio.ensure_future({"actors": actors, "stock": stock}[kind](count)))


async def stop():
    task = running.pop()
    task.cancel()
    await asyncio.wait([task])
