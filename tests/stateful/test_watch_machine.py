"""Death watch beside a model: who watches whom, and whose end each has heard of."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.runtime import Actor, Terminated
from shoal.runtime.testing import ManualSystem

from ..effort import EFFORT


class Watching(Actor):
    """Keeps the ends it hears of; watches and unwatches whom it is told to."""

    def __init__(self, heard):
        self.heard = heard

    def receive(self, message):
        if isinstance(message, Terminated):
            self.heard.append(message.ref)
        else:
            what, ref = message
            (self.watch if what == "watch" else self.unwatch)(ref)


class WatchMachine(RuleBasedStateMachine):
    """Every end is heard of exactly once by each who watched, and by nobody else."""

    def __init__(self):
        super().__init__()
        self.system = ManualSystem()
        self.refs, self.heard, self.expected = [], {}, {}
        self.watched = {}  # ref to those whom it watches
        self.living = []

    @rule()
    def spawn(self):
        heard = []
        ref = self.system.spawn(Watching, heard)
        self.system.run_until_idle()
        self.refs.append(ref)
        self.living.append(ref)
        self.heard[ref], self.expected[ref], self.watched[ref] = heard, [], []

    @precondition(lambda self: self.living)
    @rule(data=st.data(), what=st.sampled_from(["watch", "watch", "unwatch"]))
    def watch(self, data, what):
        one, other = data.draw(st.sampled_from(self.living)), data.draw(st.sampled_from(self.refs))
        if one is other:
            return
        one.tell((what, other))
        self.system.run_until_idle()
        if what == "unwatch":
            if other in self.watched[one]:
                self.watched[one].remove(other)
        elif other not in self.living:
            self.expected[one].append(other)  # the dead are told of at once
        elif other not in self.watched[one]:
            self.watched[one].append(other)

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def end(self, data):
        ref = data.draw(st.sampled_from(self.living))
        ref.stop()
        self.system.run_until_idle()
        self.living.remove(ref)
        for other in self.living:
            if ref in self.watched[other]:
                self.watched[other].remove(ref)
                self.expected[other].append(ref)

    @invariant()
    def each_has_heard_of_what_it_watched(self):
        assert self.heard == self.expected
        assert [ref for ref in self.refs if ref.is_alive] == self.living

    def teardown(self):
        self.system.shut_down()
        assert self.system.counters.actors == 0
        assert self.heard == self.expected  # nobody hears of ends while all end


WatchMachine.TestCase.settings = settings(max_examples=100 * EFFORT, stateful_step_count=30, deadline=None)
TestWatch = WatchMachine.TestCase
