"""Patches of MPDs (ISO/IEC 23009-1, 5.15): what they change, and nothing else, and what they are refused for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import NotAPlaylist, PlaylistError, PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.formats.dash import Limits, parse, patched

from .mpds import HEAD, NOON_US, URL, S

BEFORE, AFTER = "2026-01-31T12:00:00Z", "2026-01-31T12:00:04Z"
MPD = f"""<?xml version="1.0"?>
{HEAD} id="show" type="dynamic" availabilityStartTime="{BEFORE}" publishTime='{BEFORE}' minimumUpdatePeriod="PT2S">
  <PatchLocation ttl="60">patch.mpp?t=0</PatchLocation> <!-- a comment that stays -->
  <Period id="p" start="PT0S">
    <AdaptationSet id="1" mimeType="video/mp4">
      <SegmentTemplate timescale="10" media="$Time$.m4s">
        <SegmentTimeline><S t="0" d="20"/><S d="30" r="1" /></SegmentTimeline>
      </SegmentTemplate>
      <Representation id="v" bandwidth="1"/>
    </AdaptationSet>
    <AdaptationSet id="2" mimeType="audio/mp4"><Representation id="a" bandwidth="2"><BaseURL>a.mp4</BaseURL>
    </Representation></AdaptationSet>
  </Period>
  <x:own xmlns:x="urn:x" x:y="1 &lt; 2">kept</x:own>
