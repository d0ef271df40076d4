"""Supervision beside models of ten lines: the decisions alone, then whole trees of actors in virtual time.

SHOAL_EFFORT multiplies the number of examples: 50 gives 5,000.
"""

import logging

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.runtime import Actor, Backoff, Restart, Strategy, Supervision
from shoal.runtime.supervision import Directive, RestartHistory, decide
from shoal.runtime.testing import ManualSystem

from ..effort import EFFORT

LOG = logging.getLogger("shoal.runtime")


class DecisionMachine(RuleBasedStateMachine):
    """In no period are there more restarts than allowed, and none is refused without need."""

    @initialize(restarts_max=st.integers(0, 4), period_us=st.integers(1, 100))
    def make(self, restarts_max, period_us):
        self.supervision = Supervision(restarts_max, period_us)
        self.history, self.restarts_us, self.now_us = RestartHistory(), [], 0

    @rule(restart=st.sampled_from(Restart), failed=st.booleans(), delay_us=st.integers(0, 60))
    def end(self, restart, failed, delay_us):
        self.now_us += delay_us
        directive = decide(restart, self.supervision, self.history, self.now_us, failed=failed)
        recent = [t for t in self.restarts_us if t >= self.now_us - self.supervision.period_us]
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and not failed):
            assert directive is Directive.STOP
        elif len(recent) < self.supervision.restarts_max:
            assert directive is Directive.RESTART
            self.restarts_us.append(self.now_us)
        else:
            assert directive is Directive.ESCALATE


class Child(Actor):
    def __init__(self, name, log):
        self.name, self.log = name, log

    def on_start(self):
        self.log.append(("start", self.name))

    def on_stop(self, reason):
        self.log.append(("end", self.name))

    def receive(self, message):
        if message == "fail":
            raise ValueError(self.name)
        self.stop()


class Supervisor(Actor):
    """Starts the children it is told of; once it was restarted it has none."""

    def __init__(self, supervision, log):
        self.supervision, self.log = supervision, log

    def on_stop(self, reason):
        self.log.append(("end", "supervisor"))

    def receive(self, message):
        name, restart = message
        return self.spawn(Child, name, self.log, restart=restart)


class TreeMachine(RuleBasedStateMachine):
    """A supervisor with children that fail and stop; the model is the list of who lives, in the order of starting."""

    def __init__(self):
        super().__init__()
        LOG.disabled = True  # thousands of failures that are meant

    @initialize(
        strategy=st.sampled_from(Strategy),
        restarts_max=st.integers(0, 4),
        period_us=st.sampled_from([50, 1000]),
        backoff_us=st.sampled_from([0, 20]),
    )
    def make(self, strategy, restarts_max, period_us, backoff_us):
        backoff = Backoff(backoff_us, backoff_us, 1.0) if backoff_us else None
        self.supervision = Supervision(restarts_max, period_us, strategy, backoff)
        self.system = ManualSystem(supervision=Supervision(restarts_max=10**6))  # the supervisor may fail at will
        self.log, self.expected = [], []
        self.supervisor = self.system.spawn(Supervisor, self.supervision, self.log)
        self.refs, self.kinds = {}, {}
        self.living, self.restarts_us, self.names = [], [], 0

    @rule(restart=st.sampled_from(Restart))
    def spawn(self, restart):
        self.names += 1
        reply = self.supervisor.ask((self.names, restart))
        self.system.run_until_idle()
        self.refs[self.names], self.kinds[self.names] = reply.result(), restart
        self.living.append(self.names)
        self.expected.append(("start", self.names))

    @precondition(lambda self: getattr(self, "living", None))
    @rule(data=st.data(), message=st.sampled_from(["fail", "fail", "stop"]))
    def end(self, data, message):
        name = data.draw(st.sampled_from(self.living))
        now_us = self.system.now_us
        self.refs[name].tell(message)
        self.system.run_until_idle()
        self.system.advance_us(0 if self.supervision.backoff is None else self.supervision.backoff.max_us)
        self.model(name, now_us, failed=message == "fail")

    def model(self, name, now_us, *, failed):
        self.expected.append(("end", name))
        kind = self.kinds[name]
        if kind is Restart.TEMPORARY or (kind is Restart.TRANSIENT and not failed):
            self.living.remove(name)
            return
        if sum(t >= now_us - self.supervision.period_us for t in self.restarts_us) >= self.supervision.restarts_max:
            self.expected += [("end", other) for other in reversed(self.living) if other != name]
            self.expected.append(("end", "supervisor"))
            self.living, self.restarts_us = [], []
            return
        self.restarts_us.append(now_us)
        place = {Strategy.ONE_FOR_ALL: 0, Strategy.REST_FOR_ONE: self.living.index(name)}.get(self.supervision.strategy)
        group = [name] if place is None else self.living[place:]
        self.expected += [("end", other) for other in reversed(group) if other != name]
        back = [other for other in group if self.kinds[other] is not Restart.TEMPORARY]
        self.expected += [("start", other) for other in back]
        self.living = [other for other in self.living if other not in group or other in back]

    @precondition(lambda self: getattr(self, "living", None))
    @rule(data=st.data())
    def stop_from_outside(self, data):
        name = data.draw(st.sampled_from(self.living))
        self.refs[name].stop()
        self.system.run_until_idle()
        self.living.remove(name)
        self.expected.append(("end", name))

    @rule(delay_us=st.integers(0, 60))
    def pass_time(self, delay_us):
        self.system.advance_us(delay_us)

    @invariant()
    def all_ended_and_started_in_the_order_of_the_model(self):
        if hasattr(self, "system"):
            assert self.log == self.expected
            assert {name for name, ref in self.refs.items() if ref.is_alive} == set(self.living)

    def teardown(self):
        LOG.disabled = False
        if hasattr(self, "system"):
            self.system.shut_down()
            assert self.system.counters.actors == 0
            assert len(self.system._life.scheduler.timers) == 0


DecisionMachine.TestCase.settings = settings(max_examples=100 * EFFORT, deadline=None)
TreeMachine.TestCase.settings = settings(max_examples=100 * EFFORT, stateful_step_count=30, deadline=None)
TestDecisions = DecisionMachine.TestCase
TestTrees = TreeMachine.TestCase
