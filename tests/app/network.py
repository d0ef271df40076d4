"""Networks that others make: origins and a viewer in network namespaces of this machine, and a slow relay.

    lab = Lab("a", "b")               one link to each origin, of which each can be bad in its own way
    lab.rate("a", kbit_per_s)         a token bucket (tc, tbf)
    lab.lose("a", percent)            packets that are dropped at random (nftables)
    lab.cut("a")                      the link is down

Needs root, iproute2 and nftables; `missing()` says what is not there.  Nothing of the machine's own network is touched.
This kernel has no delay of its own (netem), so `delayed` passes bytes on later, both ways, over TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from nats.lab import missing as _missing  # noqa: E402 - the folder of the benchmarks is no package

sys.path.remove(str(BENCHMARKS))

__all__ = ["Lab", "delayed", "missing"]

_LINK = "eth0"  # of an origin
_BURST_BYTES = 16_000
_QUEUE_MS = 200
_PIECE_BYTES = 65_536


def missing() -> str | None:
    return _missing({"ip": "iproute2", "tc": "iproute2", "nft": "nftables"})


class Lab:
    """Namespaces of an origin each, and one of a viewer, who has a link to each of them."""

    def __init__(self, *origins: str) -> None:
        self._prefix = f"shoal-{os.getpid()}"
        self._links = {name: f"10.77.{place}" for place, name in enumerate(origins, 1)}

    def __enter__(self) -> Self:
        viewer = self.space("viewer")
        self._run("ip", "netns", "add", viewer)
        self._run("ip", "-n", viewer, "link", "set", "lo", "up")
        for name, net in self._links.items():
            space = self.space(name)
            self._run("ip", "netns", "add", space)
            self._run("ip", "link", "add", name, "netns", viewer, "type", "veth", "peer", "name", _LINK, "netns", space)
            for where, link, address in ((viewer, name, f"{net}.1/24"), (space, _LINK, f"{net}.2/24")):
                self._run("ip", "-n", where, "addr", "add", address, "dev", link)
                self._run("ip", "-n", where, "link", "set", link, "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in ("viewer", *self._links):
            subprocess.run(["ip", "netns", "del", self.space(name)], capture_output=True, check=False)

    def space(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def address(self, name: str) -> str:
        """Of an origin, as the viewer finds it."""
        return f"{self._links[name]}.2"

    def inside(self, name: str, *command: str) -> list[str]:
        """The command that runs `command` there."""
        return ["ip", "netns", "exec", self.space(name), *command]

    def rate(self, name: str, kbit_per_s: int) -> None:
        bucket = ["rate", f"{kbit_per_s}kbit", "burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms"]
        self._run(*self.inside(name, "tc", "qdisc", "add", "dev", _LINK, "root", "tbf", *bucket))

    def lose(self, name: str, percent: int) -> None:
        rows = ["type filter hook output priority filter;", f"numgen random mod 100 < {percent} drop"]
        rules = "\n".join(["table ip lossy {", "chain out {", *rows, "}", "}"])
        self._run(*self.inside(name, "nft", rules))

    def cut(self, name: str) -> None:
        self._run("ip", "-n", self.space(name), "link", "set", _LINK, "down")

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextlib.asynccontextmanager
async def delayed(port: int, delay_s: float) -> AsyncIterator[int]:
    """A port of loopback behind which lies `port`, as far away as this, one way."""
    connections: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)  # then the sender waits

        async def deliver() -> None:
            while True:
                due_s, data = await under_way.get()
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                writer.write(data)
                await writer.drain()
                if not data:
                    writer.write_eof()
                    return

        delivering = asyncio.ensure_future(deliver())
        try:
            while data := await reader.read(_PIECE_BYTES):
                await under_way.put((loop.time() + delay_s, data))
            await under_way.put((loop.time() + delay_s, b""))
            await delivering
        finally:
            delivering.cancel()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))
        finally:
            writer.close()
            there_writer.close()
            connections.discard(task)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in [*connections]:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
