"""The token that threads hand on."""

import os
import threading
import time

import pytest

from shoal.runtime import turns as turns_module
from shoal.runtime.core import clocks
from shoal.runtime.turns import PAUSE_NS, Ticket, Turns


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def wait_until(condition):
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in 60 s"
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
        wait_until(lambda: turns.waiting() == len(threads))
    assert order == []
    turns.hand_on(holder)
    for thread in threads:
        thread.join()
    assert order == list("abcd")


def test_whoever_slept_goes_ahead_of_those_that_have_had_more():
    turns, holder, order = Turns(patience_s=5), Ticket(), []
    turns.take(holder)

    def wait(name, had_ns):
        ticket = Ticket()
        ticket.had_ns = had_ns
        turns.take(ticket)
        order.append(name)
        turns.hand_on(ticket)

    threads = []
    for name, had_ns in (("busy", 3_000_000), ("less", 2_000_000), ("slept", 0)):
        threads.append(in_thread(wait, name, had_ns))
        wait_until(lambda: turns.waiting() == len(threads))
    turns.hand_on(holder)
    for thread in threads:
        thread.join()
    assert order == ["slept", "less", "busy"]


def test_nobody_saves_up_time_by_sleeping():
    turns, busy, sleeper = Turns(), Ticket(), Ticket()
    busy.had_ns = 100_000_000
    turns.take(busy)
    turns.hand_on(busy)
    turns.take(sleeper)
    assert sleeper.had_ns > 99_000_000


def test_nobody_is_charged_for_time_in_which_its_thread_did_not_run():
    turns, holder, ticket = Turns(patience_s=5), Ticket(), Ticket()
    turns.take(holder)

    def work():
        turns.take(ticket)
        time.sleep(0.1)
        turns.hand_on(ticket)

    thread = in_thread(work)
    wait_until(lambda: turns.waiting() == 1)
    turns.hand_on(holder)
    thread.join()
    assert ticket.had_ns - holder.had_ns < 50_000_000


def test_a_thread_that_rejoins_waits_for_who_has_had_less_and_then_has_the_token():
    turns, busy, other, order = Turns(patience_s=60), Ticket(), Ticket(), []
    turns.take(busy)
    busy.had_ns = 1_000_000

    def work():
        turns.take(other)
        order.append("other")
        turns.hand_on(other)

    thread = in_thread(work)
    wait_until(lambda: turns.waiting() == 1)
    turns.rejoin(busy)
    order.append("busy")
    thread.join()
    assert order == ["other", "busy"]
    assert turns.waiting() == 0
    late = in_thread(turns.take, Ticket())
    wait_until(lambda: turns.waiting() == 1)  # the token is with who goes round its loop, and not free
    turns.take(busy)
    turns.hand_on(busy)
    late.join()


def test_a_thread_that_rejoins_with_nobody_in_line_goes_on():
    turns, ticket = Turns(), Ticket()
    for _ in range(3):
        turns.take(ticket)
        turns.rejoin(ticket)
    assert turns.waiting() == turns.taken_away == 0


def test_a_thread_from_which_the_token_was_taken_rejoins_the_line():
    turns, slow, other = Turns(patience_s=0.01), Ticket(), Ticket()
    turns.take(slow)
    turns.take(other)
    assert turns.taken_away == 1
    thread = in_thread(turns.rejoin, slow)
    wait_until(lambda: turns.waiting() > 0 or turns.taken_away == 2)
    turns.hand_on(other)
    thread.join()


def test_the_token_is_taken_from_a_thread_that_rejoined_and_does_not_come():
    turns, gone, other = Turns(patience_s=0.01), Ticket(), Ticket()
    turns.take(gone)
    turns.rejoin(gone)
    turns.take(other)
    assert turns.taken_away == 1


def test_a_holder_that_blocks_loses_the_token():
    turns, blocked, other = Turns(patience_s=0.01), Ticket(), Ticket()
    turns.take(blocked)
    turns.take(other)
    assert turns.taken_away == 1
    turns.hand_on(blocked)  # of no effect
    third = in_thread(turns.take, Ticket())
    # So it must wait; where this thread was held up meanwhile, it has waited for as long as anybody must.
    wait_until(lambda: turns.waiting() > 0 or turns.taken_away == 2)
    turns.hand_on(other)
    third.join()


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
    assert turns.waiting() == 0


