"""What a live playlist costs each time it is loaded again: the same news, in a window ten times as long.

Read, numbered, named and rewritten, as the playlist actor does it; CPU time of the fastest round.  One kind of window
for each kind of tag that stands between segments, one with all of them, and one of low latency, which is loaded again
with each part.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harness import Claim

from shoal.balancer.formats import dash
from shoal.balancer.formats.hls import Load, Reload

URL = "https://cdn.example/v/main.m3u8"
WINDOWS = (100, 1000)
SEGMENT_S = 6
BOUND, PLAIN_BOUND = 3.0, 2.0  # a playlist ten times as long is compared and copied
RELOADS = 20  # one new segment in each, or a part
PARTS = 4  # of a segment
WITH_PARTS = 3  # of the last segments

KEY = '#EXT-X-KEY:METHOD=AES-128,URI="key{}",IV=0x{:032x}\n'
EXTINF = "#EXTINF:6.0,\n"


def plain(number: int) -> str:
    return f"{EXTINF}segment_{number:07}.m4s\n"


def dated(number: int) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n{plain(number)}"


def keyed(number: int) -> str:
    return KEY.format(number // 10, number) + plain(number)


def keyed_anew(number: int) -> str:
    return KEY.format(number, number) + plain(number)


def broken(number: int) -> str:
    return f"#EXT-X-DISCONTINUITY\n{plain(number)}"


def ranged(number: int) -> str:
    return f"{EXTINF}#EXT-X-BYTERANGE:100000@{100_000 * number}\nfile.m4s\n"


def everything(number: int) -> str:
    date = f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n"
    return f"#EXT-X-DISCONTINUITY\n{KEY.format(number // 10, number)}{date}{ranged(number)}"


ROWS = {
    "plain": plain,
    "dated": dated,
    "a key each 10": keyed,
    "a key each": keyed_anew,
    "discontinuities": broken,
    "byte ranges": ranged,
    "all of these": everything,
}


def window(first: int, count: int, row: Callable[[int], str]) -> bytes:
    rows = "".join(map(row, range(first, first + count)))
    passed = "".join(map(row, range(first))).count("#EXT-X-DISCONTINUITY\n")
    head = f"#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{passed}\n"
    return f'#EXTM3U\n#EXT-X-TARGETDURATION:6\n{head}#EXT-X-MAP:URI="init.mp4"\n{rows}'.encode()


def low_latency(step: int, count: int, skipped: int = 0) -> bytes:
    """A window of `count` segments, after `step` parts have come."""
    first, parts = divmod(step, PARTS)
    end = first + count

    def part(number: int, place: int) -> str:
        return f'#EXT-X-PART:DURATION=1.5,URI="part_{number:07}.{place}.m4s"\n'

    rows = [
        "".join(part(number, place) for place in range(PARTS) if number >= end - WITH_PARTS) + plain(number)
        for number in range(first + skipped, end)
    ]
    rows += [part(end, place) for place in range(parts)]
    control = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=36,PART-HOLD-BACK=4.5\n"
    head = f"#EXT-X-TARGETDURATION:6\n#EXT-X-PART-INF:PART-TARGET=1.5\n{control}#EXT-X-MEDIA-SEQUENCE:{first}\n"
    said = f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n" if skipped else '#EXT-X-MAP:URI="init.mp4"\n'
    hint = f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_{end:07}.{parts}.m4s"\n'
    return f"#EXTM3U\n#EXT-X-VERSION:9\n{head}{said}{''.join(rows)}{hint}".encode()


def loads_of(kind: str, count: int) -> list[bytes]:
    if kind == "parts":
        return [low_latency(step, count) for step in range(RELOADS + 1)]
    if kind == "parts, by delta updates":
        return [low_latency(step, count, max(0, count - 10) if step else 0) for step in range(RELOADS + 1)]
    return [window(first, count, ROWS[kind]) for first in range(RELOADS + 1)]


def reload_s(count: int, kind: str) -> float:
    """CPU time of one reload."""
    reload = Reload(0, lambda segment: f"/{segment.key.kind}/0/{segment.key.number}/x")
    loads = loads_of(kind, count)
    begin, before = 0.0, None
    for number, data in enumerate(loads):
        if number == 1:
            begin = time.process_time()
        loaded = reload.read(data, URL, before=before)
        assert isinstance(loaded, Load)
        update = reload.take(loaded)
        assert len(update.resources.media) == count
        before = loaded
    return (time.process_time() - begin) / RELOADS


def claims(rounds: int) -> list[Claim]:
    found: list[Claim] = []
    for kind in (*ROWS, "parts", "parts, by delta updates"):
        short, long = (min(reload_s(count, kind) for _ in range(rounds)) for count in WINDOWS)
        news = "part" if kind.startswith("parts") else "segment"
        print(
            f"a reload with one new {news}, {kind}: window of {WINDOWS[0]} {short * 1e6:.0f} us, "
            f"{WINDOWS[1]} {long * 1e6:.0f} us"
        )
        what = f"live reload, {kind}, window of 1,000"
        found += [
            Claim(
                f"{what} to one of 100",
                long / short,
                PLAIN_BOUND if kind == "plain" else BOUND,
                at_least=False,
                unit="x",
            ),
            Claim(f"{what}, of a segment's {SEGMENT_S} s", 100 * long / SEGMENT_S, 0.5, at_least=False, unit="%"),
        ]
    short, long = (min(reload_mpd_s(count) for _ in range(rounds)) for count in WINDOWS)
    print(
        f"a reload of an MPD whose timelines list each segment, which has no bound: window of {WINDOWS[0]} "
        f"{short * 1e3:.1f} ms, {WINDOWS[1]} {long * 1e3:.1f} ms"
    )
    return found


def mpd(first: int, count: int) -> bytes:
    """Four representations, two timelines that list each segment."""
    rows = "".join(f'<S t="{540_000 * number}" d="{540_000 - number % 2}"/>' for number in range(first, first + count))

    def adaptation_set(kind: str, renditions: int) -> str:
        shown = "".join(f'<Representation id="{kind}{n}" bandwidth="{n + 1}00000"/>' for n in range(renditions))
        template = 'timescale="90000" media="$RepresentationID$/$Time$.m4s" initialization="$RepresentationID$/i.mp4"'
        timeline = f"<SegmentTemplate {template}><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>"
        return f'<AdaptationSet contentType="{kind}" mimeType="{kind}/mp4">{timeline}{shown}</AdaptationSet>'

    return (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" '
        f'minimumUpdatePeriod="PT6S" publishTime="1970-01-01T00:00:00Z" timeShiftBufferDepth="PT{6 * count}S">'
        f'<Period start="PT0S">{adaptation_set("video", 3)}{adaptation_set("audio", 1)}</Period></MPD>'
    ).encode()


def reload_mpd_s(count: int) -> float:
    """CPU time of one reload, with the lists of the two renditions that are played."""
    catalogue = dash.Catalogue()
    loads = [mpd(first, count) for first in range(6)]
    begin = 0.0
    for number, data in enumerate(loads):
        if number == 1:
            begin = time.process_time()
        read = dash.parse(data, "https://cdn.example/v/main.mpd")
        catalogue.update(read)
        dash.rewrite(read, lambda one: f"/dash/{one.id}/x")
        for rendition in (0, 3):
            assert len(catalogue.resources(rendition, 10**15).media) == count
    return (time.process_time() - begin) / (len(loads) - 1)
