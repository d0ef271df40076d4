"""Attribute lists and single values (RFC 8216, 4.2)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistError, PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.formats.hls.attributes import (
    AttributeList,
    Resolution,
    byte_range,
    date_time_us,
    decimal_integer,
    duration_us,
    without,
)
from shoal.balancer.formats.hls.tokenizer import Limits, Line


def tag(value, name="EXT-X-TEST"):
    return Line(7, f"#{name}:{value}", "\n", name)


def attributes(value, limits=None):
    return AttributeList(tag(value), limits or Limits())


def test_each_attribute_keeps_its_value_and_its_place():
    line = tag('A=1,URI="a,b=c", NAME=x , LAST=""')
    found = {attribute.name: attribute for attribute in AttributeList(line, Limits())}
    assert {name: attribute.value for name, attribute in found.items()} == {
        "A": "1",
        "URI": "a,b=c",
        "NAME": "x",
        "LAST": "",
    }
    for attribute in found.values():
        assert line.text[attribute.start : attribute.stop] == attribute.value
    assert [attribute.is_quoted for attribute in found.values()] == [False, True, False, True]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "no NAME=VALUE at ''"),
        ("A", "no NAME=VALUE at 'A'"),
        ("A=", "no NAME=VALUE"),
        ("A=1,", "no NAME=VALUE at ''"),
        ('A="open', "no NAME=VALUE"),
        ('A="x"y', "no NAME=VALUE"),
        ("A=b c", "no NAME=VALUE"),
        ("lower=1", "no NAME=VALUE"),
        ("A=1,A=2", "A appears twice"),
    ],
)
def test_a_broken_list_is_refused_with_the_line_and_the_place(value, words):
    with pytest.raises(PlaylistMalformed, match=words) as caught:
        attributes(value)
    assert caught.value.line == 7


def test_the_number_of_attributes_is_limited():
    with pytest.raises(PlaylistTooLarge, match="attributes_max above 2"):
        attributes("A=1,B=2,C=3", Limits(attributes_max=2))


def test_getters_give_none_for_what_is_absent():
    empty = attributes("X=1")
    assert (empty.text("A"), empty.word("A"), empty.integer("A"), empty.resolution("A")) == (None, None, None, None)
    assert empty.flag("A") is False
    with pytest.raises(PlaylistMalformed, match="has no A"):
        empty.required_text("A")


def test_getters_read_values_of_their_type():
    read = attributes('N=18446744073709551615,R=1920x1080,F=29.970,T="text",W=WORD,Y=YES,H=0xABCDEF,S=-1.5')
    assert read.integer("N") == 2**64 - 1
    assert read.resolution("R") == Resolution(1920, 1080)
    assert read.number("F") == 29.97
    assert read.text("T") == "text"
    assert read.word("W") == "WORD"
    assert read.flag("Y") is True
    assert read.hexadecimal("H", digits_max=32) == "0xABCDEF"
    assert read.number("S") == -1.5


@pytest.mark.parametrize(
    ("getter", "value"),
    [
        ("integer", "18446744073709551616"),
        ("integer", "1.5"),
        ("integer", "-1"),
        ("integer", "\u0661"),  # a digit to str.isdigit(), and none to the RFC
        ("resolution", "1920X1080"),
        ("number", "1e5"),
        ("number", "inf"),
        ("flag", "TRUE"),
        ("text", "WORD"),
        ("word", '"text"'),
    ],
)
def test_getters_refuse_values_of_another_type(getter, value):
    with pytest.raises(PlaylistMalformed, match="A is"):
        getattr(attributes(f"A={value}"), getter)("A")


def test_a_hexadecimal_sequence_may_not_be_longer_than_its_type():
    with pytest.raises(PlaylistMalformed, match="at most 4"):
        attributes("IV=0x12345").hexadecimal("IV", digits_max=4)


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [("6", 6_000_000), ("9.009", 9_009_000), ("0.1", 100_000), (".5", 500_000), ("2.", 2_000_000)],
)
def test_durations_are_exact(value, microseconds):
    assert duration_us(value, tag(value), "EXTINF") == microseconds


@given(st.integers(0, 10**9), st.text("0123456789", max_size=30))
def test_durations_are_rounded_to_the_nearest_microsecond(whole, part):
    exact = Fraction(f"{whole}.{part or 0}") * 1_000_000
    assert abs(duration_us(f"{whole}.{part}", tag(""), "EXTINF") - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("value", ["", "-1", "1,5", "nan", "1e3", "1" * 21, "1." + "0" * 31])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(PlaylistMalformed):
        duration_us(value, tag(value), "EXTINF")


def test_byte_ranges_have_a_length_and_perhaps_an_offset():
    assert byte_range("75232@0", tag(""), "BYTERANGE") == (75232, 0)
    assert byte_range("75232", tag(""), "BYTERANGE") == (75232, None)


@pytest.mark.parametrize("value", ["", "@5", "5@", "0@5", "-5@1", f"1@{2**63 - 1}", "9" * 20, "9" * 21])
def test_what_is_no_byte_range_is_refused(value):
    with pytest.raises(PlaylistMalformed):
        byte_range(value, tag(value), "BYTERANGE")


def test_whole_numbers_end_at_64_bits():
    assert decimal_integer("0", tag(""), "N") == 0
    with pytest.raises(PlaylistMalformed, match="2\\^64-1"):
        decimal_integer("18446744073709551616", tag(""), "N")


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5", 500_000),
        ("2010-02-19T14:54:23.031+08:00", 1_266_562_463_031_000),
        ("1969-12-31T23:59:59Z", -1_000_000),
    ],
)
def test_dates_are_microseconds_since_1970(value, microseconds):
    assert date_time_us(value, tag(value)) == microseconds


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{0,16}([+-][0-9:]{2,5}|Z)?"))
def test_any_date_is_read_or_refused(value):
    try:
        assert isinstance(date_time_us(value, tag(value)), int)
    except PlaylistError:
        pass


def test_attributes_are_taken_out_and_the_others_stay():
    line = tag('URI="a",BYTERANGE="5@0",X=1')
    assert without(line, {"BYTERANGE"}, Limits()) == '#EXT-X-TEST:URI="a",X=1'
    assert without(line, {"ABSENT"}, Limits()) == line.text
    assert without(line, {"URI", "BYTERANGE", "X"}, Limits()) is None


@given(st.text('AB=",x \t-1', max_size=60))
def test_any_list_is_read_or_refused(value):
    try:
        read = list(attributes(value))
    except PlaylistError:
        return
    assert len({attribute.name for attribute in read}) == len(read) > 0
