"""One peer's side of the protocol over one channel, as a state machine.

    receive(message, now_us)  ->  events          what the other side said and did
    announce, request, ...    ->  messages        to be sent in this order

Download, what we asked for; one at a time:

    state       request()   cancel_request()   data follows        media          data done        absent
    idle        requested   -                  late                late           late             late
    requested   misuse      idle               receiving (1)       late           late             idle, Absent
    receiving   misuse      idle               violated            DataReceived   idle (2)         idle, Absent

    (1) DataStarted; violated if the size is above the limit, or not that of the range.  How long a segment is that is
        asked for to its end is the other side's word: what it means that hashes say something else, the assembly says
    (2) DataEnded; violated if bytes are missing.  Media beyond the size is violated too
    late: of a transfer that we cancelled, so swallowed and counted; else violated.
          It may be all of the rest: 2.3.1 has handed it to its channel long before
          our cancel arrives (1.9 of 2 MB, measured), and the next answer comes after it.
          Each cancelled request has one answer at most, of no more bytes than were expected:
          violated if data follows twice, or more of them

Upload, what the other side asked for; one at a time, the newest counts:

    state       request (from them)                         cancel                   ours
    none        asked, UploadRequested                      counted                  -
    asked       asked, UploadCancelled + UploadRequested    none, UploadCancelled    begin: sending; refuse: none
    sending     asked, UploadCancelled + UploadRequested    none, UploadCancelled    pieces; end: none

The methods for uploads take the UploadRequested they belong to.  When that is
no longer the one that counts they give nothing, so an upload that learns of
its end late does no harm.

A peer that says more a second than the limits allow is not cut but listened to
less often: after `receive`, hand in its next message no sooner than `pause_us`
later.  An honest one on the same network outruns any limit (2.3.1 asks for a
small segment and announces it every 3 ms, measured), and is slowed by that; one
that floods fills its channel, whose own limit ends it.  Who asks in vain is heard least
often: a request is vain that we refuse, or that hardly a byte is sent for, since it was
cancelled or is for the last few.  It is paid for with the next one.

A peer of ours is told by its greeting (extension.py).  Ranges, hashes, our upload's
state and the reasons of refusals are for such peers alone: to others the methods say
nothing of them, and a range asked of one is misuse.

After ProtocolViolated every method gives nothing; close the channel.  Time-outs,
whom to ask and whether the bytes are right are decided elsewhere.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from . import extension, wire
from .peer_events import (
    Absent,
    Announced,
    ClaimsHeard,
    DataEnded,
    DataReceived,
    DataStarted,
    Greeted,
    PeerEvent,
    ProtocolViolated,
    UploadCancelled,
    UploadRequested,
    UploadStateHeard,
)
from .rates import Rate
from .wire_values import GROUPS_MAX, group_ids

__all__ = [
    "Absent",
    "Announced",
    "ClaimsHeard",
    "DataEnded",
    "DataReceived",
    "DataStarted",
    "Greeted",
    "PeerEvent",
    "PeerLimits",
    "PeerMisuse",
    "PeerProtocol",
    "PeerStatistics",
    "ProtocolViolated",
    "UploadCancelled",
    "UploadRequested",
    "UploadStateHeard",
]

REQUEST_IDS = 1000  # the package draws from 0..999
_IDS_PER_COUNT = 4096  # that many take as long to read and to compare as a message takes to arrive
_VAIN_WEIGHT = 20  # of what nothing follows from: who goes on with it is heard ten times a second
_WORTH_BYTES = 16 * 1024  # of an upload, or all of a smaller segment: less, and to look for it costs more than it gives
CANCELLED_MAX = 64  # cancelled requests whose answers may still come; a peer that is later than that is of no use
CLAIMS_MAX = 1024  # hashes told, of the highest numbers: 16 KiB, and half an hour of 2 s segments
STATES = ("free", "busy", "choked")


class PeerMisuse(RuntimeError):
    """Our own side broke the rules of this module; a bug in the caller."""


class PeerLimits(msgspec.Struct, frozen=True):
    """What one peer may cost us.  Rates allow bursts of two seconds' worth, and then pauses (see above).

    A command and what it makes us answer are half a millisecond of CPU time, most of it WebRTC's, so what a peer
    may say for hours is kept to some percent of one core; what it may say at once is what honest ones do.
    """

    wire: wire.WireLimits = wire.WireLimits()
    segment_bytes_max: int = 256 * 1024 * 1024  # as for CDN bodies: a 60 s segment at 35 Mbit/s
    commands_per_second_max: int = 1000  # of any kind; each is a few microseconds of ours
    # The package announces at every change of its store: some times a second with segments of half a second that come
    # as they are played, and hundreds at once when somebody joins on a fast line.  Each counts once more for every
    # 4,096 ids that it names, since reading 16,000 of them takes 0.7 ms.
    announcements_per_second_max: int = 25
    announcements_at_once_max: int = 1_000
    requests_per_second_max: int = 200  # each is a look into the store; a segment of 90 kB takes 10 ms to send
    # An honest peer asks for what we have announced, and takes it; for what we have let go since then it asks once.
    vain_requests_per_second_max: int = 10
    vain_requests_at_once_max: int = 40


class PeerStatistics(msgspec.Struct):
    """What was passed over, by reason."""

    late_bytes: int = 0  # media of transfers that we had cancelled
    late_commands: int = 0  # answers to requests that we had cancelled, and cancels of uploads that were over
    unknown_commands: int = 0
    ids_not_announced: int = 0  # beyond what one announcement has room for
    claims_not_told: int = 0  # beyond CLAIMS_MAX
    pauses: int = 0  # for commands that came faster than the limits allow; none of them was dropped


class _GivenUp(msgspec.Struct):
    """A request that we gave up, and what may still come of it."""

    most_bytes: int | None  # that its answer may have; None: nobody has said
    has_begun: bool  # its data follows: not once more


class _Download(enum.Enum):
    IDLE = enum.auto()
    REQUESTED = enum.auto()
    RECEIVING = enum.auto()


class PeerProtocol:
    """The protocol with one peer.  See the tables above."""

    def __init__(self, limits: PeerLimits | None = None, *, piece_bytes_max: int = wire.PIECE_BYTES_MAX) -> None:
        """`piece_bytes_max` is what we send at most in one message: the channel's own limit, if that is less."""
        self.limits = limits or PeerLimits()
        self.is_violated = False
        self.pause_us = 0  # how long to wait with the peer's next message
        self._piece_bytes_max = min(piece_bytes_max, wire.PIECE_BYTES_MAX)
        self._decoder = wire.Decoder(self.limits.wire)
        self._statistics = PeerStatistics()
        self._commands = _rate(self.limits.commands_per_second_max)
        self._announcements = Rate(self.limits.announcements_per_second_max, self.limits.announcements_at_once_max)
        self._requests = _rate(self.limits.requests_per_second_max)
        self._in_vain = Rate(self.limits.vain_requests_per_second_max, self.limits.vain_requests_at_once_max)
        self._announced: wire.Announcement | None = None
        self._has_greeted = False  # we have
        self._has_told_claims = False
        self._told_claims: dict[int, bytes] = {}
        self._told_state = self._heard_state = STATES[0]
        # download
        self._state = _Download.IDLE
        self._number = 0
        self._request_id = 0
        self._expected: int | None = None  # bytes still missing, if known
        self._range: tuple[int, int] | None = None  # that was asked for: first byte, and the one after the last
        self._remaining = 0  # bytes still to come while receiving
        self._cancelled: dict[tuple[int, int], _GivenUp] = {}  # by number and request id, the oldest first
        self._late_remaining = 0  # bytes that a cancelled transfer may still send
        # upload
        self._vain = 0  # requests that hardly anything was sent for, since the last one
        self._upload: UploadRequested | None = None
        self._upload_remaining: int | None = None  # None until it began
        self._upload_sent = 0
        self._upload_worth = 1  # from so many bytes on it was not asked for in vain

    def statistics(self) -> PeerStatistics:
        return msgspec.structs.replace(self._statistics)

    @property
    def is_downloading(self) -> bool:
        """A request is out: another one would be misuse."""
        return self._state is not _Download.IDLE

    @property
    def piece_bytes_max(self) -> int:
        """The largest message that media are cut into."""
        return self._piece_bytes_max

    @property
    def is_greeted(self) -> bool:
        """The other side is a peer of ours."""
        return self._decoder.is_greeted

    # --- what we say -------------------------------------------------------

    def announce(self, held: Iterable[int], fetching: Iterable[int]) -> list[bytes]:
        """Tell what we hold; nothing if that is what we told last.

        The highest numbers count when there are more than one announcement has
        room for (255 blocks of 256); the rest are counted.
        """
        announcement = wire.Announcement(self._announceable(held), self._announceable(fetching))
        if self.is_violated or announcement == self._announced:
            return []
        self._announced = announcement
        return self._encode(announcement)

    def greet(self) -> list[bytes]:
        """Say that we are one of ours; the first thing to be said, and once."""
        if self.is_violated or self._has_greeted:
            return []
        self._has_greeted = True
        return self._encode(extension.Greeting())

    def tell_claims(self, claims: Mapping[int, bytes]) -> list[bytes]:
        """Tell the hashes of what we hold, as far as they are news: the first 16 bytes of each SHA-256.

        The first time something is said in any case, since the other side may wait for it.
        """
        if self.is_violated or not self.is_greeted:
            return []
        kept = sorted(claims)[-CLAIMS_MAX:]
        self._statistics.claims_not_told += len(claims) - len(kept)
        news = [number for number in kept if self._told_claims.get(number) != claims[number]]
        self._told_claims = {number: claims[number] for number in kept}
        messages: list[bytes] = [] if self._has_told_claims or news else self._encode(extension.Hashes((), ()))
        self._has_told_claims = True
        for at in range(0, len(news), extension.HASHES_MAX):
            numbers = tuple(news[at : at + extension.HASHES_MAX])
            messages += self._encode(extension.Hashes(numbers, tuple(claims[number] for number in numbers)))
        return messages

    def tell_state(self, state: str) -> list[bytes]:
        """Tell whether a request would be served now, if that has changed: free, busy or choked."""
        if self.is_violated or not self.is_greeted or state == self._told_state:
            return []
        self._told_state = state
        return self._encode(extension.UploadState(STATES.index(state)))

    def request(
        self,
        number: int,
        first_byte: int,
        request_id: int,
        now_us: int,
        *,
        expected_bytes: int | None = None,
        end_byte: int | None = None,
    ) -> list[bytes]:
        """Ask for a segment from `first_byte` on; up to `end_byte` of a peer of ours.

        `request_id` (0..999) is a proposal: the next one is taken while an answer
        to it may still be under way.  `expected_bytes`, what is missing from `first_byte`
        on, is the most that is swallowed once the request is cancelled.  PeerMisuse
        while another request is out, and for a range asked of somebody else's peer.
        """
        if self.is_downloading:
            raise PeerMisuse(f"segment {self._number} is being asked for; one at a time: wait, or cancel_request()")
        if end_byte is not None and (end_byte <= first_byte or not self.is_greeted):
            raise PeerMisuse(f"bytes {first_byte} to {end_byte} of segment {number}: none, or none of our peers")
        if self.is_violated:
            return []
        used = {cancelled for _, cancelled in self._cancelled}
        request_id %= REQUEST_IDS
        while request_id in used:
            request_id = (request_id + 1) % REQUEST_IDS
        messages = self._encode(wire.Request(number, request_id, first_byte, end_byte))
        self._state = _Download.REQUESTED
        self._number, self._request_id, self._expected = number, request_id, expected_bytes
        self._range = None if end_byte is None else (first_byte, end_byte)
        return messages

    def cancel_request(self) -> list[bytes]:
        """Give the request up.  What still comes of it is swallowed; another request may be made at once."""
        if self.is_violated or not self.is_downloading:
            return []
        has_begun = self._state is _Download.RECEIVING
        if has_begun:
            self._late_remaining = self._remaining
        most_bytes = self._expected if self._range is None else self._range[1] - self._range[0]
        self._cancelled[self._number, self._request_id] = _GivenUp(most_bytes, has_begun)
        if len(self._cancelled) > CANCELLED_MAX:
            del self._cancelled[next(iter(self._cancelled))]
        self._state = _Download.IDLE
        return self._encode(wire.Cancel(self._number, self._request_id))

    def begin_upload(self, request: UploadRequested, byte_count: int, *, total_bytes: int | None = None) -> list[bytes]:
        """Say that `byte_count` bytes follow: all from the requested byte on, or the range.

        `total_bytes` of the segment are to be told to who asked for a range; others are not told.  An upload is in
        vain that sends less than 16 KiB, and less than these.
        """
        if not self.is_wanted(request):
            return []
        if self._upload_remaining is not None:
            raise PeerMisuse(f"the upload of segment {request.number} has begun already")
        self._upload_worth = min(_WORTH_BYTES, max(1, byte_count if total_bytes is None else total_bytes))
        if request.end_byte is None:
            total_bytes = None
        messages = self._encode(wire.DataFollows(request.number, byte_count, request.request_id, total_bytes))
        self._upload_remaining = byte_count
        return messages

    def upload_pieces(self, request: UploadRequested, data: bytes) -> Iterator[bytes]:
        """Cut media into messages, one at a time; ends early once the upload is no longer wanted.

        Take the next piece when the channel has room for it.
        """
        for piece in wire.split_media(data, piece_bytes_max=self._piece_bytes_max):
            if not self.is_wanted(request):
                return
            remaining = self._upload_remaining
            if remaining is None or len(piece) > remaining:
                raise PeerMisuse(f"{len(piece)} bytes of segment {request.number} where {remaining} were promised")
            self._upload_remaining = remaining - len(piece)
            self._upload_sent += len(piece)
            yield piece

    def end_upload(self, request: UploadRequested) -> list[bytes]:
        """Say that all was sent.  PeerMisuse if it was not."""
        if not self.is_wanted(request):
            return []
        if self._upload_remaining != 0:
            raise PeerMisuse(f"segment {request.number} ends with {self._upload_remaining} bytes unsent")
        self._end_upload()
        return self._encode(wire.DataDone(request.number, request.request_id))

    def refuse_upload(self, request: UploadRequested, reason: str = "absent") -> list[bytes]:
        """Say that we do not give it, and to a peer of ours why.

        PeerMisuse once the upload has begun: then only closing is left.
        """
        if not self.is_wanted(request):
            return []
        if self._upload_remaining is not None:
            raise PeerMisuse(f"the upload of segment {request.number} has begun; end it, or close the channel")
        self._end_upload()
        why = extension.Refusal.number(reason) if self.is_greeted else 0
        return self._encode(wire.Absent(request.number, request.request_id, why))

    def is_wanted(self, request: UploadRequested) -> bool:
        """Whether this very request still counts.  A later one with equal values is another."""
        return self._upload is request and not self.is_violated

    # --- what they say -----------------------------------------------------

    def receive(self, message: bytes, now_us: int) -> list[PeerEvent]:
        """What a message of the channel means, in order.  Never raises for what the other side did.

        Sets `pause_us`.
        """
        self.pause_us = 0
        if self.is_violated:
            return []
        try:
            said = self._decoder.receive(message)
        except wire.WireError as error:
            return self._violate(f"wire_{error.reason}", str(error))
        if isinstance(said, wire.Media):
            return self._media(said.data, now_us)
        self._pause(self._commands.take(now_us))  # pieces of commands count too
        match said:
            case None:
                return []
            case wire.Announcement():
                weight = 1 + (len(said.held) + len(said.fetching)) // _IDS_PER_COUNT
                self._pause(self._announcements.take(now_us, weight))
                return [Announced(frozenset(said.held), frozenset(said.fetching))]
            case wire.Request():
                return self._requested(said, now_us)
            case wire.Cancel():
                return self._upload_cancelled(said, now_us)
            case wire.DataFollows():
                return self._data_follows(said)
            case wire.DataDone():
                return self._data_done(said)
            case wire.Absent():
                return self._absent(said)
            case extension.Greeting(version) if version and not self.is_greeted:
                self._decoder.is_greeted = True
                return [Greeted(min(version, extension.VERSION))]
            case extension.Hashes(numbers, claims):
                self._pause(self._announcements.take(now_us, 1 + len(numbers) // _IDS_PER_COUNT))
                return [ClaimsHeard(dict(zip(numbers, claims, strict=True)))]
            case extension.UploadState(state) if state < len(STATES):
                return self._state_told(STATES[state], now_us)
            case wire.UnknownCommand() | extension.Greeting() | extension.UploadState():
                self._statistics.unknown_commands += 1
                self._pause(self._commands.take(now_us, _VAIN_WEIGHT))
                return []

    def _requested(self, said: wire.Request, now_us: int) -> list[PeerEvent]:
        events: list[PeerEvent] = []
        if self._upload is not None:
            events.append(UploadCancelled(self._upload.request_id))
            self._end_upload()
        self._pause(self._requests.take(now_us))
        if self._vain:
            self._pause(self._in_vain.take(now_us, self._vain))
            self._vain = 0
        self._upload = UploadRequested(said.number, said.first_byte, said.request_id, said.end_byte)
        events.append(self._upload)
        return events

    def _state_told(self, state: str, now_us: int) -> list[PeerEvent]:
        self._pause(self._announcements.take(now_us))
        if state == self._heard_state:
            return []
        self._heard_state = state
        return [UploadStateHeard(state)]

    def _upload_cancelled(self, said: wire.Cancel, now_us: int) -> list[PeerEvent]:
        if self._upload is None or self._upload.request_id != said.request_id:
            self._statistics.late_commands += 1  # it crossed our last message
            self._pause(self._commands.take(now_us, _VAIN_WEIGHT))
            return []
        self._end_upload()
        return [UploadCancelled(said.request_id)]

    def _end_upload(self) -> None:
        """Whoever ended it, and however."""
        self._vain += self._upload_sent < self._upload_worth
        self._upload = self._upload_remaining = None
        self._upload_sent, self._upload_worth = 0, 1

    def _data_follows(self, said: wire.DataFollows) -> list[PeerEvent]:
        most_bytes = max(said.byte_count, said.total_bytes or 0)
        if most_bytes > self.limits.segment_bytes_max:
            limit = self.limits.segment_bytes_max
            return self._violate("size", f"{most_bytes} bytes of segment {said.number}; the limit is {limit}")
        if self._state is _Download.RECEIVING:
            return self._violate("unexpected_data", f"segment {said.number} began inside segment {self._number}")
        if not self._is_current(said):
            return self._late_data_follows(said)
        if self._range is not None:
            first_byte, end_byte = self._range
            if said.total_bytes is None:
                return self._violate("size", f"a range of segment {said.number}, and not how long all of it is")
            expected = min(end_byte, said.total_bytes) - first_byte
            if said.byte_count != expected:
                detail = f"{said.byte_count} bytes of a range of segment {said.number} where {expected} were asked for"
                return self._violate("size", detail)
        self._state = _Download.RECEIVING
        self._remaining = said.byte_count
        self._late_remaining = 0
        return [DataStarted(said.number, said.byte_count, None if self._range is None else said.total_bytes)]

    def _late_data_follows(self, said: wire.DataFollows) -> list[PeerEvent]:
        """The answer to a request that we cancelled begins: it crossed our cancel.

        Nobody waits for it, so nothing would ever end one that came again and again.
        """
        given = self._late(said)
        if given is None:
            return self._violate("unexpected_data", f"segment {said.number} was not asked for")
        if given.has_begun:
            return self._violate("unexpected_data", f"segment {said.number}, which we cancelled, began twice")
        if given.most_bytes is not None and said.byte_count > given.most_bytes:
            detail = f"{said.byte_count} bytes of cancelled segment {said.number} where {given.most_bytes} were missing"
            return self._violate("size", detail)
        given.has_begun = True
        self._late_remaining = said.byte_count
        return []

    def _media(self, data: bytes, now_us: int) -> list[PeerEvent]:
        if self._state is _Download.RECEIVING:
            if len(data) > self._remaining:
                detail = f"{len(data)} bytes where {self._remaining} of segment {self._number} were left"
                return self._violate("too_many_bytes", detail)
            self._remaining -= len(data)
            return [DataReceived(self._number, data)]
        if len(data) > self._late_remaining:
            return self._violate("unexpected_data", f"{len(data)} bytes of no transfer")
        self._late_remaining -= len(data)
        self._statistics.late_bytes += len(data)
        self._pause(self._commands.take(now_us))  # nobody looks how fast these come, and each may be a byte
        return []

    def _data_done(self, said: wire.DataDone) -> list[PeerEvent]:
        if self._state is not _Download.RECEIVING or not self._is_current(said):
            return self._late_answer(said)
        if self._remaining:
            return self._violate("too_few_bytes", f"segment {self._number} ended {self._remaining} bytes early")
        self._state = _Download.IDLE
        return [DataEnded(self._number)]

    def _absent(self, said: wire.Absent) -> list[PeerEvent]:
        if not self._is_current(said):
            return self._late_answer(said)
        self._state = _Download.IDLE
        return [Absent(self._number, extension.Refusal.word(said.why))]

    def _late_answer(self, said: wire.DataDone | wire.Absent) -> list[PeerEvent]:
        """The last word on a cancelled request; anything else is a violation."""
        if self._late(said) is None:
            kind = type(said).__name__
            return self._violate("wrong_id", f"{kind} for segment {said.number}, request {said.request_id}")
        del self._cancelled[said.number, said.request_id]
        if self._state is not _Download.RECEIVING:
            self._late_remaining = 0
        return []

    def _is_current(self, said: wire.DataFollows | wire.DataDone | wire.Absent) -> bool:
        return self.is_downloading and (said.number, said.request_id) == (self._number, self._request_id)

    def _late(self, said: wire.DataFollows | wire.DataDone | wire.Absent) -> _GivenUp | None:
        """The cancelled request that it answers."""
        given = self._cancelled.get((said.number, said.request_id))
        if given is not None:
            self._statistics.late_commands += 1
        return given

    # --- helpers -----------------------------------------------------------

    def _violate(self, reason: str, detail: str) -> list[PeerEvent]:
        self.is_violated = True
        self._state = _Download.IDLE
        self._upload = self._upload_remaining = None
        return [ProtocolViolated(reason, detail)]

    def _pause(self, pause_us: int) -> None:
        self.pause_us = max(self.pause_us, pause_us)
        self._statistics.pauses += pause_us > 0

    def _encode(self, command: wire.Command) -> list[bytes]:
        return wire.encode(command, piece_bytes_max=self._piece_bytes_max)

    def _announceable(self, ids: Iterable[int]) -> tuple[int, ...]:
        wanted = sorted(set(ids))
        groups = group_ids(wanted[-self.limits.wire.ids_max :])[-GROUPS_MAX:]
        kept = tuple(common | low for common, lows in groups for low in lows)
        self._statistics.ids_not_announced += len(wanted) - len(kept)
        return kept


def _rate(per_second: int) -> Rate:
    return Rate(per_second, 2 * per_second)
