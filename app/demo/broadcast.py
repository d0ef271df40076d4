"""A film on air as low-latency HLS: which parts and segments there are at a time, and the playlists that name them.

    films_of(folder)             the renditions of a stream on disk, cut into parts by libav
    Broadcast(films)             what of them is on air; times are seconds since it began
        .playlist(name, at_s)    a media playlist as it is then
        .due_s(name, wanted)     when a playlist has what a player wants of it (blocking reload)
        .file(path, at_s)        bytes of a segment or part, as far as they are there
        .part_due_s(path)        when a part will be there, or was

As in draft-pantos-hls-rfc8216bis: a part is one fragment (moof and mdat), its segment
all of them one after another, and parts are listed for the last three segments.
They are files of their own, or ranges of the segment that grows (`parts_in`); with
"none" the same stream is live in whole segments.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from shoal.balancer import integrity
from shoal.balancer.formats.hls import Directives

from .stream import MANIFEST

__all__ = ["HEAD_START", "Broadcast", "Film", "Part", "films_of"]

HEAD_START = 4  # segments that are there when it begins: a player without parts stays three behind
WINDOW = 8  # segments in a playlist
_WITH_PARTS = 3  # of these, the last ones with their parts (6.2.2: three target durations)
_NAME = re.compile(r"([A-Za-z0-9]+)_([0-9]{3})(?:\.([0-9]{1,3}))?\.m4s")
_VIDEO_TRACK = 1  # libav numbers tracks in the order in which they were added


class Part(NamedTuple):
    data: bytes
    seconds: float


class Film(NamedTuple):
    """One rendition."""

    init: bytes
    segments: tuple[tuple[Part, ...], ...]


def films_of(folder: Path, part_s: float) -> dict[str, Film]:
    """Each rendition of a stream that `make_stream` made, in parts of about this many seconds.  Blocks for a moment."""
    about = json.loads((folder / MANIFEST).read_bytes())
    return {
        rendition["name"]: _film(folder, rendition["name"], about["frames_per_s"], about["segment_seconds"], part_s)
        for rendition in about["renditions"]
    }


class Broadcast:
    def __init__(self, films: Mapping[str, Film], *, parts_in: str = "files", began: dt.datetime | None = None) -> None:
        assert parts_in in {"files", "ranges", "none"}, parts_in
        self.films = dict(films)
        self._parts_in = parts_in
        first = next(iter(self.films.values()))
        self.segment_s = round(sum(part.seconds for part in first.segments[0]), 3)
        self.part_target_s = max(part.seconds for film in self.films.values() for row in film.segments for part in row)
        # Of each rendition: when each part ends, one after another, and the number of each segment's first part.
        self._ends_s = {
            name: [round(end_s, 6) for end_s in accumulate(part.seconds for row in film.segments for part in row)]
            for name, film in self.films.items()
        }
        self._firsts = {name: [0, *accumulate(len(row) for row in f.segments)] for name, f in self.films.items()}
        self._head_s = HEAD_START * self.segment_s
        self.skip_s = 6 * round(self.segment_s)  # the least that may be promised (4.4.3.8)
        self.began = (began or dt.datetime.now(dt.UTC)) - dt.timedelta(seconds=self._head_s)

    def edge(self, name: str, at_s: float) -> tuple[int, int]:
        """How many segments are whole then, and how many parts there are of the one that follows."""
        count = bisect_right(self._ends_s[name], round(at_s + self._head_s, 6))
        segment = bisect_right(self._firsts[name], count) - 1
        return segment, count - self._firsts[name][segment]

    def due_s(self, name: str, wanted: Directives) -> float:
        """When the playlist has that; what lies beyond the end is there when it ends."""
        if wanted.segment is None:
            return 0.0
        firsts = self._firsts[name]
        if wanted.segment >= len(firsts) - 1:
            return self._ends_s[name][-1] - self._head_s
        following = firsts[wanted.segment + 1]
        # A part beyond the last one is taken for the first of the segment that follows.
        place = following - 1 if wanted.part is None else min(firsts[wanted.segment] + wanted.part, following)
        return self._ends_s[name][min(place, len(self._ends_s[name]) - 1)] - self._head_s

    def part_due_s(self, path: str) -> float | None:
        found = _NAME.fullmatch(path)
        if found is None or found[1] not in self.films or found[3] is None or self._parts_in != "files":
            return None
        segment, part = int(found[2]), int(found[3])
        rows = self.films[found[1]].segments
        if segment >= len(rows) or part >= len(rows[segment]):
            return None
        return self._ends_s[found[1]][self._firsts[found[1]][segment] + part] - self._head_s

    def file(self, path: str, at_s: float) -> bytes | None:
        """None for what is no file of this broadcast, or not there yet."""
        name = path.removesuffix("_init.mp4")
        if name in self.films and name != path:
            return self.films[name].init
        found = _NAME.fullmatch(path)
        if found is None or found[1] not in self.films:
            return None
        segment, part = int(found[2]), found[3]
        whole, parts = self.edge(found[1], at_s)
        there = self.films[found[1]].segments[segment] if segment < len(self.films[found[1]].segments) else ()
        if segment >= whole:
            there = there[:parts] if segment == whole else ()
        if part is not None:
            is_there = int(part) < len(there) and self._parts_in == "files"
            return there[int(part)].data if is_there else None
        is_readable = segment < whole or self._parts_in == "ranges"
        return b"".join(each.data for each in there) or None if is_readable else None

    def sidecar(self, at_s: float) -> bytes:
        """The hashes of what the playlists name whole."""
        named: list[tuple[str, bytes]] = []
        for name, film in self.films.items():
            named.append((f"{name}_init.mp4", film.init))
            whole, _ = self.edge(name, at_s)
            named += (
                (_file(name, segment), b"".join(part.data for part in film.segments[segment]))
                for segment in range(max(0, whole - WINDOW), whole)
            )
        return integrity.sidecar(named)

    def playlist(self, name: str, at_s: float) -> str:
        film = self.films[name]
        whole, parts = self.edge(name, at_s)
        first = max(0, whole - WINDOW)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{round(self.segment_s)}",
            *([] if self._parts_in == "none" else self._promises()),
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f'#EXT-X-MAP:URI="{name}_init.mp4"',
        ]
        for segment in range(first, whole):
            row = film.segments[segment]
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{self._date(name, segment)}")
            if segment >= whole - _WITH_PARTS and self._parts_in != "none":
                lines += self._part_lines(name, segment, len(row))
            lines += [f"#EXTINF:{sum(part.seconds for part in row):.5f},", _file(name, segment)]
        if whole == len(film.segments):
            return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
        if self._parts_in != "none":
            lines += self._what_comes(name, whole, parts, at_s)
        return "\n".join([*lines, ""])

    def _promises(self) -> list[str]:
        held_back = f"PART-HOLD-BACK={3 * self.part_target_s:.3f},HOLD-BACK={3 * self.segment_s:.3f}"
        return [
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={self.skip_s},{held_back}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target_s:.3f}",
        ]

    def _what_comes(self, name: str, whole: int, parts: int, at_s: float) -> list[str]:
        """Behind the last whole segment: the parts of the next one, a hint, and how far other renditions are."""
        lines = [f"#EXT-X-PROGRAM-DATE-TIME:{self._date(name, whole)}"]
        lines += self._part_lines(name, whole, parts)
        lines.append(self._hint(name, whole, parts))
        for other in self.films:
            if other != name:
                segment, count = self.edge(other, at_s)
                last = (
                    (segment, count - 1) if count else (segment - 1, len(self.films[other].segments[segment - 1]) - 1)
                )
                lines.append(f'#EXT-X-RENDITION-REPORT:URI="{other}.m3u8",LAST-MSN={last[0]},LAST-PART={last[1]}')
        return lines

    def _date(self, name: str, segment: int) -> str:
        first = self._firsts[name][segment]
        began_s = self._ends_s[name][first - 1] if first else 0.0
        return (self.began + dt.timedelta(seconds=began_s)).isoformat(timespec="milliseconds")

    def _part_lines(self, name: str, segment: int, count: int) -> Iterator[str]:
        begin = 0
        for number, part in enumerate(self.films[name].segments[segment][:count]):
            where = f'URI="{_file(name, segment, number)}"'
            if self._parts_in == "ranges":
                where = f'URI="{_file(name, segment)}",BYTERANGE="{len(part.data)}@{begin}"'
            begin += len(part.data)
            yield f"#EXT-X-PART:DURATION={part.seconds:.5f},{where}{'' if number else ',INDEPENDENT=YES'}"

    def _hint(self, name: str, segment: int, number: int) -> str:
        where = f'URI="{_file(name, segment, number)}"'
        if self._parts_in == "ranges":
            begin = sum(len(part.data) for part in self.films[name].segments[segment][:number])
            where = f'URI="{_file(name, segment)}",BYTERANGE-START={begin}'
        return f"#EXT-X-PRELOAD-HINT:TYPE=PART,{where}"


def _file(name: str, segment: int, part: int | None = None) -> str:
    return f"{name}_{segment:03}.m4s" if part is None else f"{name}_{segment:03}.{part}.m4s"


# -- cutting


def _film(folder: Path, name: str, frames_per_s: int, segment_seconds: int, part_s: float) -> Film:
    """The rendition with a fragment for each part, muxed anew by libav; key frames begin segments."""
    import av

    files = [folder / f"{name}_init.mp4", *sorted(folder.glob(f"{name}_???.m4s"))]
    target = io.BytesIO()
    options = {
        "movflags": "+frag_keyframe+empty_moov+default_base_moof+skip_trailer",
        "frag_duration": str(round(part_s * 1_000_000)),
    }
    whole = io.BytesIO(b"".join(file.read_bytes() for file in files))
    with av.open(whole, "r") as source, av.open(target, "w", format="mp4", options=options) as output:
        # Tracks in the order in which _VIDEO_TRACK counts them.
        streams = (*source.streams.video, *source.streams.audio)
        ours: dict[int, Any] = {stream.index: output.add_stream_from_template(stream) for stream in streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = ours[packet.stream.index]
                output.mux(packet)
    init, parts = _cut(target.getvalue())
    segments: list[list[Part]] = []
    frames = 0
    for data, count in parts:
        if frames % (segment_seconds * frames_per_s) == 0 and count:
            segments.append([])
        frames += count
        if count:
            segments[-1].append(Part(data, count / frames_per_s))
        else:  # sound that is left over at the end of a segment
            last = segments[-1][-1]
            segments[-1][-1] = Part(last.data + data, last.seconds)
    return Film(init, tuple(map(tuple, segments)))


def _cut(data: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The initialization section, and each fragment with how many pictures it has (ISO/IEC 14496-12, 8.8)."""
    fragments: list[tuple[bytes, int]] = []
    init_end, begin, pictures = 0, 0, 0
    for kind, start, end in _boxes(data, 0, len(data)):
        match kind:
            case b"moov":
                init_end = end
            case b"moof":
                begin, pictures = start, _pictures(data, start + 8, end)
            case b"mdat":
                fragments.append((data[begin:end], pictures))
    return data[:init_end], fragments


def _pictures(data: bytes, begin: int, end: int) -> int:
    count = 0
    for kind, start, stop in _boxes(data, begin, end):
        if kind != b"traf":
            continue
        inside = list(_boxes(data, start + 8, stop))
        header = next(at for name, at, _ in inside if name == b"tfhd")
        if int.from_bytes(data[header + 12 : header + 16]) == _VIDEO_TRACK:
            count += sum(int.from_bytes(data[at + 12 : at + 16]) for name, at, _ in inside if name == b"trun")
    return count


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of each box; libav writes none that needs 64 bits here."""
    while begin < end:
        size = int.from_bytes(data[begin : begin + 4])
        assert size >= 8, "libav wrote it"
        yield data[begin + 4 : begin + 8], begin, begin + size
        begin += size
