"""The story of a session: what was delivered, from where, and what went wrong.

Plain data, filled by the session's actors and shown by `app/` (table, JSON,
HTML).  All of it survives `msgspec.json` unchanged.  Times are microseconds since
the session began.  A part is the bytes that one transfer brought.
"""

from __future__ import annotations

import msgspec

__all__ = ["PartStory", "SegmentStory", "SessionReport", "SourceState"]


class PartStory(msgspec.Struct, kw_only=True):
    """One transfer for one segment."""

    source: str  # "cdn:NAME" or "peer:ID"
    first_byte: int
    byte_count: int = 0  # received, wrong ones included
    started_us: int
    first_byte_us: int | None = None  # moment of the first byte
    ended_us: int | None = None
    outcome: str = "running"  # running, ended, cancelled, failed, wrong
    reason: str = ""  # why it was cancelled or failed
    why: str = ""  # why this source was chosen


class SegmentStory(msgspec.Struct, kw_only=True):
    """One resource and all that was done for it."""

    rendition: int
    kind: str
    number: int
    uri: str
    duration_us: int = 0
    byte_count: int | None = None  # of the whole, once known
    requested_us: int | None = None  # first asked for by the player; None: prefetched
    completed_us: int | None = None
    delivered_bytes: int = 0  # handed to the player's side
    verified: str = "pending"  # pending, blocks, segment, unverified
    failed_over: bool = False  # another source went on with it
    failed_over_in_body: bool = False  # and at a byte beyond the first, which the one before had reached
    polluted: bool = False  # wrong bytes came, were caught and replaced
    error: str = ""
    parts: list[PartStory] = []


class SourceState(msgspec.Struct, kw_only=True):
    """One CDN or peer as it looks now."""

    name: str  # "cdn:NAME" or "peer:ID"
    # new; healthy; suspect: it failed lately; probation: it did nothing wrong, but shares its address with a peer
    # that did; open: its circuit is broken; banned; left
    state: str = "new"
    used_bytes: int = 0  # verified and kept
    wasted_bytes: int = 0  # received and thrown away, or received twice
    sent_bytes: int = 0  # uploaded to a peer
    throughput_bytes_per_s: float | None = None
    first_byte_us: float | None = None
    transfer_count: int = 0
    error_count: int = 0
    errors: dict[str, int] = {}  # by reason
    held_count: int | None = None  # segments a peer says it holds


class SessionReport(msgspec.Struct, kw_only=True):
    url: str
    elapsed_us: int = 0
    is_live: bool = False
    hashes: str = "none"  # blocks, segments, none
    segments: list[SegmentStory] = []
    sources: list[SourceState] = []
    loop_delay_p50_us: int = 0
    loop_delay_p99_us: int = 0
    loop_delay_max_us: int = 0
    dropped: dict[str, int] = {}  # what was dropped, by reason
    log: list[str] = []  # notable moments, oldest first, bounded
