"""Parts and what belongs to them, read from a playlist (draft-pantos-hls-rfc8216bis, 4.4.3.7 to 4.4.5.4)."""

from __future__ import annotations

import pytest

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.formats.hls import (
    Catalogue,
    Limits,
    MediaPlaylist,
    Resources,
    ServerControl,
    UriKind,
    parse,
    rewrite,
)
from shoal.balancer.model import ByteRange

URL = "https://cdn.example/v/main.m3u8"


def read(*lines: str, **limits: int) -> MediaPlaylist:
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXT-X-PART-INF:PART-TARGET=0.5", *lines, ""])
    playlist = parse(text.encode(), URL, limits=Limits(**limits))
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def test_parts_belong_to_the_segment_that_comes_next_and_the_last_ones_to_none_yet() -> None:
    playlist = read(
        '#EXT-X-PART:DURATION=0.5,URI="1.0.m4s",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.25,URI="1.1.m4s",GAP=YES',
        "#EXTINF:0.75,",
        "1.m4s",
        '#EXT-X-PART:DURATION=0.5,URI="2.0.m4s"',
    )
    (segment,) = playlist.segments
    assert [(part.uri[-7:], part.duration_us, part.is_independent, part.is_gap) for part in segment.parts] == [
        ("1.0.m4s", 500_000, True, False),
        ("1.1.m4s", 250_000, False, True),
    ]
    assert [part.uri for part in playlist.parts] == ["https://cdn.example/v/2.0.m4s"]
    assert playlist.part_target_us == 500_000


def test_a_part_without_an_offset_follows_the_one_before_of_its_file() -> None:
    playlist = read(
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10@100"',
        '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="5"',
        '#EXT-X-PART:DURATION=0.5,URI="b",BYTERANGE="7"',
    )
    assert [part.byte_range for part in playlist.parts] == [
        ByteRange(0, 10),
        ByteRange(10, 10),
        ByteRange(100, 10),
        ByteRange(110, 5),
        ByteRange(0, 7),
    ]


def test_what_the_server_can_do_is_read() -> None:
    said = "CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,CAN-SKIP-DATERANGES=YES,HOLD-BACK=12,PART-HOLD-BACK=1.5"
    assert read(f"#EXT-X-SERVER-CONTROL:{said}").server_control == ServerControl(
        can_block_reload=True,
        can_skip_until_us=24_000_000,
        can_skip_date_ranges=True,
        hold_back_us=12_000_000,
        part_hold_back_us=1_500_000,
    )
    assert read("#EXT-X-SERVER-CONTROL:X=1").server_control == ServerControl()


def test_hints_of_unknown_types_are_ignored() -> None:
    hints = read(
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p",BYTERANGE-START=5,BYTERANGE-LENGTH=9',
        '#EXT-X-PRELOAD-HINT:TYPE=SMELL,URI="s"',
    ).preload_hints
    assert [(hint.type, hint.uri, hint.first_byte, hint.byte_count) for hint in hints] == [
        ("PART", "https://cdn.example/v/p", 5, 9)
    ]


def test_parts_hints_and_reports_lead_to_us_and_lose_their_ranges() -> None:
    playlist = read(
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,PART-HOLD-BACK=1.5",
        '#EXT-X-PART:DURATION=0.5,URI="1.0.m4s",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.5,URI="1.m4s",BYTERANGE="70@0",X-OWN="a,b"',
        '#EXT-X-PART:DURATION=0.5,URI="gone.m4s",GAP=YES',
        "#EXTINF:0.5,",
        "1.m4s",
        '#EXT-X-PART:BYTERANGE="9",DURATION=0.5,URI="2.m4s"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="2.m4s",BYTERANGE-START=9',
        '#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="next.mp4"',
        '#EXT-X-RENDITION-REPORT:URI="../b.m3u8",LAST-MSN=1,LAST-PART=2',
    )
    asked: list[tuple[str, str, ByteRange | None]] = []

    def name(kind: UriKind, uri: str, part: ByteRange | None) -> str:
        asked.append((kind.value, uri.removeprefix("https://cdn.example/"), part))
        return f"/{len(asked)}"

    found = rewrite(playlist, name)
    assert found.data.decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-PART-INF:PART-TARGET=0.5",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,PART-HOLD-BACK=1.5",
        '#EXT-X-PART:DURATION=0.5,URI="/1",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.5,URI="/2",X-OWN="a,b"',
        '#EXT-X-PART:DURATION=0.5,URI="gone.m4s",GAP=YES',
        "#EXTINF:0.5,",
        "/3",
        '#EXT-X-PART:DURATION=0.5,URI="/4"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="/5"',
        '#EXT-X-RENDITION-REPORT:URI="/6",LAST-MSN=1,LAST-PART=2',
    ]
    assert asked == [
        ("part", "v/1.0.m4s", None),
        ("part", "v/1.m4s", ByteRange(0, 70)),
        ("segment", "v/1.m4s", None),
        ("part", "v/2.m4s", ByteRange(0, 9)),
        ("preload_hint", "v/2.m4s", ByteRange(9, 0)),
        ("rendition_report", "b.m3u8", None),
    ]
    assert found.dropped == {"EXT-X-PRELOAD-HINT": 1}


