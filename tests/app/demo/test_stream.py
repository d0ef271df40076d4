"""The demo's stream is real HLS, made once, with the hashes of its blocks."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from shoal.app.demo.stream import Stream, StreamOptions, make_stream

pytestmark = pytest.mark.real


def test_every_segment_of_both_renditions_is_listed_and_there(stream: Stream):
    for name in ("hd", "sd"):
        playlist = (stream.folder / f"{name}.m3u8").read_text()
        listed = re.findall(r"^[^#\s].*$", playlist, re.MULTILINE)
        assert listed == [f"{name}_{number:03d}.m4s" for number in range(stream.segment_count)]
        assert f'#EXT-X-MAP:URI="{name}_init.mp4"' in playlist
        assert "#EXT-X-ENDLIST" in playlist
        assert all((stream.folder / each).exists() for each in listed)


def test_segments_of_the_renditions_have_the_same_durations(stream: Stream):
    durations = [re.findall(r"#EXTINF:([\d.]+)", (stream.folder / f"{name}.m3u8").read_text()) for name in ("hd", "sd")]
    assert durations[0] == durations[1] == ["2.000000"] * stream.segment_count


def test_the_multivariant_playlist_tells_the_measured_bandwidth(stream: Stream):
    text = (stream.folder / stream.playlist).read_text()
    peaks = [int(value) for value in re.findall(r":BANDWIDTH=(\d+)", text)]
    for peak, name in zip(peaks, ("hd", "sd"), strict=True):
        sizes = [path.stat().st_size for path in stream.folder.glob(f"{name}_*.m4s")]
        assert peak == pytest.approx(max(sizes) * 8 / stream.segment_seconds, rel=0.02)
    assert re.findall(r'CODECS="avc1\.[0-9a-f]{6},mp4a\.40\.2"', text)
    assert "RESOLUTION=640x360" in text


def test_hd_segments_have_more_than_two_blocks(stream: Stream):
    assert all(path.stat().st_size > 128 * 1024 for path in stream.folder.glob("hd_*.m4s"))


def test_the_sidecar_holds_the_hash_of_every_block_of_every_file(stream: Stream):
    sidecar = json.loads((stream.folder / stream.sidecar).read_text())
    assert sidecar["version"] == 1
    names = {path.name for path in stream.folder.iterdir() if path.suffix in {".m4s", ".mp4"}}
    assert set(sidecar["files"]) == names
    for name, entry in sidecar["files"].items():
        data = (stream.folder / name).read_bytes()
        size = sidecar["block_bytes"]
        blocks = [data[at : at + size] for at in range(0, len(data), size)]
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["blocks"] == [hashlib.sha256(block).hexdigest() for block in blocks]


def test_a_stream_is_made_once(stream: Stream):
    before = (stream.folder / "hd_000.m4s").stat().st_mtime_ns
    again = make_stream(StreamOptions(seconds=8), stream.folder.parent)
    assert again == stream
    assert (stream.folder / "hd_000.m4s").stat().st_mtime_ns == before


def test_other_parameters_make_another_stream_and_a_damaged_one_is_made_again(tmp_path: Path):
    short = StreamOptions(seconds=2)
    first = make_stream(short, tmp_path)
    (first.folder / "sd_000.m4s").write_bytes(b"cut")
    again = make_stream(short, tmp_path)
    assert again.folder == first.folder
    assert (again.folder / "sd_000.m4s").stat().st_size > 1000
    assert make_stream(StreamOptions(seconds=4), tmp_path).folder != first.folder
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()
