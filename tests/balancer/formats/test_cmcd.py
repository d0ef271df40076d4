"""CMCD: values as CTA-5004-B writes them, by query, by header and in a report; and what others write, read."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.cmcd import KEYS, decode, headers, query, report, text

FULL = {
    "v": 2,
    "sid": "6e2fb550-c457-11e9-bb97-0800200c9a66",
    "cid": 'film "x"',
    "sf": "h",
    "st": "v",
    "ot": "av",
    "br": {"av": 2000},
    "tb": {"av": 9000},
    "d": 4004,
    "dl": 1234,
    "mtp": 5678,
    "nor": "s8.m4s",
    "su": True,
    "bs": False,
    "sn": 3,
    "cdn": "a",
    "com.example-source": "peer",
}


def test_the_pairs_are_in_order_of_their_keys_and_rounded_as_each_asks():
    assert text(FULL) == (
        'br=(2000;av),cdn="a",cid="film \\"x\\"",com.example-source="peer",d=4004,dl=1200,mtp=(5700),nor=("s8.m4s"),'
        'ot=av,sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",sn=3,st=v,su,tb=(9000;av),v=2'
    )


def test_in_a_query_it_is_one_parameter():
    assert parse_qs(query(FULL)) == {"CMCD": [text(FULL)]}
    assert query({"br": 100, "cid": "a/b"}) == "CMCD=br%3D(100)%2Ccid%3D%22a%2Fb%22"


def test_in_headers_each_key_has_its_place_and_none_is_empty():
    assert dict(headers(FULL)) == {
        "CMCD-Object": "br=(2000;av),d=4004,ot=av,tb=(9000;av)",
        "CMCD-Request": 'com.example-source="peer",dl=1200,mtp=(5700),nor=("s8.m4s"),sn=3,su',
        "CMCD-Session": 'cid="film \\"x\\"",sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",st=v,v=2',
        "CMCD-Status": 'cdn="a"',
    }
    assert headers({"ot": "m"}) == [("CMCD-Object", "ot=m")]
    assert headers({}) == []


def test_a_report_has_a_line_for_each_event():
    events = [{"e": "rr", "ts": 1_700_000_000_000, "url": "https://a.example/1"}, {"e": "t", "ts": 1_700_000_030_000}]
    assert report(events) == b'e=rr,ts=1700000000000,url="https://a.example/1"\ne=t,ts=1700000030000'


def test_keys_of_events_alone_are_in_no_header():
    assert headers({"e": "t", "ts": 5, "rc": 200, "v": 2}) == [("CMCD-Session", "v=2")]


@pytest.mark.parametrize("value", [None, False, "", (), {}])
def test_what_says_nothing_is_left_out(value):
    assert text({"bs": value, "v": 2}) == "v=2"


@pytest.mark.parametrize(("rate", "written"), [(1, "v=2"), (1.0, "v=2"), (1.5, "pr=1.5,v=2"), (2, "pr=2.0,v=2")])
def test_the_usual_playback_rate_is_not_said(rate, written):
    assert text({"pr": rate, "v": 2}) == written


@pytest.mark.parametrize(("ms", "written"), [(0, 0), (49, 0), (50, 100), (250, 300), (1049, 1000)])
def test_halves_are_rounded_up(ms, written):
    assert text({"dl": ms}) == f"dl={written}"


@pytest.mark.parametrize(
    "values",
    [
        {"xyz": 1},
        {"a" * 64 + "-b": 1},
        {"ot": "q"},
        {"e": "nothing"},
        {"sid": "x" * 65},
        {"cid": 7},
        {"cid": "é"},
        {"br": -1},
        {"br": {"q": 1}},
        {"d": -5},
        {"Com-Key": 1},
    ],
)
def test_a_key_or_value_that_the_standard_has_not_is_refused(values):
    with pytest.raises(ValueError, match=r"\w"):
        text(values)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("bs,br=(2000;v 128;a)", {"bs": True, "br": {"v": 2000, "a": 128}}),
        ("br=3200,bl=21300", {"br": {"": 3200}, "bl": {"": 21300}}),  # version 1
        ('nor="..%2F300kbps%2Ftrack.m4v"', {"nor": ["..%2F300kbps%2Ftrack.m4v"]}),
        ("other-key=(1 2),ot=v,pr=1.08", {"other-key": [1, 2], "ot": "v", "pr": 1.08}),
        ('ec="404"', {"ec": ["404"]}),  # a list of one
        ("ot=zz", {"ot": "zz"}),  # of a later version, perhaps
    ],
)
def test_what_others_write_is_read(written, values):
    assert decode(written) == values


@pytest.mark.parametrize(
    "written", ["br=(a b)", "d=x", "bs=1", "sid=token", "ot=5", 'd="4"', "d=(1)", "su=(1)", "br", "ec"]
)
def test_a_value_of_another_type_is_refused(written):
    with pytest.raises(ValueError, match=r"\w"):
        decode(written)


RATES = st.dictionaries(st.sampled_from(["", "v", "a", "av"]), st.integers(0, 10**9), min_size=1, max_size=3)
STRINGS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)


def values_of(name):
    key = KEYS[name]
    return {
        "rates": RATES.map(lambda rates: {ot: rate * key.step for ot, rate in rates.items()}),
        "flag": st.just(True),
        "integer": st.integers(0, 10**10).map(lambda n: n * key.step),
        "decimal": st.integers(2, 9).map(float),
        "token": st.sampled_from(sorted(key.words)) if key.words else st.nothing(),
        "string": STRINGS,
        "strings": st.lists(STRINGS, min_size=1, max_size=3),
        "next": st.lists(STRINGS, min_size=1, max_size=3),
    }[key.kind]


@given(st.fixed_dictionaries({}, optional={name: values_of(name) for name in KEYS}))
def test_what_is_written_is_read_the_same_and_headers_have_what_a_query_has(values):
    assert decode(text(values)) == values
    in_headers = {}
    for _, field in headers(values):
        in_headers |= decode(field)
    assert in_headers == {name: value for name, value in values.items() if KEYS[name].header}


ANYTHING = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    STRINGS,
    st.binary(),
    st.lists(STRINGS),
    st.dictionaries(STRINGS, STRINGS),
)


@given(st.sampled_from([*KEYS, "com.example-key"]), ANYTHING)
def test_whatever_is_to_be_said_is_written_or_refused(name, value):
    try:
        written = text({name: value})
    except ValueError:
        return
    assert text(decode(written)) == written
