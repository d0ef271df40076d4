"""A stream that is known to the last byte, and origins that serve it well, badly or not at all.

Nothing here is random but from a seed; nothing takes time but the loop's.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from shoal.balancer.integrity import sidecar
from shoal.transports.interface import Handler, ServerRequest, ServerResponse
from shoal.transports.memory import Host, MemoryServer
from shoal.transports.sansio.ranges import content_range_header, requested_span

SECOND = 1_000_000
PIECE_BYTES = 16 * 1024
BLOCK_BYTES = 64 * 1024
SIDECAR = "shoal-hashes.json"


class Stream:
    """What is true: names, bytes, and the playlists that list them."""

    def __init__(self, *, seed: int = 1, segments: int = 8, segment_bytes: int = 200_000, segment_s: int = 4) -> None:
        source = random.Random(seed)
        self.segment_s = segment_s
        self.segments = [source.randbytes(segment_bytes + 997 * place) for place in range(segments)]
        self.init = source.randbytes(700)
        self.names = [f"s{place}.m4s" for place in range(segments)]

    @property
    def byte_count(self) -> int:
        return sum(map(len, self.segments))

    def files(self) -> dict[str, bytes]:
        return {"init.mp4": self.init, **dict(zip(self.names, self.segments, strict=True))}

    def media_playlist(self, first: int = 0, count: int | None = None, *, ended: bool = True) -> bytes:
        names = self.names[first:] if count is None else self.names[first : first + count]
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{self.segment_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            '#EXT-X-MAP:URI="init.mp4"',
        ]
        for name in names:
            lines += [f"#EXTINF:{self.segment_s}.0,", name]
        return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else []), ""]).encode()

    @staticmethod
    def multivariant() -> bytes:
        return (
            b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.4d401e",RESOLUTION=640x360\nmedia.m3u8\n'
            b'#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.4d401e",RESOLUTION=1280x720\nhd.m3u8\n'
        )

    def sidecar(self, *, has_blocks: bool = True) -> bytes:
        return sidecar(self.files().items(), block_bytes=BLOCK_BYTES, has_blocks=has_blocks)


class Fault(msgspec.Struct, frozen=True):
    """One way to be bad with segments, or with the files that `names` names.

    503, 404       the status
    refused        nobody listens
    hang           no headers, ever
    reset          the connection breaks at byte `at`
    cut            the same, but it looks like a clean end: no length is announced
    stop           silence from byte `at` on
    drip           a byte a second from byte `at` on
    corrupt        one bit is wrong at byte `at`
    short, long    another length, said plainly
    other          the same length, other bytes, another ETag
    rangeless      ranges are ignored: always 200 with all bytes
    """

    kind: str
    at: int = 100_000  # in the second block
    names: frozenset[str] | None = None  # None: all segments
    only_audits: bool = False  # only where a range has an end, as nothing else asks for


FAULTS = ("503", "404", "refused", "hang", "reset", "cut", "stop", "drip", "corrupt", "short", "long", "other")


class Asked(msgspec.Struct, frozen=True):
    name: str
    first_byte: int
    if_range: str | None


class Origin:
    """A server at `http://NAME/v/`."""

    def __init__(self, host: Host, stream: Stream, documents: dict[str, bytes]) -> None:
        self.host = host
        self.documents = dict(documents)  # playlists and sidecar: name -> bytes; change them at will
        self.document_status: int | None = None  # for all of them
        self.document_delay_s = 0.0
        self.document_faults: dict[str, str] = {}  # by name: a status, hang, or drip (a byte a second)
        self.updates: dict[str, bytes] = {}  # what comes in place of a document when it is asked for with _HLS_skip=YES
        self.dripping = 0  # documents that are on their way so
        self.fault: Fault | None = None
        self.audits_spoiled = 0  # by a fault of audits only
        self.has_etags = True
        self.asked: list[Asked] = []
        self.requests: list[ServerRequest] = []  # the same, as they came
        self.headers: dict[str, str] = {}  # more of them, with each response
        # Asked first; None leaves the request to what is below.
        self.answers: Callable[[ServerRequest], Awaitable[ServerResponse | None]] | None = None
        self.front: Callable[[ServerRequest, Handler], Awaitable[ServerResponse]] | None = None  # answers in our place
        self.sent_bytes = 0
        self._stream = stream
        self.files = stream.files()
        self._server = MemoryServer(host)

    async def start(self) -> None:
        await self._server.start(self.handle, port=80)

    async def stop(self) -> None:
        await self._server.aclose()

    def segments_asked(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.name.startswith("s") and asked.name.endswith(".m4s")]

    async def handle(self, request: ServerRequest) -> ServerResponse:
        self.requests.append(request)
        if self.front is not None:
            return await self.front(request, self._answer)
        response = await self._answer(request)
        response.headers = {**response.headers, **self.headers}
        return response

    async def _answer(self, request: ServerRequest) -> ServerResponse:
        name = request.path.removeprefix("/v/")
        answer = None if self.answers is None else await self.answers(request)
        if answer is not None:
            return answer
        if "_HLS_skip=YES" in request.query and name in self.updates:
            self.asked.append(Asked(f"{name}?_HLS_skip=YES", 0, None))
            return ServerResponse(200, {}, self.updates[name])
        if name in self.documents or name == SIDECAR:
            self.asked.append(Asked(name, 0, None))
            await asyncio.sleep(self.document_delay_s)
            if self.document_status is not None or name not in self.documents:
                return ServerResponse(self.document_status or 404)
            match self.document_faults.get(name):
                case None:
                    return ServerResponse(200, {}, self.documents[name])
                case "hang":
                    await asyncio.sleep(3600)
                case "drip":
                    return ServerResponse(200, {}, self._drip(self.documents[name]))
                case status:
                    return ServerResponse(int(status))
        if name not in self.files:
            return ServerResponse(404)
        fault = self.fault
        if fault is not None and fault.names is not None and name not in fault.names:
            fault = None
        if fault is not None and fault.only_audits:
            if request.headers.get("range", "-").endswith("-"):
                fault = None
            else:
                self.audits_spoiled += 1
        return await self._file(name, request, fault)

    async def _drip(self, data: bytes) -> AsyncIterator[bytes]:
        self.dripping += 1
        try:
            for place in range(len(data)):
                yield data[place : place + 1]
                await asyncio.sleep(1)
        finally:
            self.dripping -= 1

    async def _file(self, name: str, request: ServerRequest, fault: Fault | None) -> ServerResponse:
        kind = fault.kind if fault is not None else ""
        truth = self.files[name]
        data = truth if fault is None else _spoiled(truth, fault)
        etag = f'"{hashlib.sha256(data if kind == "other" else truth).hexdigest()[:12]}"'
        if_range = request.headers.get("if-range")
        span = requested_span(request.headers.get("range"), len(data))
        first = span.first if span is not None else 0
        self.asked.append(Asked(name, first, if_range))
        if kind in {"503", "404"}:
            return ServerResponse(int(kind))
        if kind == "hang":
            await asyncio.sleep(3600)
        if span is None:
            return ServerResponse(416, {"content-range": content_range_header(None, len(data))})
        headers = {"etag": etag} if self.has_etags else {}
        if kind == "rangeless" or "range" not in request.headers or (if_range is not None and if_range != etag):
            status, first, end = 200, 0, len(data)
        else:
            status, end = 206, span.first + span.length
            headers["content-range"] = content_range_header(span, len(data))
        if kind != "cut":
            headers["content-length"] = str(end - first)
        return ServerResponse(status, headers, self._body(data[:end], first, fault))

    async def _body(self, data: bytes, first: int, fault: Fault | None) -> AsyncIterator[bytes]:
        kind = fault.kind if fault is not None else ""
        end = max(first, min(fault.at, len(data))) if fault and kind in {"reset", "cut", "stop", "drip"} else len(data)
        for start in range(first, end, PIECE_BYTES):
            piece = data[start : min(start + PIECE_BYTES, end)]
            self.sent_bytes += len(piece)
            yield piece
        if kind == "reset":
            raise ConnectionResetError
        if kind == "stop":
            await asyncio.sleep(3600)
        for place in range(end, len(data)) if kind == "drip" else ():
            await asyncio.sleep(1)
            self.sent_bytes += 1
            yield data[place : place + 1]


def _spoiled(data: bytes, fault: Fault) -> bytes:
    match fault.kind:
        case "corrupt":
            at = min(fault.at, len(data) - 1)
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case "short":
            return data[:-1000]
        case "long":
            return data + bytes(1000)
        case "other":
            return bytes(byte ^ 0x55 for byte in data)
    return data
