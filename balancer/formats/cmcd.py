"""Common Media Client Data, version 2 (CTA-5004-B): what a player tells a CDN, and a collector, in key-value pairs.

    GET /hd/s7.m4s?CMCD=br%3D(2000%3Bv)%2Ccdn%3D%22a%22%2Cd%3D4000...      `query`: one parameter
    CMCD-Object: br=(2000;v),d=4000,ot=v   CMCD-Session: sid="...",v=2     `headers`: four, by how often they change
    POST, application/cmcd: one line of pairs for each event               `report`

Values are given as Python has them (KEYS says which), and go out as the standard
has them: keys in order, bit rates and buffers as inner lists with their object
type, milliseconds and kbit/s rounded as each key asks, so that caches and
fingerprints see less.  `decode` reads what others write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from .structured import Bare, Field, InnerList, Item, Token, dictionary, parse_dictionary

__all__ = ["KEYS", "MIME_TYPE", "Cmcd", "decode", "headers", "query", "report", "text"]

MIME_TYPE = "application/cmcd"
Cmcd = Mapping[str, Any]


class Key(msgspec.Struct, frozen=True):
    """One key: the type of its value, what it is rounded to, and the header that carries it ("" for events alone).

    flag: bool     integer: int     decimal: float     token: str of `words`     string: str of `max` characters
    strings: a sequence of them     rates: an int, or a mapping of object type to int     next: a path, or several
    """

    kind: str
    header: str = ""
    step: int = 1
    words: frozenset[str] = frozenset()
    max: int = 2_048


_OBJECT, _REQUEST, _SESSION, _STATUS = "CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"
_OBJECT_TYPES = frozenset({"m", "a", "v", "av", "i", "c", "tt", "k", "o"})
_EVENTS = "abs abe ae as b bc c ce e h m pc pe pr ps rr sk t um"

# CTA-5004-B, table 1.
KEYS = {
    "ab": Key("rates", _OBJECT),  # aggregate encoded bit rate, kbit/s
    "bg": Key("flag", _STATUS),  # in the background
    "bl": Key("rates", _REQUEST, 100),  # buffer length, ms
    "br": Key("rates", _OBJECT),  # encoded bit rate, kbit/s
    "bs": Key("flag", _STATUS),  # the buffer ran dry
    "bsa": Key("rates", _STATUS),
    "bsd": Key("rates", _STATUS),
    "bsda": Key("rates", _STATUS),
    "cdn": Key("string", _STATUS, max=128),  # which CDN it comes from
    "cen": Key("string", max=64),  # name of a custom event
    "cid": Key("string", _SESSION, max=128),  # content
    "cmsdd": Key("string"),  # the CMSD-Dynamic that came with it
    "cmsds": Key("string"),
    "cs": Key("string", _REQUEST),
    "d": Key("integer", _OBJECT),  # duration, ms
    "dfa": Key("integer", _REQUEST),
    "dl": Key("integer", _REQUEST, 100),  # deadline: ms until the buffer runs dry without it
    "e": Key("token", words=frozenset(_EVENTS.split())),
    "ec": Key("strings", _STATUS),  # error codes
    "h": Key("string", max=128),
    "lab": Key("rates", _OBJECT),
    "lb": Key("rates", _OBJECT),
    "ltc": Key("integer", _REQUEST),  # live latency, ms
    "msd": Key("integer", _SESSION),  # from the wish to play to the first frame, ms
    "mtp": Key("rates", _REQUEST, 100),  # measured throughput, kbit/s
    "nor": Key("next", _REQUEST),  # what is asked for next
    "nr": Key("flag", _STATUS),
    "ot": Key("token", _OBJECT, words=_OBJECT_TYPES),
    "pb": Key("rates", _REQUEST),
    "pr": Key("decimal", _STATUS),  # playback rate; 1 is not said
    "pt": Key("integer", _STATUS),
    "rc": Key("integer"),  # HTTP status
    "rtp": Key("integer", _STATUS, 100),
    "sf": Key("token", _SESSION, words=frozenset({"d", "h", "s", "o"})),
    "sid": Key("string", _SESSION, max=64),
    "smrt": Key("string"),
    "sn": Key("integer", _REQUEST),  # number of the report, from 0, so that lost ones are seen
    "st": Key("token", _SESSION, words=frozenset({"v", "l", "ll"})),
    "sta": Key("token", _REQUEST, words=frozenset("spkrawefqd")),
    "su": Key("flag", _REQUEST),  # wanted at once: starting, seeking, or the buffer is dry
    "tab": Key("rates", _OBJECT),
    "tb": Key("rates", _OBJECT),  # the highest bit rate there is, kbit/s
    "tbl": Key("rates", _REQUEST, 100),
    "tpb": Key("rates", _OBJECT),
    "ts": Key("integer"),  # ms since 1970
    "ttfb": Key("integer"),  # ms from the request to the first byte
    "ttfbb": Key("integer"),
    "ttlb": Key("integer"),
    "url": Key("string"),
    "v": Key("integer", _SESSION),
}
_CUSTOM = Key("custom", _REQUEST)
_CUSTOM_CHARACTERS_MAX = 64


def text(values: Cmcd) -> str:
    """The pairs, in order of their keys; False, None and what is empty are left out.

    ValueError for a key that CTA-5004-B has not and that is no custom one (those have
    a hyphen: `com.example-key`), and for a value that its key cannot have.
    """
    return dictionary(_fields(values))


def query(values: Cmcd) -> str:
    """`CMCD=...`, for the end of a query."""
    return f"CMCD={quote(text(values), safe='()*~!')}"


def headers(values: Cmcd) -> list[tuple[str, str]]:
    """Up to four headers."""
    fields = _fields(values)
    named = {}
    for header in (_OBJECT, _REQUEST, _SESSION, _STATUS):
        mine = {key: field for key, field in fields.items() if KEYS.get(key, _CUSTOM).header == header}
        if mine:
            named[header] = dictionary(mine)
    return list(named.items())


def report(events: Sequence[Cmcd]) -> bytes:
    """The body of a report, of MIME_TYPE."""
    return "\n".join(map(text, events)).encode()


def decode(field: str) -> dict[str, Any]:
    """The values of one text, a header or a percent-decoded parameter; keys that are not known stay as they are.

    ValueError for what is no dictionary, or has a value that its key cannot have.
    """
    return {key: _read(key, member) for key, member in parse_dictionary(field).items()}


def _fields(values: Cmcd) -> dict[str, Field]:
    fields = {}
    for key in sorted(values):
        value = values[key]
        if value is None or value is False or value in ("", (), [], {}) or (key == "pr" and value == 1):
            continue
        fields[key] = _field(key, _key(key), value)
    return fields


def _key(name: str) -> Key:
    key = KEYS.get(name)
    if key is None and ("-" not in name or len(name) > _CUSTOM_CHARACTERS_MAX):
        raise ValueError(f"{name!r} is no key of CTA-5004-B; custom ones have a hyphen, as com.example-{name}")
    return key or _CUSTOM


def _field(name: str, key: Key, value: Any) -> Field:
    match key.kind:
        case "rates":
            pairs = value.items() if isinstance(value, Mapping) else [("", value)]
            if any(ot and ot not in _OBJECT_TYPES for ot, _ in pairs):
                raise ValueError(f"{name} is {value!r}; object types are {' '.join(sorted(_OBJECT_TYPES))}")
            return InnerList(
                tuple(Item(_rounded(name, rate, key.step), {ot: True} if ot else {}) for ot, rate in pairs)
            )
        case "next" | "strings":
            return _list(name, [value] if isinstance(value, str) else value)
        case "flag":
            return Item(value=True)
        case "integer":
            return Item(_rounded(name, value, key.step))
        case "decimal":
            return Item(float(_number(name, value)))
        case "token":
            if not isinstance(value, str) or value not in key.words:
                raise ValueError(f"{name} is {value!r}; it may be one of {' '.join(sorted(key.words))}")
            return Item(Token(value))
        case "custom" if isinstance(value, list | tuple):
            return _list(name, value)
        case "string":
            if not isinstance(value, str) or len(value) > key.max:
                raise ValueError(f"{name} is {str(value)[:80]!r}; it may be a string of {key.max} characters")
    return _item(name, value)


def _item(name: str, value: Any) -> Item:
    if isinstance(value, bool | int | float | str | bytes):
        return Item(value)
    raise ValueError(f"{name} is {str(value)[:80]!r}; it may be a number, a string, bytes or a truth value")


def _list(name: str, value: Any) -> InnerList:
    if isinstance(value, list | tuple):
        return InnerList(tuple(_item(name, each) for each in value))
    raise ValueError(f"{name} is {str(value)[:80]!r}; it may be a list")


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} is {str(value)[:80]!r}; it may be a number")
    return value


def _rounded(name: str, value: Any, step: int) -> int:
    number = _number(name, value)
    if number < 0:
        raise ValueError(f"{name} is {value}; it may not be negative")
    return math.floor(number / step + 0.5) * step  # halves up, as in JavaScript, where most of these are made


def _read(name: str, member: Field) -> Any:
    kind = KEYS.get(name, _CUSTOM).kind
    if isinstance(member, InnerList):
        values = [item.value for item in member.items]
        if kind == "rates":
            if not all(isinstance(value, int | float) for value in values):
                raise ValueError(f"{name} is {values}; it may be numbers")
            return {next(iter(item.params), ""): item.value for item in member.items}
        if kind in {"next", "strings", "custom"}:
            return values
        raise ValueError(f"{name} is a list; it may be a {kind}")
    return _single(name, kind, member.value)


def _single(name: str, kind: str, value: Bare) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_right = {
        "rates": is_number,
        "integer": is_number,
        "decimal": is_number,
        "flag": isinstance(value, bool),
        "token": isinstance(value, str),
        "string": isinstance(value, str) and not isinstance(value, Token),
        "next": isinstance(value, str),
        "strings": isinstance(value, str),
    }.get(kind, True)
    if not is_right:
        raise ValueError(f"{name} is {value!r}; it may be a {kind}")
    if kind == "rates":
        return {"": value}
    if kind in {"next", "strings"}:
        return [str(value)]
    return str(value) if isinstance(value, Token) else value
