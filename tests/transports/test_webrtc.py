"""WebRTC beyond the contract: hostile descriptions and peers, limits, and the back-pressure of a real channel."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import sys
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcsctptransport

from shoal.transports.errors import ChannelClosed, ConnectFailed, TimedOut
from shoal.transports.native import aiortc_private
from shoal.transports.native.webrtc import WebRtcConnector
from shoal.transports.sansio.gathering import Gathering
from shoal.transports.sansio.limits import ChannelLimits

from .contract import assert_nothing_left, read_all, until

pytestmark = pytest.mark.real


BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from channels.link import Link  # noqa: E402 - the folder of the benchmarks is no package

sys.path.remove(str(BENCHMARKS))


def run(main):
    async def limited():
        async with asyncio.timeout(60):
            await main()
        await assert_nothing_left()

    asyncio.run(limited())


async def connect(offering, answering):
    offer = await offering.offer("p2p")
    incoming = await answering.answer(offer.description)
    return await asyncio.gather(offer.accept(incoming.description), incoming.channel())


@contextlib.asynccontextmanager
async def linked(link, *, limits=None):
    """(offering side, answering side, both connectors), with a link between them."""
    connectors = WebRtcConnector(limits=limits), WebRtcConnector(limits=limits)
    offer = await connectors[0].offer("p2p")
    incoming = await connectors[1].answer(link.pass_offer(offer.description))
    answer = link.pass_answer(incoming.description)
    with link.running(thread=True):
        one, other = await asyncio.gather(offer.accept(answer), incoming.channel())
        yield one, other, connectors
        for connector in connectors:
            await connector.aclose()
    for connector in connectors:
        left = connector.statistics()
        assert (left.connections, left.buffered_bytes, left.unread_bytes) == (0, 0, 0)


def raw(channel):
    """aiortc's own channel, to misbehave with."""
    return channel._raw


def test_no_stun_server_is_asked_before_an_offer(monkeypatch):
    """With aiortc's default one is, which takes five seconds offline."""
    asked = []

    async def ask(protocol, server, **_):
        asked.append(server)

    monkeypatch.setattr("aioice.ice.server_reflexive_candidate", ask)

    async def main():
        connector = WebRtcConnector()
        offer = await connector.offer("x")
        assert "srflx" not in offer.description
        assert asked == []
        await connector.aclose()

    run(main)


def test_a_server_that_never_answers_delays_an_offer_and_is_not_waited_for_again(monkeypatch):
    """aioice's own limit of five seconds would be one for each of a swarm's offers; here it is an hour."""
    waits = []

    async def never(protocol, server, **_):
        await asyncio.Event().wait()

    async def main():
        connector = WebRtcConnector(stun_servers=("stun:192.0.2.1:3478",))
        connector._gathering = Gathering(patience_us=200_000, distrust_patience_us=100_000)
        limit, stack = aiortc_private.limit_gathering, connector.stack
        monkeypatch.setattr(stack, "limit_gathering", lambda connection, s: (waits.append(s), limit(connection, s)))
        first, second = await connector.offer("x"), await connector.offer("y")
        assert all("typ host" in offer.description for offer in (first, second))
        incoming = await connector.answer(first.description)
        assert "typ host" in incoming.description
        assert waits == [0.2, 0.1, 0.1]
        await connector.aclose()

    monkeypatch.setattr("aioice.ice.server_reflexive_candidate", never)
    monkeypatch.setattr("aioice.ice.Connection.get_component_candidates.__defaults__", (3600,))
    run(main)


def test_the_fingerprint_is_that_of_the_peers_description():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        offer = await offering.offer("x")
        incoming = await answering.answer(offer.description)
        one, other = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        for channel, description in ((one, incoming.description), (other, offer.description)):
            announced = re.search(r"a=fingerprint:sha-256 ([0-9A-F:]+)", description)[1]
            assert channel.fingerprint == f"sha-256 {announced}"
        await offering.aclose()
        await answering.aclose()

    run(main)


