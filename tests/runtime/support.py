"""What tests of systems in real time share."""

import asyncio
import time

from shoal.runtime.testing import SimulatedLoop

EVERY_MODE = ("cooperative", "threaded", "auto", "simulated")


def run_in(mode, program):
    """Run a coroutine on a loop that suits the mode."""
    with asyncio.Runner(loop_factory=SimulatedLoop if mode == "simulated" else None) as runner:
        return runner.run(program)


async def until(condition, seconds=60.0):
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, f"it did not hold within {seconds} s"
        await asyncio.sleep(0.002)


def adds_up(counters):
    """The law of conservation."""
    return min(counters.handled, counters.lost, counters.queued, counters.handling) >= 0 and counters.sent == (
        counters.handled
        + counters.lost
        + sum(counters.dead_letters.values())
        + counters.queued
        + counters.handling
        + counters.in_flight
    )


def is_at_rest(system):
    counters = system.counters
    return counters.queued == counters.handling == counters.in_flight == 0
