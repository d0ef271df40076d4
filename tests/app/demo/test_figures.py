"""Figures and verdict follow from what session, player and judge say, and from nothing else."""

import msgspec
import pytest

from shoal.app.demo.figures import BUSY_LOOP_MS, Figures, doubt_about, figures_of, offload_of, verdict_on
from shoal.balancer.report import SegmentStory, SessionReport, SourceState

GOOD_PLAYER = {"ok": True, "startup_ms": 210.5, "rebuffer_s": 0.0, "frames": 900, "errors": []}
GOOD_JUDGE = {"ok": True, "wrong_bytes": 0, "wrong": [], "bytes_compared": 7_000_000, "unknown": []}


def segment(number: int, **story) -> SegmentStory:
    return SegmentStory(rendition=0, kind="media", number=number, uri=f"hd_{number:03d}.m4s", **story)


def good_report() -> SessionReport:
    return SessionReport(
        url="http://x/index.m3u8",
        segments=[
            segment(0, completed_us=1),
            segment(1, completed_us=2, polluted=True, failed_over=True, failed_over_in_body=True),
            segment(2, completed_us=3, failed_over=True),
            segment(3),
        ],
        sources=[
            SourceState(name="cdn:good", used_bytes=300, wasted_bytes=5),
            SourceState(name="cdn:slow"),
            SourceState(name="peer:a", used_bytes=600, wasted_bytes=7),
            SourceState(name="peer:b", used_bytes=100),
        ],
        loop_delay_p99_us=1500,
    )


def good_figures(**changes) -> Figures:
    return msgspec.structs.replace(figures_of(good_report(), GOOD_PLAYER, GOOD_JUDGE), **changes)


def test_figures_of_a_good_run():
    assert figures_of(good_report(), GOOD_PLAYER, GOOD_JUDGE) == Figures(
        startup_ms=210.5,
        rebuffer_s=0.0,
        p2p_offload=0.7,
        bytes_by_source={"cdn:good": 300, "peer:a": 600, "peer:b": 100},
        wasted_bytes=12,
        failed_over_segments=2,
        failed_over_in_body=1,
        polluted_segments_caught=1,
        segments_completed=3,
        frames=900,
        wrong_bytes=0,
        bytes_compared=7_000_000,
        loop_delay_p99_ms=1.5,
    )
    assert verdict_on(good_figures(), GOOD_PLAYER, GOOD_JUDGE) == []


FAILURES = [
    ({"rebuffer_s": 0.15}, {}, {}, "stood still for 0.15 s"),
    ({"wrong_bytes": 3}, {}, {"wrong": ["/a.m4s: 3 bytes differ"]}, "3 wrong bytes reached the player: /a.m4s"),
    ({"wrong_bytes": None}, {}, {}, "nothing to compare"),
    ({"polluted_segments_caught": 0}, {}, {}, "no polluted segment"),
    ({"failed_over_in_body": 0}, {}, {}, "inside its body"),
    ({"p2p_offload": 0.4999}, {}, {}, "peers gave 49.99% of the bytes"),
    ({}, {"ok": False, "errors": ["warning", "only 3.00 s of 36.00 s were decoded"]}, {}, "only 3.00 s of 36.00 s"),
    ({}, {"ok": False, "errors": []}, {}, "did not say why"),
    ({}, {}, {"overflowed": True}, "could not read everything"),
    ({}, {}, {"unreadable": 1}, "could not read everything"),
    ({}, {}, {"unknown": ["/c.m4s"]}, "no original to compare with: /c.m4s"),
]


@pytest.mark.parametrize(("figures", "player", "judge", "words"), FAILURES, ids=[words for *_, words in FAILURES])
def test_one_thing_wrong_fails_the_run_and_is_said_in_words(figures, player, judge, words):
    failed = verdict_on(good_figures(**figures), GOOD_PLAYER | player, GOOD_JUDGE | judge)
    assert len(failed) == 1
    assert words in failed[0]


def test_a_run_in_which_nobody_said_anything_fails_without_an_exception():
    figures = figures_of(SessionReport(url=""), {}, {})
    assert figures.wrong_bytes is None
    assert len(verdict_on(figures, {}, {})) == 5


def test_a_polluted_segment_that_never_completed_was_not_caught():
    report = SessionReport(url="", segments=[segment(0, polluted=True)])
    assert figures_of(report, {}, {}).polluted_segments_caught == 0


def test_offload_is_the_share_of_peers_and_zero_before_anything_came():
    assert offload_of(good_report()) == 0.7
    assert offload_of(SessionReport(url="")) == 0.0


def test_exactly_half_from_peers_is_enough():
    assert verdict_on(good_figures(p2p_offload=0.5), GOOD_PLAYER, GOOD_JUDGE) == []


def test_on_a_busy_machine_what_did_not_hold_is_doubted_and_not_forgiven():
    busy = good_figures(loop_delay_p99_ms=163.8, rebuffer_s=0.11)
    assert verdict_on(busy, GOOD_PLAYER, GOOD_JUDGE) == ["playback stood still for 0.11 s"]
    assert "waited 164 ms or more" in doubt_about(busy)
    assert doubt_about(good_figures(loop_delay_p99_ms=BUSY_LOOP_MS - 0.1)) == ""
