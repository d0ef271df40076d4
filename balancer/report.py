"""The story of a session: what was delivered, from where, and what went wrong.

Plain data, filled by the session's actors and shown by `app/` (table, JSON,
HTML).  All of it survives `msgspec.json` unchanged.  Times are microseconds since
the session began.  A part is the bytes that one transfer brought.
"""

from __future__ import annotations

import msgspec

from .formats.cmsd import ServerData

__all__ = ["DiskState", "PartStory", "SegmentStory", "SessionReport", "SourceState", "StoreState"]


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
    verified: str = "pending"  # pending, blocks, segment, audited, unverified
    failed_over: bool = False  # another source went on with it
    failed_over_in_body: bool = False  # and at a byte beyond the first, which the one before had reached
    polluted: bool = False  # wrong bytes came, were caught and replaced
    was_stored: bool = False  # found on a disk that sessions share; no source was asked
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
    audit_bytes: int = 0  # of a CDN: received only to be held against what peers sent
    throughput_bytes_per_s: float | None = None
    first_byte_us: float | None = None
    transfer_count: int = 0
    error_count: int = 0
    errors: dict[str, int] = {}  # by reason
    held_count: int | None = None  # segments a peer says it holds
    cmsd: ServerData | None = None  # what its servers said of themselves last (CTA-5006); it decides nothing


class DiskState(msgspec.Struct, kw_only=True):
    """The store on disk, as this session sees it."""

    state: str = "ok"  # ok; full: no room on the disk; failing: it cannot be written to.  Both are tried again
    error: str = ""  # the last one, in words
    errors: dict[str, int] = {}  # by reason: full, busy, damaged, unusable, slow
    byte_count: int | None = None  # of all sessions together, when this one last wrote
    body_count: int | None = None
    written_bytes: int = 0
    read_bytes: int = 0
    found_count: int = 0  # resources that others had put there, and that were not fetched
    gone_count: int = 0  # bodies that went for what this session wrote
    skipped_count: int = 0  # not written, since the disk was full or failing a moment ago


class StoreState(msgspec.Struct, kw_only=True):
    """Where the session keeps what it has: in memory, and on disk if it has one."""

    byte_count: int = 0
    bytes_max: int = 0
    resource_count: int = 0
    evicted_count: int = 0  # from memory
    refused_count: int = 0
    disk: DiskState | None = None


class SessionReport(msgspec.Struct, kw_only=True):
    url: str
    elapsed_us: int = 0
    is_live: bool = False
    hashes: str = "none"  # blocks, segments, none
    segments: list[SegmentStory] = []
    sources: list[SourceState] = []
    store: StoreState = msgspec.field(default_factory=StoreState)
    loop_delay_p50_us: int = 0
    loop_delay_p99_us: int = 0
    loop_delay_max_us: int = 0
    dropped: dict[str, int] = {}  # what was dropped, by reason
    log: list[str] = []  # notable moments, oldest first, bounded