def test_what_has_no_name_here_is_left_out_and_counted() -> None:
    playlist = read('#EXT-X-PART:DURATION=0.5,URI="a"', '#EXT-X-RENDITION-REPORT:URI="elsewhere.m3u8"')
    found = rewrite(playlist, lambda *_: None)
    assert found.data.decode().splitlines()[2:] == ["#EXT-X-PART-INF:PART-TARGET=0.5"]
    assert found.dropped == {"EXT-X-PART": 1, "EXT-X-RENDITION-REPORT": 1}


def listed(*lines: str, catalogue: Catalogue | None = None) -> Resources:
    return (catalogue or Catalogue(3)).update(read("#EXT-X-MEDIA-SEQUENCE:7", *lines))


def test_each_part_is_a_resource_with_its_place_in_time() -> None:
    found = listed(
        '#EXT-X-PART:DURATION=0.5,URI="7.0"',
        '#EXT-X-PART:DURATION=0.5,URI="7.1"',
        "#EXTINF:1,",
        "7",
        '#EXT-X-PART:DURATION=0.5,URI="8",BYTERANGE="10@0"',
        '#EXT-X-PART:DURATION=0.5,URI="8",BYTERANGE="20"',
        '#EXT-X-PART:DURATION=0.5,URI="gap",GAP=YES',
    )
    assert [segment.key.number for segment in found.media] == [7]
    assert [(part.key.kind, part.uri[-3:], part.byte_range, part.start_us) for part in found.parts] == [
        ("part", "7.0", None, 0),
        ("part", "7.1", None, 500_000),
        ("part", "v/8", ByteRange(0, 10), 1_000_000),
        ("part", "v/8", ByteRange(10, 20), 1_500_000),
    ]
    assert len({part.key for part in found.parts}) == 4


@pytest.mark.parametrize(
    ("hint", "part"),
    [
        ('URI="b"', 'URI="b"'),
        ('URI="b"', 'URI="b",BYTERANGE="20@0"'),
        ('URI="b",BYTERANGE-START=0', 'URI="b"'),
        ('URI="a",BYTERANGE-START=10', 'URI="a",BYTERANGE="20@10"'),
        ('URI="a",BYTERANGE-START=10,BYTERANGE-LENGTH=20', 'URI="a",BYTERANGE="20"'),
    ],
)
def test_a_hint_has_the_name_that_its_part_will_have(hint: str, part: str) -> None:
    catalogue = Catalogue(0)
    first = '#EXT-X-PART:DURATION=0.5,URI="a",BYTERANGE="10@0"'
    hinted = listed(first, f"#EXT-X-PRELOAD-HINT:TYPE=PART,{hint}", catalogue=catalogue).hinted
    there = listed(first, f"#EXT-X-PART:DURATION=0.5,{part}", catalogue=catalogue)
    assert [one.key for one in hinted] == [there.parts[1].key]
    assert there.hinted == ()


def signed_parts(signature: str, count: int, catalogue: Catalogue, *, file: str = "", mark: str = "") -> Resources:
    """Segment 7 and the first parts of 8, with a hint at the next; all with this signature as their query."""

    def uri(segment: int, number: int) -> str:
        name = file or f"{segment}.{number}"
        return f'URI="{name}?{mark and f"{mark}={segment}.{number}&"}s={signature}"'

    def part_range(number: int) -> str:
        return f',BYTERANGE="10@{10 * number}"' if file and not mark else ""

    def begin(number: int) -> str:
        return f",BYTERANGE-START={10 * number}" if file and not mark else ""

    return listed(
        *(f"#EXT-X-PART:DURATION=0.5,{uri(7, number)}{part_range(number)}" for number in range(2)),
        "#EXTINF:1,",
        f"7?s={signature}",
        *(f"#EXT-X-PART:DURATION=0.5,{uri(8, number)}{part_range(number + 2)}" for number in range(count)),
        f"#EXT-X-PRELOAD-HINT:TYPE=PART,{uri(8, count)}{begin(count + 2)}",
        catalogue=catalogue,
    )


