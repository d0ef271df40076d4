"""A delta update joined as text to what it leaves out, so that it is read as the whole playlist that it stands for.

What comes out is what `delta.expand` makes of it line by line, at the price of what went, what came and the copying of
what stayed.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from .attributes import AttributeList
from .delta import IN_FORCE, SKIP, folder_of, in_force, of_segments, sequence_of
from .low_latency import skip
from .tokenizer import Limits, Line, tokenize
from .window import Window

__all__ = ["joined"]

# Of the segments that are left out, but for the first, nothing is taken that an update says again.
_SAID_AGAIN = (b"#EXT-X-PART:", b"#EXT-X-DATERANGE")


def joined(update: bytes, url: str, window: Window, limits: Limits) -> bytes | None:
    """None where it does not follow from the window, or only `expand` can tell.  PlaylistError as from that."""
    lines = tokenize(update, limits)
    place = next((place for place, line in enumerate(lines) if line.name == SKIP), None)
    if place is None or b"{$" in update or folder_of(url) != folder_of(window.url):
        return None
    head, rest = lines[:place], lines[place + 1 :]
    left_out = skip(AttributeList(lines[place], limits))
    cut, count = sequence_of(lines) - window.first, left_out.segments
    if cut < 0 or count < 1 or cut + count > len(window) or _says_what_is_in_force(rest):
        return None
    middle = window.text(cut + 1, cut + count)
    if any(tag in middle for tag in _SAID_AGAIN):
        return None
    begin = len(tokenize(window.text(0, cut), limits)) if cut else 0
    old = tokenize(window.text(0, cut + 1), limits)
    said = frozenset(line.text for line in head) if cut == 0 else frozenset()
    first = of_segments(old[begin:], replace(window[cut], line=len(old)), left_out, limits)
    before = [*head, *in_force(old[:begin], limits), *(line for line in first if line.text not in said)]
    return b"".join((_text(before), middle, _text(rest)))


def _says_what_is_in_force(lines: Iterable[Line]) -> bool:
    """Of the first segment of an update, whose lines would pile up if it said again what is in force before it."""
    for line in lines:
        if line.is_uri:
            return False
        if line.name in IN_FORCE:
            return True
    return False


def _text(lines: Iterable[Line]) -> bytes:
    return "".join([part for line in lines for part in (line.text, line.ending or "\n")]).encode()
