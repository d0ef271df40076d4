"""One end of a measured pair, as a process: `ends.py STACK`, JSON lines in and out.

    stack    bare     aiortc as its own example of sending files has it, on uvloop
             shoal    the connector of this project, on uvloop
             native   the same, with the optional native engine
             capped   shoal, with an upload cap of CAP_BYTES_PER_SECOND

    in                                              out
    {"do": "offer"}                                 {"description": ...}
    {"do": "answer", "description": ...}            {"description": ...}         the other side's offer
    {"do": "accept", "description": ...}            {"connect_ms", "error"}      the other side's answer
    {"do": "opened"}                                {}                           at the answering side
    {"do": "send", "seconds": 3, "asking": true}    {"request_ms": [...]}        bulk, with 20 requests a second or none
    {"do": "send_numbered", "count": 20000}         {}                           its loop blocked for 1 s in between
    {"do": "expect_numbered", "count": 20000}       {}                           its loop will be blocked too
    {"do": "await_numbered"}                        {"misplaced": 0}             when all came
    {"do": "await_end"}                             {"detail", "seconds"}        until the channel closed by itself
    {"do": "figures"}                               {"bytes", "seconds", "cpu_s"}
    {"do": "quit"}

The offering side sends messages of 64,000 bytes; the answering side counts them, from the first on, and sends each
request of 64 bytes back at once.  CPU is that of the process from the first byte of bulk to `figures`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from shoal.transports.errors import ChannelClosed, TransportError
from shoal.transports.registry import resolve_connector

MESSAGE = bytes(64_000)
REQUEST_BYTES = 64
REQUEST_INTERVAL_S = 0.05
CAP_BYTES_PER_SECOND = 1_000_000
_DRAIN_S = 1.0
BLOCKED_S = 1.0
NUMBERED_WORDS = 50  # 200 bytes


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Bare:
    """aiortc by itself: sends while `bufferedAmount` is at most its low mark, as `filexfer.py` of its examples does."""

    LOW_BYTES = 256 * 1024  # the example's 0 would starve it between two messages

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel: Any = None
        self._opened = asyncio.Event()
        self._room = asyncio.Event()
        self.on_message: Callable[[bytes], None] = lambda _: None

    async def offer(self) -> str:
        self._take(self._connection.createDataChannel("bench"))
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def answer(self, description: str) -> str:
        self._connection.on("datachannel", self._take)
        await self._set_remote(description, "offer")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

    async def accept(self, description: str) -> None:
        await self._set_remote(description, "answer")
        await self.opened()

    async def opened(self) -> None:
        await self._opened.wait()

    async def _set_remote(self, description: str, kind: str) -> None:
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=description, type=kind))

    def _take(self, channel: Any) -> None:
        self._channel = channel
        channel.bufferedAmountLowThreshold = self.LOW_BYTES
        channel.on("message", self.on_message)
        channel.on("open", self._opened.set)
        channel.on("bufferedamountlow", self._room.set)
        if channel.readyState == "open":
            self._opened.set()

    async def send(self, message: bytes) -> None:
        while self._channel.bufferedAmount > self.LOW_BYTES:
            self._room.clear()
            await self._room.wait()
        self._channel.send(message)
        await asyncio.sleep(0)

    async def send_request(self, message: bytes) -> None:
        self._channel.send(message)

    async def await_end(self) -> dict[str, Any]:
        raise NotImplementedError("aiortc takes half a minute; only ours is asked")

    async def close(self) -> None:
        await self._connection.close()


class Shoal:
    """This project's connector."""

    def __init__(self, name: str | None = None, **options: int) -> None:
        make: Callable[..., Any] = resolve_connector(name)
        self._connector = make(**options)
        self._pending: Any = None
        self._channel: Any = None
        self._reading: asyncio.Task[str] | None = None
        self.on_message: Callable[[bytes], None] = lambda _: None

    async def offer(self) -> str:
        self._pending = await self._connector.offer("bench")
        return self._pending.description

    async def answer(self, description: str) -> str:
        self._pending = await self._connector.answer(description)
        return self._pending.description

    async def accept(self, description: str) -> None:
        await self._take(self._pending.accept(description))

    async def opened(self) -> None:
        await self._take(self._pending.channel())

    async def _take(self, opening: Awaitable[Any]) -> None:
        self._channel = await opening
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> str:
        try:
            while True:
                message = await self._channel.receive()  # first, since another handler may be set meanwhile
                self.on_message(message)
        except ChannelClosed as error:
            return error.detail

    async def await_end(self) -> dict[str, Any]:
        assert self._reading is not None
        began = time.monotonic()
        return {"detail": await self._reading, "seconds": time.monotonic() - began}

    async def send(self, message: bytes) -> None:
        await self._channel.send(message)

    async def send_request(self, message: bytes) -> None:
        await self._channel.send(message, urgent=True)

    async def close(self) -> None:
        await self._connector.aclose()


