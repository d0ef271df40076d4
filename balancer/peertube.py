"""Hashes as PeerTube publishes them for a video (`segments-sha256.json`, in `hls.ts` of its server):

    {"<video>-720-fragmented.mp4": {"1356-1055555": "<64 hex>", "1055556-2044555": "<64 hex>"}}

A file for each resolution, whose segments are byte ranges: the first and the last byte of each.  Initialisation
segments are not among them.  Of a live stream it publishes hashes of whole files, without their lengths, one after the
other as the segments are made (`live-segment-sha-store.ts`); before the first there are none:

    {"0-000001.ts": "<64 hex>", "1-000001.ts": "<64 hex>"}
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from .model import ByteRange

__all__ = ["files_of", "ranges_of"]

_RANGE = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]
_DECODER = msgspec.json.Decoder(dict[_Name, dict[str, _Sha256]])
_LIVE_DECODER = msgspec.json.Decoder(dict[_Name, _Sha256])
_KEYS = msgspec.json.Decoder(dict[str, Any])


def ranges_of(data: bytes) -> dict[tuple[str, ByteRange], bytes] | None:
    """The SHA-256 of each range of each file named; None if `data` is no such document.

    ValueError, with what is wrong, where it is one that nothing can be done with.
    """
    try:
        keys = _KEYS.decode(data)
        if not keys or "version" in keys:  # ours has one, and PeerTube calls no file so
            return None
        files = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return {(name, _range(text)): bytes.fromhex(sha) for name, ranges in files.items() for text, sha in ranges.items()}


def files_of(data: bytes) -> dict[str, bytes] | None:
    """The SHA-256 of each whole file of a live stream; None if `data` is no such document."""
    try:
        return {name: bytes.fromhex(sha256) for name, sha256 in _LIVE_DECODER.decode(data).items()}
    except (msgspec.DecodeError, UnicodeError):
        return None


def _range(text: str) -> ByteRange:
    match = _RANGE.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise ValueError(f"has {text[:60]!r} where the first and the last byte of a range should be, as 0-1355")
    return ByteRange(int(match[1]), int(match[2]) - int(match[1]) + 1)
