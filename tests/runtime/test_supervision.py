"""What becomes of a failure: the table, then actors that live by it."""

import logging

import pytest

from shoal.runtime import (
    Actor,
    Backoff,
    ChildFailed,
    Directive,
    HandlerFailed,
    Restart,
    StopReason,
    Supervision,
    Terminated,
)
from shoal.runtime.supervision import RestartHistory, decide
from shoal.runtime.testing import ManualSystem, Probe


class Fragile(Actor):
    def __init__(self, log=None):
        self.log = [] if log is None else log
        self.log.append("made")

    def on_start(self):
        self.log.append("started")

    def on_restart(self, error):
        self.log.append(f"after {type(error).__name__}")

    def on_stop(self, reason):
        self.log.append(reason.value)

    def receive(self, message):
        if message == "stop":
            self.stop()
        elif isinstance(message, BaseException):
            raise message
        return message


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


@pytest.mark.parametrize(
    ("restart", "failed", "directive"),
    [
        (Restart.PERMANENT, True, Directive.RESTART),
        (Restart.PERMANENT, False, Directive.RESTART),
        (Restart.TRANSIENT, True, Directive.RESTART),
        (Restart.TRANSIENT, False, Directive.STOP),
        (Restart.TEMPORARY, True, Directive.STOP),
        (Restart.TEMPORARY, False, Directive.STOP),
    ],
)
def test_the_table(restart, failed, directive):
    assert decide(restart, Supervision(), RestartHistory(), 0, failed=failed) is directive


def test_more_restarts_than_allowed_in_the_period_escalate():
    history = RestartHistory()
    supervision = Supervision(restarts_max=2, period_us=100)
    decisions = [decide(Restart.TRANSIENT, supervision, history, t, failed=True) for t in (0, 50, 99)]
    assert decisions == [Directive.RESTART, Directive.RESTART, Directive.ESCALATE]


def test_restarts_before_the_period_are_forgotten():
    history = RestartHistory()
    supervision = Supervision(restarts_max=1, period_us=100)
    decisions = [decide(Restart.TRANSIENT, supervision, history, t, failed=True) for t in (0, 101, 202)]
    assert decisions == [Directive.RESTART] * 3


def test_a_restart_that_is_exactly_a_period_ago_still_counts():
    history = RestartHistory()
    supervision = Supervision(restarts_max=1, period_us=100)
    decisions = [decide(Restart.TRANSIENT, supervision, history, t, failed=True) for t in (0, 100)]
    assert decisions == [Directive.RESTART, Directive.ESCALATE]


def test_a_failed_actor_is_made_again_and_its_other_messages_survive(system):
    log = []
    ref = system.spawn(Fragile, log)
    ref.tell(ValueError("one"))
    answer = ref.ask("two")
    system.run_until_idle()
    assert log == ["made", "started", "restarted", "made", "after ValueError", "started"]
    assert answer.result() == "two"
    assert ref.is_alive


def test_the_asker_of_a_handler_that_raised_hears_of_it(system):
    ref = system.spawn(Fragile)
    error = ValueError("one")
    reply = ref.ask(error)
    system.run_until_idle()
    with pytest.raises(HandlerFailed, match=r"failed on ValueError: ValueError") as raised:
        reply.result()
    assert raised.value.__cause__ is error


def test_a_temporary_actor_ends_with_its_first_failure(system):
    ref = system.spawn(Fragile, restart=Restart.TEMPORARY)
    probe = Probe(system, watch=(ref,))
    error = ValueError("one")
    ref.tell(error)
    system.run_until_idle()
    assert not ref.is_alive
    assert probe.take(Terminated) == Terminated(ref, StopReason.FAILED, error)


def test_a_permanent_actor_that_stops_itself_starts_again(system):
    log = []
    ref = system.spawn(Fragile, log, restart=Restart.PERMANENT)
    ref.tell("stop")
    system.run_until_idle()
    assert ref.is_alive
    assert log.count("started") == 2


