"""How much of an MPD is read before it is refused.  Each limit is on by default, with its reason beside it."""

from __future__ import annotations

import msgspec

__all__ = ["Limits"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    mpd_bytes_max: int = 2 * 1024 * 1024  # a day of two-second segments in 20 timelines, run by run
    elements_max: int = 100_000  # 2 MiB of `<S d="1"/>` would make 200,000
    depth_max: int = 32  # the schema nests nine deep; what others put into it nests a little further
    attributes_max: int = 64  # of one element; the richest of the schema has 35
    value_chars_max: int = 256 * 1024  # of one attribute or text: a licence box is some tens of KiB
    periods_max: int = 1_000  # a day with an advertisement break every three minutes, two periods each
    representations_max: int = 10_000  # of all periods: a day with a break every ten minutes, 30 in each period
    base_urls_max: int = 64  # alternatives of one representation: each level multiplies them
    resolved_urls_max: int = 24_000  # base URLs of all elements, each with all above it: that day at five CDNs
    resolved_chars_max: int = 16 * 1024 * 1024  # of them: 700 each
    starts_max: int = 4  # start numbers of representations that share a timeline: it is read once for each
    segments_max: int = 20_000  # of one representation: 11 hours of 2 s segments
    operations_max: int = 5_000  # of one patch: some for each timeline; more says that the whole MPD is shorter
    # Elements that its operations look at, all together: 40 on each of 20 timelines of 2,000 rows.
    patch_visits_max: int = 5_000_000
    duration_us_max: int = 100 * 366 * 24 * 3600 * 1_000_000  # no programme is a century long
