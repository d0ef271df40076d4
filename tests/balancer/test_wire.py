"""Bytes of the peer protocol, against what p2p-media-loader wrote and read."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.balancer.wire import (
    Absent,
    Announcement,
    Cancel,
    Command,
    DataDone,
    DataFollows,
    Decoder,
    Media,
    Message,
    Request,
    UnknownCommand,
    WireError,
    WireLimits,
    encode,
    split_media,
)
from shoal.balancer.wire_values import INTEGER_MAX, decode_value, encode_ids, encode_integer

DATA = Path(__file__).parents[1] / "data" / "p2pml"
VECTORS = json.loads((DATA / "serialization_vectors.json").read_text("utf-8"))
EXCHANGE = json.loads((DATA / "datachannel_exchange.json").read_text("utf-8"))["rows"]
LEGACY = json.loads((DATA / "legacy_2_2_2.json").read_text("utf-8"))
RECORDED_COMMANDS = [row["hex"] for row in EXCHANGE if row.get("kind") == "command"] + LEGACY["first_commands_hex"]

LIMITS = WireLimits()
WORDS = st.sampled_from([b"cstr", b"dstr", b"cend", b"dend", b"c", b"d", b"\x00", b"end", b"str"])

numbers = st.integers(0, INTEGER_MAX)
ids = st.lists(st.integers(0, 5_000) | numbers, unique=True, max_size=200).map(lambda found: tuple(sorted(found)))
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Announcement, ids, ids),
    st.builds(Request, numbers, numbers, numbers),
    st.builds(DataFollows, numbers, numbers, numbers),
    st.builds(DataDone, numbers, numbers),
    st.builds(Absent, numbers, numbers),
    st.builds(Cancel, numbers, numbers),
)


def ids_of(vector: list[int] | str) -> list[int]:
    if isinstance(vector, list):
        return vector
    first, _, last = vector.removeprefix("range ").partition("..")
    return list(range(int(first), int(last) + 1))


def command_of(fields: dict[str, Any]) -> Command:
    match fields["c"]:
        case 0:
            return Announcement(tuple(fields.get("l", ())), tuple(fields.get("p", ())))
        case 1:
            return Request(fields["i"], fields["r"], fields.get("b", 0))
        case 2:
            return DataFollows(fields["i"], fields["s"], fields["r"])
        case code:
            return {3: DataDone, 4: Absent, 5: Cancel}[code](fields["i"], fields["r"])


def read(messages: list[bytes], limits: WireLimits = LIMITS) -> list[Message | None]:
    decoder = Decoder(limits)
    return [decoder.receive(message) for message in messages]


def one(message: bytes | str, limits: WireLimits = LIMITS) -> Message | None:
    return Decoder(limits).receive(bytes.fromhex(message) if isinstance(message, str) else message)


def framed(body: bytes | str) -> bytes:
    return b"cstr" + (bytes.fromhex(body) if isinstance(body, str) else body) + b"cend"


# --- recordings ------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["ints"], ids=lambda vector: str(vector["value"]))
def test_an_integer_is_written_and_read_as_the_package_does(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["hex"])
    assert encode_integer(vector["value"]) == raw
    assert decode_value(raw, 0, LIMITS) == (vector["value"], len(raw))


@pytest.mark.parametrize("vector", VECTORS["arrays"], ids=lambda vector: str(vector["ids"]))
def test_an_id_list_is_read_as_it_was_meant_and_written_as_the_package_can_read_it(vector: dict[str, Any]) -> None:
    raw, meant = bytes.fromhex(vector["hex"]), tuple(ids_of(vector["ids"]))
    assert decode_value(raw, 0, LIMITS) == (meant, len(raw))
    if vector["decoded_count_in_package"] == len(meant):
        assert encode_ids(meant) == raw


@pytest.mark.parametrize("vector", VECTORS["strings"], ids=lambda vector: str(vector["string"]))
def test_a_string_is_skipped_by_its_length(vector: dict[str, Any]) -> None:
    text = b"x" * 300 if vector["string"].startswith("'x'") else vector["string"].encode()
    raw = bytes.fromhex(vector["hex"])[:2] + text
    assert raw.startswith(bytes.fromhex(vector["hex"]))
    assert decode_value(raw + b"?", 0, LIMITS) == (text, len(raw))


@pytest.mark.parametrize("vector", VECTORS["commands"], ids=lambda vector: vector["messages_hex"][0][:48])
def test_a_command_is_written_and_read_as_the_package_does(vector: dict[str, Any]) -> None:
    recorded = [bytes.fromhex(message) for message in vector["messages_hex"]]
    command = command_of(vector["command"])
    assert read(recorded) == [None] * (len(recorded) - 1) + [command]
    if vector["decode_error_in_package"] is None:
        assert encode(command, piece_bytes_max=vector["max_message_size"]) == recorded


@pytest.mark.parametrize("recorded", sorted(set(RECORDED_COMMANDS)))
def test_every_recorded_command_is_read_and_written_again_alike(recorded: str) -> None:
    command = one(recorded)
    assert command is not None
    assert not isinstance(command, UnknownCommand | Media)
    assert encode(command) == [bytes.fromhex(recorded)]


def test_the_recorded_segment_is_cut_where_the_package_cut_it() -> None:
    segment = (DATA / "segment_008.m4s").read_bytes()
    recorded = [(row["length"], row["sha256"]) for row in EXCHANGE if row.get("kind") == "segment_bytes"][:2]
    pieces = list(split_media(segment))
    assert [(len(piece), hashlib.sha256(piece).hexdigest()) for piece in pieces] == recorded
    assert read(pieces) == [Media(piece) for piece in pieces]


# --- the group of 256 ------------------------------------------------------


def test_a_full_group_is_written_as_255_and_1() -> None:
    raw = encode_ids(range(256))
    assert raw == bytes.fromhex("1002" + "0200ff") + bytes(range(255)) + bytes.fromhex("0101ff")
    assert decode_value(raw, 0, LIMITS)[0] == tuple(range(256))


def test_a_group_of_length_0_is_read_as_256() -> None:
    held = decode_value(bytes.fromhex("1001" + "020100") + bytes(range(256)), 0, LIMITS)[0]
    assert held == tuple(range(256, 512))


def test_more_groups_than_a_list_has_room_for_are_our_own_mistake() -> None:
    assert len(read(encode(Announcement(tuple(range(0, 255 * 256, 256)))))) == 1
    with pytest.raises(ValueError, match="256 groups"):
        encode(Announcement(tuple(range(0, 256 * 256, 256))))


# --- properties ------------------------------------------------------------


@given(commands, st.integers(9, 400))
def test_what_is_written_is_read_again(command: Command, piece_bytes_max: int) -> None:
    messages = encode(command, piece_bytes_max=piece_bytes_max)
    assert all(len(message) <= piece_bytes_max for message in messages)
    assert read(messages) == [None] * (len(messages) - 1) + [command]


@given(ids.flatmap(st.permutations))
def test_ids_in_any_order_are_the_same_set(shuffled: list[int]) -> None:
    (announcement,) = read(encode(Announcement(tuple(shuffled))))
    assert isinstance(announcement, Announcement)
    assert set(announcement.held) == set(shuffled)


@given(st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(framed) | st.lists(WORDS).map(b"".join)))
def test_any_bytes_give_messages_or_a_wire_error(messages: list[bytes]) -> None:
    decoder = Decoder(WireLimits(message_bytes_max=64, command_bytes_max=100, ids_max=50))
    for message in messages:
        try:
            decoder.receive(message)
        except WireError:
            return


@given(commands, st.data())
def test_a_command_cut_short_or_changed_gives_a_command_or_a_wire_error(command: Command, data: st.DataObject) -> None:
    body = bytearray(b"".join(message[4:-4] for message in encode(command)))
    place = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        del body[place:]
    else:
        body[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        assert one(framed(bytes(body))) is not None


@given(st.lists(WORDS | st.binary(max_size=3)).map(b"".join), st.integers(1, 24))
@example(b"cstr" + b"cend" * 9, 8)
@example(b"dstrcend", 8)
@example(b"cstr-dendstr-cendstr-dend", 9)
def test_media_never_looks_like_a_command(media: bytes, piece_bytes_max: int) -> None:
    pieces = list(split_media(media, piece_bytes_max=piece_bytes_max))
    assert all(0 < len(piece) <= piece_bytes_max for piece in pieces)
    assert read(pieces) == [Media(piece) for piece in pieces]
    assert b"".join(pieces) == media


# --- refusals --------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "empty"),
        (framed(""), "truncated"),
        (framed("0169"), "truncated"),
        (framed("01690105"), "missing_field"),  # no request id
        (framed("0169010572010569010a"), "duplicate_field"),
        (framed("0169018572010a"), "wrong_type"),  # number -5
        (framed("01691001010105720105"), "wrong_type"),  # a list as number
        (framed("006c0105"), "wrong_type"),  # a number as list
        (framed("016900720105"), "bad_integer"),  # no bytes
        (framed("01690900000000000000000072010a"), "bad_integer"),  # nine bytes
        (framed("01690740000000000000720105"), "bad_integer"),  # above 2**53 - 1
        (framed("0169f0720105"), "unknown_type"),
        (framed("006c100101850102030405"), "bad_integer"),  # a negative group
        (framed("006c10010105"), "truncated"),
        (framed("006c1001020100"), "truncated"),  # a group of 256 without its bytes
        (framed("006c"), "truncated"),
        (b"dstr" + b"\x00" + b"dend", "no_beginning"),
        (b"dstr" + b"\x00" + b"cend", "no_beginning"),
        (b"\x00" * (256 * 1024 + 1), "message_too_large"),
        (framed(b"\x00" * (64 * 1024 + 1)), "command_too_large"),
    ],
)
def test_malformed_messages_are_refused_with_a_reason(message: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        one(message)
    assert caught.value.reason == reason


def test_a_list_longer_than_the_limit_is_refused() -> None:
    (message,) = encode(Announcement(tuple(range(21))))
    assert one(message, WireLimits(ids_max=21)) is not None
    with pytest.raises(WireError) as caught:
        one(message, WireLimits(ids_max=20))
    assert caught.value.reason == "too_many_ids"


def test_pieces_are_joined_up_to_the_limit_and_not_beyond() -> None:
    decoder = Decoder(WireLimits(command_bytes_max=10))
    assert decoder.receive(b"cstr" + b"\x09" * 6 + b"dend") is None
    assert decoder.receive(b"dstr" + b"\x09" * 4 + b"dend") is None
    with pytest.raises(WireError) as caught:
        decoder.receive(b"dstr" + b"\x09" + b"dend")
    assert caught.value.reason == "command_too_large"


def test_pieces_without_content_cannot_keep_a_command_open() -> None:
    decoder = Decoder()
    decoder.receive(b"cstr\x00dend")
    with pytest.raises(WireError) as caught:
        decoder.receive(b"dstrdend")
    assert caught.value.reason == "empty"


def test_a_command_inside_another_is_refused() -> None:
    with pytest.raises(WireError) as caught:
        read([b"cstr\x00dend", b"cstr\x00cend"])
    assert caught.value.reason == "interleaved"


def test_commands_and_fields_of_later_versions_are_passed_over() -> None:
    assert one(framed(b"\x63 whatever")) == UnknownCommand(0x63)
    assert one(framed("0169010c7202024678200361626379100101030501027a0101")) == Request(12, 582)


def test_media_shorter_than_a_frame_is_media() -> None:
    assert one(b"cstrend") == Media(b"cstrend")
    assert one(b"cstr") == Media(b"cstr")


@pytest.mark.parametrize("command", [Request(-1, 1), Request(1, 2**53), Announcement((-1,)), Announcement((2**53,))])
def test_numbers_the_other_side_cannot_read_are_our_own_mistake(command: Command) -> None:
    with pytest.raises(ValueError, match=r"outside|negative"):
        encode(command)