@pytest.mark.parametrize("file", ["", "all"], ids=["files", "ranges"])
def test_a_new_signature_is_not_another_part_nor_another_hint(file: str) -> None:
    catalogue = Catalogue(0)
    for count in range(3):
        for load in range(2):
            found = signed_parts(f"{count}{load}", count, catalogue, file=file)
            assert [part.key.number for part in found.parts] == [*range(2 + count)]
            assert [hint.key.number for hint in found.hinted] == [2 + count]
            assert all(one.uri.endswith(f"s={count}{load}") for one in (*found.parts, *found.hinted))


def test_parts_that_differ_by_their_query_are_never_taken_for_each_other() -> None:
    catalogue = Catalogue(0)
    seen: dict[int, str] = {}
    for count in range(4):
        for load in range(2):
            found = signed_parts(f"{count}{load}", count, catalogue, file="get", mark="part")
            for one in (*found.parts, *found.hinted):
                which = one.uri.partition("part=")[2].partition("&")[0]
                assert seen.setdefault(one.key.number, which) == which


def test_parts_of_a_stream_that_began_anew_are_others() -> None:
    catalogue = Catalogue(0)
    before = signed_parts("a", 1, catalogue)
    again = listed(
        '#EXT-X-PART:DURATION=0.5,URI="7.0?s=b"', "#EXTINF:1,", "another", "#EXTINF:1,", "8", catalogue=catalogue
    )
    assert again.is_restarted
    assert {part.key for part in before.parts}.isdisjoint(part.key for part in again.parts)


def test_a_hint_at_a_part_that_is_there_is_none() -> None:
    found = listed('#EXT-X-PART:DURATION=0.5,URI="a"', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="a"')
    assert found.hinted == ()


@pytest.mark.parametrize(
    "line",
    [
        "#EXT-X-PART:DURATION=0.5",
        '#EXT-X-PART:URI="p"',
        '#EXT-X-PART:DURATION=x,URI="p"',
        '#EXT-X-PART:DURATION=-1,URI="p"',
        "#EXT-X-PART:DURATION=1,URI=p",
        '#EXT-X-PART:DURATION=1,URI=""',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE=5',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE="0"',
        '#EXT-X-PART:DURATION=1,URI="p",BYTERANGE="1@9223372036854775807"',
        '#EXT-X-PART:DURATION=1,URI="p",INDEPENDENT=1',
        "#EXT-X-PART-INF:PART-TARGET=1",  # the second
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=1",
        "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=soon",
        "#EXT-X-PRELOAD-HINT:TYPE=PART",
        '#EXT-X-PRELOAD-HINT:URI="p"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p",BYTERANGE-START=x',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p",BYTERANGE-START=9223372036854775808',
        "#EXT-X-RENDITION-REPORT:LAST-MSN=1",
        '#EXT-X-RENDITION-REPORT:URI="r",LAST-MSN=x',
    ],
)
def test_what_a_server_must_not_write_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(PlaylistMalformed) as caught:
        read(line)
    assert caught.value.line == 4


@pytest.mark.parametrize("tag", ["PART:DURATION=1", "PRELOAD-HINT:TYPE=PART", "RENDITION-REPORT:LAST-MSN=1"])
def test_no_part_hint_or_report_leads_to_another_scheme(tag: str) -> None:
    with pytest.raises(PlaylistUnsupported, match="file:"):
        read(f'#EXT-X-{tag},URI="file:///etc/passwd"')


def test_parts_and_hints_have_their_limits() -> None:
    part = '#EXT-X-PART:DURATION=0.5,URI="p"'
    with pytest.raises(PlaylistTooLarge, match="parts_max above 2"):
        read(part, part, part, parts_max=2)
    hint = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p"'
    with pytest.raises(PlaylistTooLarge, match="streams_max above 1"):
        read(hint, hint, streams_max=1)
