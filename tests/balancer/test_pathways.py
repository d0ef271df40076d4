"""Pathways merged: what the player keeps, which stream is which elsewhere, and where each URL lies on each pathway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.hls import Multivariant, parse, rewrite
from shoal.balancer.formats.steering import Clone
from shoal.balancer.pathways import PATHWAYS_MAX, merge

URL = "https://a.example/v/main.m3u8"
TWO = """#EXTM3U
#EXT-X-CONTENT-STEERING:SERVER-URI="https://steer.example/m.json",PATHWAY-ID="a"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a-aac",NAME="English",LANGUAGE="en",URI="en/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a-aac",NAME="French",LANGUAGE="fr",URI="fr/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b-aac",NAME="French",LANGUAGE="fr",URI="https://b.example/x/fr/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b-aac",NAME="English",LANGUAGE="en",URI="https://b.example/x/en/index.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",URI="https://subs.example/en.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID="a",AUDIO="a-aac",SUBTITLES="subs"
sd/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2,PATHWAY-ID="a",AUDIO="a-aac",SUBTITLES="subs"
hd/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2,PATHWAY-ID="b",AUDIO="b-aac",SUBTITLES="subs"
# the same on b
https://b.example/x/hd/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID="b",AUDIO="b-aac",SUBTITLES="subs"
https://b.example/x/sd/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,PATHWAY-ID="a",URI="hd/frames.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,PATHWAY-ID="b",URI="https://b.example/x/hd/frames.m3u8"
"""


def read(text):
    playlist = parse(text.encode(), URL)
    assert isinstance(playlist, Multivariant)
    return playlist


def ladder(*uris, steering=""):
    """A variant for each (pathway, URI)."""
    lines = ["#EXTM3U", steering] if steering else ["#EXTM3U"]
    for pathway, uri in uris:
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID="{pathway}"', uri]
    return read("\n".join(lines) + "\n")


def merged(text=TWO):
    found = merge(read(text) if isinstance(text, str) else text)
    assert found is not None
    return found


def shown(found):
    """The lines that a player gets."""
    return rewrite(found.playlist, lambda kind, uri, part: uri, left_out=found.left_out).data.decode().splitlines()


def test_the_tag_is_read():
    steering = read(TWO).steering
    assert steering is not None
    assert (steering.server_uri, steering.pathway_id) == ("https://steer.example/m.json", "a")


def test_the_player_gets_the_streams_of_one_pathway_and_what_they_use():
    assert shown(merged()) == [
        "#EXTM3U",
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a-aac",NAME="English",LANGUAGE="en",URI="https://a.example/v/en/index.m3u8"',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a-aac",NAME="French",LANGUAGE="fr",URI="https://a.example/v/fr/index.m3u8"',
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",URI="https://subs.example/en.m3u8"',
        '#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID="a",AUDIO="a-aac",SUBTITLES="subs"',
        "https://a.example/v/sd/index.m3u8",
        '#EXT-X-STREAM-INF:BANDWIDTH=2,PATHWAY-ID="a",AUDIO="a-aac",SUBTITLES="subs"',
        "https://a.example/v/hd/index.m3u8",
        "# the same on b",
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,PATHWAY-ID="a",URI="https://a.example/v/hd/frames.m3u8"',
    ]


def test_what_the_player_gets_is_a_playlist_of_the_same_streams():
    found = merged()
    again = read("\n".join(shown(found)) + "\n")
    assert [v.uri for v in again.variants] == [v.uri for v in found.playlist.variants]
    assert [r.uri for r in again.renditions] == [r.uri for r in found.playlist.renditions]
    assert [s.uri for s in again.i_frame_streams] == [s.uri for s in found.playlist.i_frame_streams]


@pytest.mark.parametrize(
    ("url", "on_b"),
    [
        # playlists, by what they are and not by their order
        ("https://a.example/v/sd/index.m3u8", "https://b.example/x/sd/index.m3u8"),
        ("https://a.example/v/hd/index.m3u8", "https://b.example/x/hd/index.m3u8"),
        ("https://a.example/v/fr/index.m3u8", "https://b.example/x/fr/index.m3u8"),
        ("https://a.example/v/hd/frames.m3u8", "https://b.example/x/hd/frames.m3u8"),
        # segments, below them and beside
        ("https://a.example/v/hd/s1.m4s?t=1", "https://b.example/x/hd/s1.m4s?t=1"),
        ("https://a.example/v/shared/init.mp4", "https://b.example/x/shared/init.mp4"),
        # a delta update
        ("https://a.example/v/hd/index.m3u8?_HLS_skip=YES", "https://b.example/x/hd/index.m3u8?_HLS_skip=YES"),
        # what both share is where it is
        ("https://subs.example/en.m3u8", "https://subs.example/en.m3u8"),
        ("https://subs.example/en/1.vtt", "https://subs.example/en/1.vtt"),
    ],
)
def test_a_url_leads_to_the_same_on_another_pathway(url, on_b):
    routes = merged().pathways.routes()
    assert routes["b"].translate(url) == on_b
    assert routes["b"].translate(on_b) == on_b
    assert routes["a"].translate(on_b) == url
    assert routes["a"].translate(url) == url
    assert routes["a"].is_home
    assert not routes["b"].is_home


@pytest.mark.parametrize("url", ["https://other.example/v/hd/s1.m4s", "https://a.example.evil.example/v/hd/s1.m4s"])
def test_what_no_pathway_names_is_nowhere(url):
    assert [routes.translate(url) for routes in merged().pathways.routes().values()] == [None, None]


def test_the_pathway_to_begin_with_is_the_home_even_if_it_comes_second():
    tag = '#EXT-X-CONTENT-STEERING:SERVER-URI="s",PATHWAY-ID="b"'
    found = merged(ladder(("a", "https://a.example/1"), ("b", "https://b.example/1"), steering=tag))
    assert found.pathways.ids == ("b", "a")
    assert [v.uri for v in found.playlist.variants] == ["https://b.example/1"]


def test_one_to_begin_with_that_has_no_streams_is_not_the_home():
    tag = '#EXT-X-CONTENT-STEERING:SERVER-URI="s",PATHWAY-ID="z"'
    assert merged(ladder(("a", "https://a.example/1"), steering=tag)).pathways.ids == ("a",)


def test_a_playlist_of_one_pathway_that_nobody_steers_is_left_as_it_is():
    assert merge(ladder(("a", "1.m3u8"), ("a", "2.m3u8"))) is None
    assert merge(read("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n1.m3u8\n")) is None
    assert merge(read("#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n" + TWO.splitlines()[1] + "\n")) is None


def test_several_pathways_are_merged_though_nobody_steers():
    assert merged(ladder(("a", "1.m3u8"), ("b", "https://b.example/1"))).pathways.ids == ("a", "b")


def test_pathways_above_the_limit_are_left_out_and_counted():
    found = merged(ladder(*((f"p{n}", f"https://p{n}.example/1") for n in range(PATHWAYS_MAX + 3))))
    assert len(found.pathways.ids) == PATHWAYS_MAX
    assert found.beyond == 3
    assert len(found.playlist.variants) == 1


def test_variants_are_told_apart_by_their_stable_ids():
    lines = ["#EXTM3U"]
    for pathway, uris in (("a", "12"), ("b", "21")):
        for uri in uris:
            row = f'#EXT-X-STREAM-INF:BANDWIDTH={uri if pathway == "a" else 9},STABLE-VARIANT-ID="v{uri}"'
            lines += [f'{row},PATHWAY-ID="{pathway}"', f"https://{pathway}.example/{uri}/i.m3u8"]
    routes = merged("\n".join(lines) + "\n").pathways.routes()
    for n in "12":
        assert routes["b"].translate(f"https://a.example/{n}/i.m3u8") == f"https://b.example/{n}/i.m3u8"


def test_alike_variants_are_told_apart_by_their_order():
    found = merged(ladder(*((p, f"https://{p}.example/{n}/i.m3u8") for p in "ab" for n in range(3))))
    for n in range(3):
        assert found.pathways.streams[n].uris["b"] == f"https://b.example/{n}/i.m3u8"


def test_two_streams_of_one_host_that_lie_on_two_hosts_elsewhere_are_found_by_their_own_folders():
    found = merged(
        ladder(
            ("a", "https://a.example/1/i.m3u8"),
            ("a", "https://a.example/2/i.m3u8"),
            ("b", "https://b1.example/1/i.m3u8"),
            ("b", "https://b2.example/2/i.m3u8"),
        )
    )
    there = found.pathways.routes()["b"]
    assert there.translate("https://a.example/1/s.ts") == "https://b1.example/1/s.ts"
    assert there.translate("https://a.example/2/s.ts") == "https://b2.example/2/s.ts"
    assert there.translate("https://a.example/3/s.ts") is None


def test_a_clone_is_its_base_with_other_uris():
    clone = Clone(
        base_id="b",
        id="c",
        host="c.example",
        params={"k": "v"},
        rendition_uris={"none": "https://d.example/"},
    )
    found = merged().pathways.with_clone(clone)
    assert found is not None
    assert found.ids == ("a", "b", "c")
    routes = found.routes()["c"]
    assert routes.translate("https://a.example/v/hd/index.m3u8") == "https://c.example/x/hd/index.m3u8?k=v"
    assert routes.translate("https://a.example/v/hd/s1.m4s") == "https://c.example/x/hd/s1.m4s"
    skip = routes.translate("https://a.example/v/hd/index.m3u8?_HLS_skip=YES")
    assert skip == "https://c.example/x/hd/index.m3u8?k=v&_HLS_skip=YES"


def test_a_clone_may_be_cloned_and_gives_streams_their_own_uris_by_their_stable_ids():
    text = (
        "#EXTM3U\n"
        '#EXT-X-CONTENT-STEERING:SERVER-URI="s"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="n",STABLE-RENDITION-ID="x",URI="r.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,STABLE-VARIANT-ID="x",AUDIO="g"\nv.m3u8\n'
    )
    first = Clone(base_id=".", id="c", variant_uris={"x": "https://d.example/q/v.m3u8"})
    found = merged(text).pathways.with_clone(first)
    assert found is not None
    second = Clone(base_id="c", id="e", host="e.example", rendition_uris={"x": "https://f.example/r.m3u8"})
    found = found.with_clone(second)
    assert found is not None
    uris = [stream.uris for stream in found.streams]
    assert [row["c"] for row in uris] == ["https://d.example/q/v.m3u8", "https://a.example/v/r.m3u8"]
    assert [row["e"] for row in uris] == ["https://e.example/q/v.m3u8", "https://f.example/r.m3u8"]


def test_a_clone_of_nothing_one_twice_and_one_too_many_are_not_made():
    pathways = merged().pathways
    assert pathways.with_clone(Clone(base_id="z", id="c", host="c.example")) is None
    assert pathways.with_clone(Clone(base_id="a", id="b", host="c.example")) is None
    for n in range(PATHWAYS_MAX - 2):
        more = pathways.with_clone(Clone(base_id="a", id=f"c{n}", host="c.example"))
        assert more is not None
        pathways = more
    assert pathways.with_clone(Clone(base_id="a", id="one-more", host="c.example")) is None


def test_a_pathway_that_is_just_a_mirror_is_known_as_one():
    pathways = merged(ladder(("a", "hd/i.m3u8"), ("b", "https://b.example/x/hd/i.m3u8"))).pathways
    primary = "https://a.example/v/"
    assert pathways.is_below(primary)
    assert pathways.is_mirror("a", primary, primary)
    assert pathways.is_mirror("b", primary, "https://b.example/x/")
    assert not pathways.is_mirror("b", primary, "https://b.example/")
    assert not pathways.is_below("https://a.example/other/")
    assert not pathways.is_mirror("a", "https://a.example/other/", "https://a.example/other/")


NAMES = st.text("abc", min_size=1, max_size=3)
FOLDERS = st.lists(NAMES, max_size=3).map("/".join)


@given(
    roots=st.lists(FOLDERS, min_size=1, max_size=4, unique=True),
    streams=st.lists(FOLDERS, min_size=1, max_size=4, unique=True),
    name=NAMES,
)
def test_whatever_lies_alike_below_two_roots_is_found_from_each_on_each(roots, streams, name):
    at = [f"https://h{place}.example/{root}{'/' if root else ''}" for place, root in enumerate(roots)]
    rows = [
        (f"p{place}", f"{root}{stream}{'/' if stream else ''}i.m3u8")
        for place, root in enumerate(at)
        for stream in streams
    ]
    found = merge(ladder(*rows))
    if len(roots) == 1:
        assert found is None
        return
    assert found is not None
    routes = found.pathways.routes()
    for one, here in enumerate(at):
        for two, there in enumerate(at):
            for stream in streams:
                for file in ("i.m3u8", f"{name}.ts", f"deep/{name}.ts"):
                    below = f"{stream}{'/' if stream else ''}{file}"
                    assert routes[f"p{two}"].translate(here + below) == there + below, (one, two)
