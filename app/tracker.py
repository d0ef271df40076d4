"""A WebTorrent tracker for players of one event, lab or company: WebSockets around tracker_core.py.

    tracker = Tracker()
    port = await tracker.start("127.0.0.1", 8000)
    ...
    await tracker.aclose()

Every path is the tracker's; a request that is no WebSocket handshake gets 426.
With `tokens`, who comes without one that counts gets 403 (tracker_tokens.py), and who
has one is closed with 1008 soon after it has ended.
Figures for Prometheus are served at /metrics of another address, `start_metrics`:
whoever reaches the tracker has no business with them.
With `nodes`, its peers meet those of the tracker's other nodes (tracker_redis.py);
limits and tokens are counted by each node for itself.
A client that does not read what it is sent is closed, since what waits for each has
a limit, and so has what waits for all.  Who reads nothing at all, or vanished, is
noticed by pings: whatever it sends, it has to answer them.

No TLS: put a server that has it in front, and name it in `trusted_proxies`.  From
there clients' addresses are read out of X-Forwarded-For (tracker_proxies.py), or all
would share one, and with it one limit, one network, and the right to each other's
peer ids.  It has to add the address that it was asked from, as nginx does with

    location / {
      proxy_pass http://127.0.0.1:8000;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 5m;  # longer than `interval_s`, for clients that only announce
    }
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import WSCloseCode, WSMsgType, web

from shoal.transports.errors import ConnectFailed

from .tracker_core import TrackerCore, TrackerLimits, TrackerStatistics
from .tracker_messages import Far
from .tracker_metrics import METRICS_TYPE, metrics_text
from .tracker_nodes import NodesStatistics
from .tracker_proxies import FORWARDED_FOR, TrustedProxies
from .tracker_redis import RedisNodes
from .tracker_tokens import TOKEN_PARAMETER, TokenRefused, Tokens

__all__ = ["Tracker"]

HEARTBEAT_S = 30.0  # a dead client stays in its swarms for this long, and at most twice as long
BEATS = 30  # between two looks at a client: each time at one in so many, since a whole event's come in one moment
# What the transport and the kernel hold of what is sent is not counted: little of it, then, beside `queue_bytes_max`.
WRITE_BUFFER_BYTES = 16 * 1024
KERNEL_BUFFER_BYTES = 64 * 1024  # else Linux lets it grow to 4 MiB for each who does not read


TOKEN_ENDED = b"the token has ended; load the page again"


class _Ping(bytes):
    """Waits among texts, and is no text."""


class _Unsent:
    """What waits to be sent, to all clients together."""

    __slots__ = ("byte_count",)

    def __init__(self) -> None:
        self.byte_count = 0


class _Client:
    """One socket, and what waits to be sent over it.

    Most say and hear something every other minute: a queue and a task that waited all the while would be a
    fifth of what a socket costs.
    """

    __slots__ = (
        "_all_unsent",
        "_is_cut",
        "_waiting",
        "_writer",
        "ends_s",
        "pinged",
        "request",
        "socket",
        "unsent_bytes",
    )

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, all_unsent: _Unsent, ends_s: float | None
    ) -> None:
        self.socket = socket
        self.request = request
        self.ends_s = ends_s  # since 1970: its token, with grace
        self.unsent_bytes = 0  # with what the writer has taken
        self.pinged: bytes | None = None  # what it was asked to say, and has not said
        self._all_unsent = all_unsent
        self._is_cut = False
        self._waiting: deque[bytes] | None = None  # None: nobody writes
        self._writer: asyncio.Task[None] | None = None

    def limit_buffers(self) -> None:
        """Once it is open."""
        transport = self.request.transport
        if transport is not None:
            transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_BUFFER_BYTES)

    def post(self, data: bytes) -> None:
        """Have it sent after what waits already."""
        if self._is_cut:
            return
        self._count(len(data))
        if self._waiting is None:
            self._waiting = deque((data,))
            self._writer = asyncio.create_task(self._write(self._waiting))
        else:
            self._waiting.append(data)

    def ping(self) -> None:
        """Ask it to say something that it has to read first."""
        self.pinged = os.urandom(4)
        self.post(_Ping(self.pinged))

    async def _write(self, waiting: deque[bytes]) -> None:
        with contextlib.suppress(ConnectionError):  # the reader notices too, and ends
            while waiting:
                data = waiting.popleft()
                await self.socket.send_frame(data, WSMsgType.PING if type(data) is _Ping else WSMsgType.TEXT)
                self._count(-len(data))
            self._waiting = self._writer = None

    def _count(self, byte_count: int) -> None:
        self.unsent_bytes += byte_count
        self._all_unsent.byte_count += byte_count

    async def end(self) -> None:
        """Send no more."""
        writer, self._writer = self._writer, None
        self._forget()
        if writer is not None:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def _forget(self) -> None:
        self._is_cut = True
        self._waiting = None
        self._count(-self.unsent_bytes)

    async def close(self, why: bytes, code: int = WSCloseCode.GOING_AWAY) -> None:
        # aiohttp waits for the client's close frame; a client that sends none is left after a second.
        try:
            async with asyncio.timeout(1.0):
                await self.socket.close(code=code, message=why)
        except (TimeoutError, ConnectionError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection and all that waits, which ends its reader."""
        self._forget()
        if self._writer is not None:
            self._writer.cancel()
        if self.request.transport is not None:
            self.request.transport.abort()


