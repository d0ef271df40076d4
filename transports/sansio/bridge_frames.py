"""What crosses a bridge between JavaScript and actors: frames, each a JSON text and the byte strings it speaks of.

    {"op": "ask", "id": 7, "to": "account", "type": "Sign", "body": {"text": "x", "key": null}, "at": [["key"]], "ms": 5000}
    and one byte string, whose place in the body is ["key"]

    hello   the first of each side: version, and a token where one is asked for
    tell    a message, and no answer
    ask     a message, and how long its answer is waited for
    answer, fail    what became of an ask of the other side's
    cancel  the asker waits no longer
    bye     the last one, and why

Byte strings stay beside the text, so that nothing is spelled as base64 and a carrier that can hand
over memory does.  A carrier that has one byte stream joins them:

    u32 number of byte strings | u32 characters of the text, as UTF-8 bytes | u32 length of each | text | byte strings

Numbers are big-endian.  A frame without byte strings is its text.
"""  # noqa: E501 - a frame is one line

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from shoal.transports.errors import MessageTooLarge

from .nesting import is_nested_deeper

__all__ = [
    "TOKEN_CHARACTERS_MAX",
    "VERSION",
    "Answer",
    "Ask",
    "BridgeLimits",
    "Bye",
    "Cancel",
    "Fail",
    "Frame",
    "FrameMalformed",
    "Hello",
    "Tell",
    "Wire",
    "decode_frame",
    "encode_frame",
    "join",
    "split",
]

VERSION = 1
TOKEN_CHARACTERS_MAX = 200
_DEPTH_MAX = 32  # of a body; also what a reader of places has to follow
_LENGTH = struct.Struct(">I")


class BridgeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one side takes from the other, and keeps for it."""

    text_characters_max: int = 256 * 1024  # JSON is read in one go: some ms, in which the loop does nothing else
    bytes_max: int = 4 * 1024 * 1024  # of all byte strings of a frame: one video segment
    parts_max: int = 64  # byte strings in a frame
    asks_max: int = 256  # each way, at once; each holds a message and a place in a table
    ask_timeout_us: int = 5_000_000  # as of ActorRef.ask; the other side may wait less, and not longer
    hello_timeout_us: int = 5_000_000  # until then a stranger holds a connection


Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]  # of actors, which are paths, and of types
Words = Annotated[str, msgspec.Meta(max_length=1000)]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]  # what a JavaScript number holds exactly
Step = Annotated[int, msgspec.Meta(ge=0)] | str
Place = Annotated[list[Step], msgspec.Meta(max_length=_DEPTH_MAX)]
Places = list[Place]


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    pass


class Hello(_Frame, frozen=True, tag="hello"):
    version: int
    token: Annotated[str, msgspec.Meta(max_length=TOKEN_CHARACTERS_MAX)] | None = None


class Tell(_Frame, frozen=True, tag="tell"):
    to: Name
    type: Name
    body: dict[str, Any]
    at: Places = []


class Ask(_Frame, frozen=True, tag="ask"):
    id: Number
    to: Name
    type: Name
    body: dict[str, Any]
    ms: Number
    at: Places = []


class Answer(_Frame, frozen=True, tag="answer"):
    id: Number
    body: Any
    at: Places = []


class Fail(_Frame, frozen=True, tag="fail"):
    """`name` is the error's: one of the runtime's or the bridge's, or one that both sides know."""

    id: Number
    name: Name
    message: Words


class Cancel(_Frame, frozen=True, tag="cancel"):
    id: Number


class Bye(_Frame, frozen=True, tag="bye"):
    why: Words


Frame = Hello | Tell | Ask | Answer | Fail | Cancel | Bye


class Wire(msgspec.Struct, frozen=True):
    """A frame as carriers take it."""

    text: str
    parts: tuple[bytes, ...] = ()


class FrameMalformed(ValueError):
    """These are no bytes of a bridge; says why."""


_decoder = msgspec.json.Decoder(Frame)
_encoder = msgspec.json.Encoder()


def encode_frame(frame: Frame, parts: Sequence[bytes], limits: BridgeLimits) -> Wire:
    """MessageTooLarge; ValueError for text that is not Unicode."""
    text = _encoder.encode(frame).decode()
    _check_size(text, parts, limits)
    return Wire(text, tuple(parts))


def decode_frame(text: str, parts: Sequence[bytes], limits: BridgeLimits) -> Frame:
    """FrameMalformed, MessageTooLarge.  Bodies are plain values still, with None where byte strings belong."""
    _check_size(text, parts, limits)
    if is_nested_deeper(text.encode(errors="replace"), _DEPTH_MAX + 1):
        raise FrameMalformed(f"its body is nested more than {_DEPTH_MAX} deep")
    try:
        frame: Frame = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise FrameMalformed(f"it is no frame: {error}"[:200]) from None
    expected = len(frame.at) if isinstance(frame, Tell | Ask | Answer) else 0
    if expected != len(parts):
        raise FrameMalformed(f"it speaks of {expected} byte strings, and {len(parts)} came")
    return frame


def join(wire: Wire) -> bytes:
    """A frame with byte strings as one message; those without go as their text.  One copy of each."""
    text = wire.text.encode()
    lengths = [len(wire.parts), len(text), *map(len, wire.parts)]
    return b"".join([*map(_LENGTH.pack, lengths), text, *wire.parts])


def split(message: bytes, limits: BridgeLimits) -> Wire:
    """What `join` made.  FrameMalformed, MessageTooLarge.  One copy of each byte string."""
    view = memoryview(message)
    count = _number(view, 0)
    if count > limits.parts_max:
        raise MessageTooLarge(f"{count} byte strings in one frame; the limit is {limits.parts_max}")
    lengths = [_number(view, 4 * (1 + index)) for index in range(count + 1)]
    start = 4 * (2 + count)
    if start + sum(lengths) != len(view):
        raise FrameMalformed(f"{len(view)} bytes came, and its lengths say {start + sum(lengths)}")
    pieces = []
    for length in lengths:
        pieces.append(bytes(view[start : start + length]))
        start += length
    try:
        return Wire(pieces[0].decode(), tuple(pieces[1:]))
    except UnicodeDecodeError:
        raise FrameMalformed("its text is no UTF-8") from None


def _number(view: memoryview, start: int) -> int:
    if start + 4 > len(view):
        raise FrameMalformed(f"it ends after {len(view)} bytes, before its lengths")
    number: int = _LENGTH.unpack_from(view, start)[0]
    return number


def _check_size(text: str, parts: Sequence[bytes], limits: BridgeLimits) -> None:
    if len(text) > limits.text_characters_max:
        raise MessageTooLarge(
            f"{len(text)} characters of text in one frame; the limit is {limits.text_characters_max}; send bytes"
        )
    if len(parts) > limits.parts_max:
        raise MessageTooLarge(f"{len(parts)} byte strings in one frame; the limit is {limits.parts_max}")
    size = sum(map(len, parts))
    if size > limits.bytes_max:
        raise MessageTooLarge(f"{size} bytes in one frame; the limit is {limits.bytes_max}, split them")
