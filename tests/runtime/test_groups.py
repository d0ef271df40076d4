"""Restarts of several siblings, back-off, escalation, links: actors that live by `supervision.py`."""

import dataclasses
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.runtime import (
    Actor,
    ActorStopped,
    Backoff,
    ChildFailed,
    LinkBroken,
    Restart,
    StopReason,
    Strategy,
    Supervision,
    Terminated,
)
from shoal.runtime.testing import ManualSystem, Probe


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()
    assert len(system._life.scheduler.timers) == 0


class Silent(Actor):
    """Never answers."""

    def receive(self, message):
        self.take_reply()


class Child(Actor):
    def __init__(self, name, log, *, slow_start=None, slow_stop=None):
        self.name, self.log = name, log
        self.slow_start, self.slow_stop = slow_start, slow_stop

    async def on_start(self):
        if self.slow_start is not None:
            await self.pause(self.slow_start)
        self.log.append(f"+{self.name}")

    async def on_stop(self, reason):
        if self.slow_stop is not None:
            await self.pause(self.slow_stop)
        self.log.append(f"-{self.name}")

    async def pause(self, silent):
        try:
            await silent.ask("?", timeout_s=0.001)
        except TimeoutError:
            pass

    def on_restart(self, error):
        self.log.append(f"{self.name} after {error}")

    def receive(self, message):
        if message == "fail":
            raise ValueError(self.name)
        if callable(message):
            return message(self)
        self.log.append((self.name, message))
        return message


class Boss(Actor):
    def __init__(self, supervision):
        self.supervision = supervision

    def receive(self, message):
        args, options = message
        return self.spawn(Child, *args, **options)


def family(system, names, *, kinds=None, options=None, **supervision):
    """A boss, its children by name, and their log, which begins empty."""
    log = []
    boss = system.spawn(Boss, Supervision(**supervision))
    children = {}
    for name in names:
        reply = boss.ask(((name, log), {"restart": (kinds or {}).get(name, Restart.TRANSIENT), **(options or {})}))
        system.run_until_idle()
        children[name] = reply.result()
    system.advance_us(10_000)
    log.clear()
    return boss, children, log


def test_one_for_all_ends_the_siblings_last_first_and_starts_all_first_to_last(system):
    _, children, log = family(system, "abc", strategy=Strategy.ONE_FOR_ALL)
    children["b"].tell("fail")
    system.run_until_idle()
    assert log == ["-b", "-c", "-a", "a after b", "+a", "b after b", "+b", "c after b", "+c"]


def test_rest_for_one_leaves_those_that_started_earlier_alone(system):
    _, children, log = family(system, "abc", strategy=Strategy.REST_FOR_ONE)
    children["b"].tell("fail")
    system.run_until_idle()
    assert log == ["-b", "-c", "b after b", "+b", "c after b", "+c"]


def test_a_temporary_sibling_ends_with_the_group_and_does_not_come_back(system):
    _, children, log = family(system, "abc", kinds={"a": Restart.TEMPORARY}, strategy=Strategy.ONE_FOR_ALL)
    probe = Probe(system, watch=(children["a"],))
    children["b"].tell("fail")
    system.run_until_idle()
    assert probe.take(Terminated).reason is StopReason.SIBLING
    assert [entry for entry in log if entry[0] in "+-"] == ["-b", "-c", "-a", "+b", "+c"]


def test_a_temporary_child_that_fails_leaves_its_siblings_alone(system):
    _, children, log = family(system, "ab", kinds={"a": Restart.TEMPORARY}, strategy=Strategy.ONE_FOR_ALL)
    children["a"].tell("fail")
    system.run_until_idle()
    assert log == ["-a"]


def test_each_sibling_starts_when_the_one_before_has_started(system):
    silent = system.spawn(Silent)
    _, children, log = family(system, "ab", options={"slow_start": silent}, strategy=Strategy.ONE_FOR_ALL)
    children["b"].tell("fail")
    system.run_until_idle()
    assert log == ["-b", "-a", "a after b"]
    system.advance_us(1_000)
    assert log[3:] == ["+a", "b after b"]
    system.advance_us(1_000)
    assert log[5:] == ["+b"]


def test_messages_to_siblings_wait_while_the_group_restarts(system):
    silent = system.spawn(Silent)
    _, children, log = family(system, "ab", options={"slow_stop": silent}, strategy=Strategy.ONE_FOR_ALL)
    children["a"].tell("fail")
    system.advance_us(1_000)  # a has ended; b is on its way out
    children["a"].tell("one")
    children["b"].tell("two")
    system.advance_us(10_000)
    assert log == ["-a", "-b", "a after a", "+a", ("a", "one"), "b after a", "+b", ("b", "two")]


def test_a_sibling_that_fails_while_its_group_is_ending_counts_for_nothing(system):
    silent = system.spawn(Silent)
    boss, children, log = family(
        system, "ab", options={"slow_stop": silent}, strategy=Strategy.ONE_FOR_ALL, restarts_max=1
    )
    children["a"].tell("fail")
    system.run_until_idle()
    children["b"].tell("fail")  # `a` is still on its way out
    system.advance_us(10_000)
    assert boss.is_alive
    assert all(child.is_alive for child in children.values())
    assert log.count("+a") == log.count("+b") == 1


