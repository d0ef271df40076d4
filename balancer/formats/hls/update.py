"""A whole playlist as a delta update, for a player that knows its older segments (rfc8216bis, 4.4.5.2 and 6.2.5.1).

    the whole                  the update, of 24 s
    segments 10 to 19          SKIPPED-SEGMENTS=4
    of 4 s each                segments 14 to 19

    wants_update(query)                 whether a player asks for one
    update_of(text, boundary_us)        the update; the same text where there is nothing to leave out

Left out is what lies further from the end than the skip boundary (CAN-SKIP-UNTIL), with
all that is said of it.  What stays, beside the rest:

- what is said of the whole playlist: all before the first segment's own tags, and some tags wherever they stand;
- date ranges, all of them, so that nobody need be told which went;
- the keys, the initialization section and the bit rate in force, said again: players are to know
  them from before, and not all do.

It works on what `rewrite` gives, which has no byte ranges that go on where others end.
`delta.py` is the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .attributes import duration_us
from .blocking import fields_of
from .delta import HEAD, SKIP, in_force
from .tokenizer import Limits, Line, line_of

__all__ = ["update_of", "wants_update"]

_VERSION = 9  # at least, of a playlist that leaves segments out (8)
# Each is said of the segment that follows, or of a piece of it (4.4.4).
_OF_SEGMENTS = frozenset(
    {
        "EXTINF",
        "EXT-X-BITRATE",
        "EXT-X-BYTERANGE",
        "EXT-X-DISCONTINUITY",
        "EXT-X-GAP",
        "EXT-X-KEY",
        "EXT-X-MAP",
        "EXT-X-PART",
        "EXT-X-PROGRAM-DATE-TIME",
    }
)
_NO_LIMITS = Limits(attributes_max=1 << 30, line_chars_max=1 << 30)  # it passed them when it was parsed


def wants_update(query: str) -> bool:
    """Whether a request's query has `_HLS_skip=YES`, or `v2`, which asks for fewer date ranges as well.

    Other values are those of a draft that we do not know, and a server is to ignore them (6.2.5).
    """
    return "_HLS_skip" in query and fields_of(query).get("_HLS_skip") in {"YES", "v2"}


def update_of(text: str, boundary_us: int) -> str:
    """`text` is a live media playlist that `rewrite` gave, and no update itself.  Linear in its length."""
    lines = [*_lines(text)]
    end, count = _boundary(lines, boundary_us)
    if not count or any(line.name == "EXT-X-ENDLIST" for line in lines):  # which is loaded no more
        return text
    begin = next(place for place, line in enumerate(lines) if line.name in _OF_SEGMENTS or line.is_uri)
    old = lines[begin:end]
    kept = [line.text for line in old if line.name == "EXT-X-DATERANGE" or line.name in HEAD]
    said = [line.text for line in in_force(old, _NO_LIMITS)]
    head = _with_version([line.text for line in lines[:begin]])
    rest = [line.text for line in lines[end:]]
    return "\n".join([*head, f"#{SKIP}:SKIPPED-SEGMENTS={count}", *kept, *said, *rest, ""])


def _lines(text: str) -> Iterator[Line]:
    pieces = text.split("\n")
    if not pieces[-1]:
        pieces.pop()
    return (line_of(number, piece, _NO_LIMITS) for number, piece in enumerate(pieces, 1))


def _boundary(lines: Sequence[Line], boundary_us: int) -> tuple[int, int]:
    """The first line that stays, and how many segments go: those that end `boundary_us` or more before the last one."""
    ends = [place for place, line in enumerate(lines) if line.is_uri]
    behind_us, segments = 0, len(ends)
    for line in reversed(lines):
        if line.name != "EXTINF":
            continue
        if behind_us >= boundary_us:
            return ends[segments - 1] + 1, segments
        behind_us += duration_us(line.value.partition(",")[0], line, "EXTINF")
        segments -= 1
    return 0, 0


def _with_version(head: list[str]) -> list[str]:
    """The same lines, in which the playlist's version is high enough for an update."""
    for place, line in enumerate(head):
        if line.startswith("#EXT-X-VERSION:"):
            version = max(_VERSION, int(line.partition(":")[2]))
            return [*head[:place], f"#EXT-X-VERSION:{version}", *head[place + 1 :]]
    return [head[0], f"#EXT-X-VERSION:{_VERSION}", *head[1:]]
