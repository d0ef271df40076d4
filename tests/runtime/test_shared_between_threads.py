"""What all threads of a system share: its names, and the counts of messages that reached nobody."""

import asyncio
import threading

from shoal.runtime import Actor, ActorSystem, NameTaken
from shoal.runtime.registry import Registry

from .support import until

LONG_S = 5.0  # nothing here takes as long, unless it hangs


class Echo(Actor):
    def receive(self, message):
        return message


class SlowNames(dict):
    """Lets a second thread in between the question whether a name is taken and the taking."""

    def __init__(self):
        super().__init__()
        self.both = threading.Barrier(2)

    def __contains__(self, path):
        found = super().__contains__(path)
        try:
            self.both.wait(0.1)
        except threading.BrokenBarrierError:
            pass
        return found


def test_of_two_threads_that_take_a_name_one_gets_it():
    registry = Registry()
    registry._refs = SlowNames()
    refused = []

    def take(ref):
        try:
            registry.add("/same", ref)
        except NameTaken:
            refused.append(ref)

    threads = [threading.Thread(target=take, args=(ref,)) for ref in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert len(refused) == 1


def test_who_hears_of_a_dead_letter_may_wait_for_a_thread_that_counts():
    answers = []

    def count(_letter):
        thread = threading.Thread(target=lambda: answers.append(system.counters), daemon=True)
        thread.start()
        thread.join(LONG_S)

    system = ActorSystem(mode="threaded")

    async def main():
        async with system:
            gone = system.spawn(Echo)
            gone.stop()
            await gone.wait_stopped()
            await until(lambda: gone.scheduler.inbox.is_closed)  # its thread ends, and with it the way there
            system.dead_letters.subscribe(count)
            gone.tell("too late")
            assert [answer.dead_letters for answer in answers] == [{"stopped": 1}]

    asyncio.run(main())
