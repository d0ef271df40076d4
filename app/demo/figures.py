"""Figures and verdict of a demo run, from what the session, the player and the judge each say.

Pure functions.  Figures about what the viewer saw come from the player and the
judge, who know nothing of shoal; figures about why come from the session's report.
The player's and the judge's words are the JSON objects of their last lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shoal.balancer.report import SegmentStory, SessionReport

__all__ = ["BUSY_LOOP_MS", "OFFLOAD_MIN", "Figures", "doubt_about", "figures_of", "offload_of", "verdict_on"]

# Four peers watch the same video some seconds ahead, so more than half is there to be had.
OFFLOAD_MIN = 0.5

# Two hundred turns of the runtime (250 us each): what holds the viewer's loop for longer is not the viewer alone.
BUSY_LOOP_MS = 50.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run in numbers."""

    startup_ms: float | None  # from opening the URL to the first decoded picture
    rebuffer_s: float  # the player's
    p2p_offload: float  # share of the verified media bytes that came from peers, 0 to 1
    bytes_by_source: dict[str, int]  # verified and kept
    wasted_bytes: int  # received and thrown away, or received twice
    failed_over_segments: int  # another source went on, for whatever reason and at whatever byte
    failed_over_in_body: int  # of these, where part of the body had come already
    polluted_segments_caught: int  # wrong bytes came, were thrown away and fetched again
    segments_completed: int
    frames: int
    wrong_bytes: int | None  # None: the judge saw nothing to compare
    bytes_compared: int
    loop_delay_p99_ms: float


def figures_of(report: SessionReport, player: Mapping[str, Any], judge: Mapping[str, Any]) -> Figures:
    """Put the three words together.  An empty mapping stands for somebody who said nothing."""
    compared = int(judge.get("bytes_compared") or 0)
    return Figures(
        startup_ms=player.get("startup_ms"),
        rebuffer_s=round(float(player.get("rebuffer_s") or 0.0), 3),
        p2p_offload=round(offload_of(report), 4),
        bytes_by_source={source.name: source.used_bytes for source in report.sources if source.used_bytes},
        wasted_bytes=sum(source.wasted_bytes for source in report.sources),
        failed_over_segments=_count(report, "failed_over"),
        failed_over_in_body=_count(report, "failed_over_in_body"),
        polluted_segments_caught=sum(_is_caught(segment) for segment in report.segments),
        segments_completed=sum(
            segment.kind == "media" and segment.completed_us is not None for segment in report.segments
        ),
        frames=int(player.get("frames") or 0),
        wrong_bytes=int(judge["wrong_bytes"]) if compared and "wrong_bytes" in judge else None,
        bytes_compared=compared,
        loop_delay_p99_ms=round(report.loop_delay_p99_us / 1000, 3),
    )


def offload_of(report: SessionReport) -> float:
    """Share of the verified bytes that came from peers; 0 when nothing came yet."""
    total = sum(source.used_bytes for source in report.sources)
    peers = sum(source.used_bytes for source in report.sources if source.name.startswith("peer:"))
    return peers / total if total else 0.0


def verdict_on(figures: Figures, player: Mapping[str, Any], judge: Mapping[str, Any]) -> list[str]:
    """What failed, in words; an empty list is success."""
    failed: list[str] = []
    if not player.get("ok"):
        errors = player.get("errors") or ["it did not say why"]
        failed.append(f"the player did not reach the end: {errors[-1]}")
    if figures.wrong_bytes is None:
        failed.append("the judge had nothing to compare")
    elif figures.wrong_bytes:
        where = "; ".join((judge.get("wrong") or ["?"])[:3])
        failed.append(f"{figures.wrong_bytes} wrong bytes reached the player: {where}")
    if judge.get("overflowed") or judge.get("unreadable"):
        failed.append("the judge could not read everything that went through it")
    if judge.get("unknown"):
        failed.append(f"{len(judge['unknown'])} bodies had no original to compare with: {judge['unknown'][0]}")
    if figures.rebuffer_s > 0:
        failed.append(f"playback stood still for {figures.rebuffer_s:.2f} s")
    if figures.polluted_segments_caught < 1:
        failed.append("no polluted segment was caught, so the lying peer was never put to the test")
    if figures.failed_over_in_body < 1:
        failed.append("no segment went on from another source inside its body")
    if figures.p2p_offload < OFFLOAD_MIN:
        failed.append(f"peers gave {figures.p2p_offload:.2%} of the bytes; at least {OFFLOAD_MIN:.0%} is wanted")
    return failed


def doubt_about(figures: Figures) -> str:
    """Why what did not hold may be the machine's doing, in words; empty if nothing says so."""
    if figures.loop_delay_p99_ms < BUSY_LOOP_MS:
        return ""
    return (
        f"one in a hundred callbacks waited {figures.loop_delay_p99_ms:.0f} ms or more for its turn: this machine was "
        "busy with something else.  Run it again when it is idle before you believe what needs time."
    )


def _count(report: SessionReport, flag: str) -> int:
    return sum(bool(getattr(segment, flag)) for segment in report.segments)


def _is_caught(segment: SegmentStory) -> bool:
    """Wrong bytes came for it, and it was completed all the same."""
    return segment.polluted and segment.completed_us is not None
