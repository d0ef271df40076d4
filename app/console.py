"""What commands print: lines for people on stderr, or JSON lines for machines on stdout."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

__all__ = ["Console"]


class Console:
    """One command's output.  With `json`, each event is one JSON object on a line of stdout."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    def event(self, event: str, text: str, /, **fields: Any) -> None:
        """Something happened: `text` for people, `event` and `fields` for machines."""
        if self.json:
            line = msgspec.json.encode({"event": event, **fields}).decode()
            print(line, flush=True)  # noqa: T201
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    def error(self, reason: str, text: str) -> None:
        """A failure, always on stderr as well, since a pipe may have taken stdout."""
        if self.json:
            self.event("error", text, reason=reason, message=text)
        print(f"shoal: {text}", file=sys.stderr, flush=True)  # noqa: T201