</MPD>
<!-- the end -->
"""
LINE = "/MPD/Period[@id='p']/AdaptationSet[1]/SegmentTemplate/SegmentTimeline"


def patch(*operations: str, of: str = "show", original: str = BEFORE, now: str = AFTER) -> bytes:
    return (
        '<?xml version="1.0"?><Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020" '
        f'mpdId="{of}" originalPublishTime="{original}" publishTime="{now}">{"".join(operations)}</Patch>'
    ).encode()


def applied(*operations: str, **more: str) -> str:
    return patched(parse(MPD.encode(), URL), patch(*operations, **more)).decode()


def test_what_a_packager_sends_makes_the_next_mpd() -> None:
    text = applied(
        f'<replace sel="/MPD/@publishTime">{AFTER}</replace>',
        '<replace sel="/MPD/PatchLocation[1]"><PatchLocation ttl="60">patch.mpp?t=4</PatchLocation></replace>',
        f'<remove sel="{LINE}/S[1]"/>',
        f'<add sel="{LINE}/S[1]" type="@t">20</add>',
        f'<add sel="{LINE}"><S d="25"/><S d="15"/></add>',
    )
    expected = (
        MPD.replace(f"publishTime='{BEFORE}'", f'publishTime="{AFTER}"')
        .replace("patch.mpp?t=0", "patch.mpp?t=4")
        .replace('<S t="0" d="20"/><S d="30" r="1" />', '<S d="30" r="1" t="20"/><S d="25"/><S d="15"/>')
    )
    assert text == expected
    mpd = parse(text.encode(), URL)
    assert mpd.publish_us == NOON_US + 4 * S
    assert mpd.patch_locations[0].url.endswith("patch.mpp?t=4")


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (f'<add sel="{LINE}" pos="prepend"><S t="9"/></add>', "<SegmentTimeline>", '<SegmentTimeline><S t="9"/>'),
        (f'<add sel="{LINE}/S[2]" pos="before"><S t="9"/></add>', '<S d="30"', '<S t="9"/><S d="30"'),
        (f'<add sel="{LINE}/S[2]" pos="after"><S t="9"/></add>', 'r="1" />', 'r="1" /><S t="9"/>'),
        (f'<add sel="{LINE}/S[@t=\'0\']" type="@r">7</add>', '<S t="0" d="20"/>', '<S t="0" d="20" r="7"/>'),
        (f'<replace sel="{LINE}/S[2]/@r">2</replace>', 'r="1" />', 'r="2" />'),
        (f'<replace sel="{LINE}/S[2]/@r">&lt;&quot;</replace>', 'r="1" />', "r='&lt;\"' />"),
        (f'<remove sel="{LINE}/S[2]/@r"/>', '<S d="30" r="1" />', '<S d="30" />'),
        ('<remove sel=\'/MPD/Period/AdaptationSet[@id="2"][@mimeType="audio/mp4"]/Representation/BaseURL\'/>',
         "<BaseURL>a.mp4</BaseURL>", ""),
        ("<add sel=\"/MPD/Period/AdaptationSet[@id='1']/Representation\"><BaseURL>v/</BaseURL></add>",
         '<Representation id="v" bandwidth="1"/>',
         '<Representation id="v" bandwidth="1"><BaseURL>v/</BaseURL></Representation>'),
        ('<replace sel="/MPD/own"><y a="1>2"><z/></y></replace>',
         '<x:own xmlns:x="urn:x" x:y="1 &lt; 2">kept</x:own>', '<y a="1>2"><z/></y>'),
        ('<add sel="/MPD" type="@x-new">a</add>', 'Period="PT2S">', 'Period="PT2S" x-new="a">'),
        ('<remove sel="/p:MPD/p:PatchLocation" xmlns:p="urn:p"/>',
         '<PatchLocation ttl="60">patch.mpp?t=0</PatchLocation>', ""),
    ],
)  # fmt: skip
def test_an_operation_changes_what_it_selects_and_nothing_else(operation: str, before: str, after: str) -> None:
    assert MPD.count(before) == 1
    assert applied(operation) == MPD.replace(before, after)


@pytest.mark.parametrize(
    ("operation", "error", "what"),
    [
        ('<add sel="/MPD/Period[2]"><S/></add>', PlaylistMalformed, "finds 0 elements"),
        ('<add sel="/MPD/Period/AdaptationSet"><S/></add>', PlaylistMalformed, "finds 2 elements"),
        ('<remove sel="/MPD/Period[0]"/>', PlaylistMalformed, "finds 0"),
        ('<remove sel="/Other"/>', PlaylistMalformed, "finds 0"),
        ('<remove sel="/MPD"/>', PlaylistMalformed, "take the MPD itself away"),
        ('<remove sel="/MPD/@nothing"/>', PlaylistMalformed, "no such attribute"),
        ('<remove sel=""/>', PlaylistMalformed, "write a path"),
        ("<remove/>", PlaylistMalformed, "write a path"),
        ('<remove sel="//Period"/>', PlaylistUnsupported, "more than a path"),
        ('<remove sel="/MPD/Period[position()=1]"/>', PlaylistUnsupported, "more than a path"),
        ("<remove sel=\"id('p')\"/>", PlaylistUnsupported, "more than a path"),
        ('<remove sel="/MPD/Period[1]/text()"/>', PlaylistUnsupported, "more than a path"),
        ('<replace sel="/MPD/Period"><a/><b/></replace>', PlaylistMalformed, "one element by 2"),
        ('<replace sel="/MPD/Period"/>', PlaylistMalformed, "one element by 0"),
        ('<add sel="/MPD" pos="before"><a/></add>', PlaylistMalformed, "beside the MPD"),
        ('<add sel="/MPD" pos="inside"><a/></add>', PlaylistMalformed, "it is before, after"),
        ('<add sel="/MPD" type="namespace::x">urn:x</add>', PlaylistMalformed, "only attributes"),
        ('<add sel="/MPD" type="@a b">x</add>', PlaylistMalformed, "only attributes"),
        ('<move sel="/MPD"/>', PlaylistMalformed, "no operation"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(operation: str, error: type[PlaylistError], what: str) -> None:
    with pytest.raises(error, match=what) as caught:
        applied(operation)
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("data", "error", "what"),
    [
        (patch(of="other"), PlaylistUnsupported, "patch of 'other'"),
        (patch(original=AFTER), PlaylistUnsupported, "another one is known"),
        (patch(original="yesterday"), PlaylistMalformed, "originalPublishTime"),
        (b"<Patch/>", PlaylistMalformed, "mpdId"),
        (MPD.encode(), NotAPlaylist, "no Patch"),
        (b"<html/>", NotAPlaylist, "no Patch"),
        (b"", NotAPlaylist, "empty"),
        (b"<Patch", NotAPlaylist, "no XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Patch>&b;</Patch>', PlaylistUnsupported, "declares"),
    ],
)
def test_what_is_no_patch_of_this_mpd_is_refused(data: bytes, error: type[PlaylistError], what: str) -> None:
    with pytest.raises(error, match=what):
        patched(parse(MPD.encode(), URL), data)


def test_an_mpd_without_a_name_has_no_patches() -> None:
    with pytest.raises(PlaylistUnsupported, match="the MPD is None"):
        patched(parse(MPD.replace(' id="show"', "").encode(), URL), patch())


def test_an_mpd_whose_own_elements_have_a_prefix_is_loaded_whole() -> None:
    text = (
        f'<m:MPD xmlns:m="urn:mpeg:dash:schema:mpd:2011" id="show" publishTime="{BEFORE}">'
        '<m:Period duration="PT1S"/></m:MPD>'
    )
    with pytest.raises(PlaylistUnsupported, match="have a prefix"):
        patched(parse(text.encode(), URL), patch('<add sel="/MPD"><a/></add>'))


def test_patches_have_their_limits() -> None:
    mpd = parse(MPD.encode(), URL)
    operation = f'<add sel="{LINE}"><S d="1"/></add>'
    with pytest.raises(PlaylistTooLarge, match="operations_max"):
        patched(mpd, patch(*[operation] * 5), limits=Limits(operations_max=4))
    with pytest.raises(PlaylistTooLarge, match="makes an MPD of"):
        patched(mpd, patch(operation), limits=Limits(mpd_bytes_max=len(MPD)))


def timeline(first: int, count: int) -> str:
    rows = "".join(f'<S t="{20 * number}" d="20"/>' for number in range(first, first + count))
    return MPD.replace('<S t="0" d="20"/><S d="30" r="1" />', rows)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6))
def test_a_window_that_slides_by_patches_is_that_of_whole_mpds(steps: list[tuple[int, int]]) -> None:
    """As a live packager goes on: rows go at the front and come at the end."""
    first, count = 0, 5
    data = timeline(first, count).encode()
    for gone, new in steps:
        gone = min(gone, count + new - 1)
        operations = [f'<add sel="{LINE}"><S t="{20 * (first + count + n)}" d="20"/></add>' for n in range(new)]
        operations += [f'<remove sel="{LINE}/S[1]"/>'] * gone
        data = patched(parse(data, URL), patch(*operations))
        first, count = first + gone, count + new - gone
        assert data == timeline(first, count).encode()


MANY = 20_000
LOOKS_AT_MUCH = {
    "the last of many": ["<replace sel='/MPD/a[20000]/@x'>2</replace>"] * 5_000,
    "many attributes of many": [f"<remove sel='/MPD/a{'[@x=&quot;1&quot;]' * 2_000}'/>"],
    "what lies among many": ["<add sel='/MPD/a[20000]' pos='before'><b/></add>"] * 5_000,
    "a long start tag": ["<replace sel='/MPD/@y'>2</replace>"] * 5_000,
}


@pytest.mark.parametrize("name", LOOKS_AT_MUCH)
def test_operations_that_look_at_very_much_are_refused_soon(name: str) -> None:
    text = MPD.replace("  <x:own", '<a x="1"/>' * MANY + "<x:own").replace("<MPD", f'<MPD z="{"z" * 200_000}" y="1"')
    mpd = parse(text.encode(), URL)
    began_s = time.process_time()
    with pytest.raises(PlaylistTooLarge, match="patch_visits_max"):
        patched(mpd, patch(*LOOKS_AT_MUCH[name]))
    assert time.process_time() - began_s < 5


def test_a_large_patch_of_a_large_mpd_is_within_the_limits() -> None:
    """Of 2,000 rows, ten go and ten come, in each of ten timelines."""
    line = f"/MPD/Period/AdaptationSet[{{}}]{LINE.rpartition(']')[2]}"
    rows = "".join(f'<S t="{20 * number}" d="20"/>' for number in range(2_000))
    one = (
        f'<AdaptationSet><SegmentTemplate media="$Time$"><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>'
        '<Representation id="v" bandwidth="1"/></AdaptationSet>'
    )
    head = f'{HEAD} id="show" publishTime="{BEFORE}">'
    mpd = parse(f"{head}<Period>{one * 10}</Period></MPD>".encode(), URL)
    operations = [f'<remove sel="{line.format(place)}/S[1]"/>' for place in range(1, 11)] * 10
    operations += [f'<add sel="{line.format(place)}"><S d="20"/></add>' for place in range(1, 11)] * 10
    assert patched(mpd, patch(*operations)).count(b'<S d="20"/>') == 100
