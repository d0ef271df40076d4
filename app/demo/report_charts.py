"""Pictures of a session's report: data for the charts, and the timeline as SVG.

Pure functions.  Everything that came from elsewhere is escaped here.  Shapes have
classes and no style attributes, so that the page's policy may forbid those.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from shoal.balancer.report import PartStory, SegmentStory, SessionReport, SourceState

from .pieces import clean, is_blamed, pieces_of, seconds_of
from .table import file_name

__all__ = ["bar", "chart_data", "classes_of", "timeline"]

_SAMPLES_MAX = 400  # points of a line; more than pixels would show
_ROWS_MAX = 400  # lines of the timeline: a session of hours keeps its newest
_ROW_HEIGHT = 18
_LABEL_WIDTH = 110
_WIDTH = 1060
_CDN_CLASSES = ("c0", "c1", "c2", "c3")
_PEER_CLASSES = ("p0", "p1", "p2", "p3", "p4", "p5")


def classes_of(sources: Sequence[SourceState]) -> dict[str, str]:
    """The style class of each source; past the palette's end it begins again."""
    classes: dict[str, str] = {}
    for prefix, palette in (("cdn:", _CDN_CLASSES), ("peer:", _PEER_CLASSES)):
        named = [source.name for source in sources if source.name.startswith(prefix)]
        classes |= {name: palette[number % len(palette)] for number, name in enumerate(named)}
    return classes


def chart_data(report: SessionReport) -> dict[str, Any]:
    """Rows for both charts: bytes received by source at equal steps, and each segment's time."""
    classes = classes_of(report.sources)
    parts = [part for segment in report.segments for part in segment.parts]
    by_source: dict[str, list[PartStory]] = {source.name: [] for source in report.sources}
    for part in parts:
        by_source.setdefault(part.source, []).append(part)
    end_us = max([report.elapsed_us, *(part.ended_us or part.started_us for part in parts)])
    count = min(_SAMPLES_MAX, max(2, end_us // 100_000))
    times = [end_us * number // (count - 1) for number in range(count)] if parts else []
    finished = sorted(
        (segment for segment in report.segments if segment.kind == "media" and seconds_of(segment) is not None),
        key=lambda segment: (segment.number, segment.rendition),
    )
    newest = {segment.number: segment for segment in finished}  # of several renditions, one
    return {
        "seconds": [time / 1e6 for time in times],
        "sources": [
            {
                "name": clean(name),
                "colour": classes.get(name, "c0"),
                "megabytes": [round(sum(_received(part, time) for part in its_parts) / 1e6, 4) for time in times],
            }
            for name, its_parts in by_source.items()
            if its_parts
        ],
        "numbers": list(newest),
        "took_s": [seconds_of(segment) for segment in newest.values()],
        "plays_s": [segment.duration_us / 1e6 for segment in newest.values()],
    }


def timeline(report: SessionReport) -> str:
    """All transfers as bars over time, one line for each segment."""
    rows = [segment for segment in report.segments if segment.parts][-_ROWS_MAX:]
    if not rows:
        return "<p>Nothing was fetched.</p>"
    classes = classes_of(report.sources)
    begin_us = min(part.started_us for segment in rows for part in segment.parts)
    end_us = max(max(part.ended_us or part.started_us for part in segment.parts) for segment in rows)
    end_us = max(end_us, *(segment.completed_us or 0 for segment in rows), begin_us + 1)

    def x(time_us: int) -> float:
        share = (time_us - begin_us) / (end_us - begin_us)
        return round(_LABEL_WIDTH + share * (_WIDTH - _LABEL_WIDTH - 20), 1)

    height = len(rows) * _ROW_HEIGHT + 24
    out = [f'<svg width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img">']
    out.append("<title>transfers over time, a line for each segment</title>")
    step_us = _step_us(end_us - begin_us)
    for time_us in range(begin_us - begin_us % step_us + step_us, end_us + 1, step_us):
        out.append(f'<line class="grid" x1="{x(time_us)}" x2="{x(time_us)}" y1="0" y2="{height - 20}"/>')
        out.append(f'<text x="{x(time_us)}" y="{height - 6}" text-anchor="middle">{time_us / 1e6:g} s</text>')
    for number, segment in enumerate(rows):
        out.append(_row(segment, number * _ROW_HEIGHT, x, classes))
    out.append("</svg>")
    return "".join(out)


def bar(segment: SegmentStory, classes: dict[str, str], *, width: int = 200) -> str:
    """The segment's bytes from first to last, coloured by who brought them."""
    pieces = pieces_of(segment)
    total = pieces[-1].end_byte if pieces else 0
    out = [f'<svg class="bar" width="{width}" height="12" role="img"><title>who brought which bytes</title>']
    for piece in pieces:
        left, right = (round(edge * width / total, 1) for edge in (piece.first_byte, piece.end_byte))
        kind = "none" if piece.source is None else classes.get(piece.source, "none")
        label = escape(clean(piece.source or "nobody yet"))
        out.append(
            f'<rect class="{kind}" x="{left}" width="{round(right - left, 1)}" height="12">'
            f"<title>{label}: bytes {piece.first_byte} to {piece.end_byte - 1}</title></rect>"
        )
    return "".join([*out, "</svg>"])


def _received(part: PartStory, time_us: int) -> float:
    """Bytes that had come by then, as if they came evenly."""
    begin_us = part.first_byte_us if part.first_byte_us is not None else part.started_us
    if time_us <= begin_us:
        return 0.0
    if part.ended_us is None or time_us >= part.ended_us:
        return float(part.byte_count)
    return part.byte_count * (time_us - begin_us) / (part.ended_us - begin_us)


def _row(segment: SegmentStory, top: int, x: Any, classes: dict[str, str]) -> str:
    middle = top + _ROW_HEIGHT / 2
    out = [f'<text x="0" y="{middle + 4}">{escape(clean(file_name(segment), 16))}</text>']
    for part in segment.parts:
        left = x(part.started_us)
        right = x(part.ended_us) if part.ended_us is not None else left
        look = classes.get(part.source, "none")
        if is_blamed(part):
            look += " hollow"
        elif part.outcome in {"cancelled", "failed"}:
            look += " faint"
        told = f"{part.source}: {part.byte_count} bytes from {part.first_byte}, {part.outcome} {part.reason}"
        out.append(
            f'<rect class="{look}" x="{left}" y="{top + 4}" width="{max(1.5, round(right - left, 1))}" height="10">'
            f"<title>{escape(clean(told, 200))}</title></rect>"
        )
    if segment.requested_us is not None:
        at = x(segment.requested_us)
        out.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{top + 2}" y2="{top + 16}"/>')
    if segment.completed_us is not None:
        out.append(f'<circle class="done" cx="{x(segment.completed_us)}" cy="{middle}" r="2.5"/>')
    return "".join(out)


def _step_us(span_us: int) -> int:
    """Distance of the grid's lines: a round number of seconds that makes about ten of them."""
    for seconds in (1, 2, 5, 10, 30, 60, 300, 600, 1800):
        if span_us / (seconds * 1_000_000) <= 12:
            return seconds * 1_000_000
    return 3_600_000_000
