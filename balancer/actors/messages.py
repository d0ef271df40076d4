"""What the balancer's actors say to each other.

Values that cross rooms (events.py) travel as they are; these are the messages
that exist only between actors.  Nearly all have the session at one end; they are
in the order of who has the other:

    readers and the application    Open, Read, Release, GetPlaylist, AllowPeers, GetReport, GetRefusal
    sources                        Fetch, Request, Cancel, TransferData; Audit; FetchDocument
    playlists, or the MPD          Listed, LoadPlaylist, Locate
    pathways and steering          PathwaysFound, CdnsInOrder, Routed; Steered, SteeringSettled, GetPlaying
    hashes                         HashesKnown; HashBlock, Hashed; Recheck, HeldHashed, Vouched, Wrong
    the store                      Put, Seek, Pin, ReadStored, GiveWhole, Dropped
    swarms                         ChannelOpened, PeerMet, PeerGone, HoldsAll, LinksMax, Banned, TrackerAnswered;
                                   LeaveIdleSwarms
    peers                          Announce, Claimed, Close, MayBegin, MayUpload, Uploaded
    the report                     Noted, RenditionKnown, Delivered

One file, since it is looked things up in by name (`m.Listed`), and not read through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shoal.runtime import ActorRef, Reply
from shoal.transports.errors import TrackerRefused
from shoal.transports.interface import Channel

from ..assembly import Assembly, HashJob
from ..audited_assembly import AuditedAssembly
from ..formats.hls import NOTHING, ContentSteering, Directives
from ..formats.steering import SteeringManifest
from ..integrity import Digests, Sidecar
from ..model import ByteRange, ResourceKey, Segment
from ..pathways import Pathways, Routes
from ..rechecks import Check
from ..streams import Medium

__all__ = [
    "TAKE_IN_TIMEOUT_S",
    "AllowPeers",
    "Announce",
    "AnnounceNow",
    "Audit",
    "AuditAnswered",
    "AuditUnanswered",
    "Banned",
    "Cancel",
    "CdnsInOrder",
    "ChannelOpened",
    "Claimed",
    "Close",
    "Delivered",
    "Discard",
    "Document",
    "Dropped",
    "Fetch",
    "FetchDocument",
    "FindResource",
    "GetPlaying",
    "GetPlaylist",
    "GetRefusal",
    "GetReport",
    "GetShareable",
    "GiveWhole",
    "HashBlock",
    "HashHeld",
    "Hashed",
    "HashesAbsent",
    "HashesKnown",
    "HeldHashed",
    "LeaveIdleSwarms",
    "LinksMax",
    "Listed",
    "LoadPlaylist",
    "Locate",
    "LookAtStripes",
    "MayBegin",
    "MayUpload",
    "NotStored",
    "NotWhole",
    "Noted",
    "Open",
    "Overran",
    "Passed",
    "PathwaysFound",
    "PeerGone",
    "PeerMet",
    "Piece",
    "Pin",
    "Playing",
    "PlaylistText",
    "Put",
    "Read",
    "ReadStored",
    "Recheck",
    "Release",
    "RenditionKnown",
    "ReportStore",
    "Request",
    "Routed",
    "Seek",
    "SeekLate",
    "Sought",
    "Steered",
    "SteeringSettled",
    "TrackerAnswered",
    "TransferData",
    "Unaudited",
    "Unpin",
    "Uploaded",
    "Vouched",
    "Wrong",
]


# How long a source waits for the session to take a piece in: it does so in
# microseconds, and one that needs a minute is broken.
TAKE_IN_TIMEOUT_S = 60.0


# -- readers and the application


class Open(msgspec.Struct, frozen=True):
    """Somebody begins to read a resource; asked, and answered once it is known to exist: with a Piece of all of it if
    it lies in memory, and that was it; or with None, and then Reads and a Release follow.

    `reader` is a number that the asker never uses twice: who was given wrong bytes must not be taken for somebody else.
    """

    key: ResourceKey
    reader: int


class Read(msgspec.Struct, frozen=True):
    """The next verified bytes from `offset` on; answered with a Piece as soon as there is one."""

    key: ResourceKey
    reader: int
    offset: int


class Piece(msgspec.Struct, frozen=True):
    """Bytes that may reach a player.  `total_bytes` is None while no source has said it."""

    data: bytes
    total_bytes: int | None
    is_last: bool


class Release(msgspec.Struct, frozen=True):
    """The reader of one Open is done, or gone."""

    key: ResourceKey
    reader: int


class GetPlaylist(msgspec.Struct, frozen=True):
    """A playlist as a local player may have it; `rendition` None is the one that the session was given."""

    rendition: int | None = None
    wanted: Directives = NOTHING  # what it has to have; then it is answered as late as it has that


class Asked(msgspec.Struct, frozen=True):
    """The player wants a segment, for whoever reports on how it fares."""

    segment: Segment
    deadline_us: int | None
    is_there: bool
    has_next: bool  # its playlist names one that follows it


class Left(msgspec.Struct, frozen=True):
    """The player wants it no more."""

    key: ResourceKey


class PlaylistText(msgspec.Struct, frozen=True):
    text: str
    is_live: bool
    segments: tuple[Segment, ...]  # of a media playlist; empty for a multivariant one
    renditions: int  # how many media playlists there are in all
    best: int = 0  # the rendition of the variant with the highest bandwidth
    is_dash: bool = False  # it is an MPD
    others: tuple[Segment, ...] = ()  # of a media playlist of HLS: init sections and keys
    uris: tuple[str, ...] = ()  # of the first HLS playlist: those of the media playlists, in the order of renditions
    skip_us: int | None = None  # of a media playlist: the boundary of a delta update; None: there is none to be had


class FindResource(msgspec.Struct, frozen=True):
    """Which resource a player of an MPD means; asked, and answered with its ResourceKey or UnknownResource."""

    rendition: int
    name: str  # as formats/dash/names.py has them
    byte_range: ByteRange | None = None  # of a rendition that is one file


class AllowPeers(msgspec.Struct, frozen=True):
    """Whether the viewer agrees to peers.  Asked; answered once it holds: without consent there is no peer left."""

    allowed: bool


class GetRefusal(msgspec.Struct, frozen=True):
    """Why no tracker lets us in, and nobody is here.  Asked; answered with a TrackerRefused, or None."""


class GetReport(msgspec.Struct, frozen=True):
    """Asked; answered with a SessionReport."""


# -- sources


class Fetch(msgspec.Struct, frozen=True):
    """To a CDN: one transfer.  Answered by TransferStarted, TransferData..., TransferEnded or TransferFailed."""

    transfer: int
    segment: Segment
    first_byte: int
    total_bytes: int | None
    etag: str | None
    cmcd: dict[str, Any] | None = None  # what is said with it; None: nothing


class Request(msgspec.Struct, frozen=True):
    """To a peer: the same; up to `end_byte` of one of ours."""

    transfer: int
    number: int
    first_byte: int
    total_bytes: int | None
    end_byte: int | None = None


class Cancel(msgspec.Struct, frozen=True):
    transfer: int


class LookAtStripes(msgspec.Struct, frozen=True):
    """To the session itself: see whether a peer that sends a part of something has fallen silent."""


class Audit(msgspec.Struct, frozen=True):
    """To a CDN: these ranges of a segment, all or none.  Answered by AuditAnswered or AuditUnanswered."""

    segment: Segment
    assembly: AuditedAssembly  # that asks; a later one of the same segment must not take the answer for its own
    ranges: tuple[ByteRange, ...]


class AuditAnswered(msgspec.Struct, frozen=True):
    cdn: str
    question: Audit
    answers: tuple[bytes, ...]  # as long as the ranges
    total_bytes: int  # of the segment, at this CDN


class AuditUnanswered(msgspec.Struct, frozen=True):
    cdn: str
    question: Audit
    reason: str  # as in events.AuditFailed
    byte_count: int  # came all the same


class Unaudited(msgspec.Struct, frozen=True):
    """To the session itself: nobody can tell whether what peers sent is right."""

    key: ResourceKey
    assembly: AuditedAssembly


class TransferData(msgspec.Struct, frozen=True):
    transfer: int
    data: bytes


class Overran(msgspec.Struct, frozen=True):
    """This source's body went on behind the end that is known; what came before that was taken in."""

    key: ResourceKey
    source: str  # label


