"""One cell on real sockets: raw origins, TLS with an authority of our own, names that resolve as they are told to.

    outcomes = await run_all(REAL_CELLS, at_once=20)

As in `matrix.py`, but for what a name, a connection or a handshake does to one
resource: on sockets it does so to everything that the host has.  In cells of media
all else comes from the other origin first, in those of playlists nothing does.

Loopback stands for the public internet: 127.0.0.1 is public by decree, and 127.0.0.2
is inside, where nobody may get to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from unittest import mock

from aiohttp.abc import AbstractResolver, ResolveResult

from shoal.app.session import SessionOptions, Transports, open_session
from shoal.balancer.config import load
from shoal.transports import registry
from shoal.transports.interface import AddressPolicy
from shoal.transports.native.http import HttpFetcher
from shoal.transports.sansio import addresses

from ..balancer.actors.origin import SIDECAR
from ..balancer.actors.world import Shown
from .catalogue import BURST, FAULTS, LATE, RESUMED, Cell, is_on_demand, why_nothing
from .certificates import client_context, server_context
from .hostile import BEFORE
from .material import (
    MANIFEST,
    PARTS,
    SEGMENT_S,
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
)
from .outcome import LIMITS, STALL_US_MAX, Outcome, outcome
from .raw import RawOrigin
from .watching import number_of, watch

__all__ = ["REAL_CELLS", "run", "run_all"]

# Each fault in what a viewer asks for most, and those that end differently elsewhere, on demand and live by turns.
KINDS = ("vod", "live")
_MORE = {
    "playlist": ("refused", "dns", "tls-expired", "tls-cut", "hang", "503", "garbage", "endless", "reset"),
    "init": ("404", "corrupt", "private"),
    "key": ("stop", "429", "other"),
    "sidecar": ("hang", "huge", "empty"),
    "steering": ("tls-host", "rebound", "header-bomb", "429", "410", "garbage"),
}
_SEGMENTS = [Cell(fault, "media", KINDS[place % 2]) for place, fault in enumerate(FAULTS)]
_PAIRS = [(fault, resource) for resource, faults in _MORE.items() for fault in faults]
_OTHERS = [Cell(*pair, KINDS[place % 2]) for place, pair in enumerate(_PAIRS)]
# A player of low latency has a second of parts and no more.
_LOW_LATENCY = [
    *(Cell(fault, "media", "low-latency") for fault in ("refused", "hang", "503", "reset", "stop", "slow", "corrupt")),
    *(Cell(fault, "playlist", "low-latency") for fault in ("503", "garbage", "reset")),
    Cell("404", "init", "low-latency"),
    Cell("503", "sidecar", "low-latency"),
]
_DASH = [
    *(Cell(fault, "media", "dash-live") for fault in ("hang", "503", "stop", "other")),
    *(Cell(fault, "media", "dash-vod") for fault in ("reset", "corrupt")),
    *(Cell(fault, "playlist", "dash-live") for fault in ("503", "truncated", "stale")),
    *(Cell(fault, "playlist", "dash-vod") for fault in ("tls-host", "garbage")),
    Cell("404", "init", "dash-vod"),
]
REAL_CELLS = (*_SEGMENTS, *_OTHERS, *_LOW_LATENCY, *_DASH)
assert not [cell for cell in REAL_CELLS if why_nothing(cell)], "each is one of the matrix"

CELL_TIMEOUT_S = 150.0  # 6 s on an idle machine
_TOLD_TIMEOUT_S = 60.0  # until the report names what nobody waits for
_INSIDE = "127.0.0.2"
_TLS = frozenset({"tls-expired", "tls-host", "tls-cut"})


async def run_all(cells: Iterable[Cell], *, at_once: int) -> list[Outcome]:
    """Several cells at a time; those whose player stood still, or got what no hash vouched for, again and alone.

    In company all share two processors, and what is late may be late for that, hashes among it that a live playlist
    does not wait for.  Alone it may not be.
    """
    room = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> Outcome:
        async with room, asyncio.timeout(CELL_TIMEOUT_S):
            return await run(cell)

    with _loopback_is_public():
        outcomes = list(await asyncio.gather(*map(one, cells)))
        for place, each in enumerate(outcomes):
            if each.stall_us > STALL_US_MAX or each.unverified:
                outcomes[place] = await one(each.cell)
        return outcomes


@contextlib.contextmanager
def _loopback_is_public() -> Iterator[None]:
    genuine = addresses.is_public
    with mock.patch.object(addresses, "is_public", lambda address: address == "127.0.0.1" or genuine(address)):
        yield


class _Names(AbstractResolver):
    """The hosts of one cell."""

    def __init__(self, fault: str, host: str) -> None:
        self.asked: Counter[str] = Counter()
        self._fault = fault
        self._host = host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked[host] += 1
        address = "127.0.0.1"
        if host == self._host and self._fault == "dns":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host == self._host and self._fault == "rebound":
            address = _INSIDE
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        pass


class _Hosts:
    """Who serves one cell."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.wrong = "steer" if cell.resource == "steering" else "one"
        self.names = _Names(cell.fault, self.wrong)
        self.reached: list[str] = []  # of what is inside
        self.origins = {name: RawOrigin({}, **self._manner(name)) for name in ("one", "two", "steer")}
        self._ports: dict[str, int] = {}
        self._edges = Edges()

    def _manner(self, name: str) -> dict[str, object]:
        cell = self.cell
        names = names_of(cell.resource, cell.stream)
        tls = server_context(cell.fault if name == self.wrong else "good") if cell.fault in _TLS else None
        if name == "two" and cell.fault in RESUMED:  # there is something to resume only where the other one breaks
            return {"fault": "truncated", "names": breaking(names), "times": 1}
        if name != self.wrong:
            return {"tls": tls}
        if cell.fault == "tls-cut":
            return {"fault": "tls-cut"}
        if cell.fault in BEFORE:
            return {"tls": tls}
        if cell.fault == "burst":
            return {"fault": "503", "names": names, "times": BURST}
        return {"fault": cell.fault, "names": names}

    def folder(self, name: str) -> str:
        return f"{'https' if self.cell.fault in _TLS else 'http'}://{name}:{self._ports[name]}/v/"

    @property
    def met(self) -> int:
        return self.names.asked[self.wrong] if self.cell.fault in BEFORE else self.origins[self.wrong].met.total()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for name, origin in self.origins.items():
                origin.waits = self._edges.wait
                await origin.start()
                stack.push_async_callback(origin.aclose)
                self._ports[name] = origin.port
            inside = await asyncio.start_server(self._on_inside, _INSIDE, self._ports[self.wrong])
            stack.callback(inside.close)
            self.origins[self.wrong].inside_port = self._ports[self.wrong]
            if self.cell.fault in {"refused", "slow-accept"}:
                self._ports[self.wrong] = stack.enter_context(_deaf(is_full=self.cell.fault == "slow-accept"))
            if self.cell.resource == "media":
                self.origins["one"].before = older(self.cell.stream)
            self.publish(0, 0)
            yield

    async def _on_inside(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.append(str(writer.get_extra_info("peername")))
        writer.close()

    def publish(self, first: int, parts: int) -> None:
        kind = self.cell.stream
        folders = {name: self.folder(name) for name in ("one", "two")}
        documents = {
            main_of(kind): steered(kind, self.folder("steer"), folders, first),
            playlist_of(kind): listing(kind, first, parts),
            SIDECAR: hashes(kind, first, parts),
            MANIFEST: json.dumps({"VERSION": 1, "TTL": 5, "PATHWAY-PRIORITY": ["one", "two"]}).encode(),
        }
        self._edges.publish(first, parts)
        for origin in self.origins.values():
            origin.files = {**files_of(kind), **documents}

    async def slide(self, shown: Shown) -> None:
        """The window goes on with time, but not before the player has read what leaves it."""
        if is_on_demand(self.cell.stream):
            return
        steps = PARTS if self.cell.stream == "low-latency" else 1
        for step in range(1, steps * (SEGMENTS - WINDOW) + 1):
            await asyncio.sleep(SEGMENT_S / steps)
            first, parts = step // steps, step % steps
            leaves = set(range(first)) | {number_of(first + WINDOW - 2, part) for part in range(PARTS)}
            while leaves & shown.wanted.keys() - shown.bodies.keys():
                await asyncio.sleep(0.05)
            self.publish(first, parts)


@contextlib.contextmanager
def _deaf(*, is_full: bool) -> Iterator[int]:
    """A port where nobody listens; or whose queue is full, so that what comes is dropped, as a firewall does."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        if is_full:
            sock.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
        yield port


async def run(cell: Cell) -> Outcome:
    """Play the whole stream in real time: some five seconds.  Within `run_all` only, which makes loopback public."""
    hosts = _Hosts(cell)
    is_steered = cell.resource == "steering"
    # Elsewhere than in memory, what a host does not let anybody say it does not say of anything.
    home = "two" if cell.fault in BEFORE and cell.resource == "media" else "one"
    async with hosts.running():
        fetcher = HttpFetcher(AddressPolicy(), ssl_context=client_context(), resolver=hosts.names)
        hasher = registry.resolve_hasher()()
        options = SessionOptions(
            url=hosts.folder(home) + (main_of(cell.stream) if is_steered else playlist_of(cell.stream)),
            cdns={name: hosts.folder(name) for name in (("one",) if is_steered else ("one", "two"))},
            weights={} if is_steered else {"two" if cell.fault in RESUMED else "one": 3.0},
            config=load(LIMITS),
            seed=1,
        )
        shown = Shown({})
        sliding = asyncio.ensure_future(hosts.slide(shown))
        try:
            async with open_session(options, transports=Transports(fetcher=fetcher, hasher=hasher)) as session:
                await watch(session, cell, shown)
                deadline_s = asyncio.get_running_loop().time() + (_TOLD_TIMEOUT_S if is_steered else 0.0)
                while True:
                    result = outcome(
                        *(cell, shown, await session.report()),
                        met=hosts.met,
                        longest_bytes=hosts.origins[hosts.wrong].longest_bytes,
                        reached=hosts.reached,
                    )
                    # On a busy machine what is bad may be late as well, and is left for that.
                    result.is_named = result.is_named or re.search(LATE, result.evidence) is not None
                    if result.is_named or asyncio.get_running_loop().time() > deadline_s:
                        return result
                    await asyncio.sleep(0.1)
        finally:
            sliding.cancel()
            await asyncio.gather(sliding, return_exceptions=True)
            await fetcher.aclose()
            await hasher.aclose()
