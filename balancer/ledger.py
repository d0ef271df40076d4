"""All that the policy knows, and the steps that change it in one piece.

A transfer starts here and closes here, so that a want, its transfer and its source
never disagree.  Actions gather in `actions`, the next moment to look in `wake_us`.
When to take which step is decided in policy.py (by events) and decisions.py.
"""

from __future__ import annotations

from .audit_choice import AuditChoice
from .availability import Availability
from .bandwidth import Estimate
from .cdn_choice import Cdn
from .config import BalancerConfig
from .events import (
    Action,
    CancelTransfer,
    DropPartial,
    FetchFromCdn,
    PartEnded,
    PartFailed,
    PeerGreeted,
    PeerUploadState,
    RequestFromPeer,
)
from .line import Line
from .model import Kind, ResourceKey, Segment, SourceKind, source_label
from .peer_choice import Peer
from .report import SourceState
from .reputation import Reputation
from .returning import Returning
from .spread import Spread
from .transfers import RUNNING, WANTED, Phase, Transfer, Want
from .windows import Timeline

__all__ = ["NOT_NOW", "Ledger"]

NOT_NOW = {"busy", "choked"}  # what a peer says that may give it a little later

_WAKE_US_MIN = 1_000  # after now: a limit that is due and could not be acted on must not spin
_PAST_PEERS_MAX = 256  # left or banned ones that the report still shows
_PREFETCH_PATIENCE = 3  # times the limits of an urgent transfer
_GUESSED_US = 4_000_000  # of media that `segment_bytes_guess` is; a part is a piece of that


