"""What our own peers say to each other besides: commands and fields that p2p-media-loader skips without noticing.

    64  greeting       n "shoal", v version          the first thing said on a channel; after it all of this may be said
    65  hashes         i ids, h 16 bytes for each    what the sender holds, by the first half of the SHA-256 of each;
                                                     said once a greeting was heard, if there are none an empty list
    66  upload state   s 0 free, 1 busy, 2 choked    whether a request would be served now

    1   request        e     first byte that is not wanted any more; without it all from `b` on
    2   data follows   t     bytes of the whole segment; said in answer to a range
    4   absent         w     why: 0 not held, 1 busy, 2 choked, 3 no such range

Nothing is answered to a greeting, so it costs no round trip: each side sends its own, and uses the rest once
it has heard one.  Until then the codes count as unknown and the fields are passed over, so that a later version of
the package may mean something else by them; a greeting without our name is nobody's.  2.3.1 reads all this and does
nothing: it looks at the codes 0 to 5 alone, and a field that it does not know stays unused.

A hash said by a peer is a claim.  It tells who has another version before a byte was asked for, and nothing more:
what came is held against the hashes of the stream's own operator, as ever (docs/design/extension.md).
"""

from __future__ import annotations

import itertools

import msgspec

from .wire_values import (
    STRING_BYTES_MAX,
    Value,
    WireError,
    WireLimits,
    encode_ids,
    encode_integer,
    encode_string,
    fields_of,
)

__all__ = [
    "CLAIM_BYTES",
    "CODES",
    "HASHES_MAX",
    "VERSION",
    "ExtensionCommand",
    "Greeting",
    "Hashes",
    "Refusal",
    "UploadState",
    "decode_extension",
    "encode_extension",
]

VERSION = 1
CLAIM_BYTES = 16  # of the 32: two files that differ share them by no chance, and nobody trusts them anyway
HASHES_MAX = STRING_BYTES_MAX // CLAIM_BYTES  # in one command: 255

_NAME = b"shoal"
_GREETING, _HASHES, _STATE = CODES = (64, 65, 66)  # far from where the package goes on counting


class Greeting(msgspec.Struct, frozen=True, tag=True):
    """The sender knows this extension up to `version`; what is said is what both know."""

    version: int = VERSION


class Hashes(msgspec.Struct, frozen=True, tag=True):
    """For each of `numbers` the first 16 bytes of its SHA-256.  Adds to what was said before, and replaces it."""

    numbers: tuple[int, ...]
    claims: tuple[bytes, ...]


class UploadState(msgspec.Struct, frozen=True, tag=True):
    """Whether a request to the sender would be served: 0 free, 1 busy (others use up its cap), 2 choked."""

    state: int


class Refusal:
    """Why a segment is not given, as numbers on the wire and as words; numbers of later versions count as absent."""

    WORDS = ("absent", "busy", "choked", "range")

    @classmethod
    def word(cls, number: int) -> str:
        return cls.WORDS[number] if number < len(cls.WORDS) else cls.WORDS[0]

    @classmethod
    def number(cls, word: str) -> int:
        return cls.WORDS.index(word)


ExtensionCommand = Greeting | Hashes | UploadState


def encode_extension(command: ExtensionCommand) -> bytes:
    """The body of a command.  ValueError for lists that do not match or are too long: our own mistakes."""
    match command:
        case Greeting(version):
            return bytes((_GREETING,)) + b"n" + encode_string(_NAME) + b"v" + encode_integer(version)
        case UploadState(state):
            return bytes((_STATE,)) + b"s" + encode_integer(state)
        case Hashes(numbers, claims):
            if len(numbers) != len(claims) or any(len(claim) != CLAIM_BYTES for claim in claims):
                raise ValueError(
                    f"{len(numbers)} numbers and {len(claims)} hashes; one of {CLAIM_BYTES} bytes for each"
                )
            if any(low >= high for low, high in itertools.pairwise(numbers)):
                raise ValueError("the numbers of hashes are to rise: their order is that of the hashes")
            return bytes((_HASHES,)) + b"i" + encode_ids(numbers) + b"h" + encode_string(b"".join(claims))


def decode_extension(body: bytes, limits: WireLimits, *, is_greeted: bool) -> ExtensionCommand | None:
    """Read a body whose code is one of ours; None if it is somebody else's after all.  WireError as wire.py."""
    code = body[0]
    if code == _GREETING:
        return _decode_greeting(body, limits)
    if not is_greeted:
        return None
    fields = dict(fields_of(body, limits))
    if code == _STATE:
        return UploadState(_integer(fields, "s"))
    numbers, joined = fields.get(ord("i")), fields.get(ord("h"))
    if not isinstance(numbers, tuple) or not isinstance(joined, bytes):
        raise WireError("hashes without a list of ids and a string", reason="missing_field")
    if len(joined) != CLAIM_BYTES * len(numbers):
        raise WireError(f"{len(joined)} bytes of hashes for {len(numbers)} ids", reason="wrong_length")
    claims = tuple(joined[at : at + CLAIM_BYTES] for at in range(0, len(joined), CLAIM_BYTES))
    return Hashes(numbers, claims)


def _decode_greeting(body: bytes, limits: WireLimits) -> Greeting | None:
    """What is not our greeting to the letter is another's command, and no mistake of theirs."""
    try:
        fields = dict(fields_of(body, limits))
        if fields.get(ord("n")) != _NAME:
            return None
        return Greeting(_integer(fields, "v"))
    except WireError:
        return None


def _integer(fields: dict[int, Value], name: str) -> int:
    value = fields.get(ord(name))
    if not isinstance(value, int) or value < 0:
        raise WireError(f"field {name} is {value!r:.40}", reason="missing_field" if value is None else "wrong_type")
    return value