class FetchDocument(msgspec.Struct, frozen=True):
    """To a CDN: a playlist or a sidecar, whole, or a part of a file.  Asked; a Document or a TransportError."""

    url: str  # on the primary CDN
    bytes_max: int
    byte_range: ByteRange | None = None
    is_manifest: bool = True
    limit_us: int | None = None  # None: that of the config


class Document(msgspec.Struct, frozen=True):
    url: str  # on the primary CDN, after redirects within it
    body: bytes
    date: str | None = None  # as its server says


# -- playlists, or the MPD


class Listed(msgspec.Struct, frozen=True):
    """A media playlist was read (again)."""

    rendition: int
    segments: tuple[Segment, ...]
    is_live: bool
    is_restarted: bool = False  # numbers mean other segments now than before
    info_hash: str | None = None  # of the rendition's swarm; None where peers have none
    medium: Medium = Medium()
    hinted: frozenset[ResourceKey] = frozenset()  # parts that will be there next


class LoadPlaylist(msgspec.Struct, frozen=True):
    """To the playlist actor, which answers `reply` itself with a PlaylistText."""

    rendition: int | None
    reply: Reply
    wanted: Directives = NOTHING


class Locate(msgspec.Struct, frozen=True):
    """To the manifest actor, which answers `reply` itself: a FindResource."""

    rendition: int
    name: str
    byte_range: ByteRange | None
    reply: Reply


