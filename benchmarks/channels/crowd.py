"""One side of a crowd, as a process: many channels on one event loop, `crowd.py ENGINE`, JSON lines in and out.

    engine    webrtc           the connector on aiortc
              webrtc-native    the one on a native engine
              webrtc-apart     the one on aiortc, in a process of its own

    in                                                     out
    {"do": "offer", "first": 0, "count": 10}               {"descriptions": [...]}
    {"do": "answer", "descriptions": [...]}                {"descriptions": [...]}
    {"do": "accept", "descriptions": [...]}                {"failed": 0}            at the offering side
    {"do": "opened"}                                       {"failed": 0}            at the answering side
    {"do": "run", "peers": 50, "seconds": 5, "bytes_per_second": N}
                                                           {"received_bytes", "loop_delay_p99_ms", "cpu_s", ...}
    {"do": "settle"}                                       {}                       once nothing comes any more
    {"do": "quit"}

In `run` the first so many of its channels, by the numbers that the offers gave them, each send pieces of 16,000 bytes
at that rate, and all that comes is read.  The loop's delay is how late a timer of 5 ms was, as a player on that loop
would feel it.  Apart, the process's CPU is not in `cpu_s`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from ends import cpu_s

from shoal.transports.errors import ChannelClosed, TransportError
from shoal.transports.registry import resolve_connector

PIECE = bytes(16_000)
TIMER_S = 0.005


class Crowd:
    def __init__(self, make: Callable[..., Any]) -> None:
        self._connector = make(connections_max=1000, connect_timeout_us=60_000_000)
        self._pending: list[Any] = []
        self._channels: dict[int, Any] = {}  # by the number in their label
        self._received = 0
        self._closed = 0
        self._reading: set[asyncio.Task[None]] = set()

    async def offer(self, first: int, count: int) -> list[str]:
        self._pending = [await self._connector.offer(f"peer {first + number}") for number in range(count)]
        return [pending.description for pending in self._pending]

    async def answer(self, descriptions: list[str]) -> list[str]:
        self._pending = [await self._connector.answer(text) for text in descriptions]
        return [pending.description for pending in self._pending]

    async def accept(self, descriptions: list[str]) -> int:
        return await self._take([p.accept(text) for p, text in zip(self._pending, descriptions, strict=True)])

    async def opened(self) -> int:
        return await self._take([pending.channel() for pending in self._pending])

    async def _take(self, opening: list[Coroutine[Any, Any, Any]]) -> int:
        results = await asyncio.gather(*opening, return_exceptions=True)
        for result in results:
            if isinstance(result, TransportError):
                continue
            if isinstance(result, BaseException):
                raise result
            self._channels[int(result.label.split()[1])] = result
            self._reading.add(asyncio.create_task(self._read(result)))
        return sum(isinstance(result, TransportError) for result in results)

    async def _read(self, channel: Any) -> None:
        try:
            while True:
                message = await channel.receive()  # awaited first: += would keep the sum from before the wait
                self._received += len(message)
        except ChannelClosed:
            self._closed += 1

    async def settle(self) -> None:
        """Until half a second brought nothing: what an earlier run was too fast for has arrived."""
        for _ in range(60):
            received = self._received
            await asyncio.sleep(0.5)
            if self._received == received:
                return

    async def run(self, peers: int, seconds: float, bytes_per_second: float) -> dict[str, Any]:
        received, cpu, began = self._received, cpu_s(), time.monotonic()
        end = began + seconds
        delays: list[float] = []
        interval = len(PIECE) / bytes_per_second
        sending = [
            asyncio.create_task(self._send(channel, interval, began + interval * number / peers, end))
            for number, channel in self._channels.items()
            if number < peers
        ]
        while (now := time.monotonic()) < end:
            await asyncio.sleep(TIMER_S)
            delays.append(time.monotonic() - now - TIMER_S)
        for task in sending:
            task.cancel()
        delays.sort()
        return {
            "received_bytes": self._received - received,
            "seconds": time.monotonic() - began,
            "cpu_s": cpu_s() - cpu,
            "loop_delay_p99_ms": delays[int(len(delays) * 0.99)] * 1e3,
            "loop_delay_p50_ms": delays[len(delays) // 2] * 1e3,
            "closed": self._closed,
        }

    async def _send(self, channel: Any, interval: float, first: float, end: float) -> None:
        due = first
        try:
            while due < end:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await channel.send(PIECE)
                due += interval
        except ChannelClosed:
            pass

    async def close(self) -> None:
        await self._connector.aclose()


async def main() -> None:
    crowd = Crowd(resolve_connector({"webrtc": "native"}.get(sys.argv[1], sys.argv[1])))
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        command = json.loads(line or '{"do": "quit"}')
        match command["do"]:
            case "offer":
                answer: dict[str, Any] = {"descriptions": await crowd.offer(command["first"], command["count"])}
            case "answer":
                answer = {"descriptions": await crowd.answer(command["descriptions"])}
            case "accept":
                answer = {"failed": await crowd.accept(command["descriptions"])}
            case "opened":
                answer = {"failed": await crowd.opened()}
            case "run":
                answer = await crowd.run(command["peers"], command["seconds"], command["bytes_per_second"])
            case "settle":
                await crowd.settle()
                answer = {}
            case _:
                await crowd.close()
                return
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
