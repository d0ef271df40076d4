"""What goes into a decision and what comes out of it.

    events   ->   Policy.handle(event, now_us)   ->   actions

Whoever runs the policy feeds every event in order and carries out every action
in order; an action is never waited for, its outcome is a later event.

A transfer is one source delivering one resource from one offset on.  Its life:

    FetchFromCdn | RequestFromPeer            (action)
      -> TransferStarted?                     headers, or the peer's "data follows"
      -> TransferProgressed*                  bytes
      -> TransferEnded | TransferFailed       exactly one of these, unless
    CancelTransfer                            (action) after which no event of it counts
"""

from __future__ import annotations

import msgspec

from .model import ResourceKey, Segment

__all__ = [
    "Action",
    "AuditAtCdn",
    "AuditDue",
    "AuditEnded",
    "AuditFailed",
    "BanPeer",
    "BytesDiscarded",
    "CancelTransfer",
    "CdnAdded",
    "DropPartial",
    "DropUnaudited",
    "Event",
    "FetchFromCdn",
    "GiveUp",
    "PartEnded",
    "PartFailed",
    "PeerAnnounced",
    "PeerGreeted",
    "PeerJoined",
    "PeerLeft",
    "PeerUploadState",
    "PeersRanked",
    "RequestFromPeer",
    "ResourceCompleted",
    "ResourceDropped",
    "ResourceReleased",
    "ResourceRequested",
    "SegmentsListed",
    "SourceBlamed",
    "SwarmJoined",
    "TimePassed",
    "TransferEnded",
    "TransferFailed",
    "TransferProgressed",
    "TransferStarted",
    "WakeAt",
]


class CdnAdded(msgspec.Struct, frozen=True, tag=True):
    """A CDN pathway that may be asked for any resource; said again, it replaces what was said before."""

    cdn: str
    weight: float = 1.0  # business preference; multiplies the measured quality
    price_per_gb: float = 0.0  # in any one currency; of those surely in time the cheapest is asked
    priority: int = 0  # 0 is asked first; a higher number only while none below it can be asked
    commit_bytes: int = 0  # paid for already, as this viewer's part of it: free until then
    is_used: bool = True  # False: it has nothing of this stream, and is not asked


class PeersRanked(msgspec.Struct, frozen=True, tag=True):
    """Where a steering server has peers among the CDNs: they are asked only while none of a lower number can be.

    0, as before anybody says it: they stand beside the CDNs, none of which comes before them.
    """

    priority: int


class SegmentsListed(msgspec.Struct, frozen=True, tag=True):
    """A media playlist was read; `segments` are all it names, in order, and the parts that it lists.

    Replaces what was known of the rendition.
    """

    rendition: int
    segments: tuple[Segment, ...]
    is_live: bool
    is_restarted: bool = False  # the same numbers mean other bytes now; all that is known or held of them is void


class ResourceRequested(msgspec.Struct, frozen=True, tag=True):
    """Somebody waits for this resource now."""

    key: ResourceKey