class Tracker:
    """A tracker on one address.

    `trusted_proxies` are addresses, and networks like 10.0.0.0/8, whose X-Forwarded-For is believed.
    `seed` makes the choice of peers repeatable.
    """

    def __init__(
        self,
        limits: TrackerLimits | None = None,
        *,
        tokens: Tokens | None = None,
        nodes: RedisNodes | None = None,
        trusted_proxies: Iterable[str] = (),
        seed: int | None = None,
    ) -> None:
        self.limits = limits or TrackerLimits()
        self._tokens = tokens
        self._nodes = nodes
        self._proxies = TrustedProxies(trusted_proxies)
        self._core = TrackerCore(random.Random(seed), self.limits, None if nodes is None else nodes.nodes)
        self._clients: dict[int, _Client] = {}
        self._unsent = _Unsent()
        self._beating: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self._metrics_runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port (a free one when `port` is 0).

        ConnectFailed if it is taken, or if there are to be other nodes and the way to them is not there.
        """
        if self._runner is not None:
            raise RuntimeError("the tracker is running; aclose() it first")
        if self._nodes is not None:
            await self._nodes.start(self._core, self._post)
        self._runner = _runner("/{path:.*}", self._serve)
        self._beating = asyncio.create_task(self._beat())
        return await self._listen(self._runner, host, port)

    async def start_metrics(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve the tracker's figures at /metrics there, and return the port.  ConnectFailed if it is taken."""
        if self._metrics_runner is not None:
            raise RuntimeError("the metrics are served already; aclose() the tracker first")
        self._metrics_runner = _runner("/metrics", self._serve_metrics)
        return await self._listen(self._metrics_runner, host, port)

    async def _listen(self, runner: web.AppRunner, host: str, port: int) -> int:
        try:
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await self.aclose()
            message = f"cannot listen on {host}:{port}: {error.strerror}; choose another port, or 0 for a free one"
            raise ConnectFailed(message) from error
        return int(runner.addresses[0][1])

    async def aclose(self) -> None:
        """Close every client and stop listening.  Does nothing the second time."""
        metrics, self._metrics_runner = self._metrics_runner, None
        if metrics is not None:
            await metrics.cleanup()
        if self._nodes is not None:
            await self._nodes.aclose()
        runner, self._runner = self._runner, None
        if runner is None:
            return
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*(client.close(b"tracker stops") for client in list(self._clients.values())))
        await runner.cleanup()

    def stats(self) -> TrackerStatistics:
        return self._core.statistics()

    def nodes_stats(self) -> NodesStatistics | None:
        """None where this is the only node."""
        return None if self._nodes is None else self._nodes.statistics()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            autoping=False,  # in `_beat`: aiohttp takes any frame for an answer, also of who reads nothing
            writer_limit=WRITE_BUFFER_BYTES,
            max_msg_size=self.limits.message_bytes_max,
            compress=False,  # descriptions hardly repeat, and inflating is a cost that strangers choose
        )
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, headers={"Upgrade": "websocket"}, text="This is a WebSocket tracker.\n")
        subject = ends_s = None
        if self._tokens is not None:
            try:
                admission = self._tokens.check(request.query.get(TOKEN_PARAMETER), time.time())
                subject, ends_s = admission.subject, admission.ends_s + self.limits.token_grace_s
            except TokenRefused as refused:
                self._core.refused(refused.kind)
                return web.Response(status=403, text=f"{refused}\n")
        number = next(self._numbers)
        caller = self._proxies.caller(request.remote or "?", request.headers.getall(FORWARDED_FOR, ()))
        refusal = self._core.opened(number, caller.address, subject, is_unnamed=caller.is_unnamed)
        if refusal is not None:
            return web.Response(status=503, headers={"Retry-After": "60"}, text=refusal + "\n")
        client = self._clients[number] = _Client(socket, request, self._unsent, ends_s)
        try:
            await socket.prepare(request)
            client.limit_buffers()
            async for message in socket:
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                    continue
                if message.type is WSMsgType.PONG:
                    if message.data == client.pinged:
                        client.pinged = None
                    continue
                if message.type is not WSMsgType.TEXT:
                    await client.close(b"text messages only")
                    break
                for to, text in self._core.receive(number, message.data, time.monotonic_ns() // 1000):
                    if isinstance(to, Far):
                        self._pass_on(to, text)
                    else:
                        self._post(to, text)
                self._tell_nodes()
        finally:
            self._core.closed(number)
            self._tell_nodes()
            del self._clients[number]
            await client.end()
        return socket

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        text = metrics_text(self.stats(), self.nodes_stats())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"})

    def _pass_on(self, far: Far, text: str) -> None:
        assert self._nodes is not None, "only other nodes have such peers"
        self._nodes.pass_on(far, text)

    def _tell_nodes(self) -> None:
        if self._nodes is not None and self._core.has_changed:
            self._nodes.woken.set()

    def _post(self, number: int, text: str) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        data = text.encode()
        if client.unsent_bytes + len(data) > self.limits.queue_bytes_max:
            # It has not read for so long that what waits is of no use to it.
            self._cut(number, client, "client_too_slow")
            return
        client.post(data)
        if self._unsent.byte_count > self.limits.queues_bytes_max:
            self._cut(*max(self._clients.items(), key=lambda item: item[1].unsent_bytes), "queues_full")

    def _cut(self, number: int, client: _Client, why: str) -> None:
        """Drop a client; `why` is the stable word that counts it."""
        self._core.closed(number, why)
        self._tell_nodes()
        client.abort()

    async def _beat(self) -> None:
        """Look at each client once in HEARTBEAT_S."""
        for beat in itertools.count():
            await asyncio.sleep(HEARTBEAT_S / BEATS)
            for number in [number for number in self._clients if number % BEATS == beat % BEATS]:
                client = self._clients[number]
                if client.ends_s is not None and time.time() >= client.ends_s:
                    self._core.closed(number, "token_ended")
                    self._tell_nodes()
                    closing = asyncio.create_task(client.close(TOKEN_ENDED, WSCloseCode.POLICY_VIOLATION))
                    self._closing.add(closing)
                    closing.add_done_callback(self._closing.discard)
                elif client.pinged is None:
                    client.ping()
                else:
                    self._cut(number, client, "client_silent")


def _runner(path: str, serve: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.AppRunner:
    application = web.Application()
    application.router.add_get(path, serve)
    return web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
