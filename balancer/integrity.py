"""Hashes of a stream's resources: the sidecar file that an operator publishes beside the playlists.

    {"version": 1,
     "block_bytes": 65536,
     "files": {
       "hd_000.m4s":         {"bytes": 123456, "sha256": "<64 hex>", "blocks": ["<64 hex>", "<64 hex>"]},
       "hd.mp4@61440+20480": {"bytes": 20480,  "sha256": "<64 hex>"}}}

A name is a URI relative to the sidecar's own URL, and must stay at or below its
folder; `@offset+length` after it names a byte range.  `sha256` is of the whole
resource.  `blocks` are those of its parts of `block_bytes` (the last may be
shorter), with which wrong bytes are found before the whole has come; without
them a resource is checked at its end only.

The hashes of a PeerTube's video or live stream are read too (`peertube.py`), and signed sidecars (`signed.py`).
A live PeerTube says no lengths: such hashes are in `sha256` alone.

Query strings count for nothing, in names and in what is looked up: a signed URL
has another query in each session, and the bytes are the same.  A stream whose
segments differ in their queries only cannot have a sidecar, and a name with a
query is refused.  Otherwise names are compared as they are written, so write
them as the playlist does, percent-encoding included.

Resources are looked up by their URL on the primary CDN, wherever they are then
fetched from.  The file is only as trustworthy as where it came from: fetch it
over TLS from the origin, never from a peer, or sign it.

Promises: nothing but SidecarError is raised for anything a server can send; all
limits hold.  Left to others: hashing what arrives, and blame.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from shoal.transports.sansio.nesting import is_nested_deeper

from .errors import ConfigurationError, SidecarMalformed, SidecarTooLarge
from .model import ByteRange
from .peertube import files_of, ranges_of
from .signed import Verify, opened
from .uris import encoded

__all__ = ["BLOCK_BYTES", "Digests", "Sidecar", "SidecarLimits", "sidecar"]

# One message of a data channel, and one read of a socket: the smallest unit that a source delivers at once.
BLOCK_BYTES = 64 * 1024
BLOCK_BYTES_MIN = 16 * 1024  # below, the hashes of a stream are more than 0.4 % of it
BLOCK_BYTES_MAX = 4 * 1024 * 1024  # above, most segments are one block
SHA256_BYTES = 32

_NAME_CHARS_MAX = 2048
_RANGE = re.compile(r"(.+)@([0-9]{1,19})\+([0-9]{1,19})", re.DOTALL)
_UNFIT = re.compile(r"[\x00-\x1f\x7f]|^ | \Z")

_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=_NAME_CHARS_MAX)]


class _File(msgspec.Struct, frozen=True, omit_defaults=True):
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    sha256: _Sha256
    blocks: tuple[_Sha256, ...] | None = None


class _Document(msgspec.Struct, frozen=True):
    version: Literal[1]
    block_bytes: int
    files: dict[_Name, _File]


_DECODER = msgspec.json.Decoder(_Document)


class SidecarLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a sidecar is read before it is refused."""

    sidecar_bytes_max: int = 16 * 1024 * 1024  # block hashes of 16 GB of media at 64 KiB each
    files_max: int = 100_000  # five renditions of the longest playlist


class Digests(msgspec.Struct, frozen=True):
    """What one resource must be."""

    byte_count: int
    sha256: bytes  # 32 bytes, of the whole
    block_bytes: int = BLOCK_BYTES
    blocks: tuple[bytes, ...] = ()  # 32 bytes each; empty where only the whole is known

    @classmethod
    def of(cls, data: bytes | Iterable[bytes], *, block_bytes: int = BLOCK_BYTES) -> Digests:
        """The digests of a resource given whole or in pieces of any size.  Hashes it twice, here and now."""
        _check_block_bytes(block_bytes)
        whole, block = hashlib.sha256(), hashlib.sha256()
        byte_count = 0
        blocks: list[bytes] = []
        for piece in (data,) if isinstance(data, bytes) else data:
            view = memoryview(piece)
            whole.update(view)
            while view:
                taken = view[: block_bytes - byte_count % block_bytes]
                block.update(taken)
                byte_count += len(taken)
                view = view[len(taken) :]
                if byte_count % block_bytes == 0:
                    blocks.append(block.digest())
                    block = hashlib.sha256()
        if byte_count % block_bytes:
            blocks.append(block.digest())
        return cls(byte_count, whole.digest(), block_bytes, tuple(blocks))


