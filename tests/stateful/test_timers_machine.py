"""Timers beside a sorted list."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shoal.runtime.core.timers import Timers

from ..effort import EFFORT


class TimersMachine(RuleBasedStateMachine):
    """The model: (deadline, order) of every timer that is set."""

    def __init__(self):
        super().__init__()
        self.timers, self.set_timers, self.order, self.now_us = Timers(), {}, 0, 0

    @rule(delays_us=st.lists(st.integers(0, 50), min_size=1, max_size=10))
    def set(self, delays_us):
        for delay_us in delays_us:
            self.order += 1
            deadline_us = self.now_us + delay_us
            self.set_timers[(deadline_us, self.order)] = self.timers.set(deadline_us, self.order)

    @rule(data=st.data())
    def cancel(self, data):
        if self.set_timers:
            key = data.draw(st.sampled_from(sorted(self.set_timers)))
            timer = self.set_timers.pop(key)
            assert self.timers.cancel(timer)
            assert not self.timers.cancel(timer)

    @rule(delay_us=st.integers(0, 60))
    def pass_time(self, delay_us):
        self.now_us += delay_us
        fired = []
        while (timer := self.timers.pop_due(self.now_us)) is not None:
            assert not timer.is_set()
            fired.append((timer.deadline_us, timer.target))
        wanted = sorted(key for key in self.set_timers if key[0] <= self.now_us)
        assert fired == wanted
        for key in wanted:
            del self.set_timers[key]

    @invariant()
    def the_rest_is_there(self):
        assert len(self.timers) == len(self.set_timers)
        assert self.timers.next_deadline_us() == (min(self.set_timers)[0] if self.set_timers else -1)
        assert all(timer.is_set() for timer in self.set_timers.values())


TimersMachine.TestCase.settings = settings(max_examples=100 * EFFORT, deadline=None)
TestTimers = TimersMachine.TestCase
