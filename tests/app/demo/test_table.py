"""The live view fits its screen, tells each thing once as lines, and lets no control code through."""

import io

import pytest
from rich.console import Console

from shoal.app.demo.table import LiveTable, PlainLog, View, open_view, render
from shoal.balancer.report import SessionReport

from .stories import HOSTILE, part, polluted_and_failed_over, report_of, segment


def screen(view: View, *, width: int = 100, height: int = 30) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=False)
    console.print(render(view, height=height))
    return console.file.getvalue().splitlines()


def full_report() -> SessionReport:
    many = [segment(n, part("cdn:good", 0, 9), byte_count=9, completed_us=5) for n in range(40)]
    sources = ("cdn:good", "cdn:slow", "cdn:flaky", *(f"peer:{n}" for n in range(12)))
    return report_of(*many, polluted_and_failed_over(), sources=sources, log=["x" * 300] * 9)


@pytest.mark.parametrize("height", [24, 30, 50])
def test_a_full_session_fits_the_screen(height):
    lines = screen(View(phase="playing", report=full_report()), height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= 100


def test_the_newest_segments_are_shown_with_who_brought_what():
    lines = screen(View(report=report_of(segment(0), polluted_and_failed_over())))
    row = next(line for line in lines if "hd_001.m4s" in line)
    assert "aaaaaaAAAAAAAAAAAAAAAAAA" in row
    assert "wrong bytes caught, went on" in row
    assert "blocks" in row
    assert not any("hd_000" in line for line in lines)


def test_before_the_first_report_there_is_a_line_about_the_phase():
    assert screen(View(phase="making the stream")) == ["shoal   0.0 s  making the stream"]


def test_a_hostile_name_cannot_reach_the_terminal():
    hostile = report_of(segment(0, part(HOSTILE, 0, 9), uri=HOSTILE, error=HOSTILE), sources=(HOSTILE,), log=[HOSTILE])
    text = "\n".join(screen(View(phase=HOSTILE, report=hostile)))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_without_a_terminal_each_thing_is_told_once_in_plain_lines():
    stream = io.StringIO()
    view = open_view(stream)
    assert isinstance(view, PlainLog)
    with view:
        for _ in range(3):
            view.show(View(phase="playing", elapsed_s=1.0, report=report_of(segment(0), polluted_and_failed_over())))
        view.show(View(phase="done", elapsed_s=2.0))
    told = (
        "hd_001.m4s: 0 kB in 400 ms from peer:x 25% + cdn:good 75%, verified by blocks; "
        "wrong bytes caught; went on elsewhere in its body"
    )
    assert stream.getvalue().splitlines() == [
        "   1.0 s  playing",
        "   1.0 s  cdn:good is healthy",
        "   1.0 s  peer:x is healthy",
        f"   1.0 s  {told}",
        "   2.0 s  done",
    ]


def test_on_a_terminal_the_table_is_drawn():
    stream = io.StringIO()
    with LiveTable(Console(file=stream, force_terminal=True, width=100, height=30)) as view:
        view.show(View(phase="playing", report=full_report()))
    assert "hd_039.m4s" in stream.getvalue()


def test_all_figures_are_on_the_screen_with_their_widest_values():
    player = {"startup_ms": 12345.6, "position_s": 1234.5, "buffered_s": 12.0, "rebuffer_s": 123.4}
    lines = screen(View(phase="playing", report=full_report(), player=player))
    assert "at 1234.5 s of the video" in lines[0]
    assert lines[1].rstrip().endswith("caught 1  in-body failovers 1")


def test_the_longest_state_is_shown_whole():
    report = full_report()
    report.sources[1].state = "probation"
    assert any(" probation " in line for line in screen(View(phase="playing", report=report)))
