"""Range and Content-Range: the arithmetic of RFC 9110, section 14, for one range of bytes.

Strict where a guess could put bytes at the wrong offset: a header that is not
exactly of the grammar, or whose numbers contradict each other, raises
ValueError saying why.  Several ranges in one request are not supported; a
server may ignore a Range header (14.2), and here does.
"""

from __future__ import annotations

import re

import msgspec

__all__ = [
    "ContentRange",
    "Span",
    "content_range_header",
    "exact_range",
    "parse_content_range",
    "range_header",
    "requested_span",
]

# Eighteen digits: more than any file has, and no quadratic int() of a hostile header.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII | re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)


class ContentRange(msgspec.Struct, frozen=True):
    """Bytes `first` to `last`, inclusive, of a representation of `total` bytes (None: not said)."""

    first: int
    last: int
    total: int | None

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Span(msgspec.Struct, frozen=True):
    """A satisfiable part of a representation: `length` bytes from `first`."""

    first: int
    length: int


def range_header(first_byte: int, last_byte: int | None) -> str | None:
    """The Range header for these bytes (`last_byte` inclusive, None: to the end), or None for the whole."""
    if first_byte < 0 or (last_byte is not None and last_byte < first_byte):
        raise ValueError(f"no such range: {first_byte} to {last_byte}; the last byte is inclusive")
    if last_byte is not None:
        return f"bytes={first_byte}-{last_byte}"
    return f"bytes={first_byte}-" if first_byte else None


def parse_content_range(value: str) -> ContentRange:
    """The Content-Range of a 206; ValueError if malformed, contradictory, or of the unsatisfied form."""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        what = "says that nothing is satisfiable" if _UNSATISFIED.fullmatch(value) else "is malformed"
        raise ValueError(f"Content-Range {value[:100]!r} {what}")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first:
        raise ValueError(f"Content-Range {value!r} ends before it starts")
    if total is not None and last >= total:
        raise ValueError(f"Content-Range {value!r} ends beyond its total")
    return ContentRange(first, last, total)


def content_range_header(span: Span | None, total_bytes: int) -> str:
    """The Content-Range of a 206, or of a 416 when there is no span."""
    if span is None:
        return f"bytes */{total_bytes}"
    return f"bytes {span.first}-{span.first + span.length - 1}/{total_bytes}"


def exact_range(value: str | None) -> Span | None:
    """What a Range header asks for where it names both ends; None for every other header, and for none."""
    match = _RANGE.fullmatch(value) if value is not None else None
    if match is None or match[3] is not None or not match[2] or int(match[2]) < int(match[1]):
        return None
    return Span(int(match[1]), int(match[2]) - int(match[1]) + 1)


def requested_span(value: str | None, total_bytes: int) -> Span | None:
    """What a Range header asks of `total_bytes`: the whole when absent or not understood, None for a 416.

    A first byte beyond the end is unsatisfiable, as is a suffix of no bytes; a last byte
    beyond the end is cut (RFC 9110, 14.1.2).  A header that is malformed, of another unit
    or of several ranges is ignored (14.2).
    """
    whole = Span(0, total_bytes)
    match = _RANGE.fullmatch(value) if value is not None else None
    if match is None:
        return whole
    if match[3] is not None:
        length = min(int(match[3]), total_bytes)
        return Span(total_bytes - length, length) if length else None
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return whole
    if first >= total_bytes:
        return None
    last = min(int(match[2]), total_bytes - 1) if match[2] else total_bytes - 1
    return Span(first, last - first + 1)
