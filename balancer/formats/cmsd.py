"""Common Media Server Data (CTA-5006): what servers on the way say of an object and of themselves, in two headers.

    CMSD-Static: ot=v,sf=h,d=4000,br=2000,n="origin-1"              of the object; the same for everybody
    CMSD-Dynamic: "mid";rtt=20;etp=400, "edge-1";rtt=8;etp=96;du    of each server on the way, the nearest last

Read, never believed: it is shown beside what was measured, and decides nothing.
Headers that are not as the standard has them are as if they were not there.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .structured import Bare, Item, parse_dictionary, parse_list

__all__ = ["ServerData", "server_data"]

_NAME_CHARACTERS_MAX = 64
_VALUES_MAX = 32  # of one header; CTA-5006 names 20
_VALUE_CHARACTERS_MAX = 128

Value = int | float | str | bool


class ServerData(msgspec.Struct, frozen=True):
    """`static` and the parameters of the nearest server, each by its key.  Rates are kbit/s, times ms.

    Of `dynamic`: etp (estimated throughput), rtt, mb (highest bit rate advised), rd (delay before it answers),
    du (it is under duress).
    """

    static: dict[str, Value] = {}
    dynamic: dict[str, Value] = {}
    server: str = ""  # who said `dynamic`


def server_data(headers: Mapping[str, str]) -> ServerData | None:
    """Of a response (names in lower case); None where there is nothing that can be read."""
    static: dict[str, Value] = {}
    dynamic: dict[str, Value] = {}
    server = ""
    try:
        fields = parse_dictionary(headers.get("cmsd-static", ""))
        static = _values({key: field.value for key, field in fields.items() if isinstance(field, Item)})
    except ValueError:
        pass
    try:
        nearest = parse_list(headers.get("cmsd-dynamic", ""))[-1:]
        if nearest and isinstance(nearest[0], Item) and isinstance(nearest[0].value, str):
            server, dynamic = nearest[0].value[:_NAME_CHARACTERS_MAX], _values(nearest[0].params)
    except ValueError:
        pass
    return ServerData(static, dynamic, server) if static or dynamic or server else None


def _values(found: Mapping[str, Bare]) -> dict[str, Value]:
    return {
        key: str(value)[:_VALUE_CHARACTERS_MAX] if isinstance(value, str) else value
        for key, value in list(found.items())[:_VALUES_MAX]
        if not isinstance(value, bytes)
    }