class Ledger:
    __slots__ = (
        "actions",
        "audits",
        "availability",
        "busy_until_us",
        "came_bytes",
        "cdns",
        "config",
        "line",
        "media_bytes_per_s",
        "open",
        "past_peers",
        "peers",
        "repeated_bytes",
        "reputation",
        "returning",
        "seed",
        "spread",
        "timelines",
        "too_small",
        "transfer_count",
        "transfers",
        "wake_us",
        "wants",
    )

    def __init__(self, config: BalancerConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.availability = Availability()
        self.reputation = Reputation(
            ban_records_max=config.ban_records_max, address_offenders_max=config.address_offenders_max
        )
        self.returning = Returning(
            kept_us=config.peer_failures_kept_us,
            refused_us=config.violator_refused_us,
            refused_us_max=config.violator_refused_us_max,
            records_max=config.ban_records_max,
        )
        self.spread = Spread(config, seed, self.availability)
        self.line = Line(self.estimate(), self.spread.deviations)
        self.cdns: dict[str, Cdn] = {}  # by label
        self.peers: dict[str, Peer] = {}  # by name
        self.audits = AuditChoice(self.cdns, config)
        self.past_peers: dict[str, SourceState] = {}
        self.timelines: dict[int, Timeline] = {}
        self.wants: dict[ResourceKey, Want] = {}
        self.open: dict[ResourceKey, None] = {}  # wants in WANTED or RUNNING
        self.transfers: dict[int, Transfer] = {}
        self.transfer_count = 0
        self.media_bytes_per_s: dict[int, float] = {}  # by rendition, of media time
        self.too_small: dict[int, None] = {}  # renditions whose segments would cost more to audit than they may
        self.busy_until_us = 0  # of the peer that said so last
        self.came_bytes = 0
        self.repeated_bytes = 0  # of these, what was there already
        self.actions: list[Action] = []
        self.wake_us: int | None = None

    def close(self, transfer: Transfer, now_us: int, succeeded: bool) -> None:
        """The transfer runs no more; its source is free and has one more measurement."""
        del self.transfers[transfer.number]
        want = transfer.want
        if want.rival == transfer.number:
            want.rival = None
        else:
            want.transfer, want.rival = want.rival, None
        if transfer.received_bytes >= self.config.attempt_free_bytes:
            want.attempts = max(0, want.attempts - 1)
        estimate = self.estimate_of(transfer)
        if transfer.received_bytes or transfer.first_byte_us is not None:
            transfer.close_slice(now_us, estimate)
        if succeeded and not transfer.grows_until_us:
            estimate.took(now_us - transfer.started_us, transfer.expected_us)
        if transfer.is_peer:
            for peer in self.peers_of(transfer):
                peer.transfer = None
                if transfer.received_bytes and transfer.key in peer.unverified:
                    peer.unverified[transfer.key] = True
                if succeeded:
                    peer.succeeded()
        else:
            cdn = self.cdns[transfer.label]
            cdn.running_count -= 1
            if transfer.is_probe:
                cdn.circuit.probing = False
            if succeeded:
                cdn.falls = cdn.falls + 1 if self._fell_behind(transfer, estimate, now_us) else 0
                cdn.circuit.succeeded(now_us)
        if succeeded:
            estimate.succeeded(now_us)

    def _fell_behind(self, transfer: Transfer, estimate: Estimate, now_us: int) -> bool:
        """Whether a part took longer than it plays: then what was good before of its source is not believed.

        However little each part is late, the player's buffer goes with it.
        """
        part = self.part(transfer.key)
        if part is None or now_us - transfer.started_us <= part.duration_us:
            return False
        body_us = now_us - (transfer.started_us if transfer.first_byte_us is None else transfer.first_byte_us)
        if estimate.sampled_us is None or estimate.sampled_us < transfer.started_us:  # it came in one flight, late
            estimate.sample(body_us, transfer.received_bytes, now_us)
        estimate.fell_to(transfer.received_bytes * 1_000_000 / max(1, body_us))
        return True

    def cancel(self, transfer: Transfer, reason: str, now_us: int) -> Want:
        """Stop it; another that raced with it goes on."""
        self.close(transfer, now_us, succeeded=False)
        self.actions.append(CancelTransfer(transfer.number, reason))
        return transfer.want

    def stop(self, want: Want, reason: str, now_us: int) -> Want:
        """Stop all that runs for it."""
        while want.transfer is not None:
            self.cancel(self.transfers[want.transfer], reason, now_us)
        return want

    def want_again(self, want: Want) -> None:
        """A transfer of it is over before all came; the other of a race goes on."""
        if want.transfer is not None:
            return
        want.phase = WANTED
        want.fails_over = True
        self.open[want.key] = None
        if not want.urgent and want.attempts >= self.config.prefetch_attempts_max:
            self.leave(want)

    def leave(self, want: Want) -> None:
        """Nobody wants it now.  What came of it goes."""
        if want.received_bytes or want.suspects:
            self.actions.append(DropPartial(want.key))
        want.start_anew()
        want.phase = Phase.LEFT
        self.settle(want)
        if not want.urgent and self.is_gone(want.key):
            self.wants.pop(want.key, None)  # nothing will ever settle it

    def verified(self, want: Want) -> None:
        """It is complete, and right as far as anything can tell."""
        for peer in want.asked:
            peer.was_right = peer.was_right or peer.unverified.get(want.key, False)

    def settle(self, want: Want) -> None:
        self.open.pop(want.key, None)
        self.spread.forget(want.key)
        for peer in want.asked:
            peer.unverified.pop(want.key, None)
        want.asked = ()

    def peers_of(self, transfer: Transfer) -> list[Peer]:
        """Who sends it; several only where each was asked for ranges."""
        return [self.peers[name] for name in (transfer.label.removeprefix("peer:"), *transfer.beside)]

    def peer_said(self, event: PeerGreeted | PeerUploadState, now_us: int) -> None:
        peer = self.peers.get(event.peer)
        match event:
            case _ if peer is None:
                pass
            case PeerGreeted():
                peer.is_greeted = True
            case PeerUploadState(_, "free"):
                peer.busy_until_us = 0
            case PeerUploadState():
                self._was_busy(peer, now_us)

    def part_ended(self, event: PartEnded, now_us: int) -> None:
        peer = self.peers.get(event.peer)
        if peer is not None and event.duration_us > 0:
            peer.estimate.sample(event.duration_us, event.byte_count, now_us)
            peer.estimate.succeeded(now_us)

    def part_failed(self, event: PartFailed, now_us: int) -> None:
        """One of several peers sends no more of a transfer."""
        transfer = self.transfers.get(event.transfer)
        peers = [] if transfer is None else self.peers_of(transfer)
        others = tuple(peer.name for peer in peers if peer.name != event.peer)
        if transfer is None or not others or len(others) == len(peers):
            return
        transfer.label, transfer.beside = source_label(SourceKind.PEER, others[0]), others[1:]
        peer = self.peers[event.peer]
        peer.transfer = None
        if event.reason not in NOT_NOW:
            want = transfer.want
            want.mark(peer.label).failed(event.reason, now_us, self.config)
            peer.estimate.failed(now_us, event.reason)
        self.peer_failed(peer, transfer.want, event.reason, now_us)

    def _was_busy(self, peer: Peer, now_us: int) -> None:
        peer.was_busy(now_us, self.config)
        self.busy_until_us = peer.busy_until_us

    def peer_failed(self, peer: Peer, want: Want, reason: str, now_us: int) -> None:
        """It did not give what it was asked for: how soon it is asked again, and for what."""
        if reason in NOT_NOW:
            self._was_busy(peer, now_us)
        elif reason == "absent":
            want.mark(peer.label).never = True
            self.availability.lacks(peer.name, want.key.number)
            peer.refused(now_us, self.config)
        else:
            peer.failed(now_us, self.config)

    def start(self, want: Want, source: Cdn | Peer, why: str, now_us: int, beside: tuple[Peer, ...] = ()) -> None:
        """Begin a transfer; with `beside` from all these peers at once, each of which takes ranges."""
        self.wants[want.key] = want
        self.transfer_count += 1
        number = self.transfer_count
        first_byte_limit_us, stall_limit_us = self.limits(want, source.estimate, now_us)
        transfer = Transfer(
            number=number,
            want=want,
            label=source.label,
            is_peer=isinstance(source, Peer),
            started_us=now_us,
            first_byte_limit_us=first_byte_limit_us,
            stall_limit_us=stall_limit_us,
            expected_us=source.expected_us(self.size_bytes(want), now_us, self.config),
            usual_us=source.estimate.first_byte_us or self.config.unmeasured_first_byte_us,
            grows_until_us=sum(self.grows(want.key, now_us)),  # the last piece comes when it is made
            beside=tuple([peer.name for peer in beside]),
            estimate=self.estimate() if beside else source.estimate,
        )
        self.transfers[number] = transfer
        if want.transfer is None:
            want.transfer = number
            want.attempts += 1
        else:
            assert want.rival is None, f"{want.key} has two transfers, and is to have a third"
            want.rival = number
        want.phase = RUNNING
        want.fails_over = False
        self.open[want.key] = None
        source.transfer_count += 1
        if isinstance(source, Peer):
            want.asked = (*want.asked, source, *beside)
            for peer in (source, *beside):
                peer.transfer = number
                peer.last_used = number
                peer.unfinished += 1
                peer.unverified.setdefault(want.key, False)
            request = RequestFromPeer(number, source.name, want.key, want.received_bytes, why, transfer.beside)
            self.actions.append(request)
        else:
            source.running_count += 1
            if why == "explore":
                source.explored_us = now_us
            elif why != "race":  # it has to win first
                source.last_used = number
            if source.circuit.state(now_us) == "half-open":
                transfer.is_probe = source.circuit.probing = True
            self.actions.append(
                FetchFromCdn(
                    transfer=number,
                    cdn=source.name,
                    key=want.key,
                    first_byte=want.received_bytes,
                    total_bytes=want.total_bytes if want.received_bytes else None,
                    etag=want.etag if want.received_bytes and not self.is_hashed(want.key) else None,
                    why=why,
                )
            )
        self.later(transfer.silence_due_us(), now_us)

    def limits(self, want: Want, estimate: Estimate, now_us: int) -> tuple[int, int]:
        """How long the source may be silent before its first byte, and later.

        Less when the deadline is nearer, more for a source that is known to answer
        late, or that sends what is being made, and twice as much after each move: where all are slow, patience wins,
        but not with more than a third of the time that is left.
        """
        config = self.config
        first_us = config.first_byte_limit_us
        deadline_us = self.deadline_us(want.key)
        if deadline_us is not None:
            first_us = min(first_us, max(config.first_byte_limit_us_min, (deadline_us - now_us) // 3))
        if estimate.first_byte_us is not None and estimate.good_count:
            first_us = max(first_us, min(int(2 * estimate.first_byte_us), 2 * config.first_byte_limit_us))
        grows_by_us = self.grows(want.key, now_us)[1]
        patience = (1 if want.urgent else _PREFETCH_PATIENCE) << min(want.moves, 8)
        patient_us = config.limit_us_max
        if deadline_us is not None and deadline_us > now_us:
            patient_us = min(patient_us, (deadline_us - now_us) // 3)
        return (
            grows_by_us + max(min(config.limit_us_max, first_us), min(patient_us, first_us * patience)),
            grows_by_us
            + max(min(config.limit_us_max, config.stall_limit_us), min(patient_us, config.stall_limit_us * patience)),
        )

    def grows(self, key: ResourceKey, now_us: int) -> tuple[int, int]:
        """Until when it is made, and by how much media at a time; (0, 0) if all of it is there."""
        timeline = self.timelines.get(key.rendition)
        segment = None if timeline is None else timeline.listed(key)
        if segment is None or segment.grows_until_us <= now_us:
            return 0, 0
        return segment.grows_until_us, segment.grows_by_us

    def hurry(self, want: Want, now_us: int) -> None:
        """A prefetch that somebody waits for now has the limits of an urgent transfer from here on."""
        assert want.transfer is not None
        transfer = self.transfers[want.transfer]
        first_us, stall_us = self.limits(want, self.estimate_of(transfer), now_us)
        first_us += now_us - transfer.started_us
        transfer.first_byte_limit_us = min(transfer.first_byte_limit_us, first_us)
        transfer.stall_limit_us = min(transfer.stall_limit_us, stall_us)

    def take_over_clock(self, timeline: Timeline) -> None:
        """A switch of renditions: those of one VOD share their timeline, so the player's clock goes on."""
        others = [
            t for t in self.timelines.values() if t is not timeline and not t.is_live and t.requested_us is not None
        ]
        if others:
            timeline.take_over(max(others, key=lambda t: t.requested_us or 0))

    def later(self, time_us: int, now_us: int) -> None:
        time_us = max(time_us, now_us + _WAKE_US_MIN)
        if self.wake_us is None or time_us < self.wake_us:
            self.wake_us = time_us

    def deadline_us(self, key: ResourceKey) -> int | None:
        """When the player will play it, as far as its requests tell."""
        timeline = self.timelines.get(key.rendition)
        return timeline.deadline_us(key) if timeline is not None else None

    def part(self, key: ResourceKey) -> Segment | None:
        """What is listed of a part; None for one that is not listed any more, and for what is no part."""
        timeline = self.timelines.get(key.rendition)
        return None if timeline is None else timeline.parts.find(key)

    def estimate(self) -> Estimate:
        config = self.config
        return Estimate(
            fast_half_life_us=config.fast_half_life_us,
            slow_half_life_us=config.slow_half_life_us,
            error_half_life_us=config.error_half_life_us,
        )

    def estimate_of(self, transfer: Transfer) -> Estimate:
        """Of its source, or its own where several peers bring ranges of it."""
        assert transfer.estimate is not None
        return transfer.estimate

    def demand(self, transfer: Transfer) -> float | None:
        """What it takes of the line at most, in bytes per second; None: as much as it can get."""
        return self.estimate_of(transfer).bytes_per_s if transfer.is_peer else None

    def is_hashed(self, key: ResourceKey) -> bool:
        """With hashes another CDN's ETag does not matter; without, it is all there is."""
        timeline = self.timelines.get(key.rendition)
        return timeline is not None and timeline.is_hashed(key)

    def is_audited(self, key: ResourceKey) -> bool:
        timeline = self.timelines.get(key.rendition)
        segment = None if timeline is None else timeline.find(key)
        return segment is not None and segment.is_audited

    def is_shared(self, want: Want, timeline: Timeline | None) -> bool:
        """Whether peers may be asked for it: its hashes are known, or an audit can tell."""
        segment = None if timeline is None else timeline.find(want.key)
        if segment is None or segment.grows_until_us:  # nobody has what is being made
            return False
        if segment.is_hashed:
            return True
        return (
            segment.is_audited
            and not want.from_cdns
            and want.key.rendition not in self.too_small
            and self.audits.is_possible
        )

    def size_bytes(self, want: Want, segment: Segment | None = None) -> int:
        """Bytes still to come, guessed from the rendition's other segments when nobody said.

        Whoever has the segment at hand spares looking it up.
        """
        if want.total_bytes is not None:
            whole_bytes = want.total_bytes
        else:
            key = want.key
            if segment is None:
                timeline = self.timelines.get(key.rendition)
                segment = timeline.listed(key) if timeline is not None else None
            known = self.media_bytes_per_s.get(key.rendition)
            if segment is not None and known is not None:
                rate, duration_us = known, segment.duration_us
                whole_bytes = int(rate * duration_us / 1_000_000)
            elif segment is not None and key.kind is Kind.PART:
                whole_bytes = self.config.segment_bytes_guess * segment.duration_us // _GUESSED_US
            else:
                whole_bytes = self.config.segment_bytes_guess
        return max(1, whole_bytes - want.received_bytes)

    def is_mostly_there(self, want: Want) -> bool:
        whole_bytes = want.received_bytes + self.size_bytes(want)
        return want.received_bytes > self.config.released_share_kept * whole_bytes

    def source_states(self, now_us: int) -> list[SourceState]:
        """Each CDN and peer as it looks now; bytes are counted elsewhere and left at 0."""
        states = [self.cdn_state(cdn, now_us) for cdn in self.cdns.values()]
        states += self.past_peers.values()
        states += [self.peer_state(peer) for peer in self.peers.values()]
        return states

    def cdn_state(self, cdn: Cdn, now_us: int) -> SourceState:
        circuit = cdn.circuit.state(now_us)
        if circuit == "open":
            state = "open"
        elif circuit == "half-open" or cdn.estimate.error_rate(now_us) > 0.25:
            state = "suspect"
        else:
            state = "healthy" if cdn.estimate.good_count else "new"
        return _source_state(cdn.label, state, cdn.estimate, cdn.transfer_count)

    def peer_state(self, peer: Peer) -> SourceState:
        if peer.failures:
            state = "suspect"
        elif self.reputation.is_on_probation(peer.address):
            state = "probation"
        else:
            state = "healthy" if peer.estimate.good_count else "new"
        shown = _source_state(peer.label, state, peer.estimate, peer.transfer_count)
        shown.held_count = self.availability.held_count(peer.name)
        return shown

    def forget_peer(self, peer: Peer, state: str) -> None:
        past = self.peer_state(peer)
        past.state = state
        self.past_peers[peer.name] = past
        if len(self.past_peers) > _PAST_PEERS_MAX:
            del self.past_peers[next(iter(self.past_peers))]
        self.availability.leave(peer.name)
        del self.peers[peer.name]

    def is_gone(self, key: ResourceKey) -> bool:
        """Whether nobody will ask for it (again) once it is let go: of parts, that is always so."""
        timeline = self.timelines.get(key.rendition)
        return key.kind is Kind.PART or (key.kind is Kind.MEDIA and timeline is not None and timeline.find(key) is None)


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
