"""Which stream each media playlist is to peers: the attributes that they make its name of (identity.py).

As p2p-media-loader's players take them from a multivariant playlist: hls.js gives
a variant's bandwidth, video codec, size, frame rate and range.
"""

from __future__ import annotations

import msgspec

from .formats.hls import Multivariant, Variant
from .identity import Stream, StreamType

__all__ = ["Medium", "media_of", "streams_of"]

# What hls.js calls a video codec, of those that HLS allows.
_VIDEO = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp09", "vp08", "mp4v")


# What is sound and no picture.
_AUDIO = ("mp4a", "ac-3", "ec-3", "ac-4", "opus", "flac", "fLaC")
_RENDITION_TYPES = {"AUDIO": "a", "VIDEO": "v", "SUBTITLES": "tt"}


class Medium(msgspec.Struct, frozen=True):
    """What a media playlist holds, in the words of CMCD (CTA-5004-B, ot and br); empty where nobody says it."""

    object_type: str = ""  # v, a, av, tt
    kbps: int = 0  # 0: not known
    top_kbps: int = 0  # of the best variant


def media_of(playlist: Multivariant) -> dict[str, Medium]:
    """By the URI of the media playlist."""
    apart = {rendition.group_id for rendition in playlist.renditions if rendition.uri and rendition.type == "AUDIO"}
    top_kbps = max((variant.bandwidth for variant in playlist.variants), default=0) // 1_000
    media = {
        rendition.uri: Medium(_RENDITION_TYPES.get(rendition.type, ""))
        for rendition in playlist.renditions
        if rendition.uri is not None
    }
    media |= {stream.uri: Medium("v") for stream in playlist.i_frame_streams}
    for variant in playlist.variants:
        media[variant.uri] = Medium(_variant_type(variant, apart), variant.bandwidth // 1_000, top_kbps)
    return media


def _variant_type(variant: Variant, apart: set[str]) -> str:
    codecs = [codec.strip() for codec in (variant.codecs or "").split(",") if codec.strip()]
    if codecs and all(codec.startswith(_AUDIO) for codec in codecs):
        return "a"
    if variant.audio in apart:
        return "v"
    has_sound = not codecs or any(codec.startswith(_AUDIO) for codec in codecs)
    return "av" if has_sound else "v"


def streams_of(playlist: Multivariant) -> list[tuple[str, Stream, StreamType]]:
    """Every media playlist that is named, with the attributes under which peers know it."""
    rows = []
    for place, variant in enumerate(playlist.variants):
        size = variant.resolution
        stream = Stream(
            bandwidth=variant.bandwidth,
            codecs=_video_codecs(variant.codecs or ""),
            width=size.width if size else None,
            height=size.height if size else None,
            frame_rate=variant.frame_rate,
            video_range=variant.video_range or "",
            position=place,
        )
        rows.append((variant.uri, stream, StreamType.MAIN))
    for rendition in playlist.renditions:
        if rendition.uri is not None:
            stream = Stream(language=rendition.language or "", channels=rendition.channels or "", name=rendition.name)
            rows.append((rendition.uri, stream, StreamType.SECONDARY))
    rows.extend(
        (stream.uri, Stream(bandwidth=stream.bandwidth), StreamType.SECONDARY) for stream in playlist.i_frame_streams
    )
    return rows


def _video_codecs(codecs: str) -> str:
    """The video codec alone, since players of p2p-media-loader name a stream by that."""
    rows = [codec.strip() for codec in codecs.split(",")]
    return ",".join([codec for codec in rows if codec.lower().startswith(_VIDEO)] or rows)
