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

A body is a command code and fields (a name, then a typed value).  Fields that a
command does not know are skipped, codes nobody knows become UnknownCommand, and
everything else that is not as described raises WireError and nothing else.
Every length is limited before anything is allocated for it.

What is sent and what is meant (which transfer, how many bytes) is peer.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

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
    "group_ids",
    "split_media",
]

INTEGER_MAX = 2**53 - 1  # what an ECMAScript number holds exactly; the other side has no more
PIECE_BYTES_MAX = 65535  # what the package sends at most; every WebRTC stack takes it
GROUPS_MAX = 255  # the number of groups is one byte
GROUP_IDS_MAX = 255  # a group may hold 256, but its length is then written 0, which the package cannot read

_STARTS = (b"cstr", b"dstr")
_ENDS = (b"cend", b"dend")
_FRAME_BYTES = 8


class WireError(Exception):
    """A message is not what the protocol allows.  `reason` is a stable short word for counters."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class WireLimits(msgspec.Struct, frozen=True):
    """How much of a peer's message is believed."""

    message_bytes_max: int = 256 * 1024  # the largest message that WebRTC stacks exchange
    command_bytes_max: int = 64 * 1024  # joined: 60,000 ids in one announcement
    ids_max: int = 16 * 1024  # of one list: 36 hours in segments of 8 s


class Announcement(msgspec.Struct, frozen=True, tag=True):
    """All segment ids that the sender holds, and those it is fetching over HTTP.  Replaces what it said before."""

    held: tuple[int, ...] = ()
    fetching: tuple[int, ...] = ()


class Request(msgspec.Struct, frozen=True, tag=True):
    """Please send segment `number` from `first_byte` on."""

    number: int
    request_id: int
    first_byte: int = 0


class DataFollows(msgspec.Struct, frozen=True, tag=True):
    """`byte_count` bytes of media come next: all that is missing from the requested byte on."""

    number: int
    byte_count: int
    request_id: int


class DataDone(msgspec.Struct, frozen=True, tag=True):
    """All bytes of the answer were sent."""

    number: int
    request_id: int


class Absent(msgspec.Struct, frozen=True, tag=True):
    """The sender does not have, or does not give, what was requested."""

    number: int
    request_id: int


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


Command = Announcement | Request | DataFollows | DataDone | Absent | Cancel
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


def group_ids(ids: Iterable[int]) -> list[tuple[int, bytes]]:
    """Ids as they are written: (common part, low bytes) groups, in order of first appearance, at most 255 ids each."""
    open_groups: dict[int, bytearray] = {}
    groups: list[tuple[int, bytearray]] = []
    for number in ids:
        if not 0 <= number <= INTEGER_MAX:
            raise ValueError(f"segment id {number} is outside 0..2**53 - 1")
        common = number & ~0xFF
        group = open_groups.get(common)
        if group is None or len(group) == GROUP_IDS_MAX:
            group = open_groups[common] = bytearray()
            groups.append((common, group))
        group.append(number & 0xFF)
    return [(common, bytes(low)) for common, low in groups]


def encode_integer(value: int) -> bytes:
    """A type byte with the byte count, then sign and magnitude, big endian; 128 is 02 00 80."""
    if abs(value) > INTEGER_MAX:
        raise ValueError(f"{value} is outside what the other side can read exactly (2**53 - 1)")
    count = abs(value).bit_length() // 8 + 1  # one bit more than the magnitude, for the sign
    raw = bytearray(abs(value).to_bytes(count, "big"))
    if value < 0:
        raw[0] |= 0x80
    return bytes((count,)) + bytes(raw)


def encode_ids(ids: Iterable[int]) -> bytes:
    groups = group_ids(ids)
    if len(groups) > GROUPS_MAX:
        raise ValueError(f"the ids need {len(groups)} groups and a list has room for {GROUPS_MAX}; announce fewer")
    written = [encode_integer(common | len(low)) + low for common, low in groups]
    return bytes((0x10, len(groups))) + b"".join(written)


def _encode_body(command: Command) -> bytes:
    if isinstance(command, Announcement):
        held = b"l" + encode_ids(command.held) if command.held else b""
        fetching = b"p" + encode_ids(command.fetching) if command.fetching else b""
        return bytes((_ANNOUNCEMENT_CODE,)) + held + fetching
    code = _CODES[type(command)]
    body = bytearray((code,))
    for name, attribute in _FIELDS[code][1].items():
        value: int = getattr(command, attribute)
        if value < 0:
            raise ValueError(f"{attribute} is {value}; the protocol has no negative ones")
        if value or attribute != "first_byte":
            body.append(name)
            body += encode_integer(value)
    return bytes(body)


