"""A live playlist loaded again gives what a whole reading of it gives, and reads no more of it than is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistError, PlaylistTooLarge
from shoal.balancer.formats.hls import (
    Catalogue,
    Limits,
    Load,
    MediaPlaylist,
    MediaSegment,
    Multivariant,
    Reload,
    Resources,
    UriKind,
    edge_of,
    parse,
    rewrite,
)
from shoal.balancer.formats.hls.naming import NAMES_MAX
from shoal.balancer.model import ByteRange, Kind, Segment

from ....effort import EFFORT

URL = "https://cdn.example/v/main.m3u8?token=1"
HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{}\n"
MAP = '#EXT-X-MAP:URI="init.mp4"\n'
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="key{}"\n'
KEY_OF_ANOTHER = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="drm{}",KEYFORMAT="com.fairplay"\n'


def path(segment: Segment) -> str:
    return f"/{segment.key.kind.value}/0/{segment.key.number}/x"


def plain(number: int) -> str:
    return f"#EXTINF:6.0,\nsegment_{number}.m4s\n"


def dated(number: int) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n{plain(number)}"


def text(first: int, count: int, row: Callable[[int], str] = plain, head: str = HEAD + MAP) -> bytes:
    return (head.format(first) + "".join(map(row, range(first, first + count)))).encode()


class Whole:
    """What it must give: each load read as a whole."""

    def __init__(self) -> None:
        self._catalogue = Catalogue(0)
        self.before: MediaPlaylist | None = None

    def take(self, data: bytes, url: str = URL) -> tuple[Resources, bytes, dict[str, int]]:
        playlist = parse(data, url, before=self.before)
        assert isinstance(playlist, MediaPlaylist)
        self.before = playlist
        resources = self._catalogue.update(playlist)
        paths: dict[tuple[Kind, str, ByteRange | None], str] = {}
        for one in (*resources.inits, *resources.keys, *resources.media):
            paths.setdefault((one.key.kind, one.uri, one.byte_range), path(one))
        parts = {(one.uri, offset(one.byte_range)): path(one) for one in (*resources.parts, *resources.hinted)}
        kinds = {UriKind.SEGMENT: Kind.MEDIA, UriKind.MAP: Kind.INIT, UriKind.KEY: Kind.KEY}

        def name(kind: UriKind, uri: str, part: ByteRange | None) -> str | None:
            if kind in {UriKind.PART, UriKind.PRELOAD_HINT}:
                return parts[uri, offset(part)]
            if kind is UriKind.RENDITION_REPORT:
                return report(uri)
            return paths.get((kinds[kind], uri, part), uri) if kind in kinds else uri

        rewritten = rewrite(playlist, name)
        return resources, rewritten.data, rewritten.dropped


def offset(part: ByteRange | None) -> int:
    return 0 if part is None else part.offset


def report(url: str) -> str | None:
    return None if "unknown" in url else f"/reported/{len(url)}.m3u8"


def without_lines(segments: Sequence[MediaSegment]) -> list[MediaSegment]:
    return [
        msgspec.structs.replace(
            one, line=0, place=0, parts=tuple(msgspec.structs.replace(part, line=0) for part in one.parts)
        )
        for one in segments
    ]


class Both:
    """One beside the other."""

    def __init__(self) -> None:
        self.reload = Reload(0, path, report)
        self.whole = Whole()
        self.slides = 0
        self.last: Load | None = None

    def load(self, data: bytes, url: str = URL) -> None:
        loaded = self.reload.read(data, url, before=self.last)
        assert isinstance(loaded, Load)
        self.slides += loaded.slide is not None
        playlist = parse(data, url, before=self.whole.before)
        assert isinstance(playlist, MediaPlaylist)
        assert loaded.edge == edge_of(playlist)
        assert without_lines(loaded.newest) == without_lines(playlist.segments[-2:])
        assert without_lines(loaded.whole().segments) == without_lines(playlist.segments)
        for field in SAID_OF_THE_WHOLE:
            assert getattr(loaded.playlist, field) == getattr(playlist, field), field
        update = self.reload.take(loaded)
        assert (update.resources, update.rewritten.data, update.rewritten.dropped) == self.whole.take(data, url)
        self.last = loaded


SAID_OF_THE_WHOLE = (
    *("is_live", "media_sequence", "discontinuity_sequence", "part_target_us", "playlist_type", "server_control"),
    *("start", "target_duration_us", "version", "preload_hints", "rendition_reports"),
)


@pytest.mark.parametrize("row", [plain, dated])
@pytest.mark.parametrize("head", [HEAD, HEAD + MAP, HEAD + MAP + KEY.format(1)])
def test_a_window_that_slides_is_read_at_its_end_only(row: Callable[[int], str], head: str) -> None:
    both = Both()
    for first in (0, 1, 1, 3, 9, 10, 80, 81, 130):
        both.load(text(first, 100, row, head))
    assert both.slides == 8


def test_a_list_that_only_grows_is_read_at_its_end_only() -> None:
    both = Both()
    for count in (50, 51, 51, 60):
        both.load(text(7, count))
    assert both.slides == 3


@pytest.mark.parametrize(
    "other",
    [
        text(101, 100, head=HEAD + '#EXT-X-MAP:URI="other.mp4"\n'),  # another init section
        text(101, 100, head=HEAD.replace("TARGETDURATION:6", "TARGETDURATION:7") + MAP),
        text(99, 100),  # older
        text(150, 100),  # nothing that was there before
        text(300, 100),
        text(101, 100, lambda number: plain(number + 1)),  # other segments under these numbers
        text(101, 100) + b"#EXT-X-ENDLIST\n",
        text(101, 100) + b"#EXT-X-DISCONTINUITY\n" + plain(201).encode(),
        text(101, 100) + KEY.format(2).encode() + plain(201).encode(),
        text(101, 100) + b"#EXT-X-GAP\n" + plain(201).encode(),
        text(101, 100) + b"#EXTINF:6,\n#EXT-X-BYTERANGE:10@0\nsegment_201.m4s\n",
        text(101, 100) + plain(150).encode(),  # the same name twice
        text(101, 100) + plain(201).encode() * 2,
        text(101, 100) + b"# a comment\n" + plain(201).encode(),
        text(101, 100).replace(b"\n", b"\r\n"),
        text(101, 100) + b"#EXT-X-UNKNOWN:1\n",
        text(101, 100, head=HEAD + MAP + "#EXT-X-GAP\n"),
        text(101, 100, head=HEAD + MAP + "#EXT-X-DISCONTINUITY\n"),
        text(101, 3),
    ],
)
def test_whatever_else_comes_is_read_as_a_whole_and_so_is_what_follows_it(other: bytes) -> None:
    both = Both()
    both.load(text(99, 100))
    both.load(text(100, 100))
    both.load(other)
    both.load(text(102, 100))
    both.load(text(103, 100))
    assert both.slides >= 1


ROWS_OF: dict[str, Callable[[int], str]] = {
    "keys": lambda n: (KEY.format(n // 10) if n % 10 == 0 else "") + plain(n),
    "a key each": lambda n: KEY.format(n) + plain(n),
    "keys of several systems": lambda n: KEY.format(n) + KEY_OF_ANOTHER.format(n // 3) + plain(n),
    "discontinuities": lambda n: ("#EXT-X-DISCONTINUITY\n" if n % 5 == 0 else "") + plain(n),
    "init sections": lambda n: (f'#EXT-X-MAP:URI="init{n // 7}.mp4"\n' if n % 7 == 0 else "") + plain(n),
    "ranges": lambda n: f"#EXTINF:6.0,\n#EXT-X-BYTERANGE:100@{100 * n}\nfile.m4s\n",
    "ranges that go on": lambda n: f"#EXTINF:6.0,\n#EXT-X-BYTERANGE:100{'' if n % 9 else '@0'}\nfile{n // 9}.m4s\n",
    "dates": dated,
    "gaps": lambda n: ("#EXT-X-GAP\n" if n % 6 == 0 else "") + plain(n),
    "bit rates": lambda n: f"#EXT-X-BITRATE:{1000 + n % 4}\n" + plain(n),
    "date ranges": lambda n: f'#EXT-X-DATERANGE:ID="{n}",START-DATE="2026-01-01T00:00:00Z"\n' + plain(n),
    "comments": lambda n: f"# {n}\n\n" + plain(n),
}


def restated(number: int, row: Callable[[int], str]) -> str:
    """What segments before this one leave in force, as a server says it again above its first segment."""
    said: dict[str, str] = {}
    for line in "".join(map(row, range(number))).split("\n"):
        tag = line.partition(":")[0]
        if tag in {"#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-BITRATE"}:
            said[tag + ("fps" if "fairplay" in line else "")] = f"{line}\n"
    again = row(number)
    return "".join(line for line in said.values() if line.partition(":")[0] not in again)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ROWS_OF)
def test_whatever_tags_a_window_has_it_is_read_at_its_ends_only(kind: str, ending: str) -> None:
    both, row = Both(), ROWS_OF[kind]
    for first in (9, 10, 11, 11, 13, 14, 18, 45):
        shown = restated(first, row) + "".join(map(row, range(first, first + 90)))
        passed = "".join(map(row, range(first))).count("DISCONTINUITY")
        head = HEAD.format(first) + f"#EXT-X-DISCONTINUITY-SEQUENCE:{passed}\n"
        if kind == "ranges that go on" and first % 9:
            shown = shown.replace("BYTERANGE:100\n", f"BYTERANGE:100@{100 * (first % 9)}\n", 1)
        both.load((head + shown).replace("\n", ending).encode())
    assert both.slides == 7


def test_of_two_that_were_read_the_second_may_be_taken_after_the_first() -> None:
    both, other = Both(), text(102, 100)
    both.load(text(100, 100))
    early = both.reload.read(other, URL)
    both.load(text(101, 100))
    assert isinstance(early, Load)
    update = both.reload.take(early)
    assert (update.resources, update.rewritten.data, update.rewritten.dropped) == both.whole.take(other)


def test_limits_hold_for_the_whole_and_errors_name_the_line_in_it() -> None:
    reload = Reload(0, path)
    loaded = reload.read(text(0, 100), URL)
    assert isinstance(loaded, Load)
    reload.take(loaded)
    with pytest.raises(PlaylistTooLarge, match="segments_max"):
        reload.read(text(1, 100), URL, limits=Limits(segments_max=99))
    with pytest.raises(PlaylistTooLarge, match="playlist_bytes_max"):
        reload.read(text(1, 100), URL, limits=Limits(playlist_bytes_max=2000))
    with pytest.raises(PlaylistError, match="line 207"):
        reload.read(text(1, 100) + b"#EXTINF:6,\n#EXTINF:6,\nx.m4s\n", URL)


def test_a_multivariant_playlist_is_given_back_as_it_is() -> None:
    data = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain.m3u8\n"
    assert isinstance(Reload(0, path).read(data, URL), Multivariant)


LOW_LATENCY = (
    "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n"
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,PART-HOLD-BACK=3\n"
)


def low_latency(first: int, end: int, parts: int, *, skipped: int = 0, kind: str = "files", hint: bool = True) -> bytes:
    """Segments `first` to `end`, of which the last three have their parts, and `parts` of the one that follows."""

    def part(number: int, place: int) -> str:
        match kind:
            case "ranges":
                return f'#EXT-X-PART:DURATION=1,URI="segment_{number}.m4s",BYTERANGE="10@{10 * place}"\n'
            case "ranges that go on":
                return f'#EXT-X-PART:DURATION=1,URI="segment_{number}.m4s",BYTERANGE="10"\n'
        return f'#EXT-X-PART:DURATION=1,URI="part_{number}.{place}.m4s"{",INDEPENDENT=YES" if not place else ""}\n'

    text = LOW_LATENCY + f"#EXT-X-MEDIA-SEQUENCE:{first}\n"
    if skipped:
        text += f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n"
    text += '#EXT-X-MAP:URI="init.mp4"\n' if not skipped else ""
    for number in range(first + skipped, end):
        if number >= end - 3:
            text += "".join(part(number, place) for place in range(4))
        text += f"#EXTINF:4,\nsegment_{number}.m4s\n"
    text += "".join(part(end, place) for place in range(parts))
    if hint:
        start = "" if kind == "files" else f",BYTERANGE-START={10 * parts}"
        file = f"part_{end}.{parts}.m4s" if kind == "files" else f"segment_{end}.m4s"
        text += f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{file}"{start}\n'
    text += f'#EXT-X-RENDITION-REPORT:URI="../other.m3u8",LAST-MSN={end},LAST-PART={parts}\n'
    return (text + '#EXT-X-RENDITION-REPORT:URI="../unknown.m3u8"\n').encode()


@pytest.mark.parametrize("kind", ["files", "ranges", "ranges that go on"])
def test_of_a_window_with_parts_the_new_ones_are_read_and_those_that_lost_theirs(kind: str) -> None:
    both = Both()
    for step in range(16):
        end, parts = 100 + step // 4, step % 4
        both.load(low_latency(end - 90, end, parts, kind=kind), f"{URL}&_HLS_msn={end}&_HLS_part={parts}")
    assert both.slides == 15


def test_a_delta_update_is_read_as_what_it_says() -> None:
    both = Both()
    both.load(low_latency(10, 100, 0))
    for step in range(1, 16):
        end, parts = 100 + step // 4, step % 4
        both.load(low_latency(end - 90, end, parts, skipped=80), f"{URL}&_HLS_msn={end}&_HLS_skip=YES")
    both.load(low_latency(14, 104, 0))
    assert both.slides == 16


def test_what_is_remembered_of_a_window_ends_with_it() -> None:
    reload = Reload(0, path)
    for first in range(0, 4000, 20):
        loaded = reload.read(text(first, 100, ROWS_OF["a key each"]), URL)
        assert isinstance(loaded, Load)
        reload.take(loaded)
    assert loaded.slide is not None
    assert len(reload._catalogue._known) == len(loaded.slide.window) == 100
    assert len(reload._catalogue._names) == 100 + 1 + NAMES_MAX
    assert len(loaded.slide.window._names) == 100


def test_a_key_that_no_segment_goes_with_has_no_path_until_one_does() -> None:
    both = Both()

    def row(number: int) -> str:
        return (KEY.format("a") + KEY.format("b") if number == 50 else KEY.format("a" if number > 60 else "b")) + plain(
            number
        )

    for first in (0, 1, 2, 20, 21, 51):
        both.load(text(first, 60, row, HEAD))


TAGS = ("key", "drm", "no key", "map", "discontinuity", "gap", "range", "going on", "date", "rate", "cue", "comment")


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[bytes, str]]:
    """Loads of one stream whose segments have what segments may have, from a server that is sometimes wrong."""
    kinds = draw(st.lists(st.sampled_from(TAGS), max_size=4, unique=True))
    odd = draw(st.dictionaries(st.integers(0, 80), st.sampled_from([*TAGS, "same name", "idle key"]), max_size=4))
    every = draw(st.sampled_from([1, 2, 7, 30]))
    has_parts = draw(st.booleans())

    def row(number: int, *, parts: bool) -> str:
        what = {*(kinds if number % every == 0 else ()), odd.get(number, "")}
        uri, said = f"segment_{number}.m4s", ""
        said += KEY.format(number % 5) if "key" in what else ""
        said += KEY.format(number) + KEY.format("x") if "idle key" in what else ""
        said += KEY_OF_ANOTHER.format(number % 3) if "drm" in what else ""
        said += "#EXT-X-KEY:METHOD=NONE\n" if "no key" in what else ""
        said += f'#EXT-X-MAP:URI="init{number % 2}.mp4"\n' if "map" in what else ""
        said += "#EXT-X-DISCONTINUITY\n" if "discontinuity" in what else ""
        said += "#EXT-X-GAP\n" if "gap" in what else ""
        said += "#EXT-X-CUE-OUT:10\n" if "cue" in what else ""
        said += "# a comment\n" if "comment" in what else ""
        said += f"#EXT-X-BITRATE:{number % 3}\n" if "rate" in what else ""
        if parts:
            said += "".join(
                f'#EXT-X-PART:DURATION=3,URI="part_{number}.{place}.m4s"\n' for place in range(1 + number % 3)
            )
        said += f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n" if "date" in what else ""
        if "range" in what or "going on" in what:
            is_first = "range" in what
            said += f"#EXT-X-BYTERANGE:10@{10 * number}\n" if is_first else "#EXT-X-BYTERANGE:10\n"
            uri = "file.m4s"
        if "same name" in what:
            uri = f"segment_{max(0, number - 7)}.m4s"
        return f"{said}#EXTINF:6.0,{'a title' if number % 4 == 0 else ''}\n{uri}\n"

    loads: list[tuple[bytes, str]] = []
    first, count = 0, draw(st.sampled_from([40, 25]))
    for _ in range(draw(st.integers(2, 7))):
        first = max(0, first + draw(st.sampled_from([0, 1, 1, 1, 2, 5, 30, -3])))
        count = draw(st.sampled_from([count, count, count, count + 1, count - 3, 20, 0]))
        end = first + count
        head = draw(st.sampled_from([HEAD, HEAD, HEAD + MAP, HEAD + KEY.format(1)])).format(first)
        if draw(st.booleans()):
            passed = sum(row(number, parts=False).count("#EXT-X-DISCONTINUITY\n") for number in range(first))
            head += f"#EXT-X-DISCONTINUITY-SEQUENCE:{passed}\n"
        if draw(st.booleans()):
            head += restated(first, lambda number: row(number, parts=False)) if count else ""
        shown = head + "".join(row(number, parts=has_parts and number >= end - 3) for number in range(first, end))
        if has_parts:
            coming = draw(st.integers(0, 2))
            shown += "".join(f'#EXT-X-PART:DURATION=3,URI="part_{end}.{place}.m4s"\n' for place in range(coming))
            shown += f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_{end}.{coming}.m4s"\n'
        shown += draw(st.sampled_from(["", "", "", KEY.format(3), "#EXT-X-UNKNOWN:1\n", "#EXT-X-ENDLIST\n"]))
        query = draw(st.sampled_from(["", "&a=1"]))
        loads.append((shown.encode(), URL + query))
    return loads


def is_right(data: bytes, url: str) -> bool:
    try:
        return isinstance(parse(data, url), MediaPlaylist)
    except PlaylistError:
        return False


@settings(max_examples=150 * EFFORT, deadline=None)
@given(histories())
def test_any_history_gives_what_whole_readings_give(loads: list[tuple[bytes, str]]) -> None:
    both = Both()
    for data, url in loads:
        if is_right(data, url):
            both.load(data, url)
        else:
            with pytest.raises(PlaylistError):
                both.reload.read(data, url)


@settings(max_examples=60 * EFFORT, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 0, 20, 60, 83, 88])),
        min_size=2,
        max_size=12,
    )
)
def test_any_history_of_parts_and_updates_gives_what_whole_readings_give(steps: list[tuple[int, int, int]]) -> None:
    both, end = Both(), 100
    both.load(low_latency(10, end, 0))
    for further, parts, skipped in steps:
        end += further
        both.load(low_latency(end - 90, end, parts, skipped=min(skipped, 90 - further)))
