"""What the rest of this folder uses of JavaScript; nothing else imports `js` or `pyodide`.

A Python function that JavaScript calls lives in a proxy that nobody collects:
`Listeners` keeps those of one object together, so that they are released together.
`proxies_alive()` counts them, for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import js as _js  # pyright: ignore[reportMissingImports]
from pyodide.code import run_js as _run_js  # pyright: ignore[reportMissingImports]
from pyodide.ffi import JsException as _JsException  # pyright: ignore[reportMissingImports]
from pyodide.ffi import create_proxy, to_js  # pyright: ignore[reportMissingImports]

__all__ = [
    "JsException",
    "Listeners",
    "from_js_bytes",
    "in_words",
    "js",
    "js_object",
    "lent_js_bytes",
    "proxies_alive",
    "run_js",
    "to_js_bytes",
]

js: Any = _js
JsException: type[Exception] = _JsException
run_js: Callable[[str], Any] = _run_js

# Of a message's event Python needs these two; each thing of JavaScript that it touches is looked through and wrapped.
_OF_MESSAGE: Any = run_js(
    "(take) => ({ data }) => { take(data, typeof data === 'string' ? data.length : data.byteLength); }"
)

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


_lent: Any = None  # as large as the largest message so far, which channels limit


def lent_js_bytes(data: bytes | bytearray | memoryview) -> Any:
    """The same for a call that copies them at once, as every `send` does: the next call here writes over them.

    A new array of 64 KiB takes 70 us, memory that was never touched for the most part; this one takes 3.
    """
    global _lent  # noqa: PLW0603 - one for the folder, since nobody keeps it
    size = len(data)
    if _lent is None or _lent.length < size:
        _lent = js.Uint8Array.new(size)
    array = _lent if _lent.length == size else _lent.subarray(0, size)
    if size:
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
        self._proxies: list[tuple[str, Any, Any]] = []  # with what JavaScript calls

    def on(self, event: str, listener: Callable[[Any], object]) -> None:
        """`listener` is called inside JavaScript's event, so it neither waits nor raises."""
        proxy = create_proxy(listener)
        self._add(event, proxy, proxy)

    def on_message(self, listener: Callable[[Any, int], object]) -> None:
        """The same for "message", with its data, a string or an ArrayBuffer, and how long that is."""
        proxy = create_proxy(listener)
        self._add("message", proxy, _OF_MESSAGE(proxy))

    def _add(self, event: str, proxy: Any, called: Any) -> None:
        global _alive  # noqa: PLW0603 - one count for the folder, which is what leaks are counted by
        self._proxies.append((event, proxy, called))
        self._target.addEventListener(event, called)
        _alive += 1

    def release(self) -> None:
        """Stop listening, and let go of the functions.  Does nothing the second time."""
        global _alive  # noqa: PLW0603 - as above
        proxies, self._proxies = self._proxies, []
        for event, proxy, called in proxies:
            self._target.removeEventListener(event, called)
            proxy.destroy()
            _alive -= 1
