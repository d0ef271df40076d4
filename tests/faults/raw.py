"""An origin on a socket that says whatever bytes it likes, since no HTTP library would say all of this.

Each connection is for one request.  With a fault, all that is in `names` is answered wrongly.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from shoal.transports.sansio.ranges import content_range_header, requested_span

from .answers import answer_without, dates, flipped, other_body

__all__ = ["RawOrigin"]

_HEAD_TIMEOUT_S = 60.0
_SLOW_BYTES_PER_S = 20_000
_PIECE_BYTES = 16 * 1024
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found"}


class RawOrigin:
    def __init__(
        self,
        files: dict[str, bytes],
        *,
        fault: str = "none",
        names: Collection[str] = (),
        times: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`files` may change at any time; `times` is how often each name is answered wrongly before all is well."""
        self.files = files
        self.waits: Callable[[str], Awaitable[None]] | None = None  # before an answer, by the query of what was asked
        self.before: dict[str, bytes] = {}  # what a name meant once; where it is not given, what it means first
        self.met: Counter[str] = Counter()
        self.longest_bytes = 0  # written in one answer
        self.inside_port = 0  # of a server that nobody may reach
        self.port = 0
        self._fault = fault
        self._names = frozenset(names)
        self._times = times
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._on_connection, host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.LimitOverrunError):
                if self._fault == "tls-cut":
                    self.met["handshake"] += 1
                    await reader.read(64)  # some of the client's first words
                    return
                async with asyncio.timeout(_HEAD_TIMEOUT_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_Exchange(head, reader, writer, self))
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, exchange: _Exchange) -> None:
        name = exchange.name
        if self.waits is not None:
            await self.waits(exchange.path.partition("?")[2])
        data = self.files.get(name)
        is_over = self._times is not None and self.met[name] >= self._times
        if self._fault == "none" or is_over or name not in self._names:
            if data is None:
                await exchange.say(404)
            else:
                await exchange.send(data)
            return
        self.met[name] += 1
        if not await self._instead(exchange):
            await self._spoiled(exchange, data or b"")

    async def _instead(self, exchange: _Exchange) -> bool:
        """What is said without looking at the resource; whether anything was."""
        match self._fault:
            case "hang":
                await exchange.wait()
            case "reset-early":
                exchange.reset()
            case _:
                said = answer_without(self._fault, exchange.path, f"http://127.0.0.2:{self.inside_port}/secret")
                if said is None:
                    return False
                await exchange.say(said[0], *lines_of(said[1]))
        return True

    async def _spoiled(self, exchange: _Exchange, data: bytes) -> None:
        rest = exchange.rest_of(data)
        half = len(rest) // 2
        length = f"Content-Length: {len(rest)}"
        match self._fault:
            case "206":
                await exchange.say(206, length, f"Content-Range: bytes 0-{len(data) - 1}/{len(data)}", body=data)
            case "rangeless":
                await exchange.send(data, is_whole=True)
            case "wrong-range":
                first = max(0, exchange.first(data) - 1)
                headers = (f"Content-Range: bytes {first}-{first + len(rest) - 1}/{len(data)}",)
                await exchange.say(
                    206 if exchange.range else 200, length, *(headers if exchange.range else ()), body=rest
                )
            case "reset" | "truncated" | "stop" | "drip" | "cut":
                await self._broken(exchange, data, half)
            case "overlong":
                await exchange.say(exchange.status, f"Content-Length: {half}", *exchange.about(data), body=rest)
            case "slow":
                await exchange.say(exchange.status, length, *exchange.about(data))
                for start in range(0, len(rest), 2_000):
                    await exchange.write(rest[start : start + 2_000])
                    await asyncio.sleep(2_000 / _SLOW_BYTES_PER_S)
            case "endless":
                await exchange.say(200)
                while True:
                    await exchange.write(rest)
                    rest = rest * 2 if len(rest) < _PIECE_BYTES else rest
            case "huge":
                await exchange.say(200, "Content-Length: 10000000000", body=rest)
                await exchange.wait()
            case "corrupt":
                await exchange.send(flipped(data))
            case "ahead" | "behind":
                await exchange.send(data, *lines_of(dates(self._fault)))
            case "type":
                await exchange.send(data, "Content-Type: text/html")
            case _:
                other = other_body(self._fault, data, self.before.setdefault(exchange.name, data))
                assert other is not None, f"there is no fault {self._fault}"
                await exchange.say(200, f"Content-Length: {len(other[0])}", *lines_of(other[1]), body=other[0])

    async def _broken(self, exchange: _Exchange, data: bytes, half: int) -> None:
        rest = exchange.rest_of(data)
        length = () if self._fault == "cut" else (f"Content-Length: {len(rest)}",)
        await exchange.say(exchange.status, *length, *exchange.about(data), body=rest[:half])
        match self._fault:
            case "reset":
                await asyncio.sleep(0.05)  # else the reset overtakes the bytes, and they are lost
                exchange.reset()
            case "stop":
                await exchange.wait()
            case "drip":
                for place in range(half, len(rest)):
                    await asyncio.sleep(1)
                    await exchange.write(rest[place : place + 1])


