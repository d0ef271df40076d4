"""Asyncio in simulated time."""

import asyncio
import time

import pytest

from shoal.runtime import Actor, ActorSystem
from shoal.runtime.drivers.simulated import SimulatedDriver, SimulatedLoop
from shoal.runtime.testing import Stuck, run_until_idle, simulate, spend_us


class Echo(Actor):
    def receive(self, message):
        return message


def test_hours_take_no_time():
    async def main(system):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1800)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 600)
        return loop.time(), system.now_us

    began = time.monotonic()
    assert simulate(main).value == (2400.0, 2_400_000_000)
    assert time.monotonic() - began < 60


def test_a_message_costs_what_is_declared_and_nothing_is_measured():
    async def main(system):
        echo = system.spawn(Echo)
        for _ in range(10):
            await echo.ask(1)
        return system.now_us

    assert simulate(main).value == 10
    assert simulate(main, cost_us=25).value == 250
    assert simulate(main, cost_us=lambda actor, message: message + 2).value == 30


def test_a_handler_may_say_what_it_costs():
    class Hashing(Actor):
        def receive(self, message):
            began_us = self.now_us
            spend_us(self.system, 700)
            return self.now_us - began_us

    async def main(system):
        return await system.spawn(Hashing).ask("x")

    assert simulate(main).value == 700


def test_what_a_handler_costs_in_real_time_is_its_own():
    class Hashing(Actor):
        def receive(self, message):
            spend_us(self.system, 700)
            return "done"

    async def main():
        async with ActorSystem() as system:
            return await system.spawn(Hashing).ask("x")

    assert asyncio.run(main()) == "done"


def test_queues_and_tasks_work_beside_actors():
    class Feeder(Actor):
        async def receive(self, queue):
            for number in range(5):
                await queue.put((number, self.now_us))
                await asyncio.sleep(0.001)

    async def main(system):
        queue = asyncio.Queue(1)
        system.spawn(Feeder).tell(queue)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0.5, "slept"))
        return [await queue.get() for _ in range(5)], task.result()

    items, slept = simulate(main).value
    assert [number for number, _ in items] == [0, 1, 2, 3, 4]
    assert slept == "slept"


def test_threads_are_run_on_the_spot():
    async def main(system):
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 42)

    assert simulate(main).value == 42


def test_a_program_that_waits_for_nothing_is_told_so():
    async def main(system):
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing can happen any more"):
        simulate(main)


def test_actors_that_never_rest_are_told_so():
    class Perpetual(Actor):
        def receive(self, message):
            self.ref.tell(message)

    async def main(system):
        system.spawn(Perpetual).tell(1)
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="500 steps were taken"):
        simulate(main, steps_max=500)


def test_a_task_that_goes_on_without_end_and_without_an_actor_is_stuck():
    async def spin():
        while True:
            await asyncio.sleep(0)

    async def main(system):
        spinning = asyncio.create_task(spin())
        try:
            await asyncio.sleep(1)
        finally:
            spinning.cancel()

    with pytest.raises(Stuck, match="500 rounds of the loop took no time"):
        simulate(main, steps_max=500)


def test_rounds_are_counted_afresh_as_time_passes():
    async def main(system):
        echo = system.spawn(Echo)
        for number in range(100):
            for _ in range(8):
                await asyncio.sleep(0)
            await (asyncio.sleep(0.001) if number % 2 else echo.ask(1))
        return True

    assert simulate(main, steps_max=200).value


def test_several_may_wait_until_nothing_more_can_happen():
    async def main(system):
        await asyncio.gather(*(run_until_idle(system) for _ in range(3)))
        return True

    assert simulate(main).value


def test_virtual_time_has_a_limit():
    class Ticking(Actor):
        def on_start(self):
            self.start_timer("t", "tick", delay_us=1000, interval_us=1000)

        def receive(self, message):
            pass

    async def main(system):
        system.spawn(Ticking)
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="2 s of virtual time"):
        simulate(main, limit_s=2)


def test_run_until_idle_waits_for_all_that_can_happen_now_and_lets_no_time_pass():
    log = []

    class Countdown(Actor):
        def receive(self, message):
            log.append(message)
            if message:
                self.ref.tell(message - 1)
            else:
                self.start_timer("later", -1, delay_us=50)

    async def main(system):
        system.spawn(Countdown).tell(5)
        await run_until_idle(system)
        return system.now_us

    assert simulate(main).value == 6
    assert log == [5, 4, 3, 2, 1, 0]


def test_a_real_system_cannot_be_run_until_idle():
    async def main():
        async with ActorSystem() as system:
            with pytest.raises(TypeError, match="not simulated"):
                await run_until_idle(system)

    asyncio.run(main())


def test_several_systems_share_a_simulated_loop():
    async def main():
        drivers = [SimulatedDriver(loop) for _ in range(2)]
        async with (
            ActorSystem(driver=drivers[0], fixed_cost_ns=1000) as one,
            ActorSystem(driver=drivers[1], fixed_cost_ns=1000) as other,
        ):
            return await asyncio.gather(one.spawn(Echo).ask(1), other.spawn(Echo).ask(2))

    loop = SimulatedLoop()
    try:
        assert loop.run_until_complete(main()) == [1, 2]
        assert not loop._drivers
    finally:
        loop.close()


def test_what_main_raises_is_raised():
    async def main(system):
        system.spawn(Echo)
        raise KeyError("x")

    with pytest.raises(KeyError):
        simulate(main)
