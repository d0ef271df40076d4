"""What a live playlist costs each time it is loaded again: the same news, in a window ten times as long.

Parse, catalogue and rewrite, as the playlist actor does; CPU time of the fastest round.
"""

from __future__ import annotations

import time
from functools import partial

from harness import Claim

from shoal.balancer.formats.hls import Catalogue, MediaPlaylist, UriKind, parse, rewrite
from shoal.balancer.model import ByteRange

URL = "https://cdn.example/v/main.m3u8"
WINDOWS = (100, 1000)
RELOADS = 20  # one new segment in each


def window(first: int, count: int) -> bytes:
    rows = "".join(f"#EXTINF:6.0,\nsegment_{number:07}.m4s\n" for number in range(first, first + count))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{first}\n{rows}".encode()


def reload_s(count: int) -> float:
    """CPU time of one reload."""
    catalogue = Catalogue(0)
    loads = [window(first, count) for first in range(RELOADS + 1)]
    begin = 0.0
    for number, data in enumerate(loads):
        if number == 1:
            begin = time.process_time()
        playlist = parse(data, URL)
        assert isinstance(playlist, MediaPlaylist)
        paths = {segment.uri: f"/media/0/{segment.key.number}/x" for segment in catalogue.update(playlist).media}
        rewrite(playlist, partial(_name, paths))
    return (time.process_time() - begin) / RELOADS


def _name(paths: dict[str, str], _kind: UriKind, uri: str, _part: ByteRange | None) -> str:
    return paths[uri]


def claims(rounds: int) -> list[Claim]:
    short, long = (min(reload_s(count) for _ in range(rounds)) for count in WINDOWS)
    print(
        f"a reload with one new segment: window of {WINDOWS[0]} {short * 1e3:.2f} ms, {WINDOWS[1]} {long * 1e3:.2f} ms"
    )
    return [
        Claim("live reload, window of 1,000 to one of 100", long / short, 2, at_least=False, unit="x"),
        Claim("live reload of 1,000, of one segment's 6 s", 100 * long / 6, 0.5, at_least=False, unit="%"),
    ]
