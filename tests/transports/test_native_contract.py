"""The contract of transports, over sockets, WebRTC and threads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from aiohttp import web

from shoal.transports.native.hashing import ThreadHasher
from shoal.transports.native.http import HttpFetcher
from shoal.transports.native.server import HttpServer
from shoal.transports.native.shelf import ThreadShelf
from shoal.transports.native.webrtc import WebRtcConnector
from shoal.transports.native.websocket import WebSocketSignaling
from shoal.transports.registry import resolve_connector
from shoal.transports.sansio.statistics import ConnectorStatistics

from .contract import (
    ChannelContract,
    HasherContract,
    ShelfContract,
    SignalingContract,
    held_by,
    leaving_nothing,
)
from .contract_http import FetcherContract

pytestmark = pytest.mark.real


def open_sockets() -> int:
    """Of this process; none where there is no way to know (Linux has one)."""
    found = 0
    for descriptor in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the one that this glob itself had
            found += descriptor.readlink().name.startswith("socket:")
    return found


class NativeWorld:
    """The platform's own implementations, with defaults."""

    hides_addresses = False

    def __init__(self):
        self.connectors = []

    def run(self, main):
        async def limited():
            async with asyncio.timeout(60):  # a test that hangs says where instead of hanging the run
                return await leaving_nothing(main, self)

        return asyncio.run(limited())

    def left(self):
        return held_by(self.connectors) | {"sockets": open_sockets()}

    def counted(self, connector):
        self.connectors.append(connector)
        return connector

    def fetcher(self, policy=None):
        return HttpFetcher(policy)

    def server(self):
        return HttpServer()

    def connector(self, *, connect_timeout_us=10_000_000):
        return self.counted(WebRtcConnector(connect_timeout_us=connect_timeout_us))

    def signaling(self):
        return WebSocketSignaling()

    def hasher(self):
        return ThreadHasher()

    def shelf(self, folder, *, bytes_max):
        return ThreadShelf(folder, bytes_max=bytes_max)

    @contextlib.asynccontextmanager
    async def echo_tracker(self):
        async def echo(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                if message.data == "bye":
                    await socket.close(code=4000, message=b"asked to")
                elif message.data == "big":
                    await socket.send_str("x" * 1000)
                else:
                    await socket.send_str(message.data)
            return socket

        runner = web.ServerRunner(web.Server(echo), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"ws://127.0.0.1:{runner.addresses[0][1]}/announce"
        finally:
            await runner.cleanup()


class NativeEngineWorld(NativeWorld):
    """The same, with WebRTC by a native engine."""

    hides_addresses = True  # of a peer whose packets come before its description

    def connector(self, *, connect_timeout_us=10_000_000):
        pytest.importorskip("wrtc", reason="it is optional: pip install 'shoal[webrtc-native]'")
        return self.counted(resolve_connector("webrtc-native")(connect_timeout_us=connect_timeout_us))


@pytest.fixture
def world():
    return NativeWorld()


class TestHttpFetcher(FetcherContract):
    pass


class TestWebRtcChannels(ChannelContract):
    pass


class TestNativeEngineChannels(ChannelContract):
    @pytest.fixture
    def world(self):
        return NativeEngineWorld()


class TestWebSocketSignaling(SignalingContract):
    pass


class TestThreadHasher(HasherContract):
    pass


class TestThreadShelf(ShelfContract):
    pass


class Holding:
    """A connector with a connection."""

    def statistics(self):
        return ConnectorStatistics(connections=1, buffered_bytes=0, unread_bytes=0)


def test_a_test_that_leaves_something_is_told_so(world):
    async def leaves_a_socket():
        kept.append(socket.socket())

    async def leaves_a_connection():
        world.counted(Holding())

    async def leaves_a_task():
        kept.append(asyncio.ensure_future(asyncio.sleep(3600)))

    kept = []
    for main, what in ((leaves_a_socket, "sockets"), (leaves_a_connection, "connections"), (leaves_a_task, "behind")):
        with pytest.raises(AssertionError, match=what):
            world.run(main())
        if what == "sockets":
            kept[0].close()
