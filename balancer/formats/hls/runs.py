"""Plain segments one after another, kept as the text that they are.

    #EXTINF:6.000,          nothing but these two lines, with a name that needs no resolving:
    segment_00017.m4s       nearly all of a long playlist

A playlist of 20,000 such segments is 40,000 lines; as values they would be forty
times the size of their text.  A run is that text, and where each block of
`BLOCK` segments begins in it: what is asked for is read then (segments.py).  Everything
that is not plain goes line by line; the two ways give the same values
(tests/balancer/formats/hls/test_runs.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from .tokenizer import Limits, Line, line_of, read

__all__ = ["BLOCK", "Item", "Run", "flatten", "scan"]

BLOCK = 64  # segments read for the sake of one; fewer in a row are not worth a run

# Durations below 10,000 s are within every limit; names are those that common.py resolves without urljoin().
_PLAIN = (
    r"#EXTINF:[0-9]{1,4}(?:\.[0-9]{1,9})?,[^\r\n{]{0,200}+\n"
    r"(?:[A-Za-z0-9_-][A-Za-z0-9_.~-]{0,500}+|"
    r"https?://[A-Za-z0-9-][A-Za-z0-9.-]{0,250}+(?::[0-9]{1,4})?/[A-Za-z0-9_./%~-]{0,1000}+"
    r"(?:\?[A-Za-z0-9_./%~&=+-]{1,2000}+)?)\n"
)
_BLOCK_OF_THEM = re.compile(f"(?:{_PLAIN}){{{BLOCK}}}+")


class Run:
    """`count` plain segments; `number` is the line of the first."""

    __slots__ = ("_ends", "begin", "number", "text")

    def __init__(self, text: str, begin: int, ends: list[int], number: int) -> None:
        self.text = text
        self.begin = begin
        self._ends = ends  # of each block
        self.number = number

    @property
    def count(self) -> int:
        return BLOCK * len(self._ends)

    @property
    def end(self) -> int:
        return self._ends[-1]

    def __str__(self) -> str:
        return self.text[self.begin : self.end]

    def after_first_block(self) -> Run | None:
        if len(self._ends) == 1:
            return None
        return Run(self.text, self._ends[0], self._ends[1:], self.number + 2 * BLOCK)

    def block(self, place: int) -> list[str]:
        """The lines of one block, without their endings: an EXTINF and a name in turn."""
        begin = self._ends[place - 1] if place else self.begin
        return self.text[begin : self._ends[place] - 1].split("\n")

    def blocks(self) -> Iterator[list[str]]:
        return (self.block(place) for place in range(len(self._ends)))

    def lines(self) -> Iterator[Line]:
        for number, text in enumerate((text for block in self.blocks() for text in block), self.number):
            yield Line(number, text, "\n", "EXTINF" if text[0] == "#" else "")


Item: TypeAlias = Line | Run


def _find_run(text: str, begin: int, number: int) -> Run | None:
    """The run that begins at this place, which is line `number`; None if there is none of a block at least."""
    ends: list[int] = []
    position = begin
    while found := _BLOCK_OF_THEM.match(text, position):
        position = found.end()
        ends.append(position)
    return Run(text, begin, ends, number) if ends else None


def scan(data: bytes, limits: Limits) -> list[Item]:
    """As `tokenize`, with runs where there are any.  Linear in len(data)."""
    text = read(data, limits)
    items: list[Item] = []
    position, number, retry_at = 0, 1, 0
    while position < len(text):
        if number >= retry_at and text.startswith("#EXTINF:", position):
            run = _find_run(text, position, number)
            if run is not None:
                items.append(run)
                position, number = run.end, number + 2 * run.count
                continue
            retry_at = number + BLOCK  # or runs that are just too short would be read again from each of their segments
        elif text.startswith("#EXT-", position):
            retry_at = 0
        stop = text.find("\n", position) + 1 or len(text)
        items.append(line_of(number, text[position:stop], limits))
        position, number = stop, number + 1
    return items


def flatten(items: Sequence[Item]) -> list[Line]:
    return [line for item in items for line in (item.lines() if isinstance(item, Run) else (item,))]
