"""The peer protocol of p2p-media-loader 2.x as bytes, both ways.

    Decoder.receive(message)  ->  a Message, or None while a command is incomplete
    encode(command)           ->  the messages that carry it
    split_media(data)         ->  the messages that carry media bytes

A message on the channel is either a piece of a command or media:

    cstr body cend     a command in one piece
    cstr body dend     first piece of several        dstr body dend     a middle one
    dstr body cend     the last                      anything else      media of the running transfer

There is no escape: media that begins with one of the words and ends with one
would be read as a command.  `split_media` therefore cuts elsewhere.

A body is a command code and fields (a name, then a typed value: wire_values.py).
Fields that a command does not know are skipped, codes nobody knows become
UnknownCommand, and everything else that is not as described raises WireError and
nothing else.  Every length is limited before anything is allocated for it.

What only our own peers say is in extension.py.  The Decoder passes over it until
`is_greeted` is set, but for the greeting itself.

What is sent and what is meant (which transfer, how many bytes) is peer.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .extension import CODES, ExtensionCommand, Greeting, Hashes, UploadState, decode_extension, encode_extension
from .wire_values import WireError, WireLimits, encode_ids, encode_integer, fields_of

__all__ = [
    "Absent",
    "Announcement",
    "Cancel",
    "Command",
    "DataDone",
    "DataFollows",
    "Decoder",
    "Media",
    "Message",
    "Request",
    "UnknownCommand",
    "WireError",
    "WireLimits",
    "encode",
    "split_media",
]

PIECE_BYTES_MAX = 65535  # what the package sends at most; every WebRTC stack takes it

_STARTS = (b"cstr", b"dstr")
_ENDS = (b"cend", b"dend")
_FRAME_BYTES = 8


class Announcement(msgspec.Struct, frozen=True, tag=True):
    """All segment ids that the sender holds, and those it is fetching over HTTP.  Replaces what it said before."""

    held: tuple[int, ...] = ()
    fetching: tuple[int, ...] = ()


class Request(msgspec.Struct, frozen=True, tag=True):
    """Please send segment `number` from `first_byte` on, to its end or (extension) up to `end_byte`."""

    number: int
    request_id: int
    first_byte: int = 0
    end_byte: int | None = None


class DataFollows(msgspec.Struct, frozen=True, tag=True):
    """`byte_count` bytes of media come next: all that is missing from the requested byte on, or the range.

    `total_bytes` (extension) is what the whole segment has.
    """

    number: int
    byte_count: int
    request_id: int
    total_bytes: int | None = None


class DataDone(msgspec.Struct, frozen=True, tag=True):
    """All bytes of the answer were sent."""

    number: int
    request_id: int


class Absent(msgspec.Struct, frozen=True, tag=True):
    """The sender does not have, or does not give, what was requested; `why` (extension) is a number of Refusal."""

    number: int
    request_id: int
    why: int = 0


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """The sender no longer wants what it requested."""

    number: int
    request_id: int


class UnknownCommand(msgspec.Struct, frozen=True, tag=True):
    """A command of a later version; to be ignored."""

    code: int


class Media(msgspec.Struct, frozen=True, tag=True):
    """Bytes of the running transfer."""

    data: bytes


Command = Announcement | Request | DataFollows | DataDone | Absent | Cancel | ExtensionCommand
Message = Command | UnknownCommand | Media

# Code, class, and the fields in the order they are sent: name, attribute.  Announcements have lists, and stand apart.
_ANNOUNCEMENT_CODE = 0
_FIELDS: dict[int, tuple[type[Request | DataFollows | DataDone | Absent | Cancel], dict[int, str]]] = {
    1: (Request, {ord("i"): "number", ord("r"): "request_id", ord("b"): "first_byte"}),
    2: (DataFollows, {ord("i"): "number", ord("s"): "byte_count", ord("r"): "request_id"}),
    3: (DataDone, {ord("i"): "number", ord("r"): "request_id"}),
    4: (Absent, {ord("i"): "number", ord("r"): "request_id"}),
    5: (Cancel, {ord("i"): "number", ord("r"): "request_id"}),
}
_CODES = {command: code for code, (command, _) in _FIELDS.items()}
# What our own peers say besides in those commands.  No name is `c`: the package would take it for the code.
_FIELDS_BESIDES = {1: {ord("e"): "end_byte"}, 2: {ord("t"): "total_bytes"}, 4: {ord("w"): "why"}}
_LEFT_OUT = {"first_byte": 0, "end_byte": None, "total_bytes": None, "why": 0}  # when it has this value


# --- writing ---------------------------------------------------------------


def encode(command: Command, *, piece_bytes_max: int = PIECE_BYTES_MAX) -> list[bytes]:
    """The messages that carry one command, in order.

    ValueError if a number is negative or above 2**53 - 1, or a list needs more
    than 255 groups (`group_ids` says): our own mistakes.
    """
    body = _encode_body(command)
    room = piece_bytes_max - _FRAME_BYTES
    if room < 1:
        raise ValueError(f"piece_bytes_max is {piece_bytes_max}; a piece needs {_FRAME_BYTES + 1} bytes or more")
    if len(body) <= room:
        return [b"cstr" + body + b"cend"]
    count = -(-len(body) // room)
    size = -(-len(body) // count)  # pieces of one size, as the package cuts
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    last = len(parts) - 1
    return [
        (b"dstr" if place else b"cstr") + part + (b"cend" if place == last else b"dend")
        for place, part in enumerate(parts)
    ]


def split_media(data: bytes, *, piece_bytes_max: int = PIECE_BYTES_MAX) -> Iterator[bytes]:
    """Cut media into messages that nobody can take for commands.

    A piece that would begin and end like one is cut a byte earlier: then it ends
    in `cen` or `den`, and the `d` begins the next piece.
    """
    if piece_bytes_max < 1:
        raise ValueError(f"piece_bytes_max is {piece_bytes_max}; a piece has one byte or more")
    at = 0
    while at < len(data):
        piece = data[at : at + piece_bytes_max]
        if _is_command_piece(piece):
            piece = piece[:-1]
        at += len(piece)
        yield piece


def _encode_body(command: Command) -> bytes:
    if isinstance(command, Announcement):
        held = b"l" + encode_ids(command.held) if command.held else b""
        fetching = b"p" + encode_ids(command.fetching) if command.fetching else b""
        return bytes((_ANNOUNCEMENT_CODE,)) + held + fetching
    if isinstance(command, Greeting | Hashes | UploadState):
        return encode_extension(command)
    code = _CODES[type(command)]
    body = bytearray((code,))
    for name, attribute in (_FIELDS[code][1] | _FIELDS_BESIDES.get(code, {})).items():
        value: int | None = getattr(command, attribute)
        if attribute in _LEFT_OUT and value == _LEFT_OUT[attribute]:
            continue
        if value is None or value < 0:
            raise ValueError(f"{attribute} is {value}; the protocol has no negative ones")
        body.append(name)
        body += encode_integer(value)
    return bytes(body)


# --- reading ---------------------------------------------------------------


class Decoder:
    """Joins pieces and reads commands; one for each direction of a channel.

    After a WireError the stream has no meaning any more: close the channel.
    """

    __slots__ = ("_joined", "_limits", "is_greeted")

    def __init__(self, limits: WireLimits | None = None) -> None:
        self._limits = limits or WireLimits()
        self._joined: bytearray | None = None  # bodies so far of a command in several pieces
        self.is_greeted = False  # by a peer of ours: what the extension says has its meaning

    def receive(self, message: bytes) -> Message | None:
        """What a channel message says; None for a piece of a command that is not complete.

        Media between the pieces of a command is passed on: nothing forbids it.
        """
        if len(message) > self._limits.message_bytes_max:
            limit = self._limits.message_bytes_max
            raise WireError(f"message of {len(message)} bytes; the limit is {limit}", reason="message_too_large")
        if not _is_command_piece(message):
            if not message:
                raise WireError("empty message", reason="empty")
            return Media(message)
        body = self._join(message)
        return None if body is None else decode_command(body, self._limits, is_greeted=self.is_greeted)

    def _join(self, message: bytes) -> bytes | None:
        begins, ends = message.startswith(b"c"), message.endswith(b"cend")
        body = message[4:-4]
        if begins:
            if self._joined is not None:
                raise WireError("a command began inside another", reason="interleaved")
            if not ends:
                self._joined = bytearray()
        elif self._joined is None:
            raise WireError("a piece of a command that never began", reason="no_beginning")
        have = len(self._joined or b"")
        if have + len(body) > self._limits.command_bytes_max:
            limit = self._limits.command_bytes_max
            raise WireError(f"command of more than {limit} bytes", reason="command_too_large")
        if self._joined is None:
            return body
        if not body:  # else a peer could send pieces for ever, none of which counts against the limit
            raise WireError("an empty piece of a command", reason="empty")
        self._joined += body
        if not ends:
            return None
        joined, self._joined = bytes(self._joined), None
        return joined


def decode_command(body: bytes, limits: WireLimits, *, is_greeted: bool = False) -> Command | UnknownCommand:
    """Read one joined body."""
    if not body:
        raise WireError("a command without a code", reason="truncated")
    code = body[0]
    if code == _ANNOUNCEMENT_CODE:
        lists: dict[int, tuple[int, ...]] = dict.fromkeys(b"lp", ())
        for name, value in fields_of(body, limits):
            if name in lists:
                if not isinstance(value, tuple):
                    raise WireError(f"field {chr(name)} is not a list of ids", reason="wrong_type")
                lists[name] = value
        return Announcement(lists[ord("l")], lists[ord("p")])
    if code in CODES:
        return decode_extension(body, limits, is_greeted=is_greeted) or UnknownCommand(code)
    if code not in _FIELDS:
        return UnknownCommand(code)
    command, names = _FIELDS[code]
    if is_greeted:
        names = names | _FIELDS_BESIDES.get(code, {})
    values: dict[str, int] = {}
    for name, value in fields_of(body, limits):
        attribute = names.get(name)
        if attribute is None:
            continue
        if not isinstance(value, int) or value < 0:
            raise WireError(f"field {chr(name)} of {command.__name__} is {value!r:.40}", reason="wrong_type")
        values[attribute] = value
    missing = [attribute for attribute in names.values() if attribute not in values and attribute not in _LEFT_OUT]
    if missing:
        raise WireError(f"{command.__name__} without {', '.join(missing)}", reason="missing_field")
    return command(**values)


def _is_command_piece(message: bytes) -> bool:
    # The two words cannot overlap, so a message shorter than both is never one.
    return message.startswith(_STARTS) and message.endswith(_ENDS) and len(message) >= _FRAME_BYTES
