"""Messages cross as plain values and byte strings, come back equal, and nothing else comes in."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import BadMessage, MessageTooLarge
from shoal.transports.sansio.bridge_frames import (
    Answer,
    Ask,
    BridgeLimits,
    Bye,
    Cancel,
    Fail,
    FrameMalformed,
    Hello,
    Tell,
    Wire,
    decode_frame,
    encode_frame,
    join,
    split,
)
from shoal.transports.sansio.bridge_values import MessageTypes, put_back, take_out

LIMITS = BridgeLimits()
SAFE = 2**53 - 1


class Inner(msgspec.Struct):
    key: bytes
    notes: list[str] = []


class Everything(msgspec.Struct):
    text: str
    count: int
    ratio: float
    flag: bool | None
    data: bytes
    inner: Inner
    many: list[Inner]
    named: dict[str, bytes]


class Tagged(msgspec.Struct, tag_field="kind", tag="t"):
    count: int


texts = st.text(st.characters(codec="utf-8"), max_size=20)
inners = st.builds(Inner, key=st.binary(max_size=20), notes=st.lists(texts, max_size=3))
messages = st.builds(
    Everything,
    text=texts,
    count=st.integers(-SAFE, SAFE),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.sampled_from([True, False, None]),
    data=st.binary(max_size=100),
    inner=inners,
    many=st.lists(inners, max_size=3),
    named=st.dictionaries(texts, st.binary(max_size=10), max_size=3),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(messages)
def test_a_message_that_crossed_is_equal(message):
    types = MessageTypes([Everything])
    body, parts, places = types.take_out(message)
    assert all(type(part) is bytes for part in parts)
    assert types.put_back(types.name_of(message), json.loads(json.dumps(body)), parts, places) == message


@given(plain)
def test_a_plain_value_that_crossed_is_equal(value):
    body, parts, places = take_out(value)
    assert put_back(json.loads(json.dumps(body)), parts, places) == value


def test_what_was_given_stays_as_it_was():
    given = {"tuple": (1, [b"x"]), "set": {2}, "list": [b"y"]}
    body, parts, places = take_out(given)
    assert body == {"tuple": [1, [None]], "set": [2], "list": [None]}
    assert (parts, places) == ([b"x", b"y"], [["tuple", 1, 0], ["list", 0]])
    assert given == {"tuple": (1, [b"x"]), "set": {2}, "list": [b"y"]}


def test_bytes_are_not_copied_on_their_way_out():
    data = bytes(1000)
    _, parts, _ = take_out({"data": data})
    assert parts[0] is data


@pytest.mark.parametrize("value", [SAFE + 1, -SAFE - 1, math.inf, -math.inf, math.nan])
def test_a_number_that_javascript_would_change_is_refused(value):
    with pytest.raises(BadMessage, match="at \\['inner', 0\\]"):
        take_out({"inner": [value]})


def test_what_is_nested_too_deeply_is_refused():
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(BadMessage, match="deep"):
        take_out(deep)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(BadMessage, match="itself"):
        take_out(circle)


def test_what_is_no_value_at_all_is_refused():
    with pytest.raises(BadMessage, match="cannot cross"):
        take_out({"function": print})


def test_a_tag_is_said_by_the_frame_alone():
    types = MessageTypes([Tagged])
    body, _, _ = types.take_out(Tagged(3))
    assert body == {"count": 3}
    assert types.put_back("Tagged", {"count": 3}, [], []) == Tagged(3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"key": "text"}, "Expected `bytes`"),
        ({"key": None}, "Expected `bytes`"),
        ({"notes": []}, "missing required field `key`"),
        ({"key": b"", "note": []}, "no field 'note'; it has key, notes"),
        ({"key": b"", "notes": [1]}, "Expected `str`"),
    ],
)
def test_what_is_not_of_the_type_is_refused_in_words(body, words):
    plain_body, parts, places = take_out(body)
    with pytest.raises(BadMessage, match=words):
        MessageTypes([Inner]).put_back("Inner", plain_body, parts, places)


@pytest.mark.parametrize("place", [[], ["a"], ["b", 0], ["b", 5], ["c", "d"], ["a", "x"], [0], ["b", "0"]])
def test_bytes_go_only_where_their_place_is_empty(place):
    with pytest.raises(BadMessage):
        put_back({"a": "text", "b": [1], "c": {}}, [b"x"], [place])


def test_a_type_that_no_plain_object_could_be_told_for_is_refused_at_once():
    class Listed(msgspec.Struct, array_like=True):
        a: int

    class Typed(msgspec.Struct):
        type: str

    with pytest.raises(TypeError, match="array_like"):
        MessageTypes([Listed])
    with pytest.raises(ValueError, match="field `type`"):
        MessageTypes([Typed])
    with pytest.raises(TypeError, match=r"no msgspec\.Struct"):
        MessageTypes([dict])  # type: ignore
    with pytest.raises(ValueError, match="called Inner"):
        MessageTypes([Inner, Inner])


FRAMES = [
    (Hello(version=1, token="t"), []),
    (Tell(to="a", type="T", body={"x": None}, at=[["x"]]), [b"1"]),
    (Ask(id=1, to="a", type="T", body={}, ms=5), []),
    (Answer(id=2**53 - 1, body=[None, None], at=[[0], [1]]), [b"", b"22"]),
    (Fail(id=3, name="KeyError", message="ö"), []),
    (Cancel(id=3), []),
    (Bye(why="done"), []),
]


@pytest.mark.parametrize(("frame", "parts"), FRAMES, ids=lambda value: type(value).__name__)
def test_a_frame_is_read_as_it_was_written_also_joined(frame, parts):
    wire = encode_frame(frame, parts, LIMITS)
    assert decode_frame(wire.text, wire.parts, LIMITS) == frame
    assert split(join(wire), LIMITS) == wire


@given(texts, st.lists(st.binary(max_size=30), max_size=5))
def test_what_was_joined_is_split_the_same(text, parts):
    wire = Wire(text, tuple(parts))
    assert split(join(wire), LIMITS) == wire


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"\0\0\0\1\0\0\0\2\0\0\0\3{}" + tail))
def test_any_bytes_are_split_or_refused(data):
    try:
        wire = split(data, LIMITS)
    except (FrameMalformed, MessageTooLarge):
        return
    assert join(wire) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"op":"shout"}',
        '{"op":"tell","to":"a","type":"T"}',
        '{"op":"tell","to":"","type":"T","body":{}}',
        '{"op":"tell","to":"a","type":"T","body":[]}',
        '{"op":"tell","to":"a","type":"T","body":{},"more":1}',
        '{"op":"ask","id":0,"to":"a","type":"T","body":{},"ms":1}',
        '{"op":"ask","id":9007199254740992,"to":"a","type":"T","body":{},"ms":1}',
        '{"op":"answer","id":1.5,"body":null}',
        '{"op":"answer","id":1,"body":null,"at":[[-1]]}',
        '{"op":"answer","id":1,"body":' + "[" * 100_000,
        '{"op":"answer","id":1,"body":' + "[" * 90_000 + "]" * 90_000 + "}",
        '{"op":"bye","why":"\ud800"}',
        "\ud800",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_text_that_is_no_frame_is_refused(text):
    with pytest.raises(FrameMalformed):
        decode_frame(text, [], LIMITS)


def nested(depth: int, kind: str) -> str:
    opening, closing = {"lists": ("[", "]"), "objects": ('{"[": ', "}"), "both": ('[{"a": [', "]}]")}[kind]
    depth //= opening.count("[") + opening.count("{") - opening.count('"[')
    return '{"op":"answer","id":1,"body":' + opening * depth + "1" + closing * depth + "}"


@pytest.mark.parametrize("kind", ["lists", "objects", "both"])
def test_a_body_is_nested_as_deeply_as_it_may_be_sent_and_no_deeper(kind):
    assert isinstance(decode_frame(nested(30, kind), [], LIMITS), Answer)
    assert isinstance(decode_frame(nested(32, "lists"), [], LIMITS), Answer)
    with pytest.raises(FrameMalformed, match="nested more than 32 deep"):
        decode_frame(nested(36, kind), [], LIMITS)
    with pytest.raises(FrameMalformed, match="nested more than 32 deep"):
        decode_frame(nested(33, "lists"), [], LIMITS)


@given(st.text('[]{}"\\a', max_size=50), st.integers(0, 60))
def test_brackets_in_texts_and_beside_each_other_are_no_depth(text, count):
    frame = Answer(id=1, body=[text * 20, [[], {}] * count, {text: [text]}])
    assert decode_frame(encode_frame(frame, [], LIMITS).text, [], LIMITS) == frame


def test_a_frame_and_its_bytes_have_to_agree_on_their_number():
    with pytest.raises(FrameMalformed, match="speaks of 0 byte strings, and 1 came"):
        decode_frame('{"op":"cancel","id":1}', [b""], LIMITS)


def test_every_size_has_a_limit_on_both_ways():
    limits = BridgeLimits(text_characters_max=100, bytes_max=10, parts_max=2)
    for text, parts in (("x" * 101, []), ("", [b"x" * 11]), ("", [b"", b"", b""])):
        with pytest.raises(MessageTooLarge):
            decode_frame(text, parts, limits)
    with pytest.raises(MessageTooLarge, match="11 bytes in one frame"):
        encode_frame(Answer(id=1, body=None, at=[[]]), [bytes(11)], limits)
    with pytest.raises(MessageTooLarge, match="3 byte strings"):
        split(join(Wire("", (b"", b"", b""))), limits)