@pytest.mark.parametrize("said", [("redacted-ip.invalid", False), ("c5.local", False), ("c5.local", True)])
def test_a_name_in_the_place_of_an_address_is_none_and_no_other_is_waited_for(said):
    """Chromium's engine has such names; a limit for each address would take all that it hides for one host."""
    looks = []

    class Hiding(type(WebRtcConnector.stack)):
        def remote_end(self, connection):
            looks.append(connection)
            return said

    class Connector(WebRtcConnector):
        stack = Hiding()

    async def main():
        offering, answering = Connector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        assert (one.remote_address, one.is_relayed) == (None, said[1])
        assert len(looks) == 1
        assert str(ipaddress.ip_address(other.remote_address)) == other.remote_address
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_text_on_a_channel_ends_it():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        raw(one).send("text")
        _, detail = await read_all(other)
        assert "text" in detail
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_a_message_above_the_limit_ends_the_channel():
    async def main():
        offering = WebRtcConnector()
        answering = WebRtcConnector(limits=ChannelLimits(incoming_message_bytes_max=1000))
        one, other = await connect(offering, answering)
        await one.send(bytes(1001))
        _, detail = await read_all(other)
        assert "1001 bytes in one message" in detail
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_many_small_unread_messages_are_a_flood_too():
    async def main():
        offering = WebRtcConnector()
        answering = WebRtcConnector(limits=ChannelLimits(unread_messages_max=10))
        one, other = await connect(offering, answering)
        for _ in range(11):
            await one.send(b"")
        await until(lambda: answering.statistics().ended)  # unread on purpose
        messages, detail = await read_all(other)
        assert len(messages) == 10
        assert "flooded" in detail
        await offering.aclose()
        await answering.aclose()

    run(main)


@pytest.mark.parametrize("who", [0, 1], ids=["who offered opens it", "who answered opens it"])
def test_a_second_channel_ends_the_connection_and_is_counted(who):
    async def main():
        connectors = WebRtcConnector(), WebRtcConnector()
        channels = await connect(*connectors)
        (link,) = connectors[who]._links
        for number in range(100):
            link.connection.createDataChannel(f"more {number}")
        with pytest.raises(ChannelClosed, match="a second channel"):
            await channels[1 - who].receive()
        await until(lambda: connectors[1 - who].statistics().connections == 0)
        assert connectors[1 - who].statistics().ended == {"second": 1}
        for connector in connectors:
            await connector.aclose()

    run(main)


def test_a_peer_whose_process_ends_politely_is_noticed():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, _ = await connect(offering, answering)
        (link,) = answering._links
        await link.connection.close()
        with pytest.raises(ChannelClosed, match="peer"):
            await one.receive()
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_sending_waits_while_too_much_is_unsent():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        reading = asyncio.create_task(read_all(other))
        highest = 0
        for _ in range(100):
            await one.send(bytes(60_000))
            highest = max(highest, one.buffered_bytes)
        # One message was let in at the mark, and one is in aiortc's hands.
        assert highest <= ChannelLimits().buffered_bytes_high + 2 * 60_000
        await one.close()
        assert sum(map(len, (await reading)[0])) == 6_000_000
        await offering.aclose()
        await answering.aclose()

    run(main)


@pytest.mark.parametrize(
    "unknown",
    ["association._NEEDED", "association._NEEDED_TO_SHORTEN", "datagrams._NEEDED_OF_DTLS", "datagrams._NEEDED_OF_ICE"],
)
def test_an_aiortc_that_we_do_not_know_still_delivers_everything(monkeypatch, unknown):
    monkeypatch.setattr(f"shoal.transports.native.aiortc_private.{unknown}", ("gone",))

    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        for number in range(50):
            await one.send(bytes([number]) * 60_000, urgent=number % 2 == 0)
        assert {(await other.receive())[0] for _ in range(50)} == set(range(50))
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_connections_are_limited_and_given_back():
    async def main():
        connector = WebRtcConnector(connections_max=1)
        first = await connector.offer("x")
        with pytest.raises(ConnectFailed, match="connections_max"):
            await connector.offer("y")
        await first.close()
        await (await connector.offer("z")).close()
        await connector.aclose()

    run(main)


def test_a_machine_with_only_loopback_is_told_so_at_once(monkeypatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])

    async def main():
        connector = WebRtcConnector()
        with pytest.raises(ConnectFailed, match="loopback"):
            await connector.offer("x")
        await connector.aclose()

    run(main)


