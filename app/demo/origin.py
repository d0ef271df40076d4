"""An HTTP origin that serves a folder and misbehaves on schedule.

    python -m shoal.app.demo.origin --root DIR --name flaky --fault 10:503 --fault 14:truncate@*.m4s

Prints one JSON line with its port when it listens, and ends at SIGTERM.  It
does ranges, If-Range and strong ETags (RFC 9110), so that a transfer can go on
elsewhere in mid-body.  Seconds of the schedule count from the first request, or
from the last `POST /_start`.  `GET /_stats` tells what it did.

    503 500 404   that status, without the body asked for
    reset         RST before any header            reset-body    RST half way through the body
    hang          no answer at all                 hang-body     half of the body, then silence
    pause         half of the body, 5 s of silence, then the rest
    truncate      half of the body, then an orderly end, short of Content-Length
    too-long      more body than Content-Length says
    too-short     Content-Length 1000 above the truth, then an orderly end
    corrupt       one flipped bit, right headers
    slow          20 kB/s                          drip          one byte a second
    none          healthy again

`--low-latency` puts the stream on air, in parts: low_latency.py.

In a test: `origin = Origin(folder)`, `await origin.start()`, then set
`origin.fault` at any time and read `origin.requests`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fnmatch
import functools
import hashlib
import json
import signal
import socket
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

__all__ = ["KINDS", "Fault", "File", "Origin", "RequestRecord", "parse_fault"]

KINDS = frozenset(
    {"503", "500", "404", "reset", "reset-body", "hang", "hang-body", "truncate"}
    | {"too-long", "too-short", "corrupt", "slow", "drip", "pause", "none"}
)

_PIECE_BYTES = 16 * 1024  # small enough that a rate limit is smooth and that bodies break in the middle
_HANG_S = 3600.0  # nobody waits that long; a client that goes away ends it
_PAUSE_S = 5.0
_SLOW_BYTES_PER_S = 20_000
_REQUESTS_MAX = 10_000  # records kept; a demo makes some hundreds
_CORRUPT_AT = 64 * 1024 + 100  # in the second block, so that the first one is good
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".json": "application/json",
}


@dataclass(frozen=True)
class Fault:
    """What to do wrong, from when on, and for which paths."""

    kind: str
    at_s: float = 0.0
    pattern: str = "*"  # against the path without its first slash

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; use one of {', '.join(sorted(KINDS))}")


def parse_fault(text: str) -> Fault:
    """Read `AT_S:KIND` or `AT_S:KIND@PATTERN`.  ValueError says what is wrong with it."""
    at, colon, rest = text.partition(":")
    kind, _, pattern = rest.partition("@")
    try:
        at_s = float(at)
    except ValueError:
        at_s = -1.0
    if not colon or not 0 <= at_s < _HANG_S:
        raise ValueError(f"{text!r} is not a fault; write SECONDS:KIND or SECONDS:KIND@PATTERN, as in 10:503@*.m4s")
    return Fault(kind, at_s, pattern or "*")


@dataclass
class RequestRecord:
    """One request and what was done about it."""

    path: str
    at_s: float
    range: str | None = None
    status: int = 0
    byte_count: int = 0  # body bytes handed to the socket
    fault: str = "none"


class File(NamedTuple):
    """A body, and its strong ETag."""

    data: bytes
    etag: str


@functools.lru_cache(maxsize=256)  # a demo stream has about 40 files of up to 450 kB
def _read(path: Path, _size: int, _modified_ns: int) -> File:
    data = path.read_bytes()
    return File(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


class _AlreadySent(web.StreamResponse):
    """Tells aiohttp that nothing is left to write: the bytes went to the transport directly."""

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None


class Origin:
    """One origin on one port; `fault` goes before the schedule."""

    def __init__(
        self,
        root: Path,
        *,
        name: str = "origin",
        rate_bytes_per_s: float | None = None,
        schedule: Iterable[Fault] = (),
    ) -> None:
        self.root = root.resolve()
        self.name = name
        self.rate_bytes_per_s = rate_bytes_per_s  # of each response
        self.schedule = sorted(schedule, key=lambda fault: fault.at_s)
        self.fault: Fault | None = None
        self.requests: deque[RequestRecord] = deque(maxlen=_REQUESTS_MAX)
        self.port = 0
        self._started_s: float | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the answer is the port."""
        application = web.Application()
        application.router.add_post("/_start", self._restart_clock)
        application.router.add_get("/_stats", self._statistics)
        application.router.add_get("/{path:.*}", self._serve)
        # Without cancellation a hanging response would outlive its client.
        self._runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self.port

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def restart_clock(self) -> None:
        """From now on the schedule counts from here."""
        self._started_s = time.monotonic()

    def statistics(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "requests": len(self.requests),
            "bytes": sum(record.byte_count for record in self.requests),
            "statuses": dict(Counter(str(record.status) for record in self.requests)),
            "faults": dict(Counter(record.fault for record in self.requests)),
        }

    async def _restart_clock(self, _request: web.Request) -> web.Response:
        self.restart_clock()
        return web.Response(status=204)

    async def _statistics(self, _request: web.Request) -> web.Response:
        return web.json_response(self.statistics())

    def _fault_for(self, path: str, at_s: float) -> str:
        if self.fault is not None:
            return self.fault.kind if fnmatch.fnmatchcase(path, self.fault.pattern) else "none"
        kind = "none"
        for fault in self.schedule:
            if fault.at_s <= at_s and fnmatch.fnmatchcase(path, fault.pattern):
                kind = fault.kind
        return kind

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        if self._started_s is None:
            self._started_s = now_s
        at_s = now_s - self._started_s
        path = request.path.lstrip("/")
        record = RequestRecord(path, at_s, request.headers.get("Range"), fault=self._fault_for(path, at_s))
        self.requests.append(record)
        if record.fault.isdigit():
            record.status = int(record.fault)
            # A page may read the status: without this header a browser tells players of no status at all.
            return web.Response(
                status=record.status, text=f"{self.name}: out of order on purpose\n", headers=_ANY_ORIGIN
            )
        if record.fault == "hang":
            await asyncio.sleep(_HANG_S)
        if record.fault == "reset":
            return _reset(request)
        file = await self._found(path, request)
        if file is None:
            record.status = 404
            return web.Response(status=404, text=f"{self.name} has no {path}\n")
        try:
            return await self._send(request, record, path, file)
        except ConnectionResetError:  # the client went away; peers do, when another source is ahead
            return _AlreadySent()

    async def _found(self, path: str, request: web.Request) -> File | None:
        """What lies there; who serves what is yet to come waits for it here."""
        return self._find(path)

    def _find(self, path: str) -> File | None:
        place = (self.root / path).resolve()
        if not place.is_relative_to(self.root) or not place.is_file():
            return None
        about = place.stat()
        return _read(place, about.st_size, about.st_mtime_ns)

    async def _send(self, request: web.Request, record: RequestRecord, path: str, file: File) -> web.StreamResponse:
        span = _range(request.headers.get("Range"), request.headers.get("If-Range"), file)
        headers = {
            "ETag": file.etag,
            "Accept-Ranges": "bytes",
            "Content-Type": _TYPES.get(Path(path).suffix, "application/octet-stream"),
            **_ANY_ORIGIN,
            "Access-Control-Expose-Headers": "ETag, Content-Range, Content-Length",
        }
        total = len(file.data)
        if span is None:
            record.status = 416
            return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{total}"})
        first, end = span
        body = file.data[first:end]
        record.status = 200 if "Range" not in request.headers or span == (0, total) else 206
        if record.status == 206:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{total}"
        if record.fault == "corrupt":
            body = _flip(body, _CORRUPT_AT - first)
        if record.fault in {"too-long", "too-short"}:
            return _write_wrong_length(request, record, headers, body)
        response = web.StreamResponse(status=record.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        breaks = record.fault in {"truncate", "hang-body", "reset-body", "pause"}
        half = len(body) // 2 if breaks else len(body)
        await self._write(response, record, body[:half])
        if record.fault == "hang-body":
            await asyncio.sleep(_HANG_S)
        if record.fault == "reset-body":
            return _reset(request)
        if record.fault == "truncate":
            # close() sends what is buffered first; abort() would lose it.
            if request.transport is not None:
                request.transport.close()
            return _AlreadySent()
        if record.fault == "pause":
            await asyncio.sleep(_PAUSE_S)
            await self._write(response, record, body[half:])
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, record: RequestRecord, body: bytes) -> None:
        rate, piece_bytes = self.rate_bytes_per_s, _PIECE_BYTES
        if record.fault == "slow":
            rate, piece_bytes = _SLOW_BYTES_PER_S, 2000
        elif record.fault == "drip":
            rate, piece_bytes = 1, 1
        began_s = time.monotonic()
        for start in range(0, len(body), piece_bytes):
            piece = body[start : start + piece_bytes]
            if rate is not None:
                await asyncio.sleep(began_s + start / rate - time.monotonic())
            await response.write(piece)
            record.byte_count += len(piece)


