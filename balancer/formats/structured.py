"""Structured fields (RFC 8941), as CMCD and CMSD are written: text to values and back, within limits.

    br=(2000;v 128;a),bs,cid="film",ot=v        a dictionary: integers, inner lists, true, a string, a token
    "edge-1";rtt=8;etp=96, "mid";rtt=20         a list of items with parameters

Strict, as the RFC asks of parsers: a field that is wrong anywhere is no field.
Every function raises ValueError, with the place, for what is not one, and for more
than FIELD_CHARACTERS_MAX characters, MEMBERS_MAX members, items or parameters.
Linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NoReturn

import msgspec

__all__ = [
    "FIELD_CHARACTERS_MAX",
    "Bare",
    "Field",
    "InnerList",
    "Item",
    "Token",
    "dictionary",
    "parse_dictionary",
    "parse_list",
]

FIELD_CHARACTERS_MAX = 8_190  # a header field as nginx and Apache have it
MEMBERS_MAX = 128  # CMCD has 48 keys

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*+")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*+")
_NUMBER = re.compile(r"-?(?:[0-9]{1,12}\.[0-9]{1,3}(?![0-9])|[0-9]{1,15}(?![0-9.]))")
_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)"')
_BYTES = re.compile(r":([A-Za-z0-9+/=]*+):")
_BOOLEAN = re.compile(r"\?([01])")
_ESCAPE = re.compile(r'\\(["\\])')
_UNFIT = re.compile(r"[^\x20-\x7e]")
_INTEGER_MAX = 999_999_999_999_999  # RFC 8941, 3.3.1


class Token(str):
    """A word that is written without quotes."""

    __slots__ = ()


Bare = int | float | str | bytes | bool


class Item(msgspec.Struct, frozen=True):
    value: Bare
    params: dict[str, Bare] = {}


class InnerList(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]
    params: dict[str, Bare] = {}


Field = Item | InnerList


def parse_dictionary(text: str) -> dict[str, Field]:
    """RFC 8941, 3.2.  Of a key that is there twice the last value counts, as the RFC says."""
    reader = _Reader(text)
    members: dict[str, Field] = {}
    while not reader.is_done:
        key = reader.key()
        members[key] = reader.member() if reader.takes("=") else Item(value=True, params=reader.params())
        reader.room(members)
        if not reader.comma():
            break
    return members


def parse_list(text: str) -> list[Field]:
    """RFC 8941, 3.1."""
    reader = _Reader(text)
    members: list[Field] = []
    while not reader.is_done:
        members.append(reader.member())
        reader.room(members)
        if not reader.comma():
            break
    return members


def dictionary(members: Mapping[str, Field]) -> str:
    """The text of a dictionary, without the blank after a comma that the RFC advises: CMCD is counted in bytes."""
    return ",".join(_written_member(key, field) for key, field in members.items())


def _written_member(key: str, field: Field) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key: lower case letters, digits and _-.* are")
    if isinstance(field, InnerList):
        items = " ".join(_bare(item.value) + _params(item.params) for item in field.items)
        return f"{key}=({items}){_params(field.params)}"
    if field.value is True:
        return key + _params(field.params)
    return f"{key}={_bare(field.value)}{_params(field.params)}"


def _params(params: Mapping[str, Bare]) -> str:
    return "".join(f";{key}" if value is True else f";{key}={_bare(value)}" for key, value in params.items())


def _bare(value: Bare) -> str:
    match value:
        case bool():
            return "?1" if value else "?0"
        case int():
            if abs(value) > _INTEGER_MAX:
                raise ValueError(f"{value} has more than 15 digits")
            return str(value)
        case float():
            text = f"{value:.3f}".rstrip("0")
            if not _NUMBER.fullmatch(text + "0" * text.endswith(".")):
                raise ValueError(f"{value} is no decimal of 12 digits before the point")
            return text + "0" * text.endswith(".")
        case bytes():
            return f":{base64.b64encode(value).decode()}:"
        case Token():
            if not _TOKEN.fullmatch(value):
                raise ValueError(f"{value!r} is no token")
            return value
    if _UNFIT.search(value):
        raise ValueError(f"{value[:80]!r} has characters beyond ASCII; percent-encode them")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    """A place in the text."""

    def __init__(self, text: str) -> None:
        if len(text) > FIELD_CHARACTERS_MAX:
            raise ValueError(f"a field of {len(text)} characters; at most {FIELD_CHARACTERS_MAX} are read")
        self._text = text.strip(" ")
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._text)

    def fail(self, wanted: str) -> NoReturn:
        raise ValueError(f"{self._text[self._at : self._at + 40]!r} at character {self._at}, where {wanted} should be")

    def takes(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def room(self, collected: Mapping[str, object] | list[Field] | list[Item]) -> None:
        if len(collected) > MEMBERS_MAX:
            raise ValueError(f"more than {MEMBERS_MAX} members")

    def comma(self) -> bool:
        """Past a comma, to what follows it; False at the end."""
        self._blanks(" \t")
        if self.is_done:
            return False
        if not self.takes(","):
            self.fail("a comma")
        self._blanks(" \t")
        if self.is_done:
            self.fail("another member")
        return True

    def key(self) -> str:
        return self._match(_KEY, "a key")[0]

    def member(self) -> Field:
        if not self.takes("("):
            return self._item()
        items: list[Item] = []
        while True:
            self._blanks(" ")
            if self.takes(")"):
                return InnerList(items=tuple(items), params=self.params())
            items.append(self._item())
            self.room(items)
            if self._text[self._at : self._at + 1] not in {" ", ")"}:
                self.fail("a blank or a closing bracket")

    def params(self) -> dict[str, Bare]:
        params: dict[str, Bare] = {}
        while self.takes(";"):
            self._blanks(" ")
            key = self.key()
            params[key] = self._value() if self.takes("=") else True
            self.room(params)
        return params

    def _item(self) -> Item:
        value = self._value()
        return Item(value=value, params=self.params())

    def _value(self) -> Bare:
        match self._text[self._at : self._at + 1]:
            case '"':
                return _ESCAPE.sub(r"\1", self._match(_STRING, "a string")[1])
            case "?":
                return self._match(_BOOLEAN, "?0 or ?1")[1] == "1"
            case ":":
                data = self._match(_BYTES, "base64")[1]
                try:
                    return base64.b64decode(data, validate=True)
                except binascii.Error:
                    self.fail("base64")
            case "-" | "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9":
                number = self._match(_NUMBER, "a number")[0]
                return float(number) if "." in number else int(number)
        return Token(self._match(_TOKEN, "a value")[0])

    def _match(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            self.fail(wanted)
        self._at = found.end()
        return found

    def _blanks(self, which: str) -> None:
        while self._text[self._at : self._at + 1] and self._text[self._at] in which:
            self._at += 1
