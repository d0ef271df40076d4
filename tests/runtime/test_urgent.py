"""Messages that go ahead of others, and how far.  Where systems are manual, each message costs 1 us."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.runtime import Actor, MailboxFull, MailboxSettings, Overflow, Terminated
from shoal.runtime.testing import ManualSystem, simulate

from ..effort import EFFORT
from .support import EVERY_MODE, adds_up, run_in, until

SLICE = 50  # messages of 1 us in a slice of 50 us
TURN = 250  # and in a turn


class Noting(Actor):
    def __init__(self, log):
        self.log = log

    def receive(self, message):
        self.log.append(message)
        if message == "fail":
            raise RuntimeError(message)
        return message


class Flooder(Actor):
    """Always has a message, which it sends itself as `how` says."""

    def __init__(self, how="tell"):
        self.handled, self.again = 0, getattr(self.ref, how)
        self.again("first")

    def receive(self, message):
        self.handled += 1
        if message == "first":
            self.again(message)
        return self.handled


def turn(system):
    system.driver._is_awake = False
    system.driver._turn()


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()
    assert adds_up(system.counters)


def test_urgent_messages_come_first_in_the_order_they_were_sent(system):
    log = []
    ref = system.spawn(Noting, log)
    for message in (1, 2, 3):
        ref.tell(message)
    for message in ("now", "then"):
        ref.tell_urgent(message)
    assert ref.queued == 3
    assert system.counters.queued == 5
    system.run_until_idle()
    assert log == ["now", "then", 1, 2, 3]


def test_what_the_runtime_says_goes_ahead_of_urgent_messages(system):
    class Watching(Noting):
        def __init__(self, log, other):
            super().__init__(log)
            self.watch(other)

    log = []
    other = system.spawn(Noting, [])
    ref = system.spawn(Watching, log, other)
    ref.tell("ordinary")
    ref.tell_urgent("urgent")
    system._life.tell_watcher(ref.cell, None, other.cell, Terminated(other, None))
    system.run_until_idle()
    assert [type(message).__name__ for message in log] == ["Terminated", "str", "str"]
    assert log[1:] == ["urgent", "ordinary"]


def test_of_nine_messages_that_wait_one_is_not_urgent(system):
    log = []
    ref = system.spawn(Noting, log)
    for number in range(4):
        ref.tell(number)
    for _ in range(32):
        ref.tell_urgent("u")
    system.run_until_idle()
    assert log == [*"u" * 8, 0, *"u" * 8, 1, *"u" * 8, 2, *"u" * 8, 3]


def test_who_was_passed_before_and_does_not_wait_any_more_passes_nobody(system):
    log = []
    ref = system.spawn(Noting, log)
    for number in range(20):
        ref.tell_urgent("urgent")
        ref.tell(number)
        system.run_until_idle()
    assert log == [message for number in range(20) for message in ("urgent", number)]


def test_one_message_that_waits_alone_is_not_passed_for_ever(system):
    ref = system.spawn(Flooder, "tell_urgent")
    reply = ref.ask("how many?")
    turn(system)
    assert reply.done()
    assert reply.value <= 9
    ref.stop()


def test_an_actor_that_sends_itself_urgent_messages_handles_the_others_too(system):
    ref = system.spawn(Flooder, "tell_urgent")
    replies = [ref.ask("how many?") for _ in range(3)]
    turn(system)
    assert [reply.done() for reply in replies] == [True] * 3
    ref.stop()
    system.run_until_idle()


def test_a_flooder_that_is_told_something_urgent_goes_ahead_of_all_others(system):
    flooders = [system.spawn(Flooder) for _ in range(100)]
    for _ in range(40):
        turn(system)
    for ref in flooders[:2]:  # whoever has just run, and whoever has not for long
        handled = [other.cell.actor.handled for other in flooders]
        reply = ref.ask_urgent("how many?")
        turn(system)
        assert reply.done()
        assert sum(other.cell.actor.handled - was for other, was in zip(flooders, handled, strict=True)) <= TURN
    for ref in flooders:
        ref.tell_urgent("how many?")
    last = flooders[-1].ask_urgent("how many?")
    for _ in range(4):  # a hundred take longer than half a turn, and by turns would take 5 ms
        turn(system)
    assert last.done()
    for ref in flooders:
        ref.stop()


def test_others_keep_half_of_each_turn(system):
    busy = [system.spawn(Flooder, "tell_urgent") for _ in range(100)]
    for _ in range(40):
        turn(system)
    for ref in busy:
        for _ in range(30):
            ref.tell_urgent("how many?")
    probe = system.spawn(Noting, [])
    for _ in range(20):
        reply = probe.ask("now")
        turn(system)
        assert reply.done()
    for ref in busy:
        ref.stop()


@settings(max_examples=25 * EFFORT, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["tell", "tell_urgent"]), st.sampled_from([0.5, 1, 2, 4])), min_size=2, max_size=6
    )
)
def test_over_all_nobody_has_more_for_being_urgent(kinds):
    system = ManualSystem()
    refs = [system.spawn(Flooder, how, weight=weight) for how, weight in kinds]
    actors = [ref.cell.actor for ref in refs]
    while sum(actor.handled for actor in actors) < 4000:
        turn(system)
    total, weights = sum(actor.handled for actor in actors), sum(weight for _, weight in kinds)
    for actor, (_, weight) in zip(actors, kinds, strict=True):
        # Each may be two slices ahead that it borrowed, and one that it was in.
        assert abs(actor.handled - total * weight / weights) <= 3 * (SLICE + 1) * len(kinds)
    system.shut_down()
    assert adds_up(system.counters)


@pytest.mark.parametrize("overflow", Overflow)
def test_urgent_messages_have_a_limit_of_their_own_whatever_the_policy(system, overflow):
    log = []
    ref = system.spawn(Noting, log, name="full", mailbox=MailboxSettings(2, overflow, urgent_max=3))
    for number in (1, 2):
        ref.tell(number)
    for number in range(3):
        ref.tell_urgent(f"u{number}")
    with pytest.raises(MailboxFull, match="/full has 3 urgent messages that wait") as found:
        ref.tell_urgent("one too many")
    assert (found.value.path, found.value.messages_max) == ("/full", 3)
    with pytest.raises(MailboxFull, match="urgent"):
        ref.ask_urgent("one too many")
    assert system.counters.refused == 2
    system.run_until_idle()
    assert log == ["u0", "u1", "u2", 1, 2]
    ref.tell_urgent("room again")
    system.run_until_idle()
    assert log[-1] == "room again"


def test_a_limit_of_none_is_an_error_and_0_takes_none(system):
    with pytest.raises(ValueError, match="urgent_max is -1"):
        MailboxSettings(urgent_max=-1)
    ref = system.spawn(Noting, [], mailbox=MailboxSettings(urgent_max=0))
    with pytest.raises(MailboxFull, match="0 urgent messages"):
        ref.tell_urgent("any")


def test_urgent_messages_survive_a_restart_and_are_dead_letters_of_the_stopped(system):
    log, letters = [], []
    system.dead_letters.subscribe(lambda letter: letters.append((letter.message, letter.reason.value)))
    ref = system.spawn(Noting, log)
    for message in ("fail", "after"):
        ref.tell_urgent(message)
    system.run_until_idle()
    assert log == ["fail", "after"]
    ref.tell("ordinary")
    ref.tell_urgent("urgent")
    ref.stop()
    system.run_until_idle()
    ref.tell_urgent("too late")
    assert letters == [("urgent", "stopped"), ("ordinary", "stopped"), ("too late", "stopped")]


def test_a_question_whose_asker_waited_in_vain_leaves_nothing(system):
    class Silent(Actor):
        def receive(self, message):
            self.take_reply()

    reply = system.spawn(Silent).ask_urgent("?", timeout_s=0.001)
    system.advance_us(1000)
    assert reply.done()
    assert len(system._life.scheduler.timers) == 0


@pytest.fixture(params=EVERY_MODE)
def mode(request):
    return request.param


class Gated(Noting):
    """In mid-way through its first message until `gate` has something in it."""

    def __init__(self, log, gate):
        super().__init__(log)
        self.gate = gate

    async def receive(self, message):
        self.log.append(message)
        if message == "wait":
            await until(lambda: self.gate)
        return message


def test_an_urgent_message_waits_for_the_handler_in_mid_way_and_passes_the_rest(make_system, mode):
    async def main():
        log, gate = [], []
        async with make_system() as system:
            ref = system.spawn(Gated, log, gate, mailbox=MailboxSettings(urgent_max=2))
            ref.tell("wait")
            await until(lambda: log)
            for number in range(5):
                ref.tell(number)
            ref.tell_urgent("now")
            last = ref.ask_urgent("then")
            with pytest.raises(MailboxFull):
                ref.tell_urgent("one too many")
            await until(lambda: system.counters.in_flight == 0)
            assert log == ["wait"]
            gate.append("open")
            assert await last == "then"
            await ref.ask("last")
            assert log == ["wait", "now", "then", 0, 1, 2, 3, 4, "last"]
            assert await ref.ask_urgent("room again") == "room again"
        assert adds_up(system.counters)
        assert system.counters.refused == 1

    run_in(mode, main())


class Urged(Noting):
    """Busy with itself, and answers in mid-way through something."""

    def receive(self, message):
        if message == "busy":
            self.ref.tell(message)
            return None
        return self.answer(message)

    async def answer(self, message):
        await asyncio.sleep(0)
        self.log.append(message)
        return message


def test_a_handler_that_was_run_ahead_may_wait_and_is_taken_up_again(make_system, mode):
    async def main():
        log = []
        async with make_system() as system:
            refs = [system.spawn(Urged, log) for _ in range(5)]
            for ref in refs:
                ref.tell("busy")
            for number in range(20):
                assert await asyncio.gather(*(ref.ask_urgent(number) for ref in refs)) == [number] * 5
        assert log == [number for number in range(20) for _ in refs]
        assert adds_up(system.counters)

    run_in(mode, main())


async def urge(system):
    log = []
    ref = system.spawn(Noting, log, name="noting")
    for number in range(3):
        ref.tell(number)
    ref.tell_urgent("now")
    await ref.ask_urgent("then")
    await ref.ask("last")
    return log


def test_a_trace_says_which_messages_were_urgent():
    for seed in range(20):
        run = simulate(urge, seed=seed)
        assert run.value.index("now") < run.value.index("then")
        assert run.value == simulate(urge, seed=seed).value
        assert "deliver / -> /noting 'now' urgent\n" in run.trace
        assert "deliver / -> /noting 0\n" in run.trace
