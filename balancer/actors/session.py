"""The session: runs the policy's actions, keeps the bytes under way, answers readers.

    readers  --Open, Read, Release-->  Session  --Fetch, Cancel-->    Cdn x n
                                         |      --Request, Cancel-->  Peer x n
    Playlist --Listed-->                 |      --HashBlock-->        Hashing
    Swarm    --ChannelOpened-->          |      --Put, ReadStored-->  Storage
                                         |      --what happened-->    Reporter
                                         v
                      Policy (which source)   Assembly (which bytes are right)

It decides nothing itself: every event goes to the policy, every byte to the
resource's assembly, and what they answer is carried out here.  Its handlers
never wait, so that a slow source or reader holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.runtime import Actor, ActorRef, MailboxSettings, Overflow, Reply, Supervision

from .. import events
from ..assembly import Assembly, AuditDue, Blamed, Completed, Discarded, HashJob, Refused, Step, Verified
from ..audited_assembly import AuditedAssembly
from ..errors import NoSource, UnknownResource
from ..events import (
    Action,
    AuditAtCdn,
    BanPeer,
    BytesDiscarded,
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
    ResourceCompleted,
    ResourceDropped,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    SourceBlamed,
    SwarmJoined,
    TimePassed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
    WakeAt,
)
from ..model import Kind, ResourceKey, Segment, SourceKind, is_peer, source_label
from ..policy import Policy
from ..recording import RecordedPolicy
from ..store import Store
from ..telemetry import Telemetry
from . import messages as m
from . import reporter as r
from .cdns import Cdns
from .hashing import Hashing
from .hinted import Hinted
from .neighbours import Neighbours
from .parts import Collector, SessionParts
from .playlist import Playlist
from .readers import Readers, went, wrong_after
from .steering import Steering
from .storage import Storage
from .striping import Striping
from .transfers import Transfer, Transfers, Worker
from .trust import Trust

__all__ = ["Session"]


# Stories may be lost, with a count; a delivery must not fail because of them.
REPORTER_MAILBOX = MailboxSettings(messages_max=16_384, overflow=Overflow.DROP_NEWEST)
# A segment of 64 MiB that comes at once has 1024 blocks; four of them.
HASHING_MAILBOX = MailboxSettings(messages_max=4_096)
_TIMED = frozenset({Kind.MEDIA, Kind.PART})  # what plays at some time, and so has a deadline


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
        self._segments: dict[ResourceKey, Segment] = {}
        self._assemblies: dict[ResourceKey, Assembly] = {}
        self._readers = Readers()
        self._hinted = Hinted()
        self._telemetry = Telemetry()
        self._held: dict[ResourceKey, int] = {}  # in the store: byte count
        self._sought: set[ResourceKey] = set()  # on the disk that sessions share; the answer is on its way

    def on_start(self) -> None:
        parts, config = self._parts, self._config
        self._collecting = None if parts.collector is None else self._collect(parts.collector)
        self._reporter = self.spawn(
            r.Reporter, config, parts.url, self._collecting, name="reporter", mailbox=REPORTER_MAILBOX
        )
        store = Store(bytes_max=config.store_bytes_max)
        self._storage = self.spawn(Storage, self.ref, store, config, parts.shelf, name="storage")
        self._hashing = self.spawn(Hashing, self.ref, parts.hasher, name="hashing", mailbox=HASHING_MAILBOX)
        self._transfers = Transfers(self._reporter)
        self._trust = Trust(parts, self._reporter)
        self._neighbours = Neighbours(self, parts, self._transfers, reporter=self._reporter, storage=self._storage)
        self._striping = Striping(
            self, self._transfers, self._neighbours, self, decide=self._decide, reporter=self._reporter
        )
        self._cdns = Cdns(self, parts, self._decide, self._note)
        self._cdns.start()
        self._steering: ActorRef[Any] | None = None
        reads: type[Actor[Any]] = Playlist
        more: dict[str, Any] = {}
        if parts.is_dash:
            from .manifest import Manifest  # a page that plays HLS does not load it

            reads, more = Manifest, {"utc_us": parts.utc_us}
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
            **more,
        )

    def receive(self, message: Any) -> None:
        match message:
            # Most frequent first.
            case m.TransferData(transfer, data):
                if transfer >= 0:
                    self.comes(transfer, data)
                elif not self._striping.data(transfer, data):
                    self._reporter.tell(r.Lost("late_transfer_bytes", len(data)))
            case m.Hashed(key, assembly, job, digest):
                if self._assemblies.get(key) is assembly:  # else of bytes that were dropped meanwhile
                    self._follow(key, assembly.hashed(job, digest))
            case m.Read():
                self._read(message, self.take_reply())
            case TransferStarted() | TransferEnded() | TransferFailed():
                if message.transfer >= 0:
                    self._on_transfer(message)
                else:
                    self._striping.heard(message)
            case m.LookAtStripes():
                self._striping.look()
            case m.Delivered():
                self._reporter.tell(message)
            case PeerAnnounced(peer):
                if peer in self._neighbours:
                    self._decide(self._neighbours.heard(message))
            case PeerGreeted(peer) | PeerUploadState(peer):
                if peer in self._neighbours:
                    self._decide(message)
            case m.Claimed(peer, claims):
                if peer in self._neighbours:
                    self._on_claims(peer, claims)
            case m.Open(key, reader):
                self._on_open(key, reader, self.take_reply())
            case m.Release(key, reader):
                self._on_release(key, reader)
            case m.NotWhole(key, reader, reply):
                self._on_not_whole(key, reader, reply)
            case m.NotStored(read):
                self._read(m.Read(read.key, read.reader, read.offset), read.reply)
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
                self._neighbours.is_silent = not self._trust.allows_offers
            case m.AuditAnswered() | m.AuditUnanswered():
                self._on_audit(message)
            case m.Overran(key, source):
                self._on_overran(key, source)
            case m.Unaudited(key, assembly):
                if self._assemblies.get(key) is assembly:
                    self._follow(key, assembly.drop_peers())
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
            case m.Steered(manifest):
                if self._cdns.steered(manifest):
                    self._playlist.tell(m.CdnsInOrder(self._cdns.refs))
            case m.GetPlaying():
                if self._steering is not None:
                    self._steering.tell(self._cdns.playing(self._policy.cdn_bytes_per_s))
            case m.ChannelOpened():
                self._on_channel(message)
            case PeerLeft(peer, reason):
                self._on_peer_left(peer, reason)
            case m.Dropped(keys):
                self._on_dropped(keys)
            case m.Sought():
                self._on_sought(message)
            case m.SeekLate():
                self._stop_seeking(tuple(self._sought))
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
            case m.AnnounceNow():
                self._neighbours.announce()
            case TimePassed():
                self._decide(message)
            case m.GetReport():
                self._on_report(self.take_reply())
            case _:
                raise TypeError(f"the session was sent {type(message).__name__}")

    # -- readers

    def _on_open(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        segment = self._segments.get(key)
        if segment is None:
            if not self._hinted.take(key, reader, reply):
                reply.fail(
                    UnknownResource(f"{key} is in no playlist of this session; it may have left a live one", key=key)
                )
            return
        self._reporter.tell(r.Requested(segment, self.now_us, self._held.get(key)))
        may_use_peers = key.kind is Kind.MEDIA and self._trust.allows_peers
        if may_use_peers and self._neighbours.join(key.rendition):
            self._decide(SwarmJoined(key.rendition))
        if key in self._held and key not in self._assemblies:
            self._decide(ResourceRequested(key=key))
            self._storage.tell(m.GiveWhole(key, reader, reply))
        else:
            self._open(key, reader, reply)

    def _on_not_whole(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        if not reply.is_waiting:
            return  # its reader has gone, and what it said on going came before this: nobody would close it again
        if key not in self._segments:
            reply.fail(UnknownResource(f"{key} has left its playlist, and the store; load the playlist again", key=key))
            return
        self._open(key, reader, reply)

    def _open(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        """It is to be read piece by piece, as it comes."""
        if key not in self._readers:
            self._storage.tell(m.Pin(key))
        self._readers.open(key, reader)
        assembly = self._assemblies.get(key)
        if key not in self._sought and (key in self._held or assembly is None or not assembly.completed):
            self._decide(ResourceRequested(key=key))
        reply.set(None)

    def _read(self, read: m.Read, reply: Reply) -> None:
        key, offset = read.key, read.offset
        reader = self._readers.find(key, read.reader)
        if reader is None:
            reply.fail(UnknownResource(f"{key} is read without having been opened", key=key))
            return
        if reader.broken is not None:
            reply.fail(reader.broken)
            return
        reader.offset = offset
        if key not in self._assemblies:
            if key in self._held:
                self._storage.tell(m.ReadStored(key, read.reader, offset, self._config.piece_bytes_max, reply))
                return
            if offset and self._trust.digests(self._segments[key]) is None:
                reply.fail(went(key))
                return
        assembly = self._assembly(key)
        reader.reply = reply
        if not assembly.completed and key not in self._sought:
            self._decide(ResourceRequested(key=key))
        self._readers.give(key, assembly, self._config.piece_bytes_max)

    def _on_release(self, key: ResourceKey, reader: int) -> None:
        if not self._readers.close(key, reader):
            return
        self._storage.tell(m.Unpin(key))
        assembly = self._assemblies.get(key)
        if assembly is not None and assembly.completed:
            del self._assemblies[key]
        self._decide(ResourceReleased(key=key))
        self._settle_empty(key)

    # -- what a playlist names

    def _on_listed(self, listed: m.Listed) -> None:
        rendition = listed.rendition
        self._is_live = listed.is_live
        self._telemetry.listed(rendition, listed.medium, is_live=listed.is_live)
        if self._collecting is not None:
            self._collecting.tell(m.RenditionKnown(rendition, listed.medium, listed.is_live))
        if listed.info_hash is not None:
            self._neighbours.name_swarm(rendition, listed.info_hash)
        if listed.is_restarted:
            self._forget(rendition)
        now = {segment.key for segment in listed.segments}
        gone = [key for key in self._segments if key.rendition == rendition and key not in now]
        passed = self._hinted.passed(rendition, (key for key in gone if key.kind is Kind.PART))
        for key in gone:
            # A reader may still be at a segment that has just left a live window.
            is_over = key.kind is not Kind.PART or key in passed
            if is_over and key not in self._readers and key not in self._held:
                del self._segments[key]
        if unread := tuple(key for key in passed if key in self._held and key not in self._readers):
            self._storage.tell(m.Passed(unread))
        self._segments.update((segment.key, segment) for segment in listed.segments)
        self._seek(listed.segments)
        timed = tuple(self._trust.listed(segment) for segment in listed.segments if segment.key.kind in _TIMED)
        self._decide(
            SegmentsListed(
                rendition=rendition,
                segments=timed,
                is_live=listed.is_live,
                is_restarted=listed.is_restarted,
            )
        )
        for key, reader, reply in self._hinted.listed(listed):
            self._on_open(key, reader, reply)

    def _seek(self, segments: Sequence[Segment]) -> None:
        """See whether what a hash names lies on our disk already."""
        if self._parts.shelf is None:
            return
        wanted = {
            segment.key: digests
            for segment in segments
            if segment.key not in self._held and (digests := self._trust.digests(segment)) is not None
        }
        if wanted:
            self._sought.update(wanted)
            self._storage.tell(m.Seek(wanted))
            self.start_timer("seek", m.SeekLate(), delay_us=self._config.store_seek_us)

    def _stop_seeking(self, keys: Sequence[ResourceKey]) -> None:
        """Who waited for these to be found waits for a source from now on."""
        for key in keys:
            if key in self._sought:
                self._sought.discard(key)
                if key in self._readers and key not in self._held:
                    self._decide(ResourceRequested(key=key))

    def _forget(self, rendition: int) -> None:
        """The stream began anew under the same numbers: what is held or on its way is of the old one.

        The policy is told with the new listing, and cancels the transfers.
        """
        self._note(f"rendition {rendition} began anew; what was held of it is void")
        error = UnknownResource(f"rendition {rendition} began anew; load its playlist again")
        for key in [key for key in self._segments if key.rendition == rendition]:
            self._readers.break_off(key, error)
            self._settle(key, wasted=True)
            self._assemblies.pop(key, None)
            self._held.pop(key, None)
            del self._segments[key]
        self._storage.tell(m.Discard(rendition))
        self._neighbours.drop_all(rendition)

    def _assembly(self, key: ResourceKey) -> Assembly:
        assembly = self._assemblies.get(key)
        if assembly is None:
            assembly = self._assemblies[key] = self._trust.assembly(self._segments[key])
        return assembly

    # -- transfers

    def comes(self, number: int, data: bytes, several: str | None = None) -> None:
        """Bytes of a transfer, in order; where several peers send, with which of them sent these."""
        transfer = self._transfers.find(number)
        if transfer is None:
            self._reporter.tell(r.Lost("late_transfer_bytes", len(data)))
            return
        key, offset = transfer.key, transfer.offset
        source = several or transfer.source
        self._transfers.grow(number, len(data), self.now_us)
        if is_peer(source):
            self._neighbours.choking.got(source.removeprefix("peer:"))
        assembly = self._assembly(key)
        before = assembly.end_bytes
        steps = assembly.add(source, data, offset)
        grown = assembly.end_bytes - before
        repeated = max(0, min(len(data), before - offset))  # of a race
        if grown > 0 or repeated > 0:
            came_bytes = None if several is None else 0  # striping.py has told when they came
            self._decide(TransferProgressed(number, grown, came_bytes, repeated))
        self._follow(key, steps)

    def _on_transfer(self, event: TransferStarted | TransferEnded | TransferFailed) -> None:
        transfer = self._transfers.find(event.transfer)
        if transfer is None:
            return  # cancelled meanwhile
        assembly = self._assembly(transfer.key)
        match event:
            case TransferStarted():
                self._decide(event)
                if self._transfers.find(event.transfer) is not None:
                    self._follow(transfer.key, assembly.begin(transfer.source, event.total_bytes, event.etag))
            case TransferEnded():
                steps = assembly.end(transfer.source)
                if not any(isinstance(step, Refused) for step in steps):
                    self._transfers.end(event.transfer, self.now_us)
                    self._decide(event)
                self._follow(transfer.key, steps)
            case TransferFailed():
                self._fail_transfer(event)

    def begins(self, key: ResourceKey, source: str, total_bytes: int) -> None:
        """One of several peers has said how long it is."""
        self._follow(key, self._assembly(key).begin(source, total_bytes, None))

    def ends(self, event: TransferEnded | TransferFailed) -> None:
        """All of it has come from several peers, or the last of them has failed."""
        self._on_transfer(event)

    def _fail_transfer(self, failure: TransferFailed) -> None:
        transfer = self._transfers.fail(failure, self.now_us)
        if failure.reason == "absent":
            self._neighbours.choking.refused(transfer.source.removeprefix("peer:"))
        self._decide(failure)
        self._settle_empty(transfer.key)

    def _stop_transfers(self, key: ResourceKey, source: str, reason: str) -> None:
        """Stop what `source` is sending for `key`, and tell the policy that it failed."""
        for number, transfer in self._transfers.of(key):
            if not self._striping.stop(number, source, reason) and transfer.source == source:
                transfer.worker.tell(m.Cancel(number))
                self._fail_transfer(TransferFailed(transfer=number, reason=reason))

    # -- what assemblies say

    def _follow(self, key: ResourceKey, steps: Sequence[Step]) -> None:
        assembly = self._assemblies.get(key)
        for step in steps:
            match step:
                case HashJob() if assembly is not None:
                    self._hashing.tell(m.HashBlock(key=key, assembly=assembly, job=step))
                case Verified():
                    pass
                case Discarded():
                    self._on_discarded(key, step)
                case Blamed(source, reason):
                    self._blame(key, source, reason)
                case Refused(source, reason):
                    self._stop_transfers(key, source, reason)
                case Completed(byte_count, verified):
                    self._on_completed(key, byte_count, verified)
                case AuditDue():
                    self._on_audit_due(key)
        if assembly is not None and self._assemblies.get(key) is assembly:
            self._readers.give(key, assembly, self._config.piece_bytes_max)

    def _on_discarded(self, key: ResourceKey, step: Discarded) -> None:
        if step.breaks_readers:
            self._reporter.tell(r.Lost("wrong_bytes_read"))
            self._readers.break_off(key, wrong_after(key, step.keep_bytes), beyond=step.keep_bytes)
        for source in (step.blamed,) if step.blamed is not None else step.suspects:
            self._reporter.tell(r.Polluted(key, source, self.now_us))
        if step.blamed is not None:
            self._decide(SourceBlamed(key=key, source=step.blamed, keep_bytes=step.keep_bytes))
        else:
            self._decide(BytesDiscarded(key=key, suspects=step.suspects, keep_bytes=step.keep_bytes))

    def _blame(self, key: ResourceKey, source: str, reason: str) -> None:
        self._note(f"{source} is to blame ({reason}) at {key.kind} {key.rendition}/{key.number}")
        self._stop_transfers(key, source, "changed" if reason == "length" else "wrong")
        if reason != "length":
            self._reporter.tell(r.Polluted(key, source, self.now_us))
        self._decide(SourceBlamed(key=key, source=source, keep_bytes=self._assembly(key).end_bytes))

    def _on_overran(self, key: ResourceKey, source: str) -> None:
        segment = self._segments.get(key)
        if segment is None or self._trust.digests(segment) is None:  # without hashes nobody knows who is right
            return
        self._note(f"{source} is to blame (length) at {key.kind} {key.rendition}/{key.number}")
        assembly = self._assemblies.get(key)
        keep_bytes = self._held.get(key, 0) if assembly is None else assembly.end_bytes
        self._decide(SourceBlamed(key=key, source=source, keep_bytes=keep_bytes))

    def _on_audit_due(self, key: ResourceKey) -> None:
        for number, _ in self._transfers.of(key):
            if self._transfers.find(number) is None:
                continue  # it raced with the one before, whose end stopped it
            # As on completion: the end of the last one is on the way, and nobody waits for it.
            self._transfers.end(number, self.now_us)
            self._decide(TransferEnded(transfer=number))
        self._decide(events.AuditDue(key=key))

    def _on_audit(self, answer: m.AuditAnswered | m.AuditUnanswered) -> None:
        event = self._trust.heard(answer)
        question = answer.question
        if self._assemblies.get(event.key) is not question.assembly:
            self._reporter.tell(r.Lost("audit_late"))
            return
        self._decide(event)
        if isinstance(answer, m.AuditAnswered):
            self._follow(event.key, question.assembly.audited(question.ranges, answer.answers, answer.total_bytes))

    def _on_completed(self, key: ResourceKey, byte_count: int, verified: str) -> None:
        assembly = self._assemblies[key]
        is_shareable = self._trust.is_shareable(key, verified)
        self._readers.give(key, assembly, self._config.piece_bytes_max)
        copies = self._copies(key, byte_count)
        self._storage.tell(m.Put(key=key, data=assembly.take(), shareable=is_shareable, copies=copies))
        self._held[key] = byte_count
        for number, transfer in self._transfers.of(key):
            if transfer.offset >= byte_count:
                # Its end is on the way, and says nothing new; cancelling would only cost a connection.
                self._transfers.end(number, self.now_us)
            else:
                self._transfers.cancel(number, "raced", self.now_us)
        self._reporter.tell(r.Completed(key, byte_count, verified, self.now_us))
        self._settle(key)
        self._decide(ResourceCompleted(key=key, byte_count=byte_count))
        if is_shareable:
            self._neighbours.hold(key, self._trust.sha256(self._segments.get(key)))

    def _copies(self, key: ResourceKey, byte_count: int) -> dict[ResourceKey, int]:
        """What peers hold of what we hold, once something may have to go for so many bytes more."""
        if self._parts.shelf is None and sum(self._held.values()) + byte_count <= self._config.store_bytes_max:
            return {}
        counts = {held: self._policy.copies(held) for held in self._held if held.kind is Kind.MEDIA}
        return {held: count for held, count in counts.items() if count}

    def _settle(self, key: ResourceKey, *, wasted: bool = False) -> None:
        """The bytes of `key` leave its assembly: into the store, or (`wasted`) nowhere.

        A completed assembly stays until its readers are done, so that they need not care what the store lets go.
        """
        assembly = self._assemblies.get(key)
        if assembly is None or (wasted and assembly.completed):
            return
        if wasted and assembly.verified in {"unverified", "audited"}:
            # What comes next may be another version, and nothing would tell.
            self._readers.break_off(key, went(key), beyond=0)
        if wasted or key not in self._readers:
            del self._assemblies[key]
        if assembly.sources():
            accounts = {
                label: (0, account.used_bytes + account.wasted_bytes)
                if wasted
                else (account.used_bytes, account.wasted_bytes)
                for label, account in assembly.sources().items()
            }
            self._reporter.tell(r.Accounts(key, accounts))

    def _settle_empty(self, key: ResourceKey) -> None:
        """Nobody waits for `key`, and nothing of it is held or on its way: the policy says no more of it."""
        assembly = self._assemblies.get(key)
        if assembly is None or assembly.end_bytes or key in self._readers:
            return
        if not self._transfers.of(key):
            self._settle(key, wasted=True)

    def _on_sought(self, answer: m.Sought) -> None:
        """Whoever shares our disk has left these there.  What came of them already is not stopped for it."""
        for key, byte_count in answer.byte_counts.items():
            assembly = self._assemblies.get(key)
            if key not in self._segments or key in self._held or (assembly is not None and assembly.end_bytes):
                continue
            self._assemblies.pop(key, None)
            self._held[key] = byte_count
            self._decide(ResourceCompleted(key=key, byte_count=byte_count))
            if key.kind is Kind.MEDIA:
                self._neighbours.hold(key, self._trust.sha256(self._segments.get(key)))
            for reader, offset, reply in self._readers.take_questions(key):
                self._storage.tell(m.ReadStored(key, reader, offset, self._config.piece_bytes_max, reply))
        self._stop_seeking(answer.sought)

    def _on_dropped(self, keys: Sequence[ResourceKey]) -> None:
        for key in keys:
            self._held.pop(key, None)
            self._neighbours.drop(key)
            self._decide(ResourceDropped(key=key))

    # -- the policy

    def _decide(self, event: Event) -> None:
        for action in self._policy.handle(event, self.now_us):
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case FetchFromCdn():
                source = source_label(SourceKind.CDN, action.cdn)
                worker = self._cdns.ref(action.cdn)
                self._cdns.asked(action.cdn)
                assembly = self._begin(action, source, worker)
                worker.tell(
                    m.Fetch(
                        transfer=action.transfer,
                        segment=self._segments[action.key],
                        first_byte=action.first_byte,
                        total_bytes=assembly.total_bytes,
                        # None where hashes decide whether two CDNs have the same file: ETags of honest CDNs differ.
                        etag=assembly.etag,
                        cmcd=self._said(action),
                    )
                )
                self._neighbours.announce_soon()
            case RequestFromPeer():
                source = source_label(SourceKind.PEER, action.peer)
                if action.beside:
                    total_bytes = self._assembly(action.key).total_bytes
                    striped = self._striping.worker(action, self._segments[action.key], total_bytes)
                    self._begin(action, source, striped)
                    self._striping.begin(striped)
                    return
                worker = self._neighbours.ref(action.peer)
                assembly = self._begin(action, source, worker)
                worker.tell(
                    m.Request(
                        transfer=action.transfer,
                        number=action.key.number,
                        first_byte=action.first_byte,
                        total_bytes=assembly.total_bytes,
                    )
                )
            case CancelTransfer(transfer, reason):
                cancelled = self._transfers.cancel(transfer, reason, self.now_us)
                if cancelled is not None:
                    if reason == "stalled" and is_peer(cancelled.source):
                        self._neighbours.choking.refused(cancelled.source.removeprefix("peer:"))
                    self._settle_empty(cancelled.key)
            case BanPeer(peer, reason):
                self._neighbours.ban(peer, reason)
            case GiveUp(key, reason):
                error = NoSource(
                    f"{key.kind} {key.rendition}/{key.number} cannot be had: {reason}", key=key, reasons={}
                )
                self._readers.fail(key, error)
                self._settle(key, wasted=True)
                self._reporter.tell(r.Failed(key, reason, self.now_us))
            case DropPartial(key):
                self._settle(key, wasted=True)
            case AuditAtCdn() | DropUnaudited():
                self._act_on_audit(action)
            case WakeAt(time_us):
                self.start_timer("policy", TimePassed(), delay_us=max(0, time_us - self.now_us))

    def _act_on_audit(self, action: AuditAtCdn | DropUnaudited) -> None:
        """What follows is told to ourselves: to decide again among the actions of one decision would mix the two."""
        assembly = self._assemblies[action.key]
        assert isinstance(assembly, AuditedAssembly), "nothing else is audited"
        if isinstance(action, DropUnaudited):
            self.ref.tell(m.Unaudited(action.key, assembly))
            return
        question = self._trust.question(self._segments[action.key], assembly)
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
            self._segments[action.key],
            self._segments,
            deadline_us=self._policy.deadline_us(action.key),
            bytes_per_s=self._policy.cdn_bytes_per_s(action.cdn),
            now_us=self.now_us,
        )

    def _begin(self, action: FetchFromCdn | RequestFromPeer, source: str, worker: Worker) -> Assembly:
        """Note a transfer that is about to start.  The policy counts bytes as the assembly does."""
        assembly = self._assembly(action.key)
        assert action.first_byte == assembly.end_bytes, f"{action} while {assembly.end_bytes} bytes are held"
        transfer = Transfer(action.key, source, worker, action.first_byte)
        is_told = not (isinstance(action, RequestFromPeer) and action.beside)
        segment = self._segments[action.key]
        self._transfers.begin(action.transfer, segment, transfer, action.why, self.now_us, is_told=is_told)
        return assembly

    # -- peers

    def _on_channel(self, opened: m.ChannelOpened) -> None:
        joined = self._neighbours.take(opened)
        if joined is not None:
            self._decide(joined)
            self._neighbours.welcome(joined)

    def _on_claims(self, peer: str, claims: dict[int, bytes]) -> None:
        """Of what our playlist does not name yet, nothing can be said, and nothing is kept."""
        rendition = self._neighbours.rendition(peer)

        def differs(number: int, claim: bytes) -> bool:
            sha256 = self._trust.sha256(self._segments.get(ResourceKey(rendition, Kind.MEDIA, number)))
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
                self._on_peer_left(peer, "the viewer does not agree to peers")

    def _on_peer_left(self, peer: str, reason: str) -> None:
        self._striping.leave(peer)
        if self._neighbours.leave(peer, reason):
            for number in self._transfers.of_source(source_label(SourceKind.PEER, peer)):
                self._fail_transfer(TransferFailed(transfer=number, reason="closed"))
            self._decide(PeerLeft(peer=peer, reason=reason))

    # -- the report

    def _note(self, text: str) -> None:
        self._reporter.tell(r.Happened(text, self.now_us))

    def _on_report(self, reply: Reply) -> None:
        sources = self._policy.source_states(self.now_us)
        for state in sources:
            state.sent_bytes = self._neighbours.sent_bytes(state.name)
        report = r.GetReport(sources, self._trust.hashes, self._is_live, self.now_us, reply)
        self._storage.tell(m.ReportStore(report, self._reporter))
