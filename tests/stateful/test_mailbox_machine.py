"""A mailbox beside a model of ten lines."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal.runtime.core.mailbox import Mailbox

from ..effort import EFFORT


class MailboxMachine(RuleBasedStateMachine):
    """Three lists: what must come out first, what should, and what waits."""

    @initialize(limit=st.integers(1, 40))
    def make(self, limit):
        self.box, self.limit = Mailbox(limit), limit
        self.control, self.urgent, self.users, self.serial = [], [], [], 0
        self.row = 0  # of urgent messages

    @rule(count=st.integers(1, 30))
    def push(self, count):
        for _ in range(count):
            self.serial += 1
            assert self.box.push(self.serial) == (len(self.users) < self.limit)
            if len(self.users) < self.limit:
                self.users.append(self.serial)

    @rule()
    def push_control(self):
        self.serial += 1
        self.box.push_control(self.serial)
        self.control.append(self.serial)

    @rule(count=st.integers(1, 10))
    def push_urgent(self, count):
        if not self.urgent and not self.users:
            self.row = 0
        for _ in range(count):
            self.serial += 1
            self.box.push_urgent(self.serial)
            self.urgent.append(self.serial)

    @rule(count=st.integers(1, 30))
    def pop(self, count):
        for _ in range(count):
            assert self.box.pop() == self.wanted()

    def wanted(self):
        if self.control:
            return self.control.pop(0)
        if self.urgent and (self.row < 8 or not self.users):
            self.row += 1
            return self.urgent.pop(0)
        if self.urgent:
            self.row = 0
        return self.users.pop(0) if self.users else None

    @rule(count=st.integers(1, 20))
    def put_back(self, count):
        """Whatever the limit: what was taken out must have a place to go back to."""
        for _ in range(count):
            self.serial += 1
            self.box.put_back(self.serial)
            self.users.insert(0, self.serial)

    @rule()
    def pop_oldest(self):
        assert self.box.pop_oldest() == (self.users.pop(0) if self.users else None)

    @rule(limit=st.integers(1, 40))
    def reuse_when_empty(self, limit):
        if not self.control and not self.urgent and not self.users:
            self.box.reuse(limit)
            self.limit = limit

    @invariant()
    def counts_agree(self):
        if hasattr(self, "box"):
            assert self.box.count == len(self.users)
            assert self.box.has_messages() == bool(self.users or self.urgent or self.control)
            assert self.box.urgent_count() == len(self.urgent)
            assert self.box.is_passed == bool(self.urgent or self.control)


MailboxMachine.TestCase.settings = settings(max_examples=100 * EFFORT, deadline=None)
TestMailbox = MailboxMachine.TestCase