class Sidecar:
    """The digests of all resources that one sidecar names."""

    def __init__(
        self, digests: dict[tuple[str, ByteRange | None], Digests], lengthless: dict[str, bytes] | None = None
    ) -> None:
        """`lengthless` are the SHA-256 of whole files whose lengths nobody says, by URL."""
        self._digests = digests
        self._lengthless = lengthless or {}

    @classmethod
    def parse(
        cls, data: bytes, url: str, *, limits: SidecarLimits | None = None, verify: Verify | None = None
    ) -> Sidecar:
        """Read a sidecar that came from `url` (after redirects).  Raises SidecarError.  Linear in len(data).

        With `verify` it must be signed, and `verify` say so.
        """
        limits = limits or SidecarLimits()
        if len(data) > limits.sidecar_bytes_max:
            raise SidecarTooLarge(
                f"sidecar has {len(data)} bytes; leave out blocks, or raise sidecar_bytes_max above "
                f"{limits.sidecar_bytes_max}"
            )
        try:
            data = opened(data, verify)
        except ValueError as error:
            raise SidecarMalformed(f"sidecar {error}") from None
        if is_nested_deeper(data):
            raise _no_json(data, "nested too deeply")
        base = urljoin(_without_query(url), ".")
        if (ranges := _of_peertube(data)) is not None:
            _check_count(len(ranges), limits)
            return cls({
                (_at(base, name), byte_range): Digests(byte_range.length, sha256)
                for (name, byte_range), sha256 in ranges.items()
            })  # fmt: skip
        if (hashes := files_of(data)) is not None:
            _check_count(len(hashes), limits)
            return cls({}, {_at(base, name): sha256 for name, sha256 in hashes.items()})
        document = _decoded(data)
        _check_count(len(document.files), limits)
        try:
            _check_block_bytes(document.block_bytes)
        except ConfigurationError as error:
            raise SidecarMalformed(f"sidecar: {error}") from None
        digests: dict[tuple[str, ByteRange | None], Digests] = {}
        for name, file in document.files.items():
            relative, byte_range = _parsed_name(name)
            digests[_at(base, relative), byte_range] = _digests(name, file, byte_range, document.block_bytes)
        return cls(digests)

    def digests(self, uri: str, byte_range: ByteRange | None = None) -> Digests | None:
        """The digests of a resource by its absolute URL on the primary CDN; None where the sidecar has none."""
        return self._digests.get((encoded(_without_query(uri)), byte_range))

    def sha256(self, uri: str, byte_range: ByteRange | None = None) -> bytes | None:
        """That of the whole resource, also where its length is not known; None where the sidecar has none."""
        digests = self.digests(uri, byte_range)
        if digests is not None:
            return digests.sha256
        return self._lengthless.get(encoded(_without_query(uri))) if byte_range is None else None

    @property
    def has_blocks(self) -> bool:
        """Whether every resource can be checked block by block."""
        return not self._lengthless and all(
            digests.blocks or not digests.byte_count for digests in self._digests.values()
        )

    def __len__(self) -> int:
        return len(self._digests) + len(self._lengthless)

    def __iter__(self) -> Iterator[tuple[str, ByteRange | None]]:
        return chain(self._digests, ((uri, None) for uri in self._lengthless))


def sidecar(
    files: Iterable[tuple[str, bytes | Iterable[bytes]]],
    *,
    block_bytes: int = BLOCK_BYTES,
    has_blocks: bool = True,
) -> bytes:
    """A sidecar for `files`: names as `Sidecar` reads them, each with its bytes whole or in pieces.

    ConfigurationError for a name that could not be read back, or one given twice.
    Hashes here and now: call it where that holds up nobody.
    """
    described: dict[str, _File] = {}
    for name, data in files:
        relative, byte_range = _parsed_name(name)
        if problem := _problem_with(relative):
            raise ConfigurationError(f"name {_short(name)} {problem}")
        if name in described:
            raise ConfigurationError(f"name {_short(name)} is given twice; give each file once")
        digests = Digests.of(data, block_bytes=block_bytes)
        if byte_range is not None and byte_range.length != digests.byte_count:
            raise ConfigurationError(f"name {_short(name)} has {digests.byte_count} bytes; give the bytes of the range")
        blocks = tuple(block.hex() for block in digests.blocks) if has_blocks else None
        described[name] = _File(digests.byte_count, digests.sha256.hex(), blocks)
    _check_block_bytes(block_bytes)
    return msgspec.json.encode(_Document(1, block_bytes, described))


