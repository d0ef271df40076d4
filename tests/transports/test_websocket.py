"""The WebSocket client against trackers that misbehave; what is common to all signaling is in contract.py."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiohttp import web

from shoal.transports.errors import AddressRefused, ChannelClosed, ConnectFailed, StatusError, TimedOut, TrackerRefused
from shoal.transports.interface import AddressPolicy
from shoal.transports.native.websocket import WebSocketSignaling

from .contract import assert_nothing_left

pytestmark = pytest.mark.real


def against(tracker, client, **options):
    """Run `client(signaling, url)` while `tracker(socket)` serves each WebSocket, or `tracker` the request itself."""

    async def handle(request):
        if request.path != "/announce":
            return await tracker(request)
        socket = web.WebSocketResponse(autoping=options.get("autoping", True))
        await socket.prepare(request)
        await tracker(socket)
        return socket

    async def main():
        signaling = WebSocketSignaling(**{name: value for name, value in options.items() if name != "autoping"})
        runner = web.ServerRunner(web.Server(handle, handler_cancellation=True), shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with asyncio.timeout(60):
                await client(signaling, f"ws://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await signaling.aclose()
            await runner.cleanup()
            await assert_nothing_left()

    asyncio.run(main())


def test_a_binary_message_ends_the_socket():
    async def client(signaling, base):
        socket = await signaling.connect(f"{base}/announce")
        with pytest.raises(ChannelClosed, match="binary"):
            await socket.receive()

    against(lambda socket: socket.send_bytes(b"x"), client)


def test_the_trackers_code_and_reason_are_in_the_detail():
    async def client(signaling, base):
        socket = await signaling.connect(f"{base}/announce")
        with pytest.raises(ChannelClosed, match="4321 go away"):
            await socket.receive()

    against(lambda socket: socket.close(code=4321, message=b"go away"), client)


def test_a_tracker_that_answers_no_ping_is_left():
    async def silent(socket):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)

    async def client(signaling, base):
        socket = await signaling.connect(f"{base}/announce")
        with pytest.raises(ChannelClosed):
            async with asyncio.timeout(4):
                await socket.receive()

    against(silent, client, autoping=False, heartbeat_us=100_000)


def test_a_connection_that_drops_is_a_closed_channel():
    async def drop(socket):
        socket._req.transport.abort()

    async def client(signaling, base):
        socket = await signaling.connect(f"{base}/announce")
        with pytest.raises(ChannelClosed):
            await socket.receive()

    against(drop, client)


@pytest.mark.parametrize(("path", "status"), [("/redirect", 302), ("/missing", 404), ("/plain", 200)])
def test_what_is_no_websocket_is_a_status_and_redirects_are_not_followed(path, status):
    async def answer(request):
        if request.path == "/redirect":
            return web.Response(status=302, headers={"Location": "/announce"})
        return web.Response(status=status)

    async def client(signaling, base):
        with pytest.raises(StatusError) as caught:
            await signaling.connect(base + path)
        assert caught.value.status == status

    against(answer, client)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"a token is needed\n", "a token is needed"),
        (b"no\r\n\x1b[31m\xff", "no   [31m\ufffd"),  # nothing that a terminal would obey
        (b"x" * 1_000_000, "x" * 120),
        (b"", "Forbidden"),
    ],
)
def test_who_refuses_us_is_quoted(body, words):
    async def answer(request):
        return web.Response(status=403, body=body)

    async def client(signaling, base):
        with pytest.raises(TrackerRefused) as caught:
            await signaling.connect(f"{base}/closed")
        assert (caught.value.status, caught.value.reason) == (403, "tracker_refused")
        assert str(caught.value) == f"127.0.0.1 answered 403 instead of a WebSocket: {words}"

    against(answer, client)


def test_who_has_no_room_is_quoted_and_says_for_how_long():
    async def answer(request):
        return web.Response(status=503, headers={"Retry-After": "60"}, body=b"32 sockets of one token, and no more\n")

    async def client(signaling, base):
        with pytest.raises(StatusError) as caught:
            await signaling.connect(f"{base}/full")
        assert not isinstance(caught.value, TrackerRefused)
        assert str(caught.value).endswith("answered 503 instead of a WebSocket: 32 sockets of one token, and no more")
        assert caught.value.retry_after_us == 60_000_000

    against(answer, client)


def test_who_refuses_us_and_drips_its_words_is_not_waited_for():
    async def answer(request):
        response = web.StreamResponse(status=401)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.sleep(30)
        return response

    async def client(signaling, base):
        async with asyncio.timeout(10):
            with pytest.raises(TrackerRefused, match="answered 401 instead of a WebSocket: Unauthorized"):
                await signaling.connect(f"{base}/closed")

    against(answer, client)


def test_a_handshake_that_hangs_times_out():
    async def hang(request):
        await asyncio.sleep(5)

    async def client(signaling, base):
        with pytest.raises(TimedOut) as caught:
            await signaling.connect(f"{base}/hang")
        assert caught.value.phase == "connect"

    against(hang, client, connect_timeout_us=50_000)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1/", "ws://[::ffff:127.0.0.1]:1/", "ws://u:p@93.184.216.34/", "ftp://x/", "ws:///"]
)
def test_a_policy_holds_for_trackers_too(url):
    async def main():
        signaling = WebSocketSignaling(AddressPolicy())
        with pytest.raises(AddressRefused):
            await signaling.connect(url)
        await signaling.aclose()

    asyncio.run(main())


def test_closing_the_signaling_closes_its_sockets():
    async def idle(socket):
        async for _ in socket:
            pass

    async def client(signaling, base):
        sockets = [await signaling.connect(f"{base}/announce") for _ in range(3)]
        await signaling.aclose()
        for socket in sockets:
            with pytest.raises(ChannelClosed):
                await socket.send("x")
        with pytest.raises(ConnectFailed):
            await signaling.connect(f"{base}/announce")

    against(idle, client)
