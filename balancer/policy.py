"""Which source delivers what, and when to change one's mind.

    policy.handle(event, now_us) -> actions      (events.py says what each means)

It promises: at most one running transfer for one resource, and one for one peer;
no peer is asked for what it did not announce, and no banned one for anything; each
requested resource completes or is given up; the same events at the same times give
the same actions.  Whoever runs it wakes it when WakeAt says so (later is allowed).

    somebody waits   a measured, idle peer that will be in time with a margin, else the best CDN, now
    prefetch         peers first; a CDN when the deadline is near, or when this viewer's
                     turn comes to bring a segment into a swarm that has none of it
    moving           silence, or a finish too late that another source would better: the
                     transfer is cancelled and goes on elsewhere from the byte it reached

Left to others: bytes and hashes (assembly.py), the store, sockets, timers.
"""

from __future__ import annotations

from .availability import Availability
from .bandwidth import Estimate
from .cdn_choice import Cdn
from .config import BalancerConfig
from .events import (
    Action,
    BanPeer,
    BytesDiscarded,
    CancelTransfer,
    CdnAdded,
    DropPartial,
    Event,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    PeerJoined,
    PeerLeft,
    RequestFromPeer,
    ResourceCompleted,
    ResourceDropped,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    SourceBlamed,
    TimePassed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
    WakeAt,
)
from .mixing import share
from .model import Kind, ResourceKey, is_peer
from .peer_choice import Peer
from .report import SourceState
from .reputation import Reputation
from .selection import Selection
from .transfers import Phase, Transfer, Want
from .windows import Timeline

__all__ = ["WHY", "Policy"]

# Why a source was chosen: the first for somebody who waits; after another failed or was left; near the deadline;
# ahead of time; to measure it; a peer for somebody who waits.
WHY = ("start", "failover", "deadline", "prefetch", "explore", "offload")

_WAKE_US_MIN = 1_000  # after now: a limit that is due and could not be acted on must not spin
_PAST_PEERS_MAX = 256  # left or banned ones that the report still shows
_PREFETCH_PATIENCE = 3  # times the limits of an urgent transfer
_LONELY_PATIENCE = 4  # times the limit, when there is nowhere else to go; then the same source is asked anew
_SLICE_US_MIN = 200_000  # a shorter slice measures bursts, not a source
_PROJECTION_US_MIN = 400_000  # from a shorter stretch of body no finish is projected


