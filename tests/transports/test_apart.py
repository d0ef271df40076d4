"""Connections in processes of their own: the contract over frames, and what becomes of processes that end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import ChannelClosed, ConnectFailed, TransportMissing
from shoal.transports.native import apart
from shoal.transports.native.apart import ApartConnector
from shoal.transports.native.apart_process import PeersSide
from shoal.transports.sansio.apart_frames import Closed, FrameReader, FromPeers, Message, Opened, Send, ToPeers, encode
from shoal.transports.sansio.limits import ChannelLimits

from .contract import ChannelContract, assert_nothing_left, read_all, until
from .test_native_contract import NativeWorld

FRAMES = [
    Opened(1, "p2p", None, "192.0.2.1", True),
    Message(1, b"x" * 1000),
    Message(2, b""),
    Closed(1, "done", {"silent": 2}),
]


@given(st.lists(st.integers(1, 400), max_size=20))
def test_frames_come_out_as_they_went_in_however_they_were_cut(cuts):
    data = b"".join(map(encode, FRAMES))
    reader = FrameReader(FromPeers)
    frames = []
    for size in (*cuts, len(data)):
        frames += reader.feed(data[:size])
        data = data[size:]
    assert frames == FRAMES


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", encode(FRAMES[0]), b"\x00\x00\x00\x01\x90"])
def test_what_is_no_frame_of_that_side_is_an_error(data):
    with pytest.raises((ValueError, msgspec.DecodeError)):
        FrameReader(ToPeers).feed(data)


def test_a_length_without_its_frame_is_waited_for():
    assert FrameReader(ToPeers).feed(encode(Send(1, b"x", False))[:-1]) == []


class InOneLoop:
    """In place of a process: its side of the socket, in the same loop."""

    def __init__(self, side):
        self._side = side

    async def wait(self):
        await self._side.finished


async def spawn_in_one_loop(_, theirs):
    side = PeersSide()
    sock = socket.socket(fileno=os.dup(theirs.fileno()))
    await asyncio.get_running_loop().create_connection(lambda: side, sock=sock)
    return InOneLoop(side)


class ApartWorld(NativeWorld):
    def connector(self, *, connect_timeout_us=10_000_000):
        limits = ChannelLimits(close_timeout_us=5_000_000)  # a second is little on a busy machine
        return self.counted(ApartConnector(connect_timeout_us=connect_timeout_us, limits=limits))


@pytest.mark.real
class TestApartChannels(ChannelContract):
    @pytest.fixture
    def world(self, monkeypatch):
        monkeypatch.setattr(apart._Process, "_spawn", spawn_in_one_loop)
        return ApartWorld()


def run(main, *, options=None, monkeypatch=None):
    """`main(connectors)`, each with a process or with its side in this loop; nothing may be left."""

    async def limited():
        if monkeypatch is not None:
            monkeypatch.setattr(apart._Process, "_spawn", spawn_in_one_loop)
        async with asyncio.timeout(60):
            connectors = [ApartConnector(**(options or {})) for _ in range(2)]
            try:
                await main(*connectors)
            finally:
                for connector in connectors:
                    await connector.aclose()
        for connector in connectors:
            left = connector.statistics()
            assert (left.connections, left.buffered_bytes) == (0, 0)
        await assert_nothing_left()

    asyncio.run(limited())


async def connect(offering, answering):
    offer = await offering.offer("p2p")
    incoming = await answering.answer(offer.description)
    return await asyncio.gather(offer.accept(incoming.description), incoming.channel())


def processes(connector):
    return [process._process for process in connector._processes]


@pytest.mark.real
def test_real_processes_carry_everything_and_end_with_their_connector():
    pids = []

    async def main(offering, answering):
        one, other = await connect(offering, answering)
        pids.extend(process.pid for process in processes(offering) + processes(answering))
        for number in range(40):
            await one.send(bytes([number]) * 50_000)
        await one.send(b"urgent", urgent=True)
        messages = [await other.receive() for _ in range(41)]
        await one.close()
        assert (await read_all(other))[0] == []
        assert sorted(map(len, messages)) == [6] + [50_000] * 40
        assert [message[0] for message in messages if len(message) > 6] == list(range(40))

    run(main)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.real
def test_a_process_that_is_killed_ends_its_channels_and_another_takes_its_place():
    async def main(offering, answering):
        one, _ = await connect(offering, answering)
        processes(offering)[0].send_signal(signal.SIGKILL)
        with pytest.raises(ChannelClosed, match="process that had the connection ended"):
            await one.receive()
        again, other = await connect(offering, answering)
        await again.send(b"again")
        assert await other.receive() == b"again"

    run(main)


@pytest.mark.real
def test_connections_are_spread_over_the_processes(monkeypatch):
    async def main(offering, answering):
        await asyncio.gather(*(connect(offering, answering) for _ in range(4)))
        assert [len(process.links) for process in offering._processes] == [2, 2]

    run(main, options={"processes": 2}, monkeypatch=monkeypatch)


@pytest.mark.real
def test_connections_are_limited_over_all_processes(monkeypatch):
    async def main(offering, _):
        first = await offering.offer("x")
        await offering.offer("y")
        with pytest.raises(ConnectFailed, match="connections_max"):
            await offering.offer("z")
        await first.close()
        await (await offering.offer("z")).close()

    run(main, options={"processes": 2, "connections_max": 2}, monkeypatch=monkeypatch)


@pytest.mark.real
def test_a_peer_whose_messages_nobody_reads_floods_and_is_counted(monkeypatch):
    async def main(offering, answering):
        one, other = await connect(offering, answering)
        other._unread._messages_max = 20
        with contextlib.suppress(ChannelClosed):
            for _ in range(100):
                await one.send(b"small")
        await until(lambda: answering.statistics().ended)
        messages, detail = await read_all(other)
        assert len(messages) == 20
        assert "flooded" in detail
        assert answering.statistics().ended == {"flooded": 1}

    run(main, monkeypatch=monkeypatch)


@pytest.mark.real
def test_an_offer_that_is_given_up_leaves_no_connection(monkeypatch):
    async def main(offering, answering):
        offer = await offering.offer("p2p")
        accepting = asyncio.create_task(offer.accept((await answering.answer(offer.description)).description))
        await asyncio.sleep(0)
        accepting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await accepting
        assert offering.statistics().connections == 0

    run(main, monkeypatch=monkeypatch)


def test_options_that_make_no_sense_are_refused_before_there_is_a_process():
    async def main():
        with pytest.raises(TransportMissing, match="no engine 'steam'"):
            ApartConnector(engine="steam")
        with pytest.raises(TransportMissing, match="stuns"):
            ApartConnector(stun_servers=("stuns:192.0.2.1:3478",))
        with pytest.raises(ValueError, match="0 processes"):
            ApartConnector(processes=0)
        with pytest.raises(TypeError, match="speed"):
            ApartConnector(speed=3)
        with pytest.raises(ValueError, match="5000 for each of 2 processes; at least 8000"):
            ApartConnector(processes=2, upload_bytes_per_second=10_000)
        ApartConnector(processes=2, upload_bytes_per_second=16_000)

    asyncio.run(main())
