"""Streams in the shapes that packagers emit: sound apart, transport streams, ranges of one file, and DASH.

libav makes them out of what `make_stream` has encoded, without encoding again.  Only the texts of playlists are edited
here, where libav has no option for what others write.

    stream = sound_apart(folder)
    Origin(stream.folder)  # and stream.manifest in it
    stream.pieces          # what is to be played, by name
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Any

from shoal.app.demo.stream import StreamOptions, make_stream

from .manifests import AAC_FRAME_S
from .support import LIGHT, STREAMS

__all__ = [
    "LONG",
    "Shaped",
    "dash_periods",
    "dash_ranges",
    "dash_timeline",
    "one_file",
    "sound_apart",
    "transport_stream",
]

BRIEF = replace(LIGHT, seconds=6)
LONG = replace(LIGHT, seconds=60)  # to be on air: longer than a busy machine needs to begin and to play some of it
HALF = replace(LIGHT, seconds=3)  # of what has a discontinuity in the middle


@dataclass(frozen=True)
class Shaped:
    folder: Path
    manifest: str
    seconds: float
    # KIND RENDITION NUMBER -> what a player has to be given for it.  Of each kind it plays all numbers, some in one
    # rendition and some in another; the number may be a word for what it cannot do without.
    pieces: dict[str, bytes]
    widths: tuple[int, ...] = ()  # of the pictures one after another, where the player has no choice


def sound_apart(folder: Path, film: StreamOptions = BRIEF) -> Shaped:
    """HLS: two renditions of pictures, and the sound of both in a playlist of its own (EXT-X-MEDIA)."""
    options = {
        "hls_time": str(film.segment_seconds),
        "hls_playlist_type": "vod",
        "hls_segment_type": "fmp4",
        "hls_flags": "independent_segments",
        "var_stream_map": "v:0,agroup:a,name:hd v:1,agroup:a,name:sd a:0,agroup:a,default:yes,language:en,name:sound",
        "master_pl_name": "index.m3u8",
        "hls_fmp4_init_filename": "%v_init.mp4",
        "hls_segment_filename": str(folder / "%v_%03d.m4s"),
    }
    folder.mkdir()
    _mux(film, ("hd", "sd"), folder / "%v.m3u8", "hls", options)
    return Shaped(folder, "index.m3u8", film.seconds, _files(folder, {"hd": "video", "sd": "video", "sound": "audio"}))


def transport_stream(folder: Path) -> Shaped:
    """HLS: MPEG transport streams, with a discontinuity after which pictures have another size."""
    _mux_halves(folder, {"hls_segment_type": "mpegts"}, "{}_%03d.ts")
    return _of_halves(folder, _files(folder, {"hd": "first", "sd": "second"}))


def one_file(folder: Path) -> Shaped:
    """HLS: fMP4 as ranges of one file (EXT-X-BYTERANGE), and after a discontinuity of another."""
    texts = _mux_halves(folder, {"hls_segment_type": "fmp4", "hls_flags": "single_file"}, "{}.mp4")
    pieces: dict[str, bytes] = {}
    for (name, text), kind in zip(texts.items(), ("first", "second"), strict=True):
        data = (folder / f"{name}.mp4").read_bytes()
        for place, (length, begin) in enumerate(re.findall(r'BYTERANGE[:=]"?(\d+)@(\d+)', text)):
            pieces[f"{kind} {name} {place - 1 if place else 'init'}"] = data[int(begin) :][: int(length)]
    return _of_halves(folder, pieces)


def dash_timeline(folder: Path, film: StreamOptions = BRIEF) -> Shaped:
    """DASH: SegmentTemplate with a SegmentTimeline and $Time$, the sound in an AdaptationSet of its own."""
    options = {
        "seg_duration": str(film.segment_seconds),
        "use_template": "1",
        "use_timeline": "1",
        "init_seg_name": "s$RepresentationID$_init.mp4",
        "media_seg_name": "s$RepresentationID$_$Time%09d$.m4s",
    }
    _mux_dash(folder, film, options)
    return Shaped(folder, "index.mpd", film.seconds, _files(folder, {"s0": "video", "s1": "video", "s2": "audio"}))


def dash_ranges(folder: Path) -> Shaped:
    """DASH: SegmentBase, each representation a file with its index (sidx) ahead of the media."""
    options = {"use_template": "0", "single_file": "1", "global_sidx": "1"}
    _mux_dash(folder, BRIEF, options | {"single_file_name": "s$RepresentationID$.mp4"})
    manifest = folder / "index.mpd"
    text = manifest.read_text().replace("isoff-live", "isoff-on-demand")
    pieces: dict[str, bytes] = {}
    for rendition, kind in (("s0", "video"), ("s1", "video"), ("s2", "audio")):
        data = (folder / f"{rendition}.mp4").read_bytes()
        # libav writes an index, and lists all the same where in the file segments are.
        found = re.search(rf"(?s)(<BaseURL>{rendition}.mp4</BaseURL>\s*)(<SegmentList.*?</SegmentList>)", text)
        assert found, text
        (_, end), *media = [(int(first), int(last) + 1) for first, last in re.findall(r'ange="(\d+)-(\d+)"', found[2])]
        index = data.index(b"sidx") - 4
        base = f'<SegmentBase indexRange="{index}-{end - 1}"><Initialization range="0-{index - 1}"/></SegmentBase>'
        text = text.replace(found[0], found[1] + base)
        pieces |= {f"{kind} {rendition} init": data[:index], f"{kind} {rendition} index": data[index:end]}
        pieces |= {f"{kind} {rendition} {number}": data[begin:end] for number, (begin, end) in enumerate(media)}
    manifest.write_text(text)
    return Shaped(folder, manifest.name, BRIEF.seconds, pieces)


def dash_periods(folder: Path) -> Shaped:
    """DASH: two periods of other pictures, each with counted segments ($Number$) in a timeline and its sound apart."""
    folder.mkdir()
    texts = {}
    for name in ("hd", "sd"):
        place = folder / f"{name}.mpd"
        options = {
            "seg_duration": str(HALF.segment_seconds),
            "use_timeline": "1",
            "adaptation_sets": "id=0,streams=0 id=1,streams=1",
            "init_seg_name": f"{name}$RepresentationID$_init.mp4",
            "media_seg_name": f"{name}$RepresentationID$_$Number%03d$.m4s",
        }
        _mux(HALF, (name,), place, "dash", options)
        texts[name] = place.read_text()
    second = re.search("(?s)<Period.*</Period>", texts["sd"])
    assert second
    whole = texts["hd"].replace('start="PT0.0S"', f'duration="PT{HALF.seconds}S"')
    whole = whole.replace("</Period>", "</Period>" + second[0].replace('id="0" start="PT0.0S"', 'id="1"'))
    (folder / "index.mpd").write_text(_lasting(whole, 2 * HALF.seconds))
    kinds = {"hd0": "first-video", "hd1": "first-audio", "sd0": "second-video", "sd1": "second-audio"}
    return _of_halves(folder, _files(folder, kinds), "index.mpd")


def _of_halves(folder: Path, pieces: dict[str, bytes], manifest: str = "index.m3u8") -> Shaped:
    widths = tuple(each.width for each in HALF.renditions)
    return Shaped(folder, manifest, 2 * HALF.seconds, pieces, widths)


def _mux_halves(folder: Path, options: dict[str, str], name: str) -> dict[str, str]:
    """Both renditions one after the other in one playlist; returns what each has for itself."""
    folder.mkdir()
    options = {"hls_time": str(HALF.segment_seconds), "hls_playlist_type": "vod", **options}
    texts = {}
    for each, more in (("hd", {"master_pl_name": "index.m3u8"}), ("sd", {})):
        place = folder / f"{each}.m3u8"
        more["hls_segment_filename"] = str(folder / name.format(each))
        _mux(HALF, (each,), place, "hls", options | more)
        texts[each] = place.read_text()
    # Joined as text, which is what servers do that put something into a film.
    begin = re.search("#EXT-X-MAP|#EXTINF", texts["sd"])
    assert begin
    first = texts["hd"].replace("#EXT-X-ENDLIST", "#EXT-X-DISCONTINUITY")
    (folder / "hd.m3u8").write_text(first + texts["sd"][begin.start() :])
    return texts


def _mux_dash(folder: Path, film: StreamOptions, options: dict[str, str]) -> None:
    folder.mkdir()
    sets = {"adaptation_sets": "id=0,streams=0,1 id=1,streams=2"}
    _mux(film, ("hd", "sd"), folder / "index.mpd", "dash", options | sets)
    place = folder / "index.mpd"
    place.write_text(_lasting(place.read_text(), film.seconds))


def _lasting(mpd: str, seconds: int) -> str:
    # libav leaves the frame of sound before the first picture out of the length: manifests.py says what comes of it.
    duration = f'mediaPresentationDuration="PT{seconds + AAC_FRAME_S:.3f}S"'
    return re.sub(r'mediaPresentationDuration="[^"]*"', duration, mpd)


def _mux(options: StreamOptions, renditions: Sequence[str], target: Path, form: str, muxer: dict[str, str]) -> None:
    """The pictures of these renditions, and then the sound of the first, into whatever the muxer makes of them."""
    import av

    stream = make_stream(options, STREAMS)
    with ExitStack() as stack:
        # A demuxer gives packets of one file in turn: the sound is read from the first file, opened once more.
        names = [*renditions, renditions[0]]
        *films, sound = [stack.enter_context(av.open(str(stream.folder / f"{name}.m3u8"))) for name in names]
        inputs = [*(film.streams.video[0] for film in films), sound.streams.audio[0]]
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
    """Pieces that are files of their own: RENDITION_init.mp4, if any, and the others in the order of their names."""
    found: dict[str, bytes] = {}
    for rendition, kind in kinds.items():
        init = folder / f"{rendition}_init.mp4"
        media = sorted(set(folder.glob(f"{rendition}_*")) - {init})
        if init.exists():
            found[f"{kind} {rendition} init"] = init.read_bytes()
        found |= {f"{kind} {rendition} {number}": path.read_bytes() for number, path in enumerate(media)}
    return found