def test_a_sibling_that_is_stopped_while_the_group_ends_is_not_started(system):
    silent = system.spawn(Silent)
    _, children, log = family(system, "abc", options={"slow_stop": silent}, strategy=Strategy.ONE_FOR_ALL)
    children["c"].tell("fail")
    system.advance_us(1_000)  # c has ended; b is on its way out
    children["c"].stop()
    children["b"].stop()
    system.advance_us(10_000)
    assert log == ["-c", "-b", "-a", "a after c", "+a"]
    assert not children["b"].is_alive
    assert not children["c"].is_alive


def test_a_parent_that_stops_in_the_middle_of_a_group_restart_takes_all_along(system):
    silent = system.spawn(Silent)
    boss, children, _ = family(system, "abc", options={"slow_stop": silent}, strategy=Strategy.ONE_FOR_ALL)
    children["c"].tell("fail")
    system.advance_us(1_000)
    boss.stop()
    system.advance_us(10_000)
    assert not any(child.is_alive for child in children.values())
    assert not boss.is_alive


def test_a_sibling_that_cannot_start_again_begins_the_group_anew_until_the_limit(system):
    log = []

    class Doomed(Actor):
        starts = 0

        def on_start(self):
            Doomed.starts += 1
            if Doomed.starts > 1:
                raise OSError("no")

        def receive(self, message):
            raise ValueError

    class Parent(Actor):
        supervision = Supervision(restarts_max=2, strategy=Strategy.ONE_FOR_ALL)

        def on_start(self):
            if Doomed.starts == 0:
                self.spawn(Child, "a", log)
                self.spawn(Doomed).tell("fail")

        def on_restart(self, error):
            log.append(type(error))

        def receive(self, message): ...

    system.spawn(Parent)
    system.run_until_idle()
    assert Doomed.starts == 3
    assert log.count("+a") == 3
    assert log[-1] is ChildFailed


# counting


def test_a_supervisor_counts_the_restarts_of_all_its_children(system):
    boss, children, _ = family(system, "abc", restarts_max=2)
    probe = Probe(system, watch=(boss,))
    failures = []
    system.failures.subscribe(lambda failure: failures.append((failure.path, failure.directive.value)))
    for name in "abc":
        children[name].tell("fail")
        system.run_until_idle()
    assert [directive for _, directive in failures] == ["restart", "restart", "escalate", "restart"]
    assert failures[-1][0] == boss.path
    assert probe.messages == []


def test_children_may_be_counted_one_by_one(system):
    _, children, log = family(system, "abc", restarts_max=1, per_child=True)
    for name in "abc":
        children[name].tell("fail")
        system.run_until_idle()
    assert log.count("+a") == log.count("+b") == log.count("+c") == 1


def test_top_level_actors_are_counted_one_by_one_by_default(system):
    refs = [system.spawn(Child, "x", []) for _ in range(10)]
    for ref in refs:
        ref.tell("fail")
    system.run_until_idle()
    assert all(ref.is_alive for ref in refs)


def test_a_group_restart_counts_once(system):
    boss, children, log = family(system, "abcde", restarts_max=1, strategy=Strategy.ONE_FOR_ALL)
    children["c"].tell("fail")
    system.run_until_idle()
    assert boss.is_alive
    assert log.count("+e") == 1


# back-off


def test_restarts_wait_longer_and_longer(system):
    backoff = Backoff(initial_us=100, factor=2, max_us=350)
    _, children, log = family(system, "a", restarts_max=100, backoff=backoff)
    waits = []
    for _ in range(4):
        children["a"].tell("fail")
        system.run_until_idle()
        before_us = system.now_us
        log.clear()
        while not log:
            system.advance_us(1)
        waits.append(system.now_us - before_us)
    assert waits == [100, 200, 350, 350]


def test_who_has_run_well_for_long_waits_the_first_delay_again(system):
    backoff = Backoff(initial_us=100, factor=2, max_us=1000)
    assert [backoff.attempt(3, 1000), backoff.attempt(3, 1001)] == [4, 1]


def test_messages_wait_for_the_end_of_the_back_off(system):
    _, children, log = family(system, "a", backoff=Backoff(initial_us=100))
    children["a"].tell("fail")
    children["a"].tell("later")
    system.advance_us(99)
    assert ("a", "later") not in log
    assert system.snapshot().actors[-1].state == "restarting"
    system.advance_us(1)
    assert log[-1] == ("a", "later")


def test_a_stop_ends_an_actor_that_waits_to_begin_again(system):
    _, children, log = family(system, "a", backoff=Backoff(initial_us=100))
    children["a"].tell("fail")
    system.run_until_idle()
    children["a"].stop()
    system.run_until_idle()
    assert not children["a"].is_alive
    assert len(system._life.scheduler.timers) == 0
    system.advance_us(1_000)
    assert not children["a"].is_alive
    assert log == ["-a"]


