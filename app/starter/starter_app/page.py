"""The web entry: runs in the page's Pyodide.  `web/main.js` calls `endpoint` and connects to what it gives."""

from __future__ import annotations

from shoal.runtime import ActorSystem
from shoal.transports.bridge import Bridge
from shoal.transports.browser.bridge import PageEndpoint

from .actors import ACTORS, ERRORS, Hasher


def endpoint() -> PageEndpoint:
    """A system with our actor, and the end of a bridge to it."""
    system = ActorSystem()
    system.start()
    system.spawn(Hasher, name="hasher")
    return PageEndpoint(Bridge(system, actors=ACTORS, errors=ERRORS))
