"""The token that threads hand on."""

import threading
import time

import pytest

from shoal.runtime.turns import Ticket, Turns


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def wait_until(condition):
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in 5 s"
        time.sleep(0.0005)


def test_a_free_token_is_taken_at_once():
    turns, ticket = Turns(), Ticket()
    for _ in range(3):
        turns.take(ticket)
        turns.hand_on(ticket)
    assert turns.taken_away == 0


def test_whoever_has_waited_longest_is_next():
    turns, holder, order = Turns(patience_s=5), Ticket(), []
    turns.take(holder)

    def wait(name):
        ticket = Ticket()
        turns.take(ticket)
        order.append(name)
        turns.hand_on(ticket)

    threads = []
    for name in "abcd":
        threads.append(in_thread(wait, name))
        wait_until(lambda: len(turns._waiting) == len(threads))
    assert order == []
    turns.hand_on(holder)
    for thread in threads:
        thread.join()
    assert order == list("abcd")


def test_whoever_slept_goes_ahead_of_those_that_have_had_more():
    turns, holder, order = Turns(patience_s=5), Ticket(), []
    turns.take(holder)

    def wait(name, had_s):
        ticket = Ticket()
        ticket.had_s = had_s
        turns.take(ticket)
        order.append(name)
        turns.hand_on(ticket)

    threads = []
    for name, had_s in (("busy", 3.0), ("less", 2.0), ("slept", 0.0)):
        threads.append(in_thread(wait, name, had_s))
        wait_until(lambda: len(turns._waiting) == len(threads))
    turns.hand_on(holder)
    for thread in threads:
        thread.join()
    assert order == ["slept", "less", "busy"]


def test_nobody_saves_up_time_by_sleeping():
    turns, busy, sleeper = Turns(), Ticket(), Ticket()
    busy.had_s = 100.0
    turns.take(busy)
    turns.hand_on(busy)
    turns.take(sleeper)
    assert sleeper.had_s > 99.9


def test_a_holder_that_blocks_loses_the_token():
    turns, blocked, other = Turns(patience_s=0.01), Ticket(), Ticket()
    turns.take(blocked)
    turns.take(other)
    assert turns.taken_away == 1
    turns.hand_on(blocked)  # of no effect
    third = in_thread(turns.take, Ticket())
    wait_until(lambda: turns._waiting)
    turns.hand_on(other)
    third.join()
    assert turns.taken_away == 1


def test_a_long_line_is_no_reason_to_take_the_token_from_anybody():
    turns, count = Turns(patience_s=1), 60  # a second, which a busy machine holds nobody up for

    def work():
        ticket = Ticket()
        turns.take(ticket)
        time.sleep(0.02)
        turns.hand_on(ticket)

    threads = [in_thread(work) for _ in range(count)]  # the last waits for longer than that
    for thread in threads:
        thread.join()
    assert turns.taken_away == 0


@pytest.mark.parametrize("patience_s", [0.0001, 0.001])
def test_nobody_is_forgotten_when_handing_on_and_taking_away_meet(patience_s):
    turns, done = Turns(patience_s=patience_s), []

    def work(i):
        ticket = Ticket()
        for n in range(50):
            turns.take(ticket)
            if (n + i) % 7 == 0:
                time.sleep(patience_s * 1.5)
            turns.hand_on(ticket)
        done.append(i)

    threads = [in_thread(work, i) for i in range(6)]
    for thread in threads:
        thread.join(30)
    assert sorted(done) == list(range(6))
    last = Ticket()
    turns.take(last)  # it is free
    assert turns._holder is last
