"""Which source delivers what, and when to change one's mind.

    policy.handle(event, now_us) -> actions      (events.py says what each means)

It promises: at most one running transfer for one resource, or two that race, and one for one peer (several peers may
bring ranges of one, where none of them would be in time alone);
no peer is asked for what it did not announce, and no banned one for anything; each
requested resource completes or is given up; the same events at the same times give
the same actions.  Whoever runs it wakes it when WakeAt says so (later is allowed).

    somebody waits   and plays it now: a measured, idle peer that will be in time with a margin, else a
                     CDN at once.  Who plays it later is served like a prefetch, for a while
    prefetch         peers first; a CDN at the last safe moment, or when this viewer's turn comes to
                     bring a segment into a swarm that has none of it (spread.py); and only while the
                     line has room beside what plays earlier (surplus.py)
    moving           silence, or a finish too late that another source would better, and the viewer's
                     own line could carry (line.py): the transfer goes on elsewhere from the byte reached;
                     while few bytes come twice, beside the one that is left until it is seen who is sooner (racing.py)

Left to others: bytes and hashes (assembly.py), the store, sockets, timers.
"""

from __future__ import annotations

from .availability import Availability
from .cdn_choice import Cdn
from .config import BalancerConfig
from .decisions import Decisions
from .events import (
    Action,
    AuditDue,
    AuditEnded,
    AuditFailed,
    BanPeer,
    BytesDiscarded,
    CdnAdded,
    DropPartial,
    Event,
    GiveUp,
    PartEnded,
    PartFailed,
    PeerAnnounced,
    PeerGreeted,
    PeerJoined,
    PeerLeft,
    PeersRanked,
    PeerUploadState,
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
from .interest import Interest
from .ledger import NOT_NOW, Ledger
from .model import Kind, ResourceKey, SourceKind, is_peer, source_label
from .peer_choice import Peer
from .racing import Races
from .report import SourceState
from .transfers import WANTED, Phase, Want
from .trials import Trials
from .windows import Timeline

__all__ = ["WHY", "Policy"]

# Why a source was chosen: the first for somebody who waits; after another failed or was left; near the deadline;
# ahead of time; to measure it; a peer for somebody who waits; beside another that is silent or slow.
WHY = ("start", "failover", "deadline", "prefetch", "explore", "offload", "race")

_ENOUGH = 1 << 20  # copies; more than there are peers


class Policy:
    __slots__ = ("_asked_us", "_book", "_decisions", "_is_behind", "_races", "_trials", "interest")

    def __init__(self, config: BalancerConfig, seed: int = 0) -> None:
        """`seed` breaks ties, and tells viewers of one swarm apart: give each its own."""
        self._book = Ledger(config, seed)
        self._trials = Trials(self._book)
        self._races = Races(self._book, self._trials)
        self._decisions = Decisions(self._book, self._races, self._trials)
        self.interest = Interest(self._book, self._decisions)  # of what peers say: for a simulation of many viewers
        self._asked_us: int | None = None  # what the last WakeAt said
        self._is_behind = False  # something was noted, and what follows from it is still to be decided

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """Take one event in, and give the actions that follow, in order.

        Cost: a few look-ups for progress and for an announcement that changes nothing; for
        time that has passed, and the answer of a peer, mostly the running transfers; for
        anything else these, the prefetch windows and the peers of their renditions.
        """
        if self._asked_us is not None and now_us >= self._asked_us:
            self._asked_us = None
        is_news = self._is_behind
        if type(event) is TransferProgressed:
            self._progressed(event, now_us)
            if not self.interest.is_due(now_us) and not self._book.actions and not is_news:
                return []
        elif type(event) is PeerAnnounced:
            is_heeded = self.interest.heeds(event, now_us)
            self._book.availability.announce(event.peer, event.held, event.fetching)
            if not is_heeded and not is_news:
                return []
            is_news = True
        else:
            is_news = self._take_in(event, now_us) or is_news
        self._is_behind = False
        self._decisions.take(now_us, is_news)
        actions, self._book.actions = self._book.actions, []
        wake_us = self._book.wake_us
        if wake_us is not None and wake_us != self._asked_us:
            self._asked_us = wake_us
            actions.append(WakeAt(wake_us))
        return actions

    def note(self, event: Event, now_us: int) -> bool:
        """Take it in, and leave what follows to the next `handle` of the same moment; whether that must be now.

        For a simulation of many viewers, where several things happen to one at once: they are then looked at once.
        """
        if type(event) is TransferProgressed:
            self._progressed(event, now_us)
        elif self._take_in(event, now_us):
            self._is_behind = True
        return bool(self._book.actions)

    def note_progress(self, transfer: int, byte_count: int, repeated_bytes: int, now_us: int) -> bool:
        """`note` of a TransferProgressed, which need not be made for it."""
        self._came(transfer, byte_count, byte_count, repeated_bytes, now_us)
        return bool(self._book.actions)

    @property
    def availability(self) -> Availability:
        """Who holds what; a simulation of many viewers notes there itself what nobody cares to hear."""
        return self._book.availability

    def deadline_us(self, key: ResourceKey) -> int | None:
        """When the player will play it, as far as its requests tell."""
        return self._book.deadline_us(key)

    def copies(self, key: ResourceKey) -> int:
        """How many peers hold it; any number of them where no playlist names it any more, since none will ask."""
        if self._book.is_gone(key):
            return _ENOUGH
        return self._book.availability.holder_count(key.rendition, key.number)

    def cdn_bytes_per_s(self, cdn: str) -> float | None:
        """What was measured of it; None: nothing yet."""
        return self._book.cdns[source_label(SourceKind.CDN, cdn)].estimate.bytes_per_s

    def source_states(self, now_us: int) -> list[SourceState]:
        """Each CDN and peer as it looks now; bytes are counted elsewhere and left at 0."""
        return self._book.source_states(now_us)

    def _take_in(self, event: Event, now_us: int) -> bool:
        """Note it; whether what is planned may be another for it.

        Not a `match`, which would ask class after class for its instances; the frequent ones first.
        """
        book = self._book
        if type(event) is TimePassed:
            return False
        if type(event) is TransferStarted:
            return self._started(event, now_us)
        if type(event) is TransferEnded:
            self._ended(event, now_us)
        elif type(event) is ResourceCompleted:
            self._completed(event, now_us)
        elif type(event) is ResourceRequested:
            self._requested(event.key, now_us)
        elif type(event) is SegmentsListed:
            self._listed(event, now_us)
        elif type(event) is TransferFailed:
            self._failed(event, now_us)
        elif type(event) is PartEnded:
            book.part_ended(event, now_us)
        elif type(event) is PartFailed:
            book.part_failed(event, now_us)
        elif type(event) is ResourceReleased:
            self._released(event.key, now_us)
        elif type(event) is ResourceDropped:
            self._dropped(event.key)
        elif type(event) is SourceBlamed:
            self._blamed(event, now_us)
        elif type(event) is AuditEnded:
            book.audits.ended(event)
        elif type(event) is AuditDue or type(event) is AuditFailed:
            self._audit(event, now_us)
        elif type(event) is BytesDiscarded:
            self._discarded(event.key, event.suspects, event.keep_bytes, now_us)
        elif type(event) is SwarmJoined:
            book.spread.joined(event.rendition, now_us)
        elif type(event) is PeerJoined:
            self._joined(event, now_us)
        elif type(event) is PeerGreeted or type(event) is PeerUploadState:
            book.peer_said(event, now_us)
        elif type(event) is PeerLeft:
            self._left(event.peer, event.reason, now_us, event.is_fault)
        elif type(event) is CdnAdded:
            self._added(event)
        elif type(event) is PeersRanked:
            self._decisions.rank_peers(event.priority)
        else:
            raise TypeError(f"{event!r} is no event that the policy takes; events.py names them")
        return True

    def _added(self, event: CdnAdded) -> None:
        book = self._book
        cdn = Cdn(event.cdn, event.weight, len(book.cdns), book.estimate(), book.config)
        known = book.cdns.setdefault(cdn.label, cdn)
        known.weight, known.price_per_gb = event.weight, event.price_per_gb
        known.priority, known.commit_bytes = event.priority, event.commit_bytes
        known.is_used = event.is_used

    # --- transfers

    def _started(self, event: TransferStarted, now_us: int) -> bool:
        """Whether what is planned may be another: how fast a peer answers matters when it is free again."""
        transfer = self._book.transfers.get(event.transfer)
        if transfer is None:
            return False
        transfer.answered(now_us, self._book.estimate_of(transfer))
        want = transfer.want
        if not want.received_bytes or want.total_bytes is None:
            want.total_bytes = event.total_bytes
        if not want.received_bytes or want.etag is None:
            want.etag = event.etag
        return not transfer.is_peer

    def _progressed(self, event: TransferProgressed, now_us: int) -> None:
        byte_count = event.byte_count
        sent_bytes = byte_count if event.came_bytes is None else event.came_bytes
        self._came(event.transfer, byte_count, sent_bytes, event.repeated_bytes, now_us)

    def _came(self, number: int, byte_count: int, sent_bytes: int, repeated_bytes: int, now_us: int) -> None:
        book = self._book
        transfer = book.transfers.get(number)
        if transfer is None:
            return
        transfer.answered(now_us, book.estimate_of(transfer))
        want, came_bytes = transfer.want, sent_bytes + repeated_bytes
        transfer.progressed(came_bytes, now_us, book.config.stall_bytes_min)
        transfer.ahead_bytes += sent_bytes - byte_count
        book.line.came(came_bytes)
        book.came_bytes += came_bytes
        book.repeated_bytes += repeated_bytes
        want.received_bytes += byte_count
        if not transfer.is_peer:
            book.cdns[transfer.label].sent_bytes += came_bytes
        if want.rival is not None:
            self._races.progressed(transfer, want, now_us, is_ahead=byte_count > 0)

    def _ended(self, event: TransferEnded, now_us: int) -> None:
        transfer = self._book.transfers.get(event.transfer)
        if transfer is None:
            return
        want = transfer.want
        if want.total_bytes is not None and want.received_bytes < want.total_bytes:
            self._failed(TransferFailed(event.transfer, "truncated"), now_us)
            return
        if want.accusation is not None:
            self._trials.hear(transfer, now_us, is_over=True)
        self._book.close(transfer, now_us, succeeded=True)
        self._book.stop(want, "raced", now_us)
        want.phase = Phase.VERIFYING
        self._book.open.pop(want.key, None)

    def _failed(self, event: TransferFailed, now_us: int) -> None:
        transfer = self._book.transfers.get(event.transfer)
        if transfer is None:
            return
        want = transfer.want
        reason = f"status {event.status}" if event.status is not None else event.reason
        never = event.reason in {"absent", "changed", "too_large", "unhashed", "refused"} or (
            event.status is not None and 400 <= event.status < 500 and event.status not in {408, 425, 429}
        )
        self._book.close(transfer, now_us, succeeded=False)
        if transfer.is_peer and event.reason in NOT_NOW:  # it said so at once, and nothing was tried
            self._book.peer_failed(self._book.peers_of(transfer)[0], want, event.reason, now_us)
            want.attempts = max(0, want.attempts - 1)
            self._book.want_again(want)
            return
        mark = want.mark(transfer.label)
        mark.failed(reason, now_us, self._book.config)
        mark.never = mark.never or never
        if event.reason == "too_small":  # no fault of its source
            want.from_cdns = True
            if not want.received_bytes:
                self._book.too_small[want.key.rendition] = None
            self._book.want_again(want)
            return
        if event.reason == "differs":  # from bytes of others that are not verified yet; nor is this one's fault known
            self._book.want_again(want)
            return
        self._book.estimate_of(transfer).failed(now_us, reason)
        if transfer.is_peer:
            self._book.peer_failed(self._book.peers_of(transfer)[0], want, event.reason, now_us)
        else:
            cdn = self._book.cdns[transfer.label]
            if event.retry_after_us is not None:
                cdn.retry_at_us = now_us + min(event.retry_after_us, self._book.config.retry_after_us_max)
            if not never:
                cdn.circuit.failed(now_us)
        self._book.want_again(want)

    # --- resources

    def _requested(self, key: ResourceKey, now_us: int) -> None:
        timeline = self._book.timelines.get(key.rendition)
        if timeline is not None and not timeline.is_live and not timeline.is_active(now_us):
            self._book.take_over_clock(timeline)
        want = self._book.wants.get(key)
        if want is None:
            want = self._book.wants[key] = Want(key)
        if timeline is not None and key.kind is Kind.PART:
            timeline.part_requested(key, now_us)
        elif timeline is not None and not want.urgent:  # else it is known where the player is
            timeline.requested(key, now_us)
            self._tell_the_others(timeline, key)
        if want.phase is Phase.DONE:
            if timeline is not None:
                timeline.delivered(key, now_us)
            return
        if want.phase is Phase.LEFT:
            want.start_anew()
        if not want.urgent:
            want.urgent = True
            want.urgent_since_us = now_us
            want.attempts = 0
            if want.transfer is not None:
                self._book.hurry(want, now_us)
        if want.phase is WANTED:
            self._book.open[key] = None

    def _tell_the_others(self, timeline: Timeline, key: ResourceKey) -> None:
        segment = timeline.find(key)
        if segment is not None:
            for other in self._book.timelines.values():
                if other is not timeline:
                    other.requested_elsewhere(segment)

    def _released(self, key: ResourceKey, now_us: int) -> None:
        want = self._book.wants.get(key)
        if want is None or not want.urgent:
            return
        want.urgent = False
        timeline = self._book.timelines.get(key.rendition)
        if timeline is not None and timeline.newest is not None and timeline.newest.key == key:
            timeline.switched_away()
        if want.phase is WANTED:
            self._book.leave(want)
        elif want.transfer is not None and not self._book.is_mostly_there(want):
            self._book.leave(self._book.stop(want, "released", now_us))

    def _completed(self, event: ResourceCompleted, now_us: int) -> None:
        want = self._book.wants.get(event.key)
        if want is None:
            want = self._book.wants[event.key] = Want(event.key)
        if want.received_bytes < event.byte_count:  # it was found elsewhere, on a disk that others share
            self._book.stop(want, "found", now_us)
        elif want.transfer is not None:
            self._book.close(self._book.transfers[want.transfer], now_us, succeeded=True)
            self._book.stop(want, "raced", now_us)
        timeline = self._book.timelines.get(event.key.rendition)
        if timeline is not None:
            if want.urgent:
                timeline.delivered(event.key, now_us)
            segment = timeline.listed(event.key)
            if segment is not None and segment.duration_us > 0:
                rate = event.byte_count * 1_000_000 / segment.duration_us
                known = self._book.media_bytes_per_s.get(event.key.rendition, rate)
                self._book.media_bytes_per_s[event.key.rendition] = (known + rate) / 2
        want.start_anew()
        want.phase = Phase.DONE
        want.urgent = False
        want.received_bytes = want.total_bytes = event.byte_count
        self._book.verified(want)
        self._book.settle(want)

    def _dropped(self, key: ResourceKey) -> None:
        want = self._book.wants.get(key)
        if want is None or want.phase is not Phase.DONE:
            return
        want.start_anew()
        want.phase = Phase.LEFT  # not prefetched again: a store that is too small would be filled for ever
        if self._book.is_gone(key):
            del self._book.wants[key]

    def _listed(self, event: SegmentsListed, now_us: int) -> None:
        timeline = self._book.timelines.get(event.rendition)
        if timeline is None or event.is_restarted:
            timeline = self._book.timelines[event.rendition] = Timeline(self._book.config)
        if event.is_restarted:
            self._restart(event.rendition, now_us)
        gone = timeline.replace(event.segments, event.is_live)
        # What is wanted without being listed is among the open ones; else a store of hours would be gone through.
        gone += [k for k in self._book.open if k.rendition == event.rendition and self._book.is_gone(k)]
        for key in dict.fromkeys(gone):
            want = self._book.wants.get(key)
            if want is None or want.urgent or want.phase in {Phase.DONE, Phase.VERIFYING}:
                continue
            self._book.stop(want, "gone", now_us)
            if want.phase is not Phase.LEFT:
                self._book.leave(want)
            self._book.wants.pop(key, None)

    def _restart(self, rendition: int, now_us: int) -> None:
        """Nothing of what was wanted or held of this rendition exists any more."""
        for want in [w for k, w in self._book.wants.items() if k.rendition == rendition]:
            self._book.stop(want, "gone", now_us)
            if want.urgent:
                self._book.actions.append(GiveUp(want.key, "the stream began anew"))
            elif want.phase not in {Phase.DONE, Phase.LEFT}:
                self._book.actions.append(DropPartial(want.key))
            self._book.settle(want)
            del self._book.wants[want.key]

    # --- wrong bytes

    def _audit(self, event: AuditDue | AuditFailed, now_us: int) -> None:
        """Somebody has to say whether the bytes of peers are right."""
        if isinstance(event, AuditFailed):
            self._book.audits.failed(event)
        want = self._book.wants.get(event.key)
        if want is not None and want.phase is Phase.VERIFYING:
            self._book.actions.append(self._book.audits.next(want, now_us))

    def _blamed(self, event: SourceBlamed, now_us: int) -> None:
        want = self._book.wants.get(event.key)
        if want is not None:
            mark = want.mark(event.source)
            mark.failed(_wrong(self._book, event.key), now_us, self._book.config)
            want.attempts += 1
            for number in [n for n in (want.rival, want.transfer) if n is not None]:
                if self._book.transfers[number].label == event.source:
                    self._book.want_again(self._book.cancel(self._book.transfers[number], "blamed", now_us))
        self._discarded(event.key, (), event.keep_bytes, now_us)
        if is_peer(event.source):
            peer = self._book.peers.get(event.source.removeprefix("peer:"))
            if peer is not None:
                self._book.reputation.blame(peer.name, peer.fingerprint, peer.address)
                peer.estimate.failed(now_us, _wrong(self._book, event.key))
                if peer.transfer is not None:
                    self._book.want_again(self._book.cancel(self._book.transfers[peer.transfer], "blamed", now_us))
                self._book.actions.append(BanPeer(peer.name, "wrong bytes"))
                self._book.forget_peer(peer, "banned")
            return
        cdn = self._book.cdns.get(event.source)
        if cdn is not None:
            cdn.estimate.failed(now_us, "hash")
            cdn.circuit.blamed(now_us)

    def _discarded(self, key: ResourceKey, suspects: tuple[str, ...], keep_bytes: int, now_us: int) -> None:
        want = self._book.wants.get(key)
        if want is None or want.phase in {Phase.DONE, Phase.LEFT}:
            return
        if suspects:
            want.suspects = suspects
            want.attempts += 1
        is_audited = self._book.is_audited(key)
        want.from_cdns = want.from_cdns or is_audited
        if keep_bytes >= want.received_bytes:
            return
        want.received_bytes = keep_bytes
        if is_audited:
            want.total_bytes = None  # perhaps a peer's word
        if want.transfer is not None:
            self._book.want_again(self._book.stop(want, "blamed", now_us))
        elif want.phase is Phase.VERIFYING:
            self._book.want_again(want)

    # --- peers

    def _joined(self, event: PeerJoined, now_us: int) -> None:
        reason = self._book.reputation.ban_reason(event.peer, event.fingerprint, event.address)
        if reason is not None:
            self._book.actions.append(BanPeer(event.peer, reason))
            return
        until_us = self._book.returning.refused_until_us(event.peer, event.fingerprint, now_us)
        if until_us is not None:
            self._book.actions.append(BanPeer(event.peer, "it broke the protocol", until_us))
            return
        self._left(event.peer, "replaced", now_us, False)  # a newer channel of the same peer
        self._book.past_peers.pop(event.peer, None)
        peer = Peer(event.peer, event.rendition, event.fingerprint, event.address, self._book.estimate())
        self._book.returning.came(peer, now_us)
        self._book.peers[event.peer] = peer
        self._book.availability.join(event.peer, event.rendition)
        self._book.spread.met(event.rendition, event.own)

    def _left(self, name: str, reason: str, now_us: int, is_fault: bool) -> None:
        peer = self._book.peers.get(name)
        if peer is None:
            return
        if peer.transfer is not None:
            if self._book.transfers[peer.transfer].beside:
                self._book.part_failed(PartFailed(peer.transfer, name, reason), now_us)
            else:
                self._failed(TransferFailed(peer.transfer, reason), now_us)
        self._book.returning.left(peer, now_us)
        if is_fault:
            until_us = self._book.returning.violated(peer, now_us)
            self._book.actions.append(BanPeer(name, "it broke the protocol", until_us))
        self._book.forget_peer(peer, "left")


def _wrong(book: Ledger, key: ResourceKey) -> str:
    """How wrong bytes of it were found."""
    return "audit" if book.is_audited(key) else "hash"
