"""Cells in slabs: every cell has its own place, and slabs go back to the system.

Uncompiled there are none, and cells are objects like any other.
"""

import gc
import random

from shoal.runtime.core.cell import Cell, slab_count

IN_A_SLAB = 10_000  # about


def new_cells(numbers):
    return {number: Cell(None, None, number, None, None) for number in numbers}


def has_slabs():
    return slab_count() > 0  # some cell has been made


def test_cells_that_come_and_go_keep_what_is_theirs():
    gc.collect()
    drawn, cells, before = random.Random(1), new_cells(range(3 * IN_A_SLAB)), slab_count()
    if has_slabs():
        assert before >= 3
    for turn in range(1, 4):
        for number in drawn.sample(sorted(cells), len(cells) // 2):
            del cells[number]
        cells |= new_cells(range(turn * 1_000_000, turn * 1_000_000 + 3 * IN_A_SLAB - len(cells)))
        assert [cell.serial for cell in cells.values()] == list(cells)
        assert all(cell.parent is None and cell.handle is None for cell in cells.values())
    assert slab_count() <= before + 1  # freed places were used again


def test_a_slab_goes_back_when_its_last_cell_has_gone_and_one_empty_is_kept():
    gc.collect()
    before = slab_count()
    cells = new_cells(range(5 * IN_A_SLAB))
    most = slab_count()
    if has_slabs():
        assert most >= before + 4
    cells.clear()
    assert slab_count() <= before + 1
    for number in range(IN_A_SLAB):
        Cell(None, None, number, None, None)
        assert slab_count() <= before + 1
