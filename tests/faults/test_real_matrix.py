"""Sixty cells of the matrix on real sockets, with TLS, several at a time and in real time.

Bytes and the report are judged, and not how long anything took: on a busy machine everything is late.
"""

from __future__ import annotations

import asyncio

import pytest

from .catalogue import FAULTS, RESOURCES, Cell
from .outcome import Outcome
from .real import REAL_CELLS, run_all

pytestmark = pytest.mark.real
pytest.importorskip("cryptography", reason="certificates are made with it: pip install 'shoal[webrtc]'")

AT_ONCE = 20
UNREAD_BYTES = 16 << 20  # what the system keeps between two sockets, in and out


@pytest.fixture(scope="module")
def outcomes() -> dict[Cell, Outcome]:
    return {outcome.cell: outcome for outcome in asyncio.run(run_all(REAL_CELLS, at_once=AT_ONCE))}


def test_sixty_cells_are_run_with_every_fault_resource_and_kind_of_stream() -> None:
    assert len(set(REAL_CELLS)) >= 60
    assert {cell.fault for cell in REAL_CELLS} == set(FAULTS)
    assert {cell.resource for cell in REAL_CELLS} == set(RESOURCES)
    assert {cell.stream for cell in REAL_CELLS} == {"vod", "live"}


@pytest.mark.parametrize("cell", REAL_CELLS, ids=str)
def test_a_player_gets_all_of_it_and_the_report_says_what_was_wrong(outcomes: dict[Cell, Outcome], cell: Cell) -> None:
    assert outcomes[cell].broken(stall_us_max=None, unread_bytes=UNREAD_BYTES) == []
