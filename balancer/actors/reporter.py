"""Writes down what happened, and gives it out as a SessionReport.

Everything is told, nothing is asked of others: a slow reader of reports cannot
hold up a delivery.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef, Reply

from ..config import BalancerConfig
from ..formats.cmsd import ServerData
from ..model import ResourceKey, Segment, is_peer
from ..pseudonyms import Pseudonyms
from ..report import PartStory, SegmentStory, SessionReport, SourceState, StoreState
from .messages import Delivered

__all__ = [
    "Accounts",
    "Audited",
    "Completed",
    "Failed",
    "GetReport",
    "Gone",
    "Happened",
    "Lost",
    "Met",
    "PartBegan",
    "PartEnded",
    "PartGrew",
    "Polluted",
    "Proved",
    "Reporter",
    "Requested",
    "ServerSaid",
]


# Whose bytes are known apart; a live session of days meets tens of thousands.  The policy shows fewer past ones.
PEERS_MAX = 1_024
# Of one segment: a player may ask for a dead one for ever, with twelve attempts each time.
PARTS_MAX = 64


class Requested(msgspec.Struct, frozen=True):
    """A reader opened the resource."""

    segment: Segment
    at_us: int
    held_bytes: int | None = None  # in the store: so many


class PartBegan(msgspec.Struct, frozen=True):
    transfer: int
    segment: Segment
    source: str
    first_byte: int
    why: str
    at_us: int


class PartGrew(msgspec.Struct, frozen=True):
    transfer: int
    byte_count: int
    at_us: int


class PartEnded(msgspec.Struct, frozen=True):
    transfer: int
    outcome: str
    reason: str
    at_us: int


class Polluted(msgspec.Struct, frozen=True):
    """Wrong bytes of `source` were caught."""

    key: ResourceKey
    source: str
    at_us: int


class Completed(msgspec.Struct, frozen=True):
    key: ResourceKey
    byte_count: int
    verified: str
    at_us: int


class Proved(msgspec.Struct, frozen=True):
    """Its hash came after it had completed, and is that of its bytes."""

    key: ResourceKey


class Accounts(msgspec.Struct, frozen=True):
    """What each source brought of a completed resource: bytes used, bytes wasted."""

    key: ResourceKey
    bytes_by_source: dict[str, tuple[int, int]]


class Audited(msgspec.Struct, frozen=True):
    """A CDN was asked about what peers sent, and so many bytes of it came."""

    source: str
    byte_count: int


class Failed(msgspec.Struct, frozen=True):
    key: ResourceKey
    error: str
    at_us: int


_COLLECTED = PartBegan | PartGrew | PartEnded | Completed | Failed


class Happened(msgspec.Struct, frozen=True):
    """A line for the log."""

    text: str
    at_us: int


class Lost(msgspec.Struct, frozen=True):
    """Something was dropped, and why."""

    reason: str
    count: int = 1


class Met(msgspec.Struct, frozen=True):
    """A peer with this id is connected; logs give it another name."""

    peer: str


class Gone(msgspec.Struct, frozen=True):
    """It is connected no more."""

    peer: str


class ServerSaid(msgspec.Struct, frozen=True):
    """A source's server said this of itself (CMSD); it replaces what was said before."""

    source: str
    data: ServerData


class GetReport(msgspec.Struct):
    """The session adds what it alone knows, and the store its part; `reply` gets a SessionReport."""

    sources: list[SourceState]
    hashes: str
    is_live: bool
    now_us: int
    reply: Reply
    store: StoreState = msgspec.field(default_factory=StoreState)


