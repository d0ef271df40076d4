"""A connector that is closed while somebody waits for it: at any point of a handshake, and of gathering addresses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.transports.errors import ConnectFailed, TransportError
from shoal.transports.native.webrtc import WebRtcConnector
from shoal.transports.sansio.gathering import Gathering

from .contract import assert_nothing_left, until

pytestmark = pytest.mark.real

# A description is made in some twenty turns of the loop; then it is ICE's pauses and DTLS that take time.
POINTS = [(turns, 0.0) for turns in range(40)] + [(40, 0.004 * number) for number in range(1, 40)]


def open_sockets():
    """The names of this process's sockets."""
    found = set()
    for name in Path("/proc/self/fd").iterdir():
        try:
            target = str(name.readlink())
        except OSError:
            continue  # the folder's own
        if target.startswith("socket:"):
            found.add(target)
    return found


def run(main):
    async def limited():
        before = open_sockets()
        async with asyncio.timeout(60):
            await main()
        await assert_nothing_left()
        assert open_sockets() == before

    asyncio.run(limited())


async def handshake(offering, answering):
    """What came of it for each side: a channel, or the error that whoever waited was given."""
    offer = await offering.offer("p2p")
    incoming = await answering.answer(offer.description)
    return await asyncio.gather(offer.accept(incoming.description), incoming.channel(), return_exceptions=True)


async def outcomes(who, turns, delay_s):
    """What those who wait are told by a connector that is closed then, and by the other one."""
    connectors = [WebRtcConnector(connect_timeout_us=500_000) for _ in range(2)]
    waiting = asyncio.create_task(handshake(*connectors))
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(delay_s)
    await connectors[who].aclose()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    for connector in connectors:
        await connector.aclose()
        assert connector.statistics().connections == 0
    return [outcome] if isinstance(outcome, BaseException) else outcome


@pytest.mark.parametrize("who", [0, 1], ids=["offering", "answering"])
def test_closed_at_any_point_of_a_handshake_it_tells_whoever_waits_and_leaves_nothing_open(who):
    async def main():
        told = set()
        for start in range(0, len(POINTS), 10):
            points = POINTS[start : start + 10]
            for ends in await asyncio.gather(*(outcomes(who, *point) for point in points)):
                failed = [end for end in ends if isinstance(end, BaseException)]
                assert all(isinstance(end, TransportError) for end in failed), failed
                told.update(type(end).__name__ for end in failed)
            await assert_nothing_left()
        assert "ConnectFailed" in told

    run(main)


def with_a_server_that_never_answers(monkeypatch):
    async def never(protocol, server, **_):
        await asyncio.Event().wait()

    monkeypatch.setattr("aioice.ice.server_reflexive_candidate", never)
    connector = WebRtcConnector(stun_servers=("stun:192.0.2.1:3478",))
    connector._gathering = Gathering(patience_us=200_000, distrust_patience_us=200_000)
    return connector


def test_closed_while_it_gathers_it_fails_the_offer_at_once_and_waits_for_the_gathering(monkeypatch):
    """A library that is stopped while it opens sockets, or that opens them when it is closed, never closes them."""

    async def main():
        connector = with_a_server_that_never_answers(monkeypatch)
        before = open_sockets()
        waiting = asyncio.create_task(connector.offer("p2p"))
        await until(lambda: open_sockets() > before)
        closing = asyncio.create_task(connector.aclose())
        with pytest.raises(ConnectFailed, match="the connector was closed"):
            await waiting
        assert not closing.done()
        await closing
        assert open_sockets() == before

    run(main)


def test_an_offer_that_is_cancelled_while_it_gathers_leaves_nothing_open(monkeypatch):
    async def main():
        connector = with_a_server_that_never_answers(monkeypatch)
        before = open_sockets()
        waiting = asyncio.create_task(connector.offer("p2p"))
        await until(lambda: open_sockets() > before)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert open_sockets() == before
        await connector.aclose()

    run(main)
