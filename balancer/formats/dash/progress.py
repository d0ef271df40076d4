"""How far a live MPD is, and by when it has to go on, as far as its timelines tell.

listed_until_us(mpd)     where what is listed one by one ends
goes_on_within_us(mpd)   how long it may stay as it is
"""

from __future__ import annotations

from collections.abc import Iterator

from .addressing import OPEN
from .mpd import Mpd

__all__ = ["goes_on_within_us", "listed_until_us"]

_S = 1_000_000


def listed_until_us(mpd: Mpd) -> int:
    """On the presentation's timeline; 0 where nothing is listed so."""
    return max((end_us for end_us, _ in _ends(mpd)), default=0)


def goes_on_within_us(mpd: Mpd) -> int | None:
    """The longest of its newest segments, or its update period if that is longer.

    None where it need not change: it is not live, counts its segments, or repeats one as time goes by.
    """
    if not mpd.is_live or mpd.minimum_update_us is None:
        return None
    longest_us = max((duration_us for _, duration_us in _ends(mpd)), default=None)
    return None if longest_us is None else max(longest_us, mpd.minimum_update_us)


def _ends(mpd: Mpd) -> Iterator[tuple[int, int]]:
    """Of each timeline that does not go on by itself: where it ends, and how long its last segment is."""
    for period in mpd.periods:
        for adaptation_set in period.adaptation_sets:
            for representation in adaptation_set.representations:
                addressing = representation.addressing
                last = addressing.runs[-1] if addressing.runs else None
                if last is not None and last.count != OPEN:
                    end = last.time + last.count * last.duration - addressing.offset
                    yield (
                        period.start_us + end * _S // addressing.timescale,
                        last.duration * _S // addressing.timescale,
                    )
