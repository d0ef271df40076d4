"""Every fault of an origin, in everything that it serves, in HLS and DASH, beside a healthy CDN or a healthy peer.

In each cell every byte that the player gets is right, it gets all of them, it stands
still for half a second at most once it has begun, what is taken in and kept stays
within its limits, and the report names the fault.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from .catalogue import CELLS, FAULTS, HARMLESS, PEER_CELLS, RESOURCES, STREAMS, Cell, named, why_no_peer, why_nothing
from .matrix import run

# What decides is the same on all legs: the others take every seventh cell, and one of each fault.
IS_WHOLE = os.environ.get("SHOAL_LEG", "fast") == "fast"


def some(cells: Sequence[Cell]) -> list[Cell]:
    return sorted({*cells[::7], *{cell.fault: cell for cell in cells}.values()})


def test_the_matrix_is_as_large_as_it_is_said_to_be() -> None:
    assert len(FAULTS) >= 30
    assert len(CELLS) >= 1_000


def test_every_cell_is_run_or_has_a_reason() -> None:
    cells = [Cell(fault, resource, stream) for fault in FAULTS for resource in RESOURCES for stream in STREAMS]
    without = [cell for cell in cells if why_nothing(cell)]
    assert sorted([*CELLS, *without]) == sorted(cells)
    assert len(without) < len(cells) / 6
    assert all(named(fault) for fault in FAULTS if fault not in HARMLESS)


def test_a_seventh_of_the_matrix_meets_every_row_and_column() -> None:
    assert {cell.fault for cell in some(CELLS)} == set(FAULTS)
    assert {cell.resource for cell in some(CELLS)} == set(RESOURCES)
    assert {cell.stream for cell in some(CELLS)} == set(STREAMS)


def test_every_cell_of_peers_is_run_or_has_a_reason() -> None:
    cells = [Cell(fault, "media", stream, "peer") for fault in FAULTS for stream in STREAMS]
    assert sorted([*PEER_CELLS, *(cell for cell in cells if why_no_peer(cell))]) == sorted(cells)
    assert len(PEER_CELLS) >= 150


@pytest.mark.parametrize("cell", CELLS if IS_WHOLE else some(CELLS), ids=str)
def test_a_player_gets_all_of_it_in_time_and_the_report_says_what_was_wrong(cell: Cell) -> None:
    assert run(cell).broken() == []


@pytest.mark.parametrize("cell", PEER_CELLS if IS_WHOLE else some(PEER_CELLS), ids=str)
def test_where_all_cdns_are_at_fault_a_player_gets_all_of_it_from_a_peer(cell: Cell) -> None:
    assert run(cell).broken() == []