def test_a_parent_that_stops_during_its_groups_back_off_leaves_no_timer(system):
    boss, children, log = family(system, "ab", strategy=Strategy.ONE_FOR_ALL, backoff=Backoff(initial_us=100))
    children["a"].tell("fail")
    system.run_until_idle()
    boss.stop()
    system.run_until_idle()
    assert len(system._life.scheduler.timers) == 0
    system.advance_us(1_000)
    assert log == ["-a", "-b"]
    assert not boss.is_alive


def test_a_group_waits_with_the_one_that_failed(system):
    _, children, log = family(system, "ab", strategy=Strategy.ONE_FOR_ALL, backoff=Backoff(initial_us=100))
    children["a"].tell("fail")
    system.advance_us(99)
    assert log == ["-a", "-b"]
    system.advance_us(1)
    assert log[2:] == ["a after a", "+a", "b after a", "+b"]


@given(
    backoff=st.builds(
        lambda initial, more, *others: Backoff(initial, initial + more, *others),
        st.integers(0, 10_000),
        st.integers(0, 10_000_000),
        st.floats(1, 100),
        st.floats(0, 1),
        st.integers(),
    ),
    attempt=st.integers(1, 10_000),
    key=st.integers(0, 2**32),
)
def test_a_delay_is_at_most_the_limit_at_least_what_jitter_leaves_and_the_same_every_time(backoff, attempt, key):
    whole_us = dataclasses.replace(backoff, jitter=0).delay_us(attempt)
    delay_us = backoff.delay_us(attempt, key)
    assert int(whole_us * (1 - backoff.jitter)) - 1 <= delay_us <= whole_us <= backoff.max_us
    assert delay_us == backoff.delay_us(attempt, key)


def test_jitter_tells_children_and_seeds_apart():
    delays = {Backoff(10_000_000, jitter=0.5, seed=seed).delay_us(1, key) for seed in range(10) for key in range(10)}
    assert len(delays) == 100


@pytest.mark.parametrize(
    "options", [{"initial_us": -1}, {"initial_us": 2, "max_us": 1}, {"factor": 0.5}, {"jitter": 2}]
)
def test_a_back_off_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="use 0 <= initial_us"):
        Backoff(**options)


# links


def link(system, one, other):
    one.tell(lambda actor: actor.link(other))
    system.run_until_idle()


def test_of_two_linked_actors_both_fail_if_one_does(system):
    log = []
    a, b = (system.spawn(Child, name, log) for name in "ab")
    link(system, a, b)
    log.clear()
    b.tell("fail")
    system.run_until_idle()
    assert sorted(entry for entry in log if entry[0] in "+-") == ["+a", "+b", "-a", "-b"]
    assert any("a after" in entry and "with which /$1 is linked" in entry for entry in log)


def test_the_supervision_of_each_decides_what_becomes_of_it(system):
    a = system.spawn(Child, "a", [], restart=Restart.TEMPORARY)
    b = system.spawn(Child, "b", [])
    link(system, a, b)
    probe = Probe(system, watch=(a,))
    b.tell("fail")
    system.run_until_idle()
    ended = probe.take(Terminated)
    assert isinstance(ended.error, LinkBroken)
    assert str(ended.error.__cause__) == "b"
    assert b.is_alive


def test_of_two_linked_actors_both_stop_if_one_does(system):
    a, b = (system.spawn(Child, name, [], restart=Restart.PERMANENT) for name in "ab")
    link(system, a, b)
    probe = Probe(system, watch=(a,))
    b.stop()
    system.run_until_idle()
    assert probe.take(Terminated).reason is StopReason.LINKED


def test_a_link_is_gone_with_the_instance_and_when_it_is_taken_back(system):
    a, b, c = (system.spawn(Child, name, []) for name in "abc")
    link(system, a, b)
    link(system, a, c)
    a.tell(lambda actor: actor.unlink(c))
    b.tell("fail")
    system.run_until_idle()
    b.stop()
    c.stop()
    system.run_until_idle()
    assert a.is_alive


def test_actors_that_link_again_as_they_start_do_not_fail_for_ever(system):
    class Twin(Actor):
        other = None
        starts = 0

        def on_start(self):
            Twin.starts += 1
            if Twin.other is not None:
                self.link(Twin.other)

        def receive(self, message):
            raise ValueError

    first = system.spawn(Twin)
    system.run_until_idle()
    Twin.other = first
    second = system.spawn(Twin)
    system.run_until_idle()
    second.tell(1)
    system.run_until_idle()
    assert first.is_alive
    assert second.is_alive
    assert Twin.starts == 4


def test_a_link_with_the_dead_is_refused_at_the_call(system):
    a, b = (system.spawn(Child, name, []) for name in "ab")
    b.stop()
    system.run_until_idle()
    reply = a.ask(lambda actor: actor.link(b))
    system.run_until_idle()
    with pytest.raises(Exception, match="failed on") as raised:
        reply.result()
    assert isinstance(raised.value.__cause__, ActorStopped)
