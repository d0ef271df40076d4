"""What a live playlist costs each time it is loaded again: the same news, in a window ten times as long.

Read, numbered, named and rewritten, as the playlist actor does it; CPU time of the fastest round.
"""

from __future__ import annotations

import time

from harness import Claim

from shoal.balancer.formats.hls import Load, Reload

URL = "https://cdn.example/v/main.m3u8"
WINDOWS = (100, 1000)
SEGMENT_S = 6
ROWS = {
    "plain": "#EXTINF:6.0,\nsegment_{0:07}.m4s\n",
    "dated": "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{1:02}Z\n#EXTINF:6.0,\nsegment_{0:07}.m4s\n",
}
BOUNDS = {"plain": 2.0, "dated": 3.0}  # a playlist twice as long for the same segments is compared and copied
RELOADS = 20  # one new segment in each


def window(first: int, count: int, row: str) -> bytes:
    rows = "".join(row.format(number, number % 60) for number in range(first, first + count))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{first}\n{rows}".encode()


def reload_s(count: int, row: str) -> float:
    """CPU time of one reload."""
    reload = Reload(0, lambda segment: f"/media/0/{segment.key.number}/x")
    loads = [window(first, count, row) for first in range(RELOADS + 1)]
    begin = 0.0
    for number, data in enumerate(loads):
        if number == 1:
            begin = time.process_time()
        loaded = reload.read(data, URL)
        assert isinstance(loaded, Load)
        update = reload.take(loaded)
        assert len(update.resources.media) == count
    return (time.process_time() - begin) / RELOADS


def claims(rounds: int) -> list[Claim]:
    found: list[Claim] = []
    for name, row in ROWS.items():
        short, long = (min(reload_s(count, row) for _ in range(rounds)) for count in WINDOWS)
        print(
            f"a reload with one new segment, {name}: window of {WINDOWS[0]} {short * 1e6:.0f} us, "
            f"{WINDOWS[1]} {long * 1e6:.0f} us"
        )
        what = f"live reload, {name}, window of 1,000 to one of 100"
        found += [
            Claim(what, long / short, BOUNDS[name], at_least=False, unit="x"),
            Claim(
                f"the same of 1,000, of a segment's {SEGMENT_S} s",
                100 * long / SEGMENT_S,
                0.5,
                at_least=False,
                unit="%",
            ),
        ]
    return found
