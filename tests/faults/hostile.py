"""Origins of the in-memory network that do wrong: a handler before an honest one, and a fetcher that loses its way.

What a server can do, `Hostile` does with the honest answer in hand.  What happens
before a server hears of a request (names, connections, TLS), `Detour` does to the
requests for the same resources: it sends them where just that happens.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from urllib.parse import urlsplit

import msgspec

from shoal.transports.errors import ConnectFailed
from shoal.transports.interface import Fetcher, FetchRequest, FetchResponse, Handler, ServerRequest, ServerResponse
from shoal.transports.memory import MemoryServer, Network

from .answers import answer_without, dates, flipped, other_body

__all__ = ["BEFORE", "INSIDE_ADDRESS", "Detour", "Elsewhere", "Hostile", "Lures"]

PIECE_BYTES = 16 * 1024
INSIDE_ADDRESS = "10.0.0.1"
_FOREVER_S = 3600.0
_SLOW_BYTES_PER_S = 20_000


class Hostile:
    """Answers for `honest`: of these names wrongly, of all else as it does."""

    def __init__(self, fault: str, names: Collection[str], *, times: int | None = None) -> None:
        """`times` is how often each name is answered wrongly before all is well; None: always."""
        self.names = frozenset(names)
        self.met: Counter[str] = Counter()  # how often each was answered wrongly
        self.longest_bytes = 0  # that left in one answer
        self.before: dict[str, bytes] = {}  # what a name meant once; where it is not given, what it means first
        self._fault = fault
        self._times = times

    async def handle(self, request: ServerRequest, honest: Handler) -> ServerResponse:
        name = request.path.rpartition("/")[2]
        if name not in self.names or (self._times is not None and self.met[name] >= self._times):
            return await honest(request)
        self.met[name] += 1
        early = await self._instead(request)
        if early is not None:
            return early
        if self._fault == "rangeless":
            kept = {key: value for key, value in request.headers.items() if key not in {"range", "if-range"}}
            request = msgspec.structs.replace(request, headers=kept)
        answer = await honest(request)
        data = (
            answer.body if isinstance(answer.body, bytes) else b"".join([bytes(piece) async for piece in answer.body])
        )
        headers = {key.lower(): value for key, value in answer.headers.items()}
        return await self._spoiled(request, name, answer.status, headers, data)

    async def _instead(self, request: ServerRequest) -> ServerResponse | None:
        """What is said without looking at the resource."""
        match self._fault:
            case "hang":
                await asyncio.sleep(_FOREVER_S)
            case "reset-early":
                raise asyncio.CancelledError  # as if the server had died: its connections break
        said = answer_without(self._fault, request.path, f"http://{INSIDE_ADDRESS}/secret")
        return None if said is None else ServerResponse(*said)

    async def _spoiled(
        self, request: ServerRequest, name: str, status: int, headers: dict[str, str], data: bytes
    ) -> ServerResponse:
        half = len(data) // 2
        whole = {**headers, "content-length": str(len(data))}
        match self._fault:
            case "206":
                if "range" not in request.headers:
                    status, whole["content-range"] = 206, f"bytes 0-{len(data) - 1}/{len(data)}"
                return ServerResponse(status, whole, data)
            case "wrong-range":
                if status == 206:
                    total = int(headers["content-range"].rpartition("/")[2])
                    whole["content-range"] = f"bytes {total - len(data) - 1}-{total - 2}/{total}"
                return ServerResponse(status, whole, data)
            case "reset":
                return ServerResponse(status, whole, self._body(data[:half], then="reset"))
            case "cut":
                return ServerResponse(status, _lengthless(headers), self._body(data[:half]))
            case "truncated":
                return ServerResponse(status, whole, self._body(data[:half]))
            case "overlong":
                return ServerResponse(status, {**headers, "content-length": str(half)}, self._body(data))
            case "stop":
                return ServerResponse(status, whole, self._body(data[:half], then="stop"))
            case "drip":
                return ServerResponse(status, whole, self._dripping(data, half))
            case "slow":
                return ServerResponse(status, whole, self._body(data, bytes_per_s=_SLOW_BYTES_PER_S))
            case "type":
                return ServerResponse(status, {**whole, "content-type": "text/html"}, data)
            case "ahead" | "behind":
                return ServerResponse(status, {**whole, **dates(self._fault)}, data)
            case "endless":
                return ServerResponse(status, _lengthless(headers), self._body(data, then="again"))
            case "huge":
                return ServerResponse(200, {"content-length": "10000000000"}, self._body(data, then="stop"))
            case "corrupt":
                return ServerResponse(status, whole, flipped(data))
        other = other_body(self._fault, data, self.before.setdefault(name, data))
        if other is not None:  # all of it is announced and comes, whatever range was asked for
            return ServerResponse(200, {**other[1], "content-length": str(len(other[0]))}, other[0])
        return ServerResponse(status, whole, data)

    async def _body(self, data: bytes, *, then: str = "end", bytes_per_s: int | None = None) -> AsyncIterator[bytes]:
        sent = 0
        piece_bytes = PIECE_BYTES if bytes_per_s is None else bytes_per_s // 10
        while True:
            for start in range(0, len(data), piece_bytes):
                piece = data[start : start + piece_bytes]
                if bytes_per_s is not None:
                    await asyncio.sleep(len(piece) / bytes_per_s)
                sent += len(piece)
                self.longest_bytes = max(self.longest_bytes, sent)
                yield piece
            if then == "reset":
                raise ConnectionResetError
            if then == "stop":
                await asyncio.sleep(_FOREVER_S)
            if then != "again":
                return
            data = data * 2 if len(data) < PIECE_BYTES else data  # short ones again and again would take all day

    @staticmethod
    async def _dripping(data: bytes, half: int) -> AsyncIterator[bytes]:
        yield data[:half]
        for place in range(half, len(data)):
            await asyncio.sleep(1)
            yield data[place : place + 1]


def _lengthless(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "content-length"}


# -- before a server hears of it

# Where a request goes instead; or, TLS being none of the in-memory network's, what the socket's fetcher says of it.
_ELSEWHERE = {"refused": "closed", "dns": "nowhere", "rebound": "inside", "slow-accept": "far"}
_HANDSHAKES = {
    "tls-expired": "certificate verify failed: certificate has expired",
    "tls-host": "certificate verify failed: Hostname mismatch, certificate is not valid for it",
    "tls-cut": "the connection ended in the TLS handshake (EOF)",
}
BEFORE = frozenset(_ELSEWHERE) | frozenset(_HANDSHAKES)


class Lures:
    """The hosts that detours lead to, and one inside our own network, which nobody may ever reach."""

    def __init__(self, network: Network, viewer: str) -> None:
        network.host("closed")
        network.clog(viewer, "far")
        self.reached: list[str] = []
        hosts = (network.host("far"), network.host("inside", address=INSIDE_ADDRESS))
        self._servers = [MemoryServer(host) for host in hosts]

    async def start(self) -> None:
        for server in self._servers:
            await server.start(self._handle, port=80)

    async def stop(self) -> None:
        for server in self._servers:
            await server.aclose()

    async def _handle(self, request: ServerRequest) -> ServerResponse:
        self.reached.append(request.path)
        return ServerResponse(200, {}, b"secret")


class Detour:
    """A fetcher whose requests for these names at these hosts meet `fault` on their way."""

    def __init__(self, inner: Fetcher, fault: str, hosts: Collection[str], names: Collection[str]) -> None:
        self.met: Counter[str] = Counter()
        self._inner = inner
        self._fault = fault
        self._hosts = frozenset(hosts)
        self._names = frozenset(names)

    async def open(self, request: FetchRequest) -> FetchResponse:
        url = urlsplit(request.url)
        name = url.path.rpartition("/")[2]
        if url.hostname not in self._hosts or name not in self._names:
            return await self._inner.open(request)
        self.met[name] += 1
        words = _HANDSHAKES.get(self._fault)
        if words is not None:
            await asyncio.sleep(0.02)  # there and back
            raise ConnectFailed(f"{url.hostname} port 443 failed while connecting: {words}")
        elsewhere = url._replace(netloc=_ELSEWHERE[self._fault]).geturl()
        return await self._inner.open(msgspec.structs.replace(request, url=elsewhere))

    async def aclose(self) -> None:
        await self._inner.aclose()


class Elsewhere:
    """A fetcher of somebody who gets all from `host`, whatever host a URL names."""

    def __init__(self, inner: Fetcher, host: str) -> None:
        self._inner = inner
        self._host = host

    async def open(self, request: FetchRequest) -> FetchResponse:
        url = urlsplit(request.url)._replace(netloc=self._host).geturl()
        return await self._inner.open(msgspec.structs.replace(request, url=url))

    async def aclose(self) -> None:
        await self._inner.aclose()
