"""The player's page keeps a snapshot of its interpreter and starts from it the next time, if it is of any use."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import PlayerSite
from shoal.balancer.errors import ConfigurationError

from .chromium import page_in_chromium, skip_without_chromium
from .support import STREAMS, playlist_of, running_origins

pytestmark = pytest.mark.real

BUILD = Path(__file__).resolve().parents[2] / "build"
RUN_TIMEOUT_S = 240.0
OPTIONS = StreamOptions(seconds=10, segment_seconds=1, renditions=(Rendition("page", 160, 90, 400_000, 64_000),))
STARTED = "seen.error || seen.startup"
PLAYED = "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"
KEPT_BYTES = "snapshots.kept().then(async (found) => (await found?.arrayBuffer())?.byteLength ?? 0)"
IN_SNAPSHOTS = "async (text) => { const snapshots = await import('./snapshots.js'); return eval(text); }"


async def visits(stream: Stream, profile: Path) -> tuple[list[dict[str, Any]], list[Any]]:
    """What the page saw at each visit, and whether a snapshot was kept after it."""
    seen, kept = [], []
    async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "a") as (origin,):
        options = PageOptions(url=playlist_of(origin, stream), allow_private=True)
        async with (
            PlayerSite(options, BUILD) as site,
            page_in_chromium(f"{site.url}?start=hand&worker=0", profile) as page,
        ):
            for visit in range(3):
                if visit > 0:
                    await page.reload()
                await page.wait_for_function(STARTED)
                if visit < 2:
                    await page.evaluate("video.playbackRate = 4, video.play()")
                    await page.wait_for_function(PLAYED)
                    await page.wait_for_function("seen.snapshot !== null")
                kept.append(await page.evaluate(IN_SNAPSHOTS, KEPT_BYTES))
                seen.append(dict(await page.evaluate("seen")))
                if visit == 1:
                    await page.evaluate(IN_SNAPSHOTS, "snapshots.put(new Uint8Array(4096))")
    return seen, kept


def test_a_page_starts_from_the_snapshot_that_its_last_visit_left_and_plays_as_without(tmp_path: Path):
    skip_without_chromium()
    try:
        PlayerSite(PageOptions(url="http://127.0.0.1/"), BUILD)
    except ConfigurationError as error:
        pytest.skip(str(error))
    stream = make_stream(OPTIONS, STREAMS)
    seen, kept = asyncio.run(visits(stream, tmp_path / "profile"))
    assert [(one["error"], one["fatal"]) for one in seen] == [(None, [])] * 3
    assert [one["startup"]["isFromSnapshot"] for one in seen] == [False, True, False]
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m4s")}
    for one in seen[:2]:
        given = {part["url"].rpartition("/")[2]: part for part in one["segments"]}
        assert {name: given[name]["sha256"] for name in right} == right
        assert {given[name]["by"] for name in right} == {"balancer"}
    assert [one["snapshot"] for one in seen[:2]] == [True, True]
    assert kept[0] == kept[1] > 20_000_000
    assert kept[2] == 0, "what is no snapshot was forgotten"
