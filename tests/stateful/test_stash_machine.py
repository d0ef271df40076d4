"""A stash beside two lists: what waits, and what was put aside."""

import logging

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal.runtime import Actor, MailboxSettings, Supervision
from shoal.runtime.testing import ManualSystem

from ..effort import EFFORT

LOG = logging.getLogger("shoal.runtime")


class Stashing(Actor):
    """Puts numbers aside while it is closed, and handles them while it is open."""

    def __init__(self, is_open, log):
        self.is_open, self.log = is_open, log

    def receive(self, message):
        if message == "crash":
            raise ValueError(message)
        if message == "open":
            self.is_open.append(True)
            self.unstash()
        elif message == "close":
            self.is_open.append(False)
        elif self.is_open[-1]:
            self.log.append(message)
        else:
            self.stash(message)


class StashMachine(RuleBasedStateMachine):
    """Numbers come out in the order they went in, whatever is put aside, crashes or is over the limit."""

    def __init__(self):
        super().__init__()
        LOG.disabled = True  # crashes that are meant

    @initialize(stash_max=st.integers(1, 8))
    def make(self, stash_max):
        self.system = ManualSystem(supervision=Supervision(restarts_max=10**6))
        self.stash_max, self.serial = stash_max, 0
        self.is_open, self.log, self.handled, self.aside = [True], [], [], []
        settings_ = MailboxSettings(stash_max=stash_max)
        self.ref = self.system.spawn(Stashing, self.is_open, self.log, mailbox=settings_)

    @rule(count=st.integers(1, 5))
    def tell_numbers(self, count):
        for _ in range(count):
            self.serial += 1
            self.ref.tell(self.serial)
            if self.is_open[-1]:
                self.handled.append(self.serial)
            elif len(self.aside) < self.stash_max:
                self.aside.append(self.serial)
            # else StashFull fails the handler, and this one is lost
            self.system.run_until_idle()

    @rule()
    def open(self):
        self.ref.tell("open")
        self.system.run_until_idle()
        self.handled += self.aside
        self.aside = []

    @rule()
    def close(self):
        self.ref.tell("close")
        self.system.run_until_idle()

    @rule()
    def crash(self):
        self.ref.tell("crash")
        self.system.run_until_idle()

    @invariant()
    def numbers_are_where_the_model_has_them(self):
        if hasattr(self, "system"):
            assert self.log == self.handled
            assert self.system.counters.queued == len(self.aside)

    def teardown(self):
        LOG.disabled = False
        if hasattr(self, "system"):
            self.system.shut_down()
            assert self.system.counters.queued == 0


StashMachine.TestCase.settings = settings(max_examples=100 * EFFORT, stateful_step_count=30, deadline=None)
TestStash = StashMachine.TestCase
