"""Who runs next, and for how long.  The clock of these tests charges 1 us for each look at it."""

import itertools
import time

import pytest

from shoal.runtime import Actor, ActorSystem, MailboxSettings
from shoal.runtime.drivers.manual import ManualDriver
from shoal.runtime.testing import ManualSystem


class Noting(Actor):
    def __init__(self, name, log):
        self.name, self.log = name, log

    def receive(self, message):
        self.log.append((self.name, message))


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def flooded(system, log, count, messages):
    refs = [system.spawn(Noting, f"flooder{i}", log) for i in range(count)]
    for ref in refs:
        for message in range(messages):
            ref.tell(message)
    return refs


def test_actors_of_equal_standing_run_in_the_order_they_were_told(system):
    log = []
    refs = [system.spawn(Noting, i, log) for i in range(5)]
    for ref in (refs[3], refs[1], refs[4]):
        ref.tell("x")
    system.run_until_idle()
    assert [name for name, _ in log] == [3, 1, 4]


def test_messages_of_one_sender_to_one_actor_keep_their_order(system):
    log = []
    flooded(system, log, 3, 500)
    system.run_until_idle()
    for i in range(3):
        assert [message for name, message in log if name == f"flooder{i}"] == list(range(500))


def test_no_actor_gets_more_than_its_batch_while_others_wait(system):
    log = []
    flooded(system, log, 2, 300)
    system.run_until_idle()
    longest = run = 1
    for (before, _), (name, _) in itertools.pairwise(log):
        run = run + 1 if name == before else 1
        longest = max(longest, run)
    assert longest <= 64


def test_an_idle_actor_that_is_told_something_goes_ahead_of_all_flooders(system):
    log = []
    flooders = flooded(system, log, 100, 900)
    probe = system.spawn(Noting, "probe", log)
    driver = system.driver
    for _ in range(40):  # some turns into the flood, with most of it still to come
        driver._is_awake = False
        driver._turn()
    handled = len(log)
    assert handled < 50_000
    probe.tell("now")
    driver._turn()
    place = log[handled:].index(("probe", "now"))
    assert place == 0
    assert all(ref.cell.mailbox is not None for ref in flooders[-50:])


def test_a_flooder_cannot_save_up_time_by_sleeping(system):
    log = []
    sleeper = system.spawn(Noting, "sleeper", log)
    flooded(system, log, 1, 1000)
    system.run_until_idle()
    busy = system.spawn(Noting, "busy", log)
    log.clear()
    for message in range(500):
        sleeper.tell(message)
        busy.tell(message)
    system.run_until_idle()
    first_half = [name for name, _ in log[: len(log) // 2]]
    assert 0.4 < first_half.count("busy") / len(first_half) < 0.6


def test_a_turn_ends_when_its_budget_is_spent_and_says_that_more_is_left():
    driver = ManualDriver()
    system = ActorSystem(driver=driver, fixed_cost_ns=1000, turn_budget_us=100, loop_delay_interval_us=None)
    system.start()
    log = []
    flooded(system, log, 4, 500)
    driver._is_awake = False
    driver._turn()
    assert 50 <= len(log) <= 100
    assert driver._is_awake
    assert driver.run_until_idle() > 10
    assert len(log) == 2000


def test_a_turn_ends_before_its_budget_if_one_more_slice_would_pass_it():
    driver = ManualDriver()
    system = ActorSystem(driver=driver, fixed_cost_ns=40_000, turn_budget_us=250, loop_delay_interval_us=None)
    system.start()
    log = []
    flooded(system, log, 10, 10)
    driver._is_awake = False
    driver._turn()
    used_us = 40 * len(log)
    assert used_us <= 250 < used_us + 80  # a slice is two messages here
    driver.run_until_idle()
    assert len(log) == 100


SLOW_NS = 1_000_000


class AtTimesSlow(Actor):
    def __init__(self, handled):
        self.handled = handled

    def receive(self, message):
        end_ns = time.perf_counter_ns() + (SLOW_NS if message == "slow" else 0)
        while time.perf_counter_ns() < end_ns:
            pass
        self.handled.append(message)


@pytest.mark.parametrize(
    ("quick_before", "slow_most"),
    [(0, 4), (20, 16 + 4)],  # a browser's clock is not read after every quick message, but after every 16th at least
    ids=["from the first on", "after quick ones"],
)
def test_slow_messages_end_a_turn_by_the_clock_itself(quick_before, slow_most):
    driver = ManualDriver()
    system = ActorSystem(driver=driver, turn_budget_us=4_000, loop_delay_interval_us=None, watchdog_limit_us=None)
    system.start()
    handled = []
    ref = system.spawn(AtTimesSlow, handled)
    for message in ["quick"] * quick_before + ["slow"] * 40:
        ref.tell(message)
    driver._is_awake = False
    driver._turn()
    assert handled.count("slow") <= slow_most
    driver.run_until_idle()
    assert handled == ["quick"] * quick_before + ["slow"] * 40


def test_one_handler_runs_in_each_turn_however_small_the_budget(system):
    log = []
    flooded(system, log, 2, 2)
    for count in (1, 2, 3, 4):
        system._life.scheduler.turn(1, 0)
        assert len(log) == count


def test_none_is_a_message_like_others(system):
    log = []
    ref = system.spawn(Noting, "it", log)
    for messages in ((None,), (None, 1), (1, None, None, 2)):
        log.clear()
        for message in messages:
            ref.tell(message)
        assert ref.queued == len(messages)
        system.run_until_idle()
        assert [message for _, message in log] == list(messages)


def test_a_stop_is_not_delayed_by_waiting_messages(system):
    log = []
    (ref,) = flooded(system, log, 1, 500)
    ref.stop()
    system.run_until_idle()
    assert log == []
    assert system.counters.dead_letters == {"stopped": 500}


def test_an_actor_that_tells_itself_for_ever_does_not_hold_the_turn(system):
    log = []

    class Perpetual(Actor):
        def receive(self, message):
            if message < 5000:
                self.ref.tell(message + 1)

    system.spawn(Perpetual).tell(0)
    system.driver._is_awake = False
    system.driver._turn()
    system.spawn(Noting, "other", log).tell(1)
    system.driver._turn()
    assert log == [("other", 1)]


def test_the_same_messages_run_in_the_same_order_every_time():
    def run():
        system = ManualSystem(mailbox=MailboxSettings(messages_max=100_000))
        log = []
        flooded(system, log, 7, 333)
        system.run_until_idle()
        system.shut_down()
        return log

    assert run() == run()


def test_an_actor_that_has_signals_and_messages_holds_no_turn_up_for_ever():
    class Idle(Actor):
        def receive(self, message):
            pass

    system = ManualSystem()
    refs = [system.spawn(Idle) for _ in range(400)]  # their ends take more than signals may have of one turn
    for ref in refs:
        ref.tell("waits")
        ref.stop()
    system.run_until_idle()
    assert not any(ref.is_alive for ref in refs)
    system.shut_down()
