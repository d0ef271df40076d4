"""What a log calls other viewers: neither by their peer ids nor by their addresses.

    Pseudonyms           peer ids become "peer-1", "peer-2", in the order in which they were met
    without_addresses    IP addresses in a text become "an address"

A report is data for whoever runs the session and names its sources; a log is kept,
copied and sent around.  `log_viewers` of the config writes both as they are.
"""

from __future__ import annotations

import re

__all__ = ["Pseudonyms", "without_addresses"]

# Dotted quads, and anything with two colons or more that is of hex digits; a time of day has one or two, of decimals.
_V4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_ADDRESS = re.compile(
    rf"(?<![\w:])(?=[0-9a-fA-F:]*(?:::|[a-fA-F]))(?:[0-9a-fA-F]{{0,4}}:){{2,7}}(?:{_V4}|[0-9a-fA-F]{{0,4}})(?![\w:])"
    rf"|(?<![\w.]){_V4}(?![\w.]*\w)"
)


class Pseudonyms:
    def __init__(self, names_max: int) -> None:
        """Of more than `names_max` the oldest are forgotten; nothing is written of whoever left so long ago."""
        self._names_max = names_max
        self._count = 0
        self._names: dict[str, str] = {}

    def meet(self, peer: str) -> str:
        """What it is called from now on; one that comes back keeps its name."""
        name = self._names.get(peer)
        if name is None:
            self._count += 1
            name = self._names[peer] = f"peer-{self._count}"
            if len(self._names) > self._names_max:
                del self._names[next(iter(self._names))]
        return name

    def apply(self, text: str) -> str:
        """The text without any id that was met.  Cost: a look for each of them."""
        for peer, name in self._names.items():
            if peer in text:
                text = text.replace(f"peer:{peer}", name).replace(peer, name)
        return text


def without_addresses(text: str) -> str:
    return _ADDRESS.sub("an address", text)
