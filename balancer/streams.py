"""Which stream each media playlist is to peers: the attributes that they make its name of (identity.py).

As p2p-media-loader's players take them from a multivariant playlist: hls.js gives
a variant's bandwidth, video codec, size, frame rate and range.
"""

from __future__ import annotations

from .formats.hls import Multivariant
from .identity import Stream, StreamType

__all__ = ["streams_of"]

# What hls.js calls a video codec, of those that HLS allows.
_VIDEO = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp09", "vp08", "mp4v")


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
