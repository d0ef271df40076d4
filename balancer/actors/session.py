"""The session: the one actor of a stream that all others speak to.

It hands each message to one of its parts, and runs the policy's actions.

    readers  --Open, Read, Release-->  Session  --Fetch, Cancel-->    Cdn x n
                                         |      --Request, Cancel-->  Peer x n
    Playlist --Listed-->                 |      --HashBlock-->        Hashing
    Swarm    --ChannelOpened-->          |      --Put, ReadStored-->  Storage
                                         |      --what happened-->    Reporter
                                         v
                      Policy (which source)   Assembly (which bytes are right)

It decides nothing itself: every event goes to the policy, every byte to the
resource's assembly, and what they answer is carried out.  Its handlers never wait,
so that a slow source or reader holds up nobody else.  Its parts, none of them an actor:

    resources    what is named, read, under way and held; asked by readers, told by playlists
    arrivals     what sources send, and what the assemblies say of it
    neighbours   peers and swarms, and who may be told and sent what
    cdns         which CDNs there are, in which order
    trust        what vouches for bytes: hashes, audits or nothing
    transfers    the list of those under way
"""

from __future__ import annotations

from typing import Any

from shoal.runtime import Actor, ActorRef, MailboxSettings, Overflow, Reply, Supervision

from ..audited_assembly import AuditedAssembly
from ..errors import NoSource, UnknownResource
from ..events import (
    Action,
    AuditAtCdn,
    BanPeer,
    CancelTransfer,
    DropPartial,
    DropUnaudited,
    Event,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    PeerGreeted,
    PeerLeft,
    PeerUploadState,
    RequestFromPeer,
    SwarmJoined,
    TimePassed,
    TransferEnded,
    TransferFailed,
    TransferStarted,
    WakeAt,
)
from ..model import Kind, ResourceKey, SourceKind, source_label
from ..policy import Policy
from ..recording import RecordedPolicy
from ..store import Store
from ..telemetry import Telemetry
from . import messages as m
from . import reporter as r
from .arrivals import Arrivals
from .cdns import Cdns
from .hashing import Hashing
from .neighbours import GAVE_WAY, IDLE, Neighbours
from .parts import Collector, SessionParts
from .playlist import Playlist
from .resources import Resources
from .steering import Steering
from .storage import Storage
from .transfers import Transfers
from .trust import Trust

__all__ = ["Session"]


# Stories may be lost, with a count; a delivery must not fail because of them.
REPORTER_MAILBOX = MailboxSettings(messages_max=16_384, overflow=Overflow.DROP_NEWEST)
# A segment of 64 MiB that comes at once has 1024 blocks; four of them.
HASHING_MAILBOX = MailboxSettings(messages_max=4_096)


