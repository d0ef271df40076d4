"""A playlist of 20,000 segments: time and memory, against m3u8 and openm3u8 in the same run.

Plain; each with a date; each with a byte range and a date, and a key and a discontinuity now and then; and of low
latency, whose last segments have parts.  What no server writes is printed beside them and has no bound: a key of its
own and a discontinuity for each segment, or parts.

CPU time of the fastest of some rounds, all three in each round.  Ours is asked for
every URI and duration as well, since it makes its values only then.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from harness import Claim

from shoal.balancer.formats.hls import Limits, MediaPlaylist, parse

SEGMENTS = 20_000
URL = "https://cdn.example/v/main.m3u8"
PLAIN = "#EXTINF:6.00000,\nsegment_{0:05}.m4s\n"
DATED = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{1:02}Z\n" + PLAIN
EVERY = 100  # segments with one key, as an encoder rotates them, or between two discontinuities
WITH_PARTS = 12  # last segments: of a server that lists the parts of three target durations, and of short segments
UNUSUAL = 2_000  # m3u8 takes half a minute for 20,000 keys

RANGE = "#EXTINF:6.00000,\n#EXT-X-BYTERANGE:100000@{0}00000\nmain.m4s\n"
DATE_AND_RANGE = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{1:02}Z\n" + RANGE
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="key_{0:05}.bin",IV=0x{0:032x}\n'
PARTS = (
    '#EXT-X-PART:DURATION=3,URI="part_{0:05}.0.m4s",INDEPENDENT=YES\n#EXT-X-PART:DURATION=3,URI="part_{0:05}.1.m4s"\n'
)


def with_tags(number: int) -> str:
    said = (KEY if number % EVERY == 0 else "") + ("#EXT-X-DISCONTINUITY\n" if number % EVERY == EVERY // 2 else "")
    return said + DATE_AND_RANGE


ROWS: dict[str, Callable[[int], str]] = {
    "plain": lambda _: PLAIN,
    "dated": lambda _: DATED,
    "with keys, ranges, discontinuities and dates": with_tags,
    "with parts": lambda number: (PARTS if number >= SEGMENTS - WITH_PARTS else "") + PLAIN,
}
HEAVY = {"with keys, ranges, discontinuities and dates"}  # its text alone is a tenth of what m3u8 makes of it
UNUSUAL_ROWS: dict[str, Callable[[int], str]] = {
    "each with key, range, discontinuity and date": lambda _: "#EXT-X-DISCONTINUITY\n" + KEY + DATE_AND_RANGE,
    "each with parts": lambda _: PARTS + PLAIN,
}
LIMITS = Limits(playlist_bytes_max=4 << 20)  # twice as much as else: the tags are longer than the segments


def text(row: Callable[[int], str], count: int) -> str:
    rows = "".join(row(number).format(number, number % 60) for number in range(count))
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
    for name, row in ROWS.items():
        times, peaks = measured(f"{SEGMENTS:,} segments, {name}", text(row, SEGMENTS), rounds)
        what = f"parse 20,000 {name}"
        found += [
            Claim(f"{what}, of m3u8's speed", _ratio(times, "m3u8", "ours"), 5, at_least=True, unit="x"),
            Claim(f"{what}, of openm3u8's speed", _ratio(times, "openm3u8", "ours"), 2, at_least=True, unit="x"),
            Claim(f"{what} and read each, of m3u8's", _ratio(times, "m3u8", "visited"), 5, at_least=True, unit="x"),
            Claim(
                f"{what} and read each, of openm3u8's", _ratio(times, "openm3u8", "visited"), 2, at_least=True, unit="x"
            ),
        ]
        if name not in HEAVY:
            memory = _ratio(peaks, "ours", "m3u8")
            found.append(Claim(f"{what}, peak memory, of m3u8's", memory, 0.1, at_least=False, unit="x"))
    for name, row in UNUSUAL_ROWS.items():
        measured(f"{UNUSUAL:,} segments, {name}", text(row, UNUSUAL), rounds)
    return found


def measured(what: str, played: str, rounds: int) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and bytes of each, ours and those that are installed."""
    data = played.encode()
    works: dict[str, Callable[[], Any] | None] = {
        "ours": lambda: parse(data, URL, limits=LIMITS),
        "visited": lambda: visited(parse(data, URL, limits=LIMITS)),
        "m3u8": _peer("m3u8", played),
        "openm3u8": _peer("openm3u8", played),
    }
    there = {work: run for work, run in works.items() if run is not None}
    taken = [{work: cpu_s(run) for work, run in there.items()} for _ in range(rounds)]
    times = {work: min(each[work] for each in taken) for work in there}
    peaks = {work: peak_bytes(run) for work, run in there.items()}
    shown = ", ".join(f"{work} {1000 * times[work]:.1f} ms {peaks[work] / 1e6:.1f} MB" for work in times)
    print(f"{what}: {shown}")
    return times, peaks


def _peer(package: str, played: str) -> Callable[[], Any] | None:
    try:
        module = __import__(package)
    except ImportError:
        return None
    return lambda: module.loads(played, uri=URL)


def _ratio(figures: dict[str, Any], over: str, under: str) -> float | None:
    return figures[over] / figures[under] if over in figures and under in figures else None
