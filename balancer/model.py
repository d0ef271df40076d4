"""The values that decisions are made of.

Frozen, hashable, without behaviour beyond arithmetic on themselves.  Times are
integer microseconds on the caller's clock, sizes and offsets are bytes.
"""

from __future__ import annotations

import enum

import msgspec

__all__ = ["ByteRange", "Kind", "ResourceKey", "Segment", "SourceKind", "is_peer", "source_label"]


class Kind(enum.StrEnum):
    """What a resource is to a player."""

    MEDIA = "media"  # a segment; the only kind that peers carry
    PART = "part"  # a piece of a segment that is not whole yet (low latency)
    INIT = "init"  # a media initialization section (EXT-X-MAP)
    KEY = "key"  # a decryption key or key file, passed through
    DATA = "data"  # session data and whatever else a playlist names


class SourceKind(enum.StrEnum):
    CDN = "cdn"
    PEER = "peer"


def source_label(kind: SourceKind, name: str) -> str:
    """The one name of a source among all: "cdn:NAME" or "peer:ID"."""
    return f"{kind.value}:{name}"


def is_peer(label: str) -> bool:
    """Whether a label of `source_label` is a peer's."""
    return label.startswith("peer:")


class ResourceKey(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """The name of one resource inside a session.

    `rendition` is the place of its media playlist in the session's list.
    `number` is, for media, the id that peers use: the place in the playlist for
    VOD, the media sequence number for live; for the other kinds a running number.
    """

    rendition: int
    kind: Kind
    number: int


class ByteRange(msgspec.Struct, frozen=True, order=True):
    """A part of a file: `length` bytes from `offset`."""

    offset: int
    length: int


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One resource that a playlist names."""

    key: ResourceKey
    uri: str  # absolute
    byte_range: ByteRange | None = None
    start_us: int = 0  # on the rendition's own timeline
    duration_us: int = 0
    is_hashed: bool = False  # its right bytes are known beforehand, so that peers may be asked
    is_audited: bool = False  # they are not, or not yet: what peers send of it is audited (audit.py)
    # Low-latency DASH: until then its source sends it as it is made, a piece of so long at a time; 0: it is all there.
    grows_until_us: int = 0
    grows_by_us: int = 0
