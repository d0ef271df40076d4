"""What this viewer's own access line carries, whoever sends.

When several sources are slow at once it is the line, and to move from one to the
other gains nothing.  So what another source promises is not believed much beyond
what the line has carried lately (`LINE_HOPE` in cdn_choice.py).

A slow peer tells nothing of the line.  While only peers send, what comes can raise
the estimate and never lower it; a CDN is taken to send as fast as the line lets it.
"""

from __future__ import annotations

import math

from .bandwidth import Estimate

__all__ = ["Line"]

_SLICE_US = 200_000  # a shorter one measures bursts
_SLICE_US_MIN = 50_000  # at the end of the last transfer
_SHORT_UNKNOWN = 0.25  # mean square of the shortfalls, until there were some; counts as one slice
_SHORT_MAX = 4.0  # a slice in which nothing came must not stand for ever
_SLICES = 200  # that are averaged: forty seconds of a busy line are remembered, and so its outages


class Line:
    """All bytes of all sources, over the time in which any source was sending."""

    __slots__ = (
        "_byte_count",
        "_deviations",
        "_estimate",
        "_is_full",
        "_short",
        "_since_us",
        "_slices",
        "bytes_per_s",
        "sure_bytes_per_s",
    )

    def __init__(self, estimate: Estimate, deviations: float = 0.0) -> None:
        """`deviations`: how many root mean squares of its shortfalls `sure_bytes_per_s` leaves for."""
        self._estimate = estimate
        self._deviations = deviations
        self._since_us: int | None = None
        self._byte_count = 0
        self._is_full = False
        self._short = _SHORT_UNKNOWN
        self._slices = 1
        # What it carries with all but a small risk, after how it fell short of its estimate lately; None as below.
        self.sure_bytes_per_s: float | None = None
        self.bytes_per_s: float | None = None  # until it was measured

    def came(self, byte_count: int) -> None:
        self._byte_count += byte_count

    def look(self, now_us: int, is_flowing: bool, is_full: bool = True) -> None:
        """Close a slice if it is long enough.

        `is_flowing`: some source is sending from now on; `is_full`: one of them fills the line.
        """
        if self._since_us is not None:
            length_us = now_us - self._since_us
            goes_on = is_flowing and is_full == self._is_full
            if length_us >= (_SLICE_US if goes_on else _SLICE_US_MIN):
                self._sample(length_us, now_us)
            elif goes_on:
                return
        self._since_us = now_us if is_flowing else None
        self._is_full = is_full
        self._byte_count = 0

    def _sample(self, length_us: int, now_us: int) -> None:
        known = self._estimate.bytes_per_s
        if not self._is_full and (known is None or self._byte_count * 1_000_000 <= known * length_us):
            return
        if known is not None:
            needed_us = self._byte_count * 1_000_000 / max(1.0, known)
            short = min(_SHORT_MAX, max(0.0, length_us / max(1.0, needed_us) - 1.0))
            self._slices = min(_SLICES, self._slices + 1)
            self._short += (short * short - self._short) / self._slices
        self._estimate.sample(length_us, self._byte_count, now_us)
        rate = self.bytes_per_s = self._estimate.bytes_per_s
        self.sure_bytes_per_s = None if rate is None else rate / (1.0 + self._deviations * math.sqrt(self._short))
