"""p2p-media-loader and bittorrent-tracker as processes: others' code, unmodified, that ours has to get along with.

`tools/install-test-tools` installs what tools/npm/package-lock.json pins.  The programs beside
this file are bundled with esbuild into build/npm, where Node finds what they import.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from shoal.app.demo.children import Child, Children
from shoal.app.demo.stream import PLAYLIST, Stream, write_sidecar
from shoal.balancer import identity

__all__ = [
    "Program",
    "bundled_page",
    "film_on_air",
    "missing",
    "on_air",
    "plain_stream",
    "sha256_of",
    "start_peer",
    "start_tracker",
    "write_window",
]

HERE = Path(__file__).resolve().parent
NPM = HERE.parents[1] / "build" / "npm"
BUNDLE_TIMEOUT_S = 60.0  # a fifth of a second where nobody else computes

# What the package's hls.js plug-in, and identity.py, make of the one variant of `plain_stream`.
BANDWIDTH, CODECS = 400_400, "avc1.42c00d"
INDEX = identity.Scheme23().stream_index(identity.Stream(bandwidth=BANDWIDTH, codecs=CODECS))
MEDIA_PLAYLIST = "v1.m3u8"


class Program(NamedTuple):
    """A child and everything it told."""

    child: Child
    events: list[dict[str, Any]]

    def told(self, event: str) -> dict[str, Any] | None:
        return next((row for row in self.events if row["event"] == event), None)

    def all_told(self, event: str) -> list[dict[str, Any]]:
        return [row for row in self.events if row["event"] == event]


def missing() -> str | None:
    """What is not installed, and how to get it; None when everything is there."""
    if shutil.which("node") is None:
        return "node is missing; run: tools/install-test-tools"
    if not (NPM / "node_modules" / "p2p-media-loader-core").is_dir():
        return "p2p-media-loader is missing; run: tools/install-test-tools"
    return None


def plain_stream(folder: Path, count: int, *, segment_s: float = 1.0, segment_bytes: int = 20_000) -> Stream:
    """A stream that no decoder would play and every peer takes: `count` segments of chance, a playlist, a sidecar."""
    source = random.Random(count)
    names = [f"s{number:03}.m4s" for number in range(count)]
    for name in names:
        (folder / name).write_bytes(source.randbytes(segment_bytes))
    write_window(folder, range(count), segment_s=segment_s, is_last=True)
    variant = f'#EXT-X-STREAM-INF:BANDWIDTH={BANDWIDTH},CODECS="{CODECS}"'
    (folder / PLAYLIST).write_text(f"#EXTM3U\n{variant}\n{MEDIA_PLAYLIST}\n")
    write_sidecar(folder)
    return Stream(folder, round(count * segment_s), max(1, round(segment_s)))


def write_window(folder: Path, numbers: range, *, segment_s: float, is_last: bool) -> None:
    """The media playlist of a plain stream, with these of its segments: all of them, or a live one's window."""
    lines = [
        *("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(1, round(segment_s))}"),
        f"#EXT-X-MEDIA-SEQUENCE:{numbers.start}",
        *(f"#EXTINF:{segment_s:.3f},\ns{number:03}.m4s" for number in numbers),
        *(["#EXT-X-ENDLIST"] if is_last else []),
    ]
    building = folder / f".{MEDIA_PLAYLIST}"
    building.write_text("\n".join([*lines, ""]))
    building.replace(folder / MEDIA_PLAYLIST)  # nobody reads half of it


@asynccontextmanager
async def on_air(stream: Stream, window: int, segment_s: float) -> AsyncIterator[None]:
    """A plain stream as if it were being made now: a window of so many segments that moves on, and an end."""
    count = len(list(stream.folder.glob("s*.m4s")))

    async def go_on() -> None:
        for end in range(window + 1, count + 1):
            await asyncio.sleep(segment_s)
            write_window(stream.folder, range(end - window, end), segment_s=segment_s, is_last=end == count)

    write_window(stream.folder, range(window), segment_s=segment_s, is_last=False)
    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        going.cancel()


