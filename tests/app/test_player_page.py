"""The player's page in headless Chromium: hls.js plays, the balancer in its worker delivers, every hash is right.

What it decided there is recorded, and decided again here.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app import player_site
from shoal.app.demo.origin import Fault
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.page_files import page_files
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import PlayerSite
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.recording import Replayed, lines_of, replay

from .chromium import page_in_chromium, skip_without_chromium
from .readers import Reader, reader
from .support import (
    STREAMS,
    own_addresses,
    playlist_of,
    running_origins,
    running_tracker,
    skip_without_an_address,
    used_bytes,
)

pytestmark = pytest.mark.real

BUILD = Path(__file__).resolve().parents[2] / "build"
RUN_TIMEOUT_S = 240.0
OPTIONS = StreamOptions(seconds=10, segment_seconds=1, renditions=(Rendition("page", 160, 90, 400_000, 64_000),))


class Played(NamedTuple):
    seen: dict[str, Any]  # what the page saw
    sent: int  # bytes that the first native peer sent it
    second: Reader  # the native peer that came later
    had: int  # bytes which that one had of the page
    gave: int  # bytes that the page says it sent to peers
    recording: Path


async def play(stream: Stream, folder: Path) -> Played:
    """A native peer has all, then the page plays; another native one comes when only the page is left."""
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "a", "b") as (a, b),
        running_tracker() as tracker,
        AsyncExitStack() as stack,
    ):
        options = PageOptions(
            url=playlist_of(a, stream), cdns={"b": playlist_of(b, stream)}, trackers=(tracker,), allow_private=True
        )
        site = await stack.enter_async_context(PlayerSite(options, BUILD))
        async with reader(a, stream, tracker) as first:
            await first.read(stream.segment_count)
            page = await stack.enter_async_context(
                page_in_chromium(f"{site.url}?start=hand&buffer=2", folder / "profile")
            )
            async with page.expect_navigation(url="**record**"):
                await page.click("#record")
            held = f"one.held_count >= {stream.segment_count}"
            met = f"seen.report?.sources.some((one) => one.name.startsWith('peer:') && {held})"
            await page.wait_for_function(f"seen.error || {met}", timeout=RUN_TIMEOUT_S * 1000)
            await page.evaluate("document.querySelector('video').play()")
            is_over = "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"
            await page.wait_for_function(is_over, timeout=RUN_TIMEOUT_S * 1000)
            await page.screenshot(path=folder / "page.png")
            sent = sum(source.sent_bytes for source in await first.peers())
        async with reader(a, stream, tracker, cdn_prefetch_deadline_us=1_000) as second:
            await second.read(1)
            await second.met(stream.segment_count)
            await second.read(stream.segment_count - 1)
            async with page.expect_download() as download:
                await page.click("#record")
            await (await download.value).save_as(folder / "session.jsonl.gz")
            had = used_bytes(await second.peers())
            sources = (await page.evaluate("balancer.report()"))["sources"]
            seen = dict(await page.evaluate("seen"))
            return Played(
                seen, sent, second, had, sum(one["sent_bytes"] for one in sources), folder / "session.jsonl.gz"
            )


async def play_beside_a_dead_cdn(stream: Stream, folder: Path) -> dict[str, Any]:
    """The first CDN answers nothing but 503 from the start: the playlist comes from the other one too."""
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "a", schedule=[Fault("503")]) as (dead,),
        running_origins(stream, "b") as (b,),
        AsyncExitStack() as stack,
    ):
        options = PageOptions(
            url=playlist_of(dead, stream),
            cdns={"b": playlist_of(b, stream)},
            trackers=("ws://127.0.0.1:9",),
            allow_private=True,
        )
        site = await stack.enter_async_context(PlayerSite(options, BUILD))
        page = await stack.enter_async_context(page_in_chromium(site.url, folder / "profile"))
        await page.wait_for_function("seen.ended", timeout=RUN_TIMEOUT_S * 1000)
        await page.wait_for_function("seen.error || seen.startup", timeout=RUN_TIMEOUT_S * 1000)
        await page.screenshot(path=folder / "dead.png", full_page=True)
        return dict(await page.evaluate("seen"))


async def play_from(stream: Stream, folder: Path) -> dict[str, Any]:
    """One CDN, and nobody else."""
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "a") as (a,),
        PlayerSite(PageOptions(url=playlist_of(a, stream), are_peers_allowed=False, allow_private=True), BUILD) as site,
        page_in_chromium(f"{site.url}?start=hand", folder / "profile") as page,
    ):
        await page.wait_for_function("seen.error || seen.startup", timeout=RUN_TIMEOUT_S * 1000)
        await page.evaluate("document.querySelector('video').play()")
        await page.wait_for_function("seen.error || seen.ended", timeout=RUN_TIMEOUT_S * 1000)
        return dict(await page.evaluate("seen"))


def skip_without_a_page() -> None:
    skip_without_chromium()
    try:
        PlayerSite(PageOptions(url="http://127.0.0.1/"), BUILD)
    except ConfigurationError as error:
        pytest.skip(str(error))


def decided_again(recording: Path) -> Replayed:
    with recording.open("rb") as file:
        return replay(lines_of(file))


def test_the_page_plays_to_the_end_and_native_peers_and_it_fetch_from_each_other(tmp_path: Path):
    skip_without_an_address()
    skip_without_a_page()
    stream = make_stream(OPTIONS, STREAMS)
    seen, sent, second, had, gave, recording = asyncio.run(play(stream, tmp_path))
    files = [path for path in stream.folder.iterdir() if path.suffix in {".m4s", ".mp4"}]
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert (seen["error"], seen["fatal"], seen["inWorker"]) == (None, [], True)
    given = {one["url"].rpartition("/")[2]: one for one in seen["segments"]}
    assert {name: one["sha256"] for name, one in given.items()} == right
    assert {one["by"] for one in given.values()} == {"balancer"}
    assert second.hashes == [right[segment.uri.rpartition("/")[2]] for segment in second.segments]
    a_segment = min(path.stat().st_size for path in files if path.suffix == ".m4s")
    peers = {one["name"]: one["used_bytes"] for one in seen["report"]["sources"] if one["name"].startswith("peer:")}
    assert sent >= max(peers.values()) >= a_segment  # from a native peer to the page
    assert gave >= had >= a_segment  # and from the page to another
    again = decided_again(recording)
    assert again.difference is None
    assert again.events_lost == 0
    assert again.events > 2 * stream.segment_count
    assert again.actions > stream.segment_count
    text = b"".join(lines_of(io.BytesIO(recording.read_bytes())))
    assert [name for name in (b"127.0.0.1", b"http", b".m4s", *map(str.encode, own_addresses())) if name in text] == []


def test_a_cdn_that_is_dead_from_the_start_costs_the_page_nothing_but_a_request(tmp_path: Path):
    skip_without_a_page()
    seen = asyncio.run(play_beside_a_dead_cdn(make_stream(OPTIONS, STREAMS), tmp_path))
    assert (seen["error"], seen["fatal"], seen["ended"]) == (None, [], True)


def test_a_page_whose_pyodide_the_compiled_wheel_is_not_for_plays_by_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    skip_without_a_page()

    def renamed(build: Path, others: Mapping[str, Path]) -> dict[str, Path]:
        files = page_files(build, others)
        return {path.replace("-abi3-pyemscripten_2026_0", "-abi3-pyemscripten_2001_0"): files[path] for path in files}

    monkeypatch.setattr(player_site, "page_files", renamed)
    stream = make_stream(OPTIONS, STREAMS)
    seen = asyncio.run(play_from(stream, tmp_path))
    assert (seen["error"], seen["fatal"], seen["ended"]) == (None, [], True)
    assert [name.rpartition("-")[2] for name in seen["startup"]["packages"]] == [
        "pyemscripten_2026_0_wasm32.whl",
        "any.whl",
    ]
    assert {one["by"] for one in seen["segments"]} == {"balancer"}
