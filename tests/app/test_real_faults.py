"""Origins that fail: whatever one of two does, the bytes are right, nothing stands still, and the report names it.

The table runs every fault of the demo's origin, each with a session of its own, all side
by side and in real time: a reader stands for the player, with 6 s of buffer and a deadline
for every segment.
"""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from shoal.app.demo.children import Children
from shoal.app.demo.origin import KINDS, Fault, Origin
from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.config import BalancerConfig
from shoal.balancer.report import SessionReport, SourceState

from .support import (
    assert_played_to_the_end,
    assert_right_bytes,
    judged,
    left_running,
    marked_run,
    media_of,
    playlist_of,
    running_origins,
    short_stream,
    start,
    start_player,
    tapped,
    until,
)

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 240.0  # 15 s on an idle machine

# -- an origin that is killed

# Of each response: a segment of 160 kB takes 0.8 s, so that there is a middle to be hit; and the time from seeing it
# to the kill must pass before the segment is there.
BYTES_PER_S, EARLY_BYTES = "200000", 60_000


def read_report(proxy_url: str) -> SessionReport:
    url = proxy_url.rsplit("/", 1)[0] + "/report.json"
    with urllib.request.urlopen(url, timeout=60) as response:
        return msgspec.json.decode(response.read(), type=SessionReport)


def test_an_origin_killed_in_the_middle_of_a_segment_is_not_noticed_by_the_player(tmp_path: Path):
    stream = short_stream()

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), Children(tmp_path) as children:
            common = ("--root", str(stream.folder), "--rate", BYTES_PER_S)
            origins = {
                name: await start(children, name, "shoal.app.demo.origin", *common, "--name", name) for name in "ab"
            }
            urls = {
                name: f"{(await origin.child.ready())['url']}/{stream.playlist}" for name, origin in origins.items()
            }
            proxy = await start(
                *(children, "proxy", "shoal.app.cli", "proxy", urls["a"]),
                *(word for name, url in urls.items() for word in ("--cdn", f"{name}={url}")),
                *("--weight", "a=3", "--allow-private", "--json"),
            )
            proxy_url = (await proxy.child.ready())["url"]
            async with tapped(proxy_url, stream) as (tap, url):
                player = await start_player(children, url)

                async def is_in_the_middle() -> bool:
                    report = await asyncio.to_thread(read_report, proxy_url)
                    return any(
                        part.source == "cdn:a" and part.outcome == "running" and 0 < part.byte_count < EARLY_BYTES
                        for segment in media_of(report)
                        if segment.number >= 2
                        for part in segment.parts
                    )

                await until(
                    is_in_the_middle, "no segment is on its way from the origin that is to be killed", every_s=0.01
                )
                origins["a"].child.signal(signal.SIGKILL)
                await player.child.wait()
                report = await asyncio.to_thread(read_report, proxy_url)
                judgement = await judged(tap)
            assert_played_to_the_end(player, stream)
            assert_right_bytes(judgement, stream)
            assert origins["a"].child.exit_code == -signal.SIGKILL
            assert any(segment.failed_over_in_body for segment in media_of(report))
            await proxy.child.end()
            assert proxy.child.exit_code == 0
            assert proxy.events[-1]["event"] == "ended"

    with marked_run(str(tmp_path)):
        asyncio.run(run())
    assert left_running(str(tmp_path)) == []


# -- the table of faults

FAULTY_FROM = 3  # the first segments are good, so that the origin is known and preferred when it fails
PREFERRED = 3.0
BUFFER_S = 6.0
START_BUFFER_S = 2.0
CONFIG = BalancerConfig(prefetch_us=2_000_000)  # less than a segment of the faulty ones is fetched before it plays

# What the report calls each fault: the reason of a transfer that ended early, or of an error of its source.
NAMES: dict[str, set[str]] = {
    "503": {"status 503"},
    "500": {"status 500"},
    "404": {"status 404"},
    "reset": {"connect"},
    "reset-body": {"truncated"},
    "hang": {"stalled"},
    "hang-body": {"stalled"},
    "pause": {"stalled"},
    "truncate": {"truncated"},
    # What comes behind the announced end: a body of another length or, if it is in one packet with that, no HTTP.
    "too-long": {"changed", "transport"},
    "too-short": {"changed"},
    "corrupt": {"hash"},
    "slow": {"slow"},
    "drip": {"slow", "stalled"},  # whichever is noticed first
}
# After these some of the body is there, and another origin goes on behind it.
IN_BODY = {"reset-body", "hang-body", "pause", "truncate", "corrupt", "slow"}

# For the origin that is asked first for everything, playlists and hashes as well.
FROM_THE_START = ("503", "404", "reset", "reset-body", "hang", "hang-body", "truncate", "too-short", "drip")
DOCUMENTS = 3  # hashes, multivariant playlist, media playlist: each may have to wait for the time-out of a document


@dataclass
class Watched:
    """What a reader got of one stream, and when."""

    wrong: list[str] = field(default_factory=list)
    late_s: dict[int, float] = field(default_factory=dict)
    bytes_read: int = 0
    report: SessionReport = field(default_factory=lambda: SessionReport(url=""))
    faulty_requests: int = 0
    playlists_s: float = 0.0  # until both playlists were there

    @property
    def bad(self) -> SourceState:
        return next(source for source in self.report.sources if source.name == "cdn:bad")

    @property
    def reasons(self) -> set[str]:
        parts = [part for segment in self.report.segments for part in segment.parts if part.source == "cdn:bad"]
        return {part.reason for part in parts if part.outcome in {"failed", "cancelled", "wrong"}} | set(
            self.bad.errors
        )