def parked_in_thread(turns, found):
    """A thread that parks and hands on what it gets; its ticket."""
    ticket = Ticket()

    def work():
        found.append(turns.park(ticket))
        turns.hand_on(ticket)

    thread = in_thread(work)
    wait_until(lambda: ticket.is_parked or found)
    return thread, ticket


def test_who_is_parked_gets_the_token_when_somebody_has_rung_and_handed_on():
    turns, holder, found = Turns(patience_s=5), Ticket(), []
    turns.take(holder)
    thread, ticket = parked_in_thread(turns, found)
    assert turns.ring(ticket)
    assert turns.waiting() == 1
    assert found == []
    turns.hand_on(holder)
    thread.join()
    assert found == [True]


class HastyClock:
    """A millisecond passes between any two looks at it, as on a machine where others compute."""

    def __init__(self):
        self.now_ns = 0

    def perf_counter_ns(self):
        self.now_ns += 1_000_000
        return self.now_ns

    def __getattr__(self, name):
        return getattr(clocks, name)


@pytest.mark.skipif(os.environ.get("SHOAL_LEG", "fast") != "pure", reason="compiled code reads its own clock")
def test_who_is_held_up_on_the_way_to_its_place_does_not_send_itself_home(monkeypatch):
    monkeypatch.setattr(turns_module, "_clock", HastyClock())
    turns, holder, found = Turns(patience_s=5), Ticket(), []
    turns.take(holder)
    thread, ticket = parked_in_thread(turns, found)
    assert turns.ring(ticket)
    turns.hand_on(holder)
    thread.join()
    assert found == [True]


def test_who_was_rung_for_before_does_not_park():
    turns, holder, ticket = Turns(patience_s=5), Ticket(), Ticket()
    turns.take(holder)
    assert not turns.ring(ticket)
    assert not turns.park(ticket)
    assert not ticket.is_dismissed
    turns.hand_on(holder)
    turns.take(ticket)  # whoever rang is heard by the turn that comes
    assert not ticket.is_rung


def test_nobody_parks_for_long_while_nobody_has_the_token():
    turns, ticket = Turns(patience_s=5), Ticket()
    assert not turns.park(ticket)
    assert ticket.is_dismissed


def test_who_has_been_parked_too_long_is_sent_home_when_the_token_changes_hands():
    turns, holder, found = Turns(patience_s=5), Ticket(), []
    turns.take(holder)
    thread, ticket = parked_in_thread(turns, found)
    next_in_line = in_thread(turns.take, Ticket())  # and does not hand on: somebody has the token
    wait_until(lambda: turns.waiting() == 1)
    wait_until(lambda: time.perf_counter_ns() - ticket.parked_ns > PAUSE_NS)
    turns.hand_on(holder)
    next_in_line.join()
    thread.join()
    assert found == [False]
    assert ticket.is_dismissed


def test_who_is_parked_is_sent_home_when_the_last_goes():
    turns, holder, found = Turns(patience_s=5), Ticket(), []
    turns.take(holder)
    thread, _ = parked_in_thread(turns, found)
    turns.hand_on(holder)
    thread.join(4)  # less than the patience
    assert found == [False]


def test_who_is_parked_does_not_wait_for_a_holder_that_blocks():
    turns, holder, found = Turns(patience_s=0.01), Ticket(), []
    turns.take(holder)
    thread, _ = parked_in_thread(turns, found)
    thread.join()
    assert found == [False]
    assert turns.taken_away == 0


@pytest.mark.parametrize("patience_s", [0.0002, 5])
def test_no_ring_is_lost_between_parking_and_going_home(patience_s):
    turns, count, rounds = Turns(patience_s=patience_s), 4, 200
    tickets = [Ticket() for _ in range(count)]
    bells = [threading.Semaphore(0) for _ in range(count)]  # stand for the loops
    heard, done = [0] * count, []

    def work(i):
        for n in range(rounds):
            if not turns.park(tickets[i]):  # with the token of the round before, if there was one
                if not bells[i].acquire(timeout=20):
                    return
                turns.take(tickets[i])
            heard[i] += 1
            if (n + i) % 50 == 0:
                time.sleep(0.0004)  # too long for a pause, and for the shorter patience
            j = (i + 1) % count
            if not turns.ring(tickets[j]):
                bells[j].release()
        turns.hand_on(tickets[i])
        done.append(i)

    threads = [in_thread(work, i) for i in range(count)]
    if not turns.ring(tickets[0]):
        bells[0].release()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == list(range(count)), heard
