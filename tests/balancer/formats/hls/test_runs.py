"""Long playlists, whose plain segments are kept as text: the same values, the same refusals, the same rewriting."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import ConfigurationError, PlaylistError, PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.formats.hls import Catalogue, Limits, MediaPlaylist, parse, rewrite
from shoal.balancer.formats.hls.runs import BLOCK, Run
from shoal.balancer.formats.hls.segments import Segments
from shoal.balancer.formats.hls.tokenizer import Line
from shoal.balancer.model import ByteRange

URL = "https://cdn.example/v/main.m3u8?token=1"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:7\n"


def plain(count: int, first: int = 0) -> str:
    return "".join(
        f"#EXTINF:6.{number % 3}, a title \nsegment_{number:05}.m4s\n" for number in range(first, first + count)
    )


DATE = "#EXT-X-PROGRAM-DATE-TIME:"
MOMENT = "2026-02-28T23:59:59.040+02:00"


def dated(count: int, first: int = 0, *, within: bool = False) -> str:
    """The same with a date for each segment, above its EXTINF or below."""
    rows = plain(count, first).split("\n")
    dates = [f"{DATE}2026-01-{number % 31 + 1:02}T00:{number % 60:02}:07.25Z" for number in range(count)]
    pairs = zip(dates, rows[::2], rows[1::2], strict=False)
    return "".join(f"{row}\n{date}\n{name}\n" if within else f"{date}\n{row}\n{name}\n" for date, row, name in pairs)


def read(text: str, **limits: int) -> MediaPlaylist:
    playlist = parse(text.encode(), URL, limits=Limits(**limits))
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def line_by_line(text: str) -> str:
    """The same playlist, in which nothing is taken for plain."""
    return text.replace("\n", "\r\n")


def runs(playlist: MediaPlaylist) -> int:
    return sum(isinstance(item, Run) for item in playlist.layout.items)


def assert_same(text: str) -> MediaPlaylist:
    short, long = read(text), read(line_by_line(text))
    assert runs(long) == 0
    assert list(short.segments) == list(long.segments)
    assert short.segments == long.segments
    assert [line.text for line in short.layout.lines] == [line.text for line in long.layout.lines]
    assert [line.number for line in short.layout.lines] == list(range(1, len(short.layout.lines) + 1))

    def name(kind: object, uri: str, part: object) -> str:
        return f"/{kind}/{uri[-20:]}/{part}".replace(" ", "")

    assert rewrite(short, name).data == rewrite(long, name).data.replace(b"\r\n", b"\n")
    assert Catalogue(3).update(short) == Catalogue(3).update(long)
    return short


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7])
def test_a_long_playlist_says_what_it_says_line_by_line(count: int) -> None:
    playlist = assert_same(HEAD + plain(count) + "#EXT-X-ENDLIST\n")
    assert len(playlist.segments) == count
    assert runs(playlist) == (count >= BLOCK)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7])
def test_dates_do_not_make_a_long_playlist_less_plain(count: int, within: bool) -> None:
    playlist = assert_same(HEAD + dated(count, within=within) + "#EXT-X-ENDLIST\n")
    assert len(playlist.segments) == count
    assert all(segment.program_date_time_us is not None for segment in playlist.segments)
    assert runs(playlist) == (count >= BLOCK)


ROWS = {
    "D": "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T00:00:{1:02}.5Z\n",
    "E": "#EXTINF:6.0,\n",
    "R": "#EXT-X-BYTERANGE:{1}7@{0}00\n",
}


@pytest.mark.parametrize("rows", ["ER", "RE", "DER", "EDR", "ERD", "DRE", "RDE", "RED"])
def test_byte_ranges_do_not_make_it_less_plain_wherever_they_stand(rows: str) -> None:
    shown = "".join("".join(ROWS[row] for row in rows).format(n, n % 59 + 1) + "main.m4s\n" for n in range(100))
    playlist = assert_same(HEAD + shown + "#EXT-X-ENDLIST\n")
    assert runs(playlist) == 1
    assert playlist.segments[7].byte_range == ByteRange(700, 87)


def test_a_range_that_goes_on_goes_on_behind_a_run() -> None:
    ranges = "".join(f"#EXTINF:6,\n#EXT-X-BYTERANGE:10@{10 * n}\nmain.m4s\n" for n in range(3 * BLOCK))
    on = "#EXTINF:6,\n#EXT-X-BYTERANGE:5\nmain.m4s\n"
    playlist = assert_same(HEAD + ranges + on + plain(2 * BLOCK))
    assert playlist.segments[3 * BLOCK].byte_range == ByteRange(30 * BLOCK, 5)
    for each in (HEAD + ranges + plain(2 * BLOCK) + on, HEAD + ranges + on.replace("main", "other")):
        for text in (each, line_by_line(each)):
            with pytest.raises(PlaylistMalformed, match="no offset"):
                read(text)


@pytest.mark.parametrize("said", ["0@5", "9223372036854775807@9", "x@1"])
def test_a_range_that_there_is_not_is_refused_in_its_line(said: str) -> None:
    text = HEAD + "".join(f"#EXTINF:6,\n#EXT-X-BYTERANGE:10@{n}0\nmain.m4s\n" for n in range(2 * BLOCK))
    text += f"#EXTINF:6,\n#EXT-X-BYTERANGE:{said}\nmain.m4s\n"
    for each in (text, line_by_line(text)):
        with pytest.raises(PlaylistMalformed, match="BYTERANGE") as refusal:
            read(each)
        assert refusal.value.line == 3 + 6 * BLOCK + 2


@pytest.mark.parametrize("tag", ["#EXT-X-DISCONTINUITY\n", "#EXT-X-GAP\n", '#EXT-X-PART:DURATION=1,URI="p"\n'])
def test_a_run_begins_behind_a_segment_of_which_more_is_said(tag: str) -> None:
    playlist = assert_same(HEAD + plain(40) + tag + plain(1 + 2 * BLOCK, 40))
    assert runs(playlist) == 2
    assert sum(isinstance(item, Line) and item.is_uri for item in playlist.layout.items) == 1


def test_runs_of_each_shape_follow_one_another() -> None:
    text = HEAD + plain(70) + dated(130) + dated(70, within=True) + plain(3) + dated(64) + plain(64)
    assert runs(assert_same(text)) == 5
    # One date for all that follows, which is what most packagers write.
    assert runs(assert_same(HEAD + dated(1) + plain(200))) == 1
    assert runs(assert_same(HEAD + dated(1, within=True) + plain(200))) == 1


@pytest.mark.parametrize(
    ("moment", "is_plain"),
    [
        ("2026-01-31T00:00:00Z", True),
        ("2026-04-30T23:59:59.999999999+14:00", True),
        ("2024-02-28T00:00:00.1-0800", True),
        ("2024-12-31T00:00:00", True),
        ("2024-02-29T00:00:00Z", False),  # there is one in some years
        ("0001-01-01T00:00:00+12:00", False),
        ("2024-01-01 00:00:00", False),
        ("2024-01-01T00:00Z", False),
    ],
)
def test_a_date_is_read_alike(moment: str, is_plain: bool) -> None:
    text = HEAD + "".join(f"{DATE}{moment}\n#EXTINF:6,\na{number}.ts\n" for number in range(70))
    if moment.startswith("0001"):
        assert_same(text)  # some moment before all others, and no overflow
    assert runs(assert_same(text)) == is_plain


@pytest.mark.parametrize("moment", ["2026-04-31T00:00:00Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "x", ""])
def test_a_date_that_there_is_not_is_refused_in_its_line(moment: str) -> None:
    text = HEAD + dated(70) + f"{DATE}{moment}\n#EXTINF:6,\na.ts\n" + dated(70)
    for each in (text, line_by_line(text)):
        with pytest.raises(PlaylistMalformed, match="PROGRAM-DATE-TIME") as refusal:
            read(each)
        assert refusal.value.line == 3 + 3 * 70 + 1


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(2999, 12, 31)),  # noqa: DTZ001 - the zone is ours
    st.sampled_from(["", "Z", "+09:30"]),
)
def test_every_day_of_the_calendar_is_the_same_both_ways(moment: datetime, zone: str) -> None:
    assert_same(HEAD + "".join(f"{DATE}{moment.isoformat()}{zone}\n#EXTINF:6,\na{number}.ts\n" for number in range(64)))


def test_what_is_in_force_reaches_into_a_run_and_what_is_of_one_segment_does_not() -> None:
    tags = '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP:URI="i",BYTERANGE="9@0"\n#EXT-X-BITRATE:900\n'
    middle = "#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:4,\nx.ts\n"
    playlist = assert_same(HEAD + tags + plain(70) + middle + plain(140) + "#EXT-X-KEY:METHOD=NONE\n" + plain(70))
    assert runs(playlist) == 3


@pytest.mark.parametrize(
    "before",
    [
        "#EXT-X-DISCONTINUITY\n",
        "#EXT-X-GAP\n",
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n",
        '#EXT-X-PART:DURATION=1,URI="p"\n',
        "#EXT-X-BYTERANGE:10@5\n",
    ],
)
def test_what_stands_before_a_run_is_of_its_first_segment(before: str) -> None:
    for count in (70, 200):
        assert_same(HEAD + before + plain(count))


def test_a_range_does_not_go_on_behind_a_run() -> None:
    text = HEAD + "#EXTINF:6,\n#EXT-X-BYTERANGE:10@0\na.ts\n" + plain(70) + "#EXTINF:6,\n#EXT-X-BYTERANGE:10\na.ts\n"
    for each in (text, line_by_line(text)):
        with pytest.raises(PlaylistMalformed, match="no offset"):
            read(each)


@pytest.mark.parametrize(
    "name",
    [
        "a/b.ts",
        "/a.ts",
        "../a.ts",
        "//b.example/a.ts",
        "a b.ts",
        "é.ts",
        "a.ts?x=1",
        "https://b.example/a.ts?x=1&y=%2F",
    ],
)
def test_any_name_is_resolved_alike(name: str) -> None:
    assert_same(HEAD + plain(100).replace("segment_00070.m4s", name))
    assert_same(HEAD + "".join(f"#EXTINF:6,\n{name}\n" for _ in range(70)))


@pytest.mark.parametrize(
    "line",
    [
        "#EXTINF:x,\na.ts",
        "a.ts",
        "#EXTINF:6,\n#EXTINF:6,\na.ts",
        "#EXTINF:6,",
        "#EXTINF:-1,\na.ts",
        "#EXTINF:6,\nfile:///x",
    ],
)
def test_a_mistake_behind_a_run_is_found_in_its_line(line: str) -> None:
    text = HEAD + plain(70) + line + "\n"
    with pytest.raises(PlaylistError) as short:
        read(text)
    with pytest.raises(PlaylistError) as long:
        read(line_by_line(text))
    assert str(short.value) == str(long.value)


def test_a_run_counts_for_the_limits() -> None:
    assert len(read(HEAD + plain(128), segments_max=128).segments) == 128
    for count in (129, 300):
        with pytest.raises(PlaylistTooLarge, match="segments_max above 128"):
            read(HEAD + plain(count), segments_max=128)
    with pytest.raises(PlaylistTooLarge, match="lines_max"):
        read(HEAD + plain(128), lines_max=200)


def test_a_number_after_a_run_comes_too_late() -> None:
    with pytest.raises(PlaylistMalformed, match="comes after what it numbers"):
        read(HEAD.replace("#EXT-X-MEDIA-SEQUENCE:7\n", "") + plain(70) + "#EXT-X-MEDIA-SEQUENCE:7\n")


def test_segments_are_found_by_place_from_either_end_and_in_slices() -> None:
    text = HEAD + "#EXTINF:4,\nx.ts\n" + plain(130) + "#EXTINF:4,\ny.ts\n"
    segments, values = read(text).segments, list(read(line_by_line(text)).segments)
    assert isinstance(segments, Segments)
    for place in (0, 1, 63, 64, 65, 129, 130, 131, -1, -2, -132):
        assert segments[place] == values[place]
    for part in (slice(0, 3), slice(60, 70), slice(-2, None), slice(5, 2), slice(None, None, 50)):
        assert segments[part] == tuple(values[part])
    for place in (132, -133):
        with pytest.raises(IndexError, match="132"):
            segments[place]
    assert segments != values[:-1]
    assert segments != [*values[:-1], msgspec.structs.replace(values[-1], title="x")]


def test_a_delta_update_of_runs_is_made_whole() -> None:
    control = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=36\n"
    before = read(f"{control}#EXT-X-MEDIA-SEQUENCE:0\n" + plain(200))
    update = f"{control}#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=190\n" + plain(100, 200)
    whole = parse(update.encode(), URL, before=before)
    assert isinstance(whole, MediaPlaylist)
    assert whole.segments == read(f"{control}#EXT-X-MEDIA-SEQUENCE:10\n" + plain(290, 10)).segments


def test_a_name_that_does_not_fit_is_refused_in_a_run_as_well() -> None:
    with pytest.raises(ConfigurationError, match="percent-encode"):
        rewrite(read(HEAD + plain(70)), lambda kind, uri, part: "a b")


@given(
    st.lists(
        st.one_of(
            st.integers(1, 150).map(plain),
            st.integers(1, 150).map(dated),
            st.integers(1, 150).map(lambda count: dated(count, within=True)),
            st.sampled_from(
                [
                    "#EXT-X-DISCONTINUITY\n",
                    f"{DATE}{MOMENT}\n",
                    "#EXT-X-UNKNOWN:{$x}\n",
                    "# a comment\n",
                    "\n",
                    '#EXT-X-KEY:METHOD=AES-128,URI="k1"\n',
                    "#EXTINF:5,\n#EXT-X-BYTERANGE:10@5\nall.ts\n",
                    "#EXTINF:12345.678901234,\na.ts\n",
                ]
            ),
        ),
        max_size=6,
    )
)
def test_any_mixture_says_the_same_both_ways(chunks: list[str]) -> None:
    assert_same(HEAD + "".join(chunks))