def test_a_label_beyond_ascii_is_wrong_use():
    async def main():
        connector = WebRtcConnector()
        with pytest.raises(ValueError, match="ASCII"):
            await connector.offer("s\u00f6me")
        await connector.aclose()

    run(main)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: sdp.replace("a=fingerprint:sha-256", "a=fingerprint:sha-999"),
        lambda sdp: sdp.replace("a=ice-ufrag:", "a=nothing:"),
        lambda sdp: re.sub(r"a=sctp-port:\d+", "a=sctp-port:abc", sdp),
        lambda sdp: re.sub(r"(?m)^a=candidate:.*$", "a=candidate:nonsense", sdp),
        lambda sdp: sdp[: len(sdp) // 2],
        lambda sdp: sdp.replace("v=0", "v=7\x00"),
        lambda sdp: sdp + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
    ],
)
def test_a_spoiled_description_fails_and_leaves_nothing(spoil):
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector(connect_timeout_us=200_000)
        offer = await offering.offer("x")
        with pytest.raises(Exception) as caught:
            await (await answering.answer(spoil(offer.description))).channel()
        assert caught.type.__module__ == "shoal.transports.errors"
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_a_wrong_fingerprint_never_becomes_a_channel():
    async def main():
        offering, answering = WebRtcConnector(connect_timeout_us=1_000_000), WebRtcConnector()
        offer = await offering.offer("x")
        incoming = await answering.answer(offer.description)
        forged = re.sub(r"(a=fingerprint:sha-256 )[0-9A-F:]+", r"\g<1>" + ":".join(["00"] * 32), incoming.description)
        with pytest.raises(Exception) as caught:
            await offer.accept(forged)
        assert caught.type.__module__ == "shoal.transports.errors"
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_an_urgent_message_goes_ahead_of_bulk_that_waits():
    async def main():
        async with linked(Link(bytes_per_second=2_000_000)) as (one, other, _):
            for number in range(10):
                await one.send(bytes([number]) * 60_000)
            await one.send(b"urgent 1", urgent=True)
            await one.send(b"urgent 2", urgent=True)
            received = [await other.receive() for _ in range(12)]
            assert [len(message) for message in received[-2:]] == [60_000, 60_000]  # what it overtook
            assert [message for message in received if len(message) < 10] == [b"urgent 1", b"urgent 2"]
            bulk = [message[0] for message in received if len(message) > 10]
            assert bulk == list(range(10))

    run(main)


def test_short_messages_do_not_wait_for_one_another_to_be_acknowledged():
    """Browsers hold the acknowledgement of a single packet back for 200 ms; here it never comes."""

    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)

        async def silent():
            pass

        raw(other).transport._send_sack = silent
        for place in range(5):
            await one.send(b"%d" % place)
        async with asyncio.timeout(10):
            assert [await other.receive() for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_a_lossy_link_with_delay_loses_nothing():
    async def main():
        async with linked(Link(delay_us=5_000, loss=0.02, seed=3)) as (one, other, _):
            for number in range(40):
                await one.send(bytes([number]) * 30_000)
                await other.send(bytes([number]))
            assert [(await one.receive())[0] for _ in range(40)] == list(range(40))
            await one.send(b"end")
            messages = []
            while (message := await other.receive()) != b"end":
                messages.append(message)
            assert [message[0] for message in messages] == list(range(40))
            assert {len(message) for message in messages} == {30_000}

    run(main)


QUICK = ChannelLimits(heartbeat_interval_us=50_000, dead_after_us=400_000)


def test_a_peer_that_vanished_is_noticed_and_counted():
    async def main():
        link = Link()
        async with linked(link, limits=QUICK) as (one, _, connectors):
            link.cut.set()
            with pytest.raises(ChannelClosed, match="silent"):
                await one.receive()
            assert connectors[0].statistics().ended == {"silent": 1}

    run(main)


def test_the_limit_for_a_vanished_peer_is_five_seconds():
    limits = ChannelLimits()
    assert limits.dead_after_us + 2 * limits.heartbeat_interval_us < 5_000_000


async def sent_to_nobody(channel, message, *, urgent):
    """How many such messages are taken by a channel whose peer acknowledges nothing."""
    count = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):  # the peer is not taken for dead before three
            while count < 200_000:
                await channel.send(message, urgent=urgent)
                count += 1
    return count


@pytest.mark.parametrize("urgent", [False, True], ids=["bulk", "urgent"])
@pytest.mark.parametrize("size", [60_000, 100, 0])
def test_who_acknowledges_nothing_costs_4_MiB_and_some_thousand_messages(size, urgent):
    async def main():
        link = Link()
        async with linked(link) as (one, other, connectors):
            reading = asyncio.create_task(read_all(other))
            for _ in range(100):  # so that its windows are open
                await one.send(bytes(60_000))
            link.cut.set()
            count = await sent_to_nobody(one, bytes(size), urgent=urgent)
            assert count * size <= 4 * 1024 * 1024
            assert count < 10_000
            assert one._association.unacknowledged_bytes() + one.buffered_bytes <= 4 * 1024 * 1024
            await asyncio.gather(*(connector.aclose() for connector in connectors))
            await reading

    run(main)


def test_what_came_after_one_that_is_missing_is_not_sent_more_and_more_of():
    """Who acknowledges all but one packet has us keep all that came after it."""

    async def main():
        async with linked(Link()) as (one, other, connectors):
            sctp = raw(other).transport
            missing = sctp._last_received_tsn
            original = vars(sctp)["_mark_received"]

            sctp._mark_received = lambda tsn: tsn == missing + 1 or original(tsn)
            sctp._sack_misordered = {missing + 2}  # so that it takes no short way
            count = 0
            with contextlib.suppress(TimeoutError, ChannelClosed):
                async with asyncio.timeout(2):
                    while count < 1000:
                        await one.send(bytes(60_000))
                        count += 1
            assert count * 60_000 <= 4 * 1024 * 1024
            await asyncio.gather(*(connector.aclose() for connector in connectors))

    run(main)


