"""Numbers and times of what a media playlist names, over all its loads."""

from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.hls import Catalogue, parse, resources
from shoal.balancer.formats.hls.naming import NAMES_MAX
from shoal.balancer.model import ByteRange, Kind, ResourceKey

URL = "https://cdn.example/v/main.m3u8"


def playlist(*lines, first=0, is_vod=False):
    head = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    return parse("\n".join([*head, *lines, *(["#EXT-X-ENDLIST"] if is_vod else [])]).encode(), URL)


def window(first, count, *, is_vod=False, query=""):
    """Segments `first` ... of a stream in which each lasts 3 s and is called by its number."""
    lines = [line for n in range(first, first + count) for line in ("#EXTINF:3,", f"{n}.ts{query}")]
    return playlist(*lines, first=first, is_vod=is_vod)


def numbers(found):
    return [segment.key.number for segment in found.media]


def starts(found):
    return {segment.key.number: segment.start_us for segment in found.media}


def test_vod_segments_are_numbered_by_their_place():
    found = resources(window(100, 3, is_vod=True), 2)
    assert [segment.key for segment in found.media] == [ResourceKey(2, Kind.MEDIA, n) for n in range(3)]
    assert [segment.uri for segment in found.media] == [f"https://cdn.example/v/{n}.ts" for n in (100, 101, 102)]


def test_live_segments_are_numbered_by_their_media_sequence_number():
    assert numbers(resources(window(100, 3), 0)) == [100, 101, 102]


def test_segments_follow_each_other_in_time():
    found = resources(playlist("#EXTINF:2.5,", "a", "#EXTINF:4,", "b", "#EXTINF:1,", "c", is_vod=True), 0)
    assert [(segment.start_us, segment.duration_us) for segment in found.media] == [
        (0, 2_500_000),
        (2_500_000, 4_000_000),
        (6_500_000, 1_000_000),
    ]


def test_a_gap_takes_its_number_and_its_time_and_is_no_resource():
    found = resources(playlist("#EXTINF:3,", "a", "#EXT-X-GAP", "#EXTINF:4,", "b", "#EXTINF:3,", "c", is_vod=True), 0)
    assert starts(found) == {0: 0, 2: 7_000_000}


def test_byte_ranges_are_resources_of_their_own():
    lines = ("#EXTINF:3,", "#EXT-X-BYTERANGE:10@5", "a", "#EXTINF:3,", "#EXT-X-BYTERANGE:20", "a")
    found = resources(playlist(*lines, is_vod=True), 0)
    assert [segment.byte_range for segment in found.media] == [ByteRange(5, 10), ByteRange(15, 20)]


def test_initialization_sections_and_keys_are_numbered_once_each():
    found = resources(
        playlist(
            *('#EXT-X-MAP:URI="i"', '#EXT-X-KEY:METHOD=AES-128,URI="k0"', "#EXTINF:3,", "a"),
            *('#EXT-X-MAP:URI="i",BYTERANGE="5@0"', '#EXT-X-KEY:METHOD=AES-128,URI="k1"', "#EXTINF:3,", "b"),
            *('#EXT-X-MAP:URI="i"', '#EXT-X-KEY:METHOD=AES-128,URI="k0"', "#EXTINF:3,", "c"),
            is_vod=True,
        ),
        1,
    )
    assert [(segment.key, segment.byte_range) for segment in found.inits] == [
        (ResourceKey(1, Kind.INIT, 0), None),
        (ResourceKey(1, Kind.INIT, 1), ByteRange(0, 5)),
    ]
    assert [(segment.key, segment.uri) for segment in found.keys] == [
        (ResourceKey(1, Kind.KEY, 0), "https://cdn.example/v/k0"),
        (ResourceKey(1, Kind.KEY, 1), "https://cdn.example/v/k1"),
    ]


def test_keys_that_nobody_can_fetch_are_no_resources():
    line = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"'
    assert resources(playlist(line, "#EXTINF:3,", "a"), 0).keys == ()


def test_a_segment_keeps_its_time_from_load_to_load():
    catalogue = Catalogue(0)
    assert starts(catalogue.update(window(10, 3))) == {10: 0, 11: 3_000_000, 12: 6_000_000}
    assert starts(catalogue.update(window(11, 3))) == {11: 3_000_000, 12: 6_000_000, 13: 9_000_000}
    assert starts(catalogue.update(window(13, 2))) == {13: 9_000_000, 14: 12_000_000}


def test_segments_never_seen_count_as_long_as_the_target_duration():
    catalogue = Catalogue(0)
    catalogue.update(window(10, 2))
    assert starts(catalogue.update(window(15, 1))) == {15: 6_000_000 + 3 * 4_000_000}