class Policy:
    def __init__(self, config: BalancerConfig, seed: int = 0) -> None:
        """`seed` breaks ties, and tells viewers of one swarm apart: give each its own."""
        self._config = config
        self._seed = seed
        self._availability = Availability()
        self._reputation = Reputation(
            ban_records_max=config.ban_records_max, address_offenders_max=config.address_offenders_max
        )
        self._cdns: dict[str, Cdn] = {}  # by label
        self._peers: dict[str, Peer] = {}  # by name
        self._past_peers: dict[str, SourceState] = {}
        self._timelines: dict[int, Timeline] = {}
        self._wants: dict[ResourceKey, Want] = {}
        self._open: dict[ResourceKey, None] = {}  # wants in WANTED or RUNNING
        self._transfers: dict[int, Transfer] = {}
        self._transfer_count = 0
        self._media_bytes_per_s: dict[int, float] = {}  # by rendition, of media time
        self._actions: list[Action] = []
        self._wake_us: int | None = None  # the next limit
        self._asked_us: int | None = None  # what the last WakeAt said
        self._select = Selection(
            config,
            seed=seed,
            cdns=self._cdns,
            peers=self._peers,
            availability=self._availability,
            reputation=self._reputation,
        )

    # --- what happens ---

    def handle(self, event: Event, now_us: int) -> list[Action]:
        """Take one event in, and give the actions that follow, in order.

        Cost: a few look-ups for progress; for anything else, the running transfers,
        the prefetch windows and the peers of their renditions.
        """
        if self._asked_us is not None and now_us >= self._asked_us:
            self._asked_us = None
        if isinstance(event, TransferProgressed):
            self._progressed(event, now_us)
            if self._wake_us is None or now_us < self._wake_us:
                return []
        else:
            self._take_in(event, now_us)
        self._decide(now_us)
        actions, self._actions = self._actions, []
        return actions

    def deadline_us(self, key: ResourceKey) -> int | None:
        """When the player will play it, as far as its requests tell."""
        timeline = self._timelines.get(key.rendition)
        return timeline.deadline_us(key) if timeline is not None and key.kind is Kind.MEDIA else None

    def source_states(self, now_us: int) -> list[SourceState]:
        """Each CDN and peer as it looks now; bytes are counted elsewhere and left at 0."""
        states = [self._cdn_state(cdn, now_us) for cdn in self._cdns.values()]
        states += self._past_peers.values()
        states += [self._peer_state(peer) for peer in self._peers.values()]
        return states

    def _take_in(self, event: Event, now_us: int) -> None:
        match event:
            case TransferStarted():
                self._started(event, now_us)
            case TransferEnded():
                self._ended(event, now_us)
            case TransferFailed():
                self._failed(event, now_us)
            case ResourceRequested():
                self._requested(event.key, now_us)
            case ResourceReleased():
                self._released(event.key, now_us)
            case ResourceCompleted():
                self._completed(event, now_us)
            case ResourceDropped():
                self._dropped(event.key)
            case SourceBlamed():
                self._blamed(event, now_us)
            case BytesDiscarded():
                self._discarded(event.key, event.suspects, event.keep_bytes, now_us)
            case PeerJoined():
                self._joined(event)
            case PeerAnnounced():
                self._availability.announce(event.peer, event.held, event.fetching)
            case PeerLeft():
                self._left(event.peer, event.reason, now_us)
            case SegmentsListed():
                self._listed(event, now_us)
            case CdnAdded():
                cdn = Cdn(event.cdn, event.weight, len(self._cdns), self._estimate(), self._config)
                self._cdns.setdefault(cdn.label, cdn).weight = event.weight
            case TimePassed():
                pass
            case TransferProgressed():
                raise AssertionError("taken in before")

    # --- transfers ---

    def _started(self, event: TransferStarted, now_us: int) -> None:
        transfer = self._transfers.get(event.transfer)
        if transfer is None:
            return
        transfer.answered(now_us, self._estimate_of(transfer))
        want = self._wants[transfer.key]
        if not want.received_bytes or want.total_bytes is None:
            want.total_bytes = event.total_bytes
        if not want.received_bytes or want.etag is None:
            want.etag = event.etag

    def _progressed(self, event: TransferProgressed, now_us: int) -> None:
        transfer = self._transfers.get(event.transfer)
        if transfer is None:
            return
        transfer.answered(now_us, self._estimate_of(transfer))
        transfer.progressed(event.byte_count, now_us, self._config.stall_bytes_min)
        self._wants[transfer.key].received_bytes += event.byte_count

    def _ended(self, event: TransferEnded, now_us: int) -> None:
        transfer = self._transfers.get(event.transfer)
        if transfer is None:
            return
        want = self._wants[transfer.key]
        if want.total_bytes is not None and want.received_bytes < want.total_bytes:
            self._failed(TransferFailed(event.transfer, "truncated"), now_us)
            return
        self._close(transfer, now_us, succeeded=True)
        want.phase = Phase.VERIFYING
        self._open.pop(want.key, None)

    def _failed(self, event: TransferFailed, now_us: int) -> None:
        transfer = self._transfers.get(event.transfer)
        if transfer is None:
            return
        want = self._wants[transfer.key]
        reason = f"status {event.status}" if event.status is not None else event.reason
        never = event.reason in {"absent", "changed", "too_large", "unhashed", "refused"} or (
            event.status is not None and 400 <= event.status < 500 and event.status not in {408, 425, 429}
        )
        self._close(transfer, now_us, succeeded=False)
        mark = want.mark(transfer.label)
        mark.failed(reason, now_us, self._config)
        mark.never = mark.never or never
        self._estimate_of(transfer).failed(now_us, reason)
        if transfer.is_peer:
            peer = self._peers[transfer.label.removeprefix("peer:")]
            if event.reason == "absent":
                self._availability.lacks(peer.name, want.key.number)
            else:
                peer.failed(now_us, self._config)
        else:
            cdn = self._cdns[transfer.label]
            if event.retry_after_us is not None:
                cdn.retry_at_us = now_us + min(event.retry_after_us, self._config.retry_after_us_max)
            if not never:
                cdn.circuit.failed(now_us)
        self._want_again(want)

    def _close(self, transfer: Transfer, now_us: int, *, succeeded: bool) -> None:
        """The transfer runs no more; its source is free and has one more measurement."""
        del self._transfers[transfer.number]
        want = self._wants[transfer.key]
        want.transfer = None
        if transfer.received_bytes >= self._config.attempt_free_bytes:
            want.attempts = max(0, want.attempts - 1)
        estimate = self._estimate_of(transfer)
        if transfer.received_bytes or transfer.first_byte_us is not None:
            transfer.close_slice(now_us, estimate)
        if transfer.is_peer:
            peer = self._peers[transfer.label.removeprefix("peer:")]
            peer.transfer = None
            if succeeded:
                peer.failures = 0
        else:
            cdn = self._cdns[transfer.label]
            cdn.running_count -= 1
            if transfer.is_probe:
                cdn.circuit.probing = False
            if succeeded:
                cdn.circuit.succeeded(now_us)
        if succeeded:
            estimate.succeeded(now_us)

    def _cancel(self, transfer: Transfer, reason: str, now_us: int) -> Want:
        self._close(transfer, now_us, succeeded=False)
        self._actions.append(CancelTransfer(transfer.number, reason))
        return self._wants[transfer.key]

    def _want_again(self, want: Want) -> None:
        want.phase = Phase.WANTED
        want.fails_over = True
        self._open[want.key] = None
        if not want.urgent and want.attempts >= self._config.prefetch_attempts_max:
            self._leave(want)

    def _leave(self, want: Want) -> None:
        """Nobody wants it now.  What came of it goes."""
        if want.received_bytes:
            self._actions.append(DropPartial(want.key))
        want.start_anew()
        want.phase = Phase.LEFT
        self._settle(want)

    def _settle(self, want: Want) -> None:
        self._open.pop(want.key, None)
        for peer in self._peers.values():
            peer.unverified.pop(want.key, None)

    # --- resources ---

    def _requested(self, key: ResourceKey, now_us: int) -> None:
        timeline = self._timelines.get(key.rendition)
        if timeline is not None:
            if not timeline.is_active(now_us) and not timeline.is_live:
                self._take_over_clock(timeline)
            timeline.requested(key, now_us)
        want = self._wants.get(key)
        if want is None:
            want = self._wants[key] = Want(key)
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
        if want.phase is Phase.WANTED:
            self._open[key] = None

    def _take_over_clock(self, timeline: Timeline) -> None:
        """A switch of renditions: those of one VOD share their timeline, so the player's clock goes on."""
        others = [
            t for t in self._timelines.values() if t is not timeline and not t.is_live and t.requested_us is not None
        ]
        if others:
            timeline.take_over(max(others, key=lambda t: t.requested_us or 0))

    def _released(self, key: ResourceKey, now_us: int) -> None:
        want = self._wants.get(key)
        if want is None or not want.urgent:
            return
        want.urgent = False
        timeline = self._timelines.get(key.rendition)
        if timeline is not None and timeline.newest is not None and timeline.newest.key == key:
            timeline.switched_away()
        if want.phase is Phase.WANTED:
            self._leave(want)
        elif want.transfer is not None and not self._is_mostly_there(want):
            self._leave(self._cancel(self._transfers[want.transfer], "released", now_us))

    def _is_mostly_there(self, want: Want) -> bool:
        return want.received_bytes > self._config.released_share_kept * self._size_bytes(want)

    def _completed(self, event: ResourceCompleted, now_us: int) -> None:
        want = self._wants.get(event.key)
        if want is None:
            want = self._wants[event.key] = Want(event.key)
        if want.transfer is not None:
            self._close(self._transfers[want.transfer], now_us, succeeded=True)
        timeline = self._timelines.get(event.key.rendition)
        if timeline is not None:
            if want.urgent:
                timeline.delivered(event.key, now_us)
            segment = timeline.find(event.key)
            if segment is not None and segment.duration_us > 0:
                rate = event.byte_count * 1_000_000 / segment.duration_us
                known = self._media_bytes_per_s.get(event.key.rendition, rate)
                self._media_bytes_per_s[event.key.rendition] = (known + rate) / 2
        want.start_anew()
        want.phase = Phase.DONE
        want.urgent = False
        want.received_bytes = want.total_bytes = event.byte_count
        self._settle(want)

    def _dropped(self, key: ResourceKey) -> None:
        want = self._wants.get(key)
        if want is None or want.phase is not Phase.DONE:
            return
        want.start_anew()
        want.phase = Phase.LEFT  # not prefetched again: a store that is too small would be filled for ever
        if self._is_gone(key):
            del self._wants[key]

    def _listed(self, event: SegmentsListed, now_us: int) -> None:
        timeline = self._timelines.get(event.rendition)
        if timeline is None:
            timeline = self._timelines[event.rendition] = Timeline(self._config)
        timeline.replace(event.segments, is_live=event.is_live, shareable=event.shareable)
        for want in [w for k, w in self._wants.items() if k.rendition == event.rendition and self._is_gone(k)]:
            if want.urgent or want.phase in {Phase.DONE, Phase.VERIFYING}:
                continue
            if want.transfer is not None:
                self._cancel(self._transfers[want.transfer], "gone", now_us)
            if want.phase is not Phase.LEFT:
                self._leave(want)
            del self._wants[want.key]

    def _is_gone(self, key: ResourceKey) -> bool:
        timeline = self._timelines.get(key.rendition)
        return key.kind is Kind.MEDIA and timeline is not None and timeline.find(key) is None

    # --- wrong bytes ---

    def _blamed(self, event: SourceBlamed, now_us: int) -> None:
        want = self._wants.get(event.key)
        if want is not None:
            mark = want.mark(event.source)
            mark.failed("hash", now_us, self._config)
            want.attempts += 1
            if want.transfer is not None and self._transfers[want.transfer].label == event.source:
                self._want_again(self._cancel(self._transfers[want.transfer], "blamed", now_us))
        self._discarded(event.key, (), event.keep_bytes, now_us)
        if is_peer(event.source):
            peer = self._peers.get(event.source.removeprefix("peer:"))
            if peer is not None:
                self._reputation.blame(peer.name, peer.fingerprint, peer.address)
                peer.estimate.failed(now_us, "hash")
                if peer.transfer is not None:
                    self._want_again(self._cancel(self._transfers[peer.transfer], "blamed", now_us))
                self._actions.append(BanPeer(peer.name, "wrong bytes"))
                self._forget_peer(peer, "banned")
            return
        cdn = self._cdns.get(event.source)
        if cdn is not None:
            cdn.estimate.failed(now_us, "hash")
            cdn.circuit.blamed(now_us)

    def _discarded(self, key: ResourceKey, suspects: tuple[str, ...], keep_bytes: int, now_us: int) -> None:
        want = self._wants.get(key)
        if want is None or want.phase in {Phase.DONE, Phase.LEFT}:
            return
        if suspects:
            want.suspects = suspects
            want.attempts += 1
        if keep_bytes >= want.received_bytes:
            return
        want.received_bytes = keep_bytes
        if want.transfer is not None:
            self._want_again(self._cancel(self._transfers[want.transfer], "blamed", now_us))
        elif want.phase is Phase.VERIFYING:
            self._want_again(want)

    # --- peers ---

    def _joined(self, event: PeerJoined) -> None:
        reason = self._reputation.ban_reason(event.peer, event.fingerprint, event.address)
        if reason is not None:
            self._actions.append(BanPeer(event.peer, reason))
            return
        if event.peer in self._peers:
            raise ValueError(f"peer {event.peer!r} joined twice; each channel needs a PeerLeft or a name of its own")
        self._past_peers.pop(event.peer, None)
        peer = Peer(event.peer, event.rendition, event.fingerprint, event.address, self._estimate())
        self._peers[event.peer] = peer
        self._availability.join(event.peer, event.rendition)

    def _left(self, name: str, reason: str, now_us: int) -> None:
        peer = self._peers.get(name)
        if peer is None:
            return
        if peer.transfer is not None:
            self._failed(TransferFailed(peer.transfer, reason), now_us)
        self._forget_peer(peer, "left")

    def _forget_peer(self, peer: Peer, state: str) -> None:
        past = self._peer_state(peer)
        past.state = state
        self._past_peers[peer.name] = past
        if len(self._past_peers) > _PAST_PEERS_MAX:
            del self._past_peers[next(iter(self._past_peers))]
        self._availability.leave(peer.name)
        del self._peers[peer.name]

    # --- decisions ---

    def _decide(self, now_us: int) -> None:
        self._wake_us = None
        for transfer in tuple(self._transfers.values()):
            self._supervise(transfer, now_us)
        for key in tuple(self._open):
            want = self._wants[key]
            if want.urgent and want.phase is Phase.WANTED:
                self._serve(want, now_us)
        self._prefetch(now_us)
        if self._wake_us is not None and self._wake_us != self._asked_us:
            self._asked_us = self._wake_us
            self._actions.append(WakeAt(self._wake_us))

    def _later(self, time_us: int, now_us: int) -> None:
        time_us = max(time_us, now_us + _WAKE_US_MIN)
        if self._wake_us is None or time_us < self._wake_us:
            self._wake_us = time_us

    def _supervise(self, transfer: Transfer, now_us: int) -> None:
        """Move a transfer that is silent, or too slow while another source would do better."""
        want = self._wants[transfer.key]
        due_us = transfer.silence_due_us()
        if now_us >= due_us:
            lonely_us = due_us + (_LONELY_PATIENCE - 1) * transfer.silence_limit_us()
            if now_us >= lonely_us or self._select.alternative_us(
                want, self._timelines.get(want.key.rendition), transfer, self._size_bytes(want), now_us, any_peer=True
            ):
                self._move(transfer, "stalled", now_us)
                return
            self._later(min(lonely_us, now_us + self._config.check_interval_us), now_us)
        else:
            self._later(due_us, now_us)
        if transfer.first_byte_us is None:
            return
        if now_us - transfer.slice_start_us >= _SLICE_US_MIN:
            transfer.close_slice(now_us, self._estimate_of(transfer))
        target_us = self._target_us(want)
        if target_us is None:
            return
        self._later(now_us + self._config.check_interval_us, now_us)
        if transfer.bytes_per_s is None or now_us - transfer.first_byte_us < _PROJECTION_US_MIN:
            return
        needed_us = int(self._size_bytes(want) * 1_000_000 / max(1.0, transfer.bytes_per_s))
        if now_us + needed_us <= target_us:
            return
        other_us = self._select.alternative_us(
            want, self._timelines.get(want.key.rendition), transfer, self._size_bytes(want), now_us, any_peer=False
        )
        if other_us is not None and other_us < self._config.move_gain * needed_us:
            self._move(transfer, "slow", now_us)

    def _target_us(self, want: Want) -> int | None:
        """When it has to be there."""
        deadline_us = self.deadline_us(want.key)
        if deadline_us is None and want.urgent:
            return want.urgent_since_us + self._config.startup_patience_us
        return deadline_us

    def _move(self, transfer: Transfer, reason: str, now_us: int) -> None:
        want = self._cancel(transfer, reason, now_us)
        want.moves += 1
        want.mark(transfer.label).failed(reason, now_us, self._config)
        estimate = self._estimate_of(transfer)
        if reason == "stalled":
            estimate.failed(now_us, reason)
            if transfer.first_byte_us is None:
                estimate.first_byte(now_us - transfer.started_us)
            if not transfer.is_peer:
                self._cdns[transfer.label].circuit.failed(now_us)
        if transfer.is_peer:
            self._peers[transfer.label.removeprefix("peer:")].failed(now_us, self._config)
        self._want_again(want)

    def _serve(self, want: Want, now_us: int) -> None:
        """Find a source for what somebody waits for, or a time to look again, or give up."""
        if want.attempts >= self._config.attempts_max:
            self._give_up(want, f"{want.attempts} attempts brought nothing: {want.failures()}")
            return
        deadline_us = self.deadline_us(want.key)
        slack_us = None if deadline_us is None else deadline_us - now_us
        choice = self._select.urgent(
            want, self._timelines.get(want.key.rendition), self._size_bytes(want), slack_us, now_us
        )
        if choice.source is not None:
            why = "failover" if want.fails_over else choice.why
            self._start(want, choice.source, why, now_us)
        elif choice.again_us is not None:
            self._later(choice.again_us, now_us)
        else:
            self._give_up(want, f"no source is left: {want.failures() or 'there is none'}")

    def _give_up(self, want: Want, reason: str) -> None:
        self._actions.append(GiveUp(want.key, reason))
        want.urgent = False
        want.received_bytes = 0
        self._leave(want)

    def _prefetch(self, now_us: int) -> None:
        """Start what will be wanted soon, and stop what will not be."""
        window = {s.key: t for _, t in sorted(self._timelines.items()) for s in t.ahead(now_us)}
        for key in tuple(self._open):
            want = self._wants[key]
            if want.urgent or key in window:
                continue
            if want.transfer is None:
                self._leave(want)
            elif not self._is_mostly_there(want):
                self._leave(self._cancel(self._transfers[want.transfer], "released", now_us))
        idle = [t for t in self._transfers.values() if not self._wants[t.key].urgent]
        peer_room = self._config.peer_transfers_max - sum(t.is_peer for t in idle)
        cdn_room = self._config.cdn_transfers_max - sum(not t.is_peer for t in idle)
        for key, timeline in self._in_order(window, now_us):
            want = self._wants.get(key) or Want(key)
            if want.phase is not Phase.WANTED or want.urgent:
                continue
            deadline_us = timeline.deadline_us(key)
            slack_us = None if deadline_us is None else deadline_us - now_us
            size_bytes = self._size_bytes(want)
            if peer_room > 0:
                peer = self._select.prefetch_peer(want, timeline, size_bytes, slack_us, now_us)
                if peer is not None:
                    peer_room -= 1
                    self._start(want, peer, "failover" if want.fails_over else "prefetch", now_us)
                    continue
            if slack_us is None or deadline_us is None:
                continue
            lead_us = self._cdn_lead_us(want, timeline)
            if slack_us > lead_us:
                self._later(deadline_us - lead_us, now_us)
            elif cdn_room > 0:
                found = self._select.ready_cdn(want, size_bytes, slack_us, now_us)
                if found is not None:
                    cdn_room -= 1
                    near = slack_us <= self._config.cdn_prefetch_deadline_us
                    why = (
                        "failover" if want.fails_over else "explore" if found[1] else "deadline" if near else "prefetch"
                    )
                    self._start(want, found[0], why, now_us)
                else:
                    self._later(now_us + self._config.retry_backoff_us, now_us)

    def _in_order(self, window: dict[ResourceKey, Timeline], now_us: int) -> list[tuple[ResourceKey, Timeline]]:
        """What is due soon by its deadline; then what few peers hold, while they are still here."""

        def order(item: tuple[int, tuple[ResourceKey, Timeline]]) -> tuple[int, int, int]:
            place, (key, timeline) = item
            deadline_us = timeline.deadline_us(key)
            if deadline_us is not None and deadline_us - now_us <= self._config.cdn_prefetch_deadline_us:
                return (0, deadline_us, place)
            return (1, len(self._availability.holders(key.rendition, key.number)), place)

        return [item for _, item in sorted(enumerate(window.items()), key=order)]

    def _cdn_lead_us(self, want: Want, timeline: Timeline) -> int:
        """How long before its deadline a CDN is asked for it.

        Where a swarm has nobody who holds it or is fetching it, the viewers take
        turns by chance: the one with the longest lead fetches, announces so, and the
        others wait for it.
        """
        near_us = self._config.cdn_prefetch_deadline_us
        key = want.key
        if (
            not timeline.shareable
            or not self._availability.peer_count(key.rendition)
            or self._availability.holders(key.rendition, key.number)
            or self._availability.is_being_fetched(key.rendition, key.number)
        ):
            return near_us
        return near_us + int(share(self._seed, key.rendition, key.number) * max(0, self._config.prefetch_us - near_us))

    def _start(self, want: Want, source: Cdn | Peer, why: str, now_us: int) -> None:
        self._wants[want.key] = want
        self._transfer_count += 1
        number = self._transfer_count
        first_byte_limit_us, stall_limit_us = self._limits(want, source.estimate, now_us)
        transfer = Transfer(
            number=number,
            key=want.key,
            label=source.label,
            is_peer=isinstance(source, Peer),
            started_us=now_us,
            first_byte_limit_us=first_byte_limit_us,
            stall_limit_us=stall_limit_us,
        )
        self._transfers[number] = transfer
        want.transfer = number
        want.phase = Phase.RUNNING
        want.attempts += 1
        want.fails_over = False
        self._open[want.key] = None
        source.transfer_count += 1
        if isinstance(source, Peer):
            source.transfer = number
            source.last_used = number
            source.unverified[want.key] = None
            self._actions.append(RequestFromPeer(number, source.name, want.key, want.received_bytes, why))
        else:
            source.running_count += 1
            if why == "explore":
                source.explored_us = now_us
            if source.circuit.state(now_us) == "half-open":
                transfer.is_probe = source.circuit.probing = True
            self._actions.append(
                FetchFromCdn(
                    transfer=number,
                    cdn=source.name,
                    key=want.key,
                    first_byte=want.received_bytes,
                    total_bytes=want.total_bytes if want.received_bytes else None,
                    etag=want.etag if want.received_bytes and not self._is_hashed(want.key) else None,
                    why=why,
                )
            )
        self._later(transfer.silence_due_us(), now_us)

    def _limits(self, want: Want, estimate: Estimate, now_us: int) -> tuple[int, int]:
        """How long the source may be silent before its first byte, and later.

        Less when the deadline is nearer, more for a source that is known to answer
        late, and twice as much after each move: where all are slow, patience wins.
        """
        config = self._config
        first_us = config.first_byte_limit_us
        deadline_us = self.deadline_us(want.key)
        if deadline_us is not None:
            first_us = min(first_us, max(config.first_byte_limit_us_min, (deadline_us - now_us) // 3))
        if estimate.first_byte_us is not None and estimate.good_count:
            first_us = max(first_us, min(int(2 * estimate.first_byte_us), 2 * config.first_byte_limit_us))
        patience = (1 if want.urgent else _PREFETCH_PATIENCE) << min(want.moves, 8)
        return (
            min(config.limit_us_max, first_us * patience),
            min(config.limit_us_max, config.stall_limit_us * patience),
        )

    # --- small facts ---

    def _estimate(self) -> Estimate:
        config = self._config
        return Estimate(
            fast_half_life_us=config.fast_half_life_us,
            slow_half_life_us=config.slow_half_life_us,
            error_half_life_us=config.error_half_life_us,
        )

    def _estimate_of(self, transfer: Transfer) -> Estimate:
        if transfer.is_peer:
            return self._peers[transfer.label.removeprefix("peer:")].estimate
        return self._cdns[transfer.label].estimate

    def _is_hashed(self, key: ResourceKey) -> bool:
        """With hashes another CDN's ETag does not matter; without, it is all there is."""
        timeline = self._timelines.get(key.rendition)
        return key.kind is Kind.MEDIA and timeline is not None and timeline.shareable

    def _size_bytes(self, want: Want) -> int:
        """Bytes still to come, guessed from the rendition's other segments when nobody said."""
        total_bytes = want.total_bytes
        if total_bytes is None:
            timeline = self._timelines.get(want.key.rendition)
            segment = timeline.find(want.key) if timeline is not None else None
            rate = self._media_bytes_per_s.get(want.key.rendition)
            if segment is not None and rate is not None:
                total_bytes = int(rate * segment.duration_us / 1_000_000)
            else:
                total_bytes = self._config.segment_bytes_guess
        return max(1, total_bytes - want.received_bytes)

    def _cdn_state(self, cdn: Cdn, now_us: int) -> SourceState:
        circuit = cdn.circuit.state(now_us)
        if circuit == "open":
            state = "open"
        elif circuit == "half-open" or cdn.estimate.error_rate(now_us) > 0.25:
            state = "suspect"
        else:
            state = "healthy" if cdn.estimate.good_count else "new"
        return _source_state(cdn.label, state, cdn.estimate, cdn.transfer_count)

    def _peer_state(self, peer: Peer) -> SourceState:
        if self._reputation.is_suspect(peer.address) or peer.failures:
            state = "suspect"
        else:
            state = "healthy" if peer.estimate.good_count else "new"
        shown = _source_state(peer.label, state, peer.estimate, peer.transfer_count)
        shown.held_count = self._availability.held_count(peer.name)
        return shown


def _source_state(name: str, state: str, estimate: Estimate, transfer_count: int) -> SourceState:
    return SourceState(
        name=name,
        state=state,
        throughput_bytes_per_s=estimate.bytes_per_s,
        first_byte_us=estimate.first_byte_us,
        transfer_count=transfer_count,
        error_count=estimate.error_count,
        errors=dict(estimate.errors),
    )
