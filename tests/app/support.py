"""What the real runs share: a short stream, a viewer with a judge in front of it, and a look at what is left running.

A *viewer* is a session and its proxy in this process; players and checks go through the
judge's tap, so that every byte they are given is compared with the file it claims to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("av", reason="the stream is encoded with PyAV: pip install 'shoal[media]'")

from shoal.app.demo.children import Child, Children
from shoal.app.demo.judge import Judgement, Tap
from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.app.tracker import Tracker
from shoal.balancer.report import SegmentStory, SessionReport, SourceState

STREAMS = Path(__file__).resolve().parents[2] / "build" / "streams"  # kept between runs; make clean removes it
FRAMES_PER_S = 25
# Three 64 KiB blocks a segment, so that "in the middle" means something; small pictures cost little time.
SHORT = StreamOptions(
    seconds=10,
    segment_seconds=1,
    frames_per_s=FRAMES_PER_S,
    renditions=(Rendition("hd", 320, 180, 1_200_000), Rendition("sd", 160, 90, 150_000, 64_000)),
)
# For several players at once: few and small pictures, so that they leave something of the machine to others; but no
# video below 200 kbit/s, whose level would be 1b, which Chromium says it cannot play.
LIGHT = StreamOptions(
    seconds=10,
    segment_seconds=1,
    frames_per_s=10,
    renditions=(Rendition("hd", 320, 180, 600_000), Rendition("sd", 160, 90, 200_000, 32_000)),
)
# For what is live: on air for longer than a busy machine needs to begin, to play some of it and to switch.
ON_AIR = StreamOptions(
    seconds=180,
    segment_seconds=2,
    frames_per_s=10,
    renditions=(Rendition("hi", 320, 180, 400_000, 32_000), Rendition("lo", 160, 90, 200_000, 32_000)),
)
RUN_TIMEOUT_S = 300.0  # of one real run; 15 s on an idle machine
RUN_VARIABLE = "SHOAL_TEST_RUN"  # in the environment of every process of a run: children's children have it too


def short_stream() -> Stream:
    return make_stream(SHORT, STREAMS)


def heavy_stream() -> Stream:
    """One rendition with a megabyte a segment: its way over WebRTC takes long enough to be broken in the middle."""
    options = StreamOptions(
        seconds=8,
        segment_seconds=1,
        frames_per_s=FRAMES_PER_S,
        renditions=(Rendition("hd", 320, 180, 8_000_000),),
    )
    return make_stream(options, STREAMS)


def own_addresses() -> list[str]:
    """Addresses of this machine over which ICE can connect; it gathers none of loopback."""
    from aioice.ice import get_host_addresses

    return get_host_addresses(use_ipv4=True, use_ipv6=True)


def skip_without_an_address() -> None:
    if not own_addresses():
        pytest.skip(
            "this machine has no address but loopback, over which ICE connects nobody; "
            "as root: ip link add shoal0 type dummy && ip addr add 192.0.2.1/24 dev shoal0 && ip link set shoal0 up"
        )


@contextlib.contextmanager
def marked_run(name: str):
    """Processes started inside carry `name` in their environment, for left_running()."""
    before = os.environ.get(RUN_VARIABLE)
    os.environ[RUN_VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[RUN_VARIABLE]
        else:
            os.environ[RUN_VARIABLE] = before


def left_running(name: str) -> list[str]:
    """Command lines of the processes of this run that are still there (Linux; elsewhere none is seen)."""
    wanted = f"{RUN_VARIABLE}={name}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is not ours
            if wanted in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


async def until(condition: Callable[[], Any], what: str, *, timeout_s: float = 60.0, every_s: float = 0.05) -> Any:
    """The first true answer of `condition`, which may be async; a run that never comes to it fails here, by name."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline_s, f"after {timeout_s:.0f} s: {what}"
        await asyncio.sleep(every_s)


class Viewer(NamedTuple):
    session: StreamSession
    proxy: Proxy
    tap: Tap
    url: str  # of the playlist, through the tap


@asynccontextmanager
async def viewer(options: SessionOptions, stream: Stream) -> AsyncIterator[Viewer]:
    """A session, its proxy, and the judge's tap in front."""
    async with open_session(options) as session, Proxy(session) as proxy, tapped(proxy.url, stream) as (tap, url):
        yield Viewer(session, proxy, tap, url)


@asynccontextmanager
async def tapped(url: str, stream: Stream) -> AsyncIterator[tuple[Tap, str]]:
    """A tap in front of `url`, and the URL to use instead."""
    address, path = url.removeprefix("http://").split("/", 1)
    host, port = address.rsplit(":", 1)
    tap = Tap(stream.folder, (host, int(port)))
    try:
        yield tap, f"http://127.0.0.1:{tap.start()}/{path}"
    finally:
        tap.stop()


async def judged(tap: Tap) -> Judgement:
    tap.stop()
    return await asyncio.to_thread(tap.judge)


@asynccontextmanager
async def running_origins(stream: Stream, *names: str, **settings: Any) -> AsyncIterator[list[Origin]]:
    async with AsyncExitStack() as stack:
        origins = [Origin(stream.folder, name=name, **settings) for name in names]
        for origin in origins:
            await origin.start()
            stack.push_async_callback(origin.aclose)
        yield origins


@asynccontextmanager
async def running_tracker() -> AsyncIterator[str]:
    tracker = Tracker()
    port = await tracker.start("127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        await tracker.aclose()


class Process(NamedTuple):
    """A child and everything it told."""

    child: Child
    events: list[dict[str, Any]]

    def told(self, event: str) -> dict[str, Any] | None:
        return next((row for row in self.events if row.get("event") == event), None)


async def start(children: Children, name: str, module: str, *arguments: str) -> Process:
    events: list[dict[str, Any]] = []
    return Process(await children.start(name, module, *arguments, hear=events.append), events)


async def start_player(children: Children, url: str, name: str = "player") -> Process:
    return await start(children, name, "shoal.app.demo.player", url, "--json")


def playlist_of(origin: Origin, stream: Stream) -> str:
    return f"{origin.url}/{stream.playlist}"


def sources_of(report: SessionReport, kind: str) -> list[SourceState]:
    return [source for source in report.sources if source.name.startswith(f"{kind}:")]


def media_of(report: SessionReport) -> list[SegmentStory]:
    return [segment for segment in report.segments if segment.kind == "media"]


def used_bytes(sources: Iterable[SourceState]) -> int:
    return sum(source.used_bytes for source in sources)


def assert_played_to_the_end(player: Process, stream: Stream) -> None:
    """Every picture, no complaint of libav, and no wait for bytes.

    A picture whose bytes were there in time and which was late all the same was late
    because this machine was busy; that share is not what is judged here.
    """
    end = player.told("end")
    assert end is not None, "the player did not come to its end"
    assert end["errors"] == []
    assert end["ok"]
    assert end["frames"] == FRAMES_PER_S * stream.seconds
    assert end["rebuffer_s"] - end["late_ready_s"] <= 1e-9, player.events
    assert player.child.exit_code == 0


def assert_right_bytes(judgement: Judgement, stream: Stream) -> None:
    """Something was compared, all of it was right, and every segment of the best rendition was among it."""
    assert judgement.wrong == []
    assert judgement.wrong_bytes == 0
    assert judgement.unknown == []
    assert judgement.unreadable == 0
    assert judgement.ok
    assert judgement.files_compared >= stream.segment_count
