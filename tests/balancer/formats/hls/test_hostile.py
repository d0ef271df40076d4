"""Damaged, hostile and large playlists: nothing but PlaylistError, and a cost that is linear in the size."""

import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistError, PlaylistMalformed
from shoal.balancer.formats.hls import parse, rewrite
from shoal.balancer.formats.hls.catalogue import Catalogue

HERE = Path(__file__).parent
URL = "https://cdn.example/show/main.m3u8?token=secret"
PLAYLISTS = [
    path.read_text()
    for folder in (HERE / "rfc8216", HERE.parents[2] / "data" / "p2pml")
    for path in sorted(folder.glob("*.m3u8"))
]


def parsed_or_refused(data):
    """What is read can also be rewritten."""
    try:
        rewrite(parse(data, URL), lambda *_: "name")
    except PlaylistError as error:
        refused = error
    else:
        return
    assert refused.url == "https://cdn.example/show/main.m3u8"
    assert refused.message


TAGS = sorted({line.partition(":")[0] for text in PLAYLISTS for line in text.splitlines() if line.startswith("#")})
VALUES = ["", "0", "-1", "5@0", "VOD", "4,", 'URI="u"', "METHOD=AES-128", "BANDWIDTH=1", 'NAME="n",VALUE="v"', "{$n}"]
MORE_TAGS = [
    "#EXT-X-BYTERANGE",
    "#EXT-X-DEFINE",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-GAP",
    "#EXT-X-PART",
    "#EXT-X-PROGRAM-DATE-TIME",
    "#EXT-X-START",
    "#EXT-X-DATERANGE",
    "#EXT-X-SERVER-CONTROL",
]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_playlist_or_a_playlist_error(data):
    parsed_or_refused(b"#EXTM3U\n" + data)


@given(
    st.lists(
        st.builds(
            lambda tag, values: f"{tag}:{','.join(values)}",
            st.sampled_from(TAGS + MORE_TAGS),
            st.lists(st.sampled_from(VALUES), min_size=1, max_size=4),
        )
        | st.sampled_from(["", "a.ts", "{$n}/a.ts", "http://[", "#", "#EXT-X-ENDLIST", *MORE_TAGS])
        | st.text(max_size=20),
        max_size=20,
    )
)
def test_any_order_of_tags_is_a_playlist_or_a_playlist_error(lines):
    parsed_or_refused("\n".join(["#EXTM3U", *lines]).encode())


@given(st.sampled_from(PLAYLISTS), st.data())
def test_a_damaged_playlist_is_a_playlist_or_a_playlist_error(text, data):
    lines = text.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["cut", "repeat", "move", "bytes"])):
            case "cut":
                lines[place] = lines[place][: data.draw(st.integers(0, len(lines[place])))]
            case "repeat":
                lines.insert(place, lines[place])
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "bytes":
                at = data.draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:at] + data.draw(st.text(max_size=5)) + lines[place][at:]
    parsed_or_refused("".join(lines).encode())


def test_every_prefix_of_a_playlist_is_a_playlist_or_a_playlist_error():
    for text in PLAYLISTS:
        for stop in range(0, len(text), 7):
            parsed_or_refused(text[:stop].encode())


def of_size(count):
    """A media playlist of `count` segments with all that is resolved from segment to segment."""
    segments = (
        f'#EXT-X-KEY:METHOD=AES-128,URI="k{n}"\n#EXT-X-MAP:URI="i{n}"\n#EXTINF:4,\n#EXT-X-BYTERANGE:9\n{{$v}}\n'
        for n in range(count)
    )
    head = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:NAME="v",VALUE="a"\n#EXTINF:4,\n#EXT-X-BYTERANGE:9@0\na\n'
    return (head + "".join(segments)).encode()


def calls_of(work):
    """How many calls, of Python and of C functions, `work` makes."""
    count = 0

    def profile(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def peak_bytes_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Eight times the size.  Calls repeat exactly; a peak has garbage in it that was not collected yet.
@pytest.mark.parametrize(("measure", "growth_max"), [(calls_of, 8.5), (peak_bytes_of, 16)])
def test_the_cost_of_parsing_is_linear_in_the_size(measure, growth_max):
    parse(of_size(200), URL)
    small, large = (measure(lambda count=count: parse(of_size(count), URL)) for count in (200, 1600))
    assert large < growth_max * small


def test_what_is_in_force_for_many_segments_is_kept_once():
    keys = "".join(f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k{n}",KEYFORMAT="{n}"\n' for n in range(64))

    def listed(keys):
        segments = "".join(f"#EXTINF:4,\ns{n}.ts\n" for n in range(5_000))
        Catalogue(0).update(parse(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{keys}{segments}".encode(), URL))

    assert peak_bytes_of(lambda: listed(keys)) < 1.5 * peak_bytes_of(lambda: listed(""))


def test_a_long_line_of_what_nearly_is_an_attribute_list_costs_what_it_is_long():
    # A matcher that goes back over its input would take minutes for these.
    for text in ("A" * 60_000, "A=" + "b" * 60_000 + '"', " " * 60_000 + "=", 'A="' + "b" * 60_000):
        with pytest.raises(PlaylistMalformed):
            parse(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:{text}\n".encode(), URL)
