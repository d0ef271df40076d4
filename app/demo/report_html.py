"""The report: one self-contained page with the story of every segment, and the same as JSON.

The page works offline and asks nobody for anything: styles, scripts and the chart
library are inside, and its Content-Security-Policy allows exactly these, by hash,
and nothing else.  Whatever came from elsewhere (names, errors, reasons) is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from shoal.balancer.formats.cmsd import ServerData
from shoal.balancer.report import PartStory, SegmentStory, SessionReport

from .pieces import clean, notes_on, seconds_of
from .report_charts import bar, chart_data, classes_of, timeline
from .table import file_name

__all__ = ["page_of", "write_report"]

_LINES_MAX = 500  # of the log, and of what the player and the judge complain about
_FIGURES = (
    ("startup_ms", "start-up", "{:.0f} ms"),
    ("rebuffer_s", "rebuffering", "{:.2f} s"),
    ("p2p_offload", "from peers", "{:.1%}"),
    ("failed_over_segments", "failed over", "{}"),
    ("failed_over_in_body", "inside their body", "{}"),
    ("polluted_segments_caught", "polluted, caught", "{}"),
    ("wrong_bytes", "wrong bytes at the player", "{}"),
    ("bytes_compared", "bytes compared", "{:,}"),
    ("wasted_bytes", "bytes received in vain", "{:,}"),
    ("loop_delay_p99_ms", "loop delay, p99", "{:.1f} ms"),
)


def write_report(
    folder: Path,
    report: SessionReport,
    result: Mapping[str, Any],
    *,
    player: Mapping[str, Any],
    judge: Mapping[str, Any],
) -> None:
    """Write `report.json` and `report.html` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"result": result, "player": player, "judge": judge, "session": report}
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(everything), indent=1))
    page = page_of(report, result, player=player, judge=judge)
    (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")


def page_of(
    report: SessionReport, result: Mapping[str, Any], *, player: Mapping[str, Any], judge: Mapping[str, Any]
) -> str:
    """The whole page as text.  `result` has the figures by name, "ok" and "failed"."""
    styles = [_file("vendor", "uplot", "uPlot.min.css"), _file("page", "report.css")]
    scripts = [_file("vendor", "uplot", "uPlot.iife.min.js"), _file("page", "report.js")]
    failed = [str(reason) for reason in result.get("failed", [])]
    about = f"{report.url}, {report.elapsed_us / 1e6:.1f} s, hashes: {report.hashes}"
    # "<" as an escape, since the data stands inside a script element.
    data = json.dumps(chart_data(report)).replace("<", "\\u003c")
    return Template(_file("page", "report.html")).substitute(
        style_hashes=_hashes(styles),
        script_hashes=_hashes(scripts),
        library_style=styles[0],
        style=styles[1],
        library_script=scripts[0],
        script=scripts[1],
        data=data,
        verdict="Everything held." if result.get("ok") else "Not everything held.",
        verdict_class="good" if result.get("ok") else "bad",
        about=escape(clean(about, 300)),
        failed=_list(failed),
        figures=_figures(result),
        sources=_sources(report),
        timeline=timeline(report),
        segments=_segments(report),
        log=_moments(report, player, judge),
    )


def _file(*path: str) -> str:
    return resources.files("shoal.app.demo").joinpath(*path).read_text("utf-8").strip()


def _hashes(texts: Iterable[str]) -> str:
    """Sources of a Content-Security-Policy for inline elements of these texts (CSP Level 3, 2.3.1)."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _figures(result: Mapping[str, Any]) -> str:
    cards = []
    for key, name, form in _FIGURES:
        value = result.get(key)
        shown = "-" if value is None else form.format(value)
        cards.append(f"<div><dt>{escape(name)}</dt><dd>{escape(shown)}</dd></div>")
    return f"<dl>{''.join(cards)}</dl>"


def _sources(report: SessionReport) -> str:
    classes = classes_of(report.sources)
    rows = []
    for source in report.sources:
        rate, first = source.throughput_bytes_per_s, source.first_byte_us
        kind = classes.get(source.name, "none")
        swatch = f'<svg width="12" height="12" aria-hidden="true"><rect class="{kind}" width="12" height="12"/></svg> '
        errors = ", ".join(f"{reason} {count}" for reason, count in source.errors.items())
        rows.append(
            _row(
                swatch + _text(source.name),
                _text(source.state),
                "-" if rate is None else f"{rate / 1000:.0f}",
                "-" if first is None else f"{first / 1000:.0f}",
                f"{source.used_bytes / 1e6:.3f}",
                f"{source.wasted_bytes / 1e6:.3f}",
                f"{source.sent_bytes / 1e6:.3f}",
                str(source.transfer_count),
                _text(errors or "none", 200),
                _text(_said(source.cmsd), 200),
            )
        )
    head = ("source", "state", "kB/s", "first byte ms", "kept MB", "in vain MB", "sent MB", "transfers", "errors")
    return _table((*head, "its servers say"), rows)


def _said(data: ServerData | None) -> str:
    """In the words of CMSD: etp and mb are kbit/s, rtt and rd milliseconds, du is duress."""
    if data is None:
        return "nothing"
    values = [f"{key} {value}" for values in (data.dynamic, data.static) for key, value in values.items()]
    return " ".join([*([f"{data.server}:"] if data.server else []), ", ".join(values)])


def _segments(report: SessionReport) -> str:
    classes = classes_of(report.sources)
    head = ("segment", "brought by", "kB", "plays s", "took s", "verified", "what happened")
    return _table(head, [_segment(segment, classes) for segment in report.segments])


def _segment(segment: SegmentStory, classes: dict[str, str]) -> str:
    seconds = seconds_of(segment)
    notes = ", ".join(notes_on(segment))
    parts = _table(
        ("source", "from byte", "bytes", "start s", "first byte s", "end s", "outcome", "reason", "why this source"),
        [_part(part) for part in segment.parts],
    )
    title = f"{file_name(segment)} ({segment.kind} {segment.rendition}/{segment.number})"
    return _row(
        f"<details><summary>{_text(title, 80)}</summary>{parts}</details>",
        bar(segment, classes),
        "-" if segment.byte_count is None else f"{segment.byte_count / 1000:.1f}",
        f"{segment.duration_us / 1e6:.2f}",
        "-" if seconds is None else f"{seconds:.2f}",
        _text(segment.verified),
        f'<span class="caught">{_text(notes, 200)}</span>' if segment.polluted else _text(notes, 200),
    )


def _part(part: PartStory) -> str:
    return _row(
        _text(part.source),
        str(part.first_byte),
        str(part.byte_count),
        _seconds(part.started_us),
        _seconds(part.first_byte_us),
        _seconds(part.ended_us),
        _text(part.outcome),
        _text(part.reason, 200),
        _text(part.why, 200),
    )


def _moments(report: SessionReport, player: Mapping[str, Any], judge: Mapping[str, Any]) -> str:
    lines = [*report.log]
    lines += [f"dropped: {reason} {count}" for reason, count in report.dropped.items()]
    if (disk := report.store.disk) is not None:
        lines += [f"store on disk: {reason} {count}" for reason, count in disk.errors.items()]
        lines += [f"store on disk is {disk.state}: {disk.error}"] if disk.state != "ok" else []
    lines += [f"player: {error}" for error in player.get("errors", [])]
    lines += [f"judge: {line}" for line in [*judge.get("wrong", []), *judge.get("unknown", [])]]
    return _list(lines[-_LINES_MAX:]) or '<p class="quiet">None.</p>'


def _list(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(line, 400)}</li>' for line in lines)}</ul>" if lines else ""


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _row(*cells: str) -> str:
    """A row of cells that are HTML already."""
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _text(text: str, limit: int = 80) -> str:
    return escape(clean(text, limit))


def _seconds(time_us: int | None) -> str:
    return "-" if time_us is None else f"{time_us / 1e6:.3f}"
