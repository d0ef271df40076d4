"""The head of a response as bytes: a status line and headers.  Nothing here reads a socket."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

__all__ = ["head_of", "plain"]

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class _Date:
    """The Date header; it changes once a second, and making it takes as long as the rest of a head."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_DATE = _Date()


def head_of(status: int, headers: Mapping[str, str], *, is_1_0: bool = False) -> bytes:
    """The head.  ValueError for a header that would end its line, and so begin another, or that is not latin-1."""
    lines = [f"HTTP/1.{0 if is_1_0 else 1} {_LINES.get(status) or status}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += (f"date: {_DATE.now()}", "server: shoal", "", "")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise ValueError(f"a header of a response has a line's end in it: {dict(headers)!r}"[:400])
    return head.encode("latin-1")


def plain(status: int, text: str) -> bytes:
    """A whole response of one line, after which the connection ends."""
    body = f"{text}\n".encode()
    headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "connection": "close"}
    return head_of(status, headers) + body
