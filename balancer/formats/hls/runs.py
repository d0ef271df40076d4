"""Plain segments one after another, kept as the text that they are.

    #EXTINF:6.000,                                nothing but these two lines, with a name that needs
    segment_00017.m4s                             no resolving: nearly all of a long playlist

    #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z     or with a date, a byte range that says where it begins, or both,
    #EXTINF:6.000,                                    in any order
    #EXT-X-BYTERANGE:80000@1360000
    main.m4s

A playlist of 20,000 such segments is 40,000 lines; as values they would be forty
times the size of their text.  A run is that text, and where each block of
`BLOCK` segments begins in it: what is asked for is read then (segments.py).  Everything
that is not plain goes line by line; the two ways give the same values
(tests/balancer/formats/hls/test_runs.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from typing import TypeAlias

import msgspec

from shoal.balancer.model import ByteRange

from .tokenizer import Limits, Line, line_of, read

__all__ = ["BLOCK", "Item", "Run", "Shape", "flatten", "scan"]

BLOCK = 8  # segments read for the sake of one; fewer in a row are not worth a run

_DATE_TAG = "#EXT-X-PROGRAM-DATE-TIME:"
_DURATION_TAG = "#EXTINF:"
_RANGE_TAG = "#EXT-X-BYTERANGE:"

# Durations below 10,000 s are within every limit; names are those that common.py resolves without urljoin().
_DURATION = rf"{_DURATION_TAG}[0-9]{{1,4}}(?:\.[0-9]{{1,9}})?,[^\r\n{{]{{0,200}}+\n"
_NAME = (
    r"(?:[A-Za-z0-9_-][A-Za-z0-9_.~-]{0,500}+|"
    r"https?://[A-Za-z0-9-][A-Za-z0-9.-]{0,250}+(?::[0-9]{1,4})?/[A-Za-z0-9_./%~-]{0,1000}+"
    r"(?:\?[A-Za-z0-9_./%~&=+-]{1,2000}+)?)\n"
)
# Days that there are in any year, and zones that there are: what attributes.py reads without a refusal.
_DATE = (
    rf"{_DATE_TAG}[12][0-9]{{3}}-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?\n"
)
# Of some bytes, and below every limit.
_RANGE = rf"{_RANGE_TAG}[1-9][0-9]{{0,14}}@[0-9]{{1,15}}\n"
# Said of the next segment, which is then none of a run.
_OF_ONE = ("#EXT-X-DISCONTINUITY\n", "#EXT-X-GAP", "#EXT-X-PART:")
_PATTERNS = {"E": _DURATION, "D": _DATE, "R": _RANGE}


class Shape(msgspec.Struct, frozen=True):
    """Which lines a segment of a run has; the last one is its name."""

    rows: int
    duration: int  # the row of EXTINF
    date: int | None  # of EXT-X-PROGRAM-DATE-TIME
    range: int | None  # of EXT-X-BYTERANGE


def _shape(tags: tuple[str, ...]) -> Shape:
    places = {tag: place for place, tag in enumerate(tags)}
    return Shape(len(tags) + 1, places["E"], places.get("D"), places.get("R"))


# By the tags of a segment, each by its letter.
_SHAPES = {
    tags: _shape(tags)
    for count in range(1, len(_PATTERNS) + 1)
    for tags in permutations(_PATTERNS, count)
    if "E" in tags
}
_BLOCKS_OF = {
    shape: re.compile(f"(?:{''.join(_PATTERNS[tag] for tag in tags)}{_NAME}){{{BLOCK}}}+")
    for tags, shape in _SHAPES.items()
}


class Run:
    """`count` plain segments; `number` is the line with which the first begins."""

    __slots__ = ("_ends", "begin", "number", "shape", "text")

    def __init__(self, shape: Shape, text: str, begin: int, ends: list[int], number: int) -> None:
        self.shape = shape
        self.text = text
        self.begin = begin
        self._ends = ends  # of each block
        self.number = number

    @property
    def count(self) -> int:
        return BLOCK * len(self._ends)

    @property
    def line_count(self) -> int:
        return self.shape.rows * self.count

    @property
    def end(self) -> int:
        return self._ends[-1]

    def __str__(self) -> str:
        return self.text[self.begin : self.end]

    def after_first_block(self) -> Run | None:
        if len(self._ends) == 1:
            return None
        number = self.number + self.shape.rows * BLOCK
        return Run(self.shape, self.text, self._ends[0], self._ends[1:], number)

    def first_block(self) -> Iterator[Line]:
        return islice(self.lines(), self.shape.rows * BLOCK)

    def block(self, place: int) -> list[str]:
        """The lines of one block, without their endings: `shape.rows` of each segment."""
        begin = self._ends[place - 1] if place else self.begin
        return self.text[begin : self._ends[place] - 1].split("\n")

    @staticmethod
    def byte_range(line: str) -> ByteRange:
        """What a line of it says that is an EXT-X-BYTERANGE."""
        length, begin = line[17:].split("@")
        return ByteRange(int(begin), int(length))

    def blocks(self) -> Iterator[list[str]]:
        return (self.block(place) for place in range(len(self._ends)))

    def lines(self) -> Iterator[Line]:
        for number, text in enumerate((text for block in self.blocks() for text in block), self.number):
            yield Line(number, text, "\n", text[1:].partition(":")[0] if text[0] == "#" else "")


Item: TypeAlias = Line | Run


def _find_run(shape: Shape, text: str, begin: int, number: int) -> Run | None:
    """The run of this shape that begins at this place, which is line `number`; None if there is none of a block."""
    ends: list[int] = []
    position, blocks = begin, _BLOCKS_OF[shape]
    while found := blocks.match(text, position):
        position = found.end()
        ends.append(position)
    return Run(shape, text, begin, ends, number) if ends else None


def _shape_at(text: str, position: int) -> Shape | None:
    """Of the segment that begins here, as far as its tags tell."""
    tags: list[str] = []
    while text.startswith("#", position) and len(tags) < len(_PATTERNS):
        if text.startswith(_DURATION_TAG, position):
            tags.append("E")
        elif text.startswith(_DATE_TAG, position):
            tags.append("D")
        elif text.startswith(_RANGE_TAG, position):
            tags.append("R")
        else:
            return None
        position = text.find("\n", position) + 1 or len(text)
    return _SHAPES.get(tuple(tags))


def scan(data: bytes, limits: Limits) -> list[Item]:
    """As `tokenize`, with runs where there are any.  Linear in len(data)."""
    text = read(data, limits)
    items: list[Item] = []
    position, number = 0, 1
    retry_at: dict[Shape, int] = {}  # or runs that are just too short would be read again from each of their segments
    is_of_one = False
    while position < len(text):
        shape = None if is_of_one else _shape_at(text, position)
        if text.startswith(_OF_ONE, position):
            is_of_one = True
        elif not text.startswith("#", position):
            is_of_one = False
        if shape is None:
            if text.startswith("#EXT-", position) and not text.startswith((_DATE_TAG, _RANGE_TAG), position):
                retry_at.clear()  # what follows is another piece of the stream
        elif number >= retry_at.get(shape, 0):
            run = _find_run(shape, text, position, number)
            if run is not None:
                items.append(run)
                position, number = run.end, number + run.line_count
                continue
            retry_at[shape] = number + BLOCK
        stop = text.find("\n", position) + 1 or len(text)
        items.append(line_of(number, text[position:stop], limits))
        position, number = stop, number + 1
    return items


def flatten(items: Sequence[Item]) -> list[Line]:
    return [line for item in items for line in (item.lines() if isinstance(item, Run) else (item,))]
