"""What the browser's driver promises, on Pyodide's own loop.  Raises what does not hold; prints what did."""

import asyncio
import time

from js import queueMicrotask, setTimeout
from pyodide.ffi import create_once_callable

from shoal.runtime import Actor, ActorSystem, AskTimedOut, ThreadsUnavailable
from shoal.runtime.drivers.browser_loop import BrowserDriver, slice_calls

loop = asyncio.get_running_loop()
HOOKS = ("call_soon", "call_soon_threadsafe", "call_at")


class Echo(Actor):
    def receive(self, message):
        return message


class Silent(Actor):
    def receive(self, message):
        self.take_reply()


class Busy(Actor):
    """Always has a message, and computes a little for each."""

    def receive(self, message):
        sum(range(200))
        self.ref.tell(message)


async def page_turns_while_busy(wait_s):
    """How often the page's own timers ran while actors and tasks never rested."""
    turns = 0

    def turn():
        nonlocal turns
        turns += 1
        setTimeout(create_once_callable(turn), 0)

    async def restless():
        while True:
            await asyncio.sleep(0)

    turn()
    tasks = [asyncio.create_task(restless()) for _ in range(10)]
    await asyncio.sleep(wait_s)
    for task in tasks:
        task.cancel()
    return turns


async def timers_that_came_due_in_a_slice(count):
    """After how many slices more each of them ran, while callbacks never rested."""
    slices, later = 0, []
    is_in_slice = False

    def ends():
        nonlocal is_in_slice
        is_in_slice = False

    def busy():
        nonlocal is_in_slice, slices
        if not is_in_slice:
            is_in_slice = True
            slices += 1
            queueMicrotask(create_once_callable(ends))  # JavaScript's turn, when the slice has ended
            setTimeout(create_once_callable(lambda began=slices: later.append(slices - began)), 1)
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        if len(later) < count:
            loop.call_soon(busy)

    stop = slice_calls(loop)
    busy()
    while len(later) < count:
        await asyncio.sleep(0.05)
    stop()
    return sorted(later)


async def main():
    for mode in ("cooperative", "auto"):
        async with ActorSystem(mode=mode, loop_delay_interval_us=5_000) as system:
            assert type(system._driver) is BrowserDriver
            assert all(name in loop.__dict__ for name in HOOKS)
            assert await system.spawn(Echo).ask("x") == "x"
            began = time.monotonic()
            try:
                await system.spawn(Silent).ask("x", timeout_s=0.05)
            except AskTimedOut:
                assert time.monotonic() - began >= 0.05
            else:
                raise AssertionError("nobody answered, and no time-out came")
            for _ in range(50):
                system.spawn(Busy).tell("go")
            turns = await page_turns_while_busy(0.5)
            assert turns > 10, f"the page had {turns} turns of its own in half a second"
            assert await system.spawn(Echo).ask("x") == "x"
            assert system.loop_delay.snapshot().samples > 0
        assert not any(name in loop.__dict__ for name in HOOKS)
    try:
        ActorSystem(mode="threaded")
    except ThreadsUnavailable:
        pass
    else:
        raise AssertionError("there are no threads here")

    later = await timers_that_came_due_in_a_slice(50)
    assert later[45] == 0, f"timers let slices go before them: {later}"

    # Ordinary asyncio: order, cancelled handles, times that have passed, two users of one loop.
    first, second = slice_calls(loop), slice_calls(loop)
    order = []
    for number in range(5):
        loop.call_soon(order.append, number)
    loop.call_soon(order.append, "never").cancel()
    loop.call_at(loop.time() - 1, order.append, "late")
    first()
    first()
    assert "call_soon" in loop.__dict__, "somebody else still uses it"
    await asyncio.sleep(0.2)
    second()
    assert "late" in order, order
    order.remove("late")  # the page's timers and the queue promise each other no order
    assert order == [0, 1, 2, 3, 4], order
    assert "call_soon" not in loop.__dict__
    await asyncio.sleep(0.01)
    print("driver holds")


await main()  # noqa: F704, PLE1142, Pyodide runs this file as one coroutine
