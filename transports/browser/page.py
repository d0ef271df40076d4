"""What the rest of this folder uses of JavaScript; nothing else imports `js` or `pyodide`.

A Python function that JavaScript calls lives in a proxy that nobody collects:
`Listeners` keeps those of one object together, so that they are released together.
`proxies_alive()` counts them, for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import js as _js  # pyright: ignore[reportMissingImports]
from pyodide.ffi import JsException as _JsException  # pyright: ignore[reportMissingImports]
from pyodide.ffi import create_proxy, to_js  # pyright: ignore[reportMissingImports]

__all__ = ["JsException", "Listeners", "from_js_bytes", "in_words", "js", "js_object", "proxies_alive", "to_js_bytes"]

js: Any = _js
JsException: type[Exception] = _JsException

_alive = 0


def proxies_alive() -> int:
    """How many Python functions JavaScript holds through this folder now."""
    return _alive


def js_object(**fields: Any) -> Any:
    """A plain JavaScript object; lists and dicts inside become arrays and objects."""
    return to_js(fields, dict_converter=js.Object.fromEntries)


def to_js_bytes(data: bytes | bytearray | memoryview) -> Any:
    """A Uint8Array of its own with these bytes: one copy.  `to_js` takes ten times as long for the same."""
    array = js.Uint8Array.new(len(data))
    if len(data):
        array.assign(data)
    return array


def from_js_bytes(array: Any) -> bytes:
    """The bytes of an ArrayBuffer or a typed array: one copy."""
    return bytes(array.to_bytes())


def in_words(error: BaseException) -> str:
    """What JavaScript says of an error, on one line and bounded: `NetworkError: ...`."""
    name = getattr(error, "name", None)
    message = getattr(error, "message", None) or str(error)
    text = f"{name}: {message}" if name and not str(message).startswith(str(name)) else str(message)
    return " ".join(text.split())[:200]


class Listeners:
    """Python functions that listen to one JavaScript object's events, until `release`."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._proxies: list[tuple[str, Any]] = []

    def on(self, event: str, listener: Callable[[Any], object]) -> None:
        """`listener` is called inside JavaScript's event, so it neither waits nor raises."""
        global _alive  # noqa: PLW0603 - one count for the folder, which is what leaks are counted by
        proxy = create_proxy(listener)
        self._proxies.append((event, proxy))
        self._target.addEventListener(event, proxy)
        _alive += 1

    def release(self) -> None:
        """Stop listening, and let go of the functions.  Does nothing the second time."""
        global _alive  # noqa: PLW0603 - as above
        proxies, self._proxies = self._proxies, []
        for event, proxy in proxies:
            self._target.removeEventListener(event, proxy)
            proxy.destroy()
            _alive -= 1
