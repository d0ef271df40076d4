"""Every fault of an origin, in everything that it serves, on demand, live and at low latency, beside a healthy one.

In each cell every byte that the player gets is right, it gets all of them, it stands
still for half a second at most once it has begun, what is taken in and kept stays
within its limits, and the report names the fault.
"""

from __future__ import annotations

import os

import pytest

from .catalogue import CELLS, FAULTS, RESOURCES, STREAMS, Cell, named, why_nothing
from .matrix import run

# What decides is the same on all legs: the others take every seventh cell, which meets all rows and columns.
STEP = 1 if os.environ.get("SHOAL_LEG", "fast") == "fast" else 7


def test_the_matrix_is_as_large_as_it_is_said_to_be() -> None:
    assert len(FAULTS) >= 30
    assert len(CELLS) >= 500


def test_every_cell_is_run_or_has_a_reason() -> None:
    cells = [Cell(fault, resource, stream) for fault in FAULTS for resource in RESOURCES for stream in STREAMS]
    without = [cell for cell in cells if why_nothing(cell)]
    assert sorted([*CELLS, *without]) == sorted(cells)
    assert len(without) < len(cells) / 6
    assert all(named(fault) for fault in FAULTS if fault != "type")


def test_a_seventh_of_the_matrix_meets_every_row_and_column() -> None:
    some = CELLS[::7]
    assert {cell.fault for cell in some} == set(FAULTS)
    assert {cell.resource for cell in some} == set(RESOURCES)
    assert {cell.stream for cell in some} == set(STREAMS)


@pytest.mark.parametrize("cell", CELLS[::STEP], ids=str)
def test_a_player_gets_all_of_it_in_time_and_the_report_says_what_was_wrong(cell: Cell) -> None:
    assert run(cell).broken() == []
