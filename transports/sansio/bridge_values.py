"""Messages as plain values and back, checked: what JavaScript sends is of a registered type, or it is nothing.

    struct                             plain value                       byte strings     places
    Sign(text="x", key=b"...")  <->    {"text": "x", "key": None}        [b"..."]         [["key"]]

What JavaScript would silently change is refused instead: integers beyond 2**53, infinities and NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from shoal.transports.errors import BadMessage

from .bridge_frames import Places

__all__ = ["MessageTypes", "convert_value", "put_back", "take_out"]

_DEPTH_MAX = 32  # nobody reads deeper messages, and Python and JavaScript walk them by recursion
_INTEGER_MAX = 2**53 - 1  # Number.MAX_SAFE_INTEGER
_AS_THEY_ARE = (bytes, bytearray, memoryview)  # never spelled as base64


class MessageTypes:
    """The messages that one actor takes: Structs, by the name of their class."""

    def __init__(self, types: Iterable[type[msgspec.Struct]]) -> None:
        """TypeError, ValueError for a type that no plain object could be told for."""
        self._types: dict[str, tuple[type[msgspec.Struct], frozenset[str]]] = {}
        for kind in types:
            fields = _checked_fields(kind)
            if kind.__name__ in self._types:
                raise ValueError(f"two types of messages are called {kind.__name__}; rename one")
            self._types[kind.__name__] = (kind, fields)

    @property
    def names(self) -> list[str]:
        return sorted(self._types)

    def name_of(self, message: object) -> str:
        """BadMessage unless its very class is registered."""
        name = type(message).__name__
        known = self._types.get(name)
        if known is None or known[0] is not type(message):
            raise BadMessage(f"{name} is none of the messages registered here, which are {_listed(self._types)}")
        return name

    def take_out(self, message: msgspec.Struct) -> tuple[dict[str, Any], list[bytes], Places]:
        """The message's fields as plain values, and its byte strings.  BadMessage when it cannot cross."""
        body, parts, places = take_out(message)
        tag_field = type(message).__struct_config__.tag_field
        if tag_field is not None:
            del body[tag_field]  # the frame says it
        return body, parts, places

    def put_back(self, name: str, body: dict[str, Any], parts: Sequence[bytes], places: Places) -> msgspec.Struct:
        """The message.  BadMessage for unknown fields, too, which would else be typing errors that nobody sees."""
        kind, fields = self._types[name]
        unknown = body.keys() - fields
        if unknown:
            raise BadMessage(f"{name} has no field {min(unknown)[:80]!r}; it has {_listed(fields)}")
        config = kind.__struct_config__
        whole = body if config.tag_field is None else {config.tag_field: config.tag, **body}
        message: msgspec.Struct = convert_value(put_back(whole, parts, places), kind)
        return message

    def __contains__(self, name: str) -> bool:
        return name in self._types


def take_out(value: object) -> tuple[Any, list[bytes], Places]:
    """Plain values with None where byte strings were, those, and their places.  BadMessage when it cannot cross."""
    try:
        plain = msgspec.to_builtins(value, builtin_types=_AS_THEY_ARE, str_keys=True)
    except RecursionError:
        raise BadMessage("it is nested too deeply, or holds itself") from None
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise BadMessage(f"it cannot cross: {error}"[:300]) from None
    parts: list[bytes] = []
    places: Places = []
    return _without_bytes(plain, [], parts, places), parts, places


def put_back(body: Any, parts: Sequence[bytes], places: Places) -> Any:
    """`body` with each byte string in its place, which has to be empty.  BadMessage otherwise."""
    root = [body]
    for part, place in zip(parts, places, strict=True):
        holder: Any = root
        step: int | str = 0
        for following in place:
            holder, step = _inside(holder, step), following
        if _inside(holder, step) is not None:
            raise BadMessage(f"there is something else at {place}, where a byte string belongs")
        holder[step] = part
    return root[0]


def convert_value(value: Any, kind: Any) -> Any:
    """A plain value as `kind`, exactly: no text is taken for a number, and none for bytes.  BadMessage."""
    try:
        return msgspec.convert(value, kind, builtin_types=_AS_THEY_ARE)
    except msgspec.ValidationError as error:
        raise BadMessage(f"{getattr(kind, '__name__', kind)}: {error}"[:300]) from None


def _without_bytes(value: Any, place: list[int | str], parts: list[bytes], places: Places) -> Any:
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int):
        if -_INTEGER_MAX <= value <= _INTEGER_MAX:
            return value
        raise BadMessage(f"{value} at {place} is more than a JavaScript number holds; send it as text")
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise BadMessage(f"{value} at {place} cannot be written as JSON; send None, or text")
    if isinstance(value, _AS_THEY_ARE):
        parts.append(bytes(value))  # no copy of what is bytes
        places.append(place)
        return None
    if len(place) >= _DEPTH_MAX:
        raise BadMessage(f"it is nested more than {_DEPTH_MAX} deep; send it flat")
    if isinstance(value, dict):
        return {key: _without_bytes(inner, [*place, key], parts, places) for key, inner in value.items()}
    return [_without_bytes(inner, [*place, index], parts, places) for index, inner in enumerate(value)]


def _inside(holder: Any, step: int | str) -> Any:
    try:
        if isinstance(holder, dict) and isinstance(step, str):
            return holder[step]
        if isinstance(holder, list) and isinstance(step, int):
            return holder[step]
    except LookupError:
        pass
    raise BadMessage(f"it has no place {str(step)[:80]!r}, where a byte string belongs")


def _checked_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise TypeError(f"{kind!r} is no msgspec.Struct; messages that cross are")
    if kind.__struct_config__.array_like:
        raise TypeError(f"{kind.__name__} is array_like; JavaScript's side is a plain object")
    names = frozenset(field.encode_name for field in msgspec.structs.fields(kind))
    if "type" in names:
        raise ValueError(f"{kind.__name__} has a field `type`, which in JavaScript is the message's own; rename it")
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
