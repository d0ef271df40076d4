"""The streams that the cells play, known to the last byte: HLS on demand, live and with low-latency parts, and DASH.

`first` is where the window begins, `parts` how many there are of the segment behind it; on demand both are 0.
"""

from __future__ import annotations

import asyncio
import functools

from shoal.balancer.formats.hls import Directives
from shoal.balancer.formats.hls.blocking import Edge
from shoal.balancer.integrity import sidecar

from ..balancer.actors.origin import SIDECAR, Stream
from .catalogue import is_dash, is_on_demand

__all__ = [
    "HOLD_BACK",
    "KEY",
    "MANIFEST",
    "NAMES",
    "PARTS",
    "SEGMENTS",
    "SEGMENT_S",
    "WINDOW",
    "Edges",
    "breaking",
    "files_of",
    "hashes",
    "listing",
    "main_of",
    "names_of",
    "older",
    "part_name",
    "playlist_of",
    "steered",
    "stream_of",
]

SEGMENTS, WINDOW = 7, 4
PARTS = 4  # of a segment
HOLD_BACK = 4  # so many parts does a low-latency player stay behind the newest; the draft asks for three at least
SEGMENT_S = 1
BLOCK_BYTES = 16 * 1024  # small, so that small segments, which cost little, have a middle that a fault can be in
SEGMENT_BYTES = 2 * BLOCK_BYTES + 500
MANIFEST = "m.json"
KEY = bytes(range(16))
# A resource -> what it is called; media are `s0.m4s`, `s1.m4s`, ..., and parts of them `s0.1.m4s`.
NAMES = {"init": "init.mp4", "key": "key.bin", "sidecar": SIDECAR, "steering": MANIFEST}


def playlist_of(kind: str) -> str:
    """The list of segments: a media playlist, or the MPD."""
    return "stream.mpd" if is_dash(kind) else "stream.m3u8"


def main_of(kind: str) -> str:
    """What names a steering server, and the pathways."""
    return "main.mpd" if is_dash(kind) else "main.m3u8"


@functools.cache
def stream_of(kind: str) -> Stream:
    return Stream(segments=SEGMENTS, segment_bytes=SEGMENT_BYTES, segment_s=SEGMENT_S)


def names_of(resource: str, kind: str) -> list[str]:
    """Of media, all: of one segment alone nobody knows which origin is asked for it."""
    if resource == "media":
        return [name for name in files_of(kind) if name[0] == "s"]
    return [playlist_of(kind) if resource == "playlist" else NAMES[resource]]


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
    """The list whose window begins at `first`, with so many parts of the segment that follows it."""
    if is_dash(kind):
        return _mpd(kind, first)
    stream = stream_of(kind)
    text = stream.media_playlist() if is_on_demand(kind) else stream.media_playlist(first, WINDOW, ended=False)
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


def _mpd(kind: str, first: int, head: str = "", base_urls: str = "") -> bytes:
    """Live it lists the segments of its window one by one, as packagers do, and so has to be loaded again and again."""
    if is_on_demand(kind):
        attributes = f'type="static" mediaPresentationDuration="PT{SEGMENTS * SEGMENT_S}S"'
        inner, number = f'duration="{SEGMENT_S}"/>', 0
    else:
        attributes = (
            f'type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT{SEGMENT_S}S" '
            f'publishTime="1970-01-01T00:01:{first:02}Z" timeShiftBufferDepth="PT{WINDOW * SEGMENT_S}S"'
        )
        rows = f'<S t="{first * SEGMENT_S}" d="{SEGMENT_S}" r="{WINDOW - 1}"/>'
        inner, number = f"><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>", first
    return (
        f'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {attributes}>{base_urls}{head}\n'
        '<Period start="PT0S"><AdaptationSet mimeType="video/mp4">'
        f'<SegmentTemplate media="s$Number$.m4s" initialization="init.mp4" startNumber="{number}" {inner}'
        '<Representation id="s" bandwidth="400000"/></AdaptationSet></Period></MPD>\n'
    ).encode()


@functools.cache
def hashes(kind: str, first: int, parts: int) -> bytes:
    """The sidecar of all that the playlist names; on demand, of everything."""
    known = files_of(kind)
    if not is_on_demand(kind):
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


def steered(kind: str, server: str, folders: dict[str, str], first: int) -> bytes:
    """What `main_of` names: steered by `server`, with a pathway for each folder."""
    if is_dash(kind):
        urls = "".join(f'<BaseURL serviceLocation="{name}">{folder}</BaseURL>' for name, folder in folders.items())
        begin = next(iter(folders))
        steering = f'<ContentSteering defaultServiceLocation="{begin}">{server}{MANIFEST}</ContentSteering>'
        return _mpd(kind, first, steering, urls)
    lines = ["#EXTM3U", f'#EXT-X-CONTENT-STEERING:SERVER-URI="{server}{MANIFEST}"']
    for pathway, folder in folders.items():
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH=400000,PATHWAY-ID="{pathway}"', f"{folder}{playlist_of(kind)}"]
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
