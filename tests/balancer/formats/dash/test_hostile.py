"""Damaged, hostile and large MPDs: nothing but PlaylistError, and a cost that is linear in the size."""

import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.base_urls import pathways_of
from shoal.balancer.errors import PlaylistError, PlaylistTooLarge
from shoal.balancer.formats.dash import Catalogue, parse, references, rewrite

from .mpds import HEAD, LIVE, NOON_US, URL, VOD, one

SHIPPED = Path(__file__).parents[3] / "data" / "mpd_parser"
MPDS = [VOD, LIVE, *(path.read_text() for path in sorted(SHIPPED.glob("*.mpd")))]


def judged(data):
    """What is read can be listed and rewritten, and what players get of it is read as well."""
    try:
        mpd = parse(data, URL + "?token=secret")
    except PlaylistError as error:
        refused = error
    else:
        is_passed_on(mpd)
        return
    assert refused.url == URL
    assert refused.message


def is_passed_on(mpd):
    try:
        catalogue = Catalogue()
        catalogue.update(mpd)
        for number in catalogue.renditions:
            catalogue.resources(number, NOON_US)
        written = rewrite(mpd, lambda _: "/dash/1/").data
    except PlaylistError:
        return
    again = parse(written, "http://127.0.0.1/stream.mpd")
    assert len(again.periods) == len(mpd.periods)


PIECES = [
    *("<MPD", "</MPD>", "<Period", "</Period>", "<AdaptationSet", "<Representation", 'id="1"', 'bandwidth="1"', ">"),
    *("/>", "<SegmentTemplate", 'media="$Number$"', 'media="$Time$"', 'duration="9"', "<SegmentTimeline>", "<S"),
    *('d="1"', 'r="-1"', 't="5"', "<BaseURL>", "</BaseURL>", "x/", "<SegmentList", "<SegmentURL", "<!--", "-->"),
    *(
        'xmlns="urn:mpeg:dash:schema:mpd:2011"',
        "<![CDATA[",
        "]]>",
        "&lt;",
        "&#0;",
        "<?x ?>",
        "'",
        '"',
        'type="dynamic"',
    ),
    *('availabilityStartTime="2026-01-31T12:00:00Z"', 'mediaPresentationDuration="PT9S"', "<SegmentBase"),
]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_mpd_or_a_playlist_error(data):
    judged(data)
    judged(HEAD.encode() + data)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40))
def test_any_order_of_pieces_is_an_mpd_or_a_playlist_error(pieces):
    judged(f"{HEAD} {' '.join(pieces)}".encode("utf-8", "replace"))


@given(st.sampled_from(MPDS), st.data())
def test_a_damaged_mpd_is_an_mpd_or_a_playlist_error(text, data):
    lines = text.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["cut", "repeat", "move", "text", "digit"])):
            case "cut":
                lines[place] = lines[place][: data.draw(st.integers(0, len(lines[place])))]
            case "repeat":
                lines.insert(place, lines[place])
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "text":
                at = data.draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:at] + data.draw(st.text(max_size=5)) + lines[place][at:]
            case "digit":
                lines[place] = lines[place].replace("1", data.draw(st.sampled_from(["", "0", "-1", "9" * 19])))
    judged("".join(lines).encode("utf-8", "replace"))


@given(st.binary(max_size=100))
def test_any_bytes_are_an_index_or_a_playlist_error(data):
    for start in (b"", b"\0\0\0\x2csidx"):
        try:
            found = references(start + data, 7)
        except PlaylistError:
            continue
        assert all(each.byte_range.length > 0 for each in found)


def of_many(shared, count, *, own="", beside=""):
    """A period with `shared`, and that many representations."""
    rows = "".join(f'<Representation id="{place}" bandwidth="1">{own}</Representation>' for place in range(count))
    return f"{HEAD}><Period>{shared}<AdaptationSet>{beside}{rows}</AdaptationSet></Period></MPD>".encode()


