"""A peer that does not read what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.balancer.actors.messages import Announce, Close, GetShareable, MayUpload, Noted, Request
from shoal.balancer.actors.messages import Cancel as CancelTransfer
from shoal.balancer.actors.peer import CHOKED_S, Peer
from shoal.balancer.actors.reporter import Lost
from shoal.balancer.config import BalancerConfig, load
from shoal.balancer.events import PeerLeft
from shoal.balancer.peer import PeerProtocol
from shoal.balancer.uploads import Turn
from shoal.balancer.wire import Absent, Announcement, Cancel, DataFollows, Decoder, encode
from shoal.balancer.wire import Request as WireRequest
from shoal.runtime import Actor, ActorRef, ActorSystem
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import ChannelClosed

LIMIT_S = 10


class SlowChannel:
    """Takes a message in each `seconds`; what the other side would say is put into `incoming`."""

    label = "test"
    fingerprint = None
    remote_address = None
    is_relayed = False
    max_message_bytes = 65_535
    buffered_bytes = 0

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sent: list[bytes] = []
        self.urgent: list[bytes] = []
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed_with: str | None = None

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        await asyncio.sleep(0 if urgent else self.seconds)
        if self.closed_with is not None:
            raise ChannelClosed("closed", detail=self.closed_with)
        (self.urgent if urgent else self.sent).append(message)

    async def receive(self) -> bytes:
        return await self.incoming.get()

    async def close(self, detail: str = "done") -> None:
        self.closed_with = self.closed_with or detail


class Listener(Actor[Any]):
    """Stands for the session, and for a store that holds everything."""

    def __init__(self, heard: list[Any], is_choking: bool) -> None:
        self._heard = heard
        self._is_choking = is_choking

    def receive(self, message: Any) -> bytes | Turn | None:
        self._heard.append(message)
        if isinstance(message, MayUpload):
            return None if self._is_choking and message.is_patient else Turn(message.byte_count, 0)
        return bytes(200_000) if isinstance(message, GetShareable) else None


@asynccontextmanager
async def connected(
    channel: SlowChannel, *, is_choking: bool = False
) -> AsyncIterator[tuple[ActorRef[Any], list[Any]]]:
    heard: list[Any] = []
    async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
        listener = system.spawn(Listener, heard, is_choking)
        config = load({"peer_send_limit_us": LIMIT_S * 1_000_000})
        peer = system.spawn(Peer, listener, listener, config, peer="p", rendition=0, channel=channel)
        yield peer, heard
    assert system.counters.failures == 0


def announced(channel: SlowChannel) -> list[Announcement]:
    decoder = Decoder()
    said = [decoder.receive(message) for message in channel.sent]
    return [one for one in said if isinstance(one, Announcement)]


def left(heard: list[Any]) -> list[str]:
    return [message.reason for message in heard if isinstance(message, PeerLeft)]


def test_who_has_to_wait_for_others_gets_a_piece_when_it_has_waited_long_enough() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel, is_choking=True) as (_, heard):
            for message in encode(WireRequest(3, 1)):
                channel.incoming.put_nowait(message)
            wait_s = BalancerConfig().choke_wait_us_max / 1e6
            await asyncio.sleep(wait_s - 1)
            assert not [message for message in channel.sent if len(message) > 60_000]
            await asyncio.sleep(1.5 + wait_s)
            assert len([message for message in channel.sent if len(message) > 60_000]) == 2
            assert sum(isinstance(message, MayUpload) for message in heard) <= 3 * wait_s / CHOKED_S

    run_virtual(main())


def test_of_many_announcements_only_the_newest_waits_for_a_slow_peer() -> None:
    async def main() -> None:
        channel = SlowChannel(LIMIT_S - 1)
        async with connected(channel) as (peer, heard):
            for number in range(5_000):  # more than any mailbox holds
                peer.tell(Announce(held=(number,), fetching=()))
                await asyncio.sleep(0.01)
            await asyncio.sleep(2 * LIMIT_S)
            assert len(channel.sent) < 10
            assert announced(channel)[-1].held == (4_999,)
            assert not left(heard)

    run_virtual(main())


def test_a_peer_that_takes_nothing_is_left_once() -> None:
    async def main() -> None:
        channel = SlowChannel(3600)
        async with connected(channel) as (peer, heard):
            peer.tell(Announce(held=(1,), fetching=()))
            await asyncio.sleep(LIMIT_S - 1)
            assert not left(heard)
            await asyncio.sleep(2)
            assert left(heard) == ["it took nothing for 10 s"]
            assert channel.closed_with == "it took nothing for 10 s"
            assert not peer.is_alive

    run_virtual(main())


def test_what_the_protocol_passed_over_is_told_when_the_peer_goes() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (peer, heard):
            for message in encode(Cancel(number=1, request_id=1)):
                channel.incoming.put_nowait(message)
            await asyncio.sleep(1)
            peer.tell(Close("enough"))
            await asyncio.sleep(1)
            assert Lost("peer_late_commands", 1) in heard

    run_virtual(main())


def test_what_was_swallowed_of_a_cancelled_request_is_told_with_the_next_one_and_not_again() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (peer, heard):

            async def ask_and_cancel(transfer: int) -> None:
                peer.tell(Request(transfer=transfer, number=7, first_byte=0, total_bytes=3))
                peer.tell(CancelTransfer(transfer=transfer))
                await asyncio.sleep(1)

            await ask_and_cancel(1)
            for message in (*encode(DataFollows(7, 3, 1)), b"abc"):
                channel.incoming.put_nowait(message)
            await asyncio.sleep(1)
            await ask_and_cancel(2)
            assert Lost("peer_late_bytes", 3) in heard
            await ask_and_cancel(3)
            peer.tell(Close("enough"))
            await asyncio.sleep(1)
            assert sum(isinstance(message, Lost) and message.reason == "peer_late_bytes" for message in heard) == 1

    run_virtual(main())


def test_a_peer_that_says_more_than_the_limits_allow_is_named_once() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (_, heard):
            for place in range(1000):
                for message in encode(Announcement((place,))):
                    channel.incoming.put_nowait(message)
            await asyncio.sleep(20)
            noted = [message.text for message in heard if isinstance(message, Noted)]
            assert noted == ["p says more than the limits allow; it is slowed"]

    run_virtual(main())


def test_a_peer_that_asks_for_a_segment_and_takes_none_of_it_is_left() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (peer, heard):
            for message in PeerProtocol().request(3, 0, 1, 0):
                channel.incoming.put_nowait(message)
            channel.seconds = 3600
            await asyncio.sleep(LIMIT_S + 1)
            assert left(heard) == ["it took nothing for 10 s"]
            assert not peer.is_alive

    run_virtual(main())


def test_what_we_want_does_not_wait_behind_what_we_send() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (peer, heard):
            for message in PeerProtocol().request(3, 0, 1, 0):
                channel.incoming.put_nowait(message)
            channel.seconds = LIMIT_S - 1  # from here on each piece of the upload takes long
            await asyncio.sleep(1)
            peer.tell(Request(transfer=1, number=7, first_byte=0, total_bytes=None))
            peer.tell(CancelTransfer(transfer=1))
            await asyncio.sleep(1)
            said = [Decoder().receive(message) for message in channel.urgent]
            assert [(type(one), one.number) for one in said] == [(WireRequest, 7), (Cancel, 7)]
            assert not left(heard)

    run_virtual(main())


def test_who_asks_for_what_is_behind_the_end_is_refused_and_heard_some_times_a_second() -> None:
    async def main() -> None:
        channel = SlowChannel(0)
        async with connected(channel) as (_, heard):
            for place in range(4_000):  # as many as may wait unread
                for message in encode(WireRequest(3, place % 1000, 1 << 40)):
                    channel.incoming.put_nowait(message)
            await asyncio.sleep(10)
            decoder = Decoder()
            answers = [decoder.receive(message) for message in channel.sent]
            assert answers
            assert all(isinstance(answer, Absent) for answer in answers)
            assert 80 <= sum(isinstance(message, GetShareable) for message in heard) <= 150
            assert not left(heard)

    run_virtual(main())


def media_bytes(channel: SlowChannel) -> int:
    return sum(len(message) for message in channel.sent if not message.startswith(b"cstr"))


def test_one_peer_is_sent_a_segment_three_times_its_length_at_most_and_others_still() -> None:
    """No cap is set; it asks again as soon as it has been answered, for ever."""

    async def main() -> None:
        channel, asking = SlowChannel(0), PeerProtocol()
        async with connected(channel) as (_, heard):

            async def ask(number: int, first_byte: int) -> None:
                for message in asking.request(number, first_byte, 1, 0):
                    channel.incoming.put_nowait(message)
                await asyncio.sleep(1)
                asking.cancel_request()

            for first_byte in (0, 100_000, 0, 0, 50_000, 0, 150_000, 199_999):
                await ask(3, first_byte)
            # Of 200,000 bytes: whole, half, whole, then not the whole, from the third quarter on, nothing more.
            assert media_bytes(channel) == 200_000 + 100_000 + 200_000 + 50_000 + 1
            for _ in range(20):
                await ask(3, 0)
            assert media_bytes(channel) <= 3 * 200_000
            await ask(4, 0)
            assert media_bytes(channel) > 3 * 200_000
            assert sum(message == Lost("peer_upload_share") for message in heard) == 23
            assert not left(heard)

    run_virtual(main())


def test_who_asks_for_many_segments_at_once_is_sent_one() -> None:
    """The newest counts: a peer holds one upload, whatever it asks for, and so as much memory and line as any other."""

    async def main() -> None:
        channel = SlowChannel(0.1)
        async with connected(channel) as (_, heard):
            for number in range(6):
                for message in encode(WireRequest(number, number)):
                    channel.incoming.put_nowait(message)
            await asyncio.sleep(20)
            assert media_bytes(channel) <= 200_000 + 5 * 65_535  # one that was cancelled has a piece on its way at most
            assert sum(isinstance(message, GetShareable) for message in heard) <= 6

    run_virtual(main())
