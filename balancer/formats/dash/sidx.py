"""Segment index boxes: which bytes of a file are which segment (ISO/IEC 14496-12, 8.16.3).

    references(data, first_byte) -> Reference...

`data` is what the MPD's indexRange names, and begins with the box.  An index of
indexes is refused: no packager for DASH on demand writes one, and each would be one more
fetch that a file decides about.
"""

from __future__ import annotations

import struct

import msgspec

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.model import ByteRange

__all__ = ["Reference", "references"]

REFERENCES_MAX = 20_000  # as many as a playlist may have segments
_HEAD = struct.Struct(">I4sB3xII")  # size, type, version and flags, reference_ID, timescale


class Reference(msgspec.Struct, frozen=True):
    """One segment: ticks of `timescale`, and its place in the file."""

    time: int
    duration: int
    timescale: int
    byte_range: ByteRange


def references(data: bytes, first_byte: int) -> tuple[Reference, ...]:
    """The segments that the index at `first_byte` of its file names.  PlaylistError for what is no index."""
    if len(data) < _HEAD.size or data[4:8] != b"sidx":
        raise PlaylistMalformed(
            f"the index at byte {first_byte} is no sidx box ({data[:8].hex(' ')} ...); is indexRange right?"
        )
    size, _, version, _, timescale = _HEAD.unpack_from(data)
    form = struct.Struct(">QQxxH" if version else ">IIxxH")
    if version > 1 or size < _HEAD.size + form.size or size > len(data) or timescale == 0:
        raise PlaylistMalformed(
            f"the sidx box at byte {first_byte} has version {version}, {size} bytes of {len(data)} and timescale "
            f"{timescale}; is it cut off, or is indexRange too short?"
        )
    time, first_offset, count = form.unpack_from(data, _HEAD.size)
    begin = _HEAD.size + form.size
    if count > REFERENCES_MAX:
        raise PlaylistTooLarge(f"the sidx box at byte {first_byte} has {count} segments, {REFERENCES_MAX} are allowed")
    if begin + 12 * count > size:
        raise PlaylistMalformed(f"the sidx box at byte {first_byte} says {count} segments, and ends before them")
    position = first_byte + size + first_offset  # first_offset counts from the end of the box
    found = []
    for kind_and_size, duration, _ in struct.iter_unpack(">III", data[begin : begin + 12 * count]):
        if kind_and_size >> 31:
            raise PlaylistUnsupported(f"the sidx box at byte {first_byte} leads to another index; make a single one")
        length = kind_and_size & 0x7FFF_FFFF
        if length == 0:
            raise PlaylistMalformed(f"the sidx box at byte {first_byte} names a segment of 0 bytes")
        found.append(Reference(time, duration, timescale, ByteRange(position, length)))
        time += duration
        position += length
    return tuple(found)
