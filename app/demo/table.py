"""The live view: who brings which segment, how the sources are, and the figures so far.

`render` makes a screen out of a `View` and draws nothing itself; it fits 100
columns and 30 lines.  `LiveTable` keeps it on a terminal, four times a second.
`PlainLog` writes a line for each thing that happened where there is no terminal,
without any control code.  Both take views, so the caller need not know which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shoal.balancer.report import SegmentStory, SessionReport, SourceState

from .figures import offload_of
from .pieces import cells_of, clean, marks_of, notes_on, pieces_of, seconds_of

__all__ = ["LiveTable", "PlainLog", "View", "colours_of", "open_view", "render"]

CDN_COLOURS = ("bright_blue", "cyan", "blue", "bright_cyan")
PEER_COLOURS = ("green", "yellow", "magenta", "bright_green", "bright_yellow", "bright_magenta")
STATE_STYLES = {
    "healthy": "green",
    "suspect": "yellow",
    "probation": "green",
    "open": "red",
    "banned": "bold red",
    "left": "dim",
    "new": "dim",
}

_BAR_CELLS = 24
_STATE_CELLS = max(map(len, STATE_STYLES))
_SOURCES_MAX = 9  # three CDNs, four peers and two to spare; more are summed up in a line
_LOG_LINES = 3
_FIXED_LINES = 9  # title, figures, two table heads with their rules, blank lines


@dataclass
class View:
    """What the screen shows: the phase, the session's report, and the player's last words."""

    phase: str = ""
    elapsed_s: float = 0.0
    report: SessionReport | None = None
    player: dict[str, Any] = field(default_factory=dict)


def colours_of(sources: Sequence[SourceState]) -> dict[str, str]:
    """A colour for each source: cool ones for CDNs, warm ones for peers."""
    colours: dict[str, str] = {}
    for prefix, palette in (("cdn:", CDN_COLOURS), ("peer:", PEER_COLOURS)):
        named = [source.name for source in sources if source.name.startswith(prefix)]
        colours |= {name: palette[number % len(palette)] for number, name in enumerate(named)}
    return colours


def render(view: View, *, height: int = 30) -> RenderableType:
    """One screen of at most `height` lines."""
    title = Text.assemble(("shoal ", "bold"), (f"{view.elapsed_s:5.1f} s  ", "dim"), clean(view.phase, 70))
    if view.player.get("position_s") is not None:
        title.append(f"  at {float(view.player['position_s']):.1f} s of the video", style="dim")
    report = view.report
    if report is None:
        return title
    marks, colours = marks_of(report.sources), colours_of(report.sources)
    log = [Text(clean(line, 98), style="dim", no_wrap=True) for line in report.log[-_LOG_LINES:]]
    source_lines = min(len(report.sources), _SOURCES_MAX + 1)
    rows_max = max(3, height - _FIXED_LINES - source_lines - len(log))
    return Group(
        title,
        _figures_line(view, report),
        _sources_table(report.sources, marks, colours),
        _segments_table(_last_media(report, rows_max), marks, colours),
        *log,
    )


def _figures_line(view: View, report: SessionReport) -> Text:
    player = view.player
    caught = sum(segment.polluted and segment.completed_us is not None for segment in report.segments)
    in_body = sum(segment.failed_over_in_body for segment in report.segments)
    startup = f"{player['startup_ms']:.0f} ms" if player.get("startup_ms") is not None else "-"
    rebuffer_s = float(player.get("rebuffer_s") or 0.0)
    pairs = [
        ("from peers", f"{offload_of(report):.0%}", "green"),
        ("buffer", f"{float(player.get('buffered_s') or 0.0):.1f} s", ""),
        ("rebuffer", f"{rebuffer_s:.1f} s", "bold red" if rebuffer_s else "green"),
        ("start-up", startup, ""),
        ("caught", str(caught), "magenta" if caught else ""),
        ("in-body failovers", str(in_body), "yellow" if in_body else ""),
    ]
    line = Text(no_wrap=True)
    for name, value, style in pairs:
        line.append(f"{name} ", style="dim").append(f"{value}  ", style=style)
    return line


def _sources_table(sources: Sequence[SourceState], marks: dict[str, str], colours: dict[str, str]) -> Table:
    table = _table()
    table.add_column("", width=1)
    table.add_column("source", width=22, no_wrap=True)
    table.add_column("state", width=_STATE_CELLS)
    for name in ("kB/s", "first byte", "kept MB", "wasted MB", "transfers", "errors"):
        table.add_column(name, justify="right", no_wrap=True)
    for source in sources[:_SOURCES_MAX]:
        rate, first = source.throughput_bytes_per_s, source.first_byte_us
        errors = " ".join(f"{clean(reason, 12)}:{count}" for reason, count in list(source.errors.items())[:2])
        table.add_row(
            Text(marks[source.name], style=colours.get(source.name, "")),
            Text(clean(source.name, 22), style=colours.get(source.name, "")),
            Text(clean(source.state, _STATE_CELLS), style=STATE_STYLES.get(source.state, "")),
            "-" if rate is None else f"{rate / 1000:.0f}",
            "-" if first is None else f"{first / 1000:.0f} ms",
            f"{source.used_bytes / 1e6:.2f}",
            f"{source.wasted_bytes / 1e6:.2f}",
            str(source.transfer_count),
            Text(errors or "0", style="red" if errors else "dim"),
        )
    if len(sources) > _SOURCES_MAX:
        table.add_row("", Text(f"and {len(sources) - _SOURCES_MAX} more", style="dim"))
    return table


def _segments_table(segments: Sequence[SegmentStory], marks: dict[str, str], colours: dict[str, str]) -> Table:
    table = _table()
    table.add_column("segment", min_width=14, max_width=14, no_wrap=True)
    table.add_column("brought by", min_width=_BAR_CELLS, no_wrap=True)
    table.add_column("kB", justify="right", min_width=5)
    table.add_column("ms", justify="right", min_width=6)
    table.add_column("verified", min_width=10)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for segment in segments:
        bar = Text()
        for mark, source in cells_of(segment, marks, _BAR_CELLS):
            bar.append(mark, style="bold red" if mark == "✗" else colours.get(source or "", "dim"))
        seconds = seconds_of(segment)
        notes = notes_on(segment)
        table.add_row(
            Text(clean(file_name(segment), 14)),
            bar,
            "-" if segment.byte_count is None else f"{segment.byte_count / 1000:.0f}",
            "-" if seconds is None else f"{seconds * 1000:.0f}",
            Text(clean(segment.verified, 10), style="green" if segment.verified in {"blocks", "segment"} else "dim"),
            Text(", ".join(notes), style="magenta" if segment.polluted else "yellow"),
        )
    return table


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), header_style="dim underline", pad_edge=False)


def _last_media(report: SessionReport, count: int) -> list[SegmentStory]:
    """The newest segments that anything was done for."""
    begun = [segment for segment in report.segments if segment.kind == "media" and segment.parts]
    begun.sort(key=lambda segment: (segment.number, segment.rendition))
    return begun[-count:]


def file_name(segment: SegmentStory) -> str:
    return segment.uri.partition("?")[0].rpartition("/")[2] or f"#{segment.number}"


class LiveTable:
    """The view on a terminal; `with LiveTable(console) as view: view.show(...)`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, view: View) -> None:
        self._live.update(render(view, height=self._console.height - 1), refresh=True)


