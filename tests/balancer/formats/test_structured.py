"""Structured fields: values of every type, as RFC 8941 has them, and refused where they are not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.structured import (
    FIELD_CHARACTERS_MAX,
    MEMBERS_MAX,
    InnerList,
    Item,
    Token,
    dictionary,
    parse_dictionary,
    parse_list,
)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("  ", {}),
        ("a", {"a": Item(True)}),
        ("a=1", {"a": Item(1)}),
        ("a=-7,b=?0", {"a": Item(-7), "b": Item(False)}),
        ("a=1.5", {"a": Item(1.5)}),
        ('a="x \\"y\\" \\\\"', {"a": Item('x "y" \\')}),
        ("a=tok*/:en", {"a": Item("tok*/:en")}),
        ("a=:aGk=:", {"a": Item(b"hi")}),
        ("a=(), b=(1 2.0;x)", {"a": InnerList(()), "b": InnerList((Item(1), Item(2.0, {"x": True})))}),
        ("a=( 1  2 );p=3", {"a": InnerList((Item(1), Item(2)), {"p": 3})}),
        ("a;x;y=2 ,\tb=1", {"a": Item(True, {"x": True, "y": 2}), "b": Item(1)}),
        ("a=1,a=2", {"a": Item(2)}),
        ("*a.b-c_d=1", {"*a.b-c_d": Item(1)}),
    ],
)
def test_a_dictionary_is_read(text, members):
    assert parse_dictionary(text) == members


def test_a_list_is_read():
    assert parse_list('"edge";rtt=8;du, mid;etp=96') == [Item("edge", {"rtt": 8, "du": True}), Item("mid", {"etp": 96})]


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a,",
        "a=",
        "a==1",
        "A=1",
        "a b",
        "a=1 b=2",
        "a=(1",
        "a=(1,2)",
        "a=(1;)",
        'a=("x"y)',
        'a="x',
        'a="x\\y"',
        'a="é"',
        'a="\x7f"',
        "a=1.",
        "a=1.2345",
        "a=.5",
        "a=--1",
        "a=1234567890123456",
        "a=1234567890123.5",
        "a=?2",
        "a=:%%:",
        "a=:aGk:",
        "a=1;",
        "a=1;=2",
        "a=@1",
        "a=1\n",
        "a" * (FIELD_CHARACTERS_MAX + 1),
        ",".join(f"k{n}" for n in range(MEMBERS_MAX + 1)),
        f"a=({' '.join('1' * (MEMBERS_MAX + 1))})",
        "a=1" + "".join(f";k{n}" for n in range(MEMBERS_MAX + 1)),
    ],
)
def test_what_is_no_dictionary_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_dictionary(text)


def test_a_refusal_says_where():
    with pytest.raises(ValueError, match="at character 5, where a key should be"):
        parse_dictionary("a=1, =2")


@pytest.mark.parametrize(
    "members",
    [
        {"A": Item(1)},
        {"": Item(1)},
        {"a": Item(10**15)},
        {"a": Item("é")},
        {"a": Item("line\n")},
        {"a": Item(Token("no token"))},
        {"a": Item(float("nan"))},
        {"a": Item(1e300)},
    ],
)
def test_what_cannot_be_written_is_refused(members):
    with pytest.raises(ValueError, match=r"\w"):
        dictionary(members)


KEYS = st.text(string.ascii_lowercase + string.digits + "_-.*", min_size=1, max_size=6).filter(
    lambda key: key[0] in string.ascii_lowercase + "*"
)
TOKENS = st.text(string.ascii_letters + "*", min_size=1, max_size=5).map(Token)
BARE = st.one_of(
    st.booleans(),
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(-(10**9), 10**9).map(lambda n: n / 1000),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12),
    st.binary(max_size=6),
    TOKENS,
)
PARAMS = st.dictionaries(KEYS, BARE, max_size=2)
ITEMS = st.builds(Item, BARE, PARAMS)
FIELDS = ITEMS | st.builds(InnerList, st.lists(ITEMS, max_size=3).map(tuple), PARAMS)


@given(st.dictionaries(KEYS, FIELDS, max_size=4))
def test_what_is_written_is_read_the_same(members):
    assert parse_dictionary(dictionary(members)) == members


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for read in (parse_dictionary, parse_list):
        try:
            read(text)
        except ValueError:
            pass
