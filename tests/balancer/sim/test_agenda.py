"""The order in which things happen in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.sim.agenda import Agenda

# Moments to put in after what is taken out, and how far it is taken out then: within a slot, over many, and beyond all
# that are kept at hand.
MOMENTS = st.integers(0, 20_000) | st.integers(0, 9) | st.integers(4_180_000, 4_200_000) | st.integers(0, 20_000_000)
STEPS = st.lists(
    st.tuples(st.lists(MOMENTS, max_size=8), st.integers(0, 9_000) | st.integers(0, 6_000_000)), max_size=20
)


def nothing() -> None:
    pass


@given(STEPS)
def test_moments_come_in_order_and_equals_in_the_order_they_were_put_in(steps: list[tuple[list[int], int]]) -> None:
    agenda, now_us, count = Agenda(), 0, 0
    waiting: list[tuple[int, int]] = []
    for later_us, length_us in steps:
        for one_us in later_us:
            agenda.put(now_us + one_us, nothing, (count,))
            waiting.append((now_us + one_us, count))
            count += 1
        now_us += length_us
        due = sorted(one for one in waiting if one[0] < now_us)
        waiting = [one for one in waiting if one[0] >= now_us]
        taken = []
        while agenda.take(now_us):
            taken.append((agenda.time_us, *agenda.arguments))
        assert taken == due


def test_what_is_put_in_for_now_while_a_slot_is_worked_off_comes_behind_its_equals() -> None:
    agenda = Agenda()
    for name in "ab":
        agenda.put(5, nothing, (name,))
    found = []
    while agenda.take(100):
        found.append(*agenda.arguments)
        if agenda.arguments == ("a",):
            agenda.put(5, nothing, ("c",))
    assert found == ["a", "b", "c"]


def test_a_slot_holds_any_number_of_moments() -> None:
    agenda = Agenda()
    for number in range(3_000):
        agenda.put(5_000 + number % 7, nothing, (number,))
    found = []
    while agenda.take(10_000):
        found.append(*agenda.arguments)
    assert found == sorted(range(3_000), key=lambda number: (number % 7, number))
