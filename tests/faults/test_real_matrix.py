"""Some cells of the matrix on real sockets, with TLS, several at a time and in real time.

As in virtual time all is judged: bytes, the report, limits, and that the player stands still for half a second at most.
"""

from __future__ import annotations

import asyncio

import pytest

from .catalogue import FAULTS, RESOURCES, STREAMS, Cell
from .outcome import Outcome
from .real import REAL_CELLS, run_all

pytestmark = pytest.mark.real
pytest.importorskip("cryptography", reason="certificates are made with it: pip install 'shoal[webrtc]'")

AT_ONCE = 8
UNREAD_BYTES = 16 << 20  # what the system keeps between two sockets, in and out


@pytest.fixture(scope="module")
def outcomes() -> dict[Cell, Outcome]:
    return {outcome.cell: outcome for outcome in asyncio.run(run_all(REAL_CELLS, at_once=AT_ONCE))}


def test_cells_are_run_with_every_fault_resource_and_kind_of_stream() -> None:
    assert len(set(REAL_CELLS)) >= 85
    assert {cell.fault for cell in REAL_CELLS} == set(FAULTS)
    assert {cell.resource for cell in REAL_CELLS} == set(RESOURCES)
    assert {cell.stream for cell in REAL_CELLS} == set(STREAMS)


@pytest.mark.parametrize("cell", REAL_CELLS, ids=str)
def test_a_player_gets_all_of_it_and_the_report_says_what_was_wrong(outcomes: dict[Cell, Outcome], cell: Cell) -> None:
    assert outcomes[cell].broken(unread_bytes=UNREAD_BYTES) == []
