"""Which source brought which bytes of a segment, for the table and the report alike.

Pure functions over the session's report.  A source's mark is one character, so
that a picture of a segment reads without colours too: capital letters for CDNs
in the order in which they appear, small letters for peers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from shoal.balancer.report import PartStory, SegmentStory, SourceState

__all__ = [
    "MISSING",
    "OTHER",
    "WRONG",
    "Piece",
    "cells_of",
    "clean",
    "is_blamed",
    "marks_of",
    "notes_on",
    "pieces_of",
    "seconds_of",
]

MISSING = "·"  # did not come (yet)
WRONG = "✗"  # came, was wrong, and was not replaced (yet)
OTHER = "?"  # a source beyond the alphabet

_NAME_CHARACTERS_MAX = 60


class Piece(NamedTuple):
    """Consecutive bytes from one source; `source` is None where nothing came."""

    first_byte: int
    end_byte: int
    source: str | None
    is_wrong: bool


def clean(text: str, limit: int = _NAME_CHARACTERS_MAX) -> str:
    """Text from elsewhere as it may be shown: no control characters, no direction marks, not endless."""
    shown = "".join(each if each.isprintable() else "·" for each in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def marks_of(sources: Sequence[SourceState]) -> dict[str, str]:
    """One character for each source, stable as more appear."""
    marks: dict[str, str] = {}
    alphabets = {"cdn": iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "peer": iter("abcdefghijklmnopqrstuvwxyz")}
    for source in sources:
        kind = "peer" if source.name.startswith("peer:") else "cdn"
        marks[source.name] = next(alphabets[kind], OTHER)
    return marks


def pieces_of(segment: SegmentStory) -> list[Piece]:
    """The segment from its first byte to its last, each byte with the source whose bytes were kept.

    Later transfers replace what earlier ones brought, and wrong bytes give way to
    all others.  Cost: square of the number of parts, which is a handful.
    """
    parts = sorted(segment.parts, key=lambda part: (not is_blamed(part), part.started_us))
    total = segment.byte_count or max((_end(part) for part in parts), default=0)
    borders = sorted({0, total, *(min(total, edge) for part in parts for edge in (part.first_byte, _end(part)))})
    pieces: list[Piece] = []
    for first, end in itertools.pairwise(borders):
        owner = next((part for part in reversed(parts) if part.first_byte <= first and end <= _end(part)), None)
        # In a completed segment all that was kept is right, also what came before the wrong block of a transfer.
        is_wrong = owner is not None and is_blamed(owner) and segment.completed_us is None
        piece = Piece(first, end, owner.source if owner else None, is_wrong)
        if pieces and pieces[-1][2:] == piece[2:]:
            piece = piece._replace(first_byte=pieces.pop().first_byte)
        pieces.append(piece)
    return pieces


def cells_of(segment: SegmentStory, marks: dict[str, str], count: int) -> list[tuple[str, str | None]]:
    """`count` cells of mark and source, each for an equal share of the bytes; a cell is its middle byte's."""
    pieces = pieces_of(segment)
    total = pieces[-1].end_byte if pieces else 0
    cells: list[tuple[str, str | None]] = []
    for number in range(count):
        at = (2 * number + 1) * total // (2 * count)
        piece = next((each for each in pieces if each.first_byte <= at < each.end_byte), None)
        if piece is None or piece.source is None:
            cells.append((MISSING, None))
        else:
            cells.append((WRONG if piece.is_wrong else marks.get(piece.source, OTHER), piece.source))
    return cells


def is_blamed(part: PartStory) -> bool:
    """Whether the transfer brought wrong bytes."""
    return part.outcome == "wrong" or part.reason == "blamed"


def seconds_of(segment: SegmentStory) -> float | None:
    """How long it took from the first transfer's start until all was there."""
    if segment.completed_us is None or not segment.parts:
        return None
    return (segment.completed_us - min(part.started_us for part in segment.parts)) / 1e6


def notes_on(segment: SegmentStory) -> list[str]:
    """What is worth saying about a segment, in a few words each."""
    notes: list[str] = []
    if segment.polluted:
        notes.append("wrong bytes caught" if segment.completed_us is not None else "wrong bytes")
    if segment.failed_over_in_body:
        notes.append("went on elsewhere in its body")
    elif segment.failed_over:
        notes.append("went on elsewhere")
    if segment.error:
        notes.append(clean(segment.error))
    return notes


def _end(part: PartStory) -> int:
    return part.first_byte + part.byte_count
