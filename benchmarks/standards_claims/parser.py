"""A playlist of 20,000 segments, plain or each with a date: time and memory, against m3u8 and openm3u8 in the same run.

CPU time of the fastest of some rounds, all three in each round.  Ours is asked for
every URI and duration as well, since it makes its values only then.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from harness import Claim

from shoal.balancer.formats.hls import MediaPlaylist, parse

SEGMENTS = 20_000
URL = "https://cdn.example/v/main.m3u8"
PLAIN = "#EXTINF:6.00000,\nsegment_{0:05}.m4s\n"
DATED = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{1:02}Z\n" + PLAIN


def text(row: str) -> str:
    rows = "".join(row.format(number, number % 60) for number in range(SEGMENTS))
    return f'#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI="init.mp4"\n{rows}#EXT-X-ENDLIST\n'


def cpu_s(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    kept = work()
    taken = time.process_time() - begin
    del kept
    return taken


def peak_bytes(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    kept = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak


def visited(playlist: Any) -> int:
    assert isinstance(playlist, MediaPlaylist)
    return sum(segment.duration_us + len(segment.uri) for segment in playlist.segments)


def claims(rounds: int) -> list[Claim]:
    found: list[Claim] = []
    for name, row in (("plain", PLAIN), ("dated", DATED)):
        played = text(row)
        data = played.encode()
        works: dict[str, Callable[[], Any] | None] = {
            "ours": lambda data=data: parse(data, URL),
            "visited": lambda data=data: visited(parse(data, URL)),
            "m3u8": _peer("m3u8", played),
            "openm3u8": _peer("openm3u8", played),
        }
        there = {work: run for work, run in works.items() if run is not None}
        taken = [{work: cpu_s(run) for work, run in there.items()} for _ in range(rounds)]
        times = {work: min(each[work] for each in taken) for work in there}
        peaks = {work: peak_bytes(run) for work, run in there.items()}
        shown = ", ".join(f"{work} {1000 * times[work]:.1f} ms {peaks[work] / 1e6:.1f} MB" for work in times)
        print(f"{SEGMENTS:,} {name} segments: {shown}")
        what = f"parse 20,000 {name}"
        found += [
            Claim(f"{what}, of m3u8's speed", _ratio(times, "m3u8", "ours"), 5, at_least=True, unit="x"),
            Claim(f"{what}, of openm3u8's speed", _ratio(times, "openm3u8", "ours"), 2, at_least=True, unit="x"),
            Claim(f"{what} and read each, of m3u8's", _ratio(times, "m3u8", "visited"), 5, at_least=True, unit="x"),
            Claim(
                f"{what} and read each, of openm3u8's", _ratio(times, "openm3u8", "visited"), 2, at_least=True, unit="x"
            ),
            Claim(f"{what}, peak memory, of m3u8's", _ratio(peaks, "ours", "m3u8"), 0.1, at_least=False, unit="x"),
        ]
    return found


def _peer(package: str, played: str) -> Callable[[], Any] | None:
    try:
        module = __import__(package)
    except ImportError:
        return None
    return lambda: module.loads(played, uri=URL)


def _ratio(figures: dict[str, Any], over: str, under: str) -> float | None:
    return figures[over] / figures[under] if over in figures and under in figures else None
