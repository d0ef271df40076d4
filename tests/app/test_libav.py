"""libav plays the proxy's HLS: to the end, from where it seeks to, live, and its subtitles.

(It plays in real time, through faults, in test_real_run.py and test_real_faults.py.  PyAV's builds of it read no DASH.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shoal.app.demo.low_latency import LowLatencyOrigin, OnAir
from shoal.app.demo.stream import make_stream

from .manifests import SUBTITLES, copy_of, file_of, with_subtitles
from .support import LIGHT, ON_AIR, RUN_TIMEOUT_S, STREAMS, running_origins
from .tapped import assert_right, proxied

av = pytest.importorskip("av")
Discard = pytest.importorskip("av.stream").Discard

pytestmark = pytest.mark.real

T = TypeVar("T")


def pictures(source: Any, width: int, *, count: int | None = None) -> list[float]:
    """Times of the pictures of the rendition of that width, decoded, in order."""
    video = next(stream for stream in source.streams.video if stream.width == width)
    times: list[float] = []
    for frame in source.decode(video):
        times.append(frame.time)
        if len(times) == count:
            break
    return times


def opened(url: str, use: Callable[[Any], T]) -> T:
    # Its own limit for a read: longer than any stall, so that a fault of ours ends the test and does not hang it.
    with av.open(url, timeout=60.0) as source:
        return use(source)


def test_libav_plays_both_renditions_and_goes_where_it_seeks_to(tmp_path: Path) -> None:
    stream = copy_of(LIGHT, tmp_path / "stream")

    def late(source: Any) -> list[float]:
        source.seek(6 * av.time_base)
        return pictures(source, 320)

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            (origin,) = await stack.enter_async_context(running_origins(stream, "good"))
            proxy = await proxied(stack, f"{origin.url}/{stream.playlist}")
            best, worst, end = await asyncio.gather(
                *(
                    asyncio.to_thread(opened, proxy.url, use)
                    for use in (lambda source: pictures(source, 320), lambda source: pictures(source, 160), late)
                )
            )
            assert len(best) == len(worst) == LIGHT.frames_per_s * stream.seconds
            # From the key frame at or before it.
            assert end == pytest.approx(best[-len(end) :])
            assert 4 * LIGHT.frames_per_s <= len(end) <= 5 * LIGHT.frames_per_s
            assert_right(proxy, lambda path: file_of(stream, LIGHT, path), "libav")

    asyncio.run(run())


def test_libav_reads_subtitles(tmp_path: Path) -> None:
    stream = copy_of(LIGHT, tmp_path / "stream")
    with_subtitles(stream)

    def use(source: Any) -> list[str]:
        text = source.streams.subtitles[0]
        text.discard = Discard.default  # as who turns them on does
        return [bytes(packet).decode() for packet in source.demux(text) if packet.size]

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            (origin,) = await stack.enter_async_context(running_origins(stream, "good"))
            proxy = await proxied(stack, f"{origin.url}/{stream.playlist}")
            came = await asyncio.to_thread(opened, proxy.url, use)
            # What libav read while it looked for streams, before they were turned on, it has thrown away.
            assert came
            assert came == [*SUBTITLES][-len(came) :]

    asyncio.run(run())


def test_libav_follows_what_is_live_by_whole_segments_with_parts_beside_them_and_without() -> None:
    """It knows nothing of parts; a playlist that has them is one with segments to it."""
    folder = make_stream(ON_AIR, STREAMS).folder
    # More than the playlist had when it was opened, so that it must have been loaded again.
    count = 9 * ON_AIR.frames_per_s

    async def follow(parts_in: str) -> None:
        on_air = OnAir(folder, parts_in=parts_in)
        async with AsyncExitStack() as stack:
            origin = LowLatencyOrigin(on_air)
            await origin.start()
            stack.push_async_callback(origin.aclose)
            proxy = await proxied(stack, f"{origin.url}/index.m3u8")
            times = await asyncio.to_thread(opened, proxy.url, lambda source: pictures(source, 160, count=count))
            # Each picture after the one before, and none left out.
            assert [round((two - one) * ON_AIR.frames_per_s) for one, two in pairwise(times)] == [1] * (count - 1)
            assert_right(proxy, lambda path: on_air.broadcast.file(path.rpartition("/")[2], 1e9), parts_in)
            assert not any(path.startswith("/part/") for path in proxy.given)

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            await asyncio.gather(*(follow(parts_in) for parts_in in ("none", "files", "ranges")))

    asyncio.run(run())
