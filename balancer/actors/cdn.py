"""One CDN: fetches what it is told to, from the offset it is told to.

Decides nothing.  A transfer's events go to the session in order, each piece of
a body after the one before was taken in: a session which is behind slows the
socket down instead of piling up bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from shoal.runtime import Actor, ActorRef, Reply, TaskHandle
from shoal.transports.errors import BodyChanged, BodyTooLarge, BodyTruncated, StatusError, TimedOut, TransportError
from shoal.transports.interface import Fetcher, FetchRequest, FetchResponse

from ..config import BalancerConfig
from ..events import TransferEnded, TransferFailed, TransferStarted
from ..formats.cmcd import headers as cmcd_headers
from ..formats.cmcd import query as cmcd_query
from ..formats.cmsd import ServerData, server_data
from ..formats.hls import with_field
from ..model import ByteRange, Segment, SourceKind, source_label
from ..pathways import Routes
from ..telemetry import CmcdOptions
from .messages import (
    TAKE_IN_TIMEOUT_S,
    Audit,
    AuditAnswered,
    AuditUnanswered,
    Cancel,
    Document,
    Fetch,
    FetchDocument,
    Noted,
    Overran,
    Routed,
    TransferData,
)
from .reporter import ServerSaid

__all__ = ["Cdn"]


class _Useless(TransportError):
    """An answer that says nothing about the range that was asked for."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Cdn(Actor[Any]):
    """`base_url` is where this CDN keeps what the primary keeps at `primary_url`; both end with a slash.

    A resource outside `primary_url` is known to the primary CDN only: the others
    fail it with the reason `elsewhere`, without asking anybody.  A CDN that is a
    pathway is told what it has by Routed; one with no `base_url` has nothing else.
    """

    def __init__(
        self,
        session: ActorRef[Any],
        fetcher: Fetcher,
        config: BalancerConfig,
        *,
        cdn: str,
        base_url: str | None,
        primary_url: str,
        headers: tuple[tuple[str, str], ...] = (),
        cmcd: CmcdOptions | None = None,
    ) -> None:
        self._session = session
        self._fetcher = fetcher
        self._config = config
        self._name = cdn
        self._base_url = base_url
        self._primary_url = primary_url
        self._headers = headers
        self._cmcd = cmcd
        self._said_count = 0
        self._server_data: ServerData | None = None
        self._routes: Routes | None = None
        self._last_words = ""
        self._running: dict[int, TaskHandle] = {}
        self._overran: set[int] = set()  # transfers whose body went on behind its end

    def receive(self, message: Any) -> None:
        match message:
            case Fetch():
                self._running[message.transfer] = self.start_task(self._transfer(message))
            case Cancel(transfer):
                task = self._running.pop(transfer, None)
                if task is not None:
                    task.cancel()
            case Audit():
                self.start_task(self._audit(message))
            case FetchDocument():
                self.start_task(self._document(message, self.take_reply()))
            case Routed(routes):
                self._routes = routes
            case _:
                raise TypeError(f"a CDN actor was sent {type(message).__name__}")

    def _translate(self, url: str) -> str | None:
        """The same resource here; None when it is not."""
        routed = None if self._routes is None else self._routes.translate(url)
        if routed is not None or self._base_url is None:
            return routed
        if url.startswith(self._primary_url):
            return self._base_url + url[len(self._primary_url) :]
        return url if self._base_url == self._primary_url else None

    # -- segments

    async def _transfer(self, fetch: Fetch) -> None:
        try:
            outcome = await self._stream(fetch)
        except TransportError as error:
            self._tell_words(str(error))
            outcome = TransferFailed(
                transfer=fetch.transfer,
                reason=error.reason,
                status=getattr(error, "status", None),
                retry_after_us=getattr(error, "retry_after_us", None),
            )
        finally:
            self._running.pop(fetch.transfer, None)
        await self._session.send(outcome)
        if fetch.transfer in self._overran:
            self._overran.discard(fetch.transfer)
            self._session.tell(Overran(fetch.segment.key, source_label(SourceKind.CDN, self._name)))

    def _tell_words(self, words: str) -> None:
        """The policy needs only the reason; people need the sentence, once and not for every segment."""
        if words != self._last_words:
            self._last_words = words
            self._session.tell(Noted(f"cdn:{self._name}: {words}"))

    async def _stream(self, fetch: Fetch) -> TransferEnded | TransferFailed:
        url = self._translate(fetch.segment.uri)
        if url is None:
            return TransferFailed(transfer=fetch.transfer, reason="elsewhere", status=404)
        part = fetch.segment.byte_range
        asked, headers = self._saying(url, fetch.cmcd)
        response = await self._fetcher.open(
            FetchRequest(
                url=asked,
                headers=headers,
                first_byte=fetch.first_byte + (part.offset if part else 0),
                last_byte=part.offset + part.length - 1 if part else None,
                if_range=fetch.etag if fetch.first_byte or part else None,
                body_bytes_max=self._config.segment_bytes_max,
            )
        )
        try:
            self._heed(response)
            skip, total = _place(fetch, response)
            await self._session.send(TransferStarted(transfer=fetch.transfer, total_bytes=total, etag=response.etag))
            end = fetch.total_bytes if total is None else total
            left = None if end is None else end - fetch.first_byte
            async for piece in response:
                data = piece
                if skip:
                    # The server ignored the range: what we have already is read past, not used twice.
                    skipped = min(skip, len(data))
                    skip -= skipped
                    data = data[skipped:]
                is_beyond = left is not None and len(data) > left
                if left is not None:
                    data = data[:left]  # a whole file, when only a range of it was wanted
                    left -= len(data)
                if data:
                    # Asked, not told: the next piece is read once this one was taken in, so that one
                    # piece per transfer waits in the session's mailbox, however fast the CDN is.
                    await self._session.ask(
                        TransferData(transfer=fetch.transfer, data=data), timeout_s=TAKE_IN_TIMEOUT_S
                    )
                if is_beyond and total is None:  # it announced no length, and does not end where it should
                    self._tell_words(f"{url} sent more than its {end} bytes; the rest was not read")
                    self._overran.add(fetch.transfer)
                if left == 0 and (is_beyond or total is not None):
                    break
            if left:
                raise BodyTruncated(f"{url} ended {left} bytes short of {end}")
        finally:
            await response.aclose()
        return TransferEnded(transfer=fetch.transfer)

    # -- audits

    async def _audit(self, question: Audit) -> None:
        """All ranges at once, since the segment waits for the last of them."""
        came = [bytearray() for _ in question.ranges]
        reason = "changed"  # it has one length in one answer, and another in the next
        try:
            async with asyncio.timeout(self._config.audit_limit_us / 1e6):
                total_bytes = await self._ranges(question, came)
            if len(total_bytes) == 1:
                answers = tuple(map(bytes, came))
                await self._session.send(AuditAnswered(self._name, question, answers, total_bytes.pop()))
                return
        except TimeoutError:
            reason = "timeout"
        except ExceptionGroup as failed:
            error = failed.exceptions[0]
            if not isinstance(error, TransportError):
                raise
            reason = error.reason
            self._tell_words(f"audit: {error}")
        await self._session.send(AuditUnanswered(self._name, question, reason, sum(map(len, came))))

    async def _ranges(self, question: Audit, came: list[bytearray]) -> set[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._range(question.segment, asked, data))
                for asked, data in zip(question.ranges, came, strict=True)
            ]
        return {task.result() for task in tasks}

    async def _range(self, segment: Segment, asked: ByteRange, into: bytearray) -> int:
        """Put these bytes of the segment there; how long the segment is, in this CDN's words."""
        url = self._translate(segment.uri)
        if url is None:
            raise _Useless(f"{segment.uri} is not below {self._primary_url}", "elsewhere")
        part = segment.byte_range
        first = asked.offset + (part.offset if part else 0)
        request = FetchRequest(
            url=url,
            headers=self._headers,
            first_byte=first,
            last_byte=first + asked.length - 1,
            body_bytes_max=self._config.segment_bytes_max,
        )
        response = await self._fetcher.open(request)
        try:
            if response.status != 206:
                raise _Useless(f"{url} answered {response.status} to a range: it sends all or nothing", "rangeless")
            total_bytes = part.length if part else response.total_bytes
            if total_bytes is None:
                raise _Useless(f"{url} does not say how long it is", "lengthless")
            async for piece in response:
                into += piece[: asked.length - len(into)]
            if len(into) < asked.length:
                raise _Useless(f"{url} sent {len(into)} bytes of {asked.length}", "short")
        finally:
            await response.aclose()
        return total_bytes

    # -- what is said to its servers, and by them

    def _saying(self, url: str, values: dict[str, Any] | None) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The URL and the headers of a request that says this of itself (CMCD)."""
        options = self._cmcd
        if options is None or values is None:
            return url, self._headers
        said = options.values | values | {"cdn": self._name, "sn": self._said_count}
        self._said_count += 1
        if options.mode == "header":
            return url, (*self._headers, *cmcd_headers(said))
        url, mark, fragment = url.partition("#")
        return with_field(url, cmcd_query(said)) + mark + fragment, self._headers

    def _heed(self, response: FetchResponse) -> None:
        """Pass on what the server says of itself (CMSD), where that is new."""
        found = server_data(response.headers)
        if found is not None and found != self._server_data:
            self._server_data = found
            self._session.tell(ServerSaid(source_label(SourceKind.CDN, self._name), found))

    # -- playlists and sidecars

    async def _document(self, message: FetchDocument, reply: Reply) -> None:
        timeout_us = message.limit_us or self._config.document_timeout_us
        try:
            # Whoever asked has gone to another CDN by then, and a document that drips would keep its connection.
            async with asyncio.timeout(timeout_us / 1e6):
                landed, body, date = await self._whole(message)
        except TimeoutError:
            reply.fail(
                TimedOut(
                    f"{message.url} did not come within {timeout_us / 1e6} s from {self._name}",
                    phase="first_byte",
                    timeout_us=timeout_us,
                )
            )
            return
        except TransportError as error:
            reply.fail(error)
            return
        reply.set(Document(url=self._home_url(landed, message.url), body=body, date=date))

    def _home_url(self, landed: str, asked: str) -> str:
        """Where the primary has it: a mirror that redirects elsewhere must not rename the primary's resources."""
        if self._routes is not None:
            is_known = self._routes.is_home and self._routes.translate(landed) == landed
            return landed if is_known else asked
        if self._base_url is not None and landed.startswith(self._base_url):
            return self._primary_url + landed[len(self._base_url) :]
        return landed if self._base_url == self._primary_url else asked

    async def _whole(self, message: FetchDocument) -> tuple[str, bytes, str | None]:
        """Where it was found at last, all its bytes, and the date that its server says."""
        url = self._translate(message.url)
        if url is None:
            raise StatusError(f"{message.url} is not below {self._primary_url}", status=404)
        part = message.byte_range
        asked, headers = self._saying(url, {"ot": "m" if message.is_manifest else "o"})
        response = await self._fetcher.open(
            FetchRequest(
                url=asked,
                headers=headers,
                first_byte=part.offset if part else 0,
                last_byte=part.offset + part.length - 1 if part else None,
                body_bytes_max=message.bytes_max,
                # Later than whoever asked goes elsewhere, so that it is their time-out which is told.
                first_byte_timeout_us=(message.limit_us or self._config.document_timeout_us) + 1_000_000,
            )
        )
        date = response.headers.get("date")
        try:
            if part is not None:
                return response.url, await _part_of(response, part), date
            if response.total_bytes is not None and response.total_bytes > message.bytes_max:
                raise BodyTooLarge(
                    f"{url} has {response.total_bytes} bytes, and {message.bytes_max} are allowed for a document"
                )
            self._heed(response)
            landed = url if response.url == asked else response.url
            return landed, b"".join([piece async for piece in response]), date
        finally:
            await response.aclose()


async def _part_of(response: FetchResponse, part: ByteRange) -> bytes:
    """These bytes of a file, of which the answer may be more: a server may ignore a range (RFC 9110, 14.2)."""
    skip = part.offset - response.first_byte
    if skip:
        raise BodyChanged(f"{response.url} sent bytes from {response.first_byte} on, and {part.offset} was asked for")
    body = b"".join([piece async for piece in response])
    if len(body) < part.length:
        raise BodyTruncated(f"{response.url} ended {part.length - len(body)} bytes short of {part.length}")
    return body[: part.length]


def _place(fetch: Fetch, response: FetchResponse) -> tuple[int, int | None]:
    """How many body bytes to read past, and how long the whole resource is."""
    part = fetch.segment.byte_range
    wanted = fetch.first_byte + (part.offset if part else 0)
    if response.first_byte > wanted:
        raise BodyChanged(f"{response.url} sent bytes from {response.first_byte} on, and {wanted} was asked for")
    total = part.length if part else response.total_bytes
    if fetch.total_bytes is not None and total is not None and total != fetch.total_bytes:
        raise BodyChanged(f"{response.url} has {total} bytes here and {fetch.total_bytes} elsewhere")
    return wanted - response.first_byte, total