class ResourceReleased(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for it any more; a transfer under way may go on as prefetch or be cancelled."""

    key: ResourceKey


class SwarmJoined(msgspec.Struct, frozen=True, tag=True):
    """A tracker is being asked for peers of this rendition; they should come soon, if there are any."""

    rendition: int


class PeerJoined(msgspec.Struct, frozen=True, tag=True):
    """A channel to a peer opened.  It serves one rendition's swarm; a viewer in two swarms is two peers."""

    peer: str
    rendition: int
    fingerprint: str | None = None
    address: str | None = None  # `relay ADDRESS` if it is a TURN relay's
    own: str = ""  # what that peer calls us, so that both rank each other alike; empty: not known


class PeerAnnounced(msgspec.Struct, frozen=True, tag=True):
    """What the peer says it holds (media numbers), and is fetching from a CDN; replaces what it said before."""

    peer: str
    held: frozenset[int]
    fetching: frozenset[int]


class PeerGreeted(msgspec.Struct, frozen=True, tag=True):
    """It is a peer of ours: it may be asked for a range, and says why it refuses (extension.py)."""

    peer: str


class PeerUploadState(msgspec.Struct, frozen=True, tag=True):
    """Whether it would serve a request now, in its own words: free, busy or choked."""

    peer: str
    state: str


class PeerLeft(msgspec.Struct, frozen=True, tag=True):
    """The channel is gone.  Its transfers have failed already, each by its own event."""

    peer: str
    reason: str
    is_fault: bool = False  # it was closed since the peer broke the protocol, or flooded


class TransferStarted(msgspec.Struct, frozen=True, tag=True):
    """The source said how much it will send; the first body byte may still be out."""

    transfer: int
    total_bytes: int | None  # of the whole resource
    etag: str | None = None


class TransferProgressed(msgspec.Struct, frozen=True, tag=True):
    transfer: int
    byte_count: int  # new bytes, following those before
    came_bytes: int | None = None  # that came now, where several peers send and some of it waits for what is before it
    repeated_bytes: int = 0  # came as well, and were there already: it races with another transfer, and is behind


class TransferEnded(msgspec.Struct, frozen=True, tag=True):
    """The source has sent all that it promised."""

    transfer: int


class TransferFailed(msgspec.Struct, frozen=True, tag=True):
    """The source will send no more of it.  Bytes that came before stay."""

    transfer: int
    reason: str  # a `reason` of transports/errors.py, or of the peer protocol (absent, busy, choked, range, closed)
    status: int | None = None
    retry_after_us: int | None = None


class PartEnded(msgspec.Struct, frozen=True, tag=True):
    """One of several peers that bring a transfer has sent the range that it was asked for."""

    transfer: int
    peer: str
    byte_count: int
    duration_us: int  # since it was asked


class PartFailed(msgspec.Struct, frozen=True, tag=True):
    """One of several peers takes no part any more; the others go on.  The last one's failure is the transfer's."""

    transfer: int
    peer: str
    reason: str  # as in TransferFailed


class SourceBlamed(msgspec.Struct, frozen=True, tag=True):
    """Bytes of this source were wrong.  Everything from `keep_bytes` on was thrown away and is wanted again."""

    key: ResourceKey
    source: str  # "cdn:NAME" or "peer:ID"
    keep_bytes: int  # all that is held, when nothing had to be thrown away (a culprit found by comparison)


class BytesDiscarded(msgspec.Struct, frozen=True, tag=True):
    """A block that several sources made is wrong.  Nobody is blamed until the right one is known."""

    key: ResourceKey
    suspects: tuple[str, ...]  # "cdn:NAME" or "peer:ID"
    keep_bytes: int


class AuditDue(msgspec.Struct, frozen=True, tag=True):
    """All bytes of it came, without hashes and some from peers: a CDN is to say whether these are right."""

    key: ResourceKey


class AuditEnded(msgspec.Struct, frozen=True, tag=True):
    """The CDN answered; whether bytes were wrong is told by the next event, ResourceCompleted or SourceBlamed."""

    key: ResourceKey
    cdn: str
    byte_count: int


class AuditFailed(msgspec.Struct, frozen=True, tag=True):
    """The CDN did not say whether they are right."""

    key: ResourceKey
    cdn: str
    reason: str  # of transports/errors.py, or: rangeless (it ignores ranges), short (fewer bytes than asked for), ...
    byte_count: int


class ResourceCompleted(msgspec.Struct, frozen=True, tag=True):
    """All bytes are there, and verified as far as hashes are known; it is in the store."""

    key: ResourceKey
    byte_count: int


class ResourceDropped(msgspec.Struct, frozen=True, tag=True):
    """The store let it go."""

    key: ResourceKey


class TimePassed(msgspec.Struct, frozen=True, tag=True):
    """The moment asked for by WakeAt, or any later one."""


Event = (
    CdnAdded
    | PeersRanked
    | SegmentsListed
    | ResourceRequested
    | ResourceReleased
    | SwarmJoined
    | PeerJoined
    | PeerAnnounced
    | PeerGreeted
    | PeerUploadState
    | PeerLeft
    | TransferStarted
    | TransferProgressed
    | TransferEnded
    | TransferFailed
    | PartEnded
    | PartFailed
    | SourceBlamed
    | BytesDiscarded
    | AuditDue
    | AuditEnded
    | AuditFailed
    | ResourceCompleted
    | ResourceDropped
    | TimePassed
)


class FetchFromCdn(msgspec.Struct, frozen=True, tag=True):
    """Ask `cdn` for `key` from `first_byte` on.  With `total_bytes` or `etag` the answer must match (If-Range)."""

    transfer: int
    cdn: str
    key: ResourceKey
    first_byte: int
    total_bytes: int | None
    etag: str | None
    why: str  # one of the words of policy.WHY, for the report


class RequestFromPeer(msgspec.Struct, frozen=True, tag=True):
    """Ask `peer` for `key` from `first_byte` on; with `beside`, ask those too, each for ranges of it."""

    transfer: int
    peer: str
    key: ResourceKey
    first_byte: int
    why: str
    beside: tuple[str, ...] = ()  # peers that were PeerGreeted, as `peer` was


class CancelTransfer(msgspec.Struct, frozen=True, tag=True):
    transfer: int
    reason: str  # slow, stalled, released, gone, blamed, yielded (no room on the line), overtaken, raced (lost)


class BanPeer(msgspec.Struct, frozen=True, tag=True):
    """Cut the channel now, if there is one, and refuse this peer id and certificate from now on."""

    peer: str
    reason: str
    until_us: int | None = None  # it may come back then; None: never


class GiveUp(msgspec.Struct, frozen=True, tag=True):
    """No source is left for it; whoever waits gets an error that says so.  What came of it goes, as by DropPartial."""

    key: ResourceKey
    reason: str


class DropPartial(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants it now; throw away the bytes that came.  A new transfer of it begins at byte 0."""

    key: ResourceKey


class AuditAtCdn(msgspec.Struct, frozen=True, tag=True):
    """Have some ranges of it from this CDN, and hold them against what came; AuditEnded or AuditFailed follows."""

    key: ResourceKey
    cdn: str


class DropUnaudited(msgspec.Struct, frozen=True, tag=True):
    """No CDN says whether the bytes of peers are right: throw them away.  BytesDiscarded follows."""

    key: ResourceKey


class WakeAt(msgspec.Struct, frozen=True, tag=True):
    """Feed TimePassed at this moment; replaces the moment asked for before."""

    time_us: int


Action = (
    FetchFromCdn
    | RequestFromPeer
    | CancelTransfer
    | BanPeer
    | GiveUp
    | DropPartial
    | AuditAtCdn
    | DropUnaudited
    | WakeAt
)
