"""Our proxy from its store against a bare asyncio.Protocol server and our fetcher against aiohttp.

Servers are programs of their own (bodies.py), all on uvloop.  Rates are of wall
time, since what counts is how fast a player is served; ours and the other take
turns, each as often the first, and a ratio is the median of the turns'.  A client
keeps its connection for some bodies, as a player does for hundreds, and the time
to connect counts.  Where there are two cores, both servers are held to one and
the client to another: else a turn goes as the kernel places the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from harness import Claim

from shoal.transports.interface import AddressPolicy, FetchRequest
from shoal.transports.native.http import HttpFetcher

from .bodies import NAMES, SIZES

BODIES = Path(__file__).with_name("bodies.py")
CLIENTS = (1, 8, 64)
ROUND_BYTES = 256 << 20  # of all clients together
CONNECTION_BYTES_MIN = 16 << 20  # of each client: a player keeps its connection for hundreds of segments
TURNS = 5  # of both in a round
BUFFER_BYTES = 256 * 1024


class Served(NamedTuple):
    port: int
    pid: int

    @property
    def memory_bytes(self) -> int:
        """Resident now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize()


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[Served]:
    command = [sys.executable, "-W", "ignore", str(BODIES), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Served(int(process.stdout.readline()), process.pid)
        finally:
            process.stdin.close()
            process.wait(30)


@contextlib.contextmanager
def apart(*servers: Served) -> Iterator[None]:
    """Servers on the first core, and we on the second; as it was, where there is one."""
    cores = os.sched_getaffinity(0)
    first, *others = sorted(cores)
    if not others:
        yield
        return
    for served in servers:
        os.sched_setaffinity(served.pid, {first})
    os.sched_setaffinity(0, {others[0]})
    try:
        yield
    finally:
        for pid in (0, *(served.pid for served in servers)):
            os.sched_setaffinity(pid, cores)


class Client(asyncio.BufferedProtocol):
    """Asks for paths one after another and counts what comes, as cheaply as can be."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self.buffer = bytearray(BUFFER_BYTES)
        self.left = 0
        self.head = b""
        self.first_s: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.ask()

    def ask(self) -> None:
        if not self.paths:
            self.transport.close()
            self.done.set_result(None)
            return
        self.head = b""
        self.asked_s = time.perf_counter()
        self.transport.write(f"GET {self.paths.pop()} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.left == 0:
            self.head += bytes(self.buffer[:nbytes])
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end or not body:
                return
            assert head.startswith(b"HTTP/1.1 200"), head
            self.first_s.append(time.perf_counter() - self.asked_s)
            rows = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            self.left, nbytes = int(rows[b"content-length"]), len(body)
        self.left -= nbytes
        if self.left == 0:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


async def load(port: int, paths: Callable[[int], str], clients: int, size: int) -> tuple[float, float]:
    """MB/s over all clients, and the median time to the first byte."""
    each = max(CONNECTION_BYTES_MIN // size, ROUND_BYTES // size // clients)
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    all_of_them = [Client([paths((client + number) % NAMES) for number in range(each)]) for client in range(clients)]
    await asyncio.gather(*(loop.create_connection(lambda one=one: one, "127.0.0.1", port) for one in all_of_them))
    await asyncio.gather(*(client.done for client in all_of_them))
    taken = time.perf_counter() - begin
    firsts = [each_s for client in all_of_them for each_s in client.first_s]
    return clients * each * size / 1e6 / taken, statistics.median(firsts)


async def serving(rounds: int, origin: Served, name: str) -> list[Claim]:
    found: list[Claim] = []
    size = SIZES[name]
    with server("shoal", str(origin.port), name) as served, apart(served, origin):

        async def ours(clients: int) -> tuple[float, float]:
            return await load(served.port, lambda number: f"/media/0/{number}/x.ts", clients, size)

        async def bare(clients: int) -> tuple[float, float]:
            return await load(origin.port, lambda number: f"/{name}/{number}.ts", clients, size)

        for clients in CLIENTS:
            rates: list[float] = []
            firsts: list[float] = []
            for turn in range(rounds * TURNS):
                if turn % 2:
                    mine, theirs = await ours(clients), await bare(clients)
                else:
                    theirs, mine = await bare(clients), await ours(clients)
                rates.append(mine[0] / theirs[0])
                firsts.append(mine[1] / theirs[1])
            print(f"{name} MiB, {clients} clients: ours {mine[0]:.0f} MB/s, bare {theirs[0]:.0f} MB/s", flush=True)
            what = f"from the store, {name} MiB, {clients} clients, of a bare server's"
            found.append(Claim(what, statistics.median(rates), 0.7, at_least=True, unit="x"))
            if name == "4" and clients == 1:
                found.append(
                    Claim("first byte of 4 MiB, of its", statistics.median(firsts), 3, at_least=False, unit="x")
                )
        found.append(
            Claim(
                f"memory of a {name} MiB response that is not read", unread_kib(served), 256, at_least=False, unit="KiB"
            )
        )
    return found


def unread_kib(served: Served) -> float:
    """What the server holds for each of 64 clients that have begun to read a body and then read no more."""
    before = served.memory_bytes
    with contextlib.ExitStack() as stack:
        for number in range(CLIENTS[-1]):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            client.sendall(f"GET /media/0/{number % NAMES}/x.ts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert client.recv(1).startswith(b"H")
        return (served.memory_bytes - before) / CLIENTS[-1] / 1024


async def resuming(fetcher: HttpFetcher, url: str) -> Claim:
    """A body that is left in its middle and gone on with by Range: how much came in all, of its length."""
    whole = b"".join([piece async for piece in await fetcher.open(FetchRequest(url=url))])
    came: list[bytes] = []
    response = await fetcher.open(FetchRequest(url=url))
    is_begun = asyncio.Event()

    async def read() -> None:
        async for piece in response:
            came.append(piece)
            if sum(map(len, came)) > len(whole) // 4:
                is_begun.set()
                await asyncio.Event().wait()

    reading = asyncio.ensure_future(read())
    await is_begun.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await response.aclose()
    reached = sum(map(len, came))
    came += [piece async for piece in await fetcher.open(FetchRequest(url=url, first_byte=reached))]
    assert 0 < reached < len(whole), "it was not left in its middle"
    assert b"".join(came) == whole, "it is not the body"
    total = sum(map(len, came)) / len(whole)
    return Claim("bytes taken of a body that was left and resumed", total, 1, at_least=False, unit="x")


async def downloading(rounds: int, origin: int) -> list[Claim]:
    import aiohttp

    urls = [f"http://127.0.0.1:{origin}/4/{number % NAMES}.ts" for number in range(ROUND_BYTES // SIZES["4"])]
    fetcher = HttpFetcher(AddressPolicy(allow_private=True))
    ratios: list[float] = []
    async with aiohttp.ClientSession() as session:

        async def ours(url: str) -> int:
            response = await fetcher.open(FetchRequest(url=url))
            return sum([len(piece) async for piece in response])

        async def theirs(url: str) -> int:
            async with session.get(url) as response:
                return sum([len(piece) async for piece in response.content.iter_any()])

        async def rate(get: Callable[[str], Awaitable[int]]) -> float:
            begin = time.perf_counter()
            got = 0
            for url in urls:
                got += await get(url)
            assert got == len(urls) * SIZES["4"]
            return got / 1e6 / (time.perf_counter() - begin)

        for _ in range(rounds):
            mine, bare = await rate(ours), await rate(theirs)
            ratios.append(mine / bare)
        print(f"download: ours {mine:.0f} MB/s, bare aiohttp {bare:.0f} MB/s", flush=True)
    resumed = await resuming(fetcher, urls[0])
    await fetcher.aclose()
    return [
        Claim("origin download, of bare aiohttp's", statistics.median(ratios), 0.9, at_least=True, unit="x"),
        resumed,
    ]


def claims(rounds: int) -> list[Claim]:
    import uvloop

    async def main() -> list[Claim]:
        with server("bare") as origin:
            found = await downloading(rounds, origin.port)
            for name in SIZES:
                found += await serving(rounds, origin, name)
        return found

    result: list[Claim] = uvloop.run(main())
    return result
