"""One cell of the matrix, over the in-memory network in virtual time: what a player got, and what the report says.

    outcome = run(Cell("hang", "media", "live"))

Two origins and a player that has a few seconds in its buffer.  Origin `one` is
preferred and does wrong from its first answer on; `two` is well.  In cells of
steering both are well, and the steering server does wrong.  In cells of peers both
do wrong with all media but the first segment, and another viewer holds them: what it has
it got from a third origin, of which the player knows nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from shoal.app.session import StreamSession
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import Fetcher, ServerRequest, ServerResponse
from shoal.transports.memory import MemoryServer

from ..balancer.actors.origin import SIDECAR
from ..balancer.actors.world import World, read_whole
from .catalogue import BURST, RESUMED, Cell, is_on_demand
from .hostile import BEFORE, Detour, Elsewhere, Hostile, Lures
from .material import (
    PARTS,
    SEGMENTS,
    WINDOW,
    Edges,
    breaking,
    files_of,
    hashes,
    listing,
    main_of,
    names_of,
    older,
    playlist_of,
    steered,
    stream_of,
)
from .outcome import LIMITS, Outcome, outcome
from .watching import watch

__all__ = ["run"]

CDNS = ("one", "two")
FOLDERS = {name: f"http://{name}/v/" for name in CDNS}
_PEER_HOST = "three"
_STEERING_TIMEOUT_S = 11  # until a manifest that hangs is told of: nobody waits for it


def run(cell: Cell) -> Outcome:
    """Play the whole stream.  Cost: some ten milliseconds, for some twenty seconds of virtual time."""
    return run_virtual(_play(cell))


# -- who serves it


class Setting:
    """The world of one cell."""

    def __init__(self, world: World, cell: Cell) -> None:
        self.world = world
        self.cell = cell
        self.hosts = ("steer",) if cell.resource == "steering" else CDNS if cell.healthy == "peer" else ("one",)
        self.names = names_of(cell.resource, cell.stream)
        if cell.healthy == "peer":
            self.names.remove("s0.m4s")
        fault, times = ("503", BURST) if cell.fault == "burst" else (cell.fault, None)
        self.hostiles = {host: Hostile(fault, self.names, times=times) for host in self.hosts}
        if cell.resource == "media":
            for hostile in self.hostiles.values():
                hostile.before = older(cell.stream)
        self.detour: Detour | None = None
        self.is_on_air = asyncio.Event()  # from then on the window slides
        self._edges = Edges()

    @property
    def met(self) -> int:
        if self.detour is not None:
            return self.detour.met.total()
        return sum(hostile.met.total() for hostile in self.hostiles.values())

    @property
    def longest_bytes(self) -> int:
        return max(hostile.longest_bytes for hostile in self.hostiles.values())

    def through(self, fetcher: Fetcher) -> Fetcher:
        if self.cell.fault not in BEFORE:
            return fetcher
        self.detour = Detour(fetcher, self.cell.fault, self.hosts, self.names)
        return self.detour

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        world, cell = self.world, self.cell
        lures = self.lures = Lures(world.network, "viewer")
        steering = MemoryServer(world.network.host("steer"))
        for origin in world.origins.values():
            origin.files = dict(files_of(cell.stream))
            origin.answers = self._wait
        self.publish(0, 0)
        if cell.resource != "steering" and cell.fault not in BEFORE:
            for name, hostile in self.hostiles.items():
                world.origins[name].front = hostile.handle
        if cell.fault in RESUMED:  # there is something to resume only where the other one breaks
            world.origins["two"].front = Hostile("reset", breaking(self.names), times=1).handle
        await lures.start()
        await steering.start(self._steer, port=80)
        sliding = asyncio.ensure_future(self._slide())
        try:
            yield
        finally:
            sliding.cancel()
            await asyncio.gather(sliding, return_exceptions=True)
            await steering.aclose()
            await lures.stop()

    async def _wait(self, request: ServerRequest) -> None:
        await self._edges.wait(request.query)

    def publish(self, first: int, parts: int) -> None:
        self._edges.publish(first, parts)
        kind = self.cell.stream
        self.world.document(main_of(kind), steered(kind, "http://steer/", FOLDERS, first))
        self.world.document(playlist_of(kind), listing(kind, first, parts))
        self.world.document(SIDECAR, hashes(kind, first, parts))

    async def _slide(self) -> None:
        if is_on_demand(self.cell.stream):
            return
        await self.is_on_air.wait()
        steps = PARTS if self.cell.stream == "low-latency" else 1
        for step in range(1, steps * (SEGMENTS - WINDOW) + 1):
            await asyncio.sleep(self.world.stream.segment_s / steps)
            self.publish(step // steps, step % steps)

    async def _steer(self, request: ServerRequest) -> ServerResponse:
        async def honest(_: ServerRequest) -> ServerResponse:
            manifest = {"VERSION": 1, "TTL": 5, "PATHWAY-PRIORITY": ["one", "two"]}
            return ServerResponse(200, {}, json.dumps(manifest).encode())

        if self.cell.resource == "steering" and self.cell.fault not in BEFORE:
            return await self.hostiles["steer"].handle(request, honest)
        return await honest(request)


# -- who watches it


async def _play(cell: Cell) -> Outcome:
    async with (
        World(*CDNS, *([_PEER_HOST] if cell.healthy == "peer" else []), stream=stream_of(cell.stream)) as world,
        contextlib.AsyncExitStack() as stack,
    ):
        setting = Setting(world, cell)
        is_steered = cell.resource == "steering"
        # Who is to go on is not the one asked first, but the other.
        first = None if is_steered else "two" if cell.fault in RESUMED else "one"
        url = f"http://one/v/{main_of(cell.stream) if is_steered else playlist_of(cell.stream)}"
        options: dict[str, Any] = {"url": url, "in_swarm": cell.healthy == "peer", **LIMITS}
        await stack.enter_async_context(setting.running())
        if cell.healthy == "peer":
            seed = await stack.enter_async_context(
                world.viewer("peer", through=lambda fetcher: Elsewhere(fetcher, _PEER_HOST), cdns=CDNS, **options)
            )
            holding = asyncio.ensure_future(watch(seed, cell))
            stack.push_async_callback(_ended, holding)
        cdns = ("one",) if is_steered else CDNS
        session = await stack.enter_async_context(
            world.viewer(first=first, cdns=cdns, through=setting.through, **options)
        )
        if cell.healthy == "peer":
            await _met_a_peer(session)
        setting.is_on_air.set()
        shown = await watch(session, cell)
        if is_steered:
            await asyncio.sleep(_STEERING_TIMEOUT_S)
        return outcome(
            *(cell, shown, await session.report()),
            met=setting.met,
            longest_bytes=setting.longest_bytes,
            reached=setting.lures.reached,
        )


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _met_a_peer(session: StreamSession) -> None:
    """The first segment, which the CDNs still give, has it join the swarm; then until it has met who has more."""
    await session.playlist()
    await read_whole(session, (await session.playlist(0)).segments[0].key)
    while not any((source.held_count or 0) >= WINDOW for source in (await session.report()).sources):
        await asyncio.sleep(0.1)
