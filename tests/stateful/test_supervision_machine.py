"""Restart decisions beside a list of times."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from shoal.runtime.supervision import Directive, FailureHistory, Restart, Supervision, decide


class SupervisionMachine(RuleBasedStateMachine):
    """In no period are there more restarts than allowed, and none is refused without need."""

    @initialize(restarts_max=st.integers(0, 4), period_us=st.integers(1, 100))
    def make(self, restarts_max, period_us):
        self.supervision = Supervision(restarts_max, period_us)
        self.history, self.restarts_us, self.now_us = FailureHistory(), [], 0

    @rule(restart=st.sampled_from(Restart), failed=st.booleans(), delay_us=st.integers(0, 60))
    def end(self, restart, failed, delay_us):
        self.now_us += delay_us
        directive = decide(restart, self.supervision, self.history, self.now_us, failed=failed)
        recent = [t for t in self.restarts_us if t > self.now_us - self.supervision.period_us]
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and not failed):
            assert directive is Directive.STOP
        elif len(recent) < self.supervision.restarts_max:
            assert directive is Directive.RESTART
            self.restarts_us.append(self.now_us)
        else:
            assert directive is Directive.ESCALATE


TestSupervision = SupervisionMachine.TestCase
