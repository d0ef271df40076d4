"""One peer: runs its protocol over its channel, in both directions.

Decides nothing about downloads: the session says what to request.  Uploads are
answered from the store, one at a time as the protocol has it, and only with
resources whose hashes were right.

A peer that reads slowly costs us nothing but its own upload: of announcements only
the newest waits for it.  One that takes nothing at all for `peer_send_limit_us` is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef, AskTimedOut, TaskHandle
from shoal.transports.errors import ChannelClosed, TransportError
from shoal.transports.interface import Channel

from ..config import BalancerConfig
from ..errors import UnknownResource
from ..events import (
    PeerAnnounced,
    PeerGreeted,
    PeerLeft,
    PeerUploadState,
    TransferEnded,
    TransferFailed,
    TransferStarted,
)
from ..model import Kind, ResourceKey
from ..peer import (
    Absent,
    Announced,
    ClaimsHeard,
    DataEnded,
    DataReceived,
    DataStarted,
    Greeted,
    PeerEvent,
    PeerLimits,
    PeerProtocol,
    ProtocolViolated,
    UploadCancelled,
    UploadRequested,
    UploadStateHeard,
)
from ..repeats import Repeats
from ..uploads import Turn
from .messages import (
    TAKE_IN_TIMEOUT_S,
    Announce,
    Cancel,
    Claimed,
    Close,
    GetShareable,
    MayBegin,
    MayUpload,
    Noted,
    Request,
    TransferData,
    Uploaded,
)
from .reporter import Lost

__all__ = ["Peer"]

CHOKED_S = 0.1  # between two looks whether it is a free rider's turn
CLAIMS_LIMIT_US = 1_000_000  # a round trip, and a busy loop at the other end


class _Received(msgspec.Struct, frozen=True):
    message: bytes


class _ClaimsLate(msgspec.Struct, frozen=True):
    pass


class _Closed(msgspec.Struct, frozen=True):
    detail: str
    is_fault: bool = False  # of the peer


class Peer(Actor[Any]):
    def __init__(
        self,
        session: ActorRef[Any],
        storage: ActorRef[Any],
        config: BalancerConfig,
        *,
        peer: str,
        rendition: int,
        channel: Channel,
        tamper: Callable[[ResourceKey, bytes], bytes] | None = None,
    ) -> None:
        self._session = session
        self._storage = storage
        self._config = config
        self._peer = peer
        self._rendition = rendition
        self._channel = channel
        self._tamper = tamper
        self._protocol = PeerProtocol(
            PeerLimits(segment_bytes_max=config.segment_bytes_max), piece_bytes_max=channel.max_message_bytes
        )
        self._transfer: int | None = None  # the one download that the protocol allows
        self._upload: TaskHandle | None = None
        self._uploading = asyncio.Lock()
        self._sent_bytes = 0  # of the upload under way
        self._repeats = Repeats(config.upload_times_max)
        self._is_lost = False  # nothing can be sent any more
        self._request_count = 0
        self._sending = asyncio.Lock()  # a command may be several messages, and nothing may come between them
        self._is_split = False  # such a command is being sent
        self._to_announce: Announce | None = None
        self._announced: Announce | None = None
        self._awaits_claims = False
        self._held_back: PeerAnnounced | None = None
        self._is_announcing = False
        self._is_hasty = False  # it has said more than the limits allow
        self._told_lost: dict[str, int] = {}  # what the protocol passed over, as it was told last

    def on_start(self) -> None:
        self.start_task(self._listen(), name="listen")

    async def on_stop(self, reason: object) -> None:
        await self._channel.close("stopped")

    async def _listen(self) -> None:
        try:
            while True:
                # Asked, so that the next message is taken from the channel once this one was handled.
                await self.ref.ask(_Received(await self._channel.receive()), timeout_s=TAKE_IN_TIMEOUT_S)
                if self._protocol.pause_us:
                    await asyncio.sleep(self._protocol.pause_us / 1e6)
        except ChannelClosed as error:
            await self.ref.send(_Closed(error.detail, error.is_fault))

    async def receive(self, message: Any) -> None:
        match message:
            case _Received(data):
                for event in self._protocol.receive(data, self.now_us):
                    await self._on_event(event)
                if self._protocol.pause_us and not self._is_hasty:
                    self._is_hasty = True
                    await self._session.send(Noted(f"{self._peer} says more than the limits allow; it is slowed"))
            case Announce():
                self._announce_soon(message)
            case Request():
                await self._request(message)
            case Cancel(transfer):
                if transfer == self._transfer:
                    self._transfer = None
                    await self._send(self._protocol.cancel_request(), urgent=True)
            case Close(reason):
                await self._leave(reason)
            case _ClaimsLate():
                await self._hear_held_back()
            case _Closed(detail, is_fault):
                await self._leave(detail, is_fault=is_fault)
            case _:
                raise TypeError(f"a peer actor was sent {type(message).__name__}")

    def _announce_soon(self, newest: Announce) -> None:
        self._to_announce = newest
        if not self._is_announcing:
            self._is_announcing = True
            self.start_task(self._announce(), name="announce")

    async def _announce(self) -> None:
        """Beside the handlers: announcements come as fast as our store changes, whether the peer reads them or not."""
        await self._send(self._protocol.greet())
        while self._to_announce is not None:
            newest, self._to_announce = self._to_announce, None
            self._announced = newest
            await self._send(self._protocol.tell_claims(newest.claims))  # first, so that it knows what is announced
            await self._send(self._protocol.announce(newest.held, newest.fetching))
            await self._send(self._protocol.tell_state(newest.state))
        self._is_announcing = False

    async def _request(self, request: Request) -> None:
        if self._protocol.is_downloading:
            # The bytes of the last one are complete and right, and its closing command is still on the way.
            await self._send(self._protocol.cancel_request(), urgent=True)
        await self._tell_lost()
        self._transfer = request.transfer
        # Any id below a thousand will do; counting makes a late answer tell itself from the next request's.
        self._request_count = (self._request_count + 1) % 1000
        expected = None if request.total_bytes is None else request.total_bytes - request.first_byte
        await self._send(
            self._protocol.request(
                request.number,
                request.first_byte,
                self._request_count,
                self.now_us,
                expected_bytes=expected,
                end_byte=request.end_byte,
            ),
            urgent=True,
        )
        self._first_byte = request.first_byte

    async def _on_event(self, event: PeerEvent) -> None:
        transfer = self._transfer
        match event:
            case DataReceived(_, data) if transfer is not None:
                await self._session.ask(TransferData(transfer=transfer, data=data), timeout_s=TAKE_IN_TIMEOUT_S)
            case DataStarted(_, remaining, told) if transfer is not None:
                total = self._first_byte + remaining if told is None else told
                await self._session.send(TransferStarted(transfer=transfer, total_bytes=total))
            case DataEnded() if transfer is not None:
                self._transfer = None
                await self._session.send(TransferEnded(transfer=transfer))
            case Absent(_, reason) if transfer is not None:
                self._transfer = None
                await self._session.send(TransferFailed(transfer=transfer, reason=reason))
            case Announced(held, fetching):
                announced = PeerAnnounced(peer=self._peer, held=frozenset(held), fetching=frozenset(fetching))
                if self._awaits_claims:
                    self._held_back = announced
                else:
                    await self._session.send(announced)
            case UploadRequested():
                if self._upload is not None:
                    self._upload.cancel()
                self._upload = self.start_task(self._serve(event), name="upload")
            case UploadCancelled():
                if self._upload is not None:
                    self._upload.cancel()
            case Greeted():
                await self._session.send(PeerGreeted(peer=self._peer))
                # It says next which versions it has; before that nobody asks it for another one.
                self._awaits_claims = True
                self.start_timer("claims", _ClaimsLate(), delay_us=CLAIMS_LIMIT_US)
                if self._announced is not None:  # what is for peers of ours was not told yet
                    self._announce_soon(self._to_announce or self._announced)
            case ClaimsHeard(claims):
                if claims:
                    await self._session.send(Claimed(self._peer, claims))
                await self._hear_held_back()
            case UploadStateHeard(state):
                await self._session.send(PeerUploadState(peer=self._peer, state=state))
            case ProtocolViolated(reason, detail):
                await self._leave(f"protocol: {reason}: {detail}", is_fault=True)
            case _:
                pass  # late news of a transfer that was cancelled

    async def _hear_held_back(self) -> None:
        self._awaits_claims = False
        announced, self._held_back = self._held_back, None
        if announced is not None:
            await self._session.send(announced)

    # -- uploads

    async def _serve(self, request: UploadRequested) -> None:
        # Not one byte of an upload that was cancelled may follow the header of this one.
        async with self._uploading:
            if self._protocol.is_wanted(request):
                await self._upload_whole(request)

    async def _upload_whole(self, request: UploadRequested) -> None:
        if not self._config.upload:
            await self._send(self._protocol.refuse_upload(request))
            return
        self._sent_bytes = 0
        may = MayBegin(self._peer, request.number, hears_why=self._protocol.is_greeted)
        why = await self._session.ask(may, timeout_s=TAKE_IN_TIMEOUT_S)
        if why is not None:
            await self._send(self._protocol.refuse_upload(request, why))
            return
        try:
            await self._upload_bytes(request)
        finally:
            self._repeats.sent(request.number, self._sent_bytes)
            self._session.tell(Uploaded(peer=self._peer, byte_count=self._sent_bytes))

    async def _upload_bytes(self, request: UploadRequested) -> None:
        key = ResourceKey(rendition=self._rendition, kind=Kind.MEDIA, number=request.number)
        try:
            data: bytes = await self._storage.ask(GetShareable(key), timeout_s=5.0)
        except (UnknownResource, AskTimedOut):  # it went; or lies on a disk that hangs
            await self._send(self._protocol.refuse_upload(request))
            return
        if self._tamper is not None:
            data = self._tamper(key, data)
        end_byte = len(data) if request.end_byte is None else min(request.end_byte, len(data))
        if request.first_byte >= end_byte:  # nothing would follow, and none who asks in earnest does
            await self._send(self._protocol.refuse_upload(request, "absent" if request.end_byte is None else "range"))
            return
        at = request.first_byte
        if not self._repeats.may_send(request.number, end_byte - at, len(data)):
            self._session.tell(Lost("peer_upload_share"))
            await self._send(self._protocol.refuse_upload(request))
            return
        await self._send(self._protocol.begin_upload(request, end_byte - at, total_bytes=len(data)))
        while at < end_byte and self._protocol.is_wanted(request):
            byte_count = await self._wait_for_turn(min(end_byte - at, self._protocol.piece_bytes_max))
            for piece in self._protocol.upload_pieces(request, data[at : at + byte_count]):
                if not await self._send([piece]):
                    return
                at += len(piece)
                self._sent_bytes += len(piece)
        await self._send(self._protocol.end_upload(request))

    async def _wait_for_turn(self, byte_count: int) -> int:
        """How much of it goes now.

        The session knows whose turn it is: a cap is for all peers together, and who only takes waits for the others.
        """
        impatient_us = self.now_us + self._config.choke_wait_us_max
        turn: Turn | None = None
        while turn is None:
            may = MayUpload(self._peer, byte_count, is_patient=self.now_us < impatient_us)
            turn = await self._session.ask(may, timeout_s=TAKE_IN_TIMEOUT_S)
            if turn is None:
                await asyncio.sleep(CHOKED_S)
        if turn.delay_us:
            await asyncio.sleep(turn.delay_us / 1e6)
        return turn.byte_count

    # -- the channel

    async def _send(self, messages: list[bytes], *, urgent: bool = False) -> bool:
        """False, and the end of this peer, if it does not take them.

        What we want from the peer is urgent: it waits neither for our upload's turn nor behind what is sent of it.
        """
        if urgent and len(messages) == 1 and not self._is_split:
            return await self._hand_over(messages, urgent=True)
        async with self._sending:
            self._is_split = len(messages) > 1
            try:
                return await self._hand_over(messages)
            finally:
                self._is_split = False

    async def _hand_over(self, messages: list[bytes], *, urgent: bool = False) -> bool:
        if self._is_lost:
            return False
        limit_s = self._config.peer_send_limit_us / 1e6
        try:
            for message in messages:
                async with asyncio.timeout(limit_s):
                    await self._channel.send(message, urgent=urgent)
        except (TransportError, TimeoutError) as error:
            if not self._is_lost:
                self._is_lost = True
                late = f"it took nothing for {limit_s:g} s"
                why = late if isinstance(error, TimeoutError) else _why(error)
                self.ref.tell(_Closed(why, isinstance(error, ChannelClosed) and error.is_fault))
            return False
        return True

    async def _leave(self, reason: str, *, is_fault: bool = False) -> None:
        """Close, say so once, and stop; the running transfer fails first, as events.py promises."""
        transfer, self._transfer = self._transfer, None
        if self._upload is not None:
            self._upload.cancel()
        if transfer is not None:
            await self._session.send(TransferFailed(transfer=transfer, reason="closed"))
        await self._tell_lost()
        await self._session.send(PeerLeft(peer=self._peer, reason=reason, is_fault=is_fault))
        await self._channel.close(reason)
        self.stop()

    async def _tell_lost(self) -> None:
        """With our own requests and at the end: whoever makes us pass over things does not choose how often."""
        told, self._told_lost = self._told_lost, msgspec.structs.asdict(self._protocol.statistics())
        for what, count in self._told_lost.items():
            if count > told.get(what, 0):
                await self._session.send(Lost(f"peer_{what}", count - told.get(what, 0)))


def _why(error: TransportError) -> str:
    """In a log, whose reader has no channel to connect again."""
    return error.detail if isinstance(error, ChannelClosed) else str(error)
