"""What a playlist says: frozen values, in the order of the playlist.

    Playlist = Multivariant | MediaPlaylist

URIs are absolute, byte ranges have their offsets, variables are substituted,
durations are microseconds.  What is not read here is in `unknown_tags` and, with
everything else, in `layout`, from which `rewrite.py` makes a playlist for a local
player.  Section numbers are those of RFC 8216.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from shoal.balancer.model import ByteRange

from .attributes import Resolution
from .runs import Item, flatten
from .tokenizer import Line

__all__ = [
    "ContentSteering",
    "IFrameStream",
    "InitSection",
    "Key",
    "Layout",
    "MediaPlaylist",
    "MediaSegment",
    "Multivariant",
    "Part",
    "Playlist",
    "PreloadHint",
    "Reference",
    "Rendition",
    "RenditionReport",
    "ServerControl",
    "SessionData",
    "Skip",
    "Start",
    "UnknownTag",
    "UriKind",
    "Variant",
]


class UriKind(enum.StrEnum):
    """What a URI in a playlist leads to."""

    VARIANT = "variant"  # a media playlist (EXT-X-STREAM-INF)
    RENDITION = "rendition"  # a media playlist (EXT-X-MEDIA)
    I_FRAMES = "i_frames"  # a media playlist (EXT-X-I-FRAME-STREAM-INF)
    SEGMENT = "segment"
    MAP = "map"  # a media initialization section
    KEY = "key"
    SESSION_KEY = "session_key"
    SESSION_DATA = "session_data"
    PART = "part"
    PRELOAD_HINT = "preload_hint"
    RENDITION_REPORT = "rendition_report"  # a media playlist
    STEERING = "steering"  # a steering manifest; never shown to a player
    OTHER = "other"  # interstitial assets, thumbnails: named in tags that only the player reads


class Reference(msgspec.Struct, frozen=True):
    """One URI, and where it stands: `layout.lines[line_index].text[start:stop]`."""

    kind: UriKind
    uri: str  # absolute
    byte_range: ByteRange | None
    line_index: int
    start: int
    stop: int


class Layout(msgspec.Struct, frozen=True):
    """The playlist as text, with variables substituted, and the places of its URIs in order.

    The URIs of a run are not among them: each of its second lines is one.
    """

    items: tuple[Item, ...]
    references: tuple[Reference, ...]

    @property
    def lines(self) -> list[Line]:
        """Every line; made anew each time."""
        return flatten(self.items)


class UnknownTag(msgspec.Struct, frozen=True):
    name: str  # "EXT-X-CUE-OUT"
    value: str
    line: int


class Start(msgspec.Struct, frozen=True):
    """Where to begin playing (4.3.5.2); negative counts from the end."""

    time_offset_us: int
    is_precise: bool = False


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-STREAM-INF (4.3.4.2).  Bandwidths are bits a second."""

    uri: str
    bandwidth: int
    average_bandwidth: int | None = None
    codecs: str | None = None  # as written, comma separated
    supplemental_codecs: str | None = None
    resolution: Resolution | None = None
    frame_rate: float | None = None
    video_range: str | None = None  # SDR, HLG, PQ
    hdcp_level: str | None = None
    score: float | None = None
    stable_variant_id: str | None = None
    pathway_id: str = "."
    audio: str | None = None  # group ids of renditions
    video: str | None = None
    subtitles: str | None = None
    closed_captions: str | None = None  # or NONE
    line: int


