"""A bridge over WebSockets: a web page talks to actors of this process by the JavaScript that it would use in one.

    server = BridgeServer(system, actors={"account": (Deposit, Withdraw)}, origins=("https://shop.example",))
    port = await server.start()
    ...
    await server.aclose()

Each connection is a `Bridge` of its own.  Who comes in:

    address  loopback, unless told otherwise, and then only with a token
    Host     an IP address or `localhost`, or a page could reach loopback under a name of its own (421)
    Origin   one of `origins`; browsers never let a page write it.  Programs, which are no pages, send none, and on
             this machine could do as they like anyhow: where there are others, the token keeps them out (403)
    token    in the first frame, so that it stands in no URL and no log; who sends none is closed

What is not read fast enough closes its connection, and so does a frame beyond the limits of aiohttp's reader.
`/bridge.js` is the JavaScript of the other side, for pages of `origins` to import.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from shoal.runtime import ActorSystem
from shoal.transports.bridge import Bridge
from shoal.transports.errors import AddressRefused, ConnectFailed, MessageTooLarge
from shoal.transports.sansio.bridge_frames import TOKEN_CHARACTERS_MAX, BridgeLimits, FrameMalformed, Wire, join, split
from shoal.transports.sansio.hosts import parse_authority, parse_origin

__all__ = ["BridgeServer"]

_SCRIPTS = Path(__file__).resolve().parent.parent / "browser" / "javascript"
_SCRIPT_NAMES = ("bridge.js", "carriers.js", "frames.js")
_HEARTBEAT_S = 20.0  # a page whose machine sleeps, or whose cable was pulled, goes after half as long again
_UNSENT_FRAMES_MAX = 1024  # of one page that does not read
_CLOSE_TIMEOUT_S = 1.0
_TOKEN_CHARACTERS_MIN = 16  # 96 bits as base64: not to be guessed, even without a limit on guesses
_WORDS_BYTES_MAX = 123  # of a close frame (RFC 6455, 5.5)


class BridgeServer:
    """A WebSocket server for pages."""

    def __init__(
        self,
        system: ActorSystem,
        *,
        actors: Mapping[str, Iterable[type[msgspec.Struct]]],
        errors: Sequence[type[Exception]] = (),
        origins: Iterable[str] = (),
        token: str | None = None,
        limits: BridgeLimits | None = None,
        connections_max: int = 32,
        on_page: Callable[[Bridge], None] | None = None,
    ) -> None:
        """`actors`, `errors`, `limits`: as of Bridge.  `on_page` is called with each page that said hello.

        `connections_max` pages may each have a frame of `limits` in memory.  ValueError for an origin that no page has,
        and for a token short enough to be guessed.
        """
        self._system = system
        self._actors = {name: tuple(types) for name, types in actors.items()}
        self._errors = tuple(errors)
        self._limits = limits or BridgeLimits()
        self._token = token
        self._connections_max = connections_max
        self._on_page = on_page
        self._origins = {parse_origin(origin) for origin in origins}
        if None in self._origins:
            raise ValueError("an origin is written as https://shop.example or http://localhost:8080")
        if token is not None and not _TOKEN_CHARACTERS_MIN <= len(token) <= TOKEN_CHARACTERS_MAX:
            raise ValueError(
                f"the token has {len(token)} characters; use {_TOKEN_CHARACTERS_MIN} to {TOKEN_CHARACTERS_MAX} "
                "(python -c 'import secrets; print(secrets.token_urlsafe())' makes one)"
            )
        self._pages: set[_Page] = set()
        self._refused: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        Bridge(system, actors=self._actors)  # what is wrong with `actors` is told now

    @property
    def refused(self) -> dict[str, int]:
        """Connections turned away, by reason: host, origin, full."""
        return dict(self._refused)

    @property
    def pages(self) -> list[Bridge]:
        return [page.bridge for page in self._pages]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port.  ConnectFailed if it is taken; AddressRefused for strangers without a token."""
        authority = parse_authority(f"[{host}]" if ":" in host else host)
        if self._token is None and (authority is None or not authority.is_loopback):
            raise AddressRefused(f"listening on {host} lets whoever reaches it in; give a token, or use 127.0.0.1")
        application = web.Application()
        application.router.add_get("/", self._serve)
        for name in _SCRIPT_NAMES:
            application.router.add_get(f"/{name}", self._serve_script)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_TIMEOUT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.aclose()
            raise ConnectFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def aclose(self) -> None:
        """Say goodbye to every page, and stop listening.  Does nothing the second time."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        pages = list(self._pages)
        for page in pages:
            page.bridge.close("the server stops")
        await asyncio.gather(*(page.ended.wait() for page in pages))
        await runner.cleanup()

    def _refusal(self, request: web.Request) -> web.Response | None:
        hosts = request.headers.getall("Host", ())
        host = parse_authority(hosts[0]) if len(hosts) == 1 else None
        if host is None or not (host.is_address or host.is_loopback):
            return self._refuse("host", 421, "this server is not known by that name; use its IP address, or localhost")
        origin = request.headers.get("Origin")
        if origin is not None and parse_origin(origin) not in self._origins:
            return self._refuse("origin", 403, f"pages of {origin[:100]!r} may not come in here; see `origins`")
        return None

    def _refuse(self, reason: str, status: int, text: str) -> web.Response:
        self._refused[reason] += 1
        return web.Response(status=status, text=text + "\n")

    async def _serve_script(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        headers = {"Content-Type": "text/javascript", "Vary": "Origin"}
        if "Origin" in request.headers:
            headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        return web.FileResponse(_SCRIPTS / request.path[1:], headers=headers)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        frame_bytes_max = 4 * self._limits.text_characters_max + self._limits.bytes_max + 1024
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S,
            max_msg_size=frame_bytes_max,
            compress=False,  # inflating is a cost that strangers choose
            timeout=_CLOSE_TIMEOUT_S,
        )
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, headers={"Upgrade": "websocket"}, text="This is a WebSocket.\n")
        if len(self._pages) >= self._connections_max:
            return self._refuse("full", 503, f"{self._connections_max} pages are connected; try again later")
        bridge = Bridge(
            self._system,
            actors=self._actors,
            errors=self._errors,
            limits=self._limits,
            token=self._token,
            on_open=self._on_page,
        )
        page = _Page(bridge, socket, request, unsent_bytes_max=4 * frame_bytes_max)
        self._pages.add(page)
        try:
            await socket.prepare(request)
            await page.run(self._limits)
        finally:
            self._pages.discard(page)
        return socket


class _Page:
    """One connection: a Carrier."""

    def __init__(
        self, bridge: Bridge, socket: web.WebSocketResponse, request: web.Request, *, unsent_bytes_max: int
    ) -> None:
        self.bridge = bridge
        self.ended = asyncio.Event()
        self._socket = socket
        self._request = request
        self._unsent: list[str | bytes] = []
        self._unsent_bytes = 0
        self._unsent_bytes_max = unsent_bytes_max
        self._changed = asyncio.Event()
        self._why: str | None = None  # set once no more is taken
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, text: str, parts: Sequence[bytes]) -> None:
        if self._why is not None:
            return
        message = join(Wire(text, tuple(parts))) if parts else text
        self._unsent.append(message)
        self._unsent_bytes += len(message)
        self._changed.set()
        if self._unsent_bytes > self._unsent_bytes_max or len(self._unsent) > _UNSENT_FRAMES_MAX:
            self.bridge.drop("unread")
            self._why = "the page does not read what it is sent"
            self._abort()

    def close(self, why: str) -> None:
        """What waits is sent first, if the page reads it soon."""
        self._why = self._why or why
        self._changed.set()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(_CLOSE_TIMEOUT_S, self._abort)

    async def run(self, limits: BridgeLimits) -> None:
        """From the handshake to the end."""
        writer = asyncio.create_task(self._write())
        try:
            self.bridge.attach(self)
            await self._read(limits)
            self.bridge.lost("the connection ended")
            await writer
        finally:
            self.bridge.lost("the connection was cut")
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            if self._deadline is not None:
                self._deadline.cancel()
            self.ended.set()

    async def _read(self, limits: BridgeLimits) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                self.bridge.receive(message.data, ())
            elif message.type is WSMsgType.BINARY and not self.bridge.is_open:
                self.bridge.receive("", (message.data,))  # what has bytes is no hello, and not taken apart
            elif message.type is WSMsgType.BINARY:
                try:
                    wire = split(message.data, limits)
                except (FrameMalformed, MessageTooLarge) as error:
                    self.bridge.drop("malformed" if isinstance(error, FrameMalformed) else "too_large")
                else:
                    self.bridge.receive(wire.text, wire.parts)

    async def _write(self) -> None:
        """Send what there is, in order; say goodbye at the end."""
        socket = self._socket
        with contextlib.suppress(ConnectionError):  # the reader notices too, and ends
            while self._unsent or self._why is None:
                messages, self._unsent = self._unsent, []
                for message in messages:
                    await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
                    self._unsent_bytes -= len(message)
                self._changed.clear()
                if not self._unsent and self._why is None:
                    await self._changed.wait()
            words = self._why.encode()[:_WORDS_BYTES_MAX].decode(errors="ignore").encode()
            await socket.close(code=WSCloseCode.GOING_AWAY, message=words)

    def _abort(self) -> None:
        """End the connection under the reader and the writer."""
        if self._request.transport is not None:
            self._request.transport.abort()
