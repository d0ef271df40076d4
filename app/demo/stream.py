"""Makes a real HLS stream once: H.264 and AAC in fMP4, two aligned renditions, and the hashes of every block.

The picture is a moving test pattern with a running clock, the sound a tone.
libav encodes and muxes; this module only chooses parameters, writes the
multivariant playlist around what came out (with measured bandwidths, RFC 8216,
4.3.4.2) and the sidecar of hashes.

A stream lives in a folder named after its parameters, so other parameters make
another folder.  It is built beside its place and renamed into it: a folder of
that name is always whole.  File names are unique over all renditions, so that a
base name alone says which file is meant.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from shoal.balancer import integrity

__all__ = ["Abandoned", "Rendition", "Stream", "StreamOptions", "cache_folder", "make_stream", "write_sidecar"]

PLAYLIST = "index.m3u8"
SIDECAR = "shoal-hashes.json"
MANIFEST = "stream.json"

_FORMAT = 1  # raise it when what is written for the same parameters changes
_AUDIO_RATE = 48_000


class Abandoned(Exception):
    """The making of a stream was given up, as its caller wished; nothing of it is left."""


@dataclass(frozen=True)
class Rendition:
    name: str  # prefix of all its files
    width: int
    height: int
    video_bits_per_s: int
    audio_bits_per_s: int = 96_000


@dataclass(frozen=True)
class StreamOptions:
    """What to encode.  The first rendition is the best one."""

    seconds: int = 36
    segment_seconds: int = 2
    frames_per_s: int = 25
    renditions: tuple[Rendition, ...] = field(
        default=(
            # 400 kB a segment: several 64 KiB blocks, so that a failover inside the body means something.
            Rendition("hd", 640, 360, 1_600_000),
            Rendition("sd", 320, 180, 400_000),
        )
    )


@dataclass(frozen=True)
class Stream:
    """A finished stream on disk."""

    folder: Path
    seconds: int
    segment_seconds: int
    playlist: str = PLAYLIST
    sidecar: str = SIDECAR

    @property
    def segment_count(self) -> int:
        """Segments of one rendition."""
        return -(-self.seconds // self.segment_seconds)


def cache_folder() -> Path:
    """Where streams are kept between runs (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoal"


def make_stream(
    options: StreamOptions | None = None,
    folder: Path | None = None,
    *,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Stream:
    """Return the stream for these options, encoding it if it is not in `folder` yet.

    Blocks for some seconds the first time; call it from a thread.  A thread cannot be
    cancelled, so `is_unwanted` is asked before each frame: True raises Abandoned.
    Several processes may do so at once: the first to finish wins, the others throw theirs away.
    """
    options = options or StreamOptions()
    home = folder or cache_folder()
    parameters = {"format": _FORMAT, **asdict(options)}
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]
    place = home / f"stream-{digest}"
    stream = Stream(place, options.seconds, options.segment_seconds)
    if _is_whole(place):
        return stream
    shutil.rmtree(place, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".stream-{digest}-", dir=home))
    try:
        _build(building, options, is_unwanted)
        (building / MANIFEST).write_text(json.dumps(parameters, indent=1))
        try:
            building.rename(place)
        except OSError:
            # Somebody else was faster; theirs is as good as ours.
            if not _is_whole(place):
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return stream


