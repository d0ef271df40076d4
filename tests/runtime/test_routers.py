"""Several actors behind one ref."""

import logging
from collections import Counter

import pytest

from shoal.runtime import (
    Actor,
    Broadcast,
    ConsistentHash,
    HandlerFailed,
    MailboxSettings,
    NoRoutee,
    NotAvailable,
    Pool,
    RoundRobin,
    Router,
    SmallestMailbox,
    StopReason,
    Terminated,
)
from shoal.runtime.testing import ManualSystem


class Worker(Actor):
    def __init__(self, log=None):
        self.log = log

    def receive(self, message):
        if message == "fail":
            raise ValueError
        if self.log is not None:
            self.log.append((self.ref.name, message))
        return self.ref.name


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    counters = system.counters
    assert counters.sent == counters.handled + counters.lost + sum(counters.dead_letters.values()) + counters.queued
    system.shut_down()


def workers(system, count, **options):
    return [system.spawn(Worker, name=f"w{number}", **options) for number in range(count)]


def answers(system, router, messages):
    replies = [router.ask(message) for message in messages]
    system.run_until_idle()
    return [reply.result() for reply in replies]


def test_round_robin_gives_each_its_turn_and_the_routee_answers(system):
    router = system.spawn(Router, workers(system, 3), RoundRobin())
    assert answers(system, router, range(5)) == ["w0", "w1", "w2", "w0", "w1"]


def test_the_smallest_mailbox_gets_the_message(system):
    busy, idle = workers(system, 2)
    router = system.spawn(Router, [busy, idle], SmallestMailbox())
    reply = router.ask("x")
    busy.tell("waits")
    system.run_until_idle()
    assert reply.result() == "w1"


def test_the_same_key_goes_to_the_same_routee_and_all_have_a_share(system):
    router = system.spawn(Router, workers(system, 4), ConsistentHash(lambda message: message))
    first = answers(system, router, range(400))
    assert answers(system, router, range(400)) == first
    assert min(Counter(first).values()) > 400 / 4 / 2


def test_when_a_routee_goes_only_its_keys_move(system):
    refs = workers(system, 4)
    router = system.spawn(Router, refs, ConsistentHash(lambda message: message))
    before = answers(system, router, range(200))
    refs[2].stop()
    system.run_until_idle()
    after = answers(system, router, range(200))
    assert "w2" not in after
    assert all(old in (new, "w2") for old, new in zip(before, after, strict=True))


def test_a_broadcast_reaches_all(system):
    log = []
    refs = [system.spawn(Worker, log, name=name) for name in "abc"]
    system.spawn(Router, refs, Broadcast()).tell("hear")
    system.run_until_idle()
    assert log == [("a", "hear"), ("b", "hear"), ("c", "hear")]


def test_a_broadcast_cannot_be_asked(system):
    router = system.spawn(Router, workers(system, 2), Broadcast())
    with pytest.raises(NotAvailable, match="no one answer"):
        answers(system, router, ["x"])


def test_a_broadcast_passes_over_the_full_and_counts_it(system):
    log = []
    full = system.spawn(Worker, log, name="full", mailbox=MailboxSettings(1))
    other = system.spawn(Worker, log, name="other")

    class Late(Router):
        def receive(self, message):
            full.tell("fills it")
            super().receive(message)

    system.spawn(Late, [full, other], Broadcast()).tell("hear")
    system.run_until_idle()
    assert ("other", "hear") in log
    assert system.counters.dead_letters == {"no_routee": 1}


def test_a_full_routee_is_passed_over_in_turn(system):
    refs = workers(system, 2, mailbox=MailboxSettings(1))

    class Late(Router):
        def receive(self, message):
            refs[0].tell("fills it")
            super().receive(message)

    assert answers(system, system.spawn(Late, refs, RoundRobin()), ["x"]) == ["w1"]


def test_with_no_routee_left_a_message_is_a_dead_letter_and_a_question_an_error(system):
    (only,) = workers(system, 1)
    router = system.spawn(Router, [only], RoundRobin())
    only.stop()
    system.run_until_idle()
    router.tell("x")
    with pytest.raises(NoRoutee):
        answers(system, router, ["y"])
    assert system.counters.dead_letters == {"no_routee": 2}