async def watch(session: StreamSession, stream: Stream, into: Watched) -> None:
    """Read the best rendition as a player does: in order, at most BUFFER_S ahead, each segment due at its moment."""
    began_s = time.monotonic()
    root = await session.playlist()
    segments = (await session.playlist(root.best)).segments
    into.playlists_s = time.monotonic() - began_s
    clock_s: float | None = None
    for place, segment in enumerate(segments):
        at_s = segment.start_us / 1e6
        if clock_s is not None:
            await asyncio.sleep(clock_s + at_s - BUFFER_S - time.monotonic())
        data = b"".join([piece.data async for piece in session.read(segment.key)])
        into.bytes_read += len(data)
        if data != (stream.folder / segment.uri.rpartition("/")[2]).read_bytes():
            into.wrong.append(segment.uri)
        now_s = time.monotonic()
        if clock_s is None:
            if at_s + segment.duration_us / 1e6 >= START_BUFFER_S:
                clock_s = now_s
        elif now_s > clock_s + at_s:
            into.late_s[place] = now_s - clock_s - at_s
            clock_s = now_s - at_s


async def one(kind: str, stream: Stream) -> Watched:
    """The origin that is preferred has `kind` from segment FAULTY_FROM on."""
    async with running_origins(stream, "good", "bad") as (good, bad):
        bad.schedule = [Fault(kind, 0.0, f"hd_00[{FAULTY_FROM}-9].m4s")]
        result = await session_over(stream, playlist_of(good, stream), good, bad)
        result.faulty_requests = sum(record.fault == kind for record in bad.requests)
        return result


async def one_from_the_start(kind: str, stream: Stream) -> Watched:
    """The origin that the session's own URL names has `kind` for everything."""
    async with running_origins(stream, "good", "bad") as (good, bad):
        bad.fault = Fault(kind)
        result = await session_over(stream, playlist_of(bad, stream), bad, good)
        result.faulty_requests = sum(record.fault == kind for record in bad.requests)
        return result


async def session_over(stream: Stream, url: str, *origins: Origin) -> Watched:
    options = SessionOptions(
        url=url,
        cdns={origin.name: playlist_of(origin, stream) for origin in origins},
        weights={"bad": PREFERRED},
        allow_private=True,
        config=CONFIG,
    )
    result = Watched()
    async with open_session(options) as session:
        await watch(session, stream, result)
        result.report = await session.report()
    return result


@pytest.fixture(scope="module")
def table() -> dict[str, Watched]:
    return side_by_side(one, NAMES)


@pytest.fixture(scope="module")
def table_from_the_start() -> dict[str, Watched]:
    return side_by_side(one_from_the_start, FROM_THE_START)


def side_by_side(run: Callable[[str, Stream], Awaitable[Watched]], kinds: Iterable[str]) -> dict[str, Watched]:
    stream = short_stream()
    kinds = tuple(kinds)

    async def all_of_them() -> dict[str, Watched]:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            return dict(zip(kinds, await asyncio.gather(*(run(kind, stream) for kind in kinds)), strict=True))

    return asyncio.run(all_of_them())


def test_the_table_has_every_fault_of_the_origin():
    assert NAMES.keys() | {"none"} == KINDS


@pytest.mark.parametrize("kind", NAMES)
def test_a_failing_origin_costs_neither_bytes_nor_time(table: dict[str, Watched], kind: str):
    watched = table[kind]
    assert watched.faulty_requests > 0, "the origin was never asked for what it does wrong"
    assert watched.wrong == []
    assert watched.late_s == {}
    assert {segment.verified for segment in media_of(watched.report) if segment.delivered_bytes} <= {"blocks"}
    assert [segment.error for segment in watched.report.segments if segment.error] == []
    assert watched.report.dropped.get("wrong_bytes_read", 0) == 0


@pytest.mark.parametrize("kind", NAMES)
def test_the_report_names_what_the_origin_did(table: dict[str, Watched], kind: str):
    assert table[kind].reasons & NAMES[kind], table[kind].reasons


@pytest.mark.parametrize("kind", sorted(IN_BODY))
def test_what_came_before_the_fault_is_kept(table: dict[str, Watched], kind: str):
    parts = [
        part
        for segment in media_of(table[kind].report)
        if segment.failed_over_in_body
        for part in segment.parts
        if part.source == "cdn:good"
    ]
    assert any(part.first_byte > 0 for part in parts)


def test_the_origin_that_sends_wrong_bytes_is_left_alone_for_long(table: dict[str, Watched]):
    watched = table["corrupt"]
    assert watched.bad.state == "open"
    assert any(segment.polluted for segment in watched.report.segments)


@pytest.mark.parametrize("kind", FROM_THE_START)
def test_a_stream_starts_although_its_first_origin_never_works(table_from_the_start: dict[str, Watched], kind: str):
    watched = table_from_the_start[kind]
    assert watched.faulty_requests > 0
    assert watched.wrong == []
    assert watched.late_s == {}
    assert watched.playlists_s < DOCUMENTS * CONFIG.document_timeout_us / 1e6 + 1.0
