"""Fetcher and Server of the in-memory network; answers are held to the same rules as real ones (sansio/bodies.py)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import TracebackType
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from shoal.transports.errors import AddressRefused, BodyTruncated, ConnectFailed, TimedOut, TransportError
from shoal.transports.interface import (
    AddressPolicy,
    FetchRequest,
    FetchResponse,
    Handler,
    ServerRequest,
    ServerResponse,
)
from shoal.transports.sansio.addresses import check_address, check_host, check_text
from shoal.transports.sansio.bodies import (
    CREDENTIALS,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    REDIRECTS,
    BodyCounter,
    BodyPlan,
    plan_body,
    request_headers,
    status_error,
)

from .network import Host
from .pipe import Pipe, PipeEnded

__all__ = ["MemoryFetcher", "MemoryServer"]

_SECOND_US = 1_000_000
_PIECE_BYTES = 64 * 1024  # larger pieces of a handler are cut, so that conditions apply per piece
_WINDOW_BYTES = 256 * 1024  # what a connection holds between writer and reader, as socket buffers do


class _Head:
    """Status line and headers of an answer, names in lower case."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers


class MemoryFetcher:
    """A Fetcher on one host."""

    def __init__(self, host: Host, policy: AddressPolicy | None = None, *, redirects_max: int = 5) -> None:
        self._host = host
        self._policy = policy if policy is not None else AddressPolicy()
        self._redirects_max = redirects_max
        self._open: set[_Exchange] = set()
        self._closed = False

    async def open(self, request: FetchRequest) -> FetchResponse:
        """As Fetcher.open.  A host's address is judged by the policy as a resolved name's would be."""
        if self._closed:
            raise ConnectFailed("this fetcher is closed; make another")
        headers = request_headers(request, "shoal")
        url = self._checked(request.url)
        redirects_left = self._redirects_max
        while True:
            exchange, head = await self._ask(url, dict(headers), request)
            try:
                if head.status not in REDIRECTS or "location" not in head.headers or redirects_left == 0:
                    return _accept(url, head, exchange, request)
                target = self._redirect_target(url, head.headers["location"])
            except BaseException:
                exchange.drop()
                raise
            exchange.drop()
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers = [(name, value) for name, value in headers if name not in CREDENTIALS]
            url = target
            redirects_left -= 1

    async def post(self, url: str, body: bytes, content_type: str, *, timeout_us: int) -> int:
        """As Poster.post."""
        if self._closed:
            raise ConnectFailed("this fetcher is closed; make another")
        request = FetchRequest(url=url, connect_timeout_us=timeout_us, first_byte_timeout_us=timeout_us)
        headers = {**dict(request_headers(request, "shoal")), "content-type": content_type}
        exchange, head = await self._ask(self._checked(url), headers, request, body)
        exchange.drop()
        return head.status

    async def aclose(self) -> None:
        self._closed = True
        for exchange in list(self._open):
            exchange.drop()

    def _checked(self, text: str) -> str:
        check_text(text)
        try:
            parts = urlsplit(text)
            has_user = parts.username is not None or parts.password is not None
            port = _port(parts)
        except ValueError as error:
            raise AddressRefused(f"{text[:200]!r} refused: {error}") from error
        name = check_host(self._policy, scheme=parts.scheme, host=parts.hostname, port=port, has_user=has_user)
        found = self._host.network.find(self._host, name, port)
        if found is not None:
            check_address(self._policy, "127.0.0.1" if found[0] is self._host else found[0].address, host=name)
        elif _is_literal(name) or name == "localhost":
            check_address(self._policy, name, host=name)
        return text

    def _redirect_target(self, url: str, location: str) -> str:
        target = self._checked(urljoin(url, location))
        if url.startswith("https:") and not target.startswith("https:"):
            raise AddressRefused(f"redirect from {url} to {target} refused; it would leave https")
        return target

    async def _ask(
        self, url: str, headers: dict[str, str], request: FetchRequest, body: bytes | None = None
    ) -> tuple[_Exchange, _Head]:
        parts = urlsplit(url)
        headers["host"] = parts.netloc
        async with _limit(parts.netloc, "connect", request.connect_timeout_us):
            exchange = await self._connect(parts)
        self._open.add(exchange)
        try:
            async with _limit(parts.netloc, "first_byte", request.first_byte_timeout_us):
                exchange.begin(
                    ServerRequest(
                        method="GET" if body is None else "POST",
                        path=unquote(parts.path) or "/",
                        query=parts.query,
                        headers=headers,
                        remote=self._host.address,
                        body=body or b"",
                    )
                )
                head = await exchange.answer.receive()
        except PipeEnded as error:
            exchange.drop()
            raise ConnectFailed(f"{parts.netloc} failed before it answered: {error.detail}") from error
        except BaseException:
            exchange.drop()
            raise
        assert isinstance(head, _Head)
        longest = max(map(len, head.headers.values()), default=0)
        if len(head.headers) > HEADERS_MAX or longest > HEADER_BYTES_MAX:
            exchange.drop()
            raise TransportError(
                f"{parts.netloc} answered what is not HTTP: {len(head.headers)} headers of up to {longest} bytes,"
                f" and {HEADERS_MAX} of {HEADER_BYTES_MAX} are read; try another"
            )
        return exchange, head

    async def _connect(self, parts: SplitResult) -> _Exchange:
        found = self._host.network.find(self._host, parts.hostname or "", _port(parts))
        if found is None:
            is_known = self._host.network.knows(self._host, parts.hostname or "")
            raise ConnectFailed(f"{parts.netloc}: {'nobody listens there' if is_known else 'no such name'}")
        owner, server = found
        there, back = self._host.to(owner), owner.to(self._host)
        await there.passing()
        await back.passing()
        await asyncio.sleep(there.latency_s() + back.latency_s())
        if there.refuses() or not isinstance(server, MemoryServer) or server.is_closed:
            raise ConnectFailed(f"{parts.netloc}: connection refused")
        return _Exchange(server, self._host, owner, self._open)


