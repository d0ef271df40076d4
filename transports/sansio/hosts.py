"""A Host or Origin header to the host it names, or to nothing: strictly, since a border is drawn by it.

    host = uri-host [ ":" port ]        RFC 9110, 7.2
    origin = scheme "://" host          RFC 6454, 6.2

Less than the grammars allow is read, because nothing honest sends the rest and
parsers disagree about it: no user info, no zone identifier, no IPvFuture, no
percent-encoding, no final dot, no empty port.  What is not read names nobody.
"""

from __future__ import annotations

import functools
import ipaddress
import re

import msgspec

__all__ = ["Authority", "Origin", "parse_authority", "parse_origin"]

_NAME_CHARACTERS_MAX = 253  # RFC 1035, 2.3.4, as text
_ORIGIN_CHARACTERS_MAX = 300  # a scheme, a name and a port
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
# Browsers read a name whose last label is a number as an IPv4 address (WHATWG URL, 3.5): 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# A server reads the same few again with each request, and that would be a tenth of what a request costs.
_REMEMBERED = 64
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Authority(msgspec.Struct, frozen=True):
    """`name` is in lower case; an IPv6 address has no brackets and is in its shortest form."""

    name: str
    port: int | None = None

    @property
    def is_address(self) -> bool:
        """Whether it is a literal IP address."""
        return ":" in self.name or _NUMBER.fullmatch(self.name.rpartition(".")[2]) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be this machine: `localhost`, 127.0.0.0/8 or ::1, whatever a name server says."""
        return _is_loopback(self.name)


class Origin(msgspec.Struct, frozen=True):
    """`port` is never None: the scheme's own stands for one that was left out."""

    scheme: str
    name: str
    port: int


@functools.lru_cache(maxsize=_REMEMBERED)
def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=_REMEMBERED)
def parse_authority(text: str) -> Authority | None:
    """`example.org`, `127.0.0.1:8080` or `[::1]:8080`; None for anything else.  Linear in its length."""
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        name = _ipv6(literal) if bracket else None
    else:
        literal, colon, port = text.partition(":")
        rest = colon + port
        name = _name(literal)
    if name is None:
        return None
    if not rest:
        return Authority(name)
    if rest[0] != ":" or not _PORT.fullmatch(rest[1:]) or int(rest[1:]) > 65535:
        return None
    return Authority(name, int(rest[1:]))


def parse_origin(text: str) -> Origin | None:
    """The origin of a web page; None for `null`, other schemes than http and https, and what is malformed."""
    if len(text) > _ORIGIN_CHARACTERS_MAX:
        return None
    scheme, _, rest = text.partition("://")
    authority = parse_authority(rest)
    if authority is None or scheme not in _DEFAULT_PORTS:
        return None
    return Origin(scheme, authority.name, authority.port or _DEFAULT_PORTS[scheme])


def _name(text: str) -> str | None:
    if len(text) > _NAME_CHARACTERS_MAX:
        return None
    labels = text.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(text))  # four decimal numbers without leading zeros, and nothing else
        except ValueError:
            return None
    return text.lower()


def _ipv6(text: str) -> str | None:
    if "%" in text:  # a zone is the machine's own affair, and never crosses a network (RFC 6874, 4)
        return None
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None
