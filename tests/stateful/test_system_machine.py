"""Whole systems under crashes, stops, restarts, overflow and time: no message is ever unaccounted for.

After every step, sent == handled + lost + dead-lettered + queued + in handling,
where the left side and each term of the right are counted in different places.
The model beside it counts what the test itself sent and what handlers saw.
"""

import logging

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.runtime import (
    Actor,
    ActorStopped,
    Backoff,
    MailboxFull,
    MailboxSettings,
    Overflow,
    Restart,
    Strategy,
    Supervision,
)
from shoal.runtime.testing import ManualSystem

from ..effort import EFFORT

LOG = logging.getLogger("shoal.runtime")


class Worker(Actor):
    """Does what a message says; `seen` outlives its restarts."""

    supervision = Supervision(restarts_max=2, period_us=1000)

    def __init__(self, seen, gate):
        self.seen, self.gate = seen, gate

    def receive(self, message):
        self.seen.append(message)
        if message == "crash":
            raise ValueError(message)
        if message == "stop":
            self.stop()
        if message == "wait":
            return self.wait()
        if message == "step":
            return self.step()
        if message == "timer":
            self.start_timer("t", "tick", delay_us=7, interval_us=11)
        if message == "defer":
            self.take_reply_if_any()
        if message == "aside":
            return self.stash(message)
        if message == "unaside":
            return self.unstash()
        if message == "pass":
            return self.forward(self.gate, message)
        if message == "refuse":
            return self.unhandled(message)
        if message == "become":
            self.become(self.ready, stacked=True)
        return message

    def ready(self, message):
        self.unbecome()
        return self.receive(message)

    def take_reply_if_any(self):
        if self._cell.reply is not None:
            self.take_reply()

    async def wait(self):
        return await self.gate.ask("?", timeout_s=0.000_05)

    def step(self):
        for _ in range(10):
            yield
        return "stepped"


MESSAGES = ["x", "crash", "wait", "step", "defer", "aside", "unaside", "pass", "refuse", "become"]


class Gate(Actor):
    """Never answers, so that who asks is in handling until its time is up."""

    def receive(self, message):
        if self._cell.reply is not None:
            self.take_reply()


class SystemMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        LOG.disabled = True  # thousands of crashes that are meant

    @initialize(
        budget_us=st.sampled_from([3, 8, 60]),  # small ones end turns in the middle of generators
        strategy=st.sampled_from(Strategy),
        backoff=st.sampled_from([None, Backoff(initial_us=20, max_us=100, jitter=0.5)]),
    )
    def make(self, budget_us, strategy, backoff):
        supervision = Supervision(restarts_max=5, strategy=strategy, backoff=backoff)
        self.system = ManualSystem(turn_budget_us=budget_us, supervision=supervision, metrics=True)
        self.gate = self.system.spawn(Gate)
        self.refs, self.seen, self.letters, self.replies = [], [], [], []
        self.told = self.refused = 0
        self.system.dead_letters.subscribe(self.letters.append)

    @rule(
        overflow=st.sampled_from(Overflow),
        messages_max=st.integers(1, 4),
        restart=st.sampled_from(Restart),
        weight=st.sampled_from([None, 0.1, 7]),
    )
    def spawn(self, overflow, messages_max, restart, weight):
        settings_ = MailboxSettings(messages_max, overflow, stash_max=2, urgent_max=3)
        self.refs.append(
            self.system.spawn(Worker, self.seen, self.gate, mailbox=settings_, restart=restart, weight=weight)
        )

    @precondition(lambda self: getattr(self, "refs", None))
    @rule(data=st.data(), message=st.sampled_from([*MESSAGES, "stop", "timer"]), is_urgent=st.booleans())
    def tell(self, data, message, is_urgent):
        ref = data.draw(st.sampled_from(self.refs))
        try:
            (ref.tell_urgent if is_urgent else ref.tell)(message)
            self.told += 1
        except MailboxFull:
            self.refused += 1

    @precondition(lambda self: getattr(self, "refs", None))
    @rule(data=st.data(), message=st.sampled_from([*MESSAGES]), is_urgent=st.booleans())
    def ask(self, data, message, is_urgent):
        ref = data.draw(st.sampled_from(self.refs))
        try:
            self.replies.append((ref.ask_urgent if is_urgent else ref.ask)(message, timeout_s=0.000_1))
        except MailboxFull:
            self.refused += 1

    @precondition(lambda self: getattr(self, "refs", None))
    @rule(data=st.data())
    def stop(self, data):
        data.draw(st.sampled_from(self.refs)).stop()

    @precondition(lambda self: getattr(self, "refs", None))
    @rule(data=st.data())
    def watch(self, data):
        one, other = (data.draw(st.sampled_from(self.refs)) for _ in range(2))
        if one.is_alive:
            self.system._life.watch(one.cell, other.cell)

    @precondition(lambda self: getattr(self, "refs", None))
    @rule(data=st.data(), is_link=st.booleans())
    def link(self, data, is_link):
        one, other = (data.draw(st.sampled_from(self.refs)) for _ in range(2))
        if one.is_alive and other.cell.is_open:
            (self.system._life.link if is_link else self.system._life.unlink)(one.cell, other.cell)

    @rule()
    def one_turn(self):
        driver = self.system.driver
        if driver._is_awake:
            driver._is_awake = False
            driver._turn()

    @rule(delay_us=st.integers(0, 200))
    def pass_time(self, delay_us):
        self.system.advance_us(delay_us)

    @invariant()
    def every_message_is_in_one_place(self):
        if not hasattr(self, "system"):
            return
        counters = self.system.counters
        assert counters.handling >= 0
        assert counters.handling <= len(self.refs) + 1
        assert counters.sent == (
            counters.handled + counters.lost + sum(counters.dead_letters.values()) + counters.queued + counters.handling
        )
        assert counters.refused == self.refused
        assert sum(counters.dead_letters.values()) == len(self.letters)
        assert counters.sent >= self.told

    def teardown(self):
        try:
            self.everything_ends()
        finally:
            LOG.disabled = False

    def everything_ends(self):
        if not hasattr(self, "system"):
            return
        self.system.advance_us(1000)
        self.system.shut_down()
        counters = self.system.counters
        assert counters.queued == 0
        assert counters.handling == 0
        assert counters.sent == counters.handled + counters.lost + len(self.letters)
        assert counters.actors == 0
        assert not any(ref.is_alive for ref in self.refs)
        assert not any(reply.is_waiting for reply in self.replies)
        assert len(self.system._life.scheduler.timers) == 0
        with pytest.raises(ActorStopped):
            self.system.spawn(Gate)


SystemMachine.TestCase.settings = settings(max_examples=150 * EFFORT, stateful_step_count=40, deadline=None)
TestSystem = SystemMachine.TestCase