class _Exchange:
    """One request and its answer; dropping it is how a client goes away."""

    def __init__(self, server: MemoryServer, client: Host, owner: Host, siblings: set[_Exchange]) -> None:
        self.question: Pipe[ServerRequest] = Pipe(client.to(owner))
        self.answer: Pipe[_Head | bytes] = Pipe(owner.to(client))
        self._server = server
        self._siblings = siblings
        self._task: asyncio.Task[None] | None = None

    def begin(self, request: ServerRequest) -> None:
        self.question.send(request, 500)  # a GET with its headers is about this long
        self._task = self._server.serve(self.question, self.answer)

    def drop(self) -> None:
        self.question.break_off("the client went away")
        self.answer.break_off("the connection was closed")
        if self._task is not None:
            self._task.cancel()
        self._siblings.discard(self)


def _accept(url: str, head: _Head, exchange: _Exchange, request: FetchRequest) -> FetchResponse:
    if head.status not in {200, 206}:
        raise status_error(url, head.status, "", head.headers)
    return _Response(url, head, exchange, request, plan_body(head.status, head.headers, request))


class _Response:
    """A FetchResponse."""

    def __init__(self, url: str, head: _Head, exchange: _Exchange, request: FetchRequest, plan: BodyPlan) -> None:
        self.url = url
        self.status = head.status
        self.headers: Mapping[str, str] = head.headers
        self.first_byte = plan.first_byte
        self.total_bytes = plan.total_bytes
        self.etag = plan.etag
        self._exchange = exchange
        self._stall_timeout_us = request.stall_timeout_us
        self._counter = BodyCounter(plan, request)
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        self._exchange.drop()
        with contextlib.suppress(RuntimeError):  # another task is inside; it gets BodyTruncated
            await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            while piece := await self._next_piece():
                fitting = self._counter.take(piece)
                if fitting:
                    yield fitting
                self._counter.check_piece(self.url, piece, fitting)
            self._counter.check_end(self.url)
        finally:
            self._exchange.drop()

    async def _next_piece(self) -> bytes:
        try:
            async with _limit(self.url, "stall", self._stall_timeout_us):
                piece = await self._exchange.answer.receive()
        except PipeEnded as error:
            if error.is_clean:
                return b""
            received = self._counter.received
            raise BodyTruncated(f"{self.url} broke off after {received} bytes: {error.detail}") from error
        assert isinstance(piece, bytes)
        return piece


