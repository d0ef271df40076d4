"""Servers of the same bodies, each a program: `bodies.py bare`, `bodies.py shoal ORIGIN MIB [REQUESTS_MAX]`.

bare     an asyncio.Protocol that answers any GET from memory: headers and body in one write
shoal    our proxy over a session whose store holds the bodies, with `bare` as its origin

Each prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import re
import sys
from random import randbytes
from typing import cast

NAMES = 4
RANGE = re.compile(rb"\r\nrange: bytes=([0-9]+)-", re.IGNORECASE)
SIZES = {"1": 1 << 20, "4": 4 << 20}


class Bare(asyncio.Protocol):
    """A body's size is the first part of the path, in MiB."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        *requests, self.waiting = (self.waiting + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.split(b" ", 2)[1].decode()
            body, status = answer(path)
            more = ""
            if found := RANGE.search(request):
                first, total = int(found[1]), len(body)
                body, status = body[first:], "206 Partial Content"
                more = f"Content-Range: bytes {first}-{total - 1}/{total}\r\n"
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
            self.transport.writelines((head, body))


# Each its own: one of zeros would be a single page of memory, read again and again from the nearest cache.
BODIES = {f"{size}/{number}.ts": randbytes(count) for size, count in SIZES.items() for number in range(NAMES)}


def answer(path: str) -> tuple[bytes, str]:
    size, _, name = path.removeprefix("/").partition("/")
    if name == "stream.m3u8" and size in SIZES:
        rows = "".join(f"#EXTINF:4,\n{number}.ts\n" for number in range(NAMES))
        return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{rows}#EXT-X-ENDLIST\n".encode(), "200 OK"
    body = BODIES.get(f"{size}/{name}")
    return (b"", "404 Not Found") if body is None else (body, "200 OK")


async def bare() -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    async with server:
        await until_told(server.sockets[0].getsockname()[1])


async def shoal(origin: str, size: str, requests_max: str = "128") -> None:
    from shoal.app.proxy import Proxy
    from shoal.app.session import SessionOptions, open_session

    url = f"http://127.0.0.1:{origin}/{size}/stream.m3u8"
    async with open_session(SessionOptions(url=url, hashes="none", allow_private=True)) as session:
        for segment in (await session.playlist()).segments:
            async for _ in session.read(segment.key):
                pass
        proxy = Proxy(session, requests_max=int(requests_max))
        port = await proxy.start()
        await until_told(port)
        await proxy.aclose()


async def until_told(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(bare() if sys.argv[1] == "bare" else shoal(*sys.argv[2:]))
