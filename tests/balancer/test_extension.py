"""What our own peers say besides: bytes that stay the same, limits, and nothing before a greeting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.extension import CLAIM_BYTES, HASHES_MAX, Greeting, Hashes, Refusal, UploadState
from shoal.balancer.wire import Absent, Command, DataFollows, Decoder, Message, Request, UnknownCommand, encode
from shoal.balancer.wire_values import INTEGER_MAX, WireError

numbers = st.integers(0, INTEGER_MAX)
claims = st.dictionaries(numbers, st.binary(min_size=CLAIM_BYTES, max_size=CLAIM_BYTES), max_size=HASHES_MAX)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Greeting, numbers),
    st.builds(UploadState, numbers),
    claims.map(lambda found: Hashes(tuple(sorted(found)), tuple(found[number] for number in sorted(found)))),
    st.builds(Request, numbers, numbers, numbers, st.none() | numbers),
    st.builds(DataFollows, numbers, numbers, numbers, st.none() | numbers),
    st.builds(Absent, numbers, numbers, numbers),
)

# Written once, and to be read for ever: a peer of yesterday speaks so.
GOLDEN = [
    (Greeting(1), "63737472 40 6e 2005 73686f616c 76 0101 63656e64"),
    (UploadState(1), "63737472 42 73 0101 63656e64"),
    (
        Hashes((7, 300), (bytes(16), bytes(range(16)))),
        (
            "63737472 41 69 1002 010107 0201012c 68 2020"
            "00000000000000000000000000000000"
            "000102030405060708090a0b0c0d0e0f"
            "63656e64"
        ),
    ),
    (Request(7, 15, 2, 65536), "63737472 01 69 0107 72 010f 62 0102 65 03010000 63656e64"),
    (DataFollows(7, 5, 15, 200000), "63737472 02 69 0107 73 0105 72 010f 74 03030d40 63656e64"),
    (Absent(7, 15, 2), "63737472 04 69 0107 72 010f 77 0102 63656e64"),
]


def greeted() -> Decoder:
    decoder = Decoder()
    decoder.is_greeted = True
    return decoder


def read(messages: list[bytes], decoder: Decoder) -> list[Message | None]:
    return [decoder.receive(message) for message in messages]


@pytest.mark.parametrize(("command", "raw"), GOLDEN, ids=lambda one: type(one).__name__)
def test_the_bytes_of_the_extension_stay_as_they_are(command: Command, raw: str) -> None:
    message = bytes.fromhex(raw.replace(" ", ""))
    assert encode(command) == [message]
    assert read([message], greeted()) == [command]


@given(commands, st.integers(9, 400))
def test_what_is_written_is_read_again(command: Command, piece_bytes_max: int) -> None:
    messages = encode(command, piece_bytes_max=piece_bytes_max)
    assert read(messages, greeted())[-1] == command


@given(commands)
def test_before_a_greeting_nothing_of_it_has_a_meaning(command: Command) -> None:
    (said,) = read(encode(command), Decoder())
    match command:
        case Greeting():
            assert said == command
        case UploadState() | Hashes():
            assert isinstance(said, UnknownCommand)
        case Request(number, request_id, first_byte):
            assert said == Request(number, request_id, first_byte)
        case DataFollows(number, byte_count, request_id):
            assert said == DataFollows(number, byte_count, request_id)
        case Absent(number, request_id):
            assert said == Absent(number, request_id)


@pytest.mark.parametrize(
    "body",
    [
        b"@",  # nothing at all
        b"@n\x20\x05sheelv\x01\x01",  # another's name
        b"@n\x01\x05v\x01\x01",  # a number for a name
        b"@n\x20\x05shoal",  # no version
        b"@n\x20\x05shoalv\x01\x81",  # a version of less than nothing
        b"@\xff\xff",
    ],
)
def test_what_is_not_our_greeting_to_the_letter_is_somebody_elses_command(body: bytes) -> None:
    assert read([b"cstr" + body + b"cend"], Decoder()) == [UnknownCommand(64)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"A", "missing_field"),
        (b"Ai\x10\x01\x01\x01\x07h\x20\x02xy", "wrong_length"),
        (b"Ai\x10\x01\x01\x01\x07h\x01\x01", "missing_field"),
        (b"B", "missing_field"),
        (b"Bs\x01\x81", "wrong_type"),
        (b"\x01i\x01\x07r\x01\x01e\x01\x81", "wrong_type"),
    ],
)
def test_after_a_greeting_what_is_not_as_described_is_an_error(body: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        read([b"cstr" + body + b"cend"], greeted())
    assert caught.value.reason == reason


def test_hashes_that_do_not_fit_their_numbers_are_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="one of 16 bytes for each"):
        encode(Hashes((1, 2), (bytes(16),)))
    with pytest.raises(ValueError, match="one of 16 bytes for each"):
        encode(Hashes((1,), (bytes(15),)))
    with pytest.raises(ValueError, match="are to rise"):
        encode(Hashes((2, 1), (bytes(16), bytes(16))))
    with pytest.raises(ValueError, match="4096 bytes"):
        encode(Hashes(tuple(range(256)), (bytes(16),) * 256))


def test_a_reason_of_a_later_version_counts_as_absent() -> None:
    assert [Refusal.word(number) for number in range(5)] == ["absent", "busy", "choked", "range", "absent"]
    assert [Refusal.word(Refusal.number(word)) for word in Refusal.WORDS] == list(Refusal.WORDS)