class MemoryServer:
    """A Server on one host, reached by the host's name, its address, or `localhost` on the host itself."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._handler: Handler | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: set[Pipe[_Head | bytes]] = set()
        self.is_closed = False

    async def start(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """As Server.start; `host` is taken as one of this host's own addresses."""
        if self._handler is not None:
            raise RuntimeError("this server was started already; make another")
        listeners = self._host.network.listeners
        self._port = port or self._host.free_port()
        if (self._host.name, self._port) in listeners:
            raise ConnectFailed(f"port {port} of {host} is taken; stop its owner, or use port 0 for a free one")
        self._handler = handler
        listeners[self._host.name, self._port] = self
        return self._port

    async def aclose(self) -> None:
        """Stop listening, and break off what is under way."""
        if self._handler is None or self.is_closed:
            return
        self.is_closed = True
        del self._host.network.listeners[self._host.name, self._port]
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def serve(self, question: Pipe[ServerRequest], answer: Pipe[_Head | bytes]) -> asyncio.Task[None]:
        """Answer one request; called by the fetcher's side once it is connected."""
        task = asyncio.ensure_future(self._serve(question, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, question: Pipe[ServerRequest], answer: Pipe[_Head | bytes]) -> None:
        try:
            request = await question.receive()
            response = await self._handled(request)
            headers = {name.lower(): value for name, value in response.headers.items()}
            if isinstance(response.body, bytes):
                headers.setdefault("content-length", str(len(response.body)))
            elif "content-length" not in headers:
                headers["transfer-encoding"] = "chunked"
            answer.send(_Head(response.status, headers), 500)
            sent = await _send_body(answer, response.body)
            announced = headers.get("content-length")
            if announced is not None and int(announced) != sent:
                await _after_what_was_sent(answer)
                answer.break_off("the body was not as long as announced")
            answer.close("complete")
        except PipeEnded:
            pass  # the client went away, or the connection broke: there is nobody to tell
        except asyncio.CancelledError:
            answer.break_off("the server broke off")
            raise
        except Exception:  # the body's source raised: the client learns it by the missing rest
            await _after_what_was_sent(answer)
            answer.break_off("the server broke off")

    async def _handled(self, request: ServerRequest) -> ServerResponse:
        assert self._handler is not None
        try:
            return await self._handler(request)
        except Exception:  # as the native server: one plain line, no traceback
            return ServerResponse(500, {"content-type": "text/plain"}, b"this request failed\n")


async def _send_body(answer: Pipe[_Head | bytes], body: bytes | AsyncIterator[bytes | memoryview]) -> int:
    sent = 0
    if isinstance(body, bytes):
        for start in range(0, len(body), _PIECE_BYTES):
            await _send_piece(answer, body[start : start + _PIECE_BYTES])
        return len(body)
    try:
        async for chunk in body:
            for start in range(0, len(chunk), _PIECE_BYTES):
                await _send_piece(answer, bytes(chunk[start : start + _PIECE_BYTES]))
            sent += len(chunk)
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
    return sent


async def _send_piece(answer: Pipe[_Head | bytes], piece: bytes) -> None:
    answer.send(piece, len(piece))
    await answer.wait_below(_WINDOW_BYTES)


async def _after_what_was_sent(answer: Pipe[_Head | bytes]) -> None:
    """Let the reader have the good bytes first."""
    with contextlib.suppress(PipeEnded):
        await answer.wait_below(0)


class _limit:  # noqa: N801 - used as a verb in a with statement
    """Turn a time-out inside into TimedOut of that phase."""

    def __init__(self, where: str, phase: str, timeout_us: int) -> None:
        self._where = where
        self._phase = phase
        self._timeout_us = timeout_us
        self._timer = asyncio.timeout(timeout_us / _SECOND_US)

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timer.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise TimedOut(
                f"{self._where} did not get past {self._phase} within {self._timeout_us / _SECOND_US:g} s; try another",
                phase=self._phase,
                timeout_us=self._timeout_us,
            ) from expired


def _port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else {"https": 443, "wss": 443}.get(parts.scheme, 80)


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
