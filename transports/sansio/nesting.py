"""How deep JSON is nested, before a parser finds that out by recursion.

Natively a parser gives up with an error.  In a browser too much recursion ends the
interpreter, and not just the call: a hundred kilobytes from a tracker or a CDN would
end a page's session.  So whoever parses what strangers wrote asks here first.
"""

from __future__ import annotations

import re

__all__ = ["NESTING_MAX", "is_nested_deeper"]

NESTING_MAX = 32  # more than any format of ours needs, and far below what a browser's stack takes

# An open string is taken too, to the end: where one could fail, it would be tried again from each quote inside it.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*\\?"?', re.DOTALL)
_NO_BRACKETS = re.compile(rb"[^\[\]{}]+")
_PLAIN = bytes(byte for byte in range(256) if byte not in b'[]{}"')  # deleted first: a hundred times faster


def is_nested_deeper(data: bytes, depth_max: int = NESTING_MAX) -> bool:
    """Whether JSON is nested deeper, or is none.  Linear in `data`, in UTF-8."""
    if data.count(b"[") + data.count(b"{") <= depth_max:
        return False
    if b"\\" not in data:  # else what is escaped must stay beside its backslash
        data = data.translate(None, _PLAIN)
    brackets = _NO_BRACKETS.sub(b"", _STRING.sub(b"", data)).replace(b"{", b"[").replace(b"}", b"]")
    for _ in range(depth_max):
        brackets = brackets.replace(b"[]", b"")  # the innermost of each branch
        if not brackets:
            break
    return bool(brackets)