def test_a_peer_that_has_nothing_to_say_is_kept():
    # Both ends share this loop: for as long as a busy machine holds it up, nobody can answer.
    limits = ChannelLimits(heartbeat_interval_us=50_000, dead_after_us=1_500_000)

    async def main():
        offering, answering = WebRtcConnector(limits=limits), WebRtcConnector()  # the answering side asks nothing
        one, other = await connect(offering, answering)
        await asyncio.sleep(1.5 * limits.dead_after_us / 1e6)  # nothing but heartbeats passes
        await one.send(b"still here")
        assert await other.receive() == b"still here"
        assert offering.statistics().ended == {}
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_what_aiortc_cannot_read_ends_the_channel_with_an_error_and_is_counted():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        sctp = raw(one).transport
        await sctp._send(raw(one).id, 51, b"\xff\xfe")  # says text, and is none
        with pytest.raises(ChannelClosed, match="no SCTP"):
            await other.receive()
        assert answering.statistics().ended == {"unreadable": 1}
        await offering.aclose()
        await answering.aclose()

    run(main)


async def send_nothing(sctp):
    """A fragment without data, as no library sends them."""
    chunk = rtcsctptransport.DataChunk(flags=2)
    chunk.tsn, chunk.stream_id, chunk.protocol = sctp._local_tsn, 1, 53
    sctp._local_tsn += 1
    await sctp._send_chunk(chunk)


def test_a_peer_that_sends_fragments_of_nothing_is_given_up_and_counted():
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        one, other = await connect(offering, answering)
        await send_nothing(raw(one).transport)
        with pytest.raises(ChannelClosed, match="without data"):
            await other.receive()
        assert answering.statistics().ended == {"unreadable": 1}
        await offering.aclose()
        await answering.aclose()

    run(main)


def test_a_peer_that_sends_them_and_never_opens_a_channel_is_given_up_too():
    async def main():
        answering, peer = WebRtcConnector(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.createDataChannel("p2p")
        peer.sctp._data_channel_queue.clear()  # it is not announced
        await peer.setLocalDescription(await peer.createOffer())
        incoming = await answering.answer(peer.localDescription.sdp)
        waiting = asyncio.ensure_future(incoming.channel())
        await peer.setRemoteDescription(RTCSessionDescription(sdp=incoming.description, type="answer"))
        await until(lambda: peer.sctp._association_state is peer.sctp.State.ESTABLISHED)
        await send_nothing(peer.sctp)
        with pytest.raises(ConnectFailed, match="without data"):
            await waiting
        assert answering.statistics().ended == {"unreadable": 1}
        await answering.aclose()
        await peer.close()

    run(main)


def test_a_peer_that_never_answers_is_given_up_in_time():
    async def main():
        link = Link()
        offering, answering = WebRtcConnector(connect_timeout_us=300_000), WebRtcConnector(connect_timeout_us=300_000)
        offer = await offering.offer("x")
        incoming = await answering.answer(link.pass_offer(offer.description))
        answer = link.pass_answer(incoming.description)
        link.cut.set()
        with link.running(thread=True):
            with pytest.raises(TimedOut):
                await offer.accept(answer)
            await offering.aclose()
            await answering.aclose()

    run(main)


def test_ten_seconds_is_the_longest_that_connecting_takes_by_itself():
    assert WebRtcConnector()._connect_timeout_us < 10_000_000


def test_a_machine_without_a_public_address_is_told_so_where_private_ones_stay_private(monkeypatch):
    async def main():
        connector = WebRtcConnector(candidates="public")
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
        with pytest.raises(ConnectFailed, match="no public address"):
            await connector.offer("x")
        await connector.aclose()

    run(main)


def test_without_a_relay_nothing_of_us_is_told_in_relay_mode():
    async def main():
        connector = WebRtcConnector(candidates="relay")
        with pytest.raises(ConnectFailed, match="TURN"):
            await connector.offer("x")
        await connector.aclose()

    run(main)


def test_channels_of_one_connector_share_its_upload_cap():
    async def main():
        offering, answering = WebRtcConnector(upload_bytes_per_second=1_000_000), WebRtcConnector()
        pairs = [await connect(offering, answering) for _ in range(2)]
        began = asyncio.get_running_loop().time()
        for one, _ in pairs:
            for _ in range(5):
                await one.send(bytes(50_000))
        for _, other in pairs:
            for _ in range(5):
                await other.receive()
        # 540 kB on the line, of which the burst and the last message are free; slower is the machine's business.
        assert asyncio.get_running_loop().time() - began >= 0.4
        await offering.aclose()
        await answering.aclose()

    run(main)
