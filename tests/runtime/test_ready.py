"""The order of ready cells."""

from hypothesis import given
from hypothesis import strategies as st

from shoal.runtime.core.cell import Cell
from shoal.runtime.core.ready import ReadyQueue


def cells(*virtual_times_ns):
    found = []
    for serial, virtual_ns in enumerate(virtual_times_ns):
        cell = Cell(None, None, serial, None, None)
        cell.virtual_ns = virtual_ns
        found.append(cell)
    return found


def drained(queue):
    found = []
    while queue.count:
        found.append(queue.pop().serial)
    return found


@given(st.lists(st.integers(0, 20), max_size=60))
def test_least_run_time_comes_first_and_equals_in_order_of_arrival(times_ns):
    queue = ReadyQueue(1000)
    for cell in cells(*times_ns):
        queue.push(cell)
    assert drained(queue) == [serial for _, serial in sorted((t, i) for i, t in enumerate(times_ns))]


def test_a_sleeper_comes_in_one_lead_behind_whoever_ran_last():
    queue = ReadyQueue(100)
    runner, sleeper = cells(5000, 0)
    queue.push(runner)
    queue.pop()
    queue.push(sleeper)
    assert sleeper.virtual_ns == 4900


def test_who_is_behind_by_less_keeps_its_place():
    queue = ReadyQueue(100)
    runner, other = cells(5000, 4950)
    queue.push(runner)
    queue.pop()
    queue.push(other)
    assert other.virtual_ns == 4950


def test_a_cell_knows_whether_it_is_in_the_queue():
    queue = ReadyQueue(100)
    (cell,) = cells(1)
    queue.push(cell)
    assert cell.is_ready
    assert queue.pop() is cell
    assert not cell.is_ready


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60))
def test_who_is_taken_out_of_turn_leaves_the_others_in_their_order(drawn):
    queue = ReadyQueue(1000)
    all_cells = cells(*(time_ns for time_ns, _ in drawn))
    for cell in all_cells:
        queue.push(cell)
    for cell, (_, is_taken) in zip(all_cells, drawn, strict=True):
        if is_taken:
            queue.remove(cell)
            assert not cell.is_ready
    left = [(time_ns, serial) for serial, (time_ns, is_taken) in enumerate(drawn) if not is_taken]
    assert queue.count == len(left)
    assert drained(queue) == [serial for _, serial in sorted(left)]
