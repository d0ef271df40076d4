"""ns for each message sent and dispatched to a Python handler that does nothing: the best of some rounds.

Natively `python benchmarks/browser_claims/sending_script.py ROUNDS` prints it; a page calls `main`.
"""

import asyncio
import sys
import time

from shoal.runtime import Actor, ActorSystem

BATCH = 500  # below a mailbox's limit
BATCHES = 40  # a page's clock is exact to 100 us, and these take some milliseconds


class Sink(Actor):
    def receive(self, message):
        pass


async def main(rounds):
    best_ns = 10**12
    async with ActorSystem(loop_delay_interval_us=None) as system:
        ref = system.spawn(Sink)
        for _ in range(rounds):
            began_ns = time.perf_counter_ns()
            for _ in range(BATCHES):
                for _ in range(BATCH):
                    ref.tell(1)
                while system.counters.queued:  # noqa: ASYNC110, it is the loop's rounds that are measured
                    await asyncio.sleep(0)
            best_ns = min(best_ns, time.perf_counter_ns() - began_ns)
        assert system.counters.dead_letters == {}
    return best_ns / (BATCH * BATCHES)


if sys.platform != "emscripten":
    print(asyncio.run(main(int(sys.argv[1]))))
