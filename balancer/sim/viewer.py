"""One viewer: a player, a strategy, a line, and what it holds for others.

It does for the pure policy what the actors do: carries out each action, and feeds
back what comes of it.  Progress is told when the strategy is woken and at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..choking import Choking
from ..events import (
    Action,
    AuditAtCdn,
    BanPeer,
    BytesDiscarded,
    CancelTransfer,
    CdnAdded,
    DropPartial,
    DropUnaudited,
    Event,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    RequestFromPeer,
    ResourceCompleted,
    ResourceReleased,
    ResourceRequested,
    SourceBlamed,
    TimePassed,
    TransferProgressed,
    WakeAt,
)
from ..integrity import BLOCK_BYTES
from ..mixing import share
from ..model import Kind, ResourceKey
from ..policy import Policy
from .audits import Audits
from .flows import Link
from .neighbours import Neighbours
from .outcome import ViewerOutcome
from .player import Player
from .scenario import Behaviour, ViewerSpec
from .transfer import CdnTransfer, PeerTransfer, Transfer

if TYPE_CHECKING:
    from .world import StrategyMaker, World

__all__ = ["Viewer"]

_LIVE_LAG = 3  # segments behind the newest (RFC 8216, 6.3.3)
_LOOK_US = 50_000  # a player's timer
_RETRY_US = 1_000_000  # a player asks again after an error
_PART_OF_PLAYLIST_RTTS = 4  # connect, TLS, request, and the second playlist


class Viewer:
    __slots__ = (
        "_armed_us",
        "_busy_bytes",
        "_busy_since_us",
        "_busy_us",
        "_connected",
        "_is_behind",
        "_line_rate",
        "_moving",
        "_player_wake",
        "_policy",
        "_wake_us",
        "_wrong",
        "audits",
        "choking",
        "down",
        "held",
        "is_here",
        "neighbours",
        "outcome",
        "parts",
        "place",
        "player",
        "rtt_us",
        "spec",
        "strategy",
        "transfers",
        "up",
        "uploads",
        "verifies",
        "world",
    )

    def __init__(self, world: World, place: int, spec: ViewerSpec, make: StrategyMaker) -> None:
        self.world = world
        self.place = place
        self.spec = spec
        self.rtt_us = spec.rtt_us
        self.down = Link(f"down {place}", spec.down if spec.trace is None else spec.trace.at(0))
        self.up = Link(f"up {place}", spec.up)
        self.player = Player(world.scenario.stream, spec.buffer_us)
        self.strategy = make(world.scenario, place)
        self._policy = self.strategy if isinstance(self.strategy, Policy) else None  # called more directly, as C
        looks = bool(getattr(self.strategy, "verifies", True))
        self.verifies = looks and world.scenario.hashes
        self.audits = Audits(self) if looks and not world.scenario.hashes else None
        self.outcome = ViewerOutcome(viewer=place, present_us=spec.present_us(world.scenario.length_us))
        self.is_here = False
        self.transfers: dict[int, Transfer] = {}
        self.uploads: dict[int, PeerTransfer] = {}  # by identity, in order of beginning
        self.choking = Choking()
        self.held: dict[ResourceKey, bool] = {}  # whether it is right
        self.parts: dict[ResourceKey, list[Transfer]] = {}
        self._wrong: dict[ResourceKey, tuple[int, int]] = {}  # of what is held and is not right
        self.neighbours = Neighbours(self)
        self._connected: dict[str, None] = {}  # CDNs
        self._is_behind = False  # something was noted of which what follows is still to be decided
        self._wake_us = 0  # when the strategy is to be woken
        self._armed_us: int | None = None  # the next moment at which that is looked at
        self._player_wake = 0
        self._moving = 0  # flows from CDNs on its line down
        self._busy_since_us = 0
        self._busy_us = self._busy_bytes = 0  # since the player was last told of the line's rate
        self._line_rate: float | None = None

    def name_in(self, rendition: int) -> str:
        """What the peers of that swarm call it."""
        return f"v{self.place}.{rendition}"

    # --- coming and going

    def arrive(self) -> None:
        self.is_here = True
        world, stream = self.world, self.world.scenario.stream
        for cdn in world.cdns.values():
            self.feed(CdnAdded(cdn.spec.name, cdn.spec.weight, cdn.spec.price_per_gb))
        rtt_us = self.spec.rtt_us + min([cdn.spec.rtt_us for cdn in world.cdns.values()])
        world.at(world.now_us + _PART_OF_PLAYLIST_RTTS * rtt_us, self._begin, ())
        if self.spec.trace is not None:
            self._follow_trace()
        if self.spec.leaves_us is not None:
            world.at(self.spec.leaves_us, self.leave, ())
        for moment_us, segment in self.spec.seeks:
            world.at(moment_us, self._seek, (segment,))
        for moment_us, length_us in self.spec.pauses:
            world.at(moment_us, self._pause, (length_us,))
        if stream.is_live:
            phase_us = int(share(world.scenario.seed, self.place, 7) * stream.duration_us / 2)
            world.at((world.now_us // stream.duration_us + 1) * stream.duration_us + phase_us, self._reload, ())

    def leave(self) -> None:
        if not self.is_here:
            return
        self.finish()
        self.is_here = False
        for transfer in list(self.transfers.values()):
            transfer.stop()
        for upload in list(self.uploads.values()):
            upload.failed("closed")
        self.neighbours.leave()

    def finish(self) -> None:
        """Take the player's figures over."""
        if not self.is_here:
            return
        self.player.tick(self.world.now_us)
        self.outcome.stall_us = self.player.stall_us
        self.outcome.stalls = self.player.stalls
        self.outcome.played_us = self.player.played_us

    def _begin(self) -> None:
        if not self.is_here:
            return
        stream = self.world.scenario.stream
        for rendition in range(len(stream.bitrates)):
            self.feed(self.world.listing(rendition))
        self.player.start(max(0, self.world.available() - _LIVE_LAG) if stream.is_live else 0, self.world.now_us)
        self._play_on()

    def _reload(self) -> None:
        if not self.is_here:
            return
        world = self.world
        self.note(world.listing(self.player.rendition))
        self._play_on()
        self.look()
        world.at(world.now_us + world.scenario.stream.duration_us, self._reload, ())

    def _follow_trace(self) -> None:
        trace = self.spec.trace
        if trace is None or not self.is_here:
            return
        since_us = self.world.now_us - self.spec.arrives_us
        self.world.set_capacity(self.down, trace.at(since_us))
        self.world.at(self.spec.arrives_us + trace.next_us(since_us), self._follow_trace, ())

    # --- the player

    def _play_on(self) -> None:
        """Let the player ask, or look again when it has room."""
        if not self.is_here:
            return
        self.player.tick(self.world.now_us)
        wanted = self.player.next_segment(self.world.available())
        if wanted is None:
            room_us = self.player.room_us()
            if self.player.waiting is None and room_us > 0:
                self._player_wake += 1
                self.world.at(self.world.now_us + max(_LOOK_US, room_us), self._look, (self._player_wake,))
            return
        key = self.world.key(wanted[0], wanted[1])
        self.neighbours.join(key.rendition)
        self.outcome.requests += 1
        self.feed(ResourceRequested(key))
        if key in self.held:
            self.world.at(self.world.now_us, self._hand_over, (key,))

    def _look(self, wake: int) -> None:
        if wake == self._player_wake:
            self._play_on()

    def _ask_again(self, key: ResourceKey) -> None:
        if self.is_here and self.player.waiting == (key.rendition, key.number):
            self.feed(ResourceRequested(key))

    def _hand_over(self, key: ResourceKey) -> None:
        player, stream = self.player, self.world.scenario.stream
        if not self.is_here or player.waiting != (key.rendition, key.number):
            return
        size = stream.size_bytes(key.rendition)
        player.delivered(self.world.now_us, self.line_bytes_per_s(size))
        if self.outcome.startup_us is None and player.is_playing:
            self.outcome.startup_us = self.world.now_us - self.spec.arrives_us
        self.outcome.delivered_bytes += size
        self.outcome.bitrate_us += stream.bitrates[key.rendition] * stream.duration_us
        self.outcome.media_us += stream.duration_us
        if not self.held[key]:
            self.outcome.wrong_bytes += size
        self._play_on()

    def _seek(self, segment: int) -> None:
        if not self.is_here:
            return
        waiting = self.player.waiting
        self.player.start(segment, self.world.now_us)
        if waiting is not None:
            self.feed(ResourceReleased(ResourceKey(waiting[0], Kind.MEDIA, waiting[1])))
        self._play_on()

    def _pause(self, length_us: int) -> None:
        if self.is_here:
            self.player.pause(self.world.now_us, self.world.now_us + length_us)

    # --- the strategy

    def feed(self, event: Event) -> None:
        if not self.is_here:
            return
        if type(event) is not TransferProgressed:
            self._tell_progress()
        self._decide(event)

    def note(self, event: Event) -> None:
        """As `feed`, but more of this moment is to come: another event is fed, or `look` called, before it ends."""
        policy = self._policy
        if policy is None:
            self.feed(event)
        elif self.is_here:
            self._tell_progress()
            self.neighbours.knows_interest = False
            self._is_behind = True
            if policy.note(event, self.world.now_us):
                self.look()

    def look(self) -> None:
        """Decide what follows from all that was noted."""
        if self._is_behind and self.is_here:
            self._decide(TimePassed())

    def progressed(self, transfer: int, byte_count: int, repeated_bytes: int) -> None:
        """Bytes came.  What is to be looked at by now is so by the event that follows, or when its time comes."""
        policy = self._policy
        if policy is None:
            self.feed(TransferProgressed(transfer, byte_count, repeated_bytes=repeated_bytes))
        elif self.is_here and policy.note_progress(transfer, byte_count, repeated_bytes, self.world.now_us):
            self._decide(TimePassed())  # a race is over

    def _decide(self, event: Event) -> None:
        policy = self._policy
        now_us = self.world.now_us
        self.neighbours.knows_interest = self._is_behind = False
        for action in self.strategy.handle(event, now_us) if policy is None else policy.handle(event, now_us):
            self._carry_out(action)

    def hear(self, event: PeerAnnounced) -> None:
        """As `feed`, but that what came is counted only if something may follow: mostly nothing does."""
        policy = self._policy
        if policy is None or policy.interest.heeds(event, self.world.now_us):
            self.feed(event)
        elif self.is_here:
            policy.handle(event, self.world.now_us)  # from which nothing follows

    def _tell_progress(self) -> None:
        """What came until now, before anything else is decided: real bytes come all the time."""
        if self.transfers:
            for transfer in list(self.transfers.values()):
                transfer.tell_progress()

    def _carry_out(self, action: Action) -> None:
        """Not a `match`: see `Policy._take_in`."""
        world = self.world
        if type(action) is WakeAt:
            self._wake_us = action.time_us
            if self._armed_us is None or action.time_us < self._armed_us:
                self._arm(action.time_us)
        elif type(action) is FetchFromCdn:
            first = action.cdn not in self._connected
            self._connected[action.cdn] = None
            cdn = world.cdns[action.cdn]
            self._started(CdnTransfer(self, action.transfer, action.key, action.first_byte, cdn, is_first=first))
        elif type(action) is RequestFromPeer:
            peer = world.viewers[int(action.peer[1:].partition(".")[0])]
            self._started(PeerTransfer(self, action.transfer, action.key, action.first_byte, peer))
        elif type(action) is CancelTransfer:
            self._cancel(action)
        elif type(action) is AuditAtCdn or type(action) is DropUnaudited:
            assert self.audits is not None, "only what is not hashed is audited"
            self.audits.carry_out(action)
        elif type(action) is DropPartial:
            self.discard(action.key, 0)
        elif type(action) is GiveUp:
            self.discard(action.key, 0)
            world.at(world.now_us + _RETRY_US, self._ask_again, (action.key,))
        elif type(action) is BanPeer:
            place, _, rendition = action.peer[1:].partition(".")
            self.neighbours.ban(world.viewers[int(place)], int(rendition))
        else:
            raise TypeError(f"{action!r} is no action that a viewer carries out; events.py names them")

    def _cancel(self, action: CancelTransfer) -> None:
        transfer = self.transfers.get(action.transfer)
        if transfer is None:
            return
        if action.reason == "stalled" and isinstance(transfer, PeerTransfer):
            transfer.refused()
        transfer.stop()
        if isinstance(transfer, CdnTransfer):
            self.neighbours.tell(transfer.key.rendition)

    def _arm(self, time_us: int) -> None:
        """Be called at that moment.  One that is put off is left where it is, and armed anew when it comes."""
        self._armed_us = time_us
        self.world.at(time_us, self._woken, (time_us,))

    def _woken(self, armed_us: int) -> None:
        if armed_us != self._armed_us or not self.is_here:
            return
        self._armed_us = None
        if self._wake_us > armed_us:
            self._arm(self._wake_us)
        else:
            self.feed(TimePassed())

    def _started(self, transfer: Transfer) -> None:
        self.transfers[transfer.number] = transfer
        transfer.parts = self.parts.setdefault(transfer.key, [])
        transfer.parts.append(transfer)
        transfer.begin()
        if isinstance(transfer, CdnTransfer):
            self.neighbours.tell(transfer.key.rendition)

    def choke(self) -> None:
        """An upload began or ended: who only takes waits while there are others."""
        if self.world.scenario.chokes:
            for upload in self.uploads.values():
                upload.choke(self.choking.must_wait(upload.who))

    # --- what transfers tell

    def moves(self, change: int) -> None:
        """A flow from a CDN on the line down begins (1) or ends (-1); peers send less than the line carries."""
        if not self._moving:
            self._busy_since_us = self.world.now_us
        self._moving += change
        if not self._moving:
            self._busy_us += self.world.now_us - self._busy_since_us

    def came(self, byte_count: int) -> None:
        """Bytes of any source."""
        if self._moving:
            self._busy_bytes += byte_count

    def line_bytes_per_s(self, byte_count: int) -> float:
        """What the player measures: bytes over the time in which a CDN sent some.

        A segment out of a store comes at once and tells nothing of the network; all
        policies' players are told of the line instead, so that they choose alike.  So
        does a peer alone, which sends as fast as its own line lets it.
        """
        busy_us = self._busy_us + (self.world.now_us - self._busy_since_us if self._moving else 0)
        if self._line_rate is None or (busy_us and self._busy_bytes >= byte_count // 2):
            self._line_rate = self._busy_bytes * 1_000_000 / max(1_000, busy_us)
            self._busy_us = self._busy_bytes = 0
            self._busy_since_us = self.world.now_us
        return self._line_rate

    def end_bytes(self, transfer: Transfer) -> int:
        """Up to which byte others have brought what this transfer brings."""
        most = 0
        for part in transfer.parts:
            if part is not transfer:
                most = max(most, part.end_bytes())
        return most

    def blamed(self, transfer: Transfer) -> None:
        """Its first block was wrong."""
        keep = transfer.first_byte
        self.discard(transfer.key, keep)
        self.feed(SourceBlamed(transfer.key, transfer.label, keep))

    def completed(self, key: ResourceKey) -> None:
        """All bytes came; blocks are verified as they come, but for those that several sources made."""
        if self.audits is not None and self.audits.is_due(key):
            return
        size = self.world.scenario.stream.size_bytes(key.rendition)
        wrong = None
        for part in self.parts.get(key, ()):
            if part.is_wrong and part.kept_bytes:
                wrong = part
                break
        if wrong is not None and self.verifies:
            # Its source was left in the middle of a block: nobody knows yet whose bytes are wrong.
            keep = wrong.first_byte // BLOCK_BYTES * BLOCK_BYTES
            suspects = tuple([part.label for part in self.parts[key] if part.first_byte < keep + BLOCK_BYTES])
            self.discard(key, keep)
            self.feed(BytesDiscarded(key, suspects, keep))
            return
        left = 0 if key in self.held else size
        is_right = True
        for part in self.parts.pop(key, []):
            part.parts = []  # what is still on its way adds to nothing
            used = min(part.kept_bytes, left)
            left -= used
            self.outcome.wasted_bytes += part.kept_bytes - used
            if part.is_wrong and used and (self.audits is None or self.audits.is_wrong(part)):
                is_right = False
                self._wrong[key] = part.wrong
            if isinstance(part, PeerTransfer):
                self.outcome.peer_bytes += used
            else:
                self.outcome.cdn_bytes += used
        self.held[key] = is_right
        self.note(ResourceCompleted(key, size))
        self.neighbours.hold(key)
        self._hand_over(key)
        self.look()

    def wrong_of(self, key: ResourceKey) -> tuple[int, int]:
        """From and to which byte what this viewer sends of a segment is not right."""
        if self.spec.behaviour is not Behaviour.POLLUTER:
            return self._wrong.get(key, (0, 0))
        size = self.world.scenario.stream.size_bytes(key.rendition)
        length = max(1, int(size * self.spec.changed_share))
        start = int(share(self.world.scenario.seed, self.place, key.number, 23) * (size - length + 1))
        return start, start + length

    def discard(self, key: ResourceKey, keep_bytes: int) -> None:
        """What came of it from there on is thrown away."""
        for part in self.parts.get(key, []):
            kept = max(0, min(part.kept_bytes, keep_bytes - part.first_byte))
            self.outcome.wasted_bytes += part.kept_bytes - kept
            part.kept_bytes = kept
        if keep_bytes == 0:
            running = [part for part in self.parts.pop(key, []) if part.number in self.transfers]
            if running:
                self.parts[key] = running
            for part in running:
                part.parts = running
