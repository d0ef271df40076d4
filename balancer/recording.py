"""A session's decisions, written down as they are made, and made again from what was written.

    RecordedPolicy   a Policy that notes each event, its time and the actions that followed
    Recording        the lines, up to a limit
    Compressed       where they go if they are kept in memory
    replay           the same events through a fresh Policy: the first action that differs, or none
    lines_of         the lines of a file that may be compressed

What happened in a page, or on somebody's machine, is decided again under a debugger:
the policy has no clock, no randomness and no input but its events.

A recording is JSON lines: a header with configuration and seed, then one line for
each event.  It holds no media, no URLs and no addresses: URIs are left out, and what
tells machines apart is replaced by salted hashes that the policy treats alike.

The limit cuts the end off and not the beginning, as a ring would: each decision
follows from the state that all events before it made, and that state, of compiled
objects, is written nowhere.  The last line then says why, how many events are missing
and from when to when.  A page that is to show what happens later is loaded anew.

Cost: about 2 us an event, and 100 to 300 bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import ipaddress
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeVar

import msgspec

from .config import BalancerConfig
from .errors import RecordingError
from .events import Action, Event, PeerJoined, SegmentsListed
from .holders import has_global_address, holder_of
from .policy import Policy

__all__ = [
    "BYTES_MAX",
    "Compressed",
    "Difference",
    "RecordedPolicy",
    "Recording",
    "Replayed",
    "lines_of",
    "replay",
]

T = TypeVar("T")

VERSION = 1
BYTES_MAX = 64 * 1024 * 1024  # half a day of one viewer; more would fill a disk that nobody looks at
_LINE_BYTES_MAX = 16 * 1024 * 1024  # a playlist of the most segments that a session takes is a quarter of it
_GLOBAL_PREFIX = ipaddress.IPv6Address("2a00::").packed[:2]  # any network of public addresses
_HOST_BYTES = 8


class Header(msgspec.Struct, frozen=True, tag="session"):
    config: BalancerConfig
    seed: int
    version: int = VERSION


class Entry(msgspec.Struct, frozen=True, tag="event"):
    now_us: int
    event: Event
    actions: tuple[Action, ...]


class Cut(msgspec.Struct, frozen=True, tag="cut"):
    """The limit was reached."""

    events_lost: int
    from_us: int | None = None  # when the first of them was, and the last
    to_us: int | None = None
    why: str = ""


class Recording:
    """Where the lines go.  `write` gets one whole line at a time; it must not wait."""

    def __init__(self, write: Callable[[bytes], object], *, salt: bytes, bytes_max: int = BYTES_MAX) -> None:
        """`salt` hides what is hashed from who would try all addresses: random bytes, never written down."""
        self.events = 0
        self.events_lost = 0
        self._lost_us = (0, 0)  # when the first and the last of them were
        self._write = write
        self._bytes_max = bytes_max
        self._left = bytes_max
        self._salt = salt
        self._encode = msgspec.json.Encoder().encode

    def begin(self, config: BalancerConfig, seed: int) -> None:
        self._put(Header(config, seed))

    def note(self, event: Event, now_us: int, actions: list[Action]) -> None:
        """Write an event down, unless one before it did not fit."""
        if self.events_lost or not self._put(Entry(now_us, self._without_names(event), tuple(actions))):
            self._lost_us = (self._lost_us[0] if self.events_lost else now_us, now_us)
            self.events_lost += 1
        else:
            self.events += 1

    def end(self) -> None:
        """Say what is missing, if anything is."""
        if self.events_lost:
            self._write(self.last_line())

    def last_line(self) -> bytes:
        """What would end the recording now: a line if something is missing, else nothing."""
        if not self.events_lost:
            return b""
        why = f"the first {self._bytes_max} bytes are kept, since each decision follows from all before it"
        return self._encode(Cut(self.events_lost, *self._lost_us, why)) + b"\n"

    def _put(self, line: Header | Entry) -> bool:
        data = self._encode(line) + b"\n"
        if len(data) > self._left:
            return False
        self._left -= len(data)
        self._write(data)
        return True

    def _without_names(self, event: Event) -> Event:
        if isinstance(event, SegmentsListed):
            segments = tuple(msgspec.structs.replace(segment, uri="") for segment in event.segments)
            return msgspec.structs.replace(event, segments=segments)
        if isinstance(event, PeerJoined):
            fingerprint = None if event.fingerprint is None else self._hashed(event.fingerprint).hex()
            address = None if event.address is None else self._address(event.address)
            return msgspec.structs.replace(event, fingerprint=fingerprint, address=address)
        return event

    def _hashed(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._salt, digest_size=14).digest()

    def _address(self, address: str) -> str:
        """Another address, public where this one is: reputation tells those apart that many machines share."""
        holder = holder_of(address)
        digest = self._hashed(holder)
        if not has_global_address(holder):
            return f"private-{digest.hex()}"
        host = self._hashed(address)[:_HOST_BYTES]  # in a /64 that is the holder's alone, as the real one was
        return str(ipaddress.IPv6Address(_GLOBAL_PREFIX + digest[: 14 - _HOST_BYTES] + host))


class Compressed:
    """Keeps what a Recording writes in memory, as gzip: a fifteenth of it, for 1 us more an event."""

    def __init__(self) -> None:
        # The fastest level: higher ones leave a seventh less of the same lines.
        self._squeeze = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        self._parts: list[bytes] = []

    def write(self, line: bytes) -> None:
        part = self._squeeze.compress(line)
        if part:
            self._parts.append(part)

    def file(self, last_line: bytes = b"") -> bytes:
        """A gzip file of all that was written so far, and of `last_line`; writing may go on."""
        squeeze = self._squeeze.copy()
        return b"".join((*self._parts, squeeze.compress(last_line), squeeze.flush()))


class RecordedPolicy(Policy):
    """A Policy whose events and actions are noted."""

    def __init__(self, config: BalancerConfig, seed: int, recording: Recording) -> None:
        super().__init__(config, seed)
        self._recording = recording
        recording.begin(config, seed)

    def handle(self, event: Event, now_us: int) -> list[Action]:
        actions = super().handle(event, now_us)
        self._recording.note(event, now_us, actions)
        return actions


class Difference(msgspec.Struct, frozen=True):
    """Where a replay went another way."""

    line: int  # of the recording, from 1
    now_us: int
    event: Event
    recorded: tuple[Action, ...]
    replayed: tuple[Action, ...]


class Replayed(msgspec.Struct, frozen=True):
    events: int
    actions: int
    events_lost: int  # that the recording had no room for
    difference: Difference | None
    lost_us: tuple[int, int] | None = None  # when the first and the last of them were, if it says so
    why_lost: str = ""


def replay(lines: Iterable[bytes], *, before_each: Callable[[Event, int], object] | None = None) -> Replayed:
    """Decide again what was decided, up to the first difference.

    `before_each(event, now_us)` is called ahead of each event: the place for a breakpoint.
    RecordingError for what is no recording, or one of another version, with its line.
    """
    rows = enumerate(lines, start=1)
    policy = _fresh(rows)
    decode = msgspec.json.Decoder(Entry | Cut).decode
    events = actions = 0
    cut = Cut(0)
    for number, line in rows:
        entry = _decoded(decode, line, number)
        if isinstance(entry, Cut):
            cut = entry
            continue
        if before_each is not None:
            before_each(entry.event, entry.now_us)
        again = tuple(policy.handle(entry.event, entry.now_us))
        events += 1
        actions += len(again)
        if again != entry.actions:
            difference = Difference(number, entry.now_us, entry.event, entry.actions, again)
            return Replayed(events, actions, cut.events_lost, difference)
    lost_us = None if cut.from_us is None or cut.to_us is None else (cut.from_us, cut.to_us)
    return Replayed(events, actions, cut.events_lost, None, lost_us, cut.why)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a recording, which may be compressed with gzip.  RecordingError for more than is ever written."""
    magic = file.read(2)
    file.seek(0)
    left = BYTES_MAX + _LINE_BYTES_MAX
    number = 0
    with gzip.GzipFile(fileobj=file) if magic == b"\x1f\x8b" else file as lines:
        while True:
            number += 1
            try:
                line = lines.readline(_LINE_BYTES_MAX + 1)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise RecordingError(f"line {number}: {error}; was all of the file copied?") from error
            if not line:
                return
            left -= len(line)
            if len(line) > _LINE_BYTES_MAX:
                raise RecordingError(f"line {number}: longer than the {_LINE_BYTES_MAX} bytes that are read at most")
            if left < 0:
                raise RecordingError(f"line {number}: no recording has more than {BYTES_MAX} bytes")
            yield line


def _fresh(rows: Iterable[tuple[int, bytes]]) -> Policy:
    for number, line in rows:
        header = _decoded(msgspec.json.Decoder(Header).decode, line, number)
        if header.version != VERSION:
            raise RecordingError(
                f"line {number}: a recording of version {header.version}, and this reads {VERSION}; "
                "replay it with the release that wrote it"
            )
        return Policy(header.config, header.seed)
    raise RecordingError("the recording is empty; was the session ended before it began?")


def _decoded(decode: Callable[[bytes], T], line: bytes, number: int) -> T:
    if len(line) > _LINE_BYTES_MAX:
        raise RecordingError(f"line {number}: {len(line)} bytes, and at most {_LINE_BYTES_MAX} are read")
    try:
        return decode(line)
    except msgspec.DecodeError as error:
        raise RecordingError(f"line {number}: {error}; is this a file that --record wrote?") from error
