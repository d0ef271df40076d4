"""A bridge inside a page: its JavaScript talks to the actors of its own Pyodide.  `bridge.js` is the other half.

    endpoint = PageEndpoint(Bridge(system, actors={"account": (Deposit, Withdraw)}))     # in Python

    const bridge = await connect(page(pyodide.globals.get("endpoint")));                 // on the same thread
    await relay(port(self), page(pyodide.globals.get("endpoint")));                      // in a worker, and on its page
    const bridge = await connect(port(worker));

A frame crosses as a JavaScript string and a Uint8Array for each byte string: text and one copy each, and no proxies.
What JavaScript holds of Python is the endpoint and one method of it, until the bridge ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shoal.transports.bridge import Bridge

from .page import from_js_bytes, to_js_bytes

__all__ = ["PageEndpoint"]


class PageEndpoint:
    """A Carrier, and what `page(endpoint)` in JavaScript calls.  For one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._deliver: Callable[..., object] | None = None
        self._tell_lost: Callable[[str], object] | None = None

    # for Python

    def send(self, text: str, parts: Sequence[bytes]) -> None:
        if self._deliver is not None:
            self._deliver(text, *map(to_js_bytes, parts))

    def close(self, why: str) -> None:
        tell, self._tell_lost, self._deliver = self._tell_lost, None, None
        if tell is not None:
            tell(why)

    # for JavaScript

    def attach(self, deliver: Any, lost: Any) -> None:
        """Begin: `deliver(text, ...parts)` takes our frames, `lost(why)` is called at the end."""
        self._deliver, self._tell_lost = deliver, lost
        self._bridge.attach(self)

    def receive(self, text: str, *parts: Any) -> None:
        self._bridge.receive(text, [from_js_bytes(part) for part in parts])

    def drop(self, reason: str) -> None:
        self._bridge.drop(reason)

    def lost(self, why: str) -> None:
        self._tell_lost = self._deliver = None
        self._bridge.lost(why)
