"""What an MPD says: frozen values, in the order of the document.

    Mpd -> Period -> AdaptationSet -> Representation -> Addressing (addressing.py) -> segments (segments.py)

URLs are absolute, what is inherited from above is filled in, times are microseconds.
`element` is where each stands in the document, from which `rewrite.py` makes one for a
local player.  Section numbers are those of ISO/IEC 23009-1.
"""

from __future__ import annotations

import msgspec

from .addressing import Addressing
from .xml import Element

__all__ = [
    "AdaptationSet",
    "BaseUrl",
    "ContentSteering",
    "Descriptor",
    "Mpd",
    "PatchLocation",
    "Period",
    "Representation",
]


class BaseUrl(msgspec.Struct, frozen=True, kw_only=True):
    """One of the alternatives from which a representation can be had (5.6)."""

    url: str  # absolute
    service_location: str | None = None  # the name of the CDN, for steering
    priority: int = 1  # DVB-DASH (ETSI TS 103 285, 10.8.2.1): lower ones first
    weight: int = 1  # among those of one priority
    availability_offset_us: int = 0  # by how much segments come early: those of all levels added up
    is_complete: bool = True  # availabilityTimeComplete: False: what comes early is not all there yet


class Descriptor(msgspec.Struct, frozen=True):
    """A scheme and a value: UTCTiming, Role, and others of one form (5.8)."""

    scheme: str
    value: str = ""


class ContentSteering(msgspec.Struct, frozen=True, kw_only=True):
    """ETSI TS 103 998, 6: where the steering manifest is, and which service location counts before it."""

    url: str  # absolute; or a data: URL
    default_service_location: str | None = None
    is_queried_before_start: bool = False


class PatchLocation(msgspec.Struct, frozen=True):
    """Where a patch of this MPD can be had (5.15)."""

    url: str
    ttl_us: int | None = None


class Representation(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of one adaptation set (5.3.5).  What its adaptation set says of it is filled in."""

    id: str
    bandwidth: int  # bits a second
    mime_type: str | None = None
    codecs: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    audio_sampling_rate: str | None = None
    base_urls: tuple[BaseUrl, ...]  # the first is what is used where nothing else is said
    addressing: Addressing
    element: Element


class AdaptationSet(msgspec.Struct, frozen=True, kw_only=True):
    """Representations among which a player may switch (5.3.3)."""

    id: str | None = None
    content_type: str | None = None  # video, audio, text, image; from the MIME type where it is not said
    language: str | None = None
    roles: tuple[Descriptor, ...] = ()
    representations: tuple[Representation, ...] = ()
    element: Element


class Period(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    start_us: int  # since the beginning of the presentation
    duration_us: int | None = None  # None: it goes on, in a live presentation
    adaptation_sets: tuple[AdaptationSet, ...] = ()
    element: Element


class Mpd(msgspec.Struct, frozen=True, kw_only=True):
    url: str  # where it came from
    data: bytes  # as it came
    root: Element
    is_live: bool = False  # type="dynamic": it may change, and segments come to be and go
    id: str | None = None
    profiles: tuple[str, ...] = ()
    availability_start_us: int | None = None  # since 1970; there where it is live
    availability_end_us: int | None = None
    publish_us: int | None = None
    duration_us: int | None = None
    minimum_update_us: int | None = None  # how long it stays true; None: for ever
    min_buffer_us: int | None = None
    time_shift_us: int | None = None  # how far back segments are kept; None: all of them
    suggested_delay_us: int | None = None
    max_segment_us: int | None = None
    periods: tuple[Period, ...] = ()
    base_urls: tuple[BaseUrl, ...] = ()
    locations: tuple[str, ...] = ()
    patch_locations: tuple[PatchLocation, ...] = ()
    utc_timings: tuple[Descriptor, ...] = ()
    steering: ContentSteering | None = None
