"""What packets take of one step of a loop has a limit, and nothing is lost or overtaken by it."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.native.aiortc_private.intake import BUDGET_S, WAITING_MAX, Intake, intake_of

HERE = ("192.0.2.1", 5000)
COST_S = BUDGET_S / 4
STEP_S_MAX = BUDGET_S + COST_S  # a packet that was begun is brought to its end


class Steps:
    """A loop of which each step is told to happen, and a clock that packets move on."""

    def __init__(self):
        self.now_s = 0.0
        self.soon = []
        self.handled = []
        self.intake = Intake(self, clock=lambda: self.now_s)

    def call_soon(self, callback):
        self.soon.append(callback)

    def step(self):
        """What was to be called soon; how long it took."""
        began_s, due, self.soon = self.now_s, self.soon, []
        for callback in due:
            callback()
        return self.now_s - began_s

    def handle(self, packet, address):
        self.handled.append((packet, address))
        self.now_s += COST_S

    def read(self, count, first=0, handle=None):
        began_s = self.now_s
        for number in range(first, first + count):
            self.intake.take(handle or self.handle, b"%d" % number, HERE)
        return self.now_s - began_s

    def numbers(self):
        return [int(packet) for packet, _ in self.handled]


def test_a_packet_is_handled_at_once_with_where_it_came_from():
    steps = Steps()
    steps.read(1)
    assert steps.handled == [(b"0", HERE)]


def test_beyond_its_part_of_a_step_packets_wait_for_the_next_ones():
    steps = Steps()
    assert steps.read(10) == pytest.approx(BUDGET_S)
    assert steps.numbers() == [0, 1, 2, 3]
    assert steps.step() == pytest.approx(BUDGET_S)
    assert steps.numbers() == list(range(8))
    steps.step()
    assert steps.numbers() == list(range(10))
    steps.step()
    assert not steps.soon  # an idle loop is left alone


def test_what_is_read_while_some_wait_waits_behind_them():
    steps = Steps()
    steps.read(6)
    steps.read(1, first=6)
    steps.step()
    steps.read(1, first=7)  # this step's part is used up
    assert steps.numbers() == list(range(7 + 1))[: len(steps.handled)]
    while steps.soon:
        steps.step()
    assert steps.numbers() == list(range(8))


def test_each_step_has_its_part_anew():
    steps = Steps()
    steps.read(3)
    steps.step()
    steps.read(3, first=3)
    assert steps.numbers() == list(range(6))


def test_more_than_may_wait_is_handled_in_place_the_oldest_first():
    steps = Steps()
    steps.read(WAITING_MAX + 4)
    assert len(steps.handled) == 4
    steps.read(5, first=WAITING_MAX + 4)
    assert steps.numbers() == list(range(9))


def test_what_waits_for_a_connection_that_has_ended_is_not_handled():
    steps, others = Steps(), []

    def other(packet, address):
        others.append(packet)
        steps.now_s += COST_S

    steps.read(4)
    steps.read(2, first=4, handle=other)
    steps.read(2, first=6)
    steps.intake.forget(other)
    while steps.soon:
        steps.step()
    assert not others
    assert steps.numbers() == [0, 1, 2, 3, 6, 7]


def test_a_packet_that_makes_its_handler_fail_holds_up_no_other():
    steps = Steps()

    def fail(packet, address):
        raise RuntimeError(packet)

    steps.read(4)
    steps.read(1, first=4, handle=fail)
    steps.read(1, first=5)
    failures = 0
    while steps.soon:
        try:
            steps.step()
        except RuntimeError:
            failures += 1
    assert failures == 1
    assert steps.numbers() == [0, 1, 2, 3, 5]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=20))
def test_whatever_comes_when_all_is_handled_once_in_its_order_and_no_step_takes_longer(parts):
    steps, sent = Steps(), 0
    for count, others in parts:
        took_s = steps.read(count, first=sent)
        sent += count
        assert took_s <= STEP_S_MAX
        for _ in range(others):
            assert steps.step() <= STEP_S_MAX
    while steps.soon:
        steps.step()
    assert steps.numbers() == list(range(sent))


def test_all_connections_of_a_loop_share_its_part():
    async def main():
        loop = asyncio.get_running_loop()
        assert intake_of(loop) is intake_of(loop)
        return intake_of(loop)

    assert asyncio.run(main()) is not asyncio.run(main())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_is_over_is_not_kept(new_loop):
    async def main():
        intake_of(asyncio.get_running_loop())
        return weakref.ref(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=new_loop) as runner:
        loop = runner.run(main())
    gc.collect()
    assert loop() is None