class IFrameStream(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-I-FRAME-STREAM-INF (4.3.4.3)."""

    uri: str
    bandwidth: int
    average_bandwidth: int | None = None
    codecs: str | None = None
    resolution: Resolution | None = None
    video_range: str | None = None
    hdcp_level: str | None = None
    stable_variant_id: str | None = None
    pathway_id: str = "."
    video: str | None = None
    line: int


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-MEDIA (4.3.4.1)."""

    type: str  # AUDIO, VIDEO, SUBTITLES, CLOSED-CAPTIONS
    group_id: str
    name: str
    uri: str | None = None  # None: in the variant's own segments
    language: str | None = None
    assoc_language: str | None = None
    stable_rendition_id: str | None = None
    is_default: bool = False
    is_autoselect: bool = False
    is_forced: bool = False
    instream_id: str | None = None
    characteristics: str | None = None
    channels: str | None = None
    line: int


class SessionData(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-SESSION-DATA (4.3.4.4): a value, or a URI of a JSON file."""

    data_id: str
    value: str | None = None
    uri: str | None = None
    language: str | None = None
    line: int


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-KEY or EXT-X-SESSION-KEY (4.3.2.4, 4.3.4.5).  Never METHOD=NONE: that is no key."""

    method: str
    uri: str  # absolute; of any scheme (https, data, skd)
    iv: str | None = None  # "0x..."; None: the media sequence number
    key_format: str = "identity"
    key_format_versions: str | None = None


class InitSection(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-MAP (4.3.2.5)."""

    uri: str
    byte_range: ByteRange | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-PART (rfc8216bis, 4.4.4.9): a piece of a segment, in order and without holes."""

    uri: str
    duration_us: int
    byte_range: ByteRange | None = None
    is_independent: bool = False  # playing may begin here
    is_gap: bool = False
    line: int


class PreloadHint(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-PRELOAD-HINT (rfc8216bis, 4.4.5.3); `byte_count` None is up to the end."""

    type: str  # PART, MAP
    uri: str
    first_byte: int = 0
    byte_count: int | None = None


class RenditionReport(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-RENDITION-REPORT (rfc8216bis, 4.4.5.4); None is as in the playlist that holds it."""

    uri: str
    last_sequence: int | None = None
    last_part: int | None = None


class ServerControl(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-SERVER-CONTROL (rfc8216bis, 4.4.3.8)."""

    can_block_reload: bool = False
    can_skip_until_us: int | None = None  # None: no delta updates
    can_skip_date_ranges: bool = False
    hold_back_us: int | None = None
    part_hold_back_us: int | None = None


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-SKIP (rfc8216bis, 4.4.5.2): what a delta update leaves out."""

    segments: int
    removed_date_ranges: tuple[str, ...] | None = None  # None: it leaves out no date ranges
    line: int


class MediaSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One segment with all that applies to it."""

    place: int  # from 0, in this version of the playlist
    sequence: int  # media sequence number
    discontinuity_sequence: int
    uri: str
    duration_us: int
    title: str = ""
    byte_range: ByteRange | None = None
    map: InitSection | None = None
    keys: tuple[Key, ...] = ()  # alternatives: one of each KEYFORMAT
    is_discontinuity: bool = False
    is_gap: bool = False  # not there, and not to be asked for
    parts: tuple[Part, ...] = ()
    program_date_time_us: int | None = None  # since 1970; only where the playlist says it
    bitrate_kbps: int | None = None
    line: int  # of its URI


class ContentSteering(msgspec.Struct, frozen=True, kw_only=True):
    """EXT-X-CONTENT-STEERING (rfc8216bis, 4.4.6.6)."""

    server_uri: str  # absolute; http, https, or data
    pathway_id: str | None = None  # to begin with


class Multivariant(msgspec.Struct, frozen=True, kw_only=True):
    """A multivariant playlist ("master" in RFC 8216)."""

    url: str
    version: int = 1
    variants: tuple[Variant, ...] = ()
    renditions: tuple[Rendition, ...] = ()
    i_frame_streams: tuple[IFrameStream, ...] = ()
    session_data: tuple[SessionData, ...] = ()
    session_keys: tuple[Key, ...] = ()
    steering: ContentSteering | None = None
    start: Start | None = None
    is_independent: bool = False
    variables: dict[str, str] = {}  # for the media playlists that import them (EXT-X-DEFINE)
    unknown_tags: tuple[UnknownTag, ...] = ()
    layout: Layout


class MediaPlaylist(msgspec.Struct, frozen=True, kw_only=True):
    """A media playlist."""

    url: str
    version: int = 1
    target_duration_us: int
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    playlist_type: str | None = None  # VOD, EVENT
    has_end: bool = False  # EXT-X-ENDLIST
    is_i_frames_only: bool = False
    is_independent: bool = False
    start: Start | None = None
    segments: Sequence[MediaSegment] = ()
    parts: tuple[Part, ...] = ()  # of the segment that follows the last one
    part_target_us: int | None = None
    server_control: ServerControl | None = None
    preload_hints: tuple[PreloadHint, ...] = ()
    rendition_reports: tuple[RenditionReport, ...] = ()
    has_idle: bool = False  # a key or an init section is named and no segment goes with it
    variables: dict[str, str] = {}
    unknown_tags: tuple[UnknownTag, ...] = ()
    layout: Layout

    @property
    def is_live(self) -> bool:
        """Whether it may change, and so has to be loaded again."""
        return not self.has_end and self.playlist_type != "VOD"

    @property
    def duration_us(self) -> int:
        return sum(segment.duration_us for segment in self.segments)


Playlist = Multivariant | MediaPlaylist