# -- pathways and steering


class PathwaysFound(msgspec.Struct, frozen=True):
    """From the playlist actor, before anything is listed: one stream on several pathways, or one that is steered."""

    pathways: Pathways
    steering: ContentSteering | None


class CdnsInOrder(msgspec.Struct, frozen=True):
    """To the playlist actor: documents are asked for in this order from now on."""

    cdns: tuple[ActorRef[Any], ...]


class Routed(msgspec.Struct, frozen=True):
    """To a CDN that is a pathway: where it has what playlists name."""

    routes: Routes


class Steered(msgspec.Struct, frozen=True):
    """From the steering actor: what its server says."""

    manifest: SteeringManifest


class SteeringSettled(msgspec.Struct, frozen=True):
    """From the steering actor, once: its server has answered, or could not.  To the manifest actor, which may wait."""


class GetPlaying(msgspec.Struct, frozen=True):
    """From the steering actor, which is told Playing."""


class Playing(msgspec.Struct, frozen=True):
    """To the steering actor: the pathway that was asked last, and bits a second measured of it."""

    pathway: str | None
    throughput_bps: int | None


# -- hashes


class HashesKnown(msgspec.Struct, frozen=True):
    """A sidecar was read.  Whatever it speaks of is Listed after it, or Listed again if hashes came late."""

    sidecar: Sidecar


class HashesAbsent(msgspec.Struct, frozen=True):
    """There are no hashes, and there will be none.  Comes before anything is Listed, or that is Listed again."""


class HashBlock(msgspec.Struct, frozen=True):
    """`assembly` is the very one that asked: a later one of the same resource must not believe this digest."""

    key: ResourceKey
    assembly: Assembly
    job: HashJob


class Hashed(msgspec.Struct, frozen=True):
    key: ResourceKey
    assembly: Assembly
    job: HashJob
    digest: bytes


class Recheck(msgspec.Struct, frozen=True):
    """To the store: its hash came after it.  Answered by HeldHashed, by way of HashHeld where it has to be computed."""

    check: Check


class HashHeld(msgspec.Struct, frozen=True):
    check: Check
    data: bytes


class HeldHashed(msgspec.Struct, frozen=True):
    """To the session: the SHA-256 of what is held; None if it is not there any more."""

    check: Check
    digest: bytes | None


class Vouched(msgspec.Struct, frozen=True):
    """To the store: a hash vouches for it now, and it may be uploaded."""

    key: ResourceKey


class Wrong(msgspec.Struct, frozen=True):
    """To the store: its hash is another one.  It goes, read or not, and is said to be Dropped."""

    key: ResourceKey


# -- the store


class Put(msgspec.Struct, frozen=True):
    """To the store: a whole resource.  `shareable` ones are right as far as hashes go, and may be uploaded.

    `copies` says how many peers hold what else is in the store; empty where that does not matter yet.
    """

    key: ResourceKey
    data: bytes
    shareable: bool
    copies: Mapping[ResourceKey, int] = {}


class Seek(msgspec.Struct, frozen=True):
    """To the store: see whether others have left these where we find them.  Answered by Sought."""

    wanted: Mapping[ResourceKey, Digests]


class Sought(msgspec.Struct, frozen=True):
    """From the store: of what was sought, these lie there, with so many bytes, though this session has not put them."""

    sought: tuple[ResourceKey, ...]
    byte_counts: Mapping[ResourceKey, int]


class SeekLate(msgspec.Struct, frozen=True):
    """To the session itself: the disk has had its time to say what lies there."""


class Discard(msgspec.Struct, frozen=True):
    """To the store: nothing of this rendition is wanted any more."""

    rendition: int


class Passed(msgspec.Struct, frozen=True):
    """To the store: parts that nobody will ask for again, since their segment is whole."""

    keys: tuple[ResourceKey, ...]


class Pin(msgspec.Struct, frozen=True):
    """To the store: this is being read, and stays if it is there.  Each is followed by one Unpin."""

    key: ResourceKey


class Unpin(msgspec.Struct, frozen=True):
    """To the store: nobody reads it any more."""

    key: ResourceKey