class PlainLog:
    """The view as lines, each thing told once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase = ""
        self._completed: set[tuple[int, int]] = set()
        self._states: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, view: View) -> None:
        lines: list[str] = []
        if view.phase != self._phase:
            self._phase = view.phase
            lines.append(view.phase)
        if view.report is not None:
            lines += self._news(view.report)
        for line in lines:
            self._stream.write(f"{view.elapsed_s:6.1f} s  {clean(line, 160)}\n")
        if lines:
            self._stream.flush()

    def _news(self, report: SessionReport) -> list[str]:
        lines: list[str] = []
        for source in report.sources:
            before = self._states.get(source.name)
            if before != source.state:
                self._states[source.name] = source.state
                lines.append(f"{source.name} is {source.state}" + (f", was {before}" if before else ""))
        for segment in report.segments:
            key = (segment.rendition, segment.number)
            if segment.kind == "media" and segment.completed_us is not None and key not in self._completed:
                self._completed.add(key)
                lines.append(_told(segment))
        return lines


def _told(segment: SegmentStory) -> str:
    """A completed segment in one line."""
    shares: dict[str, int] = {}
    for piece in pieces_of(segment):
        if piece.source is not None:
            shares[piece.source] = shares.get(piece.source, 0) + piece.end_byte - piece.first_byte
    total = sum(shares.values()) or 1
    told = " + ".join(f"{source} {count / total:.0%}" for source, count in shares.items())
    took_ms = (seconds_of(segment) or 0.0) * 1000
    line = f"{file_name(segment)}: {(segment.byte_count or total) / 1000:.0f} kB in {took_ms:.0f} ms"
    return "; ".join([f"{line} from {told or 'nobody'}, verified by {segment.verified}", *notes_on(segment)])


def open_view(stream: TextIO) -> LiveTable | PlainLog:
    """The table where `stream` is a terminal, else lines."""
    console = Console(file=stream)
    return LiveTable(console) if console.is_terminal and not console.is_dumb_terminal else PlainLog(stream)