class _Exchange:
    """One request, and the socket to answer it on."""

    def __init__(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: RawOrigin
    ) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.path = lines[0].split(" ")[1]
        self.name = self.path.partition("?")[0].rpartition("/")[2]
        self._headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        self.range = self._headers.get("range")
        self._reader = reader
        self._writer = writer
        self._origin = origin
        self._written = 0

    def etag(self, data: bytes) -> str:
        return f'"{hashlib.sha256(data).hexdigest()[:16]}"'

    def _is_part(self, data: bytes) -> bool:
        if_range = self._headers.get("if-range")
        return self.range is not None and if_range in {None, self.etag(data)}

    @property
    def status(self) -> int:
        return 206 if self.range is not None else 200

    def first(self, data: bytes) -> int:
        span = requested_span(self.range, len(data))
        return span.first if span is not None and self.range is not None else 0

    def rest_of(self, data: bytes) -> bytes:
        return data[self.first(data) :]

    def about(self, data: bytes) -> tuple[str, ...]:
        """Headers of the part that was asked for."""
        if self.range is None:
            return (f"ETag: {self.etag(data)}",)
        return (
            f"ETag: {self.etag(data)}",
            f"Content-Range: bytes {self.first(data)}-{len(data) - 1}/{len(data)}",
        )

    async def send(self, data: bytes, *headers: str, is_whole: bool = False) -> None:
        """As an honest server does."""
        etag = f"ETag: {self.etag(data)}"
        if is_whole or not self._is_part(data):
            await self.say(200, f"Content-Length: {len(data)}", etag, *headers, body=data)
            return
        span = requested_span(self.range, len(data))
        if span is None:
            await self.say(416, f"Content-Range: {content_range_header(None, len(data))}")
            return
        body = data[span.first : span.first + span.length]
        part = f"Content-Range: {content_range_header(span, len(data))}"
        await self.say(206, f"Content-Length: {len(body)}", etag, part, *headers, body=body)

    async def say(self, status: int, *headers: str, body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'On Purpose')}", "Connection: close", *headers, "", ""]
        if status >= 300:
            lines.insert(-2, "Content-Length: 0")
        self._writer.write("\r\n".join(lines).encode("latin-1"))
        await self.write(body)

    async def write(self, data: bytes) -> None:
        self._written += len(data)
        self._origin.longest_bytes = max(self._origin.longest_bytes, self._written)
        self._writer.write(data)
        await self._writer.drain()

    async def wait(self) -> None:
        """Until the client goes away."""
        await self._reader.read()

    def reset(self) -> None:
        """RST instead of FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def lines_of(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]
