"""Streams in the shapes that packagers emit: sound apart, transport streams, ranges of one file, and DASH.

libav makes them out of what `make_stream` has encoded, without encoding again.  Only the texts of playlists are edited
here, where libav has no option for what others write.

    stream = sound_apart(folder)
    Origin(stream.folder)  # and stream.manifest in it
    stream.pieces          # what is to be played, by name
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Any

from shoal.app.demo.stream import Stream, StreamOptions, make_stream

from .manifests import AAC_FRAME_S
from .support import LIGHT, STREAMS

__all__ = ["Shaped", "dash_timeline", "sound_apart"]

BRIEF = replace(LIGHT, seconds=6)  # whole: 6 segments


@dataclass(frozen=True)
class Shaped:
    folder: Path
    manifest: str
    seconds: float
    pieces: dict[str, bytes]  # KIND RENDITION NUMBER -> what a player has to be given for it; KIND is audio or video


def sound_apart(folder: Path) -> Shaped:
    """HLS: two renditions of pictures, and the sound of both in a playlist of its own (EXT-X-MEDIA)."""
    options = {
        "hls_time": str(BRIEF.segment_seconds),
        "hls_playlist_type": "vod",
        "hls_segment_type": "fmp4",
        "hls_flags": "independent_segments",
        "var_stream_map": "v:0,agroup:a,name:hd v:1,agroup:a,name:sd a:0,agroup:a,default:yes,language:en,name:sound",
        "master_pl_name": "index.m3u8",
        "hls_fmp4_init_filename": "%v_init.mp4",
        "hls_segment_filename": str(folder / "%v_%03d.m4s"),
    }
    folder.mkdir()
    _mux(make_stream(BRIEF, STREAMS), BRIEF, folder / "%v.m3u8", "hls", options)
    return Shaped(folder, "index.m3u8", BRIEF.seconds, _files(folder, {"hd": "video", "sd": "video", "sound": "audio"}))


def dash_timeline(folder: Path) -> Shaped:
    """DASH: SegmentTemplate with a SegmentTimeline and $Time$, the sound in an AdaptationSet of its own."""
    options = {
        "seg_duration": str(BRIEF.segment_seconds),
        "use_template": "1",
        "use_timeline": "1",
        "init_seg_name": "s$RepresentationID$_init.mp4",
        "media_seg_name": "s$RepresentationID$_$Time%09d$.m4s",
    }
    _mux_dash(folder, options)
    return Shaped(folder, "index.mpd", BRIEF.seconds, _files(folder, {"s0": "video", "s1": "video", "s2": "audio"}))


def _mux_dash(folder: Path, options: dict[str, str]) -> None:
    folder.mkdir()
    sets = {"adaptation_sets": "id=0,streams=0,1 id=1,streams=2"}
    _mux(make_stream(BRIEF, STREAMS), BRIEF, folder / "index.mpd", "dash", options | sets)
    place = folder / "index.mpd"
    # libav leaves the frame of sound before the first picture out of the length: manifests.py says what comes of it.
    duration = f'mediaPresentationDuration="PT{BRIEF.seconds + AAC_FRAME_S:.3f}S"'
    place.write_text(re.sub(r'mediaPresentationDuration="[^"]*"', duration, place.read_text()))


def _mux(stream: Stream, options: StreamOptions, target: Path, form: str, muxer: dict[str, str]) -> None:
    """The pictures of all renditions, and then the sound of the first, into whatever the muxer makes of them."""
    import av

    with ExitStack() as stack:
        names = [f"{each.name}.m3u8" for each in options.renditions]
        sources = [stack.enter_context(av.open(str(stream.folder / name))) for name in names]
        # A demuxer gives packets of one file in turn: the sound is read from the first file, opened once more.
        sound = stack.enter_context(av.open(str(stream.folder / names[0])))
        inputs = [*(source.streams.video[0] for source in sources), sound.streams.audio[0]]
        output = stack.enter_context(av.open(str(target), "w", format=form, options=muxer))
        pairs = [(each, output.add_stream_from_template(each)) for each in inputs]
        for at_s, packet, to in merge(*(_packets(*pair) for pair in pairs), key=lambda row: row[0]):
            # The last frame of sound would be a segment of its own, after the pictures: Shaka asks for none such.
            if at_s < stream.seconds - AAC_FRAME_S:
                packet.stream = to
                output.mux(packet)


def _packets(source: Any, to: Any) -> Iterable[tuple[Any, Any, Any]]:
    for packet in source.container.demux(source):
        if packet.dts is not None:  # the last one, which is empty, has none
            yield packet.dts * packet.time_base, packet, to


def _files(folder: Path, kinds: dict[str, str]) -> dict[str, bytes]:
    """Pieces that are files of their own: RENDITION_init.mp4, and the others in the order of their names."""
    found: dict[str, bytes] = {}
    for rendition, kind in kinds.items():
        init = folder / f"{rendition}_init.mp4"
        media = sorted(set(folder.glob(f"{rendition}_*")) - {init})
        found[f"{kind} {rendition} init"] = init.read_bytes()
        found |= {f"{kind} {rendition} {number}": path.read_bytes() for number, path in enumerate(media)}
    return found
