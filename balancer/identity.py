"""Who meets whom: the names that peers of one rendition compute alike.

    attributes of a stream  ->  stream index      which rendition
    + swarm id              ->  stream swarm id   which rendition of which video
                            ->  info hash         what a tracker is asked for
    random source           ->  peer id           who we are there

Peers find each other only if every step agrees byte for byte, so each scheme
is one class here, checked against recordings of the package it meets:

    Scheme23   p2p-media-loader 2.3.x: streams are told apart by their attributes
    Scheme22   p2p-media-loader 2.2.x: streams are told apart by their place in the playlist
    LaterScheme   2.3's rules under other words, for versions that changed no more than those

A new scheme is another class with the methods of `Scheme`.  Nothing here opens
a playlist: the caller hands attributes in as the playlist states them.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import math
import re
from typing import Protocol

import msgspec

from .errors import ConfigurationError

__all__ = [
    "SCHEMES",
    "LaterScheme",
    "RandomSource",
    "Scheme",
    "Scheme22",
    "Scheme23",
    "Stream",
    "StreamType",
    "scheme_named",
    "swarm_id_of_manifest",
]

ID_CHARACTERS = 20
PEER_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# What ECMAScript's trim() takes off; Python's strip() takes U+001C..1F and U+0085 too, and leaves U+FEFF.
_ECMA_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_PROTOCOL = re.compile(r"[A-Za-z0-9._]{1,16}", re.ASCII)
_PEER_ID_PREFIX = re.compile(r"-[A-Za-z0-9]{1,8}-", re.ASCII)  # leaves 10 characters of chance or more
_AVC_DECIMAL = re.compile(r"(avc[13])\.([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)


class StreamType(enum.StrEnum):
    """Variants are main streams, separate audio renditions are secondary ones."""

    MAIN = "main"
    SECONDARY = "secondary"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of one rendition, as its playlist states them; what is absent there is left out here.

    Players of the package give bandwidth, the video codec, size, frame rate and
    video range for a variant, and for an audio rendition bandwidth 0, the audio
    codec, language, channels and name.  More or less than that is another stream.
    """

    bandwidth: int = 0  # bits per second
    codecs: str = ""
    width: int | None = None
    height: int | None = None
    language: str = ""
    channels: str = ""
    name: str = ""
    frame_rate: float | None = None
    video_range: str = ""
    position: int = 0  # zero-based place in the multivariant playlist


class RandomSource(Protocol):
    """As much of `random.Random` as a peer id needs."""

    def choices(self, population: str, *, k: int) -> list[str]: ...


class Scheme(Protocol):
    """One agreement on names."""

    version: str

    def stream_index(self, stream: Stream) -> str: ...

    def stream_swarm_id(self, swarm_id: str, stream_type: StreamType, stream_index: str) -> str: ...

    def info_hash(self, stream_swarm_id: str) -> str:
        """20 ASCII characters, which are the 20 bytes that a tracker calls the info hash."""
        ...

    def peer_id(self, source: RandomSource) -> str:
        """20 ASCII characters."""
        ...


class Scheme23:
    """p2p-media-loader 2.3.x."""

    version = "2.3"
    protocol = "v2"  # the package's own version of all this, which is part of a swarm's name
    peer_id_prefix = "-PM0203-"

    def stream_index(self, stream: Stream) -> str:
        """28 characters: base64 of the SHA-1 of the normalised attributes."""
        return base64.b64encode(_sha1(stream_attributes(stream))).decode("ascii")

    def stream_swarm_id(self, swarm_id: str, stream_type: StreamType, stream_index: str) -> str:
        return f"{self.protocol}-{swarm_id}-{stream_type.value}-{stream_index}"

    def info_hash(self, stream_swarm_id: str) -> str:
        return base64.b64encode(_sha1(stream_swarm_id)[:15]).decode("ascii")

    def peer_id(self, source: RandomSource) -> str:
        count = ID_CHARACTERS - len(self.peer_id_prefix)
        return self.peer_id_prefix + "".join(source.choices(PEER_ID_ALPHABET, k=count))


