"""The streams that the cells play, known to the last byte: on demand, live, and with low-latency parts.

`first` is where the window begins, `parts` how many there are of the segment behind it; on demand both are 0.
"""

from __future__ import annotations

import asyncio
import functools

from shoal.balancer.formats.hls import Directives
from shoal.balancer.formats.hls.blocking import Edge
from shoal.balancer.integrity import sidecar

from ..balancer.actors.origin import SIDECAR, Stream

__all__ = [
    "HOLD_BACK",
    "KEY",
    "MAIN",
    "MANIFEST",
    "NAMES",
    "PARTS",
    "PLAYLIST",
    "SEGMENTS",
    "SEGMENT_S",
    "WINDOW",
    "Edges",
    "breaking",
    "files_of",
    "hashes",
    "listing",
    "multivariant",
    "names_of",
    "older",
    "part_name",
    "stream_of",
]

SEGMENTS, WINDOW = 7, 4
PARTS = 4  # of a segment
HOLD_BACK = 4  # so many parts does a low-latency player stay behind the newest; the draft asks for three at least
SEGMENT_S = 1
BLOCK_BYTES = 16 * 1024  # small, so that small segments, which cost little, have a middle that a fault can be in
SEGMENT_BYTES = 2 * BLOCK_BYTES + 500
PLAYLIST, MAIN, MANIFEST = "stream.m3u8", "main.m3u8", "m.json"
KEY = bytes(range(16))
# A resource -> what it is called; media are `s0.m4s`, `s1.m4s`, ..., and parts of them `s0.1.m4s`.
NAMES = {"playlist": PLAYLIST, "init": "init.mp4", "key": "key.bin", "sidecar": SIDECAR, "steering": MANIFEST}


@functools.cache
def stream_of(kind: str) -> Stream:
    return Stream(segments=SEGMENTS, segment_bytes=SEGMENT_BYTES, segment_s=SEGMENT_S)


def names_of(resource: str, kind: str) -> list[str]:
    """Of media, all: of one segment alone nobody knows which origin is asked for it."""
    return [name for name in files_of(kind) if name[0] == "s"] if resource == "media" else [NAMES[resource]]


@functools.cache
def files_of(kind: str) -> dict[str, bytes]:
    stream = stream_of(kind)
    files = {**stream.files(), "key.bin": KEY}
    if kind == "low-latency":
        for number, data in enumerate(stream.segments):
            size = -(-len(data) // PARTS)
            files |= {part_name(number, part): data[part * size : (part + 1) * size] for part in range(PARTS)}
    return files


def breaking(names: list[str]) -> list[str]:
    """In which of them the origin that is well breaks once: of parts one in each segment, or nobody would be well."""
    return [name for name in names if ".0.m4s" in name] or names


def part_name(number: int, part: int) -> str:
    return f"s{number}.{part}.m4s"


@functools.cache
def listing(kind: str, first: int, parts: int) -> bytes:
    """The media playlist whose window begins at `first`, with so many parts of the segment that follows it."""
    stream = stream_of(kind)
    text = stream.media_playlist() if kind == "vod" else stream.media_playlist(first, WINDOW, ended=False)
    text = text.replace(b"#EXT-X-MAP", b'#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\n#EXT-X-MAP')
    if kind != "low-latency":
        return text
    part_s = SEGMENT_S / PARTS
    lines = text.decode().splitlines()
    lines[1:1] = [
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={HOLD_BACK * part_s}",
        f"#EXT-X-PART-INF:PART-TARGET={part_s}",
    ]
    last = f"s{first + WINDOW - 1}.m4s"
    of_last = [part_line(first + WINDOW - 1, part, part_s) for part in range(PARTS)]
    at = lines.index(last) - 1
    lines[at:at] = of_last
    lines += [part_line(first + WINDOW, part, part_s) for part in range(parts)]
    if first + WINDOW < SEGMENTS:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{part_name(first + WINDOW, parts)}"')
    return "\n".join([*lines, ""]).encode()


def part_line(number: int, part: int, part_s: float) -> str:
    return f'#EXT-X-PART:DURATION={part_s},URI="{part_name(number, part)}"'


@functools.cache
def hashes(kind: str, first: int, parts: int) -> bytes:
    """The sidecar of all that the playlist names; on demand, of everything."""
    known = files_of(kind)
    if kind != "vod":
        names = {"init.mp4", "key.bin", *(f"s{number}.m4s" for number in range(first, first + WINDOW))}
        names |= {part_name(first + WINDOW - 1, part) for part in range(PARTS)}
        names |= {part_name(first + WINDOW, part) for part in range(parts)}
        known = {name: data for name, data in known.items() if name in names}
    return sidecar(known.items(), block_bytes=BLOCK_BYTES)


def older(kind: str) -> dict[str, bytes]:
    """What each name of media stood for before: the segment that now is the one before it, or a part of that."""
    files = files_of(kind)
    names = [[f"s{number}.m4s", *(part_name(number, part) for part in range(PARTS))] for number in range(SEGMENTS)]
    return {
        name: files[before]
        for place, segment in enumerate(names)
        for name, before in zip(segment, names[place - 1], strict=True)
        if name in files
    }


def multivariant(server: str, folders: dict[str, str]) -> bytes:
    """Steered by `server`, with a pathway for each folder."""
    lines = ["#EXTM3U", f'#EXT-X-CONTENT-STEERING:SERVER-URI="{server}{MANIFEST}"']
    for pathway, folder in folders.items():
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH=400000,PATHWAY-ID="{pathway}"', f"{folder}{PLAYLIST}"]
    return "\n".join([*lines, ""]).encode()


class Edges:
    """How far a stream is, for those who wait until it has gone on (blocking reload)."""

    def __init__(self) -> None:
        self._edge = Edge()
        self._went_on = asyncio.Event()

    def publish(self, first: int, parts: int) -> None:
        self._edge = Edge(first + WINDOW, parts, PARTS)
        self._went_on.set()
        self._went_on = asyncio.Event()  # each waiter holds the one it waits for

    async def wait(self, query: str) -> None:
        """Until there is what a playlist asked for with `query` is to have."""
        wanted = Directives.read(query)
        while wanted.segment is not None and not self._edge.has(wanted):
            await self._went_on.wait()