AT_TWO = "".join(f'<BaseURL serviceLocation="{name}">http://{name}.example/</BaseURL>' for name in "ab")
SIXTY = "".join(f"<BaseURL>{place}/</BaseURL>" for place in range(60))
LAUGHS = '<!DOCTYPE M [<!ENTITY a "ha">{}]><MPD>&j;</MPD>'.format(
    "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True))
)
HOSTILE = {
    "entities that multiply": LAUGHS,
    "a file by an entity": '<!DOCTYPE M [<!ENTITY x SYSTEM "file:///etc/passwd">]><MPD>&x;</MPD>',
    "a document type from elsewhere": '<!DOCTYPE M SYSTEM "http://169.254.169.254/x.dtd"><MPD/>',
    "a parameter entity": '<!DOCTYPE M [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><MPD/>',
    "levels without end": HEAD + ">" + "<a>" * 100_000,
    "attributes without end": f"{HEAD} " + " ".join(f'a{place}="1"' for place in range(50_000)) + "/>",
    "elements without end": HEAD + "><Period>" + "<a/>" * 200_000 + "</Period></MPD>",
    "one long name": HEAD + "><" + "a" * 1_500_000,
    "one long value": f'{HEAD} a="{"x" * 1_500_000}"><Period/></MPD>',
    "a base URL that multiplies": HEAD
    + f">{SIXTY}<Period>"
    + "".join(f"<BaseURL>{place}/</BaseURL>" for place in range(10_000))
    + "</Period></MPD>",
    "base URLs that are all one": f"{HEAD}>{SIXTY}<Period>{'<BaseURL>/</BaseURL>' * 95_000}</Period></MPD>",
    "base URLs that are one in each representation": of_many(SIXTY, 1_000, own="<BaseURL>/</BaseURL>" * 60).decode(),
    "a long base URL in each representation": of_many(
        f"<BaseURL>{'x' * 200_000}/</BaseURL>", 1_000, own="<BaseURL>y/</BaseURL>"
    ).decode(),
    "a timeline that is counted from everywhere": (
        f"{HEAD}><Period><AdaptationSet><SegmentTemplate media='$Number$'><SegmentTimeline>"
        + '<S d="1"/>' * 10_000
        + "</SegmentTimeline></SegmentTemplate>"
        + "".join(
            f'<Representation id="{place}" bandwidth="1"><SegmentTemplate startNumber="{place}"/></Representation>'
            for place in range(1_000)
        )
        + "</AdaptationSet></Period></MPD>"
    ),
    "a timeline that multiplies": one(
        '<SegmentTemplate media="$Number$"><SegmentTimeline><S d="1" r="19000"/><S d="1" r="19000"/></SegmentTimeline>'
        "</SegmentTemplate>"
    ),
}


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


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_meant_to_cost_much_is_refused_soon(name):
    def refused():
        with pytest.raises(PlaylistError):
            parse(HOSTILE[name].encode(), URL)

    refused()  # what is imported on first use is not what it costs
    assert calls_of(refused) < 3_000_000


def peak_bytes_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_list_that_representations_share_is_kept_once():
    shared = f'<SegmentList duration="1">{"<SegmentURL/>" * 5_000}</SegmentList>'
    one_has_it, all_have_it = (peak_bytes_of(lambda n=n: parse(of_many(shared, n), URL)) for n in (1, 200))
    assert all_have_it < 1.5 * one_has_it
    assert calls_of(lambda: pathways_of(parse(of_many(shared + AT_TWO, 200), URL))) < 500_000


def test_a_template_that_representations_share_is_kept_once():
    text = "$Number$" + "x" * 100_000
    shared = f'<SegmentTemplate duration="1" media="{text}" initialization="{text[8:]}"/>'
    assert peak_bytes_of(lambda: parse(of_many(shared, 100), URL)) < 10 * len(shared)


def test_a_day_of_programmes_with_breaks_is_read():
    rows = "".join(f'<Representation id="{place}" bandwidth="1"/>' for place in range(15))
    period = f'<Period duration="PT300S"><AdaptationSet><SegmentTemplate media="$Number$" duration="2"/>{rows}'
    mpd = parse(f"{HEAD}>{f'{period}</AdaptationSet></Period>' * 288}</MPD>".encode(), URL)
    catalogue = Catalogue()
    catalogue.update(mpd)
    assert len(catalogue.renditions) == 288 * 15
    assert len(rewrite(mpd, lambda _: "/dash/1/").data) < 1_000_000


def cpu_s_of(work):
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


# They took 1.0 and 7.5 s, and take 0.3 and 0.6; what they took grew with the square of their size.
@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}><Period><a>{'x<!---->' * 250_000}</a></Period></MPD>",
        of_many("", 1_000, beside="<a/>" * 98_000).decode(),
    ],
    ids=["a text in very many pieces", "representations among other things"],
)
def test_what_is_read_piece_by_piece_costs_what_it_is_long(text):
    assert cpu_s_of(lambda: parse(text.encode(), URL)) < 4


def test_an_mpd_beyond_its_size_is_refused_before_it_is_read():
    data = HEAD.encode() + b" " * (3 << 20)
    with pytest.raises(PlaylistTooLarge, match="Raise playlist_bytes_max"):
        parse(data, URL)


def of_size(count):
    rows = "".join(f'<S t="{20 * place}" d="{10 + place % 2}"/>' for place in range(count))
    return one(
        f'<SegmentTemplate media="$Time$" timescale="10"><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>'
    ).encode()


def test_the_cost_of_parsing_is_linear_in_the_size():
    parse(of_size(100), URL)
    small, large = (calls_of(lambda count=count: parse(of_size(count), URL)) for count in (200, 1600))
    assert large < 8.5 * small