def test_a_key_keeps_its_number_after_it_left_and_came_back():
    catalogue = Catalogue(0)
    lines = ("#EXTINF:3,", "a")
    for key, number in (("k0", 0), ("k1", 1), ("k0", 0), ("k2", 2)):
        found = catalogue.update(playlist(f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"', *lines))
        assert [segment.key.number for segment in found.keys] == [number]


def test_what_is_remembered_of_rotated_keys_is_bounded():
    catalogue = Catalogue(0)
    for n in range(NAMES_MAX + 50):
        catalogue.update(playlist(f'#EXT-X-KEY:METHOD=AES-128,URI="k{n}"', "#EXTINF:3,", f"{n}.ts", first=n))
    assert len(catalogue._names) == NAMES_MAX + 1


def test_a_new_signature_is_not_another_segment():
    catalogue = Catalogue(0)
    catalogue.update(window(10, 3, query="?sig=1"))
    assert not catalogue.update(window(11, 3, query="?sig=2")).is_restarted


def signed(first, count, signature, *more):
    """Segments of one init section and key, whose URLs have this query."""
    lines = [f'#EXT-X-MAP:URI="i.mp4?{signature}"', f'#EXT-X-KEY:METHOD=AES-128,URI="k?{signature}"', *more]
    lines += [line for n in range(first, first + count) for line in ("#EXTINF:3,", f"{n}.m4s?{signature}")]
    return playlist(*lines, first=first)


def test_a_new_signature_is_not_another_init_section_or_key():
    catalogue = Catalogue(0)
    for load in range(5):
        found = catalogue.update(signed(load, 3, f"s={load}"))
        assert [(one.key.number, one.uri) for one in found.inits] == [(0, f"https://cdn.example/v/i.mp4?s={load}")]
        assert [(one.key.number, one.uri) for one in found.keys] == [(0, f"https://cdn.example/v/k?s={load}")]


def test_a_query_that_changes_with_new_segments_names_another_init_section():
    catalogue = Catalogue(0)
    catalogue.update(playlist('#EXT-X-MAP:URI="i?v=1"', "#EXTINF:3,", "0.m4s", "#EXTINF:3,", "1.m4s"))
    lines = ("#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="i?v=2"', "#EXTINF:3,", "2.m4s")
    both = catalogue.update(playlist('#EXT-X-MAP:URI="i?v=1"', "#EXTINF:3,", "1.m4s", *lines, first=1))
    assert [(one.key.number, one.uri[-3:]) for one in both.inits] == [(0, "v=1"), (1, "v=2")]
    last = catalogue.update(playlist(*lines[1:], "#EXTINF:3,", "3.m4s", first=2))
    assert [(one.key.number, one.uri[-3:]) for one in last.inits] == [(1, "v=2")]
    jumped = catalogue.update(playlist('#EXT-X-MAP:URI="i?v=3"', "#EXTINF:3,", "9.m4s", first=9))
    assert [one.key.number for one in jumped.inits] == [2]


def test_keys_of_one_segment_that_differ_by_their_query_are_never_taken_for_each_other():
    def load(signature):
        keys = [f'#EXT-X-KEY:METHOD=AES-128,KEYFORMAT="{n}",URI="k?id={n}&s={signature}"' for n in (1, 2)]
        return playlist(*keys, "#EXTINF:3,", "0.ts", "#EXTINF:3,", "1.ts")

    catalogue = Catalogue(0)
    seen = {}
    for signature in range(4):
        for one in catalogue.update(load(signature)).keys:
            which = one.uri.partition("id=")[2][0]
            assert seen.setdefault(one.key.number, which) == which


def test_names_of_one_load_are_numbers_of_their_own():
    catalogue = Catalogue(0)
    catalogue.update(signed(0, 3, "s=0"))
    lines = ("#EXTINF:3,", "1.m4s", '#EXT-X-MAP:URI="i.mp4?s=2"', "#EXTINF:3,", "2.m4s")
    found = catalogue.update(playlist('#EXT-X-MAP:URI="i.mp4?s=1"', *lines, first=1))
    assert len({one.key.number for one in found.inits}) == 2
    assert {one.uri[-3:] for one in found.inits} == {"s=1", "s=2"}


def test_an_encoder_that_counts_anew_is_noticed_and_time_goes_on():
    catalogue = Catalogue(0)
    catalogue.update(window(1000, 3))
    found = catalogue.update(window(0, 2))
    assert found.is_restarted
    assert starts(found) == {0: 9_000_000, 1: 12_000_000}
    assert not catalogue.update(window(1, 2)).is_restarted


def test_a_number_that_means_another_segment_now_is_a_restart():
    catalogue = Catalogue(0)
    catalogue.update(playlist("#EXTINF:3,", "a", "#EXTINF:3,", "b", first=5))
    assert catalogue.update(playlist("#EXTINF:3,", "other", first=6)).is_restarted


def test_the_end_of_a_live_stream_changes_no_number():
    catalogue = Catalogue(0)
    catalogue.update(window(10, 3))
    found = catalogue.update(window(11, 3, is_vod=True))
    assert numbers(found) == [11, 12, 13]
    assert not found.is_restarted


def test_a_vod_playlist_loaded_twice_is_the_same_twice():
    catalogue = Catalogue(0)
    vod = window(10, 3, is_vod=True)
    assert catalogue.update(vod) == catalogue.update(vod) == resources(vod, 0)


def test_an_empty_live_playlist_has_no_resources_and_forgets_no_time():
    catalogue = Catalogue(0)
    assert catalogue.update(window(10, 0)).media == ()
    catalogue.update(window(10, 2))
    assert catalogue.update(window(12, 0)).media == ()
    assert starts(catalogue.update(window(13, 1))) == {13: 10_000_000}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=20))
def test_windows_that_slide_without_holes_give_each_number_one_time(moves):
    catalogue = Catalogue(0)
    seen = {}
    first, end = 50, 50
    for step, count in moves:
        first = min(first + step, end)
        end = max(end, first + count)
        found = catalogue.update(window(first, end - first))
        assert not found.is_restarted
        for number, start_us in starts(found).items():
            assert seen.setdefault(number, start_us) == start_us
    assert all(start_us == (number - 50) * 3_000_000 for number, start_us in seen.items())