# --- reading ---------------------------------------------------------------


class Decoder:
    """Joins pieces and reads commands; one for each direction of a channel.

    After a WireError the stream has no meaning any more: close the channel.
    """

    __slots__ = ("_joined", "_limits")

    def __init__(self, limits: WireLimits | None = None) -> None:
        self._limits = limits or WireLimits()
        self._joined: bytearray | None = None  # bodies so far of a command in several pieces

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
        return None if body is None else decode_command(body, self._limits)

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


def decode_command(body: bytes, limits: WireLimits) -> Command | UnknownCommand:
    """Read one joined body."""
    if not body:
        raise WireError("a command without a code", reason="truncated")
    code = body[0]
    if code == _ANNOUNCEMENT_CODE:
        lists: dict[int, tuple[int, ...]] = dict.fromkeys(b"lp", ())
        for name, value in _fields(body, limits):
            if name in lists:
                if not isinstance(value, tuple):
                    raise WireError(f"field {chr(name)} is not a list of ids", reason="wrong_type")
                lists[name] = value
        return Announcement(lists[ord("l")], lists[ord("p")])
    if code not in _FIELDS:
        return UnknownCommand(code)
    command, names = _FIELDS[code]
    values: dict[str, int] = {}
    for name, value in _fields(body, limits):
        attribute = names.get(name)
        if attribute is None:
            continue
        if not isinstance(value, int) or value < 0:
            raise WireError(f"field {chr(name)} of {command.__name__} is {value!r:.40}", reason="wrong_type")
        values[attribute] = value
    missing = [attribute for attribute in names.values() if attribute not in values and attribute != "first_byte"]
    if missing:
        raise WireError(f"{command.__name__} without {', '.join(missing)}", reason="missing_field")
    return command(**values)


_Value = int | tuple[int, ...] | bytes


def _is_command_piece(message: bytes) -> bool:
    # The two words cannot overlap, so a message shorter than both is never one.
    return message.startswith(_STARTS) and message.endswith(_ENDS) and len(message) >= _FRAME_BYTES


def _fields(body: bytes, limits: WireLimits) -> Iterator[tuple[int, _Value]]:
    seen = set()
    at = 1
    while at < len(body):
        name = body[at]
        if name in seen:
            raise WireError(f"field {name:#04x} twice", reason="duplicate_field")
        seen.add(name)
        value, at = decode_value(body, at + 1, limits)
        yield name, value


def decode_value(body: bytes, at: int, limits: WireLimits) -> tuple[_Value, int]:
    """The typed value at `at`, and the offset behind it.  Strings stay bytes: no command has one."""
    head = _take(body, at, 1)[0]
    kind, low = head >> 4, head & 0x0F
    if kind == 0:
        return _decode_integer(body, at)
    if kind == 1 and low == 0:
        return _decode_ids(body, at + 1, limits)
    if kind == 2:
        length = low << 8 | _take(body, at + 1, 1)[0]
        return _take(body, at + 2, length), at + 2 + length
    raise WireError(f"a value of unknown type {head:#04x}", reason="unknown_type")


def _decode_integer(body: bytes, at: int) -> tuple[int, int]:
    count = _take(body, at, 1)[0]
    if not 1 <= count <= 8:
        raise WireError(f"an integer with head {count:#04x}", reason="bad_integer")
    raw = _take(body, at + 1, count)
    magnitude = int.from_bytes(raw, "big") & ~(0x80 << 8 * (count - 1))
    if magnitude > INTEGER_MAX:
        raise WireError(f"the integer {magnitude} is above 2**53 - 1", reason="bad_integer")
    return (-magnitude if raw[0] & 0x80 else magnitude), at + 1 + count


def _decode_ids(body: bytes, at: int, limits: WireLimits) -> tuple[tuple[int, ...], int]:
    groups = _take(body, at, 1)[0]
    at += 1
    ids: list[int] = []
    for _ in range(groups):
        head, at = _decode_integer(body, at)
        if head < 0:
            raise WireError(f"a group of ids with head {head}", reason="bad_integer")
        common = head & ~0xFF
        length = head & 0xFF or 256  # 2.3.1 writes a full group's length as 0, and groups are never empty
        if len(ids) + length > limits.ids_max:
            raise WireError(f"a list of more than {limits.ids_max} ids", reason="too_many_ids")
        ids += [common | low for low in _take(body, at, length)]
        at += length
    return tuple(ids), at


def _take(body: bytes, at: int, count: int) -> bytes:
    if at + count > len(body):
        raise WireError(f"{count} bytes wanted at {at} of a command of {len(body)}", reason="truncated")
    return body[at : at + count]
