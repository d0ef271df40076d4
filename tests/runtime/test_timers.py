"""Deadlines: order, ties, and cancelling."""

from shoal.runtime.core.timers import Timers


def due(timers, now_us):
    found = []
    while (timer := timers.pop_due(now_us)) is not None:
        found.append(timer.target)
    return found


def test_timers_fire_in_order_of_deadline():
    timers = Timers()
    for deadline_us in (30, 10, 20):
        timers.set(deadline_us, deadline_us)
    assert due(timers, 100) == [10, 20, 30]


def test_equal_deadlines_fire_in_the_order_they_were_set():
    timers = Timers()
    for name in "abcdefgh":
        timers.set(5, name)
    assert due(timers, 5) == list("abcdefgh")


def test_nothing_fires_before_its_deadline():
    timers = Timers()
    timers.set(10, "x")
    assert due(timers, 9) == []
    assert due(timers, 10) == ["x"]


def test_a_cancelled_timer_does_not_fire_and_leaves_nothing_behind():
    timers = Timers()
    timer = timers.set(10, "x")
    assert timers.cancel(timer)
    assert not timer.is_set()
    assert len(timers) == 0
    assert due(timers, 100) == []


def test_cancelling_what_has_fired_or_was_cancelled_says_no():
    timers = Timers()
    timer = timers.set(10, "x")
    due(timers, 10)
    assert not timers.cancel(timer)
    other = timers.set(10, "y")
    timers.cancel(other)
    assert not timers.cancel(other)


def test_the_next_deadline_is_the_earliest_left():
    timers = Timers()
    assert timers.next_deadline_us() == -1
    first = timers.set(10, "a")
    timers.set(20, "b")
    assert timers.next_deadline_us() == 10
    timers.cancel(first)
    assert timers.next_deadline_us() == 20


def test_a_timer_can_be_put_back_behind_its_equals():
    timers = Timers()
    again = timers.set(10, "again")
    assert due(timers, 10) == ["again"]
    timers.set(20, "other")
    again.deadline_us = 20
    timers.put(again)
    assert due(timers, 20) == ["other", "again"]