def _range(wanted: str | None, if_range: str | None, file: File) -> tuple[int, int] | None:
    """First byte and end of what to send; None when the range cannot be satisfied (RFC 9110, 14.1.2 and 13.1.5)."""
    total = len(file.data)
    if wanted is None or (if_range is not None and if_range != file.etag):
        return 0, total
    unit, _, spec = wanted.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or len(spec) > 40 or not (first + last).isdecimal():
        return 0, total  # several ranges and nonsense are ignored, as the RFC allows
    if not first:
        return (max(0, total - int(last)), total) if int(last) else None
    if int(first) >= total or (last and int(last) < int(first)):
        return None
    return int(first), min(total, int(last) + 1) if last else total


def _flip(body: bytes, at: int) -> bytes:
    """The body with one bit wrong: at `at` if that is inside, else in the middle."""
    if not body:
        return body
    at = at if 0 <= at < len(body) else len(body) // 2
    return body[:at] + bytes([body[at] ^ 0x01]) + body[at + 1 :]


def _reset(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return _AlreadySent()


def _write_wrong_length(
    request: web.Request, record: RequestRecord, headers: dict[str, str], body: bytes
) -> web.StreamResponse:
    # aiohttp keeps its own word about lengths, so these bytes go past it.
    transport = request.transport
    if transport is None:
        return _AlreadySent()
    length = len(body) + 1000 if record.fault == "too-short" else max(0, len(body) - 1000)
    lines = [f"HTTP/1.1 {record.status} On Purpose", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {length}", "Connection: close", "", ""]
    transport.write("\r\n".join(lines).encode() + body)
    record.byte_count += len(body)
    transport.close()
    return _AlreadySent()


async def _run(arguments: argparse.Namespace) -> None:
    settings = {"name": arguments.name, "rate_bytes_per_s": arguments.rate, "schedule": arguments.fault}
    if arguments.low_latency is None:
        origin = Origin(arguments.root, **settings)
    else:
        from .low_latency import LowLatencyOrigin, OnAir  # which is an origin itself

        origin = LowLatencyOrigin(OnAir(arguments.root, parts_in=arguments.low_latency), **settings)
    port = await origin.start(port=arguments.port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready = {"event": "ready", "name": origin.name, "port": port, "url": origin.url}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await origin.aclose()
    sys.stdout.write(json.dumps({"event": "stats", **origin.statistics()}) + "\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shoal.app.demo.origin", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder to serve")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--name", default="origin")
    parser.add_argument("--rate", type=float, help="bytes per second of each response")
    parser.add_argument(
        "--fault", type=parse_fault, action="append", default=[], help="SECONDS:KIND[@PATTERN], repeated"
    )
    parser.add_argument(
        "--low-latency",
        choices=("files", "ranges", "none"),
        help="the stream is live, from the first request on; parts are files, ranges of segments, or there are none",
    )
    asyncio.run(_run(parser.parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