class ReadStored(msgspec.Struct, frozen=True):
    """To the store, which answers `reply` itself: a Piece from `offset` on, at most `bytes_max` long.

    What had to go meanwhile is sent back as NotStored.
    """

    key: ResourceKey
    reader: int
    offset: int
    bytes_max: int
    reply: Reply


class GiveWhole(msgspec.Struct, frozen=True):
    """To the store, which answers `reply` itself with a Piece of all of it; NotWhole if it is not in memory."""

    key: ResourceKey
    reader: int
    reply: Reply


class NotWhole(msgspec.Struct, frozen=True):
    """From the store: it lies on disk, or had to go."""

    key: ResourceKey
    reader: int
    reply: Reply


class NotStored(msgspec.Struct, frozen=True):
    """From the store: it is not there any more; `Dropped` was sent before."""

    read: ReadStored


class GetShareable(msgspec.Struct, frozen=True):
    """To the store, from a peer: the whole resource if it may be uploaded.  Asked; bytes, or UnknownResource."""

    key: ResourceKey


class Dropped(msgspec.Struct, frozen=True):
    """From the store: these had to go."""

    keys: tuple[ResourceKey, ...]


class ReportStore(msgspec.Struct, frozen=True):
    """To the store: fill its part of `report` in, and pass it on."""

    report: Any  # a reporter's GetReport
    reporter: ActorRef[Any]


# -- swarms: trackers, and who is met there


class ChannelOpened(msgspec.Struct, frozen=True):
    """From signalling: somebody of this swarm is connected."""

    rendition: int
    peer_id: str
    channel: Channel


class PeerMet(msgspec.Struct, frozen=True):
    """To signalling: there is a channel to this peer, whichever tracker it came by."""

    peer_id: str


class PeerGone(msgspec.Struct, frozen=True):
    """To signalling: the channel to this peer is closed, and it may be met again."""

    peer_id: str


class HoldsAll(msgspec.Struct, frozen=True):
    """To signalling: whether we hold, and offer, all that the rendition will ever have."""

    is_so: bool


class LinksMax(msgspec.Struct, frozen=True):
    """To signalling: how many channels there may be from now on, with those that there are."""

    count: int


class LeaveIdleSwarms(msgspec.Struct, frozen=True):
    """To ourselves, from a request of the rendition that is watched in place of others."""


class Banned(msgspec.Struct, frozen=True):
    """To signalling: this peer is not to be met again, or not before that moment."""

    peer_id: str
    until_us: int | None = None


# -- peers


class AnnounceNow(msgspec.Struct, frozen=True):
    """To the session itself: the burst of changes is over."""


class Announce(msgspec.Struct, frozen=True):
    """To a peer: tell the other side what we hold and what we are fetching from CDNs.

    A peer of ours is told the hashes of what we hold as well, and whether it would be served now.
    """

    held: tuple[int, ...]
    fetching: tuple[int, ...]
    claims: Mapping[int, bytes] = {}
    state: str = "free"


class Claimed(msgspec.Struct, frozen=True):
    """From a peer: the first bytes of the hashes of what it holds, it says."""

    peer: str
    claims: dict[int, bytes]


class Close(msgspec.Struct, frozen=True):
    """To a peer: close the channel, and stop."""

    reason: str


class MayBegin(msgspec.Struct, frozen=True):
    """To the session, from a peer: it asks for a segment.

    Asked; why it is refused (a word of extension.Refusal), or None: it is served, and Uploaded ends that.
    """

    peer: str
    number: int
    hears_why: bool = False  # it is one of ours: a refusal for now is not taken for one for good


class MayUpload(msgspec.Struct, frozen=True):
    """To the session, from a peer: at most so many bytes are to be sent to it next.

    Asked; a Turn (uploads.py), or None: others come first, ask again a little later.
    """

    peer: str
    byte_count: int
    is_patient: bool = True  # False: it has waited long enough


class Uploaded(msgspec.Struct, frozen=True):
    """From a peer: bytes that were sent to it."""

    peer: str
    byte_count: int


# -- the report


class TrackerAnswered(msgspec.Struct, frozen=True):
    """From a swarm: its tracker let us in, or does so never without another token."""

    tracker: str
    refusal: TrackerRefused | None


class Noted(msgspec.Struct, frozen=True):
    """A notable moment, for the report's log."""

    text: str


class RenditionKnown(msgspec.Struct, frozen=True):
    """What a rendition holds, for whoever reports on its segments."""

    number: int
    medium: Medium
    is_live: bool


class Delivered(msgspec.Struct, frozen=True):
    """From the proxy: bytes that went to the player."""

    key: ResourceKey
    byte_count: int
