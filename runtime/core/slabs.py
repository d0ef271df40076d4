"""Where cells lie in memory: side by side, in slabs of two megabytes.

Half of what a spawn took was the kernel's: it gave out the memory of new actors page by
page, at 2.5 us for 4 KiB.  A slab beyond the first is asked for as one huge page, a sixth
of that for each byte, and a hundred thousand cells need 10 places in the processor's cache
of page tables, not 5,000.  The first slab, of ten thousand cells, is filled page by page:
a program with few actors takes no more than it needs.

A slab goes back to the system when its last cell has gone; one empty slab is kept, lest
an actor that comes and goes costs a slab each time.  A cell that lives holds its slab.

This is what the uncompiled runtime does, which is nothing; `_slabs.pxd` stands in for it
in compiled code, and does nothing either where there is no Linux or no GIL, or where a
sanitizer wants to see each object by itself.
"""

from __future__ import annotations

__all__ = ["lay_out", "slab_count"]


def lay_out(kind: type) -> None:
    """Have instances of a compiled class, which must be final and unknown to the garbage collector, lie in slabs."""


def slab_count() -> int:
    """How many there are."""
    return 0
