"""Typed values of the peer protocol: integers, lists of segment ids, strings; and what any of it may cost.

    kind      head byte               then
    integer   0, and the byte count   sign and magnitude, big endian
    id list   16                      the number of groups; of each its common part and length, and the low bytes
    string    32, and high length     low length, and the bytes

A body is a command code and fields: a name of one byte, then a typed value.  Whatever is not as described
raises WireError and nothing else; every length is limited before anything is allocated for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

__all__ = [
    "GROUPS_MAX",
    "GROUP_IDS_MAX",
    "INTEGER_MAX",
    "STRING_BYTES_MAX",
    "Value",
    "WireError",
    "WireLimits",
    "decode_value",
    "encode_ids",
    "encode_integer",
    "encode_string",
    "fields_of",
    "group_ids",
]

INTEGER_MAX = 2**53 - 1  # what an ECMAScript number holds exactly; the other side has no more
GROUPS_MAX = 255  # the number of groups is one byte
GROUP_IDS_MAX = 255  # a group may hold 256, but its length is then written 0, which the package cannot read
STRING_BYTES_MAX = 4095  # its length has 12 bits

Value = int | tuple[int, ...] | bytes


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


# --- writing ---------------------------------------------------------------


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


def encode_string(data: bytes) -> bytes:
    """Any bytes; the package reads them as UTF-8, and what is none as marks of replacement."""
    if len(data) > STRING_BYTES_MAX:
        raise ValueError(f"a string of {len(data)} bytes; a command has room for {STRING_BYTES_MAX}")
    return bytes((0x20 | len(data) >> 8, len(data) & 0xFF)) + data


# --- reading ---------------------------------------------------------------


def fields_of(body: bytes, limits: WireLimits) -> Iterator[tuple[int, Value]]:
    seen = set()
    at = 1
    while at < len(body):
        name = body[at]
        if name in seen:
            raise WireError(f"field {name:#04x} twice", reason="duplicate_field")
        seen.add(name)
        value, at = decode_value(body, at + 1, limits)
        yield name, value


def decode_value(body: bytes, at: int, limits: WireLimits) -> tuple[Value, int]:
    """The typed value at `at`, and the offset behind it.  Strings stay bytes."""
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
