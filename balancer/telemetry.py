"""What a session tells CDNs with each request: the values of CMCD (CTA-5004-B), from what the session knows.

    always      sid, cid, sf, v; cdn and sn are added by whoever sends (actors/cdn.py)
    a rendition st (live or not), ot, br, tb
    a segment   d; dl: until it plays; mtp: measured of this CDN; nor: what follows it; su: nothing plays yet

The length of the player's buffer is not known here and not said: `dl` is the same
for who reads it, since a segment is late when the buffer is empty.  Sans-IO.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .model import Kind, ResourceKey, Segment
from .streams import Medium

__all__ = ["CmcdOptions", "Telemetry"]

_OBJECT_TYPES = {Kind.INIT: "i", Kind.KEY: "k", Kind.DATA: "o"}
VERSION = 2


class CmcdOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How it is said, and of which session and content."""

    mode: str  # query, header
    session_id: str
    content_id: str
    streaming_format: str = "h"

    @property
    def values(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "sid": self.session_id,
            "cid": self.content_id,
            "sf": self.streaming_format,
        }


class Telemetry:
    def __init__(self) -> None:
        self._media: dict[int, Medium] = {}
        self._is_live: dict[int, bool] = {}

    def listed(self, rendition: int, medium: Medium, *, is_live: bool) -> None:
        self._media[rendition] = medium
        self._is_live[rendition] = is_live

    def is_live(self, rendition: int) -> bool:
        return self._is_live.get(rendition, True)

    def request(
        self,
        segment: Segment,
        segments: Mapping[ResourceKey, Segment],
        *,
        deadline_us: int | None,
        bytes_per_s: float | None,
        now_us: int,
    ) -> dict[str, Any]:
        """For one request; `bytes_per_s` is what was measured of the CDN that is asked."""
        key = segment.key
        medium = self._media.get(key.rendition, Medium())
        values: dict[str, Any] = {"ot": _OBJECT_TYPES.get(key.kind) or medium.object_type or None}
        if key.rendition in self._is_live:
            values["st"] = "l" if self._is_live[key.rendition] else "v"
        if bytes_per_s is not None:
            values["mtp"] = int(bytes_per_s / 125)  # kbit/s
        if medium.kbps:
            values["br"] = {medium.object_type: medium.kbps}
            values["tb"] = {medium.object_type: medium.top_kbps}
        if key.kind not in {Kind.MEDIA, Kind.PART}:
            return values
        if medium.object_type:  # the standard gives a duration to media alone, which it tells by their type
            values["d"] = segment.duration_us // 1_000
        if deadline_us is not None:
            values["dl"] = max(0, deadline_us - now_us) // 1_000
        if key.kind is Kind.PART:  # the next one is not there yet, and a new clock is no start
            return values
        if deadline_us is None:
            values["su"] = True
        values["nor"] = _next(segment, segments)
        return values


def _next(segment: Segment, segments: Mapping[ResourceKey, Segment]) -> str | None:
    """The path of the segment that follows, relative to this one; None where it is in another folder or file."""
    key = segment.key
    after = segments.get(ResourceKey(key.rendition, key.kind, key.number + 1))
    if after is None or after.byte_range is not None:
        return None
    folder, _, _ = segment.uri.partition("?")[0].rpartition("/")
    path = after.uri.removeprefix(f"{folder}/")
    return path if path != after.uri and path.isascii() and "/" not in path.partition("?")[0] else None
