"""A peer in a home of the lab, as a process: `peer.py OPTIONS`, JSON lines in and out.

    options  {"stun": [URL], "turn": [[URL, NAME, PASSWORD]], "timeout_s": 60}      the connector's own time-out without

    in                                         out
    {"do": "offer"}                            {"description": ..., "ms": ...}
    {"do": "answer", "description": ...}       {"description": ..., "ms": ...}     the other side's offer
    {"do": "meet", "description": ...}         {"ms": ..., "address": ...}         the other side's answer, if any
                                               {"ms": ..., "error": ...}           if nobody was met
    {"do": "leave"}                            {}                                  as if it had never met anybody
    {"do": "quit"}

Who offered sends a message, who answered sends it back, and only then have they met.  `address` is where the other is
reached: a relay's, if it goes through one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from shoal.transports.errors import TransportError
from shoal.transports.interface import TurnServer
from shoal.transports.native.webrtc import WebRtcConnector

MESSAGE = bytes(range(256)) * 100


class Peer:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._connector = self._new()
        self._pending: Any = None

    def _new(self) -> WebRtcConnector:
        options = self._options
        patience = {"connect_timeout_us": int(options["timeout_s"] * 1e6)} if "timeout_s" in options else {}
        return WebRtcConnector(
            stun_servers=tuple(options.get("stun", ())),
            turn_servers=tuple(TurnServer(*one) for one in options.get("turn", ())),
            **patience,
        )

    async def offer(self) -> dict[str, Any]:
        self._pending = await self._connector.offer("p2p")
        return {"description": self._pending.description}

    async def answer(self, description: str) -> dict[str, Any]:
        self._pending = await self._connector.answer(description)
        return {"description": self._pending.description}

    async def meet(self, description: str | None) -> dict[str, Any]:
        try:
            if description is None:
                channel = await self._pending.channel()
                await channel.send(await channel.receive())
            else:
                channel = await self._pending.accept(description)
                await channel.send(MESSAGE)
                if await channel.receive() != MESSAGE:
                    return {"error": "another message came back"}
            return {"address": channel.remote_address, "is_relayed": channel.is_relayed}
        except TransportError as error:
            return {"error": str(error)}

    async def leave(self) -> dict[str, Any]:
        await self._connector.aclose()
        self._connector = self._new()
        return {}


async def main() -> None:
    peer = Peer(json.loads(sys.argv[1]))
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        command = json.loads(line or '{"do": "quit"}')
        began = time.monotonic()
        match command["do"]:
            case "offer":
                answer = await peer.offer()
            case "answer":
                answer = await peer.answer(command["description"])
            case "meet":
                answer = await peer.meet(command.get("description"))
            case "leave":
                answer = await peer.leave()
            case _:
                await peer.leave()
                return
        print(json.dumps({**answer, "ms": (time.monotonic() - began) * 1e3}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