class Scheme22(Scheme23):
    """p2p-media-loader up to 2.2.x.  Says `v2` as 2.3 does, and still never meets it."""

    version = "2.2"
    peer_id_prefix = "-PM0202-"

    def stream_index(self, stream: Stream) -> str:
        return str(stream.position)

    def info_hash(self, stream_swarm_id: str) -> str:
        digest = hashlib.md5(stream_swarm_id.encode("utf-8", "replace"), usedforsecurity=False).digest()
        return base64.b64encode(digest[1:]).decode("ascii")


class LaterScheme(Scheme23):
    """A version with another protocol word in the swarm's name, and another prefix of peer ids.

    The package's documents say that its protocol's version is part of the name, so that versions that do not
    understand each other do not meet.  Nobody here has seen one that this meets: try it before you rely on it.
    """

    def __init__(self, protocol: str, peer_id_prefix: str) -> None:
        """ConfigurationError for words that no name could have."""
        if not _PROTOCOL.fullmatch(protocol):
            raise ConfigurationError(f"protocol {protocol[:40]!r} is not 1 to 16 letters, digits, dots and _, as in v2")
        if not _PEER_ID_PREFIX.fullmatch(peer_id_prefix):
            raise ConfigurationError(f"peer id prefix {peer_id_prefix[:40]!r} is not of the form -PM0203-")
        self.protocol = protocol
        self.peer_id_prefix = peer_id_prefix
        self.version = f"{protocol}:{peer_id_prefix}"


SCHEMES: dict[str, Scheme] = {scheme.version: scheme for scheme in (Scheme23(), Scheme22())}


def scheme_named(name: str) -> Scheme:
    """`2.3`, `2.2`, or `PROTOCOL:PREFIX` for a later one, as in `v3:-PM0300-`.  ConfigurationError for another name."""
    if name in SCHEMES:
        return SCHEMES[name]
    protocol, is_there, prefix = name.partition(":")
    if not is_there:
        known = ", ".join(SCHEMES)
        raise ConfigurationError(
            f"swarm scheme {name[:40]!r} is not known; use {known}, or PROTOCOL:PREFIX for a later one"
        )
    return LaterScheme(protocol, prefix)


def swarm_id_of_manifest(url: str) -> str:
    """The swarm id where none is configured: the manifest's URL after redirects, without its query."""
    return url.partition("?")[0]


def stream_attributes(stream: Stream) -> str:
    """The string that is hashed: nine normalised parts joined by dashes, absent ones empty."""
    return "-".join((
        str(stream.bandwidth),
        _codecs(stream.codecs),
        _size(stream.width),
        _size(stream.height),
        _language(stream.language),
        _trim(stream.channels.partition("/")[0]),
        _trim(stream.name.lower()),
        _frame_rate(stream.frame_rate),
        _trim(stream.video_range).upper(),
    ))  # fmt: skip


def _sha1(text: str) -> bytes:
    # Fixed by the protocol; names are not secrets, and media is checked by other digests.
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).digest()


def _trim(text: str) -> str:
    return text.strip(_ECMA_SPACE)


def _size(pixels: int | None) -> str:
    return "" if pixels is None else str(pixels)


def _codecs(codecs: str) -> str:
    parts = [_hex_avc(part) for part in (_trim(part).lower() for part in codecs.split(",")) if part]
    return ",".join(sorted(parts))


def _hex_avc(codec: str) -> str:
    """`avc1.66.30`, as old packagers write it, is `avc1.42001e` (RFC 6381, 3.3)."""
    match = _AVC_DECIMAL.fullmatch(codec)
    if match is None:
        return codec
    return f"{match[1]}.{int(match[2]):02x}00{int(match[3]):02x}"


def _language(language: str) -> str:
    lowered = _trim(language).lower()
    return "" if lowered.partition("-")[0] == "und" else lowered[:2]


def _frame_rate(frame_rate: float | None) -> str:
    """As ECMAScript prints a number: 30, 29.97."""
    if frame_rate is None or not math.isfinite(frame_rate):
        return ""
    return str(int(frame_rate)) if frame_rate == int(frame_rate) else repr(float(frame_rate))
