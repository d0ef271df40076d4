"""The native engine beyond the contract: with aiortc, over loss, with slow readers and blocked loops."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import re
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("wrtc", reason="it is optional: pip install 'shoal[webrtc-native]'")

from shoal.transports.errors import ChannelClosed, NoAddress, TransportMissing
from shoal.transports.interface import TurnServer
from shoal.transports.native.webrtc import WebRtcConnector
from shoal.transports.native.webrtc_native import NativeWebRtcConnector
from shoal.transports.sansio.gathering import Gathering
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.liveness import Liveness
from shoal.transports.sansio.reports import Reports

from .contract import assert_nothing_left, read_all

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from channels.link import Link  # noqa: E402 - the folder of the benchmarks is no package

sys.path.remove(str(BENCHMARKS))

pytestmark = pytest.mark.real

QUICK = ChannelLimits(heartbeat_interval_us=50_000, dead_after_us=200_000)  # far less than the engine's own questions
OFFER = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"


def run_pair(main, *, offering=NativeWebRtcConnector, answering=NativeWebRtcConnector, link=None):
    """`main(one, other)` over two connected channels, then nothing may be left."""

    async def limited():
        async with asyncio.timeout(60):
            connectors = offering(), answering()
            offer = await connectors[0].offer("p2p")
            through = link or Link()
            incoming = await connectors[1].answer(through.pass_offer(offer.description))
            answer = through.pass_answer(incoming.description)
            with through.running(thread=True):
                await main(*await asyncio.gather(offer.accept(answer), incoming.channel()))
                for connector in connectors:
                    await connector.aclose()
                    left = connector.statistics()
                    assert (left.connections, left.buffered_bytes, left.unread_bytes) == (0, 0, 0)
        await assert_nothing_left()

    asyncio.run(limited())


async def exchange(one, other, *, slow=False, blocked=False):
    """Two megabytes each way, judged byte by byte."""
    chance = random.Random(5)
    sent = [chance.randbytes(chance.choice((10, 1_000, 30_000, 60_000))) for _ in range(90)]

    async def send(channel):
        for number, message in enumerate(sent):
            await channel.send(message)
            if blocked and number == 45:
                time.sleep(1)  # what a careless handler does to a loop

    async def read(channel):
        received = []
        for number in range(len(sent)):
            received.append(await channel.receive())
            if slow and number % 10 == 0:
                await asyncio.sleep(0.02)
        assert received == sent

    await asyncio.gather(send(one), send(other), read(one), read(other))


@pytest.mark.parametrize(
    ("offering", "answering"), [(NativeWebRtcConnector, WebRtcConnector), (WebRtcConnector, NativeWebRtcConnector)]
)
def test_it_speaks_with_aiortc_either_way(offering, answering):
    run_pair(exchange, offering=offering, answering=answering)


@pytest.mark.parametrize("answering", [NativeWebRtcConnector, WebRtcConnector])
def test_no_more_than_the_window_and_a_message_is_under_way_to_a_peer_that_reports(answering):
    async def main(one, other):
        async def send():
            for _ in range(60):
                await one.send(bytes(60_000))

        def sent(byte_count, now_us):
            under_way.append((departures.in_flight_bytes, one._window.refill_bytes))
            type(departures).sent(departures, byte_count, now_us)

        under_way = []
        departures = one._departures
        departures.sent = sent
        sending = asyncio.create_task(send())
        for _ in range(60):
            assert len(await other.receive()) == 60_000
        await sending
        assert len(under_way) == 60
        assert all(in_flight <= room for in_flight, room in under_way)
        assert one._window.rtt_us >= 10_000  # as long as the link: it is the other side that said so

    run_pair(main, answering=answering, link=Link(delay_us=5_000))


def test_what_waits_for_reports_is_delivered_before_the_channel_closes():
    async def main(one, other):
        one._limits = ChannelLimits(close_timeout_us=30_000_000)  # a second is little on a busy machine
        reading = asyncio.create_task(read_all(other))
        for number in range(5):
            await one.send(bytes([number]) * 30_000)
        await one.close()
        assert [message[0] for message in (await reading)[0]] == list(range(5))

    run_pair(main)


@pytest.mark.parametrize("reports", [Reports(wanted=False, given=False), Reports(wanted=True, given=True)])
def test_a_peer_that_reports_nothing_gets_everything_too(monkeypatch, reports):
    monkeypatch.setattr("shoal.transports.native.connector.reports_of", lambda _: Reports(wanted=False, given=False))
    monkeypatch.setattr(WebRtcConnector.stack, "reports", reports)
    run_pair(exchange, answering=WebRtcConnector)


@pytest.mark.parametrize("text", ["99999999", "a line of text", ""])
def test_a_report_of_what_never_left_ends_the_channel_and_is_counted(text):
    async def main(one, other):
        other._raw.send(text)
        with pytest.raises(ChannelClosed, match="report"):
            await one.receive()

    run_pair(main, answering=WebRtcConnector)


def test_a_lossy_link_with_delay_loses_nothing():
    run_pair(exchange, link=Link(delay_us=5_000, loss=0.01, seed=2))


def test_a_slow_reader_loses_nothing():
    run_pair(lambda one, other: exchange(one, other, slow=True))


def test_a_loop_blocked_for_a_second_loses_nothing():
    run_pair(lambda one, other: exchange(one, other, blocked=True))


def test_twenty_thousand_small_messages_around_a_blocked_loop_all_come():
    async def main(one, other):
        async def send():
            for number in range(20_000):
                await one.send(number.to_bytes(4, "big"))
                if number == 10_000:
                    time.sleep(1)

        sending = asyncio.create_task(send())
        for number in range(20_000):
            assert int.from_bytes(await other.receive(), "big") == number
        await sending

    run_pair(main)


@pytest.mark.parametrize("answering", [NativeWebRtcConnector, WebRtcConnector])
def test_a_peer_that_vanished_is_noticed_though_the_engine_says_nothing(monkeypatch, answering):
    """It says `disconnected` a second late; `make bench-channel` has the seconds that it takes us."""
    monkeypatch.setattr(NativeWebRtcConnector.stack, "state", lambda _: "connected")
    link = Link()

    async def main(one, _):
        link.cut.set()
        with pytest.raises(ChannelClosed, match="silent"):
            await one.receive()

    run_pair(main, link=link, answering=answering)


@pytest.mark.parametrize("answering", [NativeWebRtcConnector, WebRtcConnector])
def test_a_peer_that_has_nothing_to_say_is_kept_also_over_a_bad_link(answering):
    async def main(one, other):
        await asyncio.sleep(8)  # three of the engine's own questions, and twice the silence of a dead peer
        await one.send(b"still here")
        assert await other.receive() == b"still here"

    run_pair(main, answering=answering, link=Link(delay_us=50_000, loss=0.1, seed=1))


def test_without_statistics_the_engine_itself_notices_and_nobody_else_is_taken_for_dead():
    link = Link()

    async def main(one, other):
        async def none():
            raise TypeError("these statistics are not known")

        one._association._counts = none
        one._limits = QUICK
        one._liveness = Liveness(
            one._now_us(), interval_us=QUICK.heartbeat_interval_us, dead_after_us=QUICK.dead_after_us
        )
        await asyncio.sleep(1)
        await one.send(b"still here")
        assert await other.receive() == b"still here"
        link.cut.set()
        with pytest.raises(ChannelClosed, match="silent"):
            await one.receive()

    run_pair(main, link=link)


@pytest.mark.parametrize("urgent", [False, True], ids=["bulk", "urgent"])
@pytest.mark.parametrize("answering", [NativeWebRtcConnector, WebRtcConnector])
def test_who_acknowledges_nothing_costs_4_MiB(answering, urgent):
    link = Link()

    async def main(one, other):
        reading = asyncio.create_task(read_all(other))
        for _ in range(100):  # so that its windows are open
            await one.send(bytes(60_000))
        link.cut.set()
        taken = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while taken < 32 * 1024 * 1024:
                    await one.send(bytes(60_000), urgent=urgent)
                    taken += 60_000
        assert taken <= 4 * 1024 * 1024
        await asyncio.gather(one.close(), other.close())
        await reading

    run_pair(main, link=link, answering=answering)


@pytest.mark.parametrize("who", [0, 1], ids=["who offered opens it", "who answered opens it"])
@pytest.mark.parametrize("other_kind", [NativeWebRtcConnector, WebRtcConnector])
def test_a_second_channel_ends_the_connection_and_is_counted(who, other_kind):
    async def main():
        async with asyncio.timeout(60):
            connectors = [NativeWebRtcConnector(), NativeWebRtcConnector()]
            connectors[who] = other_kind()
            offer = await connectors[0].offer("p2p")
            incoming = await connectors[1].answer(offer.description)
            channels = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
            (link,) = connectors[who]._links
            more = [link.connection.createDataChannel(f"more {number}") for number in range(20)]
            with pytest.raises(ChannelClosed, match="a second channel"):
                await channels[1 - who].receive()
            assert connectors[1 - who].statistics().ended == {"second": 1}
            for connector in connectors:
                await connector.aclose()
            del more
        await assert_nothing_left()

    asyncio.run(main())


def test_a_server_that_never_answers_does_not_hold_an_offer_up(monkeypatch):
    monkeypatch.setattr("webrtc.aiortc.rtcpeerconnection._GATHERING_TIMEOUT", 3600)

    async def main():
        async with asyncio.timeout(60):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
                deaf.bind(("0.0.0.0", 0))
                connector = NativeWebRtcConnector(stun_servers=(f"stun:127.0.0.1:{deaf.getsockname()[1]}",))
                connector._gathering = Gathering(patience_us=100_000)
                offer = await connector.offer("x")
                assert "typ host" in offer.description
                (link,) = connector._links
                assert link.connection._gathering_timed_out  # it did not end by itself
                await connector.aclose()
        await assert_nothing_left()

    asyncio.run(main())


def test_without_a_relay_nothing_of_us_is_told_in_relay_mode():
    async def main():
        connector = NativeWebRtcConnector(candidates="relay")
        with pytest.raises(NoAddress, match="TURN"):
            await connector.offer("x")
        await connector.aclose()
        await assert_nothing_left()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("get_configuration", lambda _: None),  # it cannot be read
        ("set_configuration", lambda *_: None),  # it is not taken
        ("set_configuration", None),  # it is not there
    ],
)
def test_an_engine_that_cannot_be_told_to_use_a_relay_alone_is_not_used_in_that_mode(monkeypatch, what, instead):
    monkeypatch.setattr(f"webrtc.RTCPeerConnection.{what}", instead)
    asked = []
    monkeypatch.setattr("webrtc.RTCPeerConnection.set_local_description", lambda *_: asked.append(1))

    async def main():
        connector = NativeWebRtcConnector(candidates="relay", turn_servers=(TurnServer("turn:192.0.2.1", "a", "b"),))
        with pytest.raises(TransportMissing, match="relay alone"):
            await connector.offer("x")
        with pytest.raises(TransportMissing, match="relay alone"):
            await connector.answer(OFFER)
        assert connector.statistics().connections == 0
        await connector.aclose()
        await assert_nothing_left()

    asyncio.run(main())
    assert asked == []  # so nothing was gathered


def test_the_address_of_a_peer_that_its_description_did_not_name_is_unknown():
    """The engine hides it: under one name all such peers would be one host to limits and bans."""

    async def main():
        async with asyncio.timeout(60):
            offering, answering = WebRtcConnector(), NativeWebRtcConnector()
            offer = await offering.offer("p2p")
            elsewhere = re.sub(r"(?m)^(a=candidate:\S+ \d udp \d+) \S+ \d+", r"\1 192.0.2.1 9", offer.description)
            assert elsewhere != offer.description
            incoming = await answering.answer(elsewhere)
            one, other = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
            assert other.remote_address is None
            assert one.remote_address == str(ipaddress.ip_address(one.remote_address))
            await offering.aclose()
            await answering.aclose()
        await assert_nothing_left()

    asyncio.run(main())