class Reporter(Actor[Any]):
    def __init__(self, config: BalancerConfig, url: str, collecting: ActorRef[Any] | None = None) -> None:
        """`collecting` is told of each transfer, and of what became of a segment, as well."""
        self._config = config
        self._collecting = collecting
        self._url = url
        self._began_us: int | None = None
        self._segments: dict[ResourceKey, SegmentStory] = {}
        self._running: dict[int, tuple[SegmentStory, PartStory]] = {}
        self._used: Counter[str] = Counter()
        self._wasted: Counter[str] = Counter()
        self._audited: Counter[str] = Counter()  # of CDNs
        self._peers_known: deque[str] = deque()  # of the two above, in the order in which they came
        self._server_data: dict[str, ServerData] = {}  # by CDN, of which there are few
        self._dropped: Counter[str] = Counter()
        self._log: list[str] = []
        self._pseudonyms = Pseudonyms(here_max=config.peers_max, left_max=PEERS_MAX)

    def on_start(self) -> None:
        if self._began_us is None:
            self._began_us = self.now_us

    def _since(self, at_us: int) -> int:
        return at_us - (self._began_us or 0)

    def receive(self, message: Any) -> None:
        if type(message) is Delivered:  # by its type itself, as in Session.receive
            if (story := self._segments.get(message.key)) is not None:
                story.delivered_bytes += message.byte_count
            return
        if type(message) is Requested:
            self._requested(message)
            return
        if self._collecting is not None and isinstance(message, _COLLECTED):
            self._collecting.tell(message)
        match message:
            case PartGrew(transfer, byte_count, at_us):
                running = self._running.get(transfer)
                if running is not None:
                    part = running[1]
                    part.byte_count += byte_count
                    if part.first_byte_us is None:
                        part.first_byte_us = self._since(at_us)
            case PartBegan():
                self._part_began(message)
            case PartEnded(transfer, outcome, reason, at_us):
                running = self._running.pop(transfer, None)
                if running is not None:
                    part = running[1]
                    part.ended_us = self._since(at_us)
                    # A verdict that came while the source was still sending stands: cancelling it is what follows.
                    if part.outcome == "running":
                        part.outcome, part.reason = outcome, reason
            case Completed(key, byte_count, verified, at_us):
                if (story := self._segments.get(key)) is not None:
                    story.byte_count, story.verified, story.completed_us = byte_count, verified, self._since(at_us)
            case Proved(key):
                if (story := self._segments.get(key)) is not None:
                    story.verified = "segment"
            case Polluted(key, source, at_us):
                self._polluted(key, source, at_us)
            case Accounts(_, accounts):
                for source, (used, wasted) in accounts.items():
                    self._account(source, used, wasted)
            case Audited(source, byte_count):
                self._audited[source] += byte_count
            case Failed(key, error, at_us):
                if (story := self._segments.get(key)) is not None:
                    story.error = error
                self._note(f"{_name(key)} failed: {error}", at_us)
            case Happened(text, at_us):
                self._note(text, at_us)
            case Met(peer):
                self._pseudonyms.meet(peer)
            case Gone(peer):
                self._pseudonyms.leave(peer)
            case ServerSaid(source, data):
                self._server_data[source] = data
            case Lost(reason, count):
                self._dropped[reason] += count
            case GetReport():
                message.reply.set(self._report(message))
            case _:
                raise TypeError(f"the reporter was sent {type(message).__name__}")

    def _requested(self, message: Requested) -> None:
        asked = self._story(message.segment)
        if asked.requested_us is None:
            asked.requested_us = self._since(message.at_us)
        if message.held_bytes is not None and asked.completed_us is None:  # others had left it there
            asked.byte_count, asked.completed_us = message.held_bytes, self._since(message.at_us)
            asked.verified, asked.was_stored = "segment", True

    def _story(self, segment: Segment) -> SegmentStory:
        story = self._segments.get(segment.key)
        if story is None:
            if len(self._segments) >= self._config.report_segments_max:
                # A live session may last for days: the oldest stories go, and are counted.
                del self._segments[next(iter(self._segments))]
                self._dropped["report_segment"] += 1
            key = segment.key
            story = SegmentStory(
                rendition=key.rendition,
                kind=key.kind.value,
                number=key.number,
                uri=segment.uri,
                duration_us=segment.duration_us,
            )
            self._segments[key] = story
        return story

    def _account(self, source: str, used: int, wasted: int) -> None:
        if source not in self._used and is_peer(source):
            self._peers_known.append(source)
            if len(self._peers_known) > PEERS_MAX:
                gone = self._peers_known.popleft()
                del self._used[gone], self._wasted[gone]
                self._dropped["report_peer"] += 1
        self._used[source] += used
        self._wasted[source] += wasted

    def _part_began(self, message: PartBegan) -> None:
        story = self._story(message.segment)
        before = [part for part in story.parts if part.source != message.source and _gave_way(part)]
        if before:
            if not story.failed_over:
                last = before[-1]
                self._note(
                    f"{_name(message.segment.key)} goes on at byte {message.first_byte} from {message.source}"
                    f" after {last.source} ({last.reason})",
                    message.at_us,
                )
            story.failed_over = True
            story.failed_over_in_body = story.failed_over_in_body or message.first_byte > 0
        part = PartStory(
            source=message.source,
            first_byte=message.first_byte,
            started_us=self._since(message.at_us),
            why=message.why,
        )
        story.parts.append(part)
        if len(story.parts) > PARTS_MAX:
            del story.parts[0]
            self._dropped["report_part"] += 1
        self._running[message.transfer] = (story, part)

    def _polluted(self, key: ResourceKey, source: str, at_us: int) -> None:
        story = self._segments.get(key)
        if story is not None:
            story.polluted = True
            for part in reversed(story.parts):
                if part.source == source:
                    part.outcome, part.reason = "wrong", "wrong bytes"
                    break
        self._note(f"{_name(key)}: wrong bytes from {source} were caught", at_us)

    def _note(self, text: str, at_us: int) -> None:
        if not self._config.log_viewers:
            text = self._pseudonyms.apply(text)
        self._log.append(f"{self._since(at_us) / 1e6:8.3f} {text}")
        if len(self._log) > self._config.report_log_lines_max:
            del self._log[0]
            self._dropped["report_log_line"] += 1

    def _report(self, message: GetReport) -> SessionReport:
        delay = self.system.loop_delay.snapshot()
        for source in message.sources:
            source.used_bytes, source.wasted_bytes = self._used[source.name], self._wasted[source.name]
            source.audit_bytes = self._audited[source.name]
            source.cmsd = self._server_data.get(source.name)
        return SessionReport(
            url=self._url,
            elapsed_us=self._since(message.now_us),
            is_live=message.is_live,
            hashes=message.hashes,
            segments=[
                msgspec.structs.replace(story, parts=[msgspec.structs.replace(part) for part in story.parts])
                for story in self._segments.values()
            ],
            sources=message.sources,
            store=message.store,
            loop_delay_p50_us=delay.p50_us,
            loop_delay_p99_us=delay.p99_us,
            loop_delay_max_us=delay.max_us,
            dropped=dict(self._dropped),
            log=list(self._log),
        )


def _gave_way(part: PartStory) -> bool:
    """Whether another source had to go on; what nobody wanted any more, or yet, is no failover, whoever brings it."""
    return part.outcome in {"failed", "cancelled", "wrong"} and part.reason not in {"released", "gone", "yielded"}


def _name(key: ResourceKey) -> str:
    return f"{key.kind.value} {key.rendition}/{key.number}"
