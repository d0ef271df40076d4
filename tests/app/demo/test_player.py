"""The demo's player plays what is right to its end, and says so when something is missing or late."""

import ast
import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.app.demo import origin as origin_module
from shoal.app.demo import player
from shoal.app.demo.origin import Fault, Origin
from shoal.app.demo.player import PlayerOptions, PlayerResult, play
from shoal.app.demo.stream import Stream

pytestmark = pytest.mark.real

AS_FAST_AS_IT_COMES = PlayerOptions(realtime=False)


def play_from_origin(stream: Stream, options: PlayerOptions, **settings) -> tuple[PlayerResult, Origin, list[dict]]:
    origin = Origin(stream.folder, **settings)
    events: list[dict] = []

    async def run() -> PlayerResult:
        await origin.start()
        try:
            return await asyncio.to_thread(play, f"{origin.url}/{stream.playlist}", options, events.append)
        finally:
            await origin.aclose()

    return asyncio.run(run()), origin, events


def test_every_picture_of_the_best_rendition_is_decoded(stream: Stream):
    result, origin, events = play_from_origin(stream, AS_FAST_AS_IT_COMES)
    assert result.ok
    assert result.frames == 25 * stream.seconds
    assert result.video_seconds == pytest.approx(stream.seconds)
    assert (result.width, result.height) == (640, 360)
    assert result.audio_frames > 0
    assert result.errors == []
    assert 0 < result.startup_ms < 60_000
    assert events[0]["event"] == "first-frame"
    fetched = {record.path for record in origin.requests}
    assert {f"hd_{number:03d}.m4s" for number in range(stream.segment_count)} <= fetched
    # libav opens the first segment of each variant and one ahead before it is told which to leave out.
    assert "sd_002.m4s" not in fetched


def test_in_real_time_pictures_are_shown_at_their_moment(stream: Stream):
    result, _, events = play_from_origin(stream, PlayerOptions(realtime=True, seconds=2.0))
    assert result.ok
    assert result.rebuffer_s == result.late_ready_s
    assert [event["event"] for event in events].count("progress") >= 2


def test_a_picture_that_comes_late_is_counted_as_rebuffering(stream: Stream, monkeypatch: pytest.MonkeyPatch):
    # The second half of the second segment is wanted 3 s after the start, and comes 6 s after it was asked for: the
    # start may take two seconds of that.
    monkeypatch.setattr(origin_module, "_PAUSE_S", 6.0)
    options = PlayerOptions(realtime=True, start_buffer_s=0.5, seconds=3.5)
    result, _, _ = play_from_origin(stream, options, schedule=[Fault("pause", 0.0, "hd_001.m4s")])
    assert 1.0 < result.rebuffer_s - result.late_ready_s < 6.0
    assert result.rebuffer_count >= 1


@pytest.mark.parametrize("kind", ["503", "truncate"])
def test_a_segment_left_out_is_not_a_success(stream: Stream, kind):
    result, _, _ = play_from_origin(stream, AS_FAST_AS_IT_COMES, schedule=[Fault(kind, 0.0, "hd_002.m4s")])
    assert not result.ok
    assert result.video_seconds < stream.seconds
    assert result.errors


def test_the_program_ends_with_one_json_object_and_an_exit_code(stream: Stream):
    command = [sys.executable, "-m", "shoal.app.demo.player", str(stream.folder / stream.playlist), "--json"]
    command.append("--no-realtime")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["event"], last["ok"]) == (0, "end", True)
    missing = subprocess.run([*command[:3], "/nowhere.m3u8", "--json"], capture_output=True, timeout=60, check=False)
    assert missing.returncode == 1
    assert json.loads(missing.stdout.splitlines()[-1])["errors"]


def test_the_player_imports_nothing_of_shoal():
    tree = ast.parse(Path(player.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    outside = {name.split(".")[0] for name in names | froms} - set(sys.stdlib_module_names)
    assert outside == {"av"}
    assert relative == []