class End:
    """What is measured, the same for each stack."""

    def __init__(self, stack: Bare | Shoal) -> None:
        self._stack = stack
        self._bytes = 0
        self._began: tuple[float, float] | None = None
        self._last = 0.0
        self._asked: dict[bytes, float] = {}
        self._request_ms: list[float] = []
        self._replies: set[asyncio.Task[None]] = set()
        stack.on_message = self._on_message

    def _on_message(self, message: bytes) -> None:
        if len(message) != REQUEST_BYTES:
            if self._began is None:
                self._began = (time.monotonic(), cpu_s())
                self._bytes = -len(message)  # of the first, only its end was in the time
            self._bytes += len(message)
            self._last = time.monotonic()
        elif message in self._asked:
            self._request_ms.append((time.monotonic() - self._asked.pop(message)) * 1e3)
        else:
            task = asyncio.create_task(self._stack.send_request(message))
            self._replies.add(task)
            task.add_done_callback(self._replies.discard)

    async def send(self, seconds: float, *, asking: bool) -> dict[str, Any]:
        asks = asyncio.create_task(self._ask()) if asking else None
        self._began = (time.monotonic(), cpu_s())
        while time.monotonic() - self._began[0] < seconds:
            await self._stack.send(MESSAGE)
        if asks is not None:
            asks.cancel()
            await asyncio.sleep(_DRAIN_S)  # replies still on their way
        return {"request_ms": self._request_ms, "unanswered": len(self._asked)}

    async def _ask(self) -> None:
        number = 0
        while True:  # until the bulk ends: a request after it would wait behind nothing
            await asyncio.sleep(REQUEST_INTERVAL_S)
            number += 1
            message = b"%063d?" % number
            self._asked[message] = time.monotonic()
            await self._stack.send_request(message)

    def figures(self) -> dict[str, float]:
        began, cpu_began = self._began or (0.0, 0.0)
        return {"bytes": self._bytes, "seconds": self._last - began, "cpu_s": cpu_s() - cpu_began}


async def send_numbered(stack: Bare | Shoal, count: int) -> None:
    for number in range(count):
        if number == count // 4:
            time.sleep(BLOCKED_S)  # noqa: ASYNC251 - what a careless handler does to a loop
        await stack.send(number.to_bytes(4, "big") * NUMBERED_WORDS)


class Numbered:
    """What comes of the messages of `send_numbered`, from now on."""

    def __init__(self, stack: Bare | Shoal, count: int) -> None:
        self._count = count
        self._came: list[int] = []
        self._complete = asyncio.Event()
        stack.on_message = self._take

    def _take(self, message: bytes) -> None:
        self._came.append(int.from_bytes(message[:4], "big"))
        if len(self._came) == self._count // 2:
            time.sleep(BLOCKED_S)
        if len(self._came) == self._count:
            self._complete.set()

    async def misplaced(self) -> int:
        """How many numbers did not come in their place, within a minute."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await self._complete.wait()
        return self._count - sum(number == place for place, number in enumerate(self._came))


STACKS: dict[str, Callable[[], Bare | Shoal]] = {
    "bare": Bare,
    "shoal": Shoal,
    "native": lambda: Shoal("webrtc-native"),
    "capped": lambda: Shoal(upload_bytes_per_second=CAP_BYTES_PER_SECOND),
}


async def main() -> None:
    stack = STACKS[sys.argv[1]]()
    end = End(stack)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        command = json.loads(line or '{"do": "quit"}')
        answer: dict[str, Any] = {}
        match command["do"]:
            case "offer":
                answer = {"description": await stack.offer()}
            case "answer":
                answer = {"description": await stack.answer(command["description"])}
            case "accept":
                began = time.monotonic()
                try:
                    await stack.accept(command["description"])
                except TransportError as error:
                    answer = {"error": repr(error)}
                answer["connect_ms"] = (time.monotonic() - began) * 1e3
            case "await_end":
                answer = await stack.await_end()
            case "opened":
                await stack.opened()
            case "send":
                answer = await end.send(command["seconds"], asking=command["asking"])
            case "send_numbered":
                await send_numbered(stack, command["count"])
            case "expect_numbered":
                numbered = Numbered(stack, command["count"])
            case "await_numbered":
                answer = {"misplaced": await numbered.misplaced()}
            case "figures":
                answer = end.figures()
            case _:
                await stack.close()
                return
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