def write_sidecar(folder: Path) -> Path:
    """Write the hashes of all media files of `folder`, whole and block by block."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {".m4s", ".mp4"})
    path = folder / SIDECAR
    path.write_bytes(integrity.sidecar((name, (folder / name).read_bytes()) for name in names))
    return path


def _is_whole(place: Path) -> bool:
    """Whether every file is there at its right length; a cache is a place where people tidy up."""
    try:
        listed = json.loads((place / SIDECAR).read_bytes())["files"]
        return all((place / name).stat().st_size == entry["bytes"] for name, entry in listed.items()) and all(
            (place / name).exists() for name in (PLAYLIST, MANIFEST)
        )
    except (OSError, ValueError, KeyError):
        return False


def _build(folder: Path, options: StreamOptions, is_unwanted: Callable[[], bool]) -> None:
    # libav lets go of the interpreter while it encodes, so threads use both cores.
    with ThreadPoolExecutor(max_workers=2) as pool:
        codecs = list(pool.map(lambda rendition: _encode(folder, rendition, options, is_unwanted), options.renditions))
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rendition, codec in zip(options.renditions, codecs, strict=True):
        peak, average = _measured_bandwidth(folder, rendition)
        attributes = (
            f"BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
            f'CODECS="{codec}",RESOLUTION={rendition.width}x{rendition.height},'
            f"FRAME-RATE={options.frames_per_s}.000"
        )
        lines += [f"#EXT-X-STREAM-INF:{attributes}", f"{rendition.name}.m3u8"]
    (folder / PLAYLIST).write_text("\n".join(lines) + "\n")
    write_sidecar(folder)


def _encode(folder: Path, rendition: Rendition, options: StreamOptions, is_unwanted: Callable[[], bool]) -> str:
    """Encode and mux one rendition; the answer is its CODECS attribute (RFC 6381)."""
    import av
    import av.error
    import av.filter

    key_frame_every = options.frames_per_s * options.segment_seconds
    muxer = {
        "hls_time": str(options.segment_seconds),
        "hls_playlist_type": "vod",
        "hls_segment_type": "fmp4",
        "hls_flags": "independent_segments",
        "hls_fmp4_init_filename": f"{rendition.name}_init.mp4",
        "hls_segment_filename": str(folder / f"{rendition.name}_%03d.m4s"),
    }
    with av.open(str(folder / f"{rendition.name}.m3u8"), "w", format="hls", options=muxer) as output:
        video = output.add_stream("libx264", rate=options.frames_per_s)
        video.width, video.height, video.pix_fmt = rendition.width, rendition.height, "yuv420p"
        video.bit_rate = rendition.video_bits_per_s
        video.options = {
            "preset": "veryfast",
            "tune": "zerolatency",  # no B-frames: presentation order is decoding order, and segments cut cleanly
            "g": str(key_frame_every),
            "keyint_min": str(key_frame_every),
            "sc_threshold": "0",  # key frames at segment borders only, in every rendition
            "maxrate": str(rendition.video_bits_per_s),
            "bufsize": str(rendition.video_bits_per_s),
            "nal-hrd": "cbr",  # a test pattern compresses too well: filled up, so that transfers have a real size
        }
        audio = output.add_stream("aac", rate=_AUDIO_RATE)
        audio.bit_rate = rendition.audio_bits_per_s
        audio.layout = "stereo"
        picture = _source(
            av,
            "testsrc2",
            f"size={rendition.width}x{rendition.height}:rate={options.frames_per_s}:duration={options.seconds}",
            [("format", "pix_fmts=yuv420p"), ("buffersink", None)],
        )
        tone = _source(
            av,
            "sine",
            f"frequency=440:beep_factor=4:sample_rate={_AUDIO_RATE}:samples_per_frame=1024:duration={options.seconds}",
            [("aformat", "sample_fmts=fltp:channel_layouts=stereo"), ("abuffersink", None)],
        )
        _interleave(av, output, is_unwanted, (video, picture), (audio, tone))
    return _avc_codec(folder / f"{rendition.name}_init.mp4") + ",mp4a.40.2"


def _source(av: Any, name: str, arguments: str, rest: list[tuple[str, str | None]]) -> Any:
    """A filter graph that makes frames out of nothing."""
    graph = av.filter.Graph()
    last = graph.add(name, arguments)
    for filter_name, filter_arguments in rest:
        following = graph.add(filter_name, filter_arguments)
        last.link_to(following)
        last = following
    graph.configure()
    return graph


def _interleave(av: Any, output: Any, is_unwanted: Callable[[], bool], *pairs: tuple[Any, Any]) -> None:
    """Encode both sources side by side in time, as a muxer wants them; ends when both have ended."""
    at = {stream.index: Fraction(0) for stream, _ in pairs}
    running = list(pairs)
    while running:
        if is_unwanted():
            raise Abandoned("the stream is not wanted any more")
        stream, graph = pair = min(running, key=lambda p: at[p[0].index])
        try:
            frame = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            output.mux(stream.encode(None))
            running.remove(pair)
            continue
        at[stream.index] = frame.pts * frame.time_base
        if hasattr(frame, "pict_type"):
            frame.pict_type = 0  # the encoder decides which are key frames, not the test source
        output.mux(stream.encode(frame))


def _avc_codec(init: Path) -> str:
    """The avc1 name from the decoder configuration in the init section (ISO/IEC 14496-15, 5.3.3.1)."""
    data = init.read_bytes()
    at = data.index(b"avcC") + 4
    return "avc1." + data[at + 1 : at + 4].hex()


def _measured_bandwidth(folder: Path, rendition: Rendition) -> tuple[int, int]:
    """Peak and average bits per second of the segments as they are on disk."""
    playlist = (folder / f"{rendition.name}.m3u8").read_text()
    rows = re.findall(r"#EXTINF:([\d.]+),.*\n(\S+)", playlist)
    sizes = [(float(duration), (folder / name).stat().st_size * 8) for duration, name in rows]
    peak = max(bits / duration for duration, bits in sizes)
    average = sum(bits for _, bits in sizes) / sum(duration for duration, _ in sizes)
    return round(peak), round(average)
