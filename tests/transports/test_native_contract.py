"""The contract of transports, over sockets, WebRTC and threads."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiohttp import web

from shoal.transports.native.hashing import ThreadHasher
from shoal.transports.native.http import HttpFetcher
from shoal.transports.native.server import HttpServer
from shoal.transports.native.shelf import ThreadShelf
from shoal.transports.native.webrtc import WebRtcConnector
from shoal.transports.native.websocket import WebSocketSignaling
from shoal.transports.registry import resolve_connector

from .contract import ChannelContract, HasherContract, ShelfContract, SignalingContract
from .contract_http import FetcherContract

pytestmark = pytest.mark.real


class NativeWorld:
    """The platform's own implementations, with defaults."""

    def run(self, main):
        async def limited():
            async with asyncio.timeout(60):  # a test that hangs says where instead of hanging the run
                return await main

        return asyncio.run(limited())

    def fetcher(self, policy=None):
        return HttpFetcher(policy)

    def server(self):
        return HttpServer()

    def connector(self, *, connect_timeout_us=10_000_000):
        return WebRtcConnector(connect_timeout_us=connect_timeout_us)

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

    def connector(self, *, connect_timeout_us=10_000_000):
        pytest.importorskip("wrtc", reason="it is optional: pip install 'shoal[webrtc-native]'")
        return resolve_connector("webrtc-native")(connect_timeout_us=connect_timeout_us)


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