def _of_peertube(data: bytes) -> dict[tuple[str, ByteRange], bytes] | None:
    try:
        return ranges_of(data)
    except ValueError as error:
        raise SidecarMalformed(f"sidecar {error}") from None


def _check_count(count: int, limits: SidecarLimits) -> None:
    if count > limits.files_max:
        raise SidecarTooLarge(f"sidecar names {count} files; raise files_max above {limits.files_max}")


def _checked_name(relative: str) -> str:
    if problem := _problem_with(relative):
        raise SidecarMalformed(f"sidecar names {_short(relative)}, which {problem}")
    return relative


def _decoded(data: bytes) -> _Document:
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError as error:
        raise SidecarMalformed(f"sidecar: {error}; write it as shoal.balancer.integrity says") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _no_json(data, str(error)) from None


def _no_json(data: bytes, why: str) -> SidecarMalformed:
    begin = _short(data[:60].decode("utf-8", "replace"))
    return SidecarMalformed(f"sidecar begins with {begin} and is not JSON ({why}); is the URL right?")


def _check_block_bytes(block_bytes: int) -> None:
    if not BLOCK_BYTES_MIN <= block_bytes <= BLOCK_BYTES_MAX or block_bytes & (block_bytes - 1):
        raise ConfigurationError(
            f"block_bytes is {block_bytes}; use a power of two from {BLOCK_BYTES_MIN} to {BLOCK_BYTES_MAX}"
        )


def _digests(name: str, file: _File, byte_range: ByteRange | None, block_bytes: int) -> Digests:
    if byte_range is not None and byte_range.length != file.bytes:
        raise SidecarMalformed(f"sidecar gives {_short(name)} {file.bytes} bytes; they must be the range's length")
    if file.blocks is not None and len(file.blocks) != -(-file.bytes // block_bytes):
        raise SidecarMalformed(
            f"sidecar gives {_short(name)} {len(file.blocks)} blocks, and its {file.bytes} bytes "
            f"make {-(-file.bytes // block_bytes)} of {block_bytes}; write them anew"
        )
    blocks = tuple(bytes.fromhex(block) for block in file.blocks or ())
    return Digests(file.bytes, bytes.fromhex(file.sha256), block_bytes, blocks)


def _parsed_name(name: str) -> tuple[str, ByteRange | None]:
    if match := _RANGE.fullmatch(name):
        return match[1], ByteRange(int(match[2]), int(match[3]))
    return name, None


def _at(base: str, name: str) -> str:
    """As playlists say it, whose blanks are percent-encoded."""
    return encoded(urljoin(base, _checked_name(name)))


def _problem_with(relative: str) -> str:
    """What is wrong with a name, and what to do; "" if it is a path at or below the sidecar's folder."""
    if len(relative) > _NAME_CHARS_MAX:
        return f"has {len(relative)} characters; {_NAME_CHARS_MAX} are allowed"
    try:
        parts = urlsplit(relative)
    except ValueError:
        return "is no URI; write a path relative to the sidecar"
    if parts.scheme or parts.netloc or relative.startswith("/"):
        return "is not relative to the sidecar; name files in or below its folder"
    if parts.query or parts.fragment or "?" in relative or "#" in relative:
        return "has a query or a fragment; leave it out, since they are not compared"
    # Clients decode %2e before they send a path, so that it climbs as well as the dot does.
    if any(step in {"", ".", ".."} for step in unquote(relative).split("/")) or "\\" in relative:
        return "has an empty step, '.', '..' or a backslash; name files in or below the sidecar's folder"
    if _UNFIT.search(relative):  # urljoin drops them, and could be led to '..' by what it drops
        return "has a control character, or a blank at an end; percent-encode it"
    return ""


def _without_query(uri: str) -> str:
    return uri.partition("#")[0].partition("?")[0]


def _short(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:60]!r}... ({len(text)} characters)"
