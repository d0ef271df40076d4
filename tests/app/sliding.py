"""An origin that has a stream of shapes.py on air: its manifests name what is over by now, and forget what is old."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

from shoal.app.demo.origin import File, Origin

from .manifests import with_clock

__all__ = ["SlidingOrigin"]

_HELD = 8  # segments in a playlist
_ROW = re.compile(r"#EXTINF:([\d.]+),.*\n.+\n")
_TIMELINE = re.compile(r'(?s)(<SegmentTemplate timescale="(\d+)"[^>]*>\s*<SegmentTimeline>)(.*?)(?=</SegmentTimeline>)')
_LINE = re.compile(r'<S (?:t="(\d+)" )?d="(\d+)"(?: r="(\d+)")? />')


class SlidingOrigin(Origin):
    """On air from `begin` on; with `ends_s` it is over then, and its manifests say so."""

    def __init__(self, root: Path, *, ends_s: float | None = None, **more: Any) -> None:
        super().__init__(root, **more)
        self._began_s = 0.0
        self._ends_s = ends_s

    def begin(self, *, before_s: float) -> None:
        """As if that long ago."""
        self._began_s = time.time() - before_s

    def _find(self, path: str) -> File | None:
        found = super()._find(path)
        if found is None or not path.endswith((".m3u8", ".mpd")):
            return found
        text, now_s = found.data.decode(), time.time() - self._began_s
        data = self._mpd(text, now_s) if path.endswith(".mpd") else self._playlist(text, now_s).encode()
        return File(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')

    def _playlist(self, text: str, now_s: float) -> str:
        rows = list(_ROW.finditer(text))
        if not rows:  # the multivariant one
            return text
        ends_s = accumulate(float(row[1]) for row in rows)
        over = [row[0] for row, end_s in zip(rows, ends_s, strict=True) if end_s <= now_s]
        head = text[: rows[0].start()].replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
        head = head.replace("MEDIA-SEQUENCE:0", f"MEDIA-SEQUENCE:{max(0, len(over) - _HELD)}")
        end = "#EXT-X-ENDLIST\n" if self._is_over(now_s) else ""
        return head + "".join(over[-_HELD:]) + end

    def _is_over(self, now_s: float) -> bool:
        return self._ends_s is not None and now_s >= self._ends_s

    def _mpd(self, text: str, now_s: float) -> bytes:
        began = dt.datetime.fromtimestamp(self._began_s, dt.UTC).isoformat(timespec="milliseconds")
        live = (
            f'type="dynamic" availabilityStartTime="{began}" publishTime="{began}" minimumUpdatePeriod="PT1S" '
            f'timeShiftBufferDepth="PT{_HELD}S" suggestedPresentationDelay="PT3S"'
        )
        if self._is_over(now_s):
            over = f'type="static" availabilityStartTime="{began}" publishTime="{began}"'
            text = text.replace('type="static"', over, 1)
        else:
            text = re.sub(r'type="static"\s+mediaPresentationDuration="[^"]*"', live, text)
        text = _TIMELINE.sub(lambda found: found[1] + "".join(_over(found, now_s)[-_HELD:]), text)
        if self._is_over(now_s):
            return text.encode()
        return with_clock(text.encode(), "direct", dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"))


def _over(timeline: re.Match[str], now_s: float) -> list[str]:
    timescale, at, rows = int(timeline[2]), 0, []
    for begin, duration, repeats in _LINE.findall(timeline[3]):
        at = int(begin or at)
        for _ in range(int(repeats or 0) + 1):
            rows.append((at + int(duration), f'<S t="{at}" d="{duration}"/>'))
            at += int(duration)
    return [row for end, row in rows if end <= now_s * timescale]
