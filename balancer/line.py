"""What this viewer's own access line carries, whoever sends.

When several sources are slow at once it is the line, and to move from one to the
other gains nothing.  So what another source promises is never believed beyond what
the line has carried lately, less what the other transfers take of it.
"""

from __future__ import annotations

from .bandwidth import Estimate

__all__ = ["Line"]

_SLICE_US = 200_000  # a shorter one measures bursts
_SLICE_US_MIN = 50_000  # at the end of the last transfer


class Line:
    """All bytes of all sources, over the time in which any source was sending."""

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._since_us: int | None = None
        self._byte_count = 0

    @property
    def bytes_per_s(self) -> float | None:
        """None until it was measured."""
        return self._estimate.bytes_per_s

    def came(self, byte_count: int) -> None:
        self._byte_count += byte_count

    def look(self, now_us: int, *, is_flowing: bool) -> None:
        """Close a slice if it is long enough; `is_flowing`: some source is sending from now on."""
        if self._since_us is not None:
            length_us = now_us - self._since_us
            if length_us >= (_SLICE_US if is_flowing else _SLICE_US_MIN):
                self._estimate.sample(length_us, self._byte_count, now_us)
            elif is_flowing:
                return
        self._since_us = now_us if is_flowing else None
        self._byte_count = 0
