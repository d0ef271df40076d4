"""What a simulation makes go wrong, and that it goes wrong as it would by itself."""

import asyncio

import pytest

from shoal.runtime import Actor, ActorStopped, HandlerFailed, MailboxFull, MailboxSettings, Overflow
from shoal.runtime.testing import Faults, InjectedCrash, Probe, explore, run_until_idle, simulate


class Sink(Actor):
    def __init__(self, got):
        self.got = got

    def receive(self, message):
        self.got.append((message, self.now_us))
        return message


class Beating(Sink):
    def on_start(self):
        self.start_timer("beat", "beat", delay_us=10, interval_us=10)
        self.start_timer("once", "once", delay_us=25)


def told(faults, messages, **options):
    """What a sink gets of some messages, one after another."""
    got = []

    async def main(system):
        sink = system.spawn(Sink, got, name="sink")
        for message in messages:
            sink.tell(message)
        await run_until_idle(system)
        return system.counters

    run = simulate(main, faults=faults, **options)
    return [message for message, _ in got], run


def test_a_crash_loses_its_message_and_restarts_the_actor():
    got, run = told(Faults().crash("/sink", times=2), [1, 2, 3, 4])
    assert got == [3, 4]
    assert (run.value.lost, run.value.restarts) == (2, 2)
    assert "fault /sink crash" in run.trace
    assert "crash /sink receive InjectedCrash restart" in run.trace


def test_a_crash_may_be_of_a_type_of_message_and_with_an_error_of_choice():
    async def main(system):
        sink = system.spawn(Sink, [])
        assert await sink.ask("text") == "text"
        with pytest.raises(HandlerFailed) as failed:
            await sink.ask(1)
        return failed.value.__cause__

    error = simulate(main, faults=Faults().crash(Sink, on=int, error=lambda: OSError("disk"))).value
    assert isinstance(error, OSError)


def test_a_slow_handler_takes_its_time_and_holds_the_others_up():
    got = []

    async def main(system):
        slow, other = (system.spawn(Sink, got, name=name) for name in ("slow", "other"))
        slow.tell("a")
        await run_until_idle(system)
        other.tell("b")
        await run_until_idle(system)

    simulate(main, faults=Faults().slow("/slow", cost_us=5000))
    assert got == [("a", 5001), ("b", 5002)]


def test_a_full_mailbox_refuses_a_tell_and_an_ask():
    async def main(system):
        sink = system.spawn(Sink, [], name="sink")
        with pytest.raises(MailboxFull):
            sink.tell(1)
        with pytest.raises(MailboxFull):
            sink.ask(1)
        await sink.send(2)
        sink.tell(3)
        await run_until_idle(system)
        return system.counters

    counters = simulate(main, faults=Faults().full("/sink", times=2)).value
    assert (counters.refused, counters.handled, counters.sent) == (2, 2, 2)


def beats(faults, **options):
    got = []

    async def main(system):
        system.spawn(Beating, got, name="beating")
        await asyncio.sleep(0.000045)

    simulate(main, faults=faults, **options)
    return [message for message, _ in got], got


def test_a_lost_timer_says_nothing_and_one_with_an_interval_goes_on():
    assert beats(Faults())[0] == ["beat", "beat", "once", "beat", "beat"]
    assert beats(Faults().lose_timer("/beating", times=1))[0] == ["beat", "once", "beat", "beat"]
    assert beats(Faults().lose_timer("/beating"))[0] == []


def test_a_late_timer_comes_late_and_once():
    _, got = beats(Faults().late_timer("/beating", delay_us=7, times=1))
    assert got[0] == ("beat", 18)
    assert [message for message, _ in got].count("once") == 1


def test_timers_that_are_all_late_still_come():
    messages, got = beats(Faults().late_timer("/beating", delay_us=3))
    assert messages[:2] == ["beat", "beat"]
    assert got[0] == ("beat", 14)


def test_chance_is_the_seeds():
    faults = Faults().crash("/sink", probability=0.3)
    first, _ = told(faults, range(40), seed=3, supervision=None)
    again, _ = told(faults, range(40), seed=3, supervision=None)
    other, _ = told(faults, range(40), seed=4, supervision=None)
    assert first == again != other


def test_a_fault_that_never_strikes_changes_nothing():
    plain, run = told(Faults(), range(5), seed=3)
    same, other = told(Faults().crash("/nobody").slow("/sink", cost_us=9, probability=0), range(5), seed=3)
    assert (plain, run.trace) == (same, other.trace)


def test_a_star_stands_for_all_that_begin_so():
    got, _ = told(Faults().crash("/si*", times=1), [1, 2])
    assert got == [2]


def test_what_a_fault_cannot_be_is_said_at_the_call():
    with pytest.raises(ValueError, match="probability is 2"):
        Faults().crash("/a", probability=2)
    with pytest.raises(ValueError, match="does not go back"):
        Faults().slow("/a", cost_us=-1)


def test_the_runtime_keeps_its_promises_under_all_faults_at_once():
    faults = (
        Faults()
        .crash("/worker*", probability=0.1)
        .slow("/worker*", cost_us=40, probability=0.2)
        .full("/worker*", probability=0.1)
        .lose_timer("/worker*", probability=0.2)
        .late_timer("/worker*", delay_us=15, probability=0.2)
    )

    class Worker(Actor):
        def on_start(self):
            self.start_timer("t", 0, delay_us=10, interval_us=30)

        async def receive(self, message):
            await asyncio.sleep(0.00001)
            if message:
                try:
                    self.ref.tell(message - 1)
                except MailboxFull:
                    self.stop()
            return message

    async def main(system):
        settings = MailboxSettings(4, Overflow.WAIT)
        workers = [system.spawn(Worker, name=f"worker{i}", mailbox=settings) for i in range(4)]
        for worker in workers:
            try:
                worker.tell(6)
                await worker.ask(3, timeout_s=0.0001)
            except (MailboxFull, TimeoutError, HandlerFailed, ActorStopped):
                pass
        await asyncio.sleep(0.001)

    assert explore(main, schedules=60, faults=faults).distinct >= 60


def test_an_injected_crash_is_an_error_like_any_other():
    assert issubclass(InjectedCrash, Exception)


def test_a_probe_passes_over_what_is_allowed_and_fails_on_what_is_not():
    async def main(system):
        probe = Probe(system)
        probe.allow(str)
        for message in ("noise", 1, "noise", "noise"):
            probe.ref.tell(message)
        assert await probe.expect(int) == 1
        probe.expect_nothing()
        probe.ref.tell("wanted")
        assert await probe.expect(str) == "wanted"
        probe.disallow(float)
        probe.ref.tell(2)
        probe.ref.tell(1.5)
        await run_until_idle(system)
        with pytest.raises(AssertionError, match="disallowed"):
            probe.take(int)

    simulate(main)
