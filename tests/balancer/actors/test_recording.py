"""A session's decisions, written down and made again."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.page_stream import PageRecording, PageStream
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError, RecordingError
from shoal.balancer.events import CdnAdded, FetchFromCdn, PeerJoined, ResourceRequested, TimePassed, WakeAt
from shoal.balancer.holders import holder_of
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.policy import Policy
from shoal.balancer.recording import BYTES_MAX, Compressed, RecordedPolicy, Recording, lines_of, replay
from shoal.runtime.testing import run_virtual

from .world import World, play

SALT = b"0123456789abcdef"


def recorded(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def swarm_with_a_polluter(folder: Path) -> list[Path]:
    """Three viewers, one of whom serves wrong bytes, at public addresses; the paths of what the others wrote."""
    paths = [folder / "one.jsonl", folder / "two.jsonl"]

    async def main() -> None:
        async with (
            World(seed=3) as world,
            world.viewer("polluter", in_swarm=True, tamper=lambda _, data: bytes(len(data)), address="9.9.9.9") as bad,
        ):
            assert (await play(bad, world.stream)).is_perfect
            async with world.viewer("one", in_swarm=True, address="8.8.8.8", record=str(paths[0])) as one:
                assert (await play(one, world.stream)).is_perfect
                async with world.viewer("two", in_swarm=True, address="8.8.4.4", record=str(paths[1])) as two:
                    assert (await play(two, world.stream)).is_perfect

    run_virtual(main())
    return paths


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return swarm_with_a_polluter(tmp_path_factory.mktemp("recordings"))


def test_every_action_of_a_session_in_a_swarm_with_a_polluter_is_taken_again(paths: list[Path]) -> None:
    for path in paths:
        again = replay(recorded(path))
        assert again.difference is None
        assert again.events_lost == 0
        assert again.events > 50
        assert again.actions > 20


def test_a_recording_names_no_machine_and_no_url_and_holds_no_media(paths: list[Path]) -> None:
    text = paths[1].read_text()
    assert "BanPeer" in paths[0].read_text() + text  # the polluter was met, and its address mattered
    assert "PeerJoined" in text
    for name in ("9.9.9.9", "8.8.8.8", "8.8.4.4", "http", ".m4s"):
        assert name not in text


def test_a_policy_that_decides_otherwise_is_shown_where(paths: list[Path]) -> None:
    lines = recorded(paths[0])
    place = next(i for i, line in enumerate(lines) if b'"FetchFromCdn"' in line)
    lines[place] = lines[place].replace(b'"why":"start"', b'"why":"explore"')
    difference = replay(lines).difference
    assert difference is not None
    assert difference.line == place + 1
    assert difference.recorded != difference.replayed


def test_a_debugger_is_called_before_each_event(paths: list[Path]) -> None:
    seen: list[int] = []
    again = replay(recorded(paths[0]), before_each=lambda _event, now_us: seen.append(now_us))
    assert len(seen) == again.events
    assert seen == sorted(seen)


@pytest.mark.parametrize("bytes_max", [3000, 3001, 4000])
def test_the_limit_cuts_the_end_off_and_says_how_much(bytes_max: int) -> None:
    lines: list[bytes] = []
    recording = Recording(lines.append, salt=SALT, bytes_max=bytes_max)
    policy = RecordedPolicy(BalancerConfig(), 7, recording)
    policy.handle(CdnAdded("one"), 0)
    for now_us in range(0, 100_000_000, 1_000_000):
        policy.handle(ResourceRequested(ResourceKey(0, Kind.MEDIA, now_us // 1_000_000)), now_us)
    recording.end()
    assert recording.events_lost > 0
    assert recording.events + recording.events_lost == 101
    assert sum(map(len, lines[:-1])) <= bytes_max
    again = replay(lines)
    assert (again.events, again.events_lost, again.difference) == (recording.events, recording.events_lost, None)
    assert again.lost_us == (1_000_000 * (recording.events - 1), 99_000_000)
    assert again.why_lost.startswith(f"the first {bytes_max} bytes are kept")
    last = msgspec.json.decode(lines[-1])
    assert (last["type"], last["events_lost"], last["why"]) == ("cut", recording.events_lost, again.why_lost)


def test_a_cut_of_before_it_said_why_is_read() -> None:
    again = replay([b'{"type":"session","config":{},"seed":1}\n', b'{"type":"cut","events_lost":3}\n'])
    assert (again.events_lost, again.lost_us, again.why_lost) == (3, None, "")


def test_addresses_keep_what_reputation_looks_at() -> None:
    lines: list[bytes] = []
    recording = Recording(lines.append, salt=SALT)
    addresses = ("8.8.8.8", "8.8.8.8", "1.1.1.1", "192.168.1.7", "2001:4860:4860::8888", "not an address", None)
    for number, address in enumerate(addresses):
        joined = PeerJoined(peer=f"p{number}", rendition=0, fingerprint="f", address=address)
        recording.note(joined, 0, [])
    written = [msgspec.json.decode(line)["event"]["address"] for line in lines]
    assert written[0] == written[1] != written[2]
    assert [w is not None and w.startswith("2a00:") for w in written] == [True, True, True, False, True, False, False]
    assert written[-1] is None


def test_addresses_of_one_holder_stay_together_and_no_others() -> None:
    lines: list[bytes] = []
    recording = Recording(lines.append, salt=SALT)
    real = ("2a02::1", "2a02::2", "2a02:0:0:1::1", "8.8.8.8", "::ffff:8.8.8.8", "fd00::1", "fd00::2", "fd00:0:0:1::1")
    for number, address in enumerate(real):
        recording.note(PeerJoined(peer=f"p{number}", rendition=0, fingerprint="f", address=address), 0, [])
    written = [msgspec.json.decode(line)["event"]["address"] for line in lines]
    assert len(set(written[:3])) == 3
    for one in range(len(real)):
        for other in range(len(real)):
            is_one = holder_of(real[one]) == holder_of(real[other])
            assert (holder_of(written[one]) == holder_of(written[other])) is is_one, (real[one], real[other])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "empty"),
        ([b"hello\n"], "line 1: .*--record"),
        ([b'{"type":"session","config":{},"seed":1,"version":99}\n'], "version 99"),
        ([b'{"type":"session","config":{},"seed":1}\n', b'{"type":"event","now_us":0}\n'], "line 2"),
        ([b'{"type":"session","config":{},"seed":1}\n', b" " * (16 * 1024 * 1024 + 1)], "at most"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_line(lines: list[bytes], says: str) -> None:
    with pytest.raises(RecordingError, match=says):
        replay(lines)


EVENTS = st.lists(
    st.one_of(
        st.builds(CdnAdded, st.sampled_from(["one", "two"])),
        st.builds(
            ResourceRequested, st.builds(ResourceKey, st.just(0), st.sampled_from(list(Kind)), st.integers(0, 9))
        ),
        st.builds(PeerJoined, peer=st.sampled_from(["p", "q"]), rendition=st.just(0), address=st.just("8.8.8.8")),
        st.builds(TimePassed),
    ),
    max_size=30,
)


@given(EVENTS, st.lists(st.integers(0, 2_000_000), min_size=30, max_size=30), st.integers(0, 2**63 - 1))
def test_any_history_kept_in_memory_is_decided_again_from_its_file(events: list, steps: list[int], seed: int) -> None:
    kept = Compressed()
    recording = Recording(kept.write, salt=SALT)
    policy = RecordedPolicy(BalancerConfig(), seed, recording)
    now_us, middle = 0, b""
    for number, (event, step_us) in enumerate(zip(events, steps, strict=False)):
        if number == len(events) // 2:
            middle = kept.file(recording.last_line())  # and it goes on
        now_us += step_us
        policy.handle(event, now_us)
    again = replay(lines_of(io.BytesIO(kept.file(recording.last_line()))))
    assert (again.events, again.events_lost, again.difference) == (len(events), 0, None)
    if events:
        assert replay(lines_of(io.BytesIO(middle))).events == len(events) // 2


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_is_read_line_by_line_compressed_or_not(paths: list[Path], wrap) -> None:
    assert list(lines_of(io.BytesIO(wrap(paths[0].read_bytes())))) == recorded(paths[0])


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: half(gzip.compress(bytes(range(256)) * 100)), "copied"),
        (lambda: b"\x1f\x8b" + b"nothing of the kind", "copied"),
        (lambda: gzip.compress(bytes(17 * 1024 * 1024), 1), "line 1: .* at most"),
        (
            lambda: gzip.compress((bytes(999_999) + b"\n") * (BYTES_MAX // 1_000_000 + 20), 1),
            "line 84: no recording has",
        ),
    ],
    ids=["half a file", "no gzip", "one long line", "too much of it"],
)
def test_a_file_that_is_broken_or_a_bomb_is_refused_in_words(data: Callable[[], bytes], says: str) -> None:
    lines = lines_of(io.BytesIO(data()))
    with pytest.raises(RecordingError, match=says):
        list(lines)


def test_a_page_s_stream_gives_its_recording_while_it_runs() -> None:
    recording = PageRecording()
    files: list[bytes] = []

    async def main() -> None:
        async with World() as world, world.viewer(recording=recording.recording) as session:
            stream = PageStream(session, recording)
            assert await stream.learn() == len(world.stream.files())
            for segment in (await session.playlist(0)).segments[:3]:
                assert await stream.read(segment.uri) == world.stream.segments[segment.key.number]
                files.append(stream.recording())
            with pytest.raises(ConfigurationError, match="not recorded"):
                PageStream(session).recording()

    run_virtual(main())
    again = [replay(lines_of(io.BytesIO(file))) for file in files]
    assert [one.difference for one in again] == [None] * 3
    assert 0 < again[0].events < again[1].events < again[2].events


def test_a_recorded_policy_decides_as_any_other() -> None:
    plain, noted = Policy(BalancerConfig(), 1), RecordedPolicy(BalancerConfig(), 1, Recording(len, salt=SALT))
    events = [CdnAdded("one"), ResourceRequested(ResourceKey(0, Kind.MEDIA, 1)), TimePassed()]
    actions = [(plain.handle(event, 5), noted.handle(event, 5)) for event in events]
    assert all(one == other for one, other in actions)
    assert any(isinstance(action, FetchFromCdn | WakeAt) for one, _ in actions for action in one)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with World() as world, world.viewer(record=str(tmp_path / "no" / "where.jsonl")):
            pass

    with pytest.raises(ConfigurationError, match=r"--record .*where.jsonl"):
        run_virtual(main())