class Session(Actor[Any]):
    supervision = Supervision(per_child=True)  # one bad peer after another must not bring the session down

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._config = parts.config
        if parts.recording is None:
            self._policy = Policy(parts.config, seed=parts.seed)
        else:
            self._policy = RecordedPolicy(parts.config, parts.seed, parts.recording)
        self._is_live = False
        self._telemetry = Telemetry()

    def on_start(self) -> None:
        parts, config = self._parts, self._config
        self._collecting = None if parts.collector is None else self._collect(parts.collector)
        self._reporter = self.spawn(
            r.Reporter, config, parts.url, self._collecting, name="reporter", mailbox=REPORTER_MAILBOX
        )
        store = Store(bytes_max=config.store_bytes_max)
        hashing = self.spawn(Hashing, self.ref, parts.hasher, name="hashing", mailbox=HASHING_MAILBOX)
        self._storage = self.spawn(Storage, self.ref, hashing, store, config, parts.shelf, name="storage")
        transfers = Transfers(self._reporter)
        self._trust = Trust(parts, self._reporter)
        self._neighbours = Neighbours(self, parts, transfers, reporter=self._reporter, storage=self._storage)
        self._resources = Resources(
            self,
            parts,
            decide=self._decide,
            deadline_us=self._policy.deadline_us,
            trust=self._trust,
            neighbours=self._neighbours,
            transfers=transfers,
            storage=self._storage,
            reporter=self._reporter,
            collecting=self._collecting,
        )
        self._arrivals = Arrivals(
            self,
            self._resources,
            decide=self._decide,
            copies=self._policy.copies,
            trust=self._trust,
            neighbours=self._neighbours,
            transfers=transfers,
            storage=self._storage,
            hashing=hashing,
            reporter=self._reporter,
        )
        self._cdns = Cdns(self, parts, self._decide, self._note)
        self._cdns.start()
        self._steering: ActorRef[Any] | None = None
        reads: type[Actor[Any]] = Playlist
        more: dict[str, Any] = {}
        if parts.is_dash:
            from .manifest import Manifest  # a page that plays HLS does not load it

            reads, more = Manifest, {"utc_us": parts.utc_us, "fetcher": parts.fetcher}
        self._playlist = self.spawn(
            reads,
            self.ref,
            self._cdns.refs,
            config,
            name="playlist",
            url=parts.url,
            swarm_id=parts.swarm_id,
            scheme=parts.scheme,
            sidecar_url=parts.sidecar_url,
            is_sidecar_required=parts.is_sidecar_required,
            read_sidecar=parts.read_sidecar,
            **more,
        )

    def receive(self, message: Any) -> None:
        # What is asked and told for each request of a player, by its type itself: a `match` asks class after class for
        # its instances, and these stand behind a dozen of them.
        if type(message) is m.Open:
            self._resources.open(message.key, message.reader, self.take_reply())
            return
        if type(message) is m.Delivered:
            self._reporter.tell(message)
            return
        match message:
            # Most frequent first.
            case m.TransferData(transfer, data):
                self._arrivals.data(transfer, data)
            case m.Hashed():
                self._arrivals.hashed(message)
            case m.Read():
                self._resources.read(message, self.take_reply())
            case TransferStarted() | TransferEnded() | TransferFailed():
                self._arrivals.heard(message)
            case m.LookAtStripes():
                self._arrivals.look_at_stripes()
            case PeerAnnounced(peer):
                if peer in self._neighbours:
                    self._decide(self._neighbours.heard(message))
            case PeerGreeted(peer) | PeerUploadState(peer):
                if peer in self._neighbours:
                    self._decide(message)
            case m.Claimed(peer, claims):
                if peer in self._neighbours:
                    self._on_claims(peer, claims)
            case m.Release(key, reader):
                self._resources.release(key, reader)
            case m.NotWhole(key, reader, reply):
                self._resources.not_whole(key, reader, reply)
            case m.NotStored(read):
                self._resources.read(m.Read(read.key, read.reader, read.offset), read.reply)
            case m.GetPlaylist():
                self._playlist.tell(m.LoadPlaylist(message.rendition, self.take_reply(), message.wanted))
            case m.FindResource(rendition, name, byte_range) if self._parts.is_dash:
                self._playlist.tell(m.Locate(rendition, name, byte_range, self.take_reply()))
            case m.FindResource():
                self.take_reply().fail(UnknownResource("this stream is HLS, and its playlists say what is there"))
            case m.Listed():
                self._on_listed(message)
            case m.HashesKnown() | m.HashesAbsent():
                self._trust.know(message)
                self._neighbours.silence(is_silent=not self._trust.allows_offers)
                self._resources.recheck()
            case m.HeldHashed():
                self._resources.rechecked(message)
            case m.AuditAnswered() | m.AuditUnanswered():
                self._arrivals.audited(message)
            case m.Overran(key, source):
                self._arrivals.overran(key, source)
            case m.Unaudited():
                self._arrivals.drop_unaudited(message)
            case m.PathwaysFound(pathways, steering):
                self._cdns.found(pathways)
                self._playlist.tell(m.CdnsInOrder(self._cdns.refs))
                if steering is not None and self._parts.is_steered:
                    uri = steering.server_uri
                    self._steering = self.spawn(
                        *(Steering, self.ref, self._parts.fetcher),
                        name="steering",
                        server_uri=uri,
                        is_dash=self._parts.is_dash,
                    )
                elif self._parts.is_dash:
                    self._playlist.tell(m.SteeringSettled())
            case m.Steered(manifest):
                if self._cdns.steered(manifest):
                    self._playlist.tell(m.CdnsInOrder(self._cdns.refs))
            case m.SteeringSettled() if self._parts.is_dash:
                self._playlist.tell(message)
            case m.SteeringSettled():
                pass  # an HLS playlist waits for nobody
            case m.GetPlaying():
                if self._steering is not None:
                    self._steering.tell(self._cdns.playing(self._policy.cdn_bytes_per_s))
            case m.ChannelOpened():
                self._on_channel(message)
            case PeerLeft(peer, reason, is_fault):
                self._on_peer_left(peer, reason, is_fault=is_fault)
            case m.Dropped(keys):
                self._resources.dropped(keys)
            case m.Sought():
                self._resources.found(message)
            case m.SeekLate():
                self._resources.stop_seeking()
            case m.Uploaded(peer, byte_count):
                self._neighbours.count_sent(peer, byte_count)
            case m.Noted(text):
                self._note(text)
            case r.Lost() | r.ServerSaid():
                self._reporter.tell(message)
            case m.MayUpload():
                self.take_reply().set(self._neighbours.upload_turn(message))
            case m.MayBegin():
                self.take_reply().set(self._neighbours.may_begin(message))
            case m.AllowPeers(allowed):
                self._on_consent(allowed=allowed)
                self.take_reply().set(None)
            case m.LeaveIdleSwarms():
                for peer in self._neighbours.leave_idle():
                    self._on_peer_left(peer, IDLE, is_fault=False)
            case m.AnnounceNow():
                self._neighbours.announce()
            case TimePassed():
                self._decide(message)
            case m.TrackerAnswered():
                self._neighbours.answered(message)
            case m.GetRefusal():
                self.take_reply().set(self._neighbours.refusal)
            case m.GetReport():
                self._on_report(self.take_reply())
            case _:
                raise TypeError(f"the session was sent {type(message).__name__}")

    def _on_listed(self, listed: m.Listed) -> None:
        rendition = listed.rendition
        self._is_live = listed.is_live
        self._telemetry.listed(rendition, listed.medium, is_live=listed.is_live)
        if self._collecting is not None:
            self._collecting.tell(m.RenditionKnown(rendition, listed.medium, listed.is_live))
        if listed.info_hash is not None:
            self._neighbours.name_swarm(rendition, listed.info_hash)
        self._resources.listed(listed)

    # -- the policy

    def _decide(self, event: Event) -> None:
        for action in self._policy.handle(event, self.now_us):
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case FetchFromCdn():
                self._fetch(action)
            case RequestFromPeer():
                self._request(action)
            case CancelTransfer(transfer, reason):
                self._arrivals.cancel(transfer, reason)
            case BanPeer(peer, reason, until_us):
                self._neighbours.ban(peer, reason, until_us)
            case GiveUp(key, reason):
                error = NoSource(
                    f"{key.kind} {key.rendition}/{key.number} cannot be had: {reason}", key=key, reasons={}
                )
                self._resources.readers.fail(key, error)
                self._resources.settle(key, wasted=True)
                self._reporter.tell(r.Failed(key, reason, self.now_us))
            case DropPartial(key):
                self._resources.settle(key, wasted=True)
            case AuditAtCdn() | DropUnaudited():
                self._act_on_audit(action)
            case WakeAt(time_us):
                self.start_timer("policy", TimePassed(), delay_us=max(0, time_us - self.now_us))

    def _fetch(self, action: FetchFromCdn) -> None:
        worker = self._cdns.ref(action.cdn)
        self._cdns.asked(action.cdn)
        assembly = self._arrivals.begin(action, source_label(SourceKind.CDN, action.cdn), worker)
        worker.tell(
            m.Fetch(
                transfer=action.transfer,
                segment=self._resources.segments[action.key],
                first_byte=action.first_byte,
                total_bytes=assembly.total_bytes,
                # None where hashes decide whether two CDNs have the same file: ETags of honest CDNs differ.
                etag=assembly.etag,
                cmcd=self._said(action),
            )
        )
        self._neighbours.announce_soon()

    def _request(self, action: RequestFromPeer) -> None:
        source = source_label(SourceKind.PEER, action.peer)
        if action.beside:
            self._arrivals.begin_striped(action, source)
            return
        worker = self._neighbours.ref(action.peer)
        assembly = self._arrivals.begin(action, source, worker)
        worker.tell(
            m.Request(
                transfer=action.transfer,
                number=action.key.number,
                first_byte=action.first_byte,
                total_bytes=assembly.total_bytes,
            )
        )

    def _act_on_audit(self, action: AuditAtCdn | DropUnaudited) -> None:
        """What follows is told to ourselves: to decide again among the actions of one decision would mix the two."""
        assembly = self._resources.under_way(action.key)
        assert isinstance(assembly, AuditedAssembly), "nothing else is audited"
        if isinstance(action, DropUnaudited):
            self.ref.tell(m.Unaudited(action.key, assembly))
            return
        question = self._trust.question(self._resources.segments[action.key], assembly)
        if question.ranges:
            self._cdns.ref(action.cdn).tell(question)
        else:
            self.ref.tell(m.AuditUnanswered(action.cdn, question, "costly", 0))

    def _collect(self, collector: Collector) -> ActorRef[Any]:
        from .collecting import Collecting  # most sessions report to nobody

        return self.spawn(
            Collecting,
            self.ref,
            collector.poster,
            collector.url,
            collector.options,
            self._parts.utc_us,
            name="collecting",
            mailbox=REPORTER_MAILBOX,
        )

    def _said(self, action: FetchFromCdn) -> dict[str, Any] | None:
        """What its CDN is told of a request (CMCD)."""
        if self._parts.cmcd is None:
            return None
        return self._telemetry.request(
            self._resources.segments[action.key],
            self._resources.segments,
            deadline_us=self._policy.deadline_us(action.key),
            bytes_per_s=self._policy.cdn_bytes_per_s(action.cdn),
            now_us=self.now_us,
        )

    # -- peers

    def _on_channel(self, opened: m.ChannelOpened) -> None:
        gone = self._neighbours.give_way(opened)
        if gone is not None:
            self._on_peer_left(gone, GAVE_WAY, is_fault=False)
        joined = self._neighbours.take(opened)
        if joined is not None:
            self._decide(joined)
            self._neighbours.welcome(joined)

    def _on_claims(self, peer: str, claims: dict[int, bytes]) -> None:
        """Of what our playlist does not name yet, nothing can be said, and nothing is kept."""
        rendition = self._neighbours.rendition(peer)

        def differs(number: int, claim: bytes) -> bool:
            sha256 = self._trust.sha256(self._resources.segments.get(ResourceKey(rendition, Kind.MEDIA, number)))
            return sha256 is not None and not sha256.startswith(claim)

        announced = self._neighbours.claimed(peer, differs, claims)
        if announced is not None:
            self._decide(announced)

    def _on_consent(self, *, allowed: bool) -> None:
        if allowed:
            for rendition in self._neighbours.agree():
                self._decide(SwarmJoined(rendition))
        else:
            for peer in self._neighbours.withdraw():
                self._on_peer_left(peer, "the viewer does not agree to peers", is_fault=False)

    def _on_peer_left(self, peer: str, reason: str, *, is_fault: bool) -> None:
        self._arrivals.leave_stripes(peer)
        if self._neighbours.leave(peer, reason):
            self._arrivals.fail_all_of(source_label(SourceKind.PEER, peer), "closed")
            self._decide(PeerLeft(peer=peer, reason=reason, is_fault=is_fault))

    # -- the report

    def _note(self, text: str) -> None:
        self._reporter.tell(r.Happened(text, self.now_us))

    def _on_report(self, reply: Reply) -> None:
        sources = self._policy.source_states(self.now_us)
        for state in sources:
            state.sent_bytes = self._neighbours.sent_bytes(state.name)
        report = r.GetReport(sources, self._trust.hashes, self._is_live, self.now_us, reply)
        self._storage.tell(m.ReportStore(report, self._reporter))