def test_a_pool_starts_its_own_routees_and_ends_with_them(system):
    pool = system.spawn(Pool, Worker, size=3, name="pool")
    assert len(set(answers(system, pool, range(6)))) == 3
    assert sum(actor.path.startswith("/pool/") for actor in system.snapshot().actors) == 3
    pool.stop()
    system.run_until_idle()
    assert system.counters.actors == 0


def test_a_routee_of_a_pool_that_fails_starts_again(system):
    pool = system.spawn(Pool, Worker, size=1)
    with pytest.raises(HandlerFailed):
        answers(system, pool, ["fail"])
    assert len(answers(system, pool, ["x"])) == 1


def test_a_pool_without_routees_is_refused(system):
    with pytest.raises(ValueError, match="at least 1"):
        system.spawn(Pool, Worker, size=0)


class Ending(Worker):
    """Takes its time to end."""

    async def on_stop(self, reason):
        await self.log.until_over.ask("end", timeout_s=1e6)


class Silence(Actor):
    def receive(self, message):
        self.take_reply()


class Slow:
    def __init__(self, system):
        self.until_over = system.spawn(Silence)

    def append(self, line):
        """What is handled is no matter here."""


@pytest.mark.parametrize(
    "choice", [RoundRobin, SmallestMailbox, lambda: ConsistentHash(str)], ids=["round robin", "smallest", "hash"]
)
def test_a_routee_that_is_ending_gets_no_messages_however_long_it_takes(system, choice):
    refs = [system.spawn(Ending, Slow(system), name=f"w{number}") for number in range(3)]
    router = system.spawn(Router, refs, choice())
    refs[0].stop()
    system.run_until_idle()
    assert refs[0].is_alive
    assert set(answers(system, router, range(12))) <= {"w1", "w2"}
    assert system.counters.dead_letters == {}


def test_a_broadcast_leaves_out_who_is_ending(system):
    refs = [system.spawn(Ending, Slow(system)) for _ in range(2)]
    router = system.spawn(Router, refs, Broadcast())
    refs[0].stop()
    system.run_until_idle()
    router.tell("hear")
    system.run_until_idle()
    assert system.counters.dead_letters == {}
    refs[1].stop()
    system.run_until_idle()
    router.tell("nobody hears")
    system.run_until_idle()
    assert system.counters.dead_letters == {"no_routee": 1}


def test_who_has_next_to_least_waiting_gets_what_the_smallest_mailbox_has_no_room_for(system):
    small = system.spawn(Worker, name="small", mailbox=MailboxSettings(1))
    large = system.spawn(Worker, name="large")
    router = system.spawn(Router, [small, large], SmallestMailbox())
    reply = router.ask("x")
    small.tell("fills it")
    for _ in range(5):
        large.tell("waits")
    system.run_until_idle()
    assert reply.result() == "large"


def test_a_pool_that_starts_again_tells_its_workers_nothing_of_those_before_them(system):
    log = []
    pool = system.spawn(Pool, Worker, log, size=8)
    for _ in range(4):  # one failure more than its supervision allows
        pool.tell("fail")
    system.run_until_idle()
    assert system.snapshot().actors[0].restarts == 1
    assert answers(system, pool, ["x"]) != []
    assert [message for _, message in log] == ["x"]
    assert system.counters.dead_letters == {}


def test_a_router_passes_on_the_ends_of_those_that_are_no_routees_of_its(system):
    log = []
    other = system.spawn(Worker)
    router = system.spawn(Router, [system.spawn(Worker, log, name="w")], RoundRobin())
    end = Terminated(other, StopReason.STOPPED)
    router.tell(end)
    system.run_until_idle()
    assert log == [("w", end)]


def test_what_a_subclass_makes_of_a_message_is_a_dead_letter_too_where_nobody_is(system):
    class Renaming(Router):
        def receive(self, message):
            super().receive(("renamed", message))

    router = system.spawn(Renaming, [], RoundRobin())
    with pytest.raises(NoRoutee):
        answers(system, router, ["x"])
    assert system.counters.dead_letters == {"no_routee": 1}