def test_a_permanent_actor_that_is_stopped_by_others_stays_stopped(system):
    ref = system.spawn(Fragile, restart=Restart.PERMANENT)
    ref.stop()
    system.run_until_idle()
    assert not ref.is_alive


def test_one_failure_too_many_fails_the_parent_which_begins_anew_with_its_children(system):
    log, children = [], []

    class Parent(Actor):
        supervision = Supervision(restarts_max=1)

        def on_start(self):
            children.append(self.spawn(Fragile, log, name="child"))

        def on_restart(self, error):
            log.append(error)

        def receive(self, message):
            children[-1].tell(message)

    parent = system.spawn(Parent)
    for _ in range(2):
        parent.tell(KeyError())
    system.run_until_idle()
    failure = next(entry for entry in log if isinstance(entry, ChildFailed))
    assert isinstance(failure.__cause__, KeyError)
    assert parent.is_alive
    assert len(children) == 2
    assert [child.is_alive for child in children] == [False, True]


def test_a_childs_failure_leaves_its_siblings_alone(system):
    one, other = [], []
    first = system.spawn(Fragile, one)
    system.spawn(Fragile, other)
    first.tell(ValueError())
    system.run_until_idle()
    assert one.count("made") == 2
    assert other == ["made", "started"]


def test_a_top_level_actor_beyond_its_limit_stops_and_the_others_live(system):
    ref = system.spawn(Fragile)
    other = system.spawn(Fragile)
    for _ in range(4):
        ref.tell(ValueError())
    system.run_until_idle()
    assert not ref.is_alive
    assert other.is_alive


def test_a_failing_start_counts_as_a_failure(system):
    starts = []

    class Unstartable(Actor):
        def on_start(self):
            starts.append(1)
            raise OSError("no")

        def receive(self, message):
            pass

    ref = system.spawn(Unstartable)
    system.run_until_idle()
    assert len(starts) == 1 + Supervision().restarts_max
    assert not ref.is_alive


def test_an_error_in_the_constructor_is_raised_by_spawn_and_leaves_nothing(system):
    with pytest.raises(TypeError):
        system.spawn(Fragile, 1, 2, 3, name="x")
    system.run_until_idle()
    assert system.find("x") is None
    assert system.counters.actors == 0


def test_a_failure_is_logged_once_and_published_with_its_path_and_message(system, caplog):
    caplog.set_level(logging.ERROR, "shoal.runtime")
    seen = []
    system.failures.subscribe(seen.append)
    ref = system.spawn(Fragile, name="glass")
    ref.tell(ValueError("one"))
    system.run_until_idle()
    assert [(f.path, f.message_type, f.where, f.directive) for f in seen] == [
        ("/glass", "ValueError", "receive", Directive.RESTART)
    ]
    assert len(caplog.records) == 1
    assert "/glass failed in receive on ValueError" in caplog.text


def test_a_stop_overtakes_a_restart(system):
    ref = system.spawn(Fragile)
    probe = Probe(system, watch=(ref,))
    ref.tell(ValueError())
    ref.tell("late")
    ref.stop()
    system.run_until_idle()
    assert not ref.is_alive
    assert probe.take(Terminated).reason is StopReason.STOPPED


@pytest.mark.parametrize(("initial_us", "delay_us"), [(1, 10**9), (0, 0)])
def test_a_back_off_that_outgrows_all_numbers_is_at_its_limit(initial_us, delay_us):
    assert Backoff(initial_us=initial_us, max_us=10**9, factor=1e6).delay_us(60) == delay_us


@pytest.mark.parametrize("factor", [float("inf"), float("nan"), 0.5])
def test_a_back_off_grows_by_a_finite_factor(factor):
    with pytest.raises(ValueError, match="a finite factor of 1 or more"):
        Backoff(factor=factor)
