"""Which implementation of a kind of transport to use, found by name and imported on first use.

    kind         native                      memory                   browser
    fetcher      native/http.py              memory/http.py           browser/http.py
    server       native/server.py            memory/http.py           never: a page cannot listen
    connector    native/webrtc.py  [webrtc]  memory/peers.py          browser/webrtc.py
                 native/webrtc_native.py  [webrtc-native], named `webrtc-native`
                 native/apart.py  [webrtc], named `webrtc-apart`
    signaling    native/websocket.py         memory/sockets.py        browser/signaling.py
    hasher       native/hashing.py           memory/__init__.py       browser/hashing.py
    shelf        native/shelf.py             memory/shelf.py          none: a page has no folder to share

Other packages add implementations, and kinds, by an entry point in the group
`shoal.transports` named `kind.name`:

    [project.entry-points."shoal.transports"]
    "fetcher.curl" = "my_package.fetchers:CurlFetcher"

What is returned is a factory: calling it gives an object of the kind's Protocol.
Its arguments are the implementation's own (a fetcher takes an AddressPolicy first,
the memory ones a host of a `memory.Network`).  Built-in names cannot be replaced by
an entry point.  Nothing is remembered here: Python's import cache is the only state.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import msgspec

from .errors import TransportMissing
from .interface import Connector, Fetcher, Hasher, Server, Shelf, Signaling

__all__ = [
    "ENTRY_POINT_GROUP",
    "available",
    "platform",
    "resolve",
    "resolve_connector",
    "resolve_fetcher",
    "resolve_hasher",
    "resolve_server",
    "resolve_shelf",
    "resolve_signaling",
]

ENTRY_POINT_GROUP = "shoal.transports"


class _Builtin(msgspec.Struct, frozen=True):
    module: str
    attribute: str
    install: str = "pip install shoal"


_WEBRTC = 'pip install "shoal[webrtc]"'

_IN_A_PAGE = "it works in a web page only, under Pyodide"

_BUILTIN = {
    "fetcher.native": _Builtin("shoal.transports.native.http", "HttpFetcher"),
    "server.native": _Builtin("shoal.transports.native.server", "HttpServer"),
    "connector.native": _Builtin("shoal.transports.native.webrtc", "WebRtcConnector", _WEBRTC),
    "connector.webrtc-native": _Builtin(
        "shoal.transports.native.webrtc_native", "NativeWebRtcConnector", 'pip install "shoal[webrtc-native]"'
    ),
    "connector.webrtc-apart": _Builtin("shoal.transports.native.apart", "ApartConnector", _WEBRTC),
    "signaling.native": _Builtin("shoal.transports.native.websocket", "WebSocketSignaling"),
    "hasher.native": _Builtin("shoal.transports.native.hashing", "ThreadHasher"),
    "shelf.native": _Builtin("shoal.transports.native.shelf", "ThreadShelf", "it needs file locks (fcntl)"),
    "fetcher.memory": _Builtin("shoal.transports.memory", "MemoryFetcher"),
    "server.memory": _Builtin("shoal.transports.memory", "MemoryServer"),
    "connector.memory": _Builtin("shoal.transports.memory", "MemoryConnector"),
    "signaling.memory": _Builtin("shoal.transports.memory", "MemorySignaling"),
    "hasher.memory": _Builtin("shoal.transports.memory", "InlineHasher"),
    "shelf.memory": _Builtin("shoal.transports.memory", "MemoryShelf"),
    "fetcher.browser": _Builtin("shoal.transports.browser.http", "BrowserFetcher", _IN_A_PAGE),
    "connector.browser": _Builtin("shoal.transports.browser.webrtc", "BrowserConnector", _IN_A_PAGE),
    "signaling.browser": _Builtin("shoal.transports.browser.signaling", "BrowserSignaling", _IN_A_PAGE),
    "hasher.browser": _Builtin("shoal.transports.browser.hashing", "SubtleHasher", _IN_A_PAGE),
}

_ABSENT = {
    "server.browser": "a page cannot listen for connections; run the player in the same page instead",
    "shelf.browser": "a page has no folder to share; leave the store in memory",
}


def platform() -> str:
    """`browser` under Pyodide, else `native`."""
    return "browser" if sys.platform == "emscripten" else "native"


def available() -> tuple[str, ...]:
    """Every `kind.name` that can be asked for, sorted; whether its packages are installed shows when it is resolved."""
    return tuple(sorted({*_BUILTIN, *(entry.name for entry in metadata.entry_points(group=ENTRY_POINT_GROUP))}))


def resolve(kind: str, name: str | None = None) -> Callable[..., Any]:
    """The factory of `kind.name`; the platform's own when no name is given.

    TransportMissing when there is none, or when a package that it needs cannot
    be imported: the message says what was tried and what to install.
    """
    wanted = f"{kind}.{name or platform()}"
    builtin = _BUILTIN.get(wanted)
    if builtin is not None:
        try:
            module = importlib.import_module(builtin.module)
        except ImportError as error:
            raise TransportMissing(
                f"{wanted} could not be loaded: tried {builtin.module}, which says: {error}; {builtin.install}"
            ) from error
        factory: Callable[..., Any] = getattr(module, builtin.attribute)
        return factory
    return _resolve_entry_point(wanted)


def _resolve_entry_point(wanted: str) -> Callable[..., Any]:
    entries = list(metadata.entry_points(group=ENTRY_POINT_GROUP, name=wanted))
    if len(entries) > 1:
        owners = ", ".join(entry.value for entry in entries)
        raise TransportMissing(f"{wanted} is offered more than once ({owners}); uninstall all but one")
    if entries:
        entry = entries[0]
        try:
            factory: Callable[..., Any] = entry.load()
        except (ImportError, AttributeError) as error:
            owner = f" of {entry.dist.name}" if entry.dist is not None else ""
            raise TransportMissing(
                f"{wanted} could not be loaded: tried {entry.value}{owner}, which says: {error}; reinstall that package"
            ) from error
        return factory
    why = _ABSENT.get(wanted)
    tried = f"tried the built-in transports and the entry points of group {ENTRY_POINT_GROUP!r}"
    if why is not None:
        raise TransportMissing(f"{wanted} is missing: {why} ({tried})")
    raise TransportMissing(
        f"{wanted} is missing: {tried}; there are {', '.join(available())}; install the package that offers it"
    )


def resolve_fetcher(name: str | None = None) -> Callable[..., Fetcher]:
    """The factory of a Fetcher; as `resolve`."""
    return resolve("fetcher", name)


def resolve_server(name: str | None = None) -> Callable[..., Server]:
    """The factory of a Server; as `resolve`."""
    return resolve("server", name)


def resolve_connector(name: str | None = None) -> Callable[..., Connector]:
    """The factory of a Connector; as `resolve`."""
    return resolve("connector", name)


def resolve_signaling(name: str | None = None) -> Callable[..., Signaling]:
    """The factory of a Signaling; as `resolve`."""
    return resolve("signaling", name)


def resolve_hasher(name: str | None = None) -> Callable[..., Hasher]:
    """The factory of a Hasher; as `resolve`."""
    return resolve("hasher", name)


def resolve_shelf(name: str | None = None) -> Callable[..., Shelf]:
    """The factory of a Shelf; as `resolve`."""
    return resolve("shelf", name)