@asynccontextmanager
async def film_on_air(film: Stream, folder: Path, window: int) -> AsyncIterator[Stream]:
    """A film of one variant, in `folder`, as if it were being made now: a window that moves on, and an end."""
    await asyncio.to_thread(shutil.copytree, film.folder, folder)
    (path,) = [path for path in folder.glob("*.m3u8") if path.name != film.playlist]
    lines = path.read_text().splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("#EXTINF"))
    head = [line for line in lines[:first] if not line.startswith(("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-PLAYLIST-TYPE"))]
    named = [line for line in lines[first:] if line != "#EXT-X-ENDLIST"]
    segments = list(zip(named[::2], named[1::2], strict=True))

    def write(end: int) -> None:
        rows = [row for segment in segments[end - window : end] for row in segment]
        text = [*head, f"#EXT-X-MEDIA-SEQUENCE:{end - window}", *rows]
        building = folder / f".{path.name}"
        building.write_text("\n".join([*text, *(["#EXT-X-ENDLIST"] if end == len(segments) else []), ""]))
        building.replace(path)  # nobody reads half of it

    async def go_on() -> None:
        for end in range(window + 1, len(segments) + 1):
            await asyncio.sleep(film.segment_seconds)
            write(end)

    write(window)
    going = asyncio.create_task(go_on())
    try:
        yield Stream(folder, film.seconds, film.segment_seconds)
    finally:
        going.cancel()


def sha256_of(stream: Stream) -> list[str]:
    """Of each segment of a plain stream, in order."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(stream.folder.glob("s*.m4s"))]


async def start_tracker(children: Children, *, interval_ms: int = 600_000) -> tuple[Program, str]:
    """bittorrent-tracker, and its URL."""
    tracker = await _start(children, "bittorrent-tracker", "tracker.mjs", str(interval_ms))
    return tracker, str((await tracker.child.ready())["url"])


async def start_peer(
    children: Children, name: str, origin: str, *trackers: str, manifest: str | None = None, **options: Any
) -> Program:
    """p2p-media-loader-core in Node, on a plain stream at `origin`; peer.mjs says what the options are.

    The swarm is named after `manifest`, the URL that the others play: theirs may be another CDN.
    """
    told = {
        "url": f"{origin}/{MEDIA_PLAYLIST}",
        "manifest": manifest or f"{origin}/{PLAYLIST}",
        "index": INDEX,
        "trackers": trackers,
        **options,
    }
    peer = await _start(children, name, "peer.mjs", json.dumps(told))
    await peer.child.ready()
    return peer


async def _start(children: Children, name: str, program: str, *arguments: str) -> Program:
    events: list[dict[str, Any]] = []
    path = bundled(program)
    return Program(await children.start(name, "--", "node", str(path), *arguments, hear=events.append), events)


@functools.cache
def bundled(program: str) -> Path:
    """The program with all it imports but native code, where Node finds that."""
    require = "import{createRequire}from'module';const require=createRequire(import.meta.url);"
    return _bundle(
        program,
        *("--platform=node", "--format=esm", "--target=node18", f"--banner:js={require}"),
        *("--external:@roamhq/wrtc", "--external:ws", "--external:bittorrent-tracker/server"),
        f"--alias:webrtc-polyfill={HERE / 'webrtc.mjs'}",
        "--define:process.browser=true",  # the tracker's client asks, and takes no part in swarms of servers then
    )


@functools.cache
def bundled_page() -> Path:
    """page.mjs and all it imports, as one script for a page."""
    return _bundle("page.mjs", "--platform=browser", "--format=iife", "--conditions=p2pml:core-as-bundle")


def _bundle(program: str, *options: str) -> Path:
    target = NPM / program
    subprocess.run(
        [
            NPM / "node_modules" / ".bin" / "esbuild",
            HERE / program,
            *("--bundle", "--log-level=error", f"--outfile={target}"),
            *options,
        ],
        env={**os.environ, "NODE_PATH": str(NPM / "node_modules")},
        check=True,
        timeout=BUNDLE_TIMEOUT_S,
    )
    return target
